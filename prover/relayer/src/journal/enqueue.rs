//! One job for each statement.

use sqlx::Sqlite;
use sqlx::sqlite::SqliteArguments;

use super::job::{JobRecord, JobState, StatementInputs, StatementKey};
use super::{Journal, now, row};
use crate::error::RelayerError;

/// The timeline's words for a job that starts anew with other inputs.
pub(super) const INPUTS_CHANGED: &str = "its inputs changed";

/// What became of a statement that was to be a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Enqueued {
    /// There is a new job.
    New,
    /// There was one.
    Known,
    /// There was one with other inputs, which is queued again with these.
    Replaced,
}

impl Journal {
    /// Makes a job for a statement, or finds the one there is. Where that one has other inputs, as
    /// after a reorganisation of the feature ring, it takes these and is queued again, unless it has
    /// a nonce or is confirmed: what is in flight is seen through to its end first.
    pub(crate) async fn enqueue(
        &self,
        key: &StatementKey,
        inputs: Option<&StatementInputs>,
        deadline: Option<u64>,
    ) -> Result<(JobRecord, Enqueued), RelayerError> {
        let mut tx = self.begin().await?;
        let insert = sqlx::query(
            "INSERT OR IGNORE INTO jobs (chain_id, consumer, action, model_id, model_version, epoch, context, \
             nullifier, input_words, deadline, state, created_at, updated_at) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'queued', ?, ?)",
        );
        let made = bind_inputs(bind_key(insert, key), inputs, deadline)
            .bind(now().cast_signed())
            .bind(now().cast_signed())
            .execute(&mut *tx)
            .await
            .map_err(self.failed("write"))?;
        let select = sqlx::query(
            "SELECT * FROM jobs WHERE chain_id = ? AND consumer = ? AND action = ? AND model_id = ? \
             AND model_version = ? AND epoch = ?",
        );
        let found = bind_key(select, key).fetch_one(&mut *tx).await.map_err(self.failed("read"))?;
        let mut job = row::job(&found)?;
        let enqueued = if made.rows_affected() == 1 {
            self.note(&mut tx, job.id, JobState::Queued, "").await?;
            Enqueued::New
        } else if job.inputs.as_ref() == inputs || !may_change(job.state) {
            Enqueued::Known
        } else {
            let update =
                sqlx::query("UPDATE jobs SET context = ?, nullifier = ?, input_words = ?, deadline = ? WHERE id = ?");
            bind_inputs(update, inputs, deadline)
                .bind(job.id.0)
                .execute(&mut *tx)
                .await
                .map_err(self.failed("write"))?;
            (job.inputs, job.deadline) = (inputs.cloned(), deadline);
            (job.state, job.reason, job.closing, job.calldata) = (JobState::Queued, None, None, None);
            (job.sender, job.nonce, job.mined, job.updated_at) = (None, None, None, now());
            self.save(&mut tx, &job).await?;
            self.note(&mut tx, job.id, JobState::Queued, INPUTS_CHANGED).await?;
            Enqueued::Replaced
        };
        tx.commit().await.map_err(self.failed("write"))?;
        Ok((job, enqueued))
    }
}

type Query<'q> = sqlx::query::Query<'q, Sqlite, SqliteArguments>;

/// The columns that identify a job, in the order of the key's fields.
fn bind_key<'q>(query: Query<'q>, key: &StatementKey) -> Query<'q> {
    query
        .bind(key.chain_id.cast_signed())
        .bind(key.consumer.to_string())
        .bind(key.action.as_str())
        .bind(key.model_id.to_string())
        .bind(key.model_version.cast_signed())
        .bind(key.epoch.cast_signed())
}

/// `context`, `nullifier`, `input_words` and `deadline`.
fn bind_inputs<'q>(query: Query<'q>, inputs: Option<&StatementInputs>, deadline: Option<u64>) -> Query<'q> {
    query
        .bind(inputs.map(|inputs| inputs.context.to_string()))
        .bind(inputs.map(|inputs| inputs.nullifier.to_string()))
        .bind(inputs.map(|inputs| row::words_to_text(&inputs.input_words)))
        .bind(deadline.map(u64::cast_signed))
}

/// Whether a job in this state can start anew with other inputs.
fn may_change(state: JobState) -> bool {
    match state {
        JobState::Queued
        | JobState::Proving
        | JobState::Proved
        | JobState::Superseded
        | JobState::Expired
        | JobState::Failed => true,
        JobState::Intent | JobState::Signed | JobState::Broadcast | JobState::Mined | JobState::Confirmed => false,
    }
}
