// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";

import {InferenceVerifier} from "src/InferenceVerifier.sol";
import {ModelRegistry} from "src/ModelRegistry.sol";
import {IERCZKMLRegistry} from "src/interfaces/IERCZKMLRegistry.sol";
import {IERCZKMLStorageExtension} from "src/interfaces/IERCZKMLStorageExtension.sol";
import {IERCZKMLVerifier} from "src/interfaces/IERCZKMLVerifier.sol";
import {IModelRegistry} from "src/interfaces/IModelRegistry.sol";
import {Context} from "src/types/Statement.sol";
import {OutputSchema} from "src/types/OutputSchema.sol";

import {AcceptListVerifier} from "./base/AcceptListVerifier.sol";
import {GasBurner} from "./base/GasBurner.sol";
import {TestBase} from "./base/TestBase.sol";
import {vm} from "./base/Vm.sol";

contract InferenceVerifierTest is TestBase {
    bytes32 private constant VK = keccak256("vk");
    uint256 private constant NONCE = 77;
    bytes32 private constant ACTION = keccak256("action");

    ModelRegistry private registry;
    InferenceVerifier private inference;
    AcceptListVerifier private verifier;
    uint256 private modelId;

    bytes32 private commitment;
    bytes private output;
    bytes private proof;

    function setUp() public {
        registry = new ModelRegistry(1 days);
        inference = new InferenceVerifier(registry);
        verifier = new AcceptListVerifier(VK, 4);
        modelId = registry.registerModelWithVerifier(
            IERCZKMLRegistry.ModelCommitment({
                modelHash: keccak256("m"),
                circuitHash: keccak256("c"),
                vkHash: VK,
                proofSystemId: registry.PROOF_SYSTEM_ID(),
                uri: ""
            }),
            IModelRegistry.VerifierBinding({
                verifier: verifier,
                inputWords: 2,
                inputsArePublic: true,
                output: OutputSchema({count: 2, bits: 8, perWord: 31, exponent: 0, minimum: -10, maximum: 10})
            })
        );

        uint256[] memory inputs = new uint256[](2);
        (inputs[0], inputs[1]) = (11, 12);
        int256[] memory values = new int256[](2);
        (values[0], values[1]) = (-3, 10);
        commitment = inference.inputCommitmentOf(modelId, NONCE, inputs);
        output = abi.encode(values);
        proof = abi.encode(NONCE, ACTION, inputs, bytes("zk"));

        uint256[] memory instances = new uint256[](4);
        instances[0] = Context.unwrap(inference.contextFor(address(this), modelId, NONCE, ACTION));
        (instances[1], instances[2]) = (11, 12);
        instances[3] = uint256(128 - 3) | (uint256(128 + 10) << 8);
        verifier.accept(instances, "zk");
    }

    function test_verifiedInferenceIsAnnounced() public {
        vm.expectEmit();
        emit IERCZKMLVerifier.InferenceVerified(modelId, commitment, output, address(this));
        inference.verifyInference(modelId, commitment, output, proof);
    }

    function test_verifiedInferenceIsStoredUnderTheErcsId() public {
        bytes32 id = keccak256(abi.encodePacked(modelId, commitment, output));
        vm.expectRevert(abi.encodeWithSelector(InferenceVerifier.InferenceNotFound.selector, id));
        inference.getInference(id);
        vm.assertEq(inference.verifyAndStoreInference(modelId, commitment, output, proof), id, "id");
        (uint256 storedModel, bytes32 storedCommitment, bytes memory storedOutput) = inference.getInference(id);
        vm.assertEq(storedModel, modelId, "model");
        vm.assertEq(storedCommitment, commitment, "commitment");
        vm.assertEq(storedOutput, output, "output");
        vm.expectRevert(abi.encodeWithSelector(InferenceVerifier.InferenceAlreadyStored.selector, id));
        inference.verifyAndStoreInference(modelId, commitment, output, proof);
    }

    function test_interfacesAreAnnounced() public view {
        vm.assertTrue(inference.supportsInterface(type(IERC165).interfaceId), "ERC-165");
        vm.assertTrue(inference.supportsInterface(type(IERCZKMLVerifier).interfaceId), "verifier");
        vm.assertTrue(inference.supportsInterface(type(IERCZKMLStorageExtension).interfaceId), "storage");
        vm.assertEq(inference.registry(), address(registry), "registry");
        vm.assertEq(bytes32(inference.proofSystemOf(modelId)), bytes32(registry.PROOF_SYSTEM_ID()), "proof system");
    }

    function test_RevertWhen_anotherCallerUsesTheProof() public {
        vm.prank(actor("thief"));
        vm.expectRevert(IERCZKMLVerifier.InvalidProof.selector);
        inference.verifyInference(modelId, commitment, output, proof);
    }

    function test_RevertWhen_theInputCommitmentIsAnother() public {
        vm.expectRevert(IERCZKMLVerifier.InputCommitmentMismatch.selector);
        inference.verifyInference(modelId, keccak256("other"), output, proof);
    }

    function test_RevertWhen_theNonceIsAnother() public {
        uint256[] memory inputs = new uint256[](2);
        (inputs[0], inputs[1]) = (11, 12);
        bytes32 other = inference.inputCommitmentOf(modelId, NONCE + 1, inputs);
        proof = abi.encode(NONCE + 1, ACTION, inputs, bytes("zk"));
        vm.expectRevert(IERCZKMLVerifier.InvalidProof.selector);
        inference.verifyInference(modelId, other, output, proof);
    }

    function test_RevertWhen_theOutputIsNotOfTheSchema() public {
        int256[] memory values = new int256[](2);
        (values[0], values[1]) = (-3, 11);
        vm.expectRevert(IERCZKMLVerifier.OutputMismatch.selector);
        inference.verifyInference(modelId, commitment, abi.encode(values), proof);
        vm.expectRevert(IERCZKMLVerifier.OutputMismatch.selector);
        inference.verifyInference(modelId, commitment, abi.encode(new int256[](3)), proof);
        vm.expectRevert(IERCZKMLVerifier.OutputMismatch.selector);
        inference.verifyInference(modelId, commitment, bytes.concat(output, "trailing"), proof);
    }

    function test_RevertWhen_theOutputIsTampered() public {
        int256[] memory values = new int256[](2);
        (values[0], values[1]) = (-3, 9);
        vm.expectRevert(IERCZKMLVerifier.InvalidProof.selector);
        inference.verifyInference(modelId, commitment, abi.encode(values), proof);
    }

    function test_RevertWhen_theModelIsDeprecated() public {
        registry.deprecateModel(modelId);
        vm.expectRevert(abi.encodeWithSelector(IERCZKMLVerifier.VerificationRefused_ModelDeprecated.selector, modelId));
        inference.verifyInference(modelId, commitment, output, proof);
    }

    function test_RevertWhen_theProofSystemIsAnother() public {
        uint256 other = registry.registerModel(
            IERCZKMLRegistry.ModelCommitment({
                modelHash: 0, circuitHash: 0, vkHash: 0, proofSystemId: 0x01020304, uri: ""
            })
        );
        vm.expectRevert(abi.encodeWithSelector(IERCZKMLVerifier.UnsupportedProofSystem.selector, bytes4(0x01020304)));
        inference.verifyInference(other, commitment, output, proof);
    }

    function test_RevertWhen_theVerifiersCodeChanged() public {
        vm.etch(address(verifier), hex"00");
        vm.expectRevert(IERCZKMLVerifier.ModelMismatch.selector);
        inference.verifyInference(modelId, commitment, output, proof);
    }

    function test_RevertWhen_theRegisteredVerifierBurnsAllGas() public {
        (IERCZKMLRegistry.ModelCommitment memory c,,) = registry.getModel(modelId);
        uint256[] memory inputs = new uint256[](2);
        uint256 other = registry.registerModelWithVerifier(
            c,
            IModelRegistry.VerifierBinding({
                verifier: new GasBurner(VK, 4, false),
                inputWords: 2,
                inputsArePublic: true,
                output: OutputSchema({count: 2, bits: 8, perWord: 31, exponent: 0, minimum: -10, maximum: 10})
            })
        );
        bytes32 inputCommitment = inference.inputCommitmentOf(other, NONCE, inputs);
        vm.expectRevert(IERCZKMLVerifier.InvalidProof.selector);
        inference.verifyInference{gas: 5_000_000}(
            other, inputCommitment, output, abi.encode(NONCE, ACTION, inputs, bytes("zk"))
        );
    }

    function testFuzz_RevertWhen_theProofIsArbitraryBytes(
        bytes calldata junk
    ) public {
        vm.expectRevert();
        inference.verifyInference(modelId, commitment, output, junk);
    }
}
