//! The steps that a job takes, and which may follow which.

use alloy::primitives::{Address, Bytes};

use super::job::{Attempt, JobState, MinedAt};

/// The timeline's words for a job that was started again.
pub(super) const STARTED_AGAIN: &str = "started again";

/// A step, written before it is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Give it to a prover.
    Prove,
    /// Take it back from the prover.
    Requeue {
        /// Why.
        why: String,
    },
    /// Keep what the transaction will say.
    Prepare {
        /// The transaction's content.
        calldata: Bytes,
    },
    /// Set a nonce aside.
    Reserve {
        /// Whose nonce.
        sender: Address,
        /// The nonce.
        nonce: u64,
    },
    /// Give the nonce up: it was mined with another program's transaction, or with one of the job's
    /// that reverted for a reason that may pass.
    Release {
        /// Why.
        why: String,
    },
    /// Keep a signed transaction.
    Sign(Attempt),
    /// Give it to the nodes.
    Broadcast,
    /// Free the nonce with a cancellation; the job ends as `end` when that is mined.
    Close {
        /// How it ends.
        end: JobState,
        /// Why.
        reason: String,
    },
    /// It is in a block.
    Mine {
        /// Where.
        at: MinedAt,
        /// What it cost, in wei.
        fee_paid: u128,
    },
    /// The block is gone.
    Unmine,
    /// End.
    Finish {
        /// How.
        end: JobState,
        /// Why, where it is not confirmed.
        reason: Option<String>,
    },
    /// Start a failed, expired or superseded job again.
    Retry {
        /// Where it starts.
        from: JobState,
    },
}

impl Step {
    /// The state that a job in `from` enters, or none where the step may not be taken there.
    pub(crate) fn leads_to(&self, from: JobState) -> Option<JobState> {
        use JobState::{Broadcast, Intent, Mined, Proved, Proving, Queued, Signed};
        match (self, from) {
            (Self::Prove, Queued) => Some(Proving),
            (Self::Requeue { .. }, Proving) => Some(Queued),
            (Self::Prepare { .. }, Queued | Proving) => Some(Proved),
            (Self::Reserve { .. }, Proved) => Some(Intent),
            (Self::Release { .. }, Intent | Signed | Broadcast | Mined) => Some(Proved),
            // A replacement is signed at the nonce of the transaction that it replaces.
            (Self::Sign(_), Intent | Broadcast) => Some(Signed),
            (Self::Broadcast, Signed) => Some(Broadcast),
            (Self::Close { .. }, Broadcast) => Some(Broadcast),
            // An earlier attempt can be mined while a replacement is being signed, or turn out to be
            // mined after its nonce was thought lost.
            (Self::Mine { .. }, Proved | Signed | Broadcast | Mined) => Some(Mined),
            (Self::Unmine, Mined) => Some(Broadcast),
            (Self::Finish { end: JobState::Confirmed, .. }, Mined) => Some(JobState::Confirmed),
            (Self::Finish { end, .. }, _) if end.is_final() && *end != JobState::Confirmed && !from.is_final() => {
                Some(*end)
            }
            (Self::Retry { from: start }, JobState::Failed | JobState::Expired | JobState::Superseded) => Some(*start),
            _ => None,
        }
    }

    /// The state that an error names where the step may not be taken.
    pub(crate) fn target(&self) -> JobState {
        match self {
            Self::Prove => JobState::Proving,
            Self::Requeue { .. } => JobState::Queued,
            Self::Prepare { .. } | Self::Release { .. } => JobState::Proved,
            Self::Reserve { .. } => JobState::Intent,
            Self::Sign(_) => JobState::Signed,
            Self::Broadcast | Self::Close { .. } | Self::Unmine => JobState::Broadcast,
            Self::Mine { .. } => JobState::Mined,
            Self::Finish { end, .. } => *end,
            Self::Retry { from } => *from,
        }
    }

    /// A line for the timeline.
    pub(crate) fn detail(&self) -> String {
        match self {
            Self::Prove | Self::Broadcast => String::new(),
            Self::Requeue { why } | Self::Release { why } => why.clone(),
            Self::Prepare { calldata } => format!("{} bytes of calldata", calldata.len()),
            Self::Reserve { nonce, .. } => format!("nonce {nonce}"),
            Self::Sign(attempt) => {
                format!("{} {} nonce {} max fee {} wei", attempt.kind, attempt.hash, attempt.nonce, attempt.max_fee)
            }
            Self::Close { end, reason } => format!("cancelling, {end}: {reason}"),
            Self::Mine { at, fee_paid } => format!("{} in block {}, fee {fee_paid} wei", at.hash, at.block_number),
            Self::Unmine => "a reorganisation dropped its block".to_owned(),
            Self::Finish { reason, .. } => reason.clone().unwrap_or_default(),
            Self::Retry { .. } => STARTED_AGAIN.to_owned(),
        }
    }
}
