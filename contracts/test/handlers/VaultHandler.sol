// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {Epoch} from "src/types/Epoch.sol";
import {Rails} from "src/types/Rails.sol";

import {VaultTest} from "../base/VaultTest.sol";
import {vm} from "../base/Vm.sol";

/// @notice Everything that people do to a vault and its market, with what must hold of each single act.
contract VaultHandler is VaultTest {
    address[] public actors;

    /// @notice Inferences that the vault accepted.
    uint256 public accepted;

    /// @notice Loss charged in all, and the most that the rails allowed for it. Fractions of 1e18.
    uint256 public lossWad;

    /// @notice Acts that broke a rule, by name.
    string public broken;

    uint256 private immutable _START;
    int24 private _price = START_TICK;

    constructor(
        bool riskFirst
    ) {
        _deployVault(riskFirst);
        actors.push(ALICE);
        actors.push(BOB);
        actors.push(actor("carol"));
        _deposit(ALICE, 1e12);
        _fillWindow();
        _START = block.timestamp;
    }

    // ------------------------------------------------------------------------------------------------- acts

    function deposit(
        uint256 who,
        uint256 assets
    ) external {
        address a = actors[who % actors.length];
        assets = bound(assets, 1, 1e12);
        if (vault.maxDeposit(a) == 0) return;
        uint256 before = vault.previewRedeem(1e18);
        _deposit(a, assets);
        _require(vault.previewRedeem(1e18) + 1 >= before, "a deposit lowered the price of a share");
    }

    function redeem(
        uint256 who,
        uint256 shares
    ) external {
        address a = actors[who % actors.length];
        shares = bound(shares, 0, vault.maxRedeem(a));
        uint256 before = vault.previewRedeem(1e18);
        uint256 riskBefore = risk.balanceOf(address(vault));
        vm.prank(a);
        vault.redeem(shares, a, a);
        _require(vault.previewRedeem(1e18) + 1 >= before, "a redemption lowered the price of a share");
        _require(risk.balanceOf(address(vault)) == riskBefore, "a redemption in base moved the risk token");
    }

    function redeemInKind(
        uint256 who,
        uint256 shares
    ) external {
        address a = actors[who % actors.length];
        shares = bound(shares, 0, vault.balanceOf(a));
        uint256 supply = vault.totalSupply() + 1e6;
        uint256 baseBefore = base.balanceOf(address(vault));
        uint256 riskBefore = risk.balanceOf(address(vault));
        vm.prank(a);
        vault.redeemInKind(shares, a, a);
        uint256 left = supply - shares;
        _require(base.balanceOf(address(vault)) * supply >= baseBefore * left, "in kind took too much base");
        _require(risk.balanceOf(address(vault)) * supply >= riskBefore * left, "in kind took too much risk");
    }

    function moveMarket(
        uint256 seed
    ) external {
        // Within a corridor of a factor of about 1.5 each way.
        int24 next = _price + int24(int256(seed % 401)) - 200;
        if (next > START_TICK + 4000 || next < START_TICK - 4000) return;
        _price = next;
        _movePriceTo(next);
    }

    function wait_(
        uint256 seconds_
    ) external {
        _skip(bound(seconds_, 1, 6 hours));
    }

    function poke() external {
        if (ring.recordedEnd() < ring.currentEpoch()) ring.poke();
    }

    function infer(
        uint256 weight
    ) external {
        if (ring.recordedEnd() < ring.currentEpoch()) ring.poke();
        (bool due, Epoch epoch) = vault.dueEpoch();
        if (!due) return;
        int256 w = int256(bound(weight, 0, uint256(ONE)));
        bytes memory proof = _prove(epoch, w);
        bool wasPaused = vault.paused();
        if (_trade(abi.encodeCall(vault.submitInference, (epoch, _outputs(w), proof)))) {
            ++accepted;
            _require(!wasPaused, "a paused vault accepted an inference");
            _require(_isUsed(epoch), "a statement was not marked as used");
            (bool again,) =
                address(vault).call(abi.encodeCall(vault.submitInference, (epoch, _outputs(w), _prove(epoch, w, 1))));
            _require(!again, "a statement was used twice");
        }
    }

    function fallToDefault() external {
        bool alive = block.timestamp <= vault.lastVerifiedAt() + vault.rails().proverDeadline;
        bool ok = _trade(abi.encodeCall(vault.fallToDefault, ()));
        _require(!(ok && alive), "the default was taken from a live prover");
    }

    function trimToCap() external {
        uint256 riskBefore = risk.balanceOf(address(vault));
        _trade(abi.encodeCall(vault.trimToCap, ()));
        _require(risk.balanceOf(address(vault)) <= riskBefore, "a trim bought risk");
    }

    function lowerCap(
        uint256 seed
    ) external {
        Rails memory r = vault.rails();
        if (seed % 4 != 0 || r.weightCapWad < 0.2e18) return;
        r.weightCapWad -= 0.05e18;
        vm.prank(GUARDIAN);
        vault.tightenRails(r);
    }

    function pauseOrResume(
        uint256 seed
    ) external {
        if (!vault.paused() && seed % 8 == 0) {
            vm.prank(GUARDIAN);
            vault.pause();
        } else if (vault.paused()) {
            bytes memory data = abi.encodeCall(vault.unpause, ());
            if (vault.executableAt(data) != 0) {
                vm.prank(OWNER);
                vault.cancel(data);
            }
            _afterDelay(data);
        }
    }

    function donate(
        uint256 baseAmount,
        uint256 riskAmount
    ) external {
        base.mint(address(vault), bound(baseAmount, 0, 1e9));
        risk.mint(address(vault), bound(riskAmount, 0, 1e18));
    }

    // ------------------------------------------------------------------------------------------------ reads

    function vaultAddress() external view returns (address) {
        return address(vault);
    }

    /// @notice The most that could have been lost by now: one budget and what has come back of it since the start.
    function lossAllowanceWad() external view returns (uint256) {
        return 0.01e18 + 0.01e18 * (block.timestamp - _START) / 1 days;
    }

    function totalShares() external view returns (uint256 sum) {
        for (uint256 i = 0; i < actors.length; ++i) {
            sum += vault.balanceOf(actors[i]);
        }
    }

    /// @notice Everybody leaves in kind.
    function everybodyLeaves() external {
        for (uint256 i = 0; i < actors.length; ++i) {
            uint256 shares = vault.balanceOf(actors[i]);
            vm.prank(actors[i]);
            vault.redeemInKind(shares, actors[i], actors[i]);
        }
    }

    // -------------------------------------------------------------------------------------------- internals

    /// @dev Makes a call that may trade, and checks the trade against the rails.
    function _trade(
        bytes memory data
    ) private returns (bool ok) {
        Rails memory r = vault.rails();
        uint256 weight = vault.weightWad();
        uint256 budget = vault.lossBudgetLeftWad();
        uint256 tradedAt = vault.lastRebalanceAt();
        uint256 riskBefore = risk.balanceOf(address(vault));
        uint256 poolBase = base.balanceOf(address(pool)) + base.balanceOf(address(vault));
        uint256 poolRisk = risk.balanceOf(address(pool)) + risk.balanceOf(address(vault));
        (ok,) = address(vault).call(data);

        _require(poolBase == base.balanceOf(address(pool)) + base.balanceOf(address(vault)), "base went elsewhere");
        _require(poolRisk == risk.balanceOf(address(pool)) + risk.balanceOf(address(vault)), "risk went elsewhere");
        if (vault.lastRebalanceAt() == tradedAt) {
            _require(risk.balanceOf(address(vault)) == riskBefore, "an unrecorded trade");
            return ok;
        }
        uint256 after_ = vault.weightWad();
        lossWad += budget - vault.lossBudgetLeftWad();
        _require(tradedAt == 0 || block.timestamp >= tradedAt + r.cooldown, "traded while cooling down");
        bool bought = risk.balanceOf(address(vault)) > riskBefore;
        _require(!(bought && vault.paused()), "a paused vault bought risk");
        // Of a handful of units, one is a large part: weights say nothing there.
        if (vault.totalAssets() < 1e6) return ok;
        // A trade up to 0.7 percent from the TWAP moves the weight a little more or less than was reckoned.
        _require(!bought || after_ <= uint256(r.weightCapWad) + 0.002e18, "bought above the cap");
        uint256 moved = bought ? after_ - weight : weight - after_;
        _require(moved <= uint256(r.maxStepWad) + 0.002e18, "a step too large");
    }

    function _require(
        bool holds,
        string memory rule
    ) private {
        if (!holds && bytes(broken).length == 0) broken = rule;
    }
}
