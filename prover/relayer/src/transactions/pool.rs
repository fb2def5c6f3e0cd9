//! The key's nonces as the nodes see them.

use std::sync::PoisonError;

use alloy::rpc::types::TransactionReceipt;

use super::TransactionManager;
use crate::chain::Sent;
use crate::error::RelayerError;
use crate::event::{RelayEvent, Wait};
use crate::journal::{Attempt, AttemptKind, JobRecord};

/// Whose transaction waits at a job's nonce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// One of the job's.
    Ours,
    /// One that this relayer did not sign.
    Another,
    /// None that a node tells of.
    Unseen,
}

impl TransactionManager {
    /// The first nonce that neither the chain, nor its pool, nor the journal has used.
    pub(super) async fn free_nonce(&self) -> Result<u64, RelayerError> {
        let account = self.sender();
        let counts = self.chain.counts(account).await?;
        let journal = self.journal.last_mined_nonce(account).await?.map_or(0, |nonce| nonce + 1);
        let known = counts.latest.max(journal);
        if counts.pending > known {
            // Nothing of the journal's own is in flight here, so these are another program's.
            self.reporter.tell(RelayEvent::UnknownPending { first_nonce: known, count: counts.pending - known });
        }
        Ok(known.max(counts.pending))
    }

    /// Whose transaction waits at the nonce of these, which are all that the job signed there.
    pub(super) async fn standing(&self, attempts: &[Attempt]) -> Result<Standing, RelayerError> {
        let Some(newest) = attempts.last() else { return Ok(Standing::Unseen) };
        if attempts.iter().any(|attempt| self.was_accepted(attempt)) {
            return Ok(Standing::Ours);
        }
        for attempt in attempts.iter().rev() {
            if self.chain.knows(attempt.hash).await? {
                self.set_accepted(attempt);
                return Ok(Standing::Ours);
            }
        }
        let waiting = self.chain.counts(self.sender()).await?.pending;
        Ok(if waiting > newest.nonce { Standing::Another } else { Standing::Unseen })
    }

    /// Gives the newest of a nonce's transactions to the nodes. Returns what is to be waited for where
    /// the nonce is not the job's to use.
    pub(super) async fn give(&self, job: &JobRecord, attempts: &[Attempt]) -> Result<Option<Wait>, RelayerError> {
        let Some(newest) = attempts.last() else { return Ok(None) };
        let (problem, wait) = match self.chain.send(&newest.raw).await? {
            Sent::Accepted => {
                self.set_accepted(newest);
                self.reporter.tell(RelayEvent::Sent {
                    job: job.id,
                    hash: newest.hash,
                    nonce: newest.nonce,
                    max_fee: newest.max_fee,
                    attempt: attempts.len(),
                });
                return Ok(None);
            }
            // Which of the job's transactions it was, or whose, the next look tells.
            Sent::NonceUsed => return Ok(Some(Wait::Block)),
            Sent::Occupied => {
                let is_ours = attempts.iter().any(|attempt| self.was_accepted(attempt));
                let wait = (!is_ours).then_some(Wait::Nonce { nonce: newest.nonce });
                ("another transaction of this nonce pays too much to be replaced".to_owned(), wait)
            }
            Sent::Underpriced => ("it pays less than the nodes ask for".to_owned(), None),
            Sent::NoFunds => ("the account cannot pay for it; send it funds".to_owned(), None),
            Sent::Refused(words) => (words, None),
        };
        self.reporter.tell(RelayEvent::NotAccepted { job: job.id, hash: newest.hash, problem });
        Ok(wait)
    }

    /// Sends the same bytes again where the nodes do not have them: after a restart, or when they
    /// fell out of the pool.
    pub(super) async fn resend_if_lost(
        &self,
        job: &JobRecord,
        attempts: &[Attempt],
        newest: &Attempt,
    ) -> Result<Option<Wait>, RelayerError> {
        if self.chain.knows(newest.hash).await? { Ok(None) } else { self.give(job, attempts).await }
    }

    fn was_accepted(&self, attempt: &Attempt) -> bool {
        self.accepted.lock().unwrap_or_else(PoisonError::into_inner).contains(&attempt.hash)
    }

    fn set_accepted(&self, attempt: &Attempt) {
        self.accepted.lock().unwrap_or_else(PoisonError::into_inner).insert(attempt.hash);
    }

    /// Transactions that were signed at the nonce that the job holds.
    pub(super) async fn current_attempts(&self, job: &JobRecord) -> Result<Vec<Attempt>, RelayerError> {
        let mut attempts = self.journal.attempts(job.id).await?;
        attempts.retain(|attempt| Some(attempt.nonce) == job.nonce);
        Ok(attempts)
    }

    /// The mined one of the job's transactions: of those at its nonce any, of earlier ones only one
    /// that executed the job.
    pub(super) async fn receipt(&self, job: &JobRecord) -> Result<Option<(Attempt, TransactionReceipt)>, RelayerError> {
        for attempt in self.journal.attempts(job.id).await?.into_iter().rev() {
            if let Some(receipt) = self.chain.receipt(attempt.hash).await?
                && receipt.block_number.is_some()
                && (Some(attempt.nonce) == job.nonce || (attempt.kind == AttemptKind::Submit && receipt.status()))
            {
                return Ok(Some((attempt, receipt)));
            }
        }
        Ok(None)
    }
}
