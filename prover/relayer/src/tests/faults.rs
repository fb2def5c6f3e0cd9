//! What goes wrong between signing and confirmation.

use super::*;
use crate::error::RelayerError;
use crate::event::Wait;
use crate::journal::AttemptKind;

pub(super) const IMPATIENT: &str = "[fees]\nresubmit_seconds = 1";
pub(super) const PATIENT: &str = "[fees]\nresubmit_seconds = 600";

#[tokio::test]
async fn a_transaction_that_is_not_mined_is_replaced_at_the_same_nonce_for_an_eighth_more() {
    let world = World::new().await;
    let mut run = Run::open(&world.config(IMPATIENT), world.key()).await;
    let id = run.proved_job(&world).await;
    world.automine(false).await;
    assert_eq!(run.drive(id).await.state, JobState::Broadcast);
    tokio::time::sleep(Duration::from_millis(2100)).await;
    let replaced = run.drive(id).await;
    assert_eq!(replaced.state, JobState::Broadcast);
    world.mine(1).await;
    run.until(id, JobState::Confirmed).await;

    let attempts = run.journal.attempts(id).await.unwrap();
    let [first, second] = attempts.as_slice() else { panic!("{attempts:?}") };
    assert_eq!(first.nonce, second.nonce);
    assert!(second.max_fee >= first.max_fee + first.max_fee.div_ceil(8));
    assert!(second.priority_fee >= first.priority_fee + first.priority_fee.div_ceil(8));
    assert_eq!((first.fee_paid, second.fee_paid.is_some()), (None, true));
    assert_eq!((world.executed().await, world.nonce().await), (1, 1));
    let sent = run.told().iter().filter(|event| matches!(event, RelayEvent::Sent { .. })).count();
    assert_eq!(sent, 2);
}

#[tokio::test]
async fn a_transaction_that_fell_out_of_the_pool_is_sent_again() {
    let world = World::new().await;
    let run = Run::open(&world.config(PATIENT), world.key()).await;
    let id = run.proved_job(&world).await;
    world.automine(false).await;
    run.drive(id).await;
    let _: Value = world.rpc("anvil_dropAllTransactions", ()).await;
    assert_eq!(run.drive(id).await.state, JobState::Broadcast);
    world.mine(1).await;
    run.until(id, JobState::Confirmed).await;
    assert_eq!(run.journal.attempts(id).await.unwrap().len(), 1);
    assert_eq!(world.executed().await, 1);
}

#[tokio::test]
async fn a_statement_that_somebody_else_executed_first_costs_nothing() {
    let world = World::new().await;
    let run = Run::open(&world.config(PATIENT), world.key()).await;
    let id = run.proved_job(&world).await;
    let calldata = world.calldata().await;
    world.admin(world.gate, InferenceGate::submitInferenceCall::abi_decode(&calldata).unwrap()).await;
    let job = run.drive(id).await;
    assert_eq!(job.state, JobState::Superseded);
    assert!(job.reason.unwrap().starts_with("the contract reverts with StatementUsed(0x"));
    assert_eq!((world.executed().await, world.nonce().await), (1, 0));
}

#[tokio::test]
async fn a_statement_executed_by_somebody_else_while_ours_waits_frees_the_nonce() {
    let world = World::new().await;
    let run = Run::open(&world.config(IMPATIENT), world.key()).await;
    let id = run.proved_job(&world).await;
    let calldata = world.calldata().await;
    world.automine(false).await;
    run.drive(id).await;
    let _: Value = world.rpc("anvil_dropAllTransactions", ()).await;
    world.admin(world.gate, InferenceGate::submitInferenceCall::abi_decode(&calldata).unwrap()).await;
    tokio::time::sleep(Duration::from_millis(2100)).await;
    run.drive(id).await;
    world.mine(1).await;
    run.until(id, JobState::Superseded).await;
    let attempts = run.journal.attempts(id).await.unwrap();
    let newest = attempts.last().unwrap();
    assert_eq!((newest.kind, newest.nonce), (AttemptKind::Cancel, 0));
    assert_eq!((world.executed().await, world.nonce().await), (1, 1));
}

#[tokio::test]
async fn past_the_deadline_nothing_is_sent_and_a_waiting_transaction_is_cancelled() {
    let mut world = World::new().await;
    let run = Run::open(&world.config(PATIENT), world.key()).await;
    let waiting = run.proved_job(&world).await;
    world.automine(false).await;
    run.drive(waiting).await;
    // The pool loses it: were it there, it would be mined together with the time that passes.
    let _: Value = world.rpc("anvil_dropAllTransactions", ()).await;
    world.pass(1001).await;
    run.drive(waiting).await;
    world.mine(1).await;
    let job = run.until(waiting, JobState::Expired).await;
    assert_eq!(job.reason.as_deref(), Some("its deadline passed before it was mined"));
    assert_eq!((world.executed().await, world.nonce().await), (0, 1));

    world.automine(true).await;
    world.new_gate().await;
    let unsent = run.proved_job(&world).await;
    assert_eq!(run.drive(unsent).await.state, JobState::Expired);
    assert_eq!(world.nonce().await, 1);
}

#[tokio::test]
async fn a_paused_contract_is_waited_for() {
    let world = World::new().await;
    let mut run = Run::open(&world.config(PATIENT), world.key()).await;
    let id = run.proved_job(&world).await;
    world.admin(world.gate, setPausedCall { paused: true }).await;
    assert_eq!(run.drive(id).await.state, JobState::Proved);
    let wait = Wait::Contract { revert: "VaultPaused()".to_owned() };
    assert_eq!(run.told(), [RelayEvent::Waiting { job: id, wait }]);
    run.drive(id).await;
    assert_eq!(run.told(), [], "it is told once");
    world.admin(world.gate, setPausedCall { paused: false }).await;
    run.until(id, JobState::Confirmed).await;
}

#[tokio::test]
async fn a_proof_that_the_verifier_rejects_fails_before_anything_is_sent() {
    let world = World::new().await;
    let run = Run::open(&world.config(PATIENT), world.key()).await;
    let (key, inputs, deadline) = world.statement().await;
    let (job, _) = run.journal.enqueue(&key, Some(&inputs), Some(deadline)).await.unwrap();
    let call = InferenceGate::submitInferenceCall {
        epoch: key.epoch,
        outputs: vec![Default::default(); 2],
        proof: Bytes::from_static(b"no proof"),
    };
    run.journal.record(job.id, &Step::Prepare { calldata: call.abi_encode().into() }).await.unwrap();
    let job = run.drive(job.id).await;
    assert_eq!(job.state, JobState::Failed, "{job:?}");
    assert_eq!(world.nonce().await, 0);
}

#[tokio::test]
async fn a_dead_endpoint_is_passed_over_and_a_wrong_chain_ends_the_start() {
    let world = World::new().await;
    let live = world.anvil.endpoint();
    let store = world.folder.path().join("relayer.db");
    let both = config(&["http://127.0.0.1:9", &live], world.gate, &store, PATIENT);
    let run = Run::open(&both, world.key()).await;
    let id = run.proved_job(&world).await;
    run.until(id, JobState::Confirmed).await;

    let dead = config(&["http://user:s3cret@127.0.0.1:9/s3cret"], world.gate, &store, "");
    let (events, _) = unbounded_channel();
    let error = Chain::new(&dead, events.clone()).refresh().await.unwrap_err();
    assert!(matches!(error, RelayerError::RpcUnreachable { tried: 1, .. }) && error.is_transient());
    assert!(!error.to_string().contains("s3cret"), "{error}");

    let mut other = config(&[&live], world.gate, &store, "");
    other.chain_id = 1;
    let error = Chain::new(&other, events).wait_for_endpoint(Duration::ZERO).await.unwrap_err();
    assert!(matches!(error, RelayerError::WrongChain { want: 1, got: 31_337, .. }) && !error.is_transient());
}

#[tokio::test]
async fn a_journal_that_cannot_be_written_for_a_time_is_waited_for() {
    let world = World::new().await;
    let run = Run::open(&world.config(PATIENT), world.key()).await;
    let id = run.proved_job(&world).await;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(world.config("").store);
    let other = sqlx::SqlitePool::connect_with(options).await.unwrap();
    let mut held = other.acquire().await.unwrap();
    sqlx::query("BEGIN IMMEDIATE").execute(&mut *held).await.unwrap();
    let head = run.chain.refresh().await.unwrap();
    let job = run.journal.job(id).await.unwrap();
    let error = run.manager.advance(&job, head).await.unwrap_err();
    assert!(matches!(error, RelayerError::Journal { action: "write", .. }) && error.is_transient(), "{error}");
    assert_eq!(world.nonce().await, 0);
    sqlx::query("ROLLBACK").execute(&mut *held).await.unwrap();
    assert_eq!(run.manager.run(id).await.unwrap().state, JobState::Confirmed);
    assert_eq!((world.executed().await, world.nonce().await), (1, 1));
}
