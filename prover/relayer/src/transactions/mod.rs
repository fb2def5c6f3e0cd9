//! The transaction manager: it takes a job whose content is known to a confirmed transaction.
//!
//! It owns the key's nonces. A nonce is set aside in the journal before anything is signed with it,
//! a signed transaction is in the journal before any node sees it, and a job that has a nonce keeps
//! it: whatever happens, its transaction is sent again as the same bytes or replaced at the same
//! nonce. Only when the chain itself shows that another program used the nonce, or that the
//! transaction was mined and reverted for a reason that may pass, is a new one taken.
//!
//! One transaction is in flight at a time; the next is sent when it is in a block.

mod fees;
mod offer;
mod pool;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use alloy::eips::BlockId;
use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::rpc::types::TransactionReceipt;
use alloy::signers::local::PrivateKeySigner;
use tokio::sync::mpsc::UnboundedSender;

use self::fees::{Fees, Limits, check_budget};
use self::offer::{NoQuote, Quote};
use self::pool::Standing;
use crate::chain::{Chain, Head, request};
use crate::config::{FeeConfig, RelayerConfig};
use crate::error::RelayerError;
use crate::event::{RelayEvent, Reporter, Wait};
use crate::journal::{Attempt, AttemptKind, JobId, JobRecord, JobState, Journal, MinedAt, Step, now};
use crate::revert::{Revert, RevertMeaning};

/// Gas of a plain transfer, which a cancellation is.
const TRANSFER_GAS: u64 = 21_000;
/// Polling intervals for which a nonce must be used without a receipt before it counts as taken.
const GRACE_POLLS: u32 = 2;
/// Transactions of a job that may be mined and revert before it fails. Each one is paid for.
const MOST_REVERTS: usize = 3;

/// What a look at a job came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// It took one step.
    Advanced(Box<JobRecord>),
    /// It cannot go on now.
    Waiting(Wait),
    /// There is nothing to do for it here.
    Idle,
}

impl Progress {
    fn advanced(job: JobRecord) -> Self {
        Self::Advanced(Box::new(job))
    }
}

/// Takes jobs from a known content to a confirmed transaction, one journal step at a time.
#[derive(Debug)]
pub struct TransactionManager {
    chain: Arc<Chain>,
    journal: Arc<Journal>,
    signer: PrivateKeySigner,
    fees: FeeConfig,
    confirmations: u64,
    poll: Duration,
    dry_run: bool,
    reporter: Reporter,
    /// What was last told about each job, so that it is told once.
    told: Mutex<HashMap<JobId, Wait>>,
    /// Since when a job's nonce is counted as mined without a receipt.
    unexplained: Mutex<HashMap<JobId, Instant>>,
    /// Transactions that a node took. A restart forgets them and asks the nodes again.
    accepted: Mutex<HashSet<B256>>,
}

impl TransactionManager {
    /// The manager of a key's transactions. There must be no other one of the same key; the
    /// journal's lock sees to it for one journal.
    #[must_use]
    pub fn new(
        config: &RelayerConfig,
        chain: Arc<Chain>,
        journal: Arc<Journal>,
        signer: PrivateKeySigner,
        events: UnboundedSender<RelayEvent>,
    ) -> Self {
        Self {
            chain,
            journal,
            signer,
            fees: config.fees.clone(),
            confirmations: config.confirmations(),
            poll: config.poll_seconds.duration(),
            dry_run: config.dry_run,
            reporter: Reporter::new(events),
            told: Mutex::new(HashMap::new()),
            unexplained: Mutex::new(HashMap::new()),
            accepted: Mutex::new(HashSet::new()),
        }
    }

    /// The account that pays.
    #[must_use]
    pub fn sender(&self) -> Address {
        self.signer.address()
    }

    /// Sees a job through to its end, or to where a dry run stops, and before it those that hold a
    /// nonce: a crash may have left one in flight, and the job waits for it.
    ///
    /// # Errors
    /// Those that waiting does not heal; nodes that do not answer are waited for.
    pub async fn run(&self, id: JobId) -> Result<JobRecord, RelayerError> {
        loop {
            match self.run_once(id).await {
                Ok(job) if job.state.is_final() => return Ok(job),
                Ok(job) if self.dry_run && job.state == JobState::Proved => return Ok(job),
                Ok(_) => {}
                Err(error) if error.is_transient() => {
                    self.reporter.tell(RelayEvent::Trouble { problem: error.to_string() });
                }
                Err(error) => return Err(error),
            }
            tokio::time::sleep(self.poll).await;
        }
    }

    async fn run_once(&self, id: JobId) -> Result<JobRecord, RelayerError> {
        let head = self.chain.refresh().await?;
        for earlier in self.journal.open_jobs().await? {
            if earlier.id != id && earlier.state.holds_nonce() {
                self.drive(earlier, head).await?;
            }
        }
        self.drive(self.journal.job(id).await?, head).await
    }

    /// Takes every step that can be taken now.
    ///
    /// # Errors
    /// As [`TransactionManager::advance`].
    pub async fn drive(&self, mut job: JobRecord, head: Head) -> Result<JobRecord, RelayerError> {
        loop {
            match self.advance(&job, head).await? {
                Progress::Advanced(next) => job = *next,
                Progress::Waiting(_) | Progress::Idle => return Ok(job),
            }
        }
    }

    /// Takes at most one step: everything that the step changes is in the journal when it returns,
    /// and a process that ends at any point inside takes it again from there.
    ///
    /// # Errors
    /// [`RelayerError::RpcUnreachable`] and [`RelayerError::Rpc`] where no node answers,
    /// [`RelayerError::Journal`] where nothing can be written: the job stands where it stood.
    pub async fn advance(&self, job: &JobRecord, head: Head) -> Result<Progress, RelayerError> {
        let progress = match job.state {
            JobState::Proved => self.reserve(job, head).await?,
            JobState::Intent => self.sign_first(job, head).await?,
            JobState::Signed => self.broadcast(job).await?,
            JobState::Broadcast => self.watch(job, head).await?,
            JobState::Mined => self.confirm(job, head).await?,
            _ => Progress::Idle,
        };
        self.tell(job.id, &progress);
        Ok(progress)
    }

    /// Runs a call of the job's contract from the key's account without sending it. The inner error is
    /// its revert.
    pub(crate) async fn simulate(&self, job: &JobRecord, calldata: Bytes) -> Result<Result<(), Revert>, RelayerError> {
        self.chain.simulate(&request(Some(self.sender()), job.key.consumer, calldata, U256::ZERO)).await
    }

    /// Ends a job.
    pub(crate) async fn finish(
        &self,
        id: JobId,
        end: JobState,
        reason: Option<String>,
    ) -> Result<JobRecord, RelayerError> {
        let job = self.journal.record(id, &Step::Finish { end, reason: reason.clone() }).await?;
        self.reporter.tell(RelayEvent::Finished { job: id, state: end, reason });
        Ok(job)
    }

    /// `Proved`: checks that the transaction would work and may be paid, then sets a nonce aside.
    async fn reserve(&self, job: &JobRecord, head: Head) -> Result<Progress, RelayerError> {
        // A nonce that was thought lost may turn out to have been used by the job itself.
        if let Some((attempt, receipt)) = self.receipt(job).await? {
            return self.mine(job, &attempt, &receipt).await;
        }
        if is_late(job, head) {
            return self.expire(job).await;
        }
        let open = self.journal.open_jobs().await?;
        if let Some(other) = open.iter().find(|other| other.id != job.id && other.state.holds_nonce()) {
            return Ok(Progress::Waiting(Wait::EarlierJob { job: other.id }));
        }
        let request = self.request(job);
        if let Err(revert) = self.chain.simulate(&request).await? {
            return self.reverted(job, &revert).await;
        }
        if self.dry_run {
            return Ok(Progress::Waiting(Wait::DryRun));
        }
        let quote = match self.quote(job, &request, head).await? {
            Ok(quote) => quote,
            Err(NoQuote::Reverted(revert)) => return self.reverted(job, &revert).await,
            Err(NoQuote::Wait(wait)) => return Ok(Progress::Waiting(wait)),
        };
        let (account, need) = (self.sender(), quote.fees.cost(quote.gas_limit));
        let have = self.chain.balance(account).await?;
        if have < U256::from(need) {
            return Ok(Progress::Waiting(Wait::Funds { account, need, have }));
        }
        let nonce = self.free_nonce().await?;
        let step = Step::Reserve { sender: account, nonce };
        Ok(Progress::advanced(self.journal.record(job.id, &step).await?))
    }

    /// `Intent`: signs with the nonce that is set aside.
    async fn sign_first(&self, job: &JobRecord, head: Head) -> Result<Progress, RelayerError> {
        let Some(nonce) = job.nonce else {
            return self.release(job, "the journal names no nonce").await;
        };
        if is_late(job, head) {
            return self.expire(job).await;
        }
        if self.chain.fewest_mined(self.sender(), BlockId::latest()).await? > nonce {
            self.reporter.tell(RelayEvent::NonceTaken { job: job.id, nonce });
            return self.release(job, "another program used the nonce").await;
        }
        let request = self.request(job);
        let quote = match self.quote(job, &request, head).await? {
            Ok(quote) => quote,
            // The nonce is free again for other jobs; this one is looked at anew.
            Err(_) => return self.release(job, "it cannot be sent as it is now").await,
        };
        let attempt = self.sign(job, nonce, AttemptKind::Submit, &quote)?;
        Ok(Progress::advanced(self.journal.record(job.id, &Step::Sign(attempt)).await?))
    }

    /// `Signed`: gives the newest transaction to the nodes.
    async fn broadcast(&self, job: &JobRecord) -> Result<Progress, RelayerError> {
        let next = self.journal.record(job.id, &Step::Broadcast).await?;
        let attempts = self.current_attempts(job).await?;
        if self.standing(&attempts).await? != Standing::Another {
            self.give(job, &attempts).await?;
        }
        Ok(Progress::advanced(next))
    }

    /// `Broadcast`: looks for it in a block, and sends, replaces or cancels as time passes.
    async fn watch(&self, job: &JobRecord, head: Head) -> Result<Progress, RelayerError> {
        let Some(nonce) = job.nonce else {
            return self.release(job, "the journal names no nonce").await;
        };
        // The count comes first: receipts that are asked for later can only know more.
        let deep = head.number.saturating_sub(self.confirmations - 1);
        let settled = self.chain.fewest_mined(self.sender(), BlockId::number(deep)).await?;
        if let Some((attempt, receipt)) = self.receipt(job).await? {
            return self.mine(job, &attempt, &receipt).await;
        }
        let is_taken = self.is_unexplained_for_long(job.id, settled > nonce);
        if settled > nonce && !is_taken {
            return Ok(Progress::Waiting(Wait::Block));
        }
        if is_taken {
            self.reporter.tell(RelayEvent::NonceTaken { job: job.id, nonce });
            return match &job.closing {
                Some((end, reason)) => self.end(job, *end, reason.clone()).await,
                None => self.release(job, "another program used the nonce").await,
            };
        }
        if job.closing.is_none() && is_late(job, head) {
            return self.close(job, JobState::Expired, "its deadline passed before it was mined".to_owned()).await;
        }
        let attempts = self.current_attempts(job).await?;
        let Some(newest) = attempts.last() else {
            return self.release(job, "the journal holds no transaction").await;
        };
        let cancel_is_due = job.closing.is_some() && newest.kind == AttemptKind::Submit;
        match self.standing(&attempts).await? {
            // Paying more would outbid it.
            Standing::Another => return Ok(Progress::Waiting(Wait::Nonce { nonce })),
            // Nor is anything replaced that no node would take because of another transaction.
            Standing::Unseen if !cancel_is_due => {
                if let Some(wait) = self.give(job, &attempts).await? {
                    return Ok(Progress::Waiting(wait));
                }
            }
            Standing::Unseen | Standing::Ours => {}
        }
        if cancel_is_due || now() >= newest.signed_at.saturating_add(self.fees.resubmit_seconds.get()) {
            return self.replace(job, &attempts, newest, head).await;
        }
        Ok(Progress::Waiting(self.resend_if_lost(job, &attempts, newest).await?.unwrap_or(Wait::Block)))
    }

    /// Whether a nonce has been counted as mined without a receipt of ours for long enough to be
    /// believed. Nodes count a block's transactions a moment before they serve its receipts, and
    /// one that lags may answer either question.
    fn is_unexplained_for_long(&self, job: JobId, is_unexplained: bool) -> bool {
        let mut since = self.unexplained.lock().unwrap_or_else(PoisonError::into_inner);
        if !is_unexplained {
            since.remove(&job);
            return false;
        }
        let for_long = since.entry(job).or_insert_with(Instant::now).elapsed() >= self.poll * GRACE_POLLS;
        if for_long {
            since.remove(&job);
        }
        for_long
    }

    /// Signs a transaction that pays more, at the same nonce.
    async fn replace(
        &self,
        job: &JobRecord,
        attempts: &[Attempt],
        newest: &Attempt,
        head: Head,
    ) -> Result<Progress, RelayerError> {
        let kind = if job.closing.is_some() { AttemptKind::Cancel } else { AttemptKind::Submit };
        if kind == AttemptKind::Submit
            && let Err(revert) = self.chain.simulate(&self.request(job)).await?
        {
            // It would be mined as a failure and paid for, so its nonce is freed, unless the
            // contract may yet accept it.
            let reason = format!("the contract reverts with {revert}");
            return match revert.meaning() {
                RevertMeaning::AlreadyDone => self.close(job, JobState::Superseded, reason).await,
                RevertMeaning::TooLate => self.close(job, JobState::Expired, reason).await,
                RevertMeaning::Refused => self.close(job, JobState::Failed, reason).await,
                RevertMeaning::NotNow => {
                    self.resend_if_lost(job, attempts, newest).await?;
                    Ok(Progress::Waiting(Wait::Contract { revert: revert.to_string() }))
                }
            };
        }
        let gas_limit = match kind {
            AttemptKind::Submit => newest.gas_limit,
            AttemptKind::Cancel => TRANSFER_GAS,
        };
        let old = Fees { max_fee: newest.max_fee, priority_fee: newest.priority_fee };
        let spent = self.spent().await?;
        let limits = Limits::of(&self.fees, kind);
        let raised = Fees::suggest(&self.chain.fee_history().await?, limits, self.urgency(job, head))
            .and_then(|fresh| old.replacement(fresh, limits))
            .and_then(|fees| check_budget(fees.cost(gas_limit), spent, &self.fees).map(|()| fees));
        match raised {
            Ok(fees) => {
                let attempt = self.sign(job, newest.nonce, kind, &Quote { gas_limit, fees })?;
                Ok(Progress::advanced(self.journal.record(job.id, &Step::Sign(attempt)).await?))
            }
            Err(wait) => {
                self.resend_if_lost(job, attempts, newest).await?;
                Ok(Progress::Waiting(wait))
            }
        }
    }

    /// `Mined`: waits until its block is deep enough.
    async fn confirm(&self, job: &JobRecord, head: Head) -> Result<Progress, RelayerError> {
        let Some((attempt, receipt)) = self.receipt(job).await? else {
            let hash = job.mined.map(|at| at.hash).unwrap_or_default();
            self.reporter.tell(RelayEvent::Reorganised { job: job.id, hash });
            return Ok(Progress::advanced(self.journal.record(job.id, &Step::Unmine).await?));
        };
        let at = mined_at(&receipt);
        if job.mined != Some(at) {
            return self.mine(job, &attempt, &receipt).await;
        }
        if head.number.saturating_add(1).saturating_sub(at.block_number) < self.confirmations {
            return Ok(Progress::Waiting(Wait::Confirmations { want: self.confirmations }));
        }
        match (attempt.kind, receipt.status()) {
            (AttemptKind::Submit, true) => {
                Ok(Progress::advanced(self.finish(job.id, JobState::Confirmed, None).await?))
            }
            (AttemptKind::Submit, false) => self.failed_on_chain(job, head).await,
            (AttemptKind::Cancel, _) => {
                let (end, reason) =
                    job.closing.clone().unwrap_or((JobState::Failed, "its nonce was cancelled".to_owned()));
                self.end(job, end, reason).await
            }
        }
    }

    /// What becomes of a job whose transaction was mined and reverted. Why is not on chain; the same
    /// call now most likely reverts for the same reason. One that may pass, or has passed, such as a
    /// price that moved before the transaction was included, does not end the job.
    async fn failed_on_chain(&self, job: &JobRecord, head: Head) -> Result<Progress, RelayerError> {
        let (end, why) = match self.chain.simulate(&self.request(job)).await? {
            Ok(()) => (None, "for a reason that no longer holds".to_owned()),
            Err(revert) => (
                match revert.meaning() {
                    RevertMeaning::AlreadyDone => Some(JobState::Superseded),
                    RevertMeaning::TooLate => Some(JobState::Expired),
                    RevertMeaning::Refused => Some(JobState::Failed),
                    RevertMeaning::NotNow => None,
                },
                format!("most likely with {revert}"),
            ),
        };
        let reason = format!("its transaction was mined and reverted, {why}");
        if let Some(end) = end {
            return self.end(job, end, reason).await;
        }
        if is_late(job, head) {
            return self.end(job, JobState::Expired, reason).await;
        }
        let attempts = self.journal.attempts(job.id).await?;
        let mined = attempts.iter().filter(|a| a.kind == AttemptKind::Submit && a.fee_paid.is_some()).count();
        if mined >= MOST_REVERTS {
            return self.end(job, JobState::Failed, format!("{reason}, the last of {mined}")).await;
        }
        self.release(job, &reason).await
    }

    async fn mine(
        &self,
        job: &JobRecord,
        attempt: &Attempt,
        receipt: &TransactionReceipt,
    ) -> Result<Progress, RelayerError> {
        let at = mined_at(receipt);
        let fee_paid = receipt.effective_gas_price.saturating_mul(u128::from(receipt.gas_used));
        let next = self.journal.record(job.id, &Step::Mine { at, fee_paid }).await?;
        self.reporter.tell(RelayEvent::Mined { job: job.id, hash: attempt.hash, block: at.block_number });
        Ok(Progress::advanced(next))
    }

    /// What a revert before the first signature means for the job.
    async fn reverted(&self, job: &JobRecord, revert: &Revert) -> Result<Progress, RelayerError> {
        let end = match revert.meaning() {
            RevertMeaning::AlreadyDone => JobState::Superseded,
            RevertMeaning::TooLate => JobState::Expired,
            RevertMeaning::Refused => JobState::Failed,
            RevertMeaning::NotNow => {
                return Ok(Progress::Waiting(Wait::Contract { revert: revert.to_string() }));
            }
        };
        self.end(job, end, format!("the contract reverts with {revert}")).await
    }

    async fn expire(&self, job: &JobRecord) -> Result<Progress, RelayerError> {
        self.end(job, JobState::Expired, "its deadline passed before it was sent".to_owned()).await
    }

    async fn end(&self, job: &JobRecord, end: JobState, reason: String) -> Result<Progress, RelayerError> {
        Ok(Progress::advanced(self.finish(job.id, end, Some(reason)).await?))
    }

    async fn close(&self, job: &JobRecord, end: JobState, reason: String) -> Result<Progress, RelayerError> {
        Ok(Progress::advanced(self.journal.record(job.id, &Step::Close { end, reason }).await?))
    }

    async fn release(&self, job: &JobRecord, why: &str) -> Result<Progress, RelayerError> {
        Ok(Progress::advanced(self.journal.record(job.id, &Step::Release { why: why.to_owned() }).await?))
    }

    fn tell(&self, job: JobId, progress: &Progress) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        match progress {
            Progress::Waiting(wait) => {
                if told.get(&job).is_none_or(|known| std::mem::discriminant(known) != std::mem::discriminant(wait)) {
                    told.insert(job, wait.clone());
                    self.reporter.tell(RelayEvent::Waiting { job, wait: wait.clone() });
                }
            }
            Progress::Advanced(_) | Progress::Idle => {
                told.remove(&job);
            }
        }
    }
}

/// Whether the contract refuses the job by now, by the chain's own time.
pub(crate) fn is_late(job: &JobRecord, head: Head) -> bool {
    job.deadline.is_some_and(|deadline| head.timestamp > deadline)
}

fn mined_at(receipt: &TransactionReceipt) -> MinedAt {
    MinedAt {
        hash: receipt.transaction_hash,
        block_number: receipt.block_number.unwrap_or_default(),
        block_hash: receipt.block_hash.unwrap_or_default(),
    }
}
