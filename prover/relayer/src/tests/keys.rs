//! Several programs on one key, several keys on one journal, and a key without funds.

use alloy::consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy::eips::eip2718::Encodable2718;
use alloy::network::TxSignerSync;
use alloy::primitives::TxKind;

use super::faults::{IMPATIENT, PATIENT};
use super::service::TestProver;
use super::*;
use crate::error::RelayerError;
use crate::event::Wait;
use crate::service::Relayer;

/// Tips, in wei, of which the relayer's lies between.
const CHEAP: u128 = 1_000;
const DEAR: u128 = 20_000_000_000;

/// A transaction of another program with the relayer's key; `tip` is in wei.
async fn foreign(world: &World, nonce: u64, tip: u128) -> B256 {
    let mut transaction = TxEip1559 {
        chain_id: 31_337,
        nonce,
        gas_limit: 21_000,
        max_fee_per_gas: 2_000_000_000 + tip,
        max_priority_fee_per_gas: tip,
        to: TxKind::Call(Address::repeat_byte(0x77)),
        value: U256::from(1),
        ..TxEip1559::default()
    };
    let signature = world.key().sign_transaction_sync(&mut transaction).unwrap();
    let raw = TxEnvelope::from(transaction.into_signed(signature)).encoded_2718();
    *world.provider.send_raw_transaction(&raw).await.unwrap().tx_hash()
}

#[tokio::test]
async fn a_nonce_that_another_program_used_is_reported_and_the_job_takes_the_next() {
    let world = World::new().await;
    let mut run = Run::open(&world.config(PATIENT), world.key()).await;
    let id = run.proved_job(&world).await;
    world.automine(false).await;
    run.drive(id).await;
    let _: Value = world.rpc("anvil_dropAllTransactions", ()).await;
    foreign(&world, 0, DEAR).await;
    world.mine(1).await;
    world.automine(true).await;

    assert_eq!(run.manager.run(id).await.unwrap().state, JobState::Confirmed);
    assert!(run.told().contains(&RelayEvent::NonceTaken { job: id, nonce: 0 }));
    let nonces: Vec<_> = run.journal.attempts(id).await.unwrap().iter().map(|a| a.nonce).collect();
    assert_eq!(nonces, [0, 1]);
    assert_eq!((world.executed().await, world.nonce().await), (1, 2));
}

#[tokio::test]
async fn another_programs_waiting_transaction_is_reported_and_not_overwritten() {
    let world = World::new().await;
    let mut run = Run::open(&world.config(PATIENT), world.key()).await;
    let id = run.proved_job(&world).await;
    world.automine(false).await;
    let theirs = foreign(&world, 0, DEAR).await;
    run.drive(id).await;
    assert!(run.told().contains(&RelayEvent::UnknownPending { first_nonce: 0, count: 1 }));
    world.mine(1).await;
    run.until(id, JobState::Confirmed).await;
    assert!(world.provider.get_transaction_receipt(theirs).await.unwrap().is_some());
    assert_eq!((world.executed().await, world.nonce().await), (1, 2));
}

#[tokio::test]
async fn a_key_without_funds_is_named_and_nothing_is_sent_until_it_is_paid_up() {
    let world = World::new().await;
    let key = PrivateKeySigner::random();
    let account = key.address();
    let mut run = Run::open(&world.config(PATIENT), key).await;
    let id = run.proved_job(&world).await;
    assert_eq!(run.drive(id).await.state, JobState::Proved);
    let told = run.told();
    assert!(
        matches!(&told[..], [RelayEvent::Waiting { wait: Wait::Funds { account: a, have, .. }, .. }]
            if *a == account && have.is_zero()),
        "{told:?}"
    );
    assert!(run.journal.attempts(id).await.unwrap().is_empty());
    let _: Value = world.rpc("anvil_setBalance", (account, U256::from(10).pow(U256::from(18)))).await;
    run.until(id, JobState::Confirmed).await;
}

/// Injects a foreign transaction between signing and sending.
async fn is_not_outbid(tip: u128) {
    let world = World::new().await;
    let mut run = Run::open(&world.config(IMPATIENT), world.key()).await;
    let id = run.proved_job(&world).await;
    world.automine(false).await;
    run.step(id).await;
    run.step(id).await;
    assert_eq!(run.journal.job(id).await.unwrap().state, JobState::Signed);
    let theirs = foreign(&world, 0, tip).await;
    for _ in 0..3 {
        assert_eq!(run.drive(id).await.state, JobState::Broadcast);
        tokio::time::sleep(Duration::from_millis(1100)).await;
    }
    let told = run.told();
    assert!(told.contains(&RelayEvent::Waiting { job: id, wait: Wait::Nonce { nonce: 0 } }), "{told:?}");
    assert_eq!(run.journal.attempts(id).await.unwrap().len(), 1, "nothing was offered for the nonce");

    world.mine(1).await;
    assert!(world.provider.get_transaction_receipt(theirs).await.unwrap().is_some());
    world.automine(true).await;
    assert_eq!(run.manager.run(id).await.unwrap().state, JobState::Confirmed);
    assert!(run.told().contains(&RelayEvent::NonceTaken { job: id, nonce: 0 }));
    assert_eq!((world.executed().await, world.nonce().await), (1, 2));
}

#[tokio::test]
async fn a_foreign_transaction_that_comes_between_signing_and_sending_is_not_outbid() {
    is_not_outbid(DEAR).await;
    is_not_outbid(CHEAP).await;
}

#[tokio::test]
async fn two_relayers_with_one_key_and_two_journals_have_one_effect() {
    let world = World::new().await;
    let first = Run::open(&world.config(PATIENT), world.key()).await;
    let mut second = Run::open(&world.config_at("second.db", PATIENT), world.key()).await;
    let (a, b) = (first.proved_job(&world).await, second.proved_job(&world).await);
    world.automine(false).await;
    assert_eq!(first.drive(a).await.state, JobState::Broadcast);
    assert_eq!(second.drive(b).await.state, JobState::Broadcast);
    assert!(second.told().contains(&RelayEvent::UnknownPending { first_nonce: 0, count: 1 }));
    world.mine(1).await;
    first.until(a, JobState::Confirmed).await;
    let job = second.until(b, JobState::Superseded).await;
    assert!(job.reason.unwrap().contains("StatementUsed(0x"));
    assert_eq!((world.executed().await, world.nonce().await), (1, 2));
}

#[tokio::test]
async fn another_key_is_refused_while_the_journal_holds_a_nonce_of_the_first() {
    let world = World::new().await;
    let run = Run::open(&world.config(PATIENT), world.key()).await;
    let id = run.proved_job(&world).await;
    world.automine(false).await;
    assert_eq!(run.drive(id).await.state, JobState::Broadcast);
    drop(run);

    let other = PrivateKeySigner::random();
    let start = |key: PrivateKeySigner| {
        let (sender, _) = unbounded_channel();
        Relayer::start(world.config(PATIENT), key, TestProver::default(), sender)
    };
    let error = start(other.clone()).await.map(drop).unwrap_err();
    let want = format!(
        "job 1 holds nonce 0 of {} where the configured key is that of {}; \
         start with the first key until the job has ended",
        world.key().address(),
        other.address()
    );
    assert_eq!(error.to_string(), want);

    drop(start(world.key()).await.unwrap());
    let run = Run::open(&world.config(PATIENT), world.key()).await;
    world.mine(1).await;
    run.until(id, JobState::Confirmed).await;
    drop(run);
    let error = start(other).await.map(drop).unwrap_err();
    assert!(matches!(error, RelayerError::NoFunds { .. }), "the key is no obstacle any more: {error}");
}
