// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {IUniswapV3Factory} from "@uniswap/v3-core/contracts/interfaces/IUniswapV3Factory.sol";
import {IUniswapV3Pool} from "@uniswap/v3-core/contracts/interfaces/IUniswapV3Pool.sol";

import {TickMath} from "src/libraries/TickMath.sol";
import {vm} from "test/base/Vm.sol";
import {PoolOperator} from "test/market/PoolOperator.sol";
import {TestToken} from "test/market/TestToken.sol";
import {UniswapV3} from "test/market/UniswapV3.sol";

/// @title A market for a development chain
/// @notice Deploys Uniswap v3's own factory, two tokens that anybody can mint, a pool and liquidity over its whole
/// range. `VOUCH_MARKET` names a JSON file, `VOUCH_MARKET_OUT` the file that the addresses are written to.
contract Market {
    using SafeCast for uint256;
    using SafeCast for int256;

    /// @notice What a market is made of; the keys of the JSON file.
    struct Plan {
        /// Decimals of the base token.
        uint8 baseDecimals;
        /// Decimals of the risk token.
        uint8 riskDecimals;
        /// The pool's fee, in millionths.
        uint24 fee;
        /// Tick of the risk token's price in base tokens, both in their smallest units.
        int24 priceTick;
        /// Liquidity over the whole range, in the pool's unit.
        uint128 liquidity;
        /// Observations that the pool's oracle keeps.
        uint16 observations;
        /// Tokens that the deployer keeps of each, for the trades that move the price.
        uint256 deployerBalance;
    }

    /// @notice What was deployed; the keys of the report.
    struct Deployed {
        address factory;
        address pool;
        TestToken base;
        TestToken risk;
        PoolOperator operator;
    }

    /// @notice Deploys what the JSON file describes and writes the report.
    function run() external {
        string memory json = vm.readFile(vm.envString("VOUCH_MARKET"));
        string memory out = vm.envOr("VOUCH_MARKET_OUT", "target/market.json");
        Plan memory plan = parse(json);
        vm.startBroadcast();
        Deployed memory d = _deploy(plan, msg.sender);
        vm.stopBroadcast();

        vm.serializeAddress("market", "factory", d.factory);
        vm.serializeAddress("market", "pool", d.pool);
        vm.serializeAddress("market", "base", address(d.base));
        vm.serializeAddress("market", "risk", address(d.risk));
        vm.serializeAddress("market", "operator", address(d.operator));
        vm.writeFile(out, vm.serializeBool("market", "riskIsToken0", address(d.risk) < address(d.base)));
    }

    /// @notice Deploys a market from this contract, for tests.
    function deploy(
        Plan memory plan
    ) external returns (Deployed memory) {
        return _deploy(plan, address(this));
    }

    /// @notice Reads a plan.
    function parse(
        string memory json
    ) public pure returns (Plan memory) {
        return Plan({
            baseDecimals: vm.parseJsonUint(json, ".baseDecimals").toUint8(),
            riskDecimals: vm.parseJsonUint(json, ".riskDecimals").toUint8(),
            fee: vm.parseJsonUint(json, ".fee").toUint24(),
            priceTick: vm.parseJsonInt(json, ".priceTick").toInt24(),
            liquidity: vm.parseJsonUint(json, ".liquidity").toUint128(),
            observations: vm.parseJsonUint(json, ".observations").toUint16(),
            deployerBalance: vm.parseJsonUint(json, ".deployerBalance")
        });
    }

    function _deploy(
        Plan memory plan,
        address deployer
    ) private returns (Deployed memory d) {
        d.base = new TestToken("Base", "BASE", plan.baseDecimals);
        d.risk = new TestToken("Risk", "RISK", plan.riskDecimals);
        IUniswapV3Factory factory = UniswapV3.deployFactory();
        d.factory = address(factory);
        IUniswapV3Pool pool = IUniswapV3Pool(factory.createPool(address(d.base), address(d.risk), plan.fee));
        d.pool = address(pool);
        bool riskFirst = address(d.risk) < address(d.base);
        pool.initialize(TickMath.sqrtPriceX96(riskFirst ? plan.priceTick : -plan.priceTick));
        pool.increaseObservationCardinalityNext(plan.observations);

        d.operator = new PoolOperator();
        d.base.mint(deployer, plan.deployerBalance);
        d.risk.mint(deployer, plan.deployerBalance);
        d.base.approve(address(d.operator), type(uint256).max);
        d.risk.approve(address(d.operator), type(uint256).max);
        int24 spacing = pool.tickSpacing();
        int24 edge = int24(uint24(TickMath.MAX_TICK)) / spacing * spacing;
        d.operator.addLiquidity(pool, -edge, edge, plan.liquidity);
    }
}
