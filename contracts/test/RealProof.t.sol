// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {FeatureRing} from "src/FeatureRing.sol";
import {ModelRegistry} from "src/ModelRegistry.sol";
import {RebalancingVault} from "src/RebalancingVault.sol";
import {IERCZKMLRegistry} from "src/interfaces/IERCZKMLRegistry.sol";
import {IInferenceGate} from "src/interfaces/IInferenceGate.sol";
import {IModelRegistry} from "src/interfaces/IModelRegistry.sol";
import {IProofVerifier} from "src/interfaces/IProofVerifier.sol";
import {KeyContract} from "src/libraries/KeyContract.sol";
import {Epoch} from "src/types/Epoch.sol";
import {OutputSchema} from "src/types/OutputSchema.sol";
import {Context} from "src/types/Statement.sol";

import {VaultTest} from "./base/VaultTest.sol";
import {vm} from "./base/Vm.sol";
import {UniswapV3} from "./market/UniswapV3.sol";

/// @notice A proof that the prover made, from a pool's prices to the vault's trade. See `fixtures/README.md`.
contract RealProofTest is VaultTest {
    string private constant FIXTURE = "contracts/test/fixtures/rebalancer.json";
    uint256 private constant SCALAR_MODULUS =
        21888242871839275222246405745257275088548364400416034343698204186575808495617;
    address private constant CONSUMER = 0x5a1962E8022E922f2a632eeF435Eec98B111Cd39;

    /// @dev More storage slots than the vault's constructor writes to.
    uint256 private constant STATE_SLOTS = 64;

    IProofVerifier private real;
    address private shapeVerifier;
    bytes private key;
    OutputSchema private schema;
    int256[] private outputs;
    uint256[] private instances;
    bytes private proof;
    bytes private secondProof;
    Epoch private epoch;

    function setUp() public {
        vm.chainId(31337);
        string memory json = vm.readFile(string.concat(vm.projectRoot(), "/", FIXTURE));
        schema = OutputSchema({
            count: uint32(vm.parseJsonUint(json, ".output.count")),
            bits: uint8(vm.parseJsonUint(json, ".output.bits")),
            perWord: uint8(vm.parseJsonUint(json, ".output.perWord")),
            exponent: int8(vm.parseJsonInt(json, ".output.exponent")),
            minimum: int64(vm.parseJsonInt(json, ".output.minimum")),
            maximum: int64(vm.parseJsonInt(json, ".output.maximum"))
        });
        outputs = vm.parseJsonIntArray(json, ".outputs");
        instances = vm.parseJsonUintArray(json, ".instances");
        proof = vm.parseJsonBytes(json, ".proof");
        secondProof = vm.parseJsonBytes(json, ".secondProof");
        shapeVerifier = UniswapV3.deploy(vm.parseJsonBytes(json, ".verifierBytecode"));
        key = vm.parseJsonBytes(json, ".key");
        real = IProofVerifier(UniswapV3.deploy(KeyContract.creationCode(shapeVerifier, key)));

        _deployMarket(true);
        _deployFixtureVault();
        _replay(vm.parseJsonIntArray(json, ".ticks"));
        epoch = ring.recordedEnd();
        _deposit(ALICE, 1e18);
    }

    function _deployFixtureVault() private {
        registry = new ModelRegistry(UPDATE_DELAY);
        IERCZKMLRegistry.ModelCommitment memory commitment = _commitment();
        commitment.vkHash = real.VK_DIGEST();
        IModelRegistry.VerifierBinding memory binding = _binding(real);
        binding.output = schema;
        modelId = registry.registerModelWithVerifier(commitment, binding);
        ring = new FeatureRing(pool, address(risk), EPOCH_SECONDS, 800_000, SLOTS);
        RebalancingVault made = new RebalancingVault(_vaultConfig(), _gateConfig(), _rails());

        // A proof is made for one consumer's address. The vault moves there with its code and its state.
        vm.etch(CONSUMER, address(made).code);
        for (uint256 i = 0; i < STATE_SLOTS; ++i) {
            vm.store(CONSUMER, bytes32(i), vm.load(address(made), bytes32(i)));
        }
        vault = RebalancingVault(CONSUMER);
    }

    /// @dev Each tick is the pool's price for one epoch.
    function _replay(
        int256[] memory ticks
    ) private {
        vm.assertEq(ticks.length, WINDOW, "a window of ticks");
        for (uint256 i = 0; i < ticks.length; ++i) {
            _movePriceTo(int24(ticks[i]));
            _passEpochs(1);
        }
    }

    function test_chainRebuildsTheProofsInstances() public view {
        (Context ctx, uint256[] memory inputWords,,,) = vault.statement(epoch);
        vm.assertEq(Context.unwrap(ctx), instances[0], "context");
        vm.assertEq(inputWords.length, 4, "input words");
        for (uint256 i = 0; i < inputWords.length; ++i) {
            vm.assertEq(inputWords[i], instances[1 + i], "input word");
        }
        vm.assertEq(instances.length, real.INSTANCE_COUNT(), "count");
    }

    function test_theModelsCodeIsItsVerifierAndItsKey() public view {
        bytes memory code = KeyContract.runtimeCode(shapeVerifier, key);
        vm.assertEq(address(real).codehash, keccak256(code), "code");
    }

    function test_RevertWhen_theSharedVerifierIsCalledWithoutAKey() public {
        vm.expectRevert(IProofVerifier.KeyOfAnotherShape.selector);
        IProofVerifier(shapeVerifier).verify(instances, proof);
        vm.expectRevert(IProofVerifier.KeyOfAnotherShape.selector);
        IProofVerifier(shapeVerifier).VK_DIGEST();
    }

    function test_RevertWhen_theSharedVerifierIsRegisteredAsAModels() public {
        IERCZKMLRegistry.ModelCommitment memory commitment = _commitment();
        commitment.vkHash = real.VK_DIGEST();
        IModelRegistry.VerifierBinding memory binding = _binding(IProofVerifier(shapeVerifier));
        vm.expectRevert(IProofVerifier.KeyOfAnotherShape.selector);
        registry.registerModelWithVerifier(commitment, binding);
    }

    /// @dev A key that anybody makes is a contract of its own: it cannot stand in for the one that was bound.
    function test_RevertWhen_aKeyIsChanged() public {
        for (uint256 at = 0; at < key.length; at += 97) {
            bytes memory changed = bytes.concat(key);
            changed[at] ^= 0x01;
            IProofVerifier other = IProofVerifier(UniswapV3.deploy(KeyContract.creationCode(shapeVerifier, changed)));
            vm.assertTrue(address(other).codehash != address(real).codehash, "another code hash");
            // The digest of the powers of tau is published, and read by no check.
            if (at >= 0x40 && at < 0x60) continue;
            // A commitment that is no point takes the gas that it gets.
            (bool ok,) = address(other).staticcall{gas: 1_000_000}(abi.encodeCall(other.verify, (instances, proof)));
            vm.assertEq(ok, false, "refused");
        }
    }

    function test_vaultTradesOnARealProof() public {
        uint256 target = uint256(outputs[0]) * 1e18 >> uint8(schema.exponent);
        vault.submitInference(epoch, outputs, proof);
        uint256 expected = target < _rails().hysteresisWad ? 0 : target < 0.25e18 ? target : 0.25e18;
        vm.assertApproxEqAbs(vault.weightWad(), expected, 0.005e18, "weight");
        vm.assertEq(_isUsed(epoch), true, "used");
    }

    function test_RevertWhen_aSecondRealProofOfTheStatementIsSent() public {
        real.verify(instances, secondProof);
        vm.assertTrue(keccak256(proof) != keccak256(secondProof), "two proofs");
        vault.submitInference(epoch, outputs, proof);
        vm.expectRevert(abi.encodeWithSelector(IInferenceGate.StatementUsed.selector, _nullifierOf(epoch)));
        vault.submitInference(epoch, outputs, secondProof);
    }

    function test_RevertWhen_anyOutputIsTampered() public {
        outputs[0] = outputs[0] == schema.maximum ? outputs[0] - 1 : outputs[0] + 1;
        vm.expectRevert(IProofVerifier.ProofRejected.selector);
        vault.submitInference(epoch, outputs, proof);
    }

    function test_RevertWhen_theProofIsForAnotherEpoch() public {
        _passEpochs(1);
        Epoch later = ring.recordedEnd();
        vm.expectRevert(IProofVerifier.ProofRejected.selector);
        vault.submitInference(later, outputs, proof);
    }

    function test_RevertWhen_theProofIsForAnotherChain() public {
        vm.chainId(1);
        vm.expectRevert(IProofVerifier.ProofRejected.selector);
        vault.submitInference(epoch, outputs, proof);
        vm.chainId(31337);
        vault.submitInference(epoch, outputs, proof);
    }

    function test_RevertWhen_theProofIsForAnotherConsumer() public {
        // It differs from the vault of the proof in nothing but its address.
        RebalancingVault twin = new RebalancingVault(_vaultConfig(), _gateConfig(), _rails());
        (, uint256[] memory inputWords,,,) = twin.statement(epoch);
        vm.assertEq(inputWords[0], instances[1], "the same inputs");
        vm.expectRevert(IProofVerifier.ProofRejected.selector);
        twin.submitInference(epoch, outputs, proof);
        vault.submitInference(epoch, outputs, proof);
    }

    function test_RevertWhen_anInstanceIsChangedOrShiftedByTheModulus() public {
        real.verify(instances, proof);
        uint256[] memory changed = instances;
        for (uint256 i = 0; i < changed.length; ++i) {
            changed[i] = instances[i] ^ 1;
            vm.expectRevert(IProofVerifier.ProofRejected.selector);
            real.verify(changed, proof);
            changed[i] = instances[i] + SCALAR_MODULUS;
            vm.expectRevert(abi.encodeWithSelector(IProofVerifier.InstanceNotCanonical.selector, i));
            real.verify(changed, proof);
            changed[i] = instances[i];
        }
        vm.expectRevert(abi.encodeWithSelector(IProofVerifier.InstanceCount.selector, 0, instances.length));
        real.verify(new uint256[](0), proof);
    }

    function testFuzz_RevertWhen_aBitOfTheProofIsFlipped(
        uint256 seed
    ) public view {
        bytes memory changed = proof;
        uint256 bit = seed % (changed.length * 8);
        changed[bit / 8] ^= bytes1(uint8(1 << (bit % 8)));
        (bool ok, bytes memory reason) = address(real).staticcall(abi.encodeCall(real.verify, (instances, changed)));
        vm.assertEq(ok, false, "refused");
        if (bytes4(reason) == IProofVerifier.ProofRejected.selector) return;
        // What is no scalar or no point is refused by the word where it stands, a point by its first.
        uint256 word = bit / 256;
        bool named = _is(reason, IProofVerifier.ScalarNotCanonical.selector, word) || _isPoint(reason, word)
            || (word != 0 && _isPoint(reason, word - 1));
        vm.assertTrue(named, "reason");
    }

    function _isPoint(
        bytes memory reason,
        uint256 word
    ) private pure returns (bool) {
        return _is(reason, IProofVerifier.CoordinateNotCanonical.selector, word)
            || _is(reason, IProofVerifier.PointNotOnCurve.selector, word);
    }

    function _is(
        bytes memory reason,
        bytes4 selector,
        uint256 argument
    ) private pure returns (bool) {
        return keccak256(reason) == keccak256(abi.encodeWithSelector(selector, argument));
    }

    function testFuzz_RevertWhen_theProofIsCutOrExtended(
        uint256 seed
    ) public {
        bytes memory changed = new bytes(seed % (proof.length + 64));
        vm.assume(changed.length != proof.length);
        for (uint256 i = 0; i < changed.length && i < proof.length; ++i) {
            changed[i] = proof[i];
        }
        vm.expectRevert(abi.encodeWithSelector(IProofVerifier.ProofLength.selector, changed.length, proof.length));
        real.verify(instances, changed);
    }
}
