//! An in-process EVM that deploys a verifier and calls it, with exact gas.

use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use alloy_sol_types::SolCall;
use revm::context::result::ExecutionResult;
use revm::context::{Context, TxEnv};
use revm::database::{CacheDB, EmptyDB};
use revm::primitives::hardfork::SpecId;
use revm::{ExecuteCommitEvm, ExecuteEvm, InspectEvm, MainBuilder, MainContext};

use crate::calldata::{INSTANCE_COUNTCall, SRS_DIGESTCall, VK_DIGESTCall};
use crate::error::{Error, Result};
use crate::generate::Failure;
use crate::model::Key;
use crate::profile::{GasPart, Profiler, SourceParts};

/// Gas limit of a transaction for which nobody says another: the cap of EIP-7825.
const GAS_LIMIT: u64 = 1 << 24;
/// Gas that every transaction costs.
const TRANSACTION_GAS: u64 = 21_000;
/// Gas of a zero and of another byte of calldata (EIP-2028).
const ZERO_BYTE_GAS: u64 = 4;
const BYTE_GAS: u64 = 16;

/// The rules that gas is counted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rules {
    /// March 2024; the oldest rules that verifiers run under.
    #[default]
    Cancun,
    /// May 2025; calldata has a floor price (EIP-7623).
    Prague,
    /// December 2025; modular exponentiation costs more (EIP-7883).
    Osaka,
}

/// A chain with nothing on it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Evm {
    rules: Rules,
}

/// A verifier in a chain of its own.
#[derive(Clone)]
pub struct DeployedVerifier {
    database: CacheDB<EmptyDB>,
    rules: Rules,
    gas_limit: u64,
    address: Address,
    runtime: Bytes,
    deploy_gas: u64,
}

/// A shared verifier and a contract with a key that calls it, in a chain of their own.
#[derive(Clone)]
pub struct SharedDeployment {
    /// The verifier of the shape. Called itself it finds no key.
    pub verifier: DeployedVerifier,
    /// The contract with the key: what consumers call.
    pub model: DeployedVerifier,
}

/// What a call to `verify` did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvmOutcome {
    /// The call returned, and returned nothing: the verifier accepts.
    pub verified: bool,
    /// Why it did not: name of the error, `EmptyRevert`, `UnknownError`, or the EVM's reason to
    /// halt.
    pub error_name: Option<String>,
    /// Arguments of a named error.
    pub error_arguments: Vec<U256>,
    /// Gas used by the code itself.
    pub execution_gas: u64,
    /// Gas of the whole transaction: base, calldata and execution, with the floor for calldata
    /// where the rules have one.
    pub gas: u64,
    /// Bytes of calldata.
    pub calldata_bytes: usize,
    /// Bytes of the called contract's runtime code.
    pub runtime_bytes: usize,
}

/// What a contract answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It returned these bytes.
    Returned(Vec<u8>),
    /// It reverted with these bytes.
    Reverted(Vec<u8>),
    /// The EVM stopped it, for this reason.
    Halted(String),
}

impl Evm {
    /// A chain that follows `rules`.
    pub fn new(rules: Rules) -> Self {
        Evm { rules }
    }

    /// Deploys a contract by its creation code.
    ///
    /// # Errors
    /// The constructor reverts, or the code is over the limits of EIP-170 and EIP-3860.
    pub fn deploy(&self, creation: &[u8]) -> Result<DeployedVerifier> {
        self.deploy_beside(CacheDB::new(EmptyDB::default()), creation)
    }

    /// Deploys a shared verifier by its creation code (with the constructor's argument, see
    /// [`shared_creation`](crate::shared_creation)), and a contract with a key that calls it.
    ///
    /// # Errors
    /// As [`Evm::deploy`].
    pub fn deploy_shared(&self, creation: &[u8], key: &Key) -> Result<SharedDeployment> {
        let verifier = self.deploy(creation)?;
        let contract = key.contract(verifier.address);
        let model = self.deploy_beside(verifier.database.clone(), &contract.creation)?;
        Ok(SharedDeployment { verifier, model })
    }

    fn deploy_beside(&self, mut database: CacheDB<EmptyDB>, creation: &[u8]) -> Result<DeployedVerifier> {
        let tx = transaction(TxKind::Create, creation, GAS_LIMIT)?;
        let refused = |reason: String| Error::Deployment { reason };
        let mut evm = Context::mainnet()
            .with_db(&mut database)
            .modify_cfg_chained(|cfg| configure(cfg, self.rules))
            .build_mainnet();
        let result = evm.transact_commit(tx).map_err(|e| refused(e.to_string()))?;
        drop(evm);
        let deploy_gas = result.tx_gas_used();
        let Some(address) = result.created_address() else {
            return Err(refused(format!("{result:?}")));
        };
        let account = database.load_account(address).map_err(|e| refused(e.to_string()))?;
        let runtime = account.info.code.as_ref().map(|code| code.original_bytes()).unwrap_or_default();
        Ok(DeployedVerifier { database, rules: self.rules, gas_limit: GAS_LIMIT, address, runtime, deploy_gas })
    }
}

impl DeployedVerifier {
    /// The verifier, called with `gas` as every transaction's limit. Without this it is the cap of EIP-7825, 2^24.
    #[must_use]
    pub fn with_gas_limit(self, gas: u64) -> Self {
        DeployedVerifier { gas_limit: gas, ..self }
    }

    /// Sends calldata to the verifier in a transaction of its own; nothing is kept afterwards.
    ///
    /// # Errors
    /// The transaction is refused before it runs, for example because calldata alone costs more
    /// than the gas limit.
    pub fn verify(&self, calldata: &[u8]) -> Result<EvmOutcome> {
        let result = self.call(calldata)?;
        let intrinsic = TRANSACTION_GAS + calldata_gas(calldata);
        let (error_name, error_arguments) = match &result {
            ExecutionResult::Success { output, .. } if output.data().is_empty() => (None, vec![]),
            ExecutionResult::Success { .. } => (Some("UnexpectedOutput".to_owned()), vec![]),
            ExecutionResult::Revert { output, .. } => {
                let (name, arguments) = decode(output);
                (Some(name), arguments)
            }
            ExecutionResult::Halt { reason, .. } => (Some(format!("{reason:?}")), vec![]),
        };
        Ok(EvmOutcome {
            verified: error_name.is_none(),
            error_name,
            error_arguments,
            execution_gas: result.gas().total_gas_spent().saturating_sub(intrinsic),
            gas: result.tx_gas_used(),
            calldata_bytes: calldata.len(),
            runtime_bytes: self.runtime.len(),
        })
    }

    /// Gas of a transaction that verifies, by the parts of the verifier's source; the sum is [`EvmOutcome::gas`] where
    /// no floor of calldata binds.
    ///
    /// # Errors
    /// The transaction is refused before it runs.
    pub fn profile(&self, calldata: &[u8], parts: &SourceParts) -> Result<Vec<GasPart>> {
        let tx = transaction(TxKind::Call(self.address), calldata, self.gas_limit)?;
        let mut profiler = Profiler::new(parts);
        let mut database = self.database.clone();
        let mut evm = Context::mainnet()
            .with_db(&mut database)
            .modify_cfg_chained(|cfg| configure(cfg, self.rules))
            .build_mainnet_with_inspector(&mut profiler);
        evm.inspect_tx(tx).map_err(|e| Error::Transaction { reason: e.to_string() })?;
        drop(evm);
        let part = |name: &str, gas| GasPart { name: name.to_owned(), calls: None, gas };
        let mut parts = vec![part("transaction", TRANSACTION_GAS), part("calldata", calldata_gas(calldata))];
        parts.extend(profiler.finish());
        Ok(parts)
    }

    /// Size of the runtime code, in bytes.
    pub fn runtime_bytes(&self) -> usize {
        self.runtime.len()
    }

    /// The deployed code.
    pub fn runtime(&self) -> &[u8] {
        &self.runtime
    }

    /// Gas of the transaction that deployed the verifier.
    pub fn deploy_gas(&self) -> u64 {
        self.deploy_gas
    }

    /// Digest of the verifying key, as the contract publishes it.
    ///
    /// # Errors
    /// The contract has no such function.
    pub fn vk_digest(&self) -> Result<B256> {
        self.read::<VK_DIGESTCall>(&VK_DIGESTCall {})
    }

    /// Digest of the powers of tau, as the contract publishes it.
    ///
    /// # Errors
    /// The contract has no such function.
    pub fn srs_digest(&self) -> Result<B256> {
        self.read::<SRS_DIGESTCall>(&SRS_DIGESTCall {})
    }

    /// Number of instances, as the contract publishes it.
    ///
    /// # Errors
    /// The contract has no such function.
    pub fn instance_count(&self) -> Result<U256> {
        self.read::<INSTANCE_COUNTCall>(&INSTANCE_COUNTCall {})
    }

    /// Calls any function, for its bytes; nothing is kept afterwards.
    ///
    /// # Errors
    /// The transaction is refused before it runs.
    pub fn ask(&self, calldata: &[u8]) -> Result<Answer> {
        Ok(match self.call(calldata)? {
            ExecutionResult::Success { output, .. } => Answer::Returned(output.data().to_vec()),
            ExecutionResult::Revert { output, .. } => Answer::Reverted(output.to_vec()),
            ExecutionResult::Halt { reason, .. } => Answer::Halted(format!("{reason:?}")),
        })
    }

    fn read<C: SolCall>(&self, call: &C) -> Result<C::Return> {
        let result = self.call(&call.abi_encode())?;
        let output = match &result {
            ExecutionResult::Success { output, .. } => output.data().clone(),
            _ => return Err(Error::Transaction { reason: format!("{} failed", C::SIGNATURE) }),
        };
        C::abi_decode_returns(&output).map_err(|e| Error::Transaction { reason: e.to_string() })
    }

    fn call(&self, calldata: &[u8]) -> Result<ExecutionResult> {
        let tx = transaction(TxKind::Call(self.address), calldata, self.gas_limit)?;
        let mut database = self.database.clone();
        let mut evm = Context::mainnet()
            .with_db(&mut database)
            .modify_cfg_chained(|cfg| configure(cfg, self.rules))
            .build_mainnet();
        let outcome = evm.transact(tx).map_err(|e| Error::Transaction { reason: e.to_string() })?;
        Ok(outcome.result)
    }
}

/// Gas of calldata, floors aside.
fn calldata_gas(calldata: &[u8]) -> u64 {
    let zeros = calldata.iter().filter(|byte| **byte == 0).count() as u64;
    ZERO_BYTE_GAS * zeros + BYTE_GAS * (calldata.len() as u64 - zeros)
}

fn configure(cfg: &mut revm::context::CfgEnv, rules: Rules) {
    cfg.set_spec_and_mainnet_gas_params(match rules {
        Rules::Cancun => SpecId::CANCUN,
        Rules::Prague => SpecId::PRAGUE,
        Rules::Osaka => SpecId::OSAKA,
    });
    // One sender makes every transaction, each against the state right after deployment.
    cfg.disable_nonce_check = true;
}

fn transaction(kind: TxKind, data: &[u8], gas_limit: u64) -> Result<TxEnv> {
    TxEnv::builder()
        .kind(kind)
        .data(Bytes::copy_from_slice(data))
        .gas_limit(gas_limit)
        .build()
        .map_err(|e| Error::Transaction { reason: format!("{e:?}") })
}

/// Name and arguments of a revert's data.
fn decode(data: &[u8]) -> (String, Vec<U256>) {
    let Some((selector, arguments)) = data.split_first_chunk::<4>() else {
        return ("EmptyRevert".to_owned(), vec![]);
    };
    let known =
        Failure::ALL.into_iter().find(|f| f.selector() == *selector && 32 * f.arguments().len() == arguments.len());
    match known {
        Some(failure) => (failure.name().to_owned(), arguments.chunks_exact(32).map(U256::from_be_slice).collect()),
        None => ("UnknownError".to_owned(), vec![]),
    }
}
