//! Fees: what to offer, what to add for a replacement, and what may be paid.

use alloy::rpc::types::FeeHistory;

use crate::config::FeeConfig;
use crate::event::Wait;
use crate::journal::AttemptKind;

/// EIP-1559 fees, in wei for a unit of gas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fees {
    /// `maxFeePerGas`.
    pub(super) max_fee: u128,
    /// `maxPriorityFeePerGas`.
    pub(super) priority_fee: u128,
}

/// Whether a statement's deadline is near.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Urgency {
    /// There is time: the median tip.
    Normal,
    /// There is little: the tip that nine of ten pay less than.
    High,
}

/// What a transaction may offer for a unit of gas, in wei.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    /// Lowest tip.
    pub(super) min_priority_fee: u128,
    /// Highest price.
    pub(super) max_fee: u128,
}

impl Limits {
    /// A submission stays at eight ninths of the highest price, so that the cancellation that may have
    /// to replace it can offer the eighth more that nodes ask for.
    pub(super) fn of(caps: &FeeConfig, kind: AttemptKind) -> Self {
        let cap = caps.max_fee_per_gas.get();
        let max_fee = match kind {
            AttemptKind::Submit => cap - cap.div_ceil(9),
            AttemptKind::Cancel => cap,
        };
        Self { min_priority_fee: caps.min_priority_fee.get(), max_fee }
    }
}

impl Fees {
    /// Fees for the next block: the tip that recent blocks were paid, and room for the base fee to
    /// double before the transaction is stuck.
    pub(super) fn suggest(history: &FeeHistory, limits: Limits, urgency: Urgency) -> Result<Self, Wait> {
        let base_fee = history.base_fee_per_gas.last().copied().unwrap_or_default();
        let column = match urgency {
            Urgency::Normal => 0,
            Urgency::High => 1,
        };
        let mut tips: Vec<u128> = history
            .reward
            .iter()
            .flatten()
            .filter_map(|block| block.get(column).copied())
            // Empty blocks report a tip of nothing, which is no evidence.
            .filter(|tip| *tip > 0)
            .collect();
        tips.sort_unstable();
        let tip = tips.get(tips.len() / 2).copied().unwrap_or_default();
        let cap = limits.max_fee;
        let priority_fee = tip.max(limits.min_priority_fee).min(cap);
        let need = base_fee.saturating_add(priority_fee);
        if need > cap {
            return Err(Wait::GasPrice { need, cap });
        }
        Ok(Self { max_fee: need.saturating_add(base_fee).min(cap), priority_fee })
    }

    /// Fees that replace a transaction that offered `self`: 12.5 % more on both, or what is
    /// suggested now where that is more.
    pub(super) fn replacement(self, fresh: Self, limits: Limits) -> Result<Self, Wait> {
        let raised = |old: u128, new: u128| old.saturating_add(old.div_ceil(8)).max(new);
        let next = Self {
            max_fee: raised(self.max_fee, fresh.max_fee),
            priority_fee: raised(self.priority_fee, fresh.priority_fee),
        };
        let next = Self { max_fee: next.max_fee.max(next.priority_fee), ..next };
        let cap = limits.max_fee;
        if next.max_fee > cap {
            return Err(Wait::GasPrice { need: next.max_fee, cap });
        }
        Ok(next)
    }

    /// Most that a transaction with this gas limit can cost, in wei.
    pub(super) fn cost(self, gas_limit: u64) -> u128 {
        self.max_fee.saturating_mul(u128::from(gas_limit))
    }
}

/// Refuses a transaction that could cost more than one may, or more than is left of the day's
/// budget of which `spent` is gone.
pub(super) fn check_budget(cost: u128, spent: u128, caps: &FeeConfig) -> Result<(), Wait> {
    let cap = caps.max_fee_per_transaction.get();
    if cost > cap {
        return Err(Wait::TransactionFee { need: cost, cap });
    }
    let left = caps.max_fee_per_day.get().saturating_sub(spent);
    if cost > left {
        return Err(Wait::DayBudget { need: cost, left });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Wei;

    fn history(base_fee: u128, tips: &[u128]) -> FeeHistory {
        FeeHistory {
            base_fee_per_gas: vec![base_fee; tips.len() + 1],
            reward: Some(tips.iter().map(|tip| vec![*tip, tip * 10]).collect()),
            ..FeeHistory::default()
        }
    }

    fn limits(max_fee: u128) -> Limits {
        Limits { min_priority_fee: 3, max_fee }
    }

    #[test]
    fn a_submission_leaves_room_for_the_cancellation_that_replaces_it() {
        for cap in 1..2_000u128 {
            let caps = FeeConfig { max_fee_per_gas: Wei::new(cap), ..FeeConfig::default() };
            let (submit, cancel) = (Limits::of(&caps, AttemptKind::Submit), Limits::of(&caps, AttemptKind::Cancel));
            let highest = Fees { max_fee: submit.max_fee, priority_fee: submit.max_fee };
            let replaced = highest.replacement(highest, cancel);
            assert!(replaced.as_ref().is_ok_and(|fees| fees.max_fee <= cap), "{cap}: {replaced:?}");
        }
    }

    #[test]
    fn the_median_tip_of_blocks_that_were_not_empty_is_offered() {
        let history = history(100, &[0, 5, 0, 7, 90]);
        let fees = Fees::suggest(&history, limits(10_000), Urgency::Normal);
        assert_eq!(fees, Ok(Fees { max_fee: 207, priority_fee: 7 }));
        let urgent = Fees::suggest(&history, limits(10_000), Urgency::High);
        assert_eq!(urgent, Ok(Fees { max_fee: 270, priority_fee: 70 }));
    }

    #[test]
    fn a_quiet_chain_is_offered_the_least_tip() {
        let fees = Fees::suggest(&FeeHistory::default(), limits(10_000), Urgency::Normal);
        assert_eq!(fees, Ok(Fees { max_fee: 3, priority_fee: 3 }));
    }

    #[test]
    fn the_cap_cuts_the_room_and_then_stops_the_transaction() {
        assert_eq!(
            Fees::suggest(&history(100, &[7]), limits(150), Urgency::Normal),
            Ok(Fees { max_fee: 150, priority_fee: 7 })
        );
        assert_eq!(
            Fees::suggest(&history(1000, &[7]), limits(150), Urgency::Normal),
            Err(Wait::GasPrice { need: 1007, cap: 150 })
        );
    }

    #[test]
    fn a_replacement_adds_an_eighth_to_both_or_follows_the_market() {
        let old = Fees { max_fee: 100, priority_fee: 9 };
        let same = Fees { max_fee: 100, priority_fee: 9 };
        assert_eq!(old.replacement(same, limits(10_000)), Ok(Fees { max_fee: 113, priority_fee: 11 }));
        let tenfold = Fees { max_fee: 1000, priority_fee: 9 };
        assert_eq!(old.replacement(tenfold, limits(10_000)), Ok(Fees { max_fee: 1000, priority_fee: 11 }));
        assert_eq!(old.replacement(same, limits(110)), Err(Wait::GasPrice { need: 113, cap: 110 }));
    }

    #[test]
    fn budgets_of_the_transaction_and_of_the_day_hold() {
        let caps =
            FeeConfig { max_fee_per_transaction: Wei::new(50), max_fee_per_day: Wei::new(80), ..FeeConfig::default() };
        assert_eq!(check_budget(50, 30, &caps), Ok(()));
        assert_eq!(check_budget(51, 0, &caps), Err(Wait::TransactionFee { need: 51, cap: 50 }));
        assert_eq!(check_budget(50, 31, &caps), Err(Wait::DayBudget { need: 50, left: 49 }));
        assert_eq!(check_budget(1, 500, &caps), Err(Wait::DayBudget { need: 1, left: 0 }));
    }
}
