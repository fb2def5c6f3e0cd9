// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {IProofVerifier} from "src/interfaces/IProofVerifier.sol";
import {KeyContract} from "src/libraries/KeyContract.sol";

import {TestBase} from "./base/TestBase.sol";
import {vm} from "./base/Vm.sol";
import {RebalancerReader, RebalancerStatement} from "./fixtures/RebalancerStatement.sol";
import {UniswapV3} from "./market/UniswapV3.sol";

/// @notice Acts on a proof by the library that was generated for its model.
contract WeightConsumer {
    IProofVerifier private immutable _VERIFIER;

    /// @notice The last verified weight, 1e18 for the whole.
    int256 public weightWad;

    /// @notice The newest tick that it was computed from.
    int256 public newestTick;

    constructor(
        IProofVerifier verifier
    ) {
        _VERIFIER = verifier;
    }

    /// @notice Takes what a proof says.
    function accept(
        uint256[] calldata instances,
        bytes calldata proof
    ) external {
        _VERIFIER.verify(instances, proof);
        (, RebalancerStatement.Inputs memory inputs, RebalancerStatement.Outputs memory outputs) =
            RebalancerStatement.decode(instances);
        weightWad = RebalancerStatement.weightToWad(outputs.weight);
        newestTick = inputs.ticks[RebalancerStatement.TICKS_COUNT - 1];
    }
}

/// @notice The library that is generated for the rebalancer, on a proof of it. See `fixtures/README.md`.
contract GeneratedStatementTest is TestBase {
    string private constant FIXTURE = "contracts/test/fixtures/rebalancer.json";

    RebalancerReader private reader;
    IProofVerifier private verifier;
    uint256[] private instances;
    int256[] private ticks;
    int256[] private outputs;
    bytes private proof;

    function setUp() public {
        string memory json = vm.readFile(string.concat(vm.projectRoot(), "/", FIXTURE));
        instances = vm.parseJsonUintArray(json, ".instances");
        ticks = vm.parseJsonIntArray(json, ".ticks");
        outputs = vm.parseJsonIntArray(json, ".outputs");
        proof = vm.parseJsonBytes(json, ".proof");
        address shape = UniswapV3.deploy(vm.parseJsonBytes(json, ".verifierBytecode"));
        verifier = IProofVerifier(UniswapV3.deploy(KeyContract.creationCode(shape, vm.parseJsonBytes(json, ".key"))));
        reader = new RebalancerReader();
        // The library is that of the proof's model.
        vm.assertEq(vm.parseJsonInt(json, ".output.exponent"), RebalancerStatement.WEIGHT_EXPONENT, "exponent");
        vm.assertEq(verifier.INSTANCE_COUNT(), RebalancerStatement.INSTANCE_COUNT, "instances");
    }

    function test_aConsumerReadsWhatTheProofSays() public {
        WeightConsumer consumer = new WeightConsumer(verifier);
        consumer.accept(instances, proof);
        int256 wad = outputs[0] * 1e18 / int256(2 ** uint256(RebalancerStatement.WEIGHT_EXPONENT));
        vm.assertEq(consumer.weightWad(), wad, "weight");
        vm.assertEq(consumer.newestTick(), ticks[ticks.length - 1], "tick");
    }

    function test_instancesOfTheProofAreRead() public view {
        (uint256 context, RebalancerStatement.Inputs memory inputs, RebalancerStatement.Outputs memory read) =
            reader.decode(instances);
        vm.assertEq(context, instances[0], "context");
        vm.assertEq(keccak256(abi.encode(inputs.ticks)), keccak256(abi.encode(ticks)), "ticks");
        vm.assertEq(read.weight, outputs[0], "weight");
    }

    function test_valuesBecomeInstancesThatTheProofProves() public view {
        RebalancerStatement.Inputs memory inputs = RebalancerStatement.Inputs({ticks: ticks});
        RebalancerStatement.Outputs memory written = reader.toOutputs(outputs);
        uint256[] memory made = reader.encode(instances[0], inputs, written);
        vm.assertEq(made, instances, "instances");
        verifier.verify(made, proof);
    }

    function test_inputWordsAreThoseOfTheInstances() public view {
        uint256[] memory words = reader.inputWords(RebalancerStatement.Inputs({ticks: ticks}));
        vm.assertEq(words.length + 2, instances.length, "context, inputs, one word of outputs");
        for (uint256 i = 0; i < words.length; ++i) {
            vm.assertEq(words[i], instances[1 + i], "word");
        }
    }

    function testFuzz_valuesWithinBoundsReadBack(
        uint256 context,
        uint256 seed
    ) public view {
        RebalancerStatement.Inputs memory inputs = RebalancerStatement.Inputs({ticks: ticks});
        for (uint256 i = 0; i < inputs.ticks.length; ++i) {
            inputs.ticks[i] = bound(
                int256(uint256(keccak256(abi.encode(seed, i)))),
                RebalancerStatement.TICKS_MINIMUM,
                RebalancerStatement.TICKS_MAXIMUM
            );
        }
        RebalancerStatement.Outputs memory written;
        written.weight = bound(int256(seed), RebalancerStatement.WEIGHT_MINIMUM, RebalancerStatement.WEIGHT_MAXIMUM);
        uint256[] memory made = reader.encode(context >> 8, inputs, written);
        (uint256 again, RebalancerStatement.Inputs memory ins, RebalancerStatement.Outputs memory outs) =
            reader.decode(made);
        vm.assertEq(again, context >> 8, "context");
        vm.assertEq(keccak256(abi.encode(ins, outs)), keccak256(abi.encode(inputs, written)), "values");
    }

    function test_RevertWhen_aWordHasBitsBeyondItsValues() public {
        instances[1] |= 1 << 192;
        vm.expectRevert(abi.encodeWithSelector(RebalancerStatement.ExcessBits.selector, 0, 1, instances[1]));
        reader.decode(instances);
    }

    function test_RevertWhen_theNumberOfInstancesDiffers() public {
        instances.pop();
        vm.expectRevert(
            abi.encodeWithSelector(
                RebalancerStatement.InstanceCount.selector, instances.length, RebalancerStatement.INSTANCE_COUNT
            )
        );
        reader.decode(instances);
    }

    function test_RevertWhen_anOutputIsOutOfBounds() public {
        int256 beyond = RebalancerStatement.WEIGHT_MAXIMUM + 1;
        bytes memory refused = abi.encodeWithSelector(RebalancerStatement.ValueOutOfBounds.selector, 1, 0, beyond);
        vm.expectRevert(refused);
        reader.encode(0, RebalancerStatement.Inputs({ticks: ticks}), RebalancerStatement.Outputs({weight: beyond}));
        vm.expectRevert(refused);
        reader.weightToWad(beyond);
        outputs[0] = beyond;
        vm.expectRevert(refused);
        reader.toOutputs(outputs);
    }

    function test_RevertWhen_aWindowIsShort() public {
        ticks.pop();
        vm.expectRevert(
            abi.encodeWithSelector(
                RebalancerStatement.ValueCount.selector, 0, ticks.length, RebalancerStatement.TICKS_COUNT
            )
        );
        reader.inputWords(RebalancerStatement.Inputs({ticks: ticks}));
    }
}
