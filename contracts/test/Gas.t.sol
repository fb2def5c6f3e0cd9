// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {InferenceVerifier} from "src/InferenceVerifier.sol";
import {LendingLimitSteward} from "src/LendingLimitSteward.sol";
import {ILendingLimitSteward, ILoanToValueMarket} from "src/interfaces/ILendingLimitSteward.sol";
import {ModelVersion} from "src/types/ModelVersion.sol";
import {Epoch} from "src/types/Epoch.sol";

import {VaultTest} from "./base/VaultTest.sol";
import {vm} from "./base/Vm.sol";

/// @notice Gas and sizes, compared with `contracts/snapshots`. The proof's verification is not in them: the stand-in
/// verifier looks a hash up.
contract GasTest is VaultTest {
    uint256 private constant EIP170_LIMIT = 24_576;

    function setUp() public {
        _deployVault(true);
        _deposit(ALICE, 1e12);
        _fillWindow();
    }

    function _size(
        string memory name,
        address at
    ) private {
        uint256 size = at.code.length;
        vm.assertLe(size, EIP170_LIMIT, name);
        vm.snapshotValue(name, size);
    }

    function test_runtimeSizesAreWithinTheLimit() public {
        _size("bytes: ModelRegistry", address(registry));
        _size("bytes: FeatureRing", address(ring));
        _size("bytes: RebalancingVault", address(vault));
        _size("bytes: InferenceVerifier", address(new InferenceVerifier(registry)));
        ILendingLimitSteward.Bounds memory bounds =
            ILendingLimitSteward.Bounds({minimumBps: 0, maximumBps: 10_000, maxStepBps: 1, minDelay: 0});
        _size(
            "bytes: LendingLimitSteward",
            address(
                new LendingLimitSteward(
                    _gateConfig(), ILoanToValueMarket(address(this)), bounds, modelId, ModelVersion.wrap(1)
                )
            )
        );
    }

    function test_gasOfTheRing() public {
        vm.warp(ring.startOf(ring.currentEpoch().plus(1)));
        ring.poke();
        vm.snapshotGasLastCall("gas: poke, one epoch, new slot");
        vm.warp(ring.startOf(ring.currentEpoch().plus(1)));
        ring.poke();
        vm.snapshotGasLastCall("gas: poke, one epoch, slot in use");
        ring.window(Epoch.wrap(32), 32);
        vm.snapshotGasLastCall("gas: window of 32, aligned");
        ring.window(Epoch.wrap(33), 32);
        vm.snapshotGasLastCall("gas: window of 32, not aligned");
    }

    function test_gasOfAnInferenceThatTrades() public {
        Epoch epoch = ring.recordedEnd();
        bytes memory proof = _prove(epoch, ONE / 4);
        vault.submitInference(epoch, _outputs(ONE / 4), proof);
        vm.snapshotGasLastCall("gas: inference with a trade, without the proof");
    }

    function test_gasOfAnInferenceThatHolds() public {
        Epoch epoch = ring.recordedEnd();
        bytes memory proof = _prove(epoch, 0);
        vault.submitInference(epoch, _outputs(0), proof);
        vm.snapshotGasLastCall("gas: inference without a trade, without the proof");
    }

    function test_gasOfShares() public {
        base.mint(BOB, 1e9);
        vm.startPrank(BOB);
        base.approve(address(vault), 1e9);
        uint256 shares = vault.deposit(1e9, BOB);
        vm.snapshotGasLastCall("gas: deposit");
        vault.redeem(shares / 2, BOB, BOB);
        vm.snapshotGasLastCall("gas: redeem");
        vault.redeemInKind(shares / 2, BOB, BOB);
        vm.snapshotGasLastCall("gas: redeem in kind");
        vm.stopPrank();
    }
}
