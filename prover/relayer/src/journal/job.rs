//! What the journal holds about a job.

use std::fmt;
use std::str::FromStr;

use alloy::primitives::{Address, B256, Bytes, U256};
use serde::Serialize;

/// Number of a job in the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct JobId(pub i64);

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Declares the states with their names in the journal.
macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$variant_doc])* $variant),+ }

        impl $name {
            /// Its name in the journal and in messages.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl FromStr for $name {
            type Err = ();

            fn from_str(text: &str) -> Result<Self, ()> {
                match text { $($text => Ok(Self::$variant),)+ _ => Err(()) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

named! {
    /// Where a job stands. Each state is written before the step that it names is taken.
    JobState {
        /// Waits for the prover.
        Queued = "queued",
        /// A prover works on it.
        Proving = "proving",
        /// The transaction's content is known.
        Proved = "proved",
        /// A nonce is set aside; nothing is signed with it.
        Intent = "intent",
        /// A transaction is signed; its bytes are in the journal.
        Signed = "signed",
        /// The transaction may be in the nodes' pools.
        Broadcast = "broadcast",
        /// It is in a block.
        Mined = "mined",
        /// It is in a block deep enough.
        Confirmed = "confirmed",
        /// Somebody else did it, or a newer statement took its place.
        Superseded = "superseded",
        /// Its deadline passed.
        Expired = "expired",
        /// It cannot be done; the reason is beside it.
        Failed = "failed",
    }
}

named! {
    /// What a job does on chain.
    JobAction {
        /// Submits an inference to the gate.
        Infer = "infer",
        /// Records the epochs that ended.
        Poke = "poke",
    }
}

named! {
    /// What a signed transaction is for.
    AttemptKind {
        /// Executes the job.
        Submit = "submit",
        /// Frees the nonce: nothing, sent to oneself.
        Cancel = "cancel",
    }
}

impl JobState {
    /// Whether nothing happens to the job any more.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Confirmed | Self::Superseded | Self::Expired | Self::Failed)
    }

    /// Whether a nonce is set aside for it that is not mined.
    #[must_use]
    pub fn holds_nonce(self) -> bool {
        matches!(self, Self::Intent | Self::Signed | Self::Broadcast)
    }
}

/// What a job is about, and its identity: one statement is one job.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct StatementKey {
    /// The chain.
    pub chain_id: u64,
    /// Contract that is called.
    pub consumer: Address,
    /// What is done there.
    pub action: JobAction,
    /// Model in the registry; 0 for a poke.
    pub model_id: U256,
    /// Version of the model; 0 for a poke.
    pub model_version: u64,
    /// The epoch.
    pub epoch: u64,
}

/// What has to be proven.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StatementInputs {
    /// First instance word.
    pub context: U256,
    /// Next instance words.
    pub input_words: Vec<U256>,
    /// What the gate remembers the statement by.
    pub nullifier: B256,
}

/// A job as the journal has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JobRecord {
    /// Its number.
    pub id: JobId,
    /// What it is about.
    pub key: StatementKey,
    /// What has to be proven; nothing for a poke.
    pub inputs: Option<StatementInputs>,
    /// Chain time (seconds) after which the contract refuses it.
    pub deadline: Option<u64>,
    /// Where it stands.
    pub state: JobState,
    /// Why it ended, where it did not end confirmed.
    pub reason: Option<String>,
    /// While its nonce is being freed: how it ends then, and why.
    pub closing: Option<(JobState, String)>,
    /// The transaction's content, once it is known.
    #[serde(skip)]
    pub calldata: Option<Bytes>,
    /// Who sends the transaction.
    pub sender: Option<Address>,
    /// Its nonce.
    pub nonce: Option<u64>,
    /// Where it was mined.
    pub mined: Option<MinedAt>,
    /// When the trigger was seen (Unix seconds, local clock).
    pub created_at: u64,
    /// When it last changed (Unix seconds, local clock).
    pub updated_at: u64,
}

/// Where a transaction was mined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct MinedAt {
    /// The transaction.
    pub hash: B256,
    /// Number of the block.
    pub block_number: u64,
    /// Hash of the block.
    pub block_hash: B256,
}

/// A transaction that was signed for a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Attempt {
    /// Its hash.
    pub hash: B256,
    /// Its nonce.
    pub nonce: u64,
    /// What it is for.
    pub kind: AttemptKind,
    /// Its bytes.
    pub raw: Bytes,
    /// Its gas limit.
    pub gas_limit: u64,
    /// Its `maxFeePerGas`, in wei.
    pub max_fee: u128,
    /// Its `maxPriorityFeePerGas`, in wei.
    pub priority_fee: u128,
    /// When it was signed (Unix seconds, local clock).
    pub signed_at: u64,
    /// What it cost, in wei, once mined.
    pub fee_paid: Option<u128>,
}

/// A line of a job's timeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TimelineEntry {
    /// The state that was entered.
    pub state: JobState,
    /// More about it.
    pub detail: String,
    /// When (Unix seconds, local clock).
    pub at: u64,
}
