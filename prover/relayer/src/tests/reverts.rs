//! Contracts that change between a job's steps: paused, reorganised, with another proof.

use super::faults::PATIENT;
use super::service::{Service, TestProver};
use super::*;
use crate::error::RelayerError;
use crate::prover::{JobProver, ProofJob};
use crate::service::Relayer;

/// Lets the job's transaction be mined after a pause, in the same block.
async fn mine_behind_a_pause(world: &World, run: &Run, id: JobId) {
    world.automine(false).await;
    assert_eq!(run.drive(id).await.state, JobState::Broadcast);
    let pause = world.post(world.gate, setPausedCall { paused: true }, Some(100_000_000_000)).await;
    world.mine(1).await;
    world.mined(pause).await;
    world.automine(true).await;
}

#[tokio::test]
async fn a_transaction_that_reverted_because_of_a_pause_is_sent_again_and_both_are_counted() {
    let world = World::new().await;
    let run = Run::open(&world.config(PATIENT), world.key()).await;
    let id = run.proved_job(&world).await;
    mine_behind_a_pause(&world, &run, id).await;
    let waiting = run.until(id, JobState::Proved).await;
    assert_eq!((waiting.nonce, world.executed().await), (None, 0));
    world.admin(world.gate, setPausedCall { paused: false }).await;
    run.until(id, JobState::Confirmed).await;
    assert_eq!((world.executed().await, world.nonce().await), (1, 2));

    let attempts = run.journal.attempts(id).await.unwrap();
    let [first, second] = attempts.as_slice() else { panic!("{attempts:?}") };
    let paid = first.fee_paid.unwrap() + second.fee_paid.unwrap();
    assert_eq!(run.journal.fees_since(0).await.unwrap(), paid);
    let details: Vec<_> = run.journal.timeline(id).await.unwrap().into_iter().map(|entry| entry.detail).collect();
    let why = "its transaction was mined and reverted, most likely with VaultPaused()".to_owned();
    assert!(details.contains(&why), "{details:?}");
}

#[tokio::test]
async fn a_job_whose_transactions_always_revert_fails_after_the_third() {
    let world = World::new().await;
    let run = Run::open(&world.config(PATIENT), world.key()).await;
    let id = run.proved_job(&world).await;
    for _ in 0..2 {
        mine_behind_a_pause(&world, &run, id).await;
        run.until(id, JobState::Proved).await;
        world.admin(world.gate, setPausedCall { paused: false }).await;
    }
    mine_behind_a_pause(&world, &run, id).await;
    let job = run.until(id, JobState::Failed).await;
    let why = "its transaction was mined and reverted, most likely with VaultPaused(), the last of 3";
    assert_eq!(job.reason.as_deref(), Some(why));
    assert_eq!((world.executed().await, world.nonce().await), (0, 3));
}

#[tokio::test]
async fn inputs_that_change_while_a_proof_waits_are_proven_again() {
    let world = World::new().await;
    world.admin(world.gate, setPausedCall { paused: true }).await;
    let prover = TestProver::default();
    let seen = Arc::clone(&prover.seen);
    let mut service = Service::start(&world, "", prover).await;
    service.wait_for(|e| matches!(e, RelayEvent::Waiting { wait: crate::event::Wait::Contract { .. }, .. })).await;
    world.admin(world.market, setTickOffsetCall { offset: U256::from(5) }).await;
    service.wait_for(|e| matches!(e, RelayEvent::InputsChanged { job: JobId(1) })).await;
    world.admin(world.gate, setPausedCall { paused: false }).await;
    assert_eq!(service.finished().await, (JobState::Confirmed, None));
    service.stop().await;
    assert_eq!((world.executed().await, world.nonce().await), (1, 1));
    let inputs: Vec<_> = seen.lock().unwrap().iter().map(|job| job.inputs[0]).collect();
    assert_eq!(inputs, [20, 25]);
}

#[tokio::test]
async fn a_proof_in_the_making_is_given_up_when_its_inputs_change() {
    let world = World::new().await;
    let prover = TestProver { endless: vec![20], ..TestProver::default() };
    let seen = Arc::clone(&prover.seen);
    let mut service = Service::start(&world, "", prover).await;
    service.wait_for(|e| matches!(e, RelayEvent::Proving { .. })).await;
    world.admin(world.market, setTickOffsetCall { offset: U256::from(5) }).await;
    service.wait_for(|e| matches!(e, RelayEvent::InputsChanged { .. })).await;
    service.wait_for(|e| matches!(e, RelayEvent::Proving { .. })).await;
    service.stop().await;
    let inputs: Vec<_> = seen.lock().unwrap().iter().map(|job| job.inputs[0]).collect();
    assert_eq!(inputs, [20, 25]);
}

#[tokio::test]
async fn a_proof_of_inputs_that_are_gone_does_not_cost_the_epoch() {
    let world = World::new().await;
    let run = Run::open(&world.config(""), world.key()).await;
    let id = run.proved_job(&world).await;
    world.admin(world.market, setTickOffsetCall { offset: U256::from(5) }).await;
    let job = run.drive(id).await;
    assert_eq!(job.reason.as_deref(), Some("the contract reverts with ProofRejected()"));
    drop(run);
    let mut service = Service::start(&world, "", TestProver::default()).await;
    service.wait_for(|e| matches!(e, RelayEvent::InputsChanged { job } if *job == id)).await;
    assert_eq!(service.finished().await, (JobState::Confirmed, None));
    service.stop().await;
    assert_eq!((world.executed().await, world.nonce().await), (1, 1));
}

#[tokio::test]
async fn a_proof_made_elsewhere_that_the_gate_refuses_leaves_the_epoch_to_the_service() {
    let world = World::new().await;
    let (sender, _events) = unbounded_channel();
    let relayer = Relayer::start(world.config(""), world.key(), TestProver::default(), sender).await.unwrap();
    let (key, inputs, _) = world.statement().await;
    let job = ProofJob { id: JobId(0), key, context: inputs.context, inputs: vec![20; 16] };
    let mut proved = TestProver::default().prove(&job).await.unwrap();
    proved.proof = Bytes::from_static(b"no proof");
    let error = relayer.submit(20, &proved).await.unwrap_err();
    assert!(matches!(error, RelayerError::ProofRefused { job: JobId(1), .. }), "{error}");
    let want = "the gate refuses this proof for job 1, it reverts with ProofRejected(); the job is still open, \
                prove its statement again";
    assert_eq!(error.to_string(), want);
    assert_eq!(relayer.journal().job(JobId(1)).await.unwrap().state, JobState::Queued);
    drop(relayer);

    let mut service = Service::start(&world, "", TestProver::default()).await;
    assert_eq!(service.finished().await, (JobState::Confirmed, None));
    service.stop().await;
    assert_eq!((world.executed().await, world.nonce().await), (1, 1));
}

#[tokio::test]
async fn after_a_pause_the_newest_proof_is_sent_and_the_older_one_is_not() {
    let world = World::new().await;
    world.admin(world.gate, setPausedCall { paused: true }).await;
    let mut service = Service::start(&world, "", TestProver::default()).await;
    service.wait_for(|e| matches!(e, RelayEvent::Proved { job: JobId(1), .. })).await;
    // The older job may end as soon as the newer epoch is due.
    let ends = std::cell::RefCell::new(Vec::new());
    let is_end = |event: &RelayEvent| {
        if let RelayEvent::Finished { state, reason, .. } = event {
            ends.borrow_mut().push((*state, reason.clone()));
        }
        matches!(event, RelayEvent::Finished { .. })
    };
    world.set_epochs(21, 21).await;
    service.wait_for(|e| !is_end(e) && matches!(e, RelayEvent::Proved { job: JobId(2), .. })).await;
    // Both are looked at after the pause, not one before it and one after.
    service.stop().await;
    world.admin(world.gate, setPausedCall { paused: false }).await;
    let mut service = Service::start(&world, "", TestProver::default()).await;
    while ends.borrow().len() < 2 {
        service.wait_for(is_end).await;
    }
    service.stop().await;
    let ends = ends.into_inner();
    assert!(ends.iter().any(|(state, _)| *state == JobState::Confirmed), "{ends:?}");
    let reasons = ["the contract reverts with EpochSuperseded(20, 21)", "epoch 21 is due"];
    assert!(
        ends.iter()
            .any(|(state, why)| *state == JobState::Superseded
                && why.as_deref().is_some_and(|why| reasons.contains(&why))),
        "{ends:?}"
    );
    assert_eq!((world.executed().await, world.nonce().await), (1, 1));
}
