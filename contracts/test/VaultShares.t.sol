// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {ERC4626} from "@openzeppelin/contracts/token/ERC20/extensions/ERC4626.sol";

import {IRebalancingVault} from "src/interfaces/IRebalancingVault.sol";
import {TickMath} from "src/libraries/TickMath.sol";

import {VaultTest} from "./base/VaultTest.sol";
import {vm} from "./base/Vm.sol";

/// @notice The vault's shares, with the risk token as the pool's token0.
contract VaultSharesTest is VaultTest {
    uint256 private constant MILLION = 1e12;

    function setUp() public virtual {
        _deployVault(true);
    }

    /// @dev A vault of a million, a quarter of it in the risk token.
    function _invest() private {
        _deposit(ALICE, MILLION);
        _fillWindow();
        _infer(ONE / 4);
        _skip(TWAP);
    }

    function _riskValue(
        int24 priceTick
    ) private view returns (uint256) {
        return TickMath.valueAt(_poolTick(priceTick), risk.balanceOf(address(vault)), riskIsToken0);
    }

    // --------------------------------------------------------------------------------------------- H1 and H2

    function test_H1_assetsAreTheBaseTokenAndThePoolsOther() public view {
        vm.assertEq(vault.asset(), address(base), "base");
        vm.assertEq(vault.RISK_ASSET(), address(risk), "risk");
        vm.assertEq(uint256(vault.decimals()), 12, "base decimals and the offset");
    }

    function test_H2_totalAssetsArePricedByTheTwapNotTheSpot() public {
        _invest();
        (, int24 spot,,,,,) = pool.slot0();
        uint256 expected = base.balanceOf(address(vault)) + _riskValue(_poolTick(spot));
        vm.assertEq(vault.totalAssets(), expected, "at the TWAP");
        _movePriceTo(START_TICK + 3000);
        vm.assertEq(vault.totalAssets(), expected, "a push changes nothing at once");
        _skip(TWAP);
        vm.assertEq(
            vault.totalAssets(), base.balanceOf(address(vault)) + _riskValue(START_TICK + 3000), "in time it does"
        );
    }

    // --------------------------------------------------------------------------------------------------- S1

    function testFuzz_S1_depositsArePricedAtTheDearerAndRedemptionsAtTheCheaper(
        uint256 pushSeed
    ) public {
        _invest();
        // The trade itself moved the price a little, so the TWAP is where the spot is now.
        (, int24 twap,,,,,) = pool.slot0();
        int24 spot = int24(START_TICK + int24(int256(bound(pushSeed, 0, 180)) - 90));
        _movePriceTo(spot);
        uint256 held = base.balanceOf(address(vault));
        uint256 atTwap = held + _riskValue(_poolTick(twap));
        uint256 atSpot = held + _riskValue(spot);
        (uint256 cheap, uint256 dear) = atTwap < atSpot ? (atTwap, atSpot) : (atSpot, atTwap);
        uint256 supply = vault.totalSupply() + 1e6;
        vm.assertEq(vault.previewDeposit(1e9), 1e9 * supply / (dear + 1), "deposit");
        vm.assertEq(vault.previewMint(1e18), (1e18 * (dear + 1) + supply - 1) / supply, "mint");
        vm.assertEq(vault.previewWithdraw(1e9), (1e9 * supply + cheap) / (cheap + 1), "withdraw");
        vm.assertEq(vault.previewRedeem(1e18), 1e18 * (cheap + 1) / supply, "redeem");
    }

    /// forge-config: deep.fuzz.runs = 5000
    function testFuzz_S1_depositAndRedeemAtOnceNeverGains(
        uint256 assetsSeed,
        uint256 pushSeed
    ) public {
        _invest();
        uint256 assets = bound(assetsSeed, 1, MILLION);
        _movePriceTo(START_TICK + int24(int256(bound(pushSeed, 0, 180)) - 90));
        uint256 shares = _deposit(BOB, assets);
        vm.startPrank(BOB);
        uint256 out = vault.redeem(shares, BOB, BOB);
        vm.stopPrank();
        vm.assertLe(out, assets, "no gain");
    }

    /// forge-config: deep.fuzz.runs = 5000
    function testFuzz_S1_depositAndLeaveInKindNeverGains(
        uint256 assetsSeed,
        uint256 pushSeed
    ) public {
        _invest();
        uint256 assets = bound(assetsSeed, 1e6, MILLION);
        int24 spot = START_TICK + int24(int256(bound(pushSeed, 0, 180)) - 90);
        _movePriceTo(spot);
        uint256 shares = _deposit(BOB, assets);
        vm.prank(BOB);
        (uint256 baseOut, uint256 riskOut) = vault.redeemInKind(shares, BOB, BOB);
        // What the risk token would bring at the present price, fees aside.
        uint256 worth = baseOut + TickMath.valueAt(_poolTick(spot), riskOut, riskIsToken0);
        vm.assertLe(worth, assets + 1, "no gain");
    }

    /// @dev What a part of the vault is worth where the risk token stands at a tick.
    function _worthInKind(
        uint256 shares,
        int24 priceTick
    ) private returns (uint256) {
        vm.prank(BOB);
        (uint256 baseOut, uint256 riskOut) = vault.redeemInKind(shares, BOB, BOB);
        return baseOut + TickMath.valueAt(_poolTick(priceTick), riskOut, riskIsToken0);
    }

    /// forge-config: deep.fuzz.runs = 5000
    function testFuzz_S1_pushingThePriceForADepositAndBackNeverGains(
        uint256 assetsSeed,
        uint256 jumpSeed,
        uint256 pushSeed
    ) public {
        _invest();
        (, int24 spot,,,,,) = pool.slot0();
        int24 twap = _poolTick(spot);
        int24 market = twap + int24(int256(bound(jumpSeed, 0, 196)) - 98);
        uint256 assets = bound(assetsSeed, 1e6, 9000 * MILLION);
        _movePriceTo(market);
        // The market has moved and the TWAP has yet to follow. From here on everything happens in one transaction.
        _skip(12);
        _movePriceTo(twap + int24(int256(bound(pushSeed, 0, 180)) - 90));
        uint256 shares = _deposit(BOB, assets);
        _movePriceTo(market);
        vm.assertLe(_worthInKind(shares, market), assets + 1, "no gain");
    }

    /// forge-config: deep.fuzz.runs = 5000
    function testFuzz_S1_pushingThePriceForARedemptionAndBackNeverGains(
        uint256 assetsSeed,
        uint256 dropSeed,
        uint256 pushSeed
    ) public {
        _invest();
        (, int24 spot,,,,,) = pool.slot0();
        int24 twap = _poolTick(spot);
        _deposit(BOB, bound(assetsSeed, 1e6, 2 * MILLION));
        int24 market = twap - int24(int256(bound(dropSeed, 0, 3000)));
        _movePriceTo(market);
        _skip(12);
        _movePriceTo(twap + int24(int256(bound(pushSeed, 0, 1000)) - 500));
        uint256 shares = vault.maxRedeem(BOB);
        uint256 before = vm.snapshotState();
        uint256 worth = _worthInKind(shares, market);
        vm.revertToState(before);
        vm.prank(BOB);
        vm.assertLe(vault.redeem(shares, BOB, BOB), worth + 2, "no gain");
    }

    /// forge-config: deep.fuzz.runs = 5000
    function testFuzz_S1_othersNeverLoseByADepositOrARedemption(
        uint256 seed,
        uint256 pushSeed
    ) public {
        _invest();
        _movePriceTo(START_TICK + int24(int256(bound(pushSeed, 0, 180)) - 90));
        uint256 before = vault.previewRedeem(vault.balanceOf(ALICE));
        _deposit(BOB, bound(seed, 1, 10 * MILLION));
        vm.assertGe(vault.previewRedeem(vault.balanceOf(ALICE)) + 1, before, "deposit");
        uint256 shares = vault.balanceOf(BOB) / 2;
        vm.prank(BOB);
        vault.redeem(shares, BOB, BOB);
        vm.assertGe(vault.previewRedeem(vault.balanceOf(ALICE)) + 2, before, "redemption");
    }

    /// forge-config: deep.fuzz.runs = 5000
    function testFuzz_S1_previewsAreWhatHappens(
        uint256 seed
    ) public {
        _invest();
        uint256 assets = bound(seed, 1, MILLION);
        uint256 shares = vault.previewDeposit(assets);
        vm.assertEq(_deposit(BOB, assets), shares, "deposit");

        base.mint(BOB, MILLION * 2);
        vm.startPrank(BOB);
        base.approve(address(vault), type(uint256).max);
        vm.assertEq(vault.previewMint(shares), vault.mint(shares, BOB), "mint");
        vm.assertEq(vault.previewWithdraw(assets / 2), vault.withdraw(assets / 2, BOB, BOB), "withdraw");
        vm.assertEq(vault.previewRedeem(shares / 2), vault.redeem(shares / 2, BOB, BOB), "redeem");
        vm.stopPrank();
    }

    function test_S1_RevertWhen_fewerSharesOrAssetsThanTheMinimum() public {
        _invest();
        base.mint(BOB, 1e9);
        vm.startPrank(BOB);
        base.approve(address(vault), 1e9);
        uint256 shares = vault.previewDeposit(1e9);
        vm.expectRevert(abi.encodeWithSelector(IRebalancingVault.BelowMinimum.selector, shares, shares + 1));
        vault.depositWithMinimum(1e9, BOB, shares + 1);
        vault.depositWithMinimum(1e9, BOB, shares);
        uint256 assets = vault.previewRedeem(shares);
        vm.expectRevert(abi.encodeWithSelector(IRebalancingVault.BelowMinimum.selector, assets, assets + 1));
        vault.redeemWithMinimum(shares, BOB, BOB, assets + 1);
        vm.assertEq(vault.redeemWithMinimum(shares, BOB, BOB, assets), assets, "redeemed");
        vm.stopPrank();
    }

    // --------------------------------------------------------------------------------------------------- S2

    function test_S2_RevertWhen_depositingWhilePaused() public {
        vm.prank(GUARDIAN);
        vault.pause();
        base.approve(address(vault), 1e9);
        vm.expectRevert(abi.encodeWithSelector(ERC4626.ERC4626ExceededMaxDeposit.selector, address(this), 1e9, 0));
        vault.deposit(1e9, address(this));
        vm.assertEq(vault.maxMint(address(this)), 0, "no minting either");
    }

    function test_S2_depositsStopWhileThePriceIsFarFromTheTwap() public {
        vm.assertEq(vault.maxDeposit(BOB), type(uint256).max, "open");
        _movePriceTo(START_TICK + 100);
        vm.assertEq(vault.maxDeposit(BOB), type(uint256).max, "at the limit");
        _movePriceTo(START_TICK + 101);
        vm.assertEq(vault.maxDeposit(BOB), 0, "beyond");
        _movePriceTo(START_TICK - 101);
        vm.assertEq(vault.maxDeposit(BOB), 0, "beyond on the other side");
        _skip(TWAP);
        vm.assertEq(vault.maxDeposit(BOB), type(uint256).max, "the TWAP caught up");
    }

    function test_S2_RevertWhen_thePriceIsPushedBackForADeposit() public {
        _invest();
        (, int24 spot,,,,,) = pool.slot0();
        _movePriceTo(_poolTick(spot) + 300);
        _skip(12);
        _movePriceTo(_poolTick(spot));
        base.approve(address(vault), 1e9);
        vm.expectRevert(abi.encodeWithSelector(ERC4626.ERC4626ExceededMaxDeposit.selector, address(this), 1e9, 0));
        vault.deposit(1e9, address(this));
        // A price that has stood for a second is one that the market saw.
        _skip(1);
        vm.assertEq(vault.maxDeposit(BOB), type(uint256).max, "open");
    }

    function test_S2_depositsStopWhileTheOracleIsUnreadable() public {
        _invest();
        vm.mockCallRevert(address(pool), abi.encodeWithSelector(pool.observe.selector), "OLD");
        vm.assertEq(vault.maxDeposit(BOB), 0, "deposit");
        vm.assertEq(vault.maxWithdraw(ALICE), 0, "withdraw");
        vm.assertEq(vault.maxRedeem(ALICE), 0, "redeem");
        vm.expectRevert(IRebalancingVault.OracleNotReady.selector);
        vault.totalAssets();
    }

    // --------------------------------------------------------------------------------------------------- S3

    function test_S3_redemptionInBaseIsLimitedToTheBaseHeld() public {
        _invest();
        uint256 held = base.balanceOf(address(vault));
        uint256 riskHeld = risk.balanceOf(address(vault));
        vm.assertEq(vault.maxWithdraw(ALICE), held, "the base held");
        uint256 shares = vault.maxRedeem(ALICE);
        vm.assertLt(shares, vault.balanceOf(ALICE), "not all shares");
        vm.prank(ALICE);
        uint256 out = vault.redeem(shares, ALICE, ALICE);
        vm.assertApproxEqAbs(out, held, 1, "all the base");
        vm.assertEq(risk.balanceOf(address(vault)), riskHeld, "nothing traded");
        uint256 rest = vault.balanceOf(ALICE);
        uint256 limit = vault.maxRedeem(ALICE);
        vm.prank(ALICE);
        vm.expectRevert(abi.encodeWithSelector(ERC4626.ERC4626ExceededMaxRedeem.selector, ALICE, rest, limit));
        vault.redeem(rest, ALICE, ALICE);
    }

    // --------------------------------------------------------------------------------------------------- S4

    function test_S4_redemptionInKindPaysThePartOfBoth() public {
        _invest();
        uint256 baseHeld = base.balanceOf(address(vault));
        uint256 riskHeld = risk.balanceOf(address(vault));
        uint256 shares = vault.balanceOf(ALICE) / 4;
        vm.prank(ALICE);
        (uint256 baseOut, uint256 riskOut) = vault.redeemInKind(shares, BOB, ALICE);
        vm.assertApproxEqRel(baseOut, baseHeld / 4, 1e10, "base");
        vm.assertApproxEqRel(riskOut, riskHeld / 4, 1e10, "risk");
        vm.assertEq(base.balanceOf(BOB), baseOut, "base paid");
        vm.assertEq(risk.balanceOf(BOB), riskOut, "risk paid");
    }

    function test_S4_redemptionInKindWorksWhenEverythingElseIsBroken() public {
        _invest();
        vm.prank(GUARDIAN);
        vault.pause();
        registry.deprecateModel(modelId);
        vm.etch(address(verifier), "");
        vm.etch(address(ring), "");
        vm.etch(address(registry), "");
        vm.etch(address(pool), "");
        uint256 shares = vault.balanceOf(ALICE);
        vm.prank(ALICE);
        (uint256 baseOut, uint256 riskOut) = vault.redeemInKind(shares, ALICE, ALICE);
        vm.assertApproxEqRel(baseOut, 0.75e12, 0.001e18, "base");
        vm.assertGt(riskOut, 0, "risk");
        vm.assertEq(vault.totalSupply(), 0, "all gone");
    }

    function test_S4_RevertWhen_redeemingSomebodyElsesShares() public {
        _invest();
        vm.prank(BOB);
        vm.expectRevert(abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, BOB, 0, 1));
        vault.redeemInKind(1, BOB, ALICE);
        vm.prank(ALICE);
        vault.approve(BOB, 1e12);
        vm.prank(BOB);
        vault.redeemInKind(1e12, BOB, ALICE);
        vm.assertEq(vault.allowance(ALICE, BOB), 0, "allowance spent");
    }

    // --------------------------------------------------------------------------------------------------- S5

    /// forge-config: deep.fuzz.runs = 5000
    function testFuzz_S5_inflationAttackLosesMoreThanItTakes(
        uint256 donationSeed,
        uint256 depositSeed
    ) public {
        address attacker = BOB;
        uint256 donation = bound(donationSeed, 1, MILLION);
        uint256 victim = bound(depositSeed, 1, MILLION);
        uint256 shares = _deposit(attacker, 1);
        base.mint(address(vault), donation);
        _deposit(ALICE, victim);
        vm.prank(attacker);
        (uint256 out,) = vault.redeemInKind(shares, attacker, attacker);
        vm.assertLe(out, 1 + donation, "the attacker gains nothing");
        // Virtual shares keep a millionth of the donation from counting for the attacker's single unit.
        uint256 worth = vault.previewRedeem(vault.balanceOf(ALICE));
        vm.assertGe(worth + 1 + donation / 1e6, victim, "the victim loses next to nothing");
    }
}

/// @notice The same with the risk token as the pool's token1.
contract VaultSharesMirroredTest is VaultSharesTest {
    function setUp() public override {
        _deployVault(false);
    }
}
