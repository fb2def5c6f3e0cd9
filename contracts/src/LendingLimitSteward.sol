// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

import {InferenceGate} from "./InferenceGate.sol";
import {ILendingLimitSteward, ILoanToValueMarket} from "./interfaces/ILendingLimitSteward.sol";
import {Epoch} from "./types/Epoch.sol";
import {ModelVersion} from "./types/ModelVersion.sol";
import {OutputSchema} from "./types/OutputSchema.sol";

/// @title Sets a lending limit on verified inferences
///
/// @notice SPECIFICATION
/// L1. The steward sets a market's loan-to-value limit only on an inference that is verified as for any gate, and does
///     nothing else. It has no owner: where an authorised sender would stand, there is a proof.
/// L2. What an inference asks for is cut off at a lowest and a highest value, so a limit between the two stays there.
/// L3. One update changes the limit by the largest step at most. One that somebody else set outside the two values comes
///     back step by step and is outside until it is there: a sudden cut would make loans unsound at once.
/// L4. Between two updates passes the least delay; an inference that asks for no change needs none.
/// L5. Stopping it is the market's business, which may take another steward, and the registry's, where the model is
///     frozen or deprecated.
contract LendingLimitSteward is ILendingLimitSteward, InferenceGate {
    using SafeCast for uint256;
    using SafeCast for int256;

    uint256 private constant BPS = 10_000;

    ILoanToValueMarket private immutable _MARKET;
    uint256 private immutable _MINIMUM_BPS;
    uint256 private immutable _MAXIMUM_BPS;
    uint256 private immutable _MAX_STEP_BPS;
    uint256 private immutable _MIN_DELAY;

    uint256 private _lastUpdateAt;

    /// @param gateConfig What the gate is made of.
    /// @param market Where the limit is set.
    /// @param bounds_ What the steward may do.
    /// @param modelId Model to follow.
    /// @param version Its version.
    constructor(
        GateConfig memory gateConfig,
        ILoanToValueMarket market,
        Bounds memory bounds_,
        uint256 modelId,
        ModelVersion version
    ) InferenceGate(gateConfig) {
        if (bounds_.minimumBps > bounds_.maximumBps || bounds_.maximumBps > BPS || bounds_.maxStepBps == 0) {
            revert BoundsInvalid(bounds_);
        }
        _MARKET = market;
        _MINIMUM_BPS = bounds_.minimumBps;
        _MAXIMUM_BPS = bounds_.maximumBps;
        _MAX_STEP_BPS = bounds_.maxStepBps;
        _MIN_DELAY = bounds_.minDelay;

        OutputSchema memory schema = _pinModel(modelId, version);
        bool isFraction = schema.count == 1 && schema.exponent >= 0 && schema.exponent < 32 && schema.minimum >= 0
            && schema.maximum <= (2 ** SafeCast.toUint256(schema.exponent)).toInt256();
        if (!isFraction) revert NotALimitModel();
    }

    /// @inheritdoc ILendingLimitSteward
    function bounds() external view returns (Bounds memory) {
        return Bounds({
            minimumBps: _MINIMUM_BPS.toUint16(),
            maximumBps: _MAXIMUM_BPS.toUint16(),
            maxStepBps: _MAX_STEP_BPS.toUint16(),
            minDelay: _MIN_DELAY.toUint32()
        });
    }

    /// @inheritdoc ILendingLimitSteward
    function lastUpdateAt() external view returns (uint256) {
        return _lastUpdateAt;
    }

    /// @inheritdoc ILendingLimitSteward
    function MARKET() external view returns (address) {
        return address(_MARKET);
    }

    function _onVerified(
        Epoch,
        OutputSchema memory schema,
        int256[] calldata outputs
    ) internal override {
        uint256 asked = (outputs[0].toUint256() * BPS) >> SafeCast.toUint256(schema.exponent);
        uint256 present = _MARKET.loanToValue();
        uint256 limit = Math.min(Math.max(asked, _MINIMUM_BPS), _MAXIMUM_BPS);
        limit = limit > present
            ? Math.min(limit, present + _MAX_STEP_BPS)
            : Math.max(limit, Math.saturatingSub(present, _MAX_STEP_BPS));
        if (limit == present) {
            emit LimitKept(present, asked);
            return;
        }
        uint256 readyAt = _lastUpdateAt + _MIN_DELAY;
        if (_lastUpdateAt != 0 && block.timestamp < readyAt) revert UpdateTooSoon(readyAt);
        _lastUpdateAt = block.timestamp;
        emit LimitSet(present, limit, asked);
        _MARKET.setLoanToValue(limit);
    }
}
