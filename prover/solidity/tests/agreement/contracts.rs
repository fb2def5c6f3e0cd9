//! Contracts in an EVM that watches their hashes.

use std::io::Write;
use std::process::{Command, Stdio};
use std::rc::Rc;

use alloy_primitives::{Address, Bytes, TxKind, U256};
use alloy_sol_types::{SolCall, sol};
use halo2_proofs::halo2curves::bn256::{Fq, Fr};
use revm::bytecode::opcode;
use revm::context::result::ExecutionResult;
use revm::context::{CfgEnv, Context, TxEnv};
use revm::database::{CacheDB, EmptyDB};
use revm::interpreter::Interpreter;
use revm::interpreter::interpreter_types::Jumps;
use revm::primitives::hardfork::SpecId;
use revm::{ExecuteCommitEvm, InspectEvm, Inspector, MainBuilder, MainContext};
use snark_verifier::loader::evm::EvmLoader;
use snark_verifier::system::halo2::transcript::evm::EvmTranscript;
use snark_verifier::verifier::SnarkVerifier;
use vouch_solidity::Key;

use crate::circuits;
use crate::mutation::{Case, R};
use crate::native::{Reference, Twin, Verdict, unpanicked};

sol! {
    #[allow(unreachable_pub)]
    function verify(uint256[] instances, bytes proof) external view;
}

/// Calldata of a generated verifier.
pub(crate) fn calldata(case: &Case) -> Vec<u8> {
    verifyCall { instances: case.instances.clone(), proof: Bytes::copy_from_slice(&case.proof) }.abi_encode()
}

/// Calldata of a contract of snark-verifier: instances and proof without lengths.
pub(crate) fn flat_calldata(case: &Case) -> Vec<u8> {
    let instances = case.instances.iter().flat_map(|word| word.to_be_bytes::<32>());
    instances.chain(case.proof.iter().copied()).collect()
}

/// Results of `KECCAK256`, in order: both kinds of contract hash the transcript and nothing else, so
/// these are the challenges before their reduction.
#[derive(Default)]
struct Hashes {
    hashing: bool,
    results: Vec<U256>,
}

impl<C> Inspector<C> for Hashes {
    fn step(&mut self, interpreter: &mut Interpreter, _: &mut C) {
        self.hashing = interpreter.bytecode.opcode() == opcode::KECCAK256;
    }

    fn step_end(&mut self, interpreter: &mut Interpreter, _: &mut C) {
        if std::mem::take(&mut self.hashing) {
            self.results.extend(interpreter.stack.data().last());
        }
    }
}

/// A contract on a chain of its own, without limits on the length of code: those of snark-verifier
/// are often too long for a real one.
pub(crate) struct Contract {
    database: CacheDB<EmptyDB>,
    address: Address,
}

fn without_limits(cfg: &mut CfgEnv) {
    cfg.set_spec_and_mainnet_gas_params(SpecId::CANCUN);
    cfg.disable_nonce_check = true;
    cfg.limit_contract_code_size = Some(usize::MAX);
    cfg.limit_contract_initcode_size = Some(usize::MAX);
}

fn transaction(kind: TxKind, data: Vec<u8>) -> TxEnv {
    TxEnv::builder().kind(kind).data(Bytes::from(data)).gas_limit(1 << 32).build().unwrap()
}

impl Contract {
    pub(crate) fn deploy(creation: &[u8]) -> Result<Self, String> {
        Contract::deploy_in(CacheDB::new(EmptyDB::default()), creation)
    }

    /// A shared verifier, and the contract with a key that calls it.
    pub(crate) fn deploy_shared(creation: &[u8], key: &Key) -> Result<Self, String> {
        let verifier = Contract::deploy(creation)?;
        let contract = key.contract(verifier.address);
        Contract::deploy_in(verifier.database, &contract.creation)
    }

    fn deploy_in(mut database: CacheDB<EmptyDB>, creation: &[u8]) -> Result<Self, String> {
        let mut evm = Context::mainnet().with_db(&mut database).modify_cfg_chained(without_limits).build_mainnet();
        let result = evm.transact_commit(transaction(TxKind::Create, creation.to_vec())).map_err(|e| e.to_string())?;
        drop(evm);
        let address = result.created_address().ok_or_else(|| format!("{result:?}"))?;
        Ok(Contract { database, address })
    }

    /// Accepted are calls that return nothing.
    pub(crate) fn verdict(&self, calldata: Vec<u8>) -> Verdict {
        let mut database = self.database.clone();
        let mut evm = Context::mainnet()
            .with_db(&mut database)
            .modify_cfg_chained(without_limits)
            .build_mainnet_with_inspector(Hashes::default());
        let outcome = evm.inspect_tx(transaction(TxKind::Call(self.address), calldata)).unwrap();
        let accepted = matches!(&outcome.result, ExecutionResult::Success { output, .. } if output.data().is_empty());
        let reduced = |hash: &U256| circuits::scalar(&(*hash % R).to_be_bytes::<32>());
        Verdict { accepted, challenges: evm.inspector.results.iter().map(reduced).collect() }
    }
}

/// Source of the contract that snark-verifier's EVM loader writes; the words of its panic where it
/// cannot.
pub(crate) fn reference_source(twin: &Twin, instances: usize) -> Result<String, String> {
    unpanicked(|| {
        let loader = EvmLoader::new::<Fq, Fr>();
        let protocol = twin.protocol.loaded(&loader);
        let mut transcript = EvmTranscript::<_, Rc<EvmLoader>, _, _>::new(&loader);
        let instances = transcript.load_instances(vec![instances]);
        let proof = Reference::read_proof(&twin.key, &protocol, &instances, &mut transcript).unwrap();
        Reference::verify(&twin.key, &protocol, &instances, &proof).unwrap();
        let source = loader.solidity_code();
        // It pins an older compiler than this repository does.
        let (_, contract) = source.split_once("contract").unwrap();
        format!("pragma solidity 0.8.30;\ncontract{contract}")
    })
}

/// Creation code without the optimizer, which is how snark-verifier compiles its contracts: with it
/// they need more stack than there is. One run of the compiler, or one a source where one of them
/// does not compile.
pub(crate) fn compile_unoptimised(sources: &[String]) -> Vec<Result<Vec<u8>, String>> {
    if sources.is_empty() {
        return Vec::new();
    }
    let file = |index: usize| format!("{index}.sol");
    let contents: serde_json::Map<_, _> =
        sources.iter().enumerate().map(|(i, source)| (file(i), serde_json::json!({ "content": source }))).collect();
    let input = serde_json::json!({
        "language": "Solidity",
        "sources": contents,
        "settings": { "outputSelection": { "*": { "*": ["evm.bytecode.object"] } } },
    });
    let mut solc = Command::new(circuits::solc().path())
        .arg("--standard-json")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    solc.stdin.take().unwrap().write_all(input.to_string().as_bytes()).unwrap();
    let output = solc.wait_with_output().unwrap().stdout;
    let output: serde_json::Value = serde_json::from_slice(&output).unwrap_or_default();
    let code = |index: usize| {
        let contract = output["contracts"][file(index)].as_object()?.values().next()?;
        hex::decode(contract["evm"]["bytecode"]["object"].as_str()?).ok().filter(|code| !code.is_empty())
    };
    let compiled: Vec<_> = (0..sources.len()).map(code).collect();
    if compiled.iter().all(Option::is_some) || sources.len() == 1 {
        let errors = output["errors"].as_array();
        let error = errors.and_then(|errors| errors.iter().find(|e| e["severity"] == "error"));
        let message = error.and_then(|error| error["message"].as_str()).unwrap_or("no message");
        let reason = message.lines().next().unwrap_or_default();
        return compiled.into_iter().map(|code| code.ok_or_else(|| reason.to_owned())).collect();
    }
    sources.iter().flat_map(|source| compile_unoptimised(std::slice::from_ref(source))).collect()
}
