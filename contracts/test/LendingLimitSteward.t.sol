// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {LendingLimitSteward} from "src/LendingLimitSteward.sol";
import {ILendingLimitSteward, ILoanToValueMarket} from "src/interfaces/ILendingLimitSteward.sol";
import {IModelRegistry} from "src/interfaces/IModelRegistry.sol";
import {IProofVerifier} from "src/interfaces/IProofVerifier.sol";
import {Instances} from "src/libraries/Instances.sol";
import {OutputCodec} from "src/libraries/OutputCodec.sol";
import {Epoch} from "src/types/Epoch.sol";
import {ModelVersion} from "src/types/ModelVersion.sol";
import {OutputSchema} from "src/types/OutputSchema.sol";
import {Context} from "src/types/Statement.sol";

import {AcceptListVerifier} from "./base/AcceptListVerifier.sol";
import {VaultTest} from "./base/VaultTest.sol";
import {vm} from "./base/Vm.sol";

/// @notice A market that obeys one steward.
contract LendingMarket is ILoanToValueMarket {
    uint256 public loanToValue = 5000;
    address public steward;

    function appoint(
        address steward_
    ) external {
        steward = steward_;
    }

    function setLoanToValue(
        uint256 limitBps
    ) external {
        require(msg.sender == steward, "not the steward");
        loanToValue = limitBps;
    }
}

contract LendingLimitStewardTest is VaultTest {
    using OutputCodec for OutputSchema;

    bytes32 private constant LIMIT_ACTION = keccak256("LendingLimitSteward.setLoanToValue.v1");

    LendingMarket private market;
    LendingLimitSteward private steward;

    function setUp() public {
        _deployVault(true);
        market = new LendingMarket();
        steward = _steward(_bounds());
        market.appoint(address(steward));
        _fillWindow();
    }

    function _bounds() private pure returns (ILendingLimitSteward.Bounds memory) {
        return ILendingLimitSteward.Bounds({minimumBps: 4000, maximumBps: 7000, maxStepBps: 500, minDelay: 1 days});
    }

    function _steward(
        ILendingLimitSteward.Bounds memory bounds
    ) private returns (LendingLimitSteward) {
        LendingLimitSteward.GateConfig memory config = _gateConfig();
        config.actionHash = LIMIT_ACTION;
        return new LendingLimitSteward(config, market, bounds, modelId, ModelVersion.wrap(1));
    }

    function _proveLimit(
        Epoch epoch,
        int256 limit
    ) private returns (bytes memory proof) {
        (Context ctx, uint256[] memory inputs,,,) = steward.statement(epoch);
        proof = abi.encode("limit", epoch, limit);
        verifier.accept(Instances.join(ctx, inputs, _schema().pack(_outputs(limit))), proof);
    }

    function _set(
        int256 limit
    ) private {
        Epoch epoch = ring.recordedEnd();
        steward.submitInference(epoch, _outputs(limit), _proveLimit(epoch, limit));
    }

    function _fraction(
        uint256 bps
    ) private pure returns (int256) {
        return int256(bps * uint256(ONE) / 10_000);
    }

    function test_L1_verifiedLimitIsSet() public {
        _set(ONE * 52 / 100);
        vm.assertApproxEqAbs(market.loanToValue(), 5200, 1, "limit");
        vm.assertEq(steward.lastUpdateAt(), block.timestamp, "updated now");
    }

    function test_L1_RevertWhen_theLimitIsNotProven() public {
        Epoch epoch = ring.recordedEnd();
        bytes memory proof = _proveLimit(epoch, ONE / 2);
        vm.expectRevert(IProofVerifier.ProofRejected.selector);
        steward.submitInference(epoch, _outputs(ONE * 55 / 100), proof);
    }

    function test_L1_RevertWhen_theProofIsForTheVault() public {
        Epoch epoch = ring.recordedEnd();
        bytes memory proof = _prove(epoch, ONE / 2);
        vm.expectRevert(IProofVerifier.ProofRejected.selector);
        steward.submitInference(epoch, _outputs(ONE / 2), proof);
    }

    /// forge-config: deep.fuzz.runs = 5000
    function testFuzz_L2_L3_limitStaysInBoundsAndMovesInSteps(
        uint256 first,
        uint256 second
    ) public {
        uint256[2] memory asked = [bound(first, 0, 10_000), bound(second, 0, 10_000)];
        for (uint256 i = 0; i < 2; ++i) {
            uint256 before = market.loanToValue();
            _set(_fraction(asked[i]));
            uint256 limit = market.loanToValue();
            vm.assertTrue(limit >= 4000 && limit <= 7000, "bounds");
            vm.assertTrue(limit <= before + 500 && before <= limit + 500, "step");
            if (asked[i] >= 4000 && asked[i] <= 7000 && asked[i] < before + 500 && before < asked[i] + 500) {
                vm.assertApproxEqAbs(limit, asked[i], 1, "what was asked");
            }
            _passEpochs(24);
        }
    }

    function test_L2_boundsAreReachedAndKept() public {
        for (uint256 i = 0; i < 6; ++i) {
            _set(ONE);
            _passEpochs(24);
        }
        vm.assertEq(market.loanToValue(), 7000, "highest");
        uint256 updatedAt = steward.lastUpdateAt();
        Epoch epoch = ring.recordedEnd();
        bytes memory proof = _proveLimit(epoch, ONE);
        vm.expectEmit();
        emit ILendingLimitSteward.LimitKept(7000, 10_000);
        steward.submitInference(epoch, _outputs(ONE), proof);
        vm.assertEq(steward.lastUpdateAt(), updatedAt, "kept, not set");
    }

    /// @dev Sets the limit from outside, as a market's other authority may, and counts the steps back.
    function _stepsFrom(
        uint256 present,
        int256 asked,
        uint256 end
    ) private returns (uint256 steps) {
        market.appoint(address(this));
        market.setLoanToValue(present);
        market.appoint(address(steward));
        for (; market.loanToValue() != end; ++steps) {
            uint256 before = market.loanToValue();
            _set(asked);
            uint256 limit = market.loanToValue();
            vm.assertTrue(limit <= before + 500 && before <= limit + 500 && limit != before, "step");
            _passEpochs(24);
        }
    }

    function test_L2_L3_limitOutsideTheBoundsComesBackStepByStep() public {
        vm.assertEq(_stepsFrom(9000, ONE, 7000), 4, "from above, whatever is asked");
        vm.assertEq(_stepsFrom(9000, 0, 4000), 10, "from above, past the bound");
        vm.assertEq(_stepsFrom(2900, 0, 4000), 3, "from below");
    }

    function test_L4_RevertWhen_updatedTooSoon() public {
        _set(ONE * 52 / 100);
        uint256 readyAt = block.timestamp + 1 days;
        _passEpochs(23);
        Epoch epoch = ring.recordedEnd();
        bytes memory proof = _proveLimit(epoch, ONE * 54 / 100);
        vm.expectRevert(abi.encodeWithSelector(ILendingLimitSteward.UpdateTooSoon.selector, readyAt));
        steward.submitInference(epoch, _outputs(ONE * 54 / 100), proof);
        vm.warp(readyAt);
        steward.submitInference(epoch, _outputs(ONE * 54 / 100), proof);
    }

    function test_L5_marketThatTookAnotherStewardIsLeftAlone() public {
        market.appoint(actor("another"));
        Epoch epoch = ring.recordedEnd();
        bytes memory proof = _proveLimit(epoch, ONE * 52 / 100);
        vm.expectRevert(bytes("not the steward"));
        steward.submitInference(epoch, _outputs(ONE * 52 / 100), proof);
        vm.assertEq(market.loanToValue(), 5000, "as before");
    }

    function test_L5_RevertWhen_theModelIsFrozen() public {
        Epoch epoch = ring.recordedEnd();
        bytes memory proof = _proveLimit(epoch, ONE / 2);
        registry.freezeModel(modelId);
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.ModelIsFrozen.selector, modelId));
        steward.submitInference(epoch, _outputs(ONE / 2), proof);
    }

    function test_boundsAreAsBuilt() public view {
        vm.assertEq(keccak256(abi.encode(steward.bounds())), keccak256(abi.encode(_bounds())), "bounds");
        vm.assertEq(steward.MARKET(), address(market), "market");
    }

    function test_RevertWhen_boundsAreInvalid() public {
        LendingLimitSteward.GateConfig memory config = _gateConfig();
        ILendingLimitSteward.Bounds memory bad = _bounds();
        bad.minimumBps = 7001;
        vm.expectRevert(abi.encodeWithSelector(ILendingLimitSteward.BoundsInvalid.selector, bad));
        new LendingLimitSteward(config, market, bad, modelId, ModelVersion.wrap(1));
        bad = _bounds();
        bad.maximumBps = 10_001;
        vm.expectRevert(abi.encodeWithSelector(ILendingLimitSteward.BoundsInvalid.selector, bad));
        new LendingLimitSteward(config, market, bad, modelId, ModelVersion.wrap(1));
        bad = _bounds();
        bad.maxStepBps = 0;
        vm.expectRevert(abi.encodeWithSelector(ILendingLimitSteward.BoundsInvalid.selector, bad));
        new LendingLimitSteward(config, market, bad, modelId, ModelVersion.wrap(1));
    }
}
