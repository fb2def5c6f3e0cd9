//! What goes wrong between signing and confirmation.

use alloy::consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy::eips::eip2718::Encodable2718;
use alloy::network::TxSignerSync;
use alloy::primitives::TxKind;

use super::*;
use crate::error::RelayerError;
use crate::event::Wait;
use crate::journal::AttemptKind;

const IMPATIENT: &str = "[fees]\nresubmit_seconds = 1";
const PATIENT: &str = "[fees]\nresubmit_seconds = 600";

/// Another program with the relayer's key.
async fn foreign(world: &World, nonce: u64) -> B256 {
    let mut transaction = TxEip1559 {
        chain_id: 31_337,
        nonce,
        gas_limit: 21_000,
        max_fee_per_gas: 50_000_000_000,
        max_priority_fee_per_gas: 20_000_000_000,
        to: TxKind::Call(Address::repeat_byte(0x77)),
        value: U256::from(1),
        ..TxEip1559::default()
    };
    let signature = world.key().sign_transaction_sync(&mut transaction).unwrap();
    let raw = TxEnvelope::from(transaction.into_signed(signature)).encoded_2718();
    *world.provider.send_raw_transaction(&raw).await.unwrap().tx_hash()
}

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
async fn a_nonce_that_another_program_used_is_reported_and_the_job_takes_the_next() {
    let world = World::new().await;
    let mut run = Run::open(&world.config(PATIENT), world.key()).await;
    let id = run.proved_job(&world).await;
    world.automine(false).await;
    run.drive(id).await;
    let _: Value = world.rpc("anvil_dropAllTransactions", ()).await;
    foreign(&world, 0).await;
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
    let theirs = foreign(&world, 0).await;
    run.drive(id).await;
    assert!(run.told().contains(&RelayEvent::UnknownPending { first_nonce: 0, count: 1 }));
    world.mine(1).await;
    run.until(id, JobState::Confirmed).await;
    assert!(world.provider.get_transaction_receipt(theirs).await.unwrap().is_some());
    assert_eq!((world.executed().await, world.nonce().await), (1, 2));
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
async fn a_dead_endpoint_is_passed_over_and_a_wrong_chain_is_not() {
    let world = World::new().await;
    let live = world.anvil.endpoint();
    let store = world.folder.path().join("relayer.db");
    let both = config(&["http://127.0.0.1:9", &live], world.gate, &store, PATIENT);
    let run = Run::open(&both, world.key()).await;
    let id = run.proved_job(&world).await;
    run.until(id, JobState::Confirmed).await;

    let dead = config(&["http://user:s3cret@127.0.0.1:9/s3cret"], world.gate, &store, "");
    let error = Chain::new(&dead).refresh().await.unwrap_err();
    assert!(matches!(error, RelayerError::RpcUnreachable { tried: 1, .. }) && error.is_transient());
    assert!(!error.to_string().contains("s3cret"), "{error}");

    let mut other = config(&[&live], world.gate, &store, "");
    other.chain_id = 1;
    let error = Chain::new(&other).refresh().await.unwrap_err();
    assert!(matches!(error, RelayerError::WrongChain { want: 1, got: 31_337, .. }) && !error.is_transient());
}
