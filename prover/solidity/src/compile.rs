//! Solidity source to bytecode, through the project's pinned compiler.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use alloy_primitives::Bytes;
use foundry_compilers::artifacts::sourcemap::SourceMap;
use foundry_compilers::artifacts::{
    BytecodeHash, CompilerOutput, Contract, EvmVersion, Settings, SettingsMetadata, Severity, SolcInput, SolcLanguage,
    Source,
};
use foundry_compilers::solc::Solc;

use crate::error::{Error, Result};

/// Largest runtime code of a contract (EIP-170), in bytes.
pub const MAX_RUNTIME_BYTES: usize = 24_576;

/// Optimise for the cost of calls: a verifier is deployed once.
const OPTIMIZER_RUNS: usize = 1_000_000;

/// Path of a `solc` executable that understands `--version` and `--standard-json`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SolcPath(PathBuf);

impl SolcPath {
    /// A compiler at `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        SolcPath(path.into())
    }

    /// `script/solc` of a checkout: npm's `solc` in the version that `package.json` pins.
    pub fn in_repository(root: &Path) -> Self {
        SolcPath(root.join("script").join("solc"))
    }

    /// The path.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

/// A compiled contract.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// Code that deploys the contract.
    pub creation: Vec<u8>,
    /// Code that the deployed contract has, at most [`MAX_RUNTIME_BYTES`].
    pub runtime: Vec<u8>,
    /// The contract's ABI.
    pub abi: serde_json::Value,
    /// Full version of the compiler.
    pub compiler: String,
}

/// Compiles a source with exactly one deployable contract, for Cancun, optimised for calls, without
/// a metadata hash so that the same source gives the same bytes everywhere.
///
/// # Errors
/// No compiler at the path, a compiler that cannot be run, a source that does not compile or holds
/// another number of contracts than one, runtime code over [`MAX_RUNTIME_BYTES`].
pub fn compile(source: &str, solc: &SolcPath) -> Result<Compiled> {
    let mut compiled = compile_all(&[source], solc)?;
    compiled.pop().ok_or(Error::ContractCount { found: 0 })
}

/// Compiles several sources in one run of the compiler, whose start takes longer than a contract; the code is what
/// [`compile`] makes of each.
///
/// # Errors
/// As [`compile`], for the first source that has one.
pub fn compile_all(sources: &[&str], solc: &SolcPath) -> Result<Vec<Compiled>> {
    let file = |i: usize| PathBuf::from(format!("Verifier{i}.sol"));
    let input = SolcInput {
        language: SolcLanguage::Solidity,
        sources: sources.iter().enumerate().map(|(i, source)| (file(i), Source::new(*source))).collect(),
        settings: settings(),
    };
    run(&input, solc)
}

/// Runs the compiler; one contract for each source, in the order of the sources' names by number.
fn run(input: &SolcInput, solc: &SolcPath) -> Result<Vec<Compiled>> {
    let (mut output, version) = answer(input, solc)?;
    let mut files: Vec<&PathBuf> = input.sources.keys().collect();
    files.sort_by_key(|file| (file.as_os_str().len(), *file));
    let contracts = files.into_iter().map(|file| output.contracts.remove(file).unwrap_or_default());
    contracts.map(|file| compiled(file.into_values(), &version)).collect()
}

/// What the compiler answers where it finds no error, and its full version.
fn answer(input: &SolcInput, solc: &SolcPath) -> Result<(CompilerOutput, String)> {
    if !solc.0.exists() {
        return Err(Error::SolcMissing { path: solc.0.clone() });
    }
    let failed = |reason: String| Error::Solc { path: solc.0.clone(), reason };
    let compiler = Solc::new(&solc.0).map_err(|e| failed(e.to_string()))?;
    let output = compiler.compile(input).map_err(|e| failed(e.to_string()))?;
    let messages: Vec<String> =
        output.errors.iter().filter(|e| e.severity == Severity::Error).map(|e| e.message.clone()).collect();
    if messages.is_empty() { Ok((output, compiler.version.to_string())) } else { Err(Error::Compile { messages }) }
}

/// The input of the compiler for one source, as block explorers take it: standard JSON, the source as `Verifier.sol`.
pub fn standard_json(source: &str) -> String {
    let input = SolcInput {
        language: SolcLanguage::Solidity,
        sources: [(PathBuf::from("Verifier.sol"), Source::new(source))].into_iter().collect(),
        settings: settings(),
    };
    // A structure of strings and numbers has a JSON form.
    serde_json::to_string_pretty(&input).map(|text| text + "\n").unwrap_or_default()
}

/// Compiles what [`standard_json`] gave.
///
/// # Errors
/// As [`compile`], and where the input is not standard JSON.
pub fn compile_standard_json(input: &str, solc: &SolcPath) -> Result<Compiled> {
    let failed = |reason: String| Error::Solc { path: solc.0.clone(), reason };
    let input: SolcInput = serde_json::from_str(input).map_err(|e| failed(format!("its input is malformed: {e}")))?;
    let mut all = run(&input, solc)?;
    all.pop().ok_or(Error::ContractCount { found: 0 })
}

fn compiled(contracts: impl Iterator<Item = Contract>, version: &str) -> Result<Compiled> {
    let deployable: Vec<Contract> =
        contracts.filter(|contract| code(contract).is_some_and(|(creation, _)| !creation.is_empty())).collect();
    let [contract] = deployable.as_slice() else {
        return Err(Error::ContractCount { found: deployable.len() });
    };
    let (creation, runtime) = code(contract).unwrap_or_default();
    if runtime.len() > MAX_RUNTIME_BYTES {
        return Err(Error::CodeTooLarge { bytes: runtime.len() });
    }
    let abi = serde_json::to_value(&contract.abi).unwrap_or_default();
    Ok(Compiled { creation: creation.to_vec(), runtime: runtime.to_vec(), abi, compiler: version.to_owned() })
}

/// Runtime code of a source's contract and the map of its instructions.
pub(crate) fn mapped(source: &str, solc: &SolcPath) -> Result<(Vec<u8>, SourceMap)> {
    let (contracts, _) = contracts("Verifier.sol", source, settings(), solc)?;
    let deployed = contracts.into_values().find_map(|contract| contract.evm?.deployed_bytecode?.bytecode);
    let found = deployed.and_then(|code| Some((code.object.as_bytes()?.to_vec(), code.source_map()?.ok()?)));
    found.ok_or_else(|| Error::Solc { path: solc.0.clone(), reason: "it gives no map of the source".to_owned() })
}

/// The contracts of one source by name, and the compiler's full version.
pub(crate) fn contracts(
    file: &str,
    source: &str,
    settings: Settings,
    solc: &SolcPath,
) -> Result<(BTreeMap<String, Contract>, String)> {
    let sources = [(PathBuf::from(file), Source::new(source))].into_iter().collect();
    let (output, version) = answer(&SolcInput { language: SolcLanguage::Solidity, sources, settings }, solc)?;
    Ok((output.contracts.into_values().flatten().collect(), version))
}

/// Creation code and runtime code.
pub(crate) fn code(contract: &Contract) -> Option<(Bytes, Bytes)> {
    let evm = contract.evm.as_ref()?;
    let creation = evm.bytecode.as_ref()?.object.as_bytes()?.clone();
    let runtime = evm.deployed_bytecode.as_ref()?.bytecode.as_ref()?.object.as_bytes()?.clone();
    Some((creation, runtime))
}

pub(crate) fn settings() -> Settings {
    let mut settings = Settings {
        evm_version: Some(EvmVersion::Cancun),
        metadata: Some(SettingsMetadata {
            use_literal_content: None,
            bytecode_hash: Some(BytecodeHash::None),
            cbor_metadata: Some(false),
        }),
        ..Settings::default()
    };
    settings.optimizer.enable();
    settings.optimizer.runs(OPTIMIZER_RUNS);
    settings
}
