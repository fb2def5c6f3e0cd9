//! The journal: what every job has done and is about to do, in one SQLite file.
//!
//! A step is written before it is taken, with everything that is needed to take it again, so that
//! after a crash at any point the relayer goes on from here: a job whose transaction was signed is
//! sent again as the same bytes, never signed anew under another nonce.

mod enqueue;
mod job;
mod row;
mod step;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use alloy::primitives::{Address, B256};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow, SqliteSynchronous,
};
use sqlx::{Row, Sqlite, Transaction};

pub(crate) use enqueue::Enqueued;
pub use job::{
    Attempt, AttemptKind, JobAction, JobId, JobRecord, JobState, MinedAt, StatementInputs, StatementKey, TimelineEntry,
};
pub(crate) use step::Step;

use crate::error::RelayerError;

/// Time that a write waits for another process that reads or writes the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// How often the lock is tried: a relayer that is just ending frees it in a moment.
const LOCK_TRIES: u32 = 10;
const LOCK_PAUSE: Duration = Duration::from_millis(100);

/// The journal: an SQLite file in WAL mode.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    pool: SqlitePool,
    /// Held while this journal may be written; the system frees it however the process ends.
    _lock: Option<File>,
}

impl Journal {
    /// Opens a journal to work on it, and makes it where it is missing. Only one process can.
    ///
    /// # Errors
    /// [`RelayerError::JournalInUse`] where another process works on it,
    /// [`RelayerError::ForeignJournal`] where the file is something else, [`RelayerError::LockFile`]
    /// and [`RelayerError::Journal`] where the system fails.
    pub async fn open(path: &Path) -> Result<Self, RelayerError> {
        let lock_path = with_suffix(path, ".lock");
        let lock =
            File::create(&lock_path).map_err(|source| RelayerError::LockFile { path: lock_path.clone(), source })?;
        let mut tries = LOCK_TRIES;
        loop {
            match lock.try_lock() {
                Ok(()) => break,
                Err(std::fs::TryLockError::WouldBlock) if tries > 1 => {
                    tries -= 1;
                    tokio::time::sleep(LOCK_PAUSE).await;
                }
                Err(std::fs::TryLockError::WouldBlock) => {
                    return Err(RelayerError::JournalInUse { path: path.to_owned() });
                }
                Err(std::fs::TryLockError::Error(source)) => {
                    return Err(RelayerError::LockFile { path: lock_path, source });
                }
            }
        }
        let options = options(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // A step that is lost to a power cut could be taken twice.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true);
        let pool = connect(path, options).await?;
        sqlx::migrate!("./migrations")
            .run(&pool)
            .await
            .map_err(|error| RelayerError::ForeignJournal { path: path.to_owned(), problem: error.to_string() })?;
        Ok(Self { path: path.to_owned(), pool, _lock: Some(lock) })
    }

    /// Opens an existing journal to look at it, also while a relayer works on it.
    ///
    /// # Errors
    /// [`RelayerError::Journal`] where there is none.
    pub async fn open_read_only(path: &Path) -> Result<Self, RelayerError> {
        let pool = connect(path, options(path).read_only(true)).await?;
        Ok(Self { path: path.to_owned(), pool, _lock: None })
    }

    /// Every job, the newest first.
    ///
    /// # Errors
    /// [`RelayerError::Journal`], [`RelayerError::JournalDamaged`].
    pub async fn jobs(&self) -> Result<Vec<JobRecord>, RelayerError> {
        let rows = sqlx::query("SELECT * FROM jobs ORDER BY id DESC").fetch_all(&self.pool).await;
        rows.map_err(self.failed("read"))?.iter().map(row::job).collect()
    }

    /// Jobs that are not at their end, the oldest first.
    ///
    /// # Errors
    /// As [`Journal::jobs`].
    pub async fn open_jobs(&self) -> Result<Vec<JobRecord>, RelayerError> {
        let rows = sqlx::query(
            "SELECT * FROM jobs WHERE state NOT IN ('confirmed', 'superseded', 'expired', 'failed') ORDER BY id",
        )
        .fetch_all(&self.pool)
        .await;
        rows.map_err(self.failed("read"))?.iter().map(row::job).collect()
    }

    /// One job.
    ///
    /// # Errors
    /// As [`Journal::jobs`], and [`RelayerError::NoSuchJob`].
    pub async fn job(&self, id: JobId) -> Result<JobRecord, RelayerError> {
        let row = sqlx::query("SELECT * FROM jobs WHERE id = ?").bind(id.0).fetch_optional(&self.pool).await;
        row.map_err(self.failed("read"))?.as_ref().map(row::job).ok_or(RelayerError::NoSuchJob { job: id })?
    }

    /// Every transaction that was signed for a job, the oldest first.
    ///
    /// # Errors
    /// As [`Journal::jobs`].
    pub async fn attempts(&self, id: JobId) -> Result<Vec<Attempt>, RelayerError> {
        let rows =
            sqlx::query("SELECT * FROM attempts WHERE job_id = ? ORDER BY id").bind(id.0).fetch_all(&self.pool).await;
        rows.map_err(self.failed("read"))?.iter().map(|row| row::attempt(id, row)).collect()
    }

    /// A job's timeline, the oldest entry first.
    ///
    /// # Errors
    /// As [`Journal::jobs`].
    pub async fn timeline(&self, id: JobId) -> Result<Vec<TimelineEntry>, RelayerError> {
        let rows =
            sqlx::query("SELECT * FROM steps WHERE job_id = ? ORDER BY id").bind(id.0).fetch_all(&self.pool).await;
        rows.map_err(self.failed("read"))?.iter().map(|row| row::timeline(id, row)).collect()
    }

    /// Starts a failed, expired or superseded job again, from its proof: what it was to submit may be
    /// what the gate refused. The service takes it up when it runs next.
    ///
    /// # Errors
    /// As [`Journal::job`], and [`RelayerError::IllegalStep`] where the job did not end so.
    pub async fn retry(&self, id: JobId) -> Result<JobRecord, RelayerError> {
        let job = self.job(id).await?;
        // A poke needs no proof, and says the same each time.
        let from = match job.key.action {
            JobAction::Poke if job.calldata.is_some() => JobState::Proved,
            JobAction::Poke | JobAction::Infer => JobState::Queued,
        };
        self.record(id, &Step::Retry { from }).await
    }

    /// Ties the journal to a chain: at the first call it is written, later it must be the same.
    pub(crate) async fn bind(&self, chain_id: u64, genesis: B256) -> Result<(), RelayerError> {
        sqlx::query("INSERT OR IGNORE INTO identity (one, chain_id, genesis_hash) VALUES (1, ?, ?)")
            .bind(chain_id.cast_signed())
            .bind(genesis.to_string())
            .execute(&self.pool)
            .await
            .map_err(self.failed("write"))?;
        let row = sqlx::query("SELECT chain_id, genesis_hash FROM identity").fetch_one(&self.pool).await;
        let row = row.map_err(self.failed("read"))?;
        let found: i64 = row.try_get("chain_id").map_err(self.failed("read"))?;
        let hash: String = row.try_get("genesis_hash").map_err(self.failed("read"))?;
        let found_genesis = B256::from_str(&hash).unwrap_or_default();
        if (found.cast_unsigned(), found_genesis) == (chain_id, genesis) {
            return Ok(());
        }
        Err(RelayerError::OtherChainsJournal {
            path: self.path.clone(),
            journal_chain: found.cast_unsigned(),
            journal_genesis: found_genesis,
            chain: chain_id,
            genesis,
        })
    }

    /// Writes a step, and returns the job as it is then. Everything about a step is one database
    /// transaction.
    pub(crate) async fn record(&self, id: JobId, step: &Step) -> Result<JobRecord, RelayerError> {
        let mut tx = self.begin().await?;
        let row = sqlx::query("SELECT * FROM jobs WHERE id = ?").bind(id.0).fetch_optional(&mut *tx).await;
        let row: Option<SqliteRow> = row.map_err(self.failed("read"))?;
        let mut job = row.as_ref().map(row::job).ok_or(RelayerError::NoSuchJob { job: id })??;
        let Some(to) = step.leads_to(job.state) else {
            return Err(RelayerError::IllegalStep { job: id, from: job.state, to: step.target() });
        };
        job.state = to;
        match step {
            Step::Prove | Step::Requeue { .. } | Step::Broadcast => {}
            Step::Prepare { calldata } => job.calldata = Some(calldata.clone()),
            Step::Reserve { sender, nonce } => (job.sender, job.nonce) = (Some(*sender), Some(*nonce)),
            Step::Release { .. } => {
                (job.sender, job.nonce, job.mined, job.closing) = (None, None, None, None);
            }
            Step::Sign(attempt) => self.keep(&mut tx, id, attempt).await?,
            Step::Close { end, reason } => job.closing = Some((*end, reason.clone())),
            Step::Mine { at, fee_paid } => {
                job.mined = Some(*at);
                self.set_fee(&mut tx, at.hash, Some(*fee_paid)).await?;
            }
            Step::Unmine => {
                if let Some(at) = job.mined.take() {
                    self.set_fee(&mut tx, at.hash, None).await?;
                }
            }
            Step::Finish { reason, .. } => {
                job.reason.clone_from(reason);
                job.closing = None;
                if job.mined.is_none() {
                    (job.sender, job.nonce) = (None, None);
                }
            }
            Step::Retry { from } => {
                (job.reason, job.sender, job.nonce, job.mined) = (None, None, None, None);
                if *from == JobState::Queued {
                    job.calldata = None;
                }
            }
        }
        job.updated_at = now();
        self.save(&mut tx, &job).await?;
        self.note(&mut tx, id, to, &step.detail()).await?;
        tx.commit().await.map_err(self.failed("write"))?;
        tracing::debug!(job = id.0, state = %to, detail = step.detail(), "journal");
        Ok(job)
    }

    /// The largest nonce of a sender that is mined but not confirmed; the node's own count may lag
    /// behind it.
    pub(crate) async fn last_mined_nonce(&self, sender: Address) -> Result<Option<u64>, RelayerError> {
        let row = sqlx::query("SELECT MAX(nonce) AS nonce FROM jobs WHERE sender = ? AND state = 'mined'")
            .bind(sender.to_string())
            .fetch_one(&self.pool)
            .await
            .map_err(self.failed("read"))?;
        let nonce: Option<i64> = row.try_get("nonce").map_err(self.failed("read"))?;
        Ok(nonce.map(i64::cast_unsigned))
    }

    /// Fees, in wei, of transactions that were seen mined since `since` (Unix seconds), those of
    /// cancellations included.
    pub(crate) async fn fees_since(&self, since: u64) -> Result<u128, RelayerError> {
        let rows = sqlx::query("SELECT fee_paid FROM attempts WHERE fee_paid IS NOT NULL AND mined_at >= ?")
            .bind(since.cast_signed())
            .fetch_all(&self.pool)
            .await
            .map_err(self.failed("read"))?;
        rows.iter().try_fold(0u128, |sum, row| {
            let fee: String = row.try_get("fee_paid").map_err(self.failed("read"))?;
            Ok(sum.saturating_add(fee.parse().unwrap_or(u128::MAX)))
        })
    }

    /// How often a job was given to a prover since it was last started again or its inputs changed.
    pub(crate) async fn proof_attempts(&self, id: JobId) -> Result<u32, RelayerError> {
        let timeline = self.timeline(id).await?;
        let is_start =
            |entry: &TimelineEntry| [step::STARTED_AGAIN, enqueue::INPUTS_CHANGED].contains(&entry.detail.as_str());
        let since = timeline.iter().rposition(is_start).unwrap_or(0);
        let count = timeline[since..].iter().filter(|entry| entry.state == JobState::Proving).count();
        Ok(u32::try_from(count).unwrap_or(u32::MAX))
    }

    async fn begin(&self) -> Result<Transaction<'_, Sqlite>, RelayerError> {
        // IMMEDIATE: the write lock is taken before anything is read.
        self.pool.begin_with("BEGIN IMMEDIATE").await.map_err(self.failed("write"))
    }

    async fn save(&self, tx: &mut Transaction<'_, Sqlite>, job: &JobRecord) -> Result<(), RelayerError> {
        sqlx::query(
            "UPDATE jobs SET state = ?, reason = ?, closing = ?, closing_reason = ?, calldata = ?, sender = ?, \
             nonce = ?, mined_hash = ?, block_number = ?, block_hash = ?, updated_at = ? WHERE id = ?",
        )
        .bind(job.state.as_str())
        .bind(job.reason.as_deref())
        .bind(job.closing.as_ref().map(|(end, _)| end.as_str()))
        .bind(job.closing.as_ref().map(|(_, reason)| reason.as_str()))
        .bind(job.calldata.as_ref().map(|calldata| calldata.to_vec()))
        .bind(job.sender.map(|sender| sender.to_string()))
        .bind(job.nonce.map(u64::cast_signed))
        .bind(job.mined.map(|at| at.hash.to_string()))
        .bind(job.mined.map(|at| at.block_number.cast_signed()))
        .bind(job.mined.map(|at| at.block_hash.to_string()))
        .bind(job.updated_at.cast_signed())
        .bind(job.id.0)
        .execute(&mut **tx)
        .await
        .map_err(self.failed("write"))?;
        Ok(())
    }

    async fn keep(&self, tx: &mut Transaction<'_, Sqlite>, id: JobId, attempt: &Attempt) -> Result<(), RelayerError> {
        sqlx::query(
            "INSERT INTO attempts (job_id, hash, nonce, kind, raw, gas_limit, max_fee, priority_fee, signed_at) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(id.0)
        .bind(attempt.hash.to_string())
        .bind(attempt.nonce.cast_signed())
        .bind(attempt.kind.as_str())
        .bind(attempt.raw.to_vec())
        .bind(attempt.gas_limit.cast_signed())
        .bind(attempt.max_fee.to_string())
        .bind(attempt.priority_fee.to_string())
        .bind(attempt.signed_at.cast_signed())
        .execute(&mut **tx)
        .await
        .map_err(self.failed("write"))?;
        Ok(())
    }

    /// Of a nonce's transactions at most one is mined: the others cost nothing.
    async fn set_fee(
        &self,
        tx: &mut Transaction<'_, Sqlite>,
        mined: B256,
        fee_paid: Option<u128>,
    ) -> Result<(), RelayerError> {
        sqlx::query(
            "UPDATE attempts SET fee_paid = CASE WHEN hash = ?1 THEN ?2 ELSE NULL END, \
             mined_at = CASE WHEN hash = ?1 AND ?2 IS NOT NULL THEN ?3 ELSE NULL END \
             WHERE (job_id, nonce) IN (SELECT job_id, nonce FROM attempts WHERE hash = ?1)",
        )
        .bind(mined.to_string())
        .bind(fee_paid.map(|fee| fee.to_string()))
        .bind(now().cast_signed())
        .execute(&mut **tx)
        .await
        .map_err(self.failed("write"))?;
        Ok(())
    }

    async fn note(
        &self,
        tx: &mut Transaction<'_, Sqlite>,
        id: JobId,
        state: JobState,
        detail: &str,
    ) -> Result<(), RelayerError> {
        sqlx::query("INSERT INTO steps (job_id, state, detail, at) VALUES (?, ?, ?, ?)")
            .bind(id.0)
            .bind(state.as_str())
            .bind(detail)
            .bind(now().cast_signed())
            .execute(&mut **tx)
            .await
            .map_err(self.failed("write"))?;
        Ok(())
    }

    fn failed(&self, action: &'static str) -> impl Fn(sqlx::Error) -> RelayerError + use<> {
        let path = self.path.clone();
        move |source| RelayerError::Journal { path: path.clone(), action, source }
    }
}

/// Unix seconds by the local clock. Only waiting times and the timeline depend on it; deadlines go
/// by the chain's time.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The path with something after its file name.
fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new().filename(path).busy_timeout(BUSY_TIMEOUT)
}

async fn connect(path: &Path, options: SqliteConnectOptions) -> Result<SqlitePool, RelayerError> {
    SqlitePoolOptions::new().max_connections(1).connect_with(options).await.map_err(|source| RelayerError::Journal {
        path: path.to_owned(),
        action: "open",
        source,
    })
}

#[cfg(test)]
mod tests;
