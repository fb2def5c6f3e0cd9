//! A crash at every edge of the journal: one effect, one nonce, the same bytes.

use super::*;
use crate::journal::Attempt;

/// Runs a job, crashing after `edge` steps, and checks that the rest comes to exactly one effect.
async fn crash_after(world: &World, edge: usize) {
    let config = world.config("");
    let (executed, nonce) = (world.executed().await, world.nonce().await);
    let run = Run::open(&config, world.key()).await;
    let id = run.proved_job(world).await;
    let mut taken = 0;
    while taken < edge {
        match run.step(id).await {
            Progress::Advanced(_) => taken += 1,
            _ => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
    let state = run.journal.job(id).await.unwrap().state;
    let signed = run.journal.attempts(id).await.unwrap();
    drop(run);

    let run = Run::open(&config, world.key()).await;
    let job = run.manager.run(id).await.unwrap();
    assert_eq!(job.state, JobState::Confirmed, "crash in {state}");
    assert_eq!(world.executed().await, executed + 1, "crash in {state}");
    assert_eq!(world.nonce().await, nonce + 1, "crash in {state}");
    let attempts = run.journal.attempts(id).await.unwrap();
    assert_eq!(attempts.len(), 1, "crash in {state}");
    if let [before] = signed.as_slice() {
        assert_eq!((before.hash, &before.raw), (attempts[0].hash, &attempts[0].raw), "crash in {state}");
    }
}

#[tokio::test]
async fn a_crash_after_any_step_ends_with_one_effect_and_one_nonce() {
    let mut world = World::new().await;
    // proved, intent, signed, broadcast, mined, confirmed
    for edge in 0..=5 {
        world.new_gate().await;
        crash_after(&world, edge).await;
    }
}

/// A run whose job has a signed transaction that no node has seen.
async fn signed(world: &World) -> (Run, JobId, Vec<Attempt>) {
    let run = Run::open(&world.config(""), world.key()).await;
    let id = run.proved_job(world).await;
    run.step(id).await;
    run.step(id).await;
    let attempts = run.journal.attempts(id).await.unwrap();
    assert_eq!(attempts.len(), 1);
    (run, id, attempts)
}

#[tokio::test]
async fn a_crash_between_writing_broadcast_and_sending_sends_the_same_bytes() {
    let world = World::new().await;
    let (run, id, signed) = signed(&world).await;
    run.journal.record(id, &Step::Broadcast).await.unwrap();
    drop(run);

    let run = Run::open(&world.config(""), world.key()).await;
    assert_eq!(run.manager.run(id).await.unwrap().state, JobState::Confirmed);
    assert_eq!((world.executed().await, world.nonce().await), (1, 1));
    assert_eq!(run.journal.attempts(id).await.unwrap()[0].raw, signed[0].raw);
}

#[tokio::test]
async fn a_transaction_that_was_sent_though_the_journal_says_signed_is_found() {
    let world = World::new().await;
    let (run, id, attempts) = signed(&world).await;
    let _ = world.provider.send_raw_transaction(&attempts[0].raw).await.unwrap();
    drop(run);

    let run = Run::open(&world.config(""), world.key()).await;
    let job = run.manager.run(id).await.unwrap();
    assert_eq!((job.state, job.mined.unwrap().hash), (JobState::Confirmed, attempts[0].hash));
    assert_eq!((world.executed().await, world.nonce().await), (1, 1));
}

#[tokio::test]
async fn a_reorganisation_puts_the_transaction_back_with_the_same_bytes() {
    let world = World::new().await;
    let config = world.config("confirmations = 3");
    let mut run = Run::open(&config, world.key()).await;
    let id = run.proved_job(&world).await;
    let mined = run.until(id, JobState::Mined).await;
    let _: Value = world.rpc("anvil_rollback", (1u64,)).await;
    assert_eq!(world.executed().await, 0);

    run.drive(id).await;
    assert!(run.told().iter().any(|event| matches!(event, RelayEvent::Reorganised { .. })));
    let again = run.until(id, JobState::Mined).await;
    assert_eq!(again.mined.unwrap().hash, mined.mined.unwrap().hash);
    world.mine(2).await;
    run.until(id, JobState::Confirmed).await;
    assert_eq!((world.executed().await, world.nonce().await), (1, 1));
    assert_eq!(run.journal.attempts(id).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_reorganisation_with_a_second_job_in_flight_brings_both_to_their_end() {
    let mut world = World::new().await;
    let mut run = Run::open(&world.config("confirmations = 3"), world.key()).await;
    let first_gate = world.gate;
    let first = run.proved_job(&world).await;
    run.until(first, JobState::Mined).await;
    world.new_gate().await;
    let second = run.proved_job(&world).await;
    world.automine(false).await;
    assert_eq!(run.drive(second).await.state, JobState::Broadcast);
    // The block with the second gate and the one with the first job's transaction.
    let _: Value = world.rpc("anvil_dropAllTransactions", ()).await;
    let _: Value = world.rpc("anvil_rollback", (2u64,)).await;
    world.automine(true).await;
    world.new_gate().await;

    for _ in 0..200 {
        let states = [run.drive(first).await.state, run.drive(second).await.state];
        if states == [JobState::Confirmed; 2] {
            break;
        }
        world.mine(1).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(run.told().iter().any(|event| matches!(event, RelayEvent::Reorganised { .. })));
    for (id, gate) in [(first, first_gate), (second, world.gate)] {
        assert_eq!(run.journal.job(id).await.unwrap().state, JobState::Confirmed);
        assert_eq!(world.read(gate, executedCall {}).await, U256::from(1));
        assert_eq!(run.journal.attempts(id).await.unwrap().len(), 1, "the same bytes");
    }
    assert_eq!(world.nonce().await, 2);
}

#[tokio::test]
async fn a_job_that_a_crash_left_in_flight_is_ended_before_the_next_one_is_sent() {
    let mut world = World::new().await;
    let config = world.config("");
    let run = Run::open(&config, world.key()).await;
    let first_gate = world.gate;
    let first = run.proved_job(&world).await;
    for _ in 0..3 {
        run.step(first).await;
    }
    assert_eq!(run.journal.job(first).await.unwrap().state, JobState::Broadcast);
    drop(run);

    // Its gate executed it; the journal does not know.
    world.new_gate().await;
    let run = Run::open(&config, world.key()).await;
    let second = run.proved_job(&world).await;
    let ended = tokio::time::timeout(Duration::from_secs(30), run.manager.run(second)).await;
    assert_eq!(ended.expect("the second job does not wait for ever").unwrap().state, JobState::Confirmed);
    for (id, gate) in [(first, first_gate), (second, world.gate)] {
        assert_eq!(run.journal.job(id).await.unwrap().state, JobState::Confirmed);
        assert_eq!(world.read(gate, executedCall {}).await, U256::from(1));
    }
}
