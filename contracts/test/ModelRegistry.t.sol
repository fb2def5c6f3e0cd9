// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";

import {ModelRegistry} from "src/ModelRegistry.sol";
import {IERCZKMLRegistry} from "src/interfaces/IERCZKMLRegistry.sol";
import {IModelRegistry} from "src/interfaces/IModelRegistry.sol";
import {IProofVerifier} from "src/interfaces/IProofVerifier.sol";
import {ModelVersion} from "src/types/ModelVersion.sol";
import {OutputSchema} from "src/types/OutputSchema.sol";

import {AcceptListVerifier} from "./base/AcceptListVerifier.sol";
import {GasBurner} from "./base/GasBurner.sol";
import {TestBase} from "./base/TestBase.sol";
import {vm} from "./base/Vm.sol";

/// @notice Says that it holds the right key, and accepts every proof.
contract Credulous is IProofVerifier {
    bytes32 public immutable VK_DIGEST;
    uint256 public constant INSTANCE_COUNT = 3;
    bytes32 public constant SRS_DIGEST = 0;

    constructor(
        bytes32 vkDigest
    ) {
        VK_DIGEST = vkDigest;
    }

    function verify(
        uint256[] calldata,
        bytes calldata
    ) external view {}
}

/// @notice Has a key that cannot be read.
contract Keyless {
    error NoKey();

    function VK_DIGEST() external pure returns (bytes32) {
        revert NoKey();
    }
}

/// @notice Answers with a bool, as other generators' verifiers do.
contract Answering {
    bytes32 public constant VK_DIGEST = "vk";
    uint256 public constant INSTANCE_COUNT = 3;

    function verify(
        uint256[] calldata,
        bytes calldata
    ) external pure returns (bool) {
        return false;
    }
}

contract ModelRegistryTest is TestBase {
    uint64 private constant DELAY = 2 days;
    ModelVersion private constant ONE = ModelVersion.wrap(1);
    ModelVersion private constant TWO = ModelVersion.wrap(2);

    ModelRegistry private registry;
    address private immutable OWNER = actor("owner");
    address private immutable OTHER = actor("other");

    function setUp() public {
        vm.warp(1_800_000_000);
        registry = new ModelRegistry(DELAY);
    }

    function _commitment(
        bytes32 vk
    ) private pure returns (IERCZKMLRegistry.ModelCommitment memory) {
        return IERCZKMLRegistry.ModelCommitment({
            modelHash: keccak256("m"),
            circuitHash: keccak256("c"),
            vkHash: vk,
            proofSystemId: bytes4(keccak256("halo2-kzg-bn254-v1")),
            uri: "ipfs://model"
        });
    }

    function _binding(
        IProofVerifier verifier
    ) private pure returns (IModelRegistry.VerifierBinding memory) {
        return IModelRegistry.VerifierBinding({
            verifier: verifier,
            inputWords: 1,
            inputsArePublic: true,
            output: OutputSchema({count: 1, bits: 16, perWord: 15, exponent: 8, minimum: -100, maximum: 100})
        });
    }

    function _verifier(
        bytes32 vk
    ) private returns (AcceptListVerifier) {
        return new AcceptListVerifier(vk, 3);
    }

    function _register(
        bytes32 vk
    ) private returns (uint256 id, AcceptListVerifier verifier) {
        verifier = _verifier(vk);
        vm.prank(OWNER);
        id = registry.registerModelWithVerifier(_commitment(vk), _binding(verifier));
    }

    function _expectUnusable(
        uint256 id,
        ModelVersion version,
        IModelRegistry.VersionStatus status
    ) private {
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.VersionNotUsable.selector, id, version, status));
    }

    // ------------------------------------------------------------------------------------------ registration

    function test_registeredModelIsUsableAtOnce() public {
        (uint256 id, AcceptListVerifier verifier) = _register("vk");
        vm.assertEq(id, 1, "counted from 1");
        IModelRegistry.ModelRoute memory route = registry.route(id, ONE);
        vm.assertEq(address(route.verifier), address(verifier), "verifier");
        vm.assertEq(route.codeHash, address(verifier).codehash, "code hash");
        vm.assertEq(uint256(route.inputWords), 1, "input words");
        vm.assertEq(int256(route.output.maximum), 100, "schema");
        (IERCZKMLRegistry.ModelCommitment memory c, bool deprecated, address owner) = registry.getModel(id);
        vm.assertEq(c.vkHash, "vk", "commitment");
        vm.assertEq(deprecated, false, "deprecated");
        vm.assertEq(owner, OWNER, "owner");
    }

    function test_plainErcRegistrationIsUsableOnceBound() public {
        vm.prank(OWNER);
        uint256 id = registry.registerModel(_commitment("vk"));
        _expectUnusable(id, ONE, IModelRegistry.VersionStatus.Unbound);
        registry.route(id, ONE);
        AcceptListVerifier verifier = _verifier("vk");
        vm.prank(OWNER);
        registry.bindVerifier(id, ONE, _binding(verifier));
        registry.route(id, ONE);
    }

    function test_proofSystemIdIsTheHashOfItsName() public view {
        vm.assertEq(bytes32(registry.PROOF_SYSTEM_ID()), bytes32(bytes4(keccak256("halo2-kzg-bn254-v1"))), "id");
    }

    function test_interfacesAreAnnounced() public view {
        vm.assertTrue(registry.supportsInterface(type(IERC165).interfaceId), "ERC-165");
        vm.assertTrue(registry.supportsInterface(type(IERCZKMLRegistry).interfaceId), "ERC-7992");
        vm.assertEq(registry.supportsInterface(0xffffffff), false, "not everything");
    }

    function test_RevertWhen_bindingTwice() public {
        (uint256 id, AcceptListVerifier verifier) = _register("vk");
        vm.prank(OWNER);
        _expectUnusable(id, ONE, IModelRegistry.VersionStatus.Active);
        registry.bindVerifier(id, ONE, _binding(verifier));
    }

    function test_RevertWhen_theVerifierHoldsAnotherKey() public {
        AcceptListVerifier verifier = _verifier("other");
        vm.expectRevert(
            abi.encodeWithSelector(IModelRegistry.VerifyingKeyMismatch.selector, bytes32("vk"), bytes32("other"))
        );
        registry.registerModelWithVerifier(_commitment("vk"), _binding(verifier));
    }

    function test_RevertWhen_theVerifierTakesOtherInstances() public {
        AcceptListVerifier verifier = new AcceptListVerifier("vk", 4);
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.InstanceCountMismatch.selector, 3, 4));
        registry.registerModelWithVerifier(_commitment("vk"), _binding(verifier));
    }

    function test_RevertWhen_theVerifierAcceptsAnEmptyProof() public {
        Credulous credulous = new Credulous("vk");
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.VerifierAcceptsAnything.selector, address(credulous)));
        registry.registerModelWithVerifier(_commitment("vk"), _binding(credulous));
    }

    function test_RevertWhen_theVerifierAnswersWithABool() public {
        IProofVerifier answering = IProofVerifier(address(new Answering()));
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.VerifierAcceptsAnything.selector, address(answering)));
        registry.registerModelWithVerifier(_commitment("vk"), _binding(answering));
    }

    function test_RevertWhen_theVerifiersKeyCannotBeRead() public {
        IProofVerifier keyless = IProofVerifier(address(new Keyless()));
        vm.expectRevert(Keyless.NoKey.selector);
        registry.registerModelWithVerifier(_commitment("vk"), _binding(keyless));
        // Nor is a contract without the function a verifier.
        (bool ok, bytes memory reason) = address(registry)
            .call(
                abi.encodeCall(
                    registry.registerModelWithVerifier, (_commitment("vk"), _binding(IProofVerifier(address(registry))))
                )
            );
        vm.assertEq(ok, false, "refused");
        vm.assertEq(reason, "", "the call of the function failed");
    }

    function test_verifierThatBurnsItsGasOnAnEmptyProofIsBound() public {
        GasBurner burner = new GasBurner("vk", 3, true);
        // A call leaves its caller a 64th: what is bound so costs whoever binds it.
        uint256 id = registry.registerModelWithVerifier{gas: 50_000_000}(_commitment("vk"), _binding(burner));
        vm.assertEq(address(registry.route(id, ONE).verifier), address(burner), "bound");
    }

    function test_RevertWhen_theVerifierHasNoCode() public {
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.VerifierHasNoCode.selector, OTHER));
        registry.registerModelWithVerifier(_commitment("vk"), _binding(IProofVerifier(OTHER)));
    }

    function test_RevertWhen_theProofSystemIsAnother() public {
        IERCZKMLRegistry.ModelCommitment memory c = _commitment("vk");
        c.proofSystemId = bytes4(keccak256("groth16-bn254-v1"));
        AcceptListVerifier verifier = _verifier("vk");
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.ProofSystemNotSupported.selector, c.proofSystemId));
        registry.registerModelWithVerifier(c, _binding(verifier));
    }

    function test_RevertWhen_theSchemaCannotBePacked() public {
        IModelRegistry.VerifierBinding memory binding = _binding(_verifier("vk"));
        binding.output.perWord = 16;
        vm.expectPartialRevert(IModelRegistry.SchemaInvalid.selector);
        registry.registerModelWithVerifier(_commitment("vk"), binding);
    }

    // ---------------------------------------------------------------------------------------------- versions

    function test_newVersionBecomesCurrentAfterTheDelay() public {
        (uint256 id,) = _register("vk");
        AcceptListVerifier next = _verifier("vk2");
        vm.prank(OWNER);
        ModelVersion version = registry.updateModelWithVerifier(id, _commitment("vk2"), _binding(next));
        vm.assertTrue(version == TWO, "version 2");

        vm.warp(block.timestamp + DELAY - 1);
        vm.assertTrue(registry.currentVersion(id) == ONE, "still the first");
        _expectUnusable(id, TWO, IModelRegistry.VersionStatus.Pending);
        registry.route(id, TWO);

        vm.warp(block.timestamp + 1);
        vm.assertTrue(registry.currentVersion(id) == TWO, "the second");
        (IERCZKMLRegistry.ModelCommitment memory c,,) = registry.getModel(id);
        vm.assertEq(c.vkHash, "vk2", "commitment");
        registry.route(id, ONE);
    }

    function test_delayRunsFromTheBindingOfTheVerifier() public {
        (uint256 id,) = _register("vk");
        vm.prank(OWNER);
        registry.updateModel(id, _commitment("vk2"));
        vm.warp(block.timestamp + DELAY);
        AcceptListVerifier next = _verifier("vk2");
        vm.prank(OWNER);
        registry.bindVerifier(id, TWO, _binding(next));
        _expectUnusable(id, TWO, IModelRegistry.VersionStatus.Pending);
        registry.route(id, TWO);
    }

    function test_firstVersionBoundBesideOthersWaitsToo() public {
        vm.startPrank(OWNER);
        uint256 id = registry.registerModel(_commitment("evil"));
        AcceptListVerifier honest = _verifier("vk");
        registry.updateModelWithVerifier(id, _commitment("vk"), _binding(honest));
        vm.warp(block.timestamp + DELAY);
        vm.assertTrue(registry.currentVersion(id) == TWO, "the second is current");

        // In one transaction: no version is left, and then the first, which nobody could see coming.
        AcceptListVerifier evil = _verifier("evil");
        registry.removeVersion(id, TWO);
        registry.bindVerifier(id, ONE, _binding(evil));
        vm.stopPrank();
        _expectUnusable(id, ONE, IModelRegistry.VersionStatus.Pending);
        registry.route(id, ONE);
        _expectUnusable(id, TWO, IModelRegistry.VersionStatus.Removed);
        registry.currentVersion(id);
        vm.warp(block.timestamp + DELAY);
        vm.assertTrue(registry.currentVersion(id) == ONE, "after the delay");
    }

    function test_removedVersionIsGoneAtOnceAndItsNumberNeverReused() public {
        (uint256 id,) = _register("vk");
        AcceptListVerifier next = _verifier("vk2");
        vm.startPrank(OWNER);
        registry.updateModelWithVerifier(id, _commitment("vk2"), _binding(next));
        registry.removeVersion(id, TWO);
        ModelVersion third = registry.updateModelWithVerifier(id, _commitment("vk2"), _binding(next));
        vm.stopPrank();
        vm.assertEq(uint256(ModelVersion.unwrap(third)), 3, "a new number");
        vm.assertEq(uint256(registry.versionCount(id)), 3, "count");
        vm.warp(block.timestamp + DELAY);
        _expectUnusable(id, TWO, IModelRegistry.VersionStatus.Removed);
        registry.route(id, TWO);
        vm.prank(OWNER);
        _expectUnusable(id, TWO, IModelRegistry.VersionStatus.Removed);
        registry.removeVersion(id, TWO);
    }

    function test_RevertWhen_noVersionIsUsable() public {
        (uint256 id,) = _register("vk");
        vm.prank(OWNER);
        registry.removeVersion(id, ONE);
        _expectUnusable(id, ONE, IModelRegistry.VersionStatus.Removed);
        registry.currentVersion(id);
        (IERCZKMLRegistry.ModelCommitment memory c,,) = registry.getModel(id);
        vm.assertEq(c.vkHash, "vk", "the first's commitment all the same");
    }

    function test_RevertWhen_theModelOrVersionIsUnknown() public {
        vm.expectRevert(abi.encodeWithSelector(IERCZKMLRegistry.ModelNotFound.selector, 9));
        registry.getModel(9);
        (uint256 id,) = _register("vk");
        _expectUnusable(id, ModelVersion.wrap(0), IModelRegistry.VersionStatus.None);
        registry.route(id, ModelVersion.wrap(0));
        _expectUnusable(id, TWO, IModelRegistry.VersionStatus.None);
        registry.route(id, TWO);
    }

    // ---------------------------------------------------------------------------------------------- stopping

    function test_freezeIsInstantAndThawTakesTheDelay() public {
        (uint256 id,) = _register("vk");
        vm.startPrank(OWNER);
        registry.freezeModel(id);
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.ModelIsFrozen.selector, id));
        registry.route(id, ONE);
        registry.thawModel(id);
        vm.warp(block.timestamp + DELAY - 1);
        vm.assertEq(registry.isFrozen(id), true, "still");
        vm.warp(block.timestamp + 1);
        registry.route(id, ONE);
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.ModelIsNotFrozen.selector, id));
        registry.thawModel(id);
        vm.stopPrank();
    }

    function test_freezeEndsARunningThaw() public {
        (uint256 id,) = _register("vk");
        vm.startPrank(OWNER);
        registry.freezeModel(id);
        registry.thawModel(id);
        registry.freezeModel(id);
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.ModelIsFrozen.selector, id));
        registry.freezeModel(id);
        vm.stopPrank();
        vm.warp(block.timestamp + DELAY);
        vm.assertEq(registry.isFrozen(id), true, "frozen");
    }

    function test_deprecationIsForGood() public {
        (uint256 id,) = _register("vk");
        vm.startPrank(OWNER);
        registry.deprecateModel(id);
        vm.expectRevert(abi.encodeWithSelector(IERCZKMLRegistry.ModelIsDeprecated.selector, id));
        registry.route(id, ONE);
        vm.expectRevert(abi.encodeWithSelector(IERCZKMLRegistry.ModelIsDeprecated.selector, id));
        registry.updateModel(id, _commitment("vk2"));
        vm.expectRevert(abi.encodeWithSelector(IERCZKMLRegistry.ModelIsDeprecated.selector, id));
        registry.deprecateModel(id);
        vm.stopPrank();
        (, bool deprecated,) = registry.getModel(id);
        vm.assertEq(deprecated, true, "deprecated");
    }

    function _claim(
        uint256 input,
        uint256 output
    ) private pure returns (uint256[] memory instances) {
        instances = new uint256[](3);
        // Contexts differ: the claims come from two submissions.
        (instances[0], instances[1], instances[2]) = (output * 7, input, output);
    }

    function test_anybodyStopsAVersionThatAcceptsAContradiction() public {
        (uint256 id, AcceptListVerifier verifier) = _register("vk");
        verifier.accept(_claim(5, 1), "a");
        verifier.accept(_claim(5, 2), "b");
        vm.expectEmit();
        emit IModelRegistry.VersionStopped(id, ONE, OTHER);
        vm.prank(OTHER);
        registry.stopVersion(id, ONE, _claim(5, 1), "a", _claim(5, 2), "b");
        _expectUnusable(id, ONE, IModelRegistry.VersionStatus.Stopped);
        registry.route(id, ONE);
    }

    function test_RevertWhen_theClaimsDoNotContradict() public {
        (uint256 id, AcceptListVerifier verifier) = _register("vk");
        verifier.accept(_claim(5, 1), "a");
        verifier.accept(_claim(6, 2), "b");
        vm.expectRevert(IModelRegistry.NotAContradiction.selector);
        registry.stopVersion(id, ONE, _claim(5, 1), "a", _claim(6, 2), "b");
        vm.expectRevert(IModelRegistry.NotAContradiction.selector);
        registry.stopVersion(id, ONE, _claim(5, 1), "a", _claim(5, 1), "a");
        vm.expectRevert(IModelRegistry.NotAContradiction.selector);
        registry.stopVersion(id, ONE, new uint256[](2), "a", _claim(5, 1), "a");
    }

    function test_RevertWhen_oneOfTheContradictingProofsIsFalse() public {
        (uint256 id, AcceptListVerifier verifier) = _register("vk");
        verifier.accept(_claim(5, 1), "a");
        vm.expectRevert(IProofVerifier.ProofRejected.selector);
        registry.stopVersion(id, ONE, _claim(5, 1), "a", _claim(5, 2), "b");
        registry.route(id, ONE);
    }

    function test_RevertWhen_privateInputsExplainTheDifference() public {
        AcceptListVerifier verifier = _verifier("vk");
        IModelRegistry.VerifierBinding memory binding = _binding(verifier);
        binding.inputsArePublic = false;
        uint256 id = registry.registerModelWithVerifier(_commitment("vk"), binding);
        verifier.accept(_claim(5, 1), "a");
        verifier.accept(_claim(5, 2), "b");
        vm.expectRevert(IModelRegistry.NotAContradiction.selector);
        registry.stopVersion(id, ONE, _claim(5, 1), "a", _claim(5, 2), "b");
    }

    // --------------------------------------------------------------------------------------------- ownership

    function test_ownershipMovesInTwoSteps() public {
        (uint256 id,) = _register("vk");
        vm.prank(OWNER);
        registry.transferModel(id, OTHER);
        (,, address owner) = registry.getModel(id);
        vm.assertEq(owner, OWNER, "not yet");
        vm.assertEq(registry.pendingOwner(id), OTHER, "offered");
        vm.prank(OTHER);
        registry.acceptModel(id);
        (,, owner) = registry.getModel(id);
        vm.assertEq(owner, OTHER, "accepted");
        vm.prank(OTHER);
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.NotPendingOwner.selector, id, OTHER));
        registry.acceptModel(id);
    }

    function test_RevertWhen_callerIsNotTheModelsOwner() public {
        (uint256 id, AcceptListVerifier verifier) = _register("vk");
        bytes[] memory calls = new bytes[](8);
        calls[0] = abi.encodeCall(registry.updateModel, (id, _commitment("x")));
        calls[1] = abi.encodeCall(registry.updateModelWithVerifier, (id, _commitment("x"), _binding(verifier)));
        calls[2] = abi.encodeCall(registry.bindVerifier, (id, ONE, _binding(verifier)));
        calls[3] = abi.encodeCall(registry.deprecateModel, (id));
        calls[4] = abi.encodeCall(registry.removeVersion, (id, ONE));
        calls[5] = abi.encodeCall(registry.freezeModel, (id));
        calls[6] = abi.encodeCall(registry.thawModel, (id));
        calls[7] = abi.encodeCall(registry.transferModel, (id, OTHER));
        bytes memory expected = abi.encodeWithSelector(IERCZKMLRegistry.NotModelOwner.selector, id, OTHER);
        for (uint256 i = 0; i < calls.length; ++i) {
            vm.prank(OTHER);
            (bool ok, bytes memory reason) = address(registry).call(calls[i]);
            vm.assertEq(ok, false, "refused");
            vm.assertEq(reason, expected, "reason");
        }
    }

    function test_RevertWhen_theUpdateDelayIsAMistakeInUnits() public {
        vm.expectRevert(abi.encodeWithSelector(ModelRegistry.UpdateDelayTooLong.selector, 366 days));
        new ModelRegistry(366 days);
    }
}
