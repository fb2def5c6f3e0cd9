//! Amounts and times with their units.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;

const GWEI: u128 = 1_000_000_000;
const ETHER: u128 = GWEI * GWEI;

/// An amount of the chain's own coin, in wei. Written `"0.05 ether"`, `"30 gwei"` or `"7 wei"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Wei(u128);

impl Wei {
    /// So many wei.
    #[must_use]
    pub const fn new(wei: u128) -> Self {
        Self(wei)
    }

    /// So many gwei.
    #[must_use]
    pub const fn gwei(gwei: u64) -> Self {
        Self(gwei as u128 * GWEI)
    }

    /// The number of wei.
    #[must_use]
    pub const fn get(self) -> u128 {
        self.0
    }
}

impl fmt::Display for Wei {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, name, digits) = match self.0 {
            amount if amount >= ETHER / 10_000 => (ETHER, "ether", 18),
            amount if amount >= GWEI / 1000 => (GWEI, "gwei", 9),
            amount => return write!(f, "{amount} wei"),
        };
        let fraction = format!("{:0digits$}", self.0 % unit);
        let fraction = fraction.trim_end_matches('0');
        let point = if fraction.is_empty() { "" } else { "." };
        write!(f, "{}{point}{fraction} {name}", self.0 / unit)
    }
}

impl TryFrom<String> for Wei {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let refused = || format!("`{text}` is not an amount; write a number and a unit, such as \"30 gwei\"");
        let (number, unit) = text.trim().split_once(' ').ok_or_else(refused)?;
        let decimals = match unit.trim() {
            "ether" => 18,
            "gwei" => 9,
            "wei" => 0,
            _ => return Err(refused()),
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let digits_only = whole.chars().chain(fraction.chars()).all(|c| c.is_ascii_digit());
        if whole.is_empty() || !digits_only || fraction.len() > decimals {
            return Err(refused());
        }
        format!("{whole}{fraction:0<decimals$}").parse().map(Self).map_err(|_| refused())
    }
}

/// A time in whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(transparent)]
pub struct Seconds(u64);

impl Seconds {
    /// So many seconds.
    #[must_use]
    pub const fn new(seconds: u64) -> Self {
        Self(seconds)
    }

    /// The number of seconds.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The same as a [`Duration`].
    #[must_use]
    pub const fn duration(self) -> Duration {
        Duration::from_secs(self.0)
    }
}
