//! What a transaction may cost.

use super::faults::{IMPATIENT, PATIENT};
use super::*;
use crate::event::Wait;
use crate::journal::AttemptKind;

#[tokio::test]
async fn a_replacement_stops_at_the_fee_cap_and_the_transaction_stays() {
    let world = World::new().await;
    let probe = Run::open(&world.config(PATIENT), world.key()).await;
    let id = probe.proved_job(&world).await;
    world.automine(false).await;
    probe.drive(id).await;
    let offered = probe.journal.attempts(id).await.unwrap()[0].max_fee;
    drop(probe);

    let capped = format!("[fees]\nresubmit_seconds = 0\nmax_fee_per_gas = \"{offered} wei\"");
    let mut run = Run::open(&world.config(&capped), world.key()).await;
    assert_eq!(run.drive(id).await.state, JobState::Broadcast);
    let told = run.told();
    assert!(told.iter().any(|e| matches!(e, RelayEvent::Waiting { wait: Wait::GasPrice { .. }, .. })), "{told:?}");
    assert_eq!(run.journal.attempts(id).await.unwrap().len(), 1);
    world.mine(1).await;
    run.until(id, JobState::Confirmed).await;
}

#[tokio::test]
async fn budgets_hold_a_transaction_back() {
    let world = World::new().await;
    for (fees, what) in [
        ("[fees]\nmin_priority_fee = \"0 wei\"\nmax_fee_per_gas = \"1 wei\"", "max_fee_per_gas"),
        ("[fees]\nmax_fee_per_transaction = \"1 gwei\"", "max_fee_per_transaction"),
        ("[fees]\nmax_fee_per_transaction = \"1 gwei\"\nmax_fee_per_day = \"1 gwei\"", "max_fee_per_transaction"),
    ] {
        let mut run = Run::open(&world.config(fees), world.key()).await;
        let id = JobId(match run.journal.jobs().await.unwrap().first() {
            Some(job) => job.id.0,
            None => run.proved_job(&world).await.0,
        });
        assert_eq!(run.drive(id).await.state, JobState::Proved);
        let told: Vec<_> = run.told().iter().map(ToString::to_string).collect();
        assert!(told[0].contains(what), "{told:?}");
    }
    assert_eq!(world.nonce().await, 0);
}

#[tokio::test]
async fn the_days_budget_holds_a_second_transaction_back_that_is_within_the_transactions_own_cap() {
    let mut world = World::new().await;
    let probe = Run::open(&world.config(PATIENT), world.key()).await;
    let id = probe.proved_job(&world).await;
    probe.until(id, JobState::Confirmed).await;
    let attempt = probe.journal.attempts(id).await.unwrap().remove(0);
    drop(probe);

    let cap = attempt.max_fee * u128::from(attempt.gas_limit) * 5 / 4;
    let day = cap + attempt.fee_paid.unwrap() / 2;
    let fees = format!("[fees]\nmax_fee_per_transaction = \"{cap} wei\"\nmax_fee_per_day = \"{day} wei\"");
    world.new_gate().await;
    let mut run = Run::open(&world.config(&fees), world.key()).await;
    let id = run.proved_job(&world).await;
    run.until(id, JobState::Confirmed).await;
    world.new_gate().await;
    let id = run.proved_job(&world).await;
    run.told();
    assert_eq!(run.drive(id).await.state, JobState::Proved);
    let told = run.told();
    assert!(
        matches!(&told[..], [RelayEvent::Waiting { wait: Wait::DayBudget { need, left }, .. }] if need > left && *need <= cap),
        "{told:?}"
    );
    assert_eq!((world.executed().await, world.nonce().await), (0, 2));
}

#[tokio::test]
async fn a_base_fee_ten_times_as_high_is_followed_at_the_same_nonce() {
    let world = World::new().await;
    let run = Run::open(&world.config(IMPATIENT), world.key()).await;
    let id = run.proved_job(&world).await;
    world.automine(false).await;
    assert_eq!(run.drive(id).await.state, JobState::Broadcast);
    let first = run.journal.attempts(id).await.unwrap().remove(0);
    let base_fee = first.max_fee * 5;
    let _: Value = world.rpc("anvil_setNextBlockBaseFeePerGas", (U256::from(base_fee),)).await;
    world.mine(1).await;
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(run.drive(id).await.state, JobState::Broadcast, "it was too cheap for the block");
    world.mine(1).await;
    run.until(id, JobState::Confirmed).await;
    let attempts = run.journal.attempts(id).await.unwrap();
    let newest = attempts.last().unwrap();
    assert!(attempts.len() > 1 && newest.max_fee > base_fee && newest.nonce == first.nonce, "{attempts:?}");
    assert_eq!((world.executed().await, world.nonce().await), (1, 1));
}

#[tokio::test]
async fn a_transaction_at_the_highest_price_can_still_be_cancelled() {
    let world = World::new().await;
    let base_fee = world.base_fee().await;
    // Room for more than the next block asks for, and less than the relayer would offer.
    let cap = (world.provider.get_gas_price().await.unwrap() + base_fee / 2) * 9 / 8;
    let fees = format!("[fees]\nresubmit_seconds = 600\nmin_priority_fee = \"1 wei\"\nmax_fee_per_gas = \"{cap} wei\"");
    let run = Run::open(&world.config(&fees), world.key()).await;
    let id = run.proved_job(&world).await;
    world.automine(false).await;
    assert_eq!(run.drive(id).await.state, JobState::Broadcast);
    let offered = run.journal.attempts(id).await.unwrap()[0].max_fee;
    assert_eq!(offered, cap - cap.div_ceil(9), "an eighth is left");
    let _: Value = world.rpc("anvil_dropAllTransactions", ()).await;
    world.pass(1001).await;
    run.drive(id).await;
    world.mine(1).await;
    run.until(id, JobState::Expired).await;
    let attempts = run.journal.attempts(id).await.unwrap();
    let newest = attempts.last().unwrap();
    assert_eq!(newest.kind, AttemptKind::Cancel);
    assert!(newest.max_fee > offered && newest.max_fee <= cap, "{attempts:?}");
    assert_eq!((world.executed().await, world.nonce().await), (0, 1));
}
