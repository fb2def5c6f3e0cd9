// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

/// @notice The limits within which a vault follows its model. `Wad` is a fraction of 1e18, `Bps` of 10,000.
struct Rails {
    /// Largest weight of the risk asset.
    uint64 weightCapWad;
    /// Largest change of the weight in one rebalance.
    uint64 maxStepWad;
    /// Smallest change of the weight that is traded; not below the model's published quantisation error.
    uint64 hysteresisWad;
    /// Weight that the vault falls back to when the prover is dead.
    uint64 defaultWeightWad;
    /// Least time between two rebalances (seconds).
    uint32 cooldown;
    /// Time without a verified inference after which the prover counts as dead (seconds).
    uint32 proverDeadline;
    /// Largest shortfall of a trade against the TWAP, pool fee included.
    uint16 slippageBps;
    /// Largest value lost to trading in a day, as a part of total assets; refills linearly.
    uint16 lossBudgetBps;
}
