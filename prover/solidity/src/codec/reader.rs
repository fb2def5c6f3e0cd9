//! The reader contract, compiled for callers off the chain.

use foundry_compilers::artifacts::output_selection::OutputSelection;
use serde_json::Value;

use super::layout::StatementLayout;
use crate::compile::{SolcPath, code, contracts, settings};
use crate::error::{Error, Result};

/// What a caller off the chain needs of a statement: an ABI of typed functions, what they do, and code to run them.
#[derive(Clone, Debug)]
pub struct CompiledReader {
    /// Name of the contract.
    pub contract: String,
    /// Its functions and errors.
    pub abi: Value,
    /// NatSpec for those who call it.
    pub userdoc: Value,
    /// NatSpec for those who program against it.
    pub devdoc: Value,
    /// Code that deploys it.
    pub creation: Vec<u8>,
    /// Code that the deployed contract has, also for a state override of `eth_call`. With many ports it may be longer
    /// than a chain lets anybody deploy.
    pub runtime: Vec<u8>,
    /// Full version of the compiler.
    pub compiler: String,
}

impl StatementLayout {
    /// Compiles [`StatementLayout::solidity`].
    ///
    /// # Errors
    /// No compiler at the path, or one that cannot be run.
    pub fn compile_reader(&self, solc: &SolcPath) -> Result<CompiledReader> {
        let mut settings = settings();
        let wanted = ["abi", "userdoc", "devdoc", "evm.bytecode.object", "evm.deployedBytecode.object"];
        settings.output_selection = OutputSelection::common_output_selection(wanted.map(str::to_owned));
        let (mut contracts, compiler) = contracts("Statement.sol", &self.solidity()?, settings, solc)?;
        let failed = |reason: String| Error::Solc { path: solc.path().to_owned(), reason };
        let contract = self.reader();
        let compiled = contracts.remove(&contract).ok_or_else(|| failed(format!("it left out {contract}")))?;
        let json = |value: serde_json::Result<Value>| value.map_err(|e| failed(e.to_string()));
        let (creation, runtime) = code(&compiled).ok_or_else(|| failed(format!("it gave no code of {contract}")))?;
        Ok(CompiledReader {
            abi: json(serde_json::to_value(&compiled.abi))?,
            userdoc: json(serde_json::to_value(&compiled.userdoc))?,
            devdoc: json(serde_json::to_value(&compiled.devdoc))?,
            contract,
            creation: creation.to_vec(),
            runtime: runtime.to_vec(),
            compiler,
        })
    }
}
