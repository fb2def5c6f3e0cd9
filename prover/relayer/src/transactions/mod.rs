//! The transaction manager: it takes a job whose content is known to a confirmed transaction.
//!
//! It owns the key's nonces. A nonce is set aside in the journal before anything is signed with it,
//! a signed transaction is in the journal before any node sees it, and a job that has a nonce keeps
//! it: whatever happens, its transaction is sent again as the same bytes or replaced at the same
//! nonce. Only when the chain itself shows that another program used the nonce is a new one taken.
//!
//! One transaction is in flight at a time; the next is sent when it is in a block.

mod fees;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use alloy::consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy::eips::eip2718::Encodable2718;
use alloy::network::TxSignerSync;
use alloy::primitives::{Address, Bytes, TxKind, U256};
use alloy::rpc::types::{TransactionReceipt, TransactionRequest};
use alloy::signers::local::PrivateKeySigner;
use tokio::sync::mpsc::UnboundedSender;

use self::fees::{Fees, Urgency, check_budget};
use crate::chain::{Chain, Head, Sent, request};
use crate::config::{FeeConfig, RelayerConfig};
use crate::error::RelayerError;
use crate::event::{RelayEvent, Reporter, Wait};
use crate::journal::{Attempt, AttemptKind, JobId, JobRecord, JobState, Journal, MinedAt, Step, now};
use crate::revert::{Revert, RevertMeaning};

/// Gas of a plain transfer, which a cancellation is.
const TRANSFER_GAS: u64 = 21_000;
/// Share of the gas estimate that is added to it: state changes between estimate and inclusion.
const GAS_MARGIN_PERCENT: u64 = 25;
/// Polling intervals for which a nonce must be used without a receipt before it counts as taken.
const GRACE_POLLS: u32 = 2;
/// The day of the daily budget (seconds).
const DAY: u64 = 86_400;

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
}

/// What a new transaction would cost.
struct Quote {
    gas_limit: u64,
    fees: Fees,
}

/// Why there is no quote.
enum NoQuote {
    Reverted(Revert),
    Wait(Wait),
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
        }
    }

    /// The account that pays.
    #[must_use]
    pub fn sender(&self) -> Address {
        self.signer.address()
    }

    /// Sees a job through to its end, or to where a dry run stops.
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

    /// The first nonce that neither the chain, nor its pool, nor the journal has used.
    async fn free_nonce(&self) -> Result<u64, RelayerError> {
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

    /// `Intent`: signs with the nonce that is set aside.
    async fn sign_first(&self, job: &JobRecord, head: Head) -> Result<Progress, RelayerError> {
        let Some(nonce) = job.nonce else {
            return self.release(job, "the journal names no nonce").await;
        };
        if is_late(job, head) {
            return self.expire(job).await;
        }
        if self.chain.counts(self.sender()).await?.latest > nonce {
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
        if let Some(newest) = attempts.last() {
            self.send(job, newest, attempts.len()).await?;
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
        let settled = self.chain.count_at(self.sender(), deep).await?;
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
        if cancel_is_due || now() >= newest.signed_at.saturating_add(self.fees.resubmit_seconds.get()) {
            return self.replace(job, newest, attempts.len(), head).await;
        }
        self.resend_if_lost(job, newest, attempts.len()).await?;
        Ok(Progress::Waiting(Wait::Block))
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
        newest: &Attempt,
        count: usize,
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
                    self.resend_if_lost(job, newest, count).await?;
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
        let raised = Fees::suggest(&self.chain.fee_history().await?, &self.fees, self.urgency(job, head))
            .and_then(|fresh| old.replacement(fresh, &self.fees))
            .and_then(|fees| check_budget(fees.cost(gas_limit), spent, &self.fees).map(|()| fees));
        match raised {
            Ok(fees) => {
                let attempt = self.sign(job, newest.nonce, kind, &Quote { gas_limit, fees })?;
                Ok(Progress::advanced(self.journal.record(job.id, &Step::Sign(attempt)).await?))
            }
            Err(wait) => {
                self.resend_if_lost(job, newest, count).await?;
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
            (AttemptKind::Submit, false) => self.failed_on_chain(job).await,
            (AttemptKind::Cancel, _) => {
                let (end, reason) =
                    job.closing.clone().unwrap_or((JobState::Failed, "its nonce was cancelled".to_owned()));
                self.end(job, end, reason).await
            }
        }
    }

    /// Ends a job whose transaction was mined and reverted. Why is not on chain; the same call now
    /// most likely reverts for the same reason.
    async fn failed_on_chain(&self, job: &JobRecord) -> Result<Progress, RelayerError> {
        let (end, why) = match self.chain.simulate(&self.request(job)).await? {
            Ok(()) => (JobState::Failed, "for a reason that no longer holds; retry it".to_owned()),
            Err(revert) => (
                match revert.meaning() {
                    RevertMeaning::AlreadyDone => JobState::Superseded,
                    RevertMeaning::TooLate => JobState::Expired,
                    RevertMeaning::NotNow | RevertMeaning::Refused => JobState::Failed,
                },
                format!("most likely with {revert}"),
            ),
        };
        self.end(job, end, format!("its transaction was mined and reverted, {why}")).await
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

    /// Gas, fees and budget of the job's transaction on the newest state.
    async fn quote(
        &self,
        job: &JobRecord,
        request: &TransactionRequest,
        head: Head,
    ) -> Result<Result<Quote, NoQuote>, RelayerError> {
        let gas = match self.chain.estimate_gas(request).await? {
            Ok(gas) => gas,
            Err(revert) => return Ok(Err(NoQuote::Reverted(revert))),
        };
        let gas_limit = gas.saturating_add(gas.saturating_mul(GAS_MARGIN_PERCENT) / 100);
        let spent = self.spent().await?;
        let history = self.chain.fee_history().await?;
        let fees = Fees::suggest(&history, &self.fees, self.urgency(job, head))
            .and_then(|fees| check_budget(fees.cost(gas_limit), spent, &self.fees).map(|()| fees));
        Ok(fees.map(|fees| Quote { gas_limit, fees }).map_err(NoQuote::Wait))
    }

    async fn spent(&self) -> Result<u128, RelayerError> {
        self.journal.fees_since(now().saturating_sub(DAY)).await
    }

    fn urgency(&self, job: &JobRecord, head: Head) -> Urgency {
        let soon = head.timestamp.saturating_add(self.fees.urgent_seconds.get());
        if job.deadline.is_some_and(|deadline| deadline < soon) { Urgency::High } else { Urgency::Normal }
    }

    fn request(&self, job: &JobRecord) -> TransactionRequest {
        let calldata = job.calldata.clone().unwrap_or_default();
        request(Some(self.sender()), job.key.consumer, calldata, U256::ZERO)
    }

    fn sign(&self, job: &JobRecord, nonce: u64, kind: AttemptKind, quote: &Quote) -> Result<Attempt, RelayerError> {
        let (to, input) = match kind {
            AttemptKind::Submit => (job.key.consumer, job.calldata.clone().unwrap_or_default()),
            AttemptKind::Cancel => (self.sender(), Bytes::new()),
        };
        let mut transaction = TxEip1559 {
            chain_id: self.chain.chain_id(),
            nonce,
            gas_limit: quote.gas_limit,
            max_fee_per_gas: quote.fees.max_fee,
            max_priority_fee_per_gas: quote.fees.priority_fee,
            to: TxKind::Call(to),
            value: U256::ZERO,
            access_list: Default::default(),
            input,
        };
        let signature = self
            .signer
            .sign_transaction_sync(&mut transaction)
            .map_err(|error| RelayerError::Signing { job: job.id, problem: error.to_string() })?;
        let signed = transaction.into_signed(signature);
        let hash = *signed.hash();
        Ok(Attempt {
            hash,
            nonce,
            kind,
            raw: TxEnvelope::from(signed).encoded_2718().into(),
            gas_limit: quote.gas_limit,
            max_fee: quote.fees.max_fee,
            priority_fee: quote.fees.priority_fee,
            signed_at: now(),
            fee_paid: None,
        })
    }

    async fn send(&self, job: &JobRecord, attempt: &Attempt, count: usize) -> Result<(), RelayerError> {
        let problem = match self.chain.send(&attempt.raw).await? {
            Sent::Accepted => {
                self.reporter.tell(RelayEvent::Sent {
                    job: job.id,
                    hash: attempt.hash,
                    nonce: attempt.nonce,
                    max_fee: attempt.max_fee,
                    attempt: count,
                });
                return Ok(());
            }
            // Which of the job's transactions it was, or whose, the next look tells.
            Sent::NonceUsed => return Ok(()),
            Sent::Underpriced => "another transaction of this nonce pays more".to_owned(),
            Sent::NoFunds => "the account cannot pay for it; send it funds".to_owned(),
            Sent::Refused(words) => words,
        };
        self.reporter.tell(RelayEvent::NotAccepted { job: job.id, hash: attempt.hash, problem });
        Ok(())
    }

    /// Sends the same bytes again where the nodes do not have them: after a restart, or when they
    /// fell out of the pool.
    async fn resend_if_lost(&self, job: &JobRecord, attempt: &Attempt, count: usize) -> Result<(), RelayerError> {
        if self.chain.knows(attempt.hash).await? { Ok(()) } else { self.send(job, attempt, count).await }
    }

    /// Transactions that were signed at the nonce that the job holds.
    async fn current_attempts(&self, job: &JobRecord) -> Result<Vec<Attempt>, RelayerError> {
        let mut attempts = self.journal.attempts(job.id).await?;
        attempts.retain(|attempt| Some(attempt.nonce) == job.nonce);
        Ok(attempts)
    }

    /// The mined one of the job's transactions: of those at its nonce any, of earlier ones only one
    /// that executed the job.
    async fn receipt(&self, job: &JobRecord) -> Result<Option<(Attempt, TransactionReceipt)>, RelayerError> {
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
