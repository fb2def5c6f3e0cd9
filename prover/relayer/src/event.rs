//! What the relayer tells while it works.

use std::fmt;

use alloy::primitives::{Address, B256, U256};
use serde::Serialize;
use tokio::sync::mpsc::UnboundedSender;

use crate::config::Wei;
use crate::journal::{JobId, JobState, StatementKey};

/// Something that an operator may want to see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum RelayEvent {
    /// The relayer is ready.
    Started {
        /// The chain.
        chain_id: u64,
        /// Account that pays.
        sender: Address,
        /// What it owns, in wei.
        balance: U256,
        /// Newest block.
        head: u64,
    },
    /// There is a new job.
    Queued {
        /// The job.
        job: JobId,
        /// What it is about.
        key: StatementKey,
    },
    /// A prover started.
    Proving {
        /// The job.
        job: JobId,
    },
    /// The prover delivered.
    Proved {
        /// The job.
        job: JobId,
        /// How long it took.
        seconds: u64,
    },
    /// The prover did not deliver.
    ProofFailed {
        /// The job.
        job: JobId,
        /// Why.
        problem: String,
        /// Whether it is tried again.
        retried: bool,
    },
    /// A transaction went to the nodes.
    Sent {
        /// The job.
        job: JobId,
        /// The transaction.
        hash: B256,
        /// Its nonce.
        nonce: u64,
        /// Its `maxFeePerGas`, in wei.
        max_fee: u128,
        /// How many transactions of this nonce were signed, this one included.
        attempt: usize,
    },
    /// The nodes did not take a transaction. It is sent again.
    NotAccepted {
        /// The job.
        job: JobId,
        /// The transaction.
        hash: B256,
        /// What they said.
        problem: String,
    },
    /// A transaction is in a block.
    Mined {
        /// The job.
        job: JobId,
        /// The transaction.
        hash: B256,
        /// The block.
        block: u64,
    },
    /// The block that held a transaction is gone.
    Reorganised {
        /// The job.
        job: JobId,
        /// The transaction.
        hash: B256,
    },
    /// A nonce that a job held was mined with a transaction that this relayer did not sign.
    NonceTaken {
        /// The job.
        job: JobId,
        /// The nonce.
        nonce: u64,
    },
    /// The key has transactions waiting that this relayer did not sign. They are not overwritten.
    UnknownPending {
        /// The first such nonce.
        first_nonce: u64,
        /// How many there are.
        count: u64,
    },
    /// A job cannot go on now; it is tried again.
    Waiting {
        /// The job.
        job: JobId,
        /// For what.
        wait: Wait,
    },
    /// A job is at its end.
    Finished {
        /// The job.
        job: JobId,
        /// How.
        state: JobState,
        /// Why, where it is not confirmed.
        reason: Option<String>,
    },
    /// The feature ring holds other inputs for a job's epoch than before, as after a
    /// reorganisation; it is proven again.
    InputsChanged {
        /// The job.
        job: JobId,
    },
    /// An endpoint answers what cannot be. It is not asked until that ends.
    PassedOver {
        /// The endpoint, without credentials.
        endpoint: String,
        /// What is wrong, and what to do.
        why: String,
    },
    /// A look at the chain or a write failed; it is tried again.
    Trouble {
        /// What happened.
        problem: String,
    },
    /// The relayer stopped; the journal holds what is left to do.
    Stopped,
}

/// What a job waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "for", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Wait {
    /// Another job's transaction to be mined.
    EarlierJob {
        /// That job.
        job: JobId,
    },
    /// The contract to accept it.
    Contract {
        /// What it says now.
        revert: String,
    },
    /// Nothing: a dry run stops here.
    DryRun,
    /// A lower gas price than the cap.
    GasPrice {
        /// What a unit of gas would cost, in wei.
        need: u128,
        /// What it may cost, in wei.
        cap: u128,
    },
    /// A lower fee of the transaction than the cap.
    TransactionFee {
        /// What it could cost, in wei.
        need: u128,
        /// What it may cost, in wei.
        cap: u128,
    },
    /// The day's budget to be free again.
    DayBudget {
        /// What the transaction could cost, in wei.
        need: u128,
        /// What is left, in wei.
        left: u128,
    },
    /// The account to be paid up.
    Funds {
        /// The account.
        account: Address,
        /// What the transaction could cost, in wei.
        need: u128,
        /// What the account owns, in wei.
        have: U256,
    },
    /// A nonce to settle that another program's transaction holds in the nodes' pools.
    Nonce {
        /// The nonce.
        nonce: u64,
    },
    /// A block that holds the transaction.
    Block,
    /// More blocks.
    Confirmations {
        /// Blocks that are wanted.
        want: u64,
    },
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EarlierJob { job } => write!(f, "the transaction of job {job} to be mined"),
            Self::Contract { revert } => write!(f, "the contract, which now reverts with {revert}"),
            Self::DryRun => f.write_str("nothing: this is a dry run, the transaction would have been sent"),
            Self::GasPrice { need, cap } => {
                write!(
                    f,
                    "a lower gas price: {} where `fees.max_fee_per_gas` allows {}",
                    Wei::new(*need),
                    Wei::new(*cap)
                )
            }
            Self::TransactionFee { need, cap } => write!(
                f,
                "a lower fee: up to {} where `fees.max_fee_per_transaction` is {}",
                Wei::new(*need),
                Wei::new(*cap)
            ),
            Self::DayBudget { need, left } => write!(
                f,
                "the day's budget: up to {} where {} of `fees.max_fee_per_day` is left",
                Wei::new(*need),
                Wei::new(*left)
            ),
            Self::Funds { account, need, have } => {
                write!(f, "funds: {account} owns {have} wei and may need {need} wei; send it some")
            }
            Self::Nonce { nonce } => write!(
                f,
                "nonce {nonce}, which a waiting transaction of another program with the same key holds; \
                 give the relayer its own key"
            ),
            Self::Block => f.write_str("a block"),
            Self::Confirmations { want } => write!(f, "{want} confirmations"),
        }
    }
}

impl fmt::Display for RelayEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started { chain_id, sender, head, .. } => {
                write!(f, "relaying on chain {chain_id} as {sender}, head is block {head}")
            }
            Self::Queued { job, key } => write!(f, "job {job}: {} epoch {}", key.action, key.epoch),
            Self::Proving { job } => write!(f, "job {job}: proving"),
            Self::Proved { job, seconds } => write!(f, "job {job}: proved in {seconds} s"),
            Self::ProofFailed { job, problem, retried } => {
                write!(f, "job {job}: no proof: {problem}{}", if *retried { "; trying again" } else { "" })
            }
            Self::Sent { job, hash, nonce, max_fee, attempt } => {
                write!(f, "job {job}: sent {hash}, nonce {nonce}, max fee {}", Wei::new(*max_fee))?;
                if *attempt > 1 { write!(f, ", attempt {attempt}") } else { Ok(()) }
            }
            Self::NotAccepted { job, hash, problem } => write!(f, "job {job}: {hash} was not taken: {problem}"),
            Self::Mined { job, hash, block } => write!(f, "job {job}: {hash} is in block {block}"),
            Self::Reorganised { job, hash } => {
                write!(f, "job {job}: a reorganisation dropped {hash}; sending it again")
            }
            Self::NonceTaken { job, nonce } => {
                write!(
                    f,
                    "job {job}: another program with the same key used nonce {nonce}; give the relayer its own key"
                )
            }
            Self::UnknownPending { first_nonce, count } => write!(
                f,
                "{count} waiting transactions of this key, from nonce {first_nonce}, are not the relayer's; \
                 it waits behind them"
            ),
            Self::Waiting { job, wait } => write!(f, "job {job}: waiting for {wait}"),
            Self::Finished { job, state, reason } => match reason {
                Some(reason) => write!(f, "job {job}: {state}: {reason}"),
                None => write!(f, "job {job}: {state}"),
            },
            Self::InputsChanged { job } => {
                write!(f, "job {job}: the feature ring's inputs for its epoch changed; proving again")
            }
            Self::PassedOver { endpoint, why } => write!(f, "{endpoint} is passed over: {why}"),
            Self::Trouble { problem } => write!(f, "{problem}; trying again"),
            Self::Stopped => f.write_str("stopped; the journal holds what is left to do"),
        }
    }
}

/// Gives events to the log and to whoever listens.
#[derive(Debug, Clone)]
pub(crate) struct Reporter(UnboundedSender<RelayEvent>);

impl Reporter {
    pub(crate) fn new(events: UnboundedSender<RelayEvent>) -> Self {
        Self(events)
    }

    pub(crate) fn tell(&self, event: RelayEvent) {
        tracing::info!("{event}");
        // Whoever listened may have gone; the work goes on.
        let _ = self.0.send(event);
    }
}
