//! Rows of the journal to records.

use std::str::FromStr;

use alloy::primitives::{Address, B256, Bytes, U256};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::job::{Attempt, JobId, JobRecord, MinedAt, StatementInputs, StatementKey, TimelineEntry};
use crate::error::RelayerError;

/// Instance words as one text: hexadecimal, a space between two.
pub(super) fn words_to_text(words: &[U256]) -> String {
    words.iter().map(|word| format!("{word:#x}")).collect::<Vec<_>>().join(" ")
}

pub(super) fn job(row: &SqliteRow) -> Result<JobRecord, RelayerError> {
    let id = JobId(row.try_get("id").map_err(|_| RelayerError::JournalDamaged { job: JobId(0), what: "id" })?);
    let fields = Fields { row, id };
    let inputs = match fields.optional::<U256>("context")? {
        None => None,
        Some(context) => Some(StatementInputs {
            context,
            nullifier: fields.parsed("nullifier")?,
            input_words: words_from_text(&fields.raw::<String>("input_words")?).ok_or(fields.damaged("input_words"))?,
        }),
    };
    let closing = match fields.optional("closing")? {
        None => None,
        Some(end) => Some((end, fields.raw("closing_reason")?)),
    };
    let mined = match fields.optional::<B256>("mined_hash")? {
        None => None,
        Some(hash) => Some(MinedAt {
            hash,
            block_number: fields.number("block_number")?,
            block_hash: fields.parsed("block_hash")?,
        }),
    };
    Ok(JobRecord {
        id,
        key: StatementKey {
            chain_id: fields.number("chain_id")?,
            consumer: fields.parsed::<Address>("consumer")?,
            action: fields.parsed("action")?,
            model_id: fields.parsed("model_id")?,
            model_version: fields.number("model_version")?,
            epoch: fields.number("epoch")?,
        },
        inputs,
        deadline: fields.raw::<Option<i64>>("deadline")?.map(i64::cast_unsigned),
        state: fields.parsed("state")?,
        reason: fields.raw("reason")?,
        closing,
        calldata: fields.raw::<Option<Vec<u8>>>("calldata")?.map(Bytes::from),
        sender: fields.optional("sender")?,
        nonce: fields.raw::<Option<i64>>("nonce")?.map(i64::cast_unsigned),
        mined,
        created_at: fields.number("created_at")?,
        updated_at: fields.number("updated_at")?,
    })
}

pub(super) fn attempt(id: JobId, row: &SqliteRow) -> Result<Attempt, RelayerError> {
    let fields = Fields { row, id };
    Ok(Attempt {
        hash: fields.parsed("hash")?,
        nonce: fields.number("nonce")?,
        kind: fields.parsed("kind")?,
        raw: fields.raw::<Vec<u8>>("raw")?.into(),
        gas_limit: fields.number("gas_limit")?,
        max_fee: fields.parsed("max_fee")?,
        priority_fee: fields.parsed("priority_fee")?,
        signed_at: fields.number("signed_at")?,
        fee_paid: fields.optional("fee_paid")?,
    })
}

pub(super) fn timeline(id: JobId, row: &SqliteRow) -> Result<TimelineEntry, RelayerError> {
    let fields = Fields { row, id };
    Ok(TimelineEntry { state: fields.parsed("state")?, detail: fields.raw("detail")?, at: fields.number("at")? })
}

struct Fields<'r> {
    row: &'r SqliteRow,
    id: JobId,
}

impl<'r> Fields<'r> {
    fn damaged(&self, what: &'static str) -> RelayerError {
        RelayerError::JournalDamaged { job: self.id, what }
    }

    fn raw<T>(&self, column: &'static str) -> Result<T, RelayerError>
    where
        T: sqlx::Decode<'r, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite>,
    {
        self.row.try_get(column).map_err(|_| self.damaged(column))
    }

    fn number(&self, column: &'static str) -> Result<u64, RelayerError> {
        self.raw::<i64>(column).map(i64::cast_unsigned)
    }

    fn parsed<T: FromStr>(&self, column: &'static str) -> Result<T, RelayerError> {
        self.optional(column)?.ok_or_else(|| self.damaged(column))
    }

    fn optional<T: FromStr>(&self, column: &'static str) -> Result<Option<T>, RelayerError> {
        self.raw::<Option<String>>(column)?.map(|text| text.parse().map_err(|_| self.damaged(column))).transpose()
    }
}

fn words_from_text(text: &str) -> Option<Vec<U256>> {
    text.split_whitespace().map(|word| U256::from_str(word).ok()).collect()
}
