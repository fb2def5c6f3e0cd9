#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use alloy::primitives::U256;

use super::*;

fn key(epoch: u64) -> StatementKey {
    StatementKey {
        chain_id: 31_337,
        consumer: Address::repeat_byte(0xaa),
        action: JobAction::Infer,
        model_id: U256::from(1),
        model_version: 1,
        epoch,
    }
}

fn inputs() -> StatementInputs {
    StatementInputs {
        context: U256::MAX >> 8,
        input_words: vec![U256::ZERO, U256::from(7)],
        nullifier: B256::repeat_byte(0xbb),
    }
}

fn attempt(byte: u8, nonce: u64) -> Attempt {
    Attempt {
        hash: B256::repeat_byte(byte),
        nonce,
        kind: AttemptKind::Submit,
        raw: vec![byte; 3].into(),
        gas_limit: 21_000,
        max_fee: u128::from(u64::MAX) + 5,
        priority_fee: 1,
        signed_at: 1_000,
        fee_paid: None,
    }
}

async fn reserve(journal: &Journal, id: JobId, nonce: u64) -> Result<JobRecord, RelayerError> {
    journal.record(id, &Step::Prepare { calldata: vec![1, 2].into() }).await?;
    journal.record(id, &Step::Reserve { sender: Address::repeat_byte(1), nonce }).await
}

/// A job whose transaction, signed at nonce 0 long ago, is with the nodes; and where it is mined next.
async fn broadcast(journal: &Journal) -> (JobId, MinedAt) {
    let (job, _) = journal.enqueue(&key(1), Some(&inputs()), None).await.unwrap();
    reserve(journal, job.id, 0).await.unwrap();
    journal.record(job.id, &Step::Sign(attempt(5, 0))).await.unwrap();
    journal.record(job.id, &Step::Broadcast).await.unwrap();
    (job.id, MinedAt { hash: B256::repeat_byte(5), block_number: 3, block_hash: B256::repeat_byte(6) })
}

#[tokio::test]
async fn a_statement_seen_twice_is_one_job() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(&folder.path().join("j.db")).await.unwrap();
    let (first, new) = journal.enqueue(&key(1), Some(&inputs()), Some(9)).await.unwrap();
    let (again, new_again) = journal.enqueue(&key(1), Some(&inputs()), Some(9)).await.unwrap();
    let (other, new_other) = journal.enqueue(&key(2), Some(&inputs()), None).await.unwrap();
    assert_eq!((new, new_again, new_other), (Enqueued::New, Enqueued::Known, Enqueued::New));
    assert_eq!(first, again);
    assert_ne!(first.id, other.id);
    assert_eq!(first.inputs, Some(inputs()));
    assert_eq!(first.deadline, Some(9));
}

#[tokio::test]
async fn everything_written_is_there_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("j.db");
    let journal = Journal::open(&path).await.unwrap();
    let (job, _) = journal.enqueue(&key(1), Some(&inputs()), None).await.unwrap();
    journal.record(job.id, &Step::Prove).await.unwrap();
    reserve(&journal, job.id, 4).await.unwrap();
    journal.record(job.id, &Step::Sign(attempt(5, 4))).await.unwrap();
    let written = journal.record(job.id, &Step::Broadcast).await.unwrap();
    drop(journal);

    let journal = Journal::open(&path).await.unwrap();
    assert_eq!(journal.job(job.id).await.unwrap(), written);
    assert_eq!(journal.attempts(job.id).await.unwrap(), [attempt(5, 4)]);
    let states: Vec<_> = journal.timeline(job.id).await.unwrap().iter().map(|entry| entry.state).collect();
    use JobState::{Broadcast, Intent, Proved, Proving, Queued, Signed};
    assert_eq!(states, [Queued, Proving, Proved, Intent, Signed, Broadcast]);
}

#[tokio::test]
async fn two_jobs_in_flight_never_share_a_nonce() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(&folder.path().join("j.db")).await.unwrap();
    let (a, _) = journal.enqueue(&key(1), Some(&inputs()), None).await.unwrap();
    let (b, _) = journal.enqueue(&key(2), Some(&inputs()), None).await.unwrap();
    reserve(&journal, a.id, 7).await.unwrap();
    assert!(matches!(reserve(&journal, b.id, 7).await, Err(RelayerError::Journal { .. })));
    assert_eq!(journal.job(b.id).await.unwrap().state, JobState::Proved);
}

#[tokio::test]
async fn a_step_out_of_order_is_refused_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(&folder.path().join("j.db")).await.unwrap();
    let (job, _) = journal.enqueue(&key(1), Some(&inputs()), None).await.unwrap();
    let refused = journal.record(job.id, &Step::Sign(attempt(1, 0))).await.unwrap_err();
    assert_eq!(refused.to_string(), "job 1 is queued, from which it cannot become signed");
    let confirmed = Step::Finish { end: JobState::Confirmed, reason: None };
    assert!(matches!(journal.record(job.id, &confirmed).await, Err(RelayerError::IllegalStep { .. })));
    assert_eq!(journal.job(job.id).await.unwrap().state, JobState::Queued);
    assert!(journal.attempts(job.id).await.unwrap().is_empty());
    assert!(matches!(journal.job(JobId(99)).await, Err(RelayerError::NoSuchJob { job: JobId(99) })));
}

#[tokio::test]
async fn a_second_relayer_is_refused_and_a_reader_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("j.db");
    let journal = Journal::open(&path).await.unwrap();
    journal.enqueue(&key(1), Some(&inputs()), None).await.unwrap();
    assert!(matches!(Journal::open(&path).await, Err(RelayerError::JournalInUse { .. })));
    let reader = Journal::open_read_only(&path).await.unwrap();
    assert_eq!(reader.jobs().await.unwrap().len(), 1);
    assert!(matches!(
        Journal::open_read_only(&folder.path().join("none.db")).await,
        Err(RelayerError::Journal { action: "open", .. })
    ));
}

#[tokio::test]
async fn a_file_that_is_no_journal_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.txt");
    std::fs::write(&path, "not a database, but a text that is long enough to be mistaken for one").unwrap();
    assert!(Journal::open(&path).await.is_err());
    assert!(std::fs::read_to_string(&path).unwrap().starts_with("not a database"));
}

#[tokio::test]
async fn another_chain_with_the_same_id_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(&folder.path().join("j.db")).await.unwrap();
    journal.bind(31_337, B256::repeat_byte(1)).await.unwrap();
    journal.bind(31_337, B256::repeat_byte(1)).await.unwrap();
    assert!(matches!(
        journal.bind(31_337, B256::repeat_byte(2)).await,
        Err(RelayerError::OtherChainsJournal { journal_chain: 31_337, .. })
    ));
}

#[tokio::test]
async fn a_reorganisation_gives_the_fee_back_and_a_retry_frees_the_nonce() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(&folder.path().join("j.db")).await.unwrap();
    let (id, at) = broadcast(&journal).await;
    let mined = journal.record(id, &Step::Mine { at, fee_paid: 77 }).await.unwrap();
    assert_eq!((mined.mined, journal.fees_since(0).await.unwrap()), (Some(at), 77));
    assert_eq!(journal.last_mined_nonce(Address::repeat_byte(1)).await.unwrap(), Some(0));
    let dropped = journal.record(id, &Step::Unmine).await.unwrap();
    assert_eq!((dropped.mined, journal.fees_since(0).await.unwrap()), (None, 0));

    let end = Step::Finish { end: JobState::Failed, reason: Some("why".to_owned()) };
    let failed = journal.record(id, &end).await.unwrap();
    assert_eq!((failed.nonce, failed.reason.as_deref()), (None, Some("why")));
    let again = journal.retry(id).await.unwrap();
    assert_eq!((again.state, again.reason, again.calldata), (JobState::Queued, None, None));
    assert!(matches!(journal.retry(id).await, Err(RelayerError::IllegalStep { .. })));
}

#[tokio::test]
async fn other_inputs_start_a_job_anew_but_not_one_that_holds_a_nonce() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(&folder.path().join("j.db")).await.unwrap();
    let (job, _) = journal.enqueue(&key(1), Some(&inputs()), Some(9)).await.unwrap();
    let other = StatementInputs { input_words: vec![U256::from(8)], ..inputs() };
    reserve(&journal, job.id, 0).await.unwrap();
    let (held, enqueued) = journal.enqueue(&key(1), Some(&other), Some(10)).await.unwrap();
    assert_eq!((held.state, held.inputs, enqueued), (JobState::Intent, Some(inputs()), Enqueued::Known));

    journal.record(job.id, &Step::Finish { end: JobState::Failed, reason: Some("why".to_owned()) }).await.unwrap();
    let (known, enqueued) = journal.enqueue(&key(1), Some(&inputs()), Some(9)).await.unwrap();
    assert_eq!((known.state, enqueued), (JobState::Failed, Enqueued::Known));
    let (anew, enqueued) = journal.enqueue(&key(1), Some(&other), Some(10)).await.unwrap();
    assert_eq!((anew.id, enqueued), (job.id, Enqueued::Replaced));
    assert_eq!((anew.state, &anew.inputs, anew.deadline), (JobState::Queued, &Some(other), Some(10)));
    assert_eq!((&anew.calldata, &anew.reason, anew.nonce), (&None, &None, None));
    assert_eq!(journal.job(job.id).await.unwrap(), anew);
    assert_eq!(journal.proof_attempts(job.id).await.unwrap(), 0);
}

#[tokio::test]
async fn a_fee_counts_from_when_its_transaction_was_mined() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(&folder.path().join("j.db")).await.unwrap();
    let (id, at) = broadcast(&journal).await;
    let start = now();
    journal.record(id, &Step::Mine { at, fee_paid: 77 }).await.unwrap();
    assert_eq!(journal.fees_since(start).await.unwrap(), 77);
    assert_eq!(journal.fees_since(now() + 1).await.unwrap(), 0);
}
