//! Reverts by name, and what each means for a job.

use std::fmt;

use alloy::dyn_abi::{DynSolType, DynSolValue};
use alloy::primitives::{Bytes, Selector, hex};
use alloy::sol_types::{Panic, Revert as RevertString, SolError};

use crate::contracts::Reverts::RevertsErrors;

/// Why a call reverted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revert {
    name: Option<&'static str>,
    text: String,
}

/// What a revert means for the statement that was to be executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RevertMeaning {
    /// It was executed already, or a later one was.
    AlreadyDone,
    /// It can never be executed any more.
    TooLate,
    /// It may be executed later: paused, cooling down, not recorded yet.
    NotNow,
    /// It will not be executed as it stands.
    Refused,
}

impl Revert {
    /// Decodes what a call returned when it reverted.
    #[must_use]
    pub fn decode(data: &Bytes) -> Self {
        let Some(selector) = data.first_chunk::<4>().copied() else {
            return Self { name: None, text: "without a reason".to_owned() };
        };
        if selector == RevertString::SELECTOR
            && let Ok(revert) = RevertString::abi_decode(data)
        {
            return Self { name: None, text: format!("\"{}\"", revert.reason) };
        }
        if selector == Panic::SELECTOR
            && let Ok(panic) = Panic::abi_decode(data)
        {
            return Self { name: None, text: panic.to_string() };
        }
        match RevertsErrors::name_by_selector(selector) {
            Some(name) => Self { name: Some(name), text: format!("{name}{}", arguments(selector, &data[4..])) },
            None => Self {
                name: None,
                text: format!("an error that this build does not know, selector 0x{}", hex::encode(selector)),
            },
        }
    }

    /// The custom error's name, where it is one that the contracts declare.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name
    }

    /// What it means for the statement.
    #[must_use]
    pub fn meaning(&self) -> RevertMeaning {
        match self.name {
            Some("StatementUsed" | "EpochSuperseded" | "NothingToRecord") => RevertMeaning::AlreadyDone,
            Some("DeadlinePassed" | "WindowTooOld") => RevertMeaning::TooLate,
            Some(
                "EpochNotRecorded"
                | "WindowNotRecorded"
                | "ModelIsFrozen"
                | "VaultPaused"
                | "CoolingDown"
                | "PriceOutsideRails"
                | "MinimumOutputMissed"
                | "LossBudgetExceeded"
                | "OracleNotReady",
            ) => RevertMeaning::NotNow,
            _ => RevertMeaning::Refused,
        }
    }
}

impl fmt::Display for Revert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// `(a, b)` of the error's values, or the raw bytes where they do not decode.
fn arguments(selector: [u8; 4], data: &[u8]) -> String {
    let decoded = RevertsErrors::signature_by_selector(Selector::from(selector).0)
        .and_then(|signature| signature.find('(').map(|at| &signature[at..]))
        .and_then(|tuple| DynSolType::parse(tuple).ok())
        .and_then(|kind| kind.abi_decode_params(data).ok());
    match decoded {
        Some(DynSolValue::Tuple(values)) => {
            let shown: Vec<String> = values.iter().map(show).collect();
            format!("({})", shown.join(", "))
        }
        _ => format!("(0x{})", hex::encode(data)),
    }
}

fn show(value: &DynSolValue) -> String {
    match value {
        DynSolValue::Uint(value, _) => value.to_string(),
        DynSolValue::Int(value, _) => value.to_string(),
        DynSolValue::Address(value) => value.to_string(),
        DynSolValue::FixedBytes(value, size) => format!("0x{}", hex::encode(&value[..*size])),
        other => format!("{other:?}"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use alloy::primitives::{B256, U256};
    use alloy::sol_types::SolError;

    use super::*;
    use crate::contracts::Reverts;

    #[test]
    fn a_used_statement_is_named_and_means_done() {
        let data = Reverts::StatementUsed { nullifier: B256::repeat_byte(0xab) }.abi_encode();
        let revert = Revert::decode(&data.into());
        assert_eq!(revert.to_string(), format!("StatementUsed(0x{})", "ab".repeat(32)));
        assert_eq!(revert.meaning(), RevertMeaning::AlreadyDone);
    }

    #[test]
    fn a_deadline_is_named_with_its_numbers_and_means_too_late() {
        let data = Reverts::DeadlinePassed { epoch: 7, deadline: U256::from(99) }.abi_encode();
        let revert = Revert::decode(&data.into());
        assert_eq!(revert.to_string(), "DeadlinePassed(7, 99)");
        assert_eq!(revert.meaning(), RevertMeaning::TooLate);
    }

    #[test]
    fn a_pause_means_not_now() {
        let revert = Revert::decode(&Reverts::VaultPaused {}.abi_encode().into());
        assert_eq!(revert.to_string(), "VaultPaused()");
        assert_eq!(revert.meaning(), RevertMeaning::NotNow);
    }

    #[test]
    fn strings_panics_unknown_errors_and_silence_are_told_apart() {
        let string = RevertString { reason: "no".to_owned() }.abi_encode();
        assert_eq!(Revert::decode(&string.into()).to_string(), "\"no\"");
        let unknown = Revert::decode(&vec![1, 2, 3, 4, 5].into());
        assert_eq!(unknown.to_string(), "an error that this build does not know, selector 0x01020304");
        assert_eq!(unknown.meaning(), RevertMeaning::Refused);
        assert_eq!(Revert::decode(&Bytes::new()).to_string(), "without a reason");
        assert!(Revert::decode(&vec![0xab].into()).name().is_none());
    }

    #[test]
    fn truncated_arguments_are_shown_raw() {
        let mut data = Reverts::DeadlinePassed { epoch: 7, deadline: U256::from(99) }.abi_encode();
        data.truncate(6);
        assert_eq!(Revert::decode(&data.into()).to_string(), "DeadlinePassed(0x0000)");
    }
}
