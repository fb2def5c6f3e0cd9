use std::{path::PathBuf, time::Instant};

use clap::{Args, ValueEnum};
use vouch_proof::{ProofFile, verify};
use vouch_solidity::{Rules, SourceParts, encode_calldata};

use super::solc_path;

use crate::{
    failure::Failure,
    model_dir::ModelDir,
    report::{Report, count},
    statement,
    verifier::{self, VerifierFile},
};

/// Verify a proof, natively or in an in-process EVM.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// Folder of the model, compiled and set up.
    dir: PathBuf,
    /// The proof.
    proof: PathBuf,
    /// Run the Solidity verifier's bytecode and report the exact gas.
    #[arg(long)]
    evm: bool,
    /// Rules that the EVM follows.
    #[arg(long, value_enum, default_value_t = EvmRules::Cancun)]
    rules: EvmRules,
    /// Say what the gas is for, by the parts of the verifier's source; needs the Solidity compiler.
    #[arg(long, requires = "evm")]
    gas_parts: bool,
    /// Solidity compiler; the repository's wrapper by default.
    #[arg(long, env = "VOUCH_SOLC")]
    solc: Option<PathBuf>,
}

/// Hard forks that gas is measured under.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum EvmRules {
    /// Cancun.
    Cancun,
    /// Prague.
    Prague,
    /// Osaka.
    Osaka,
}

impl From<EvmRules> for Rules {
    fn from(rules: EvmRules) -> Self {
        match rules {
            EvmRules::Cancun => Self::Cancun,
            EvmRules::Prague => Self::Prague,
            EvmRules::Osaka => Self::Osaka,
        }
    }
}

impl Verify {
    pub(crate) fn execute(self) -> Result<Report, Failure> {
        let dir = ModelDir::new(&self.dir);
        let model = dir.load()?;
        let key = dir.load_verifying_key(&model)?;
        let proof = ProofFile::read(&self.proof)?.proof_for(&key, &self.proof)?;
        let layout = statement::layout(&model)?;
        let mut report = Report::new();
        let start = Instant::now();
        if !self.evm {
            verify(&key, &proof)?;
            let seconds = start.elapsed().as_secs_f64();
            report.line(format!("verified in {:.1} ms", seconds * 1e3));
            report.set("verified", true).set("seconds", seconds);
            report.set("statement", statement::read(&layout, &proof.instances)?);
            return Ok(report);
        }
        let file = VerifierFile::load(&dir, model.digest, &key)?;
        let map = match self.gas_parts {
            true => {
                let source = verifier::source(&key, file.form)?;
                Some(SourceParts::compile(&source, &solc_path(self.solc.as_deref())?)?)
            }
            false => None,
        };
        let calldata = encode_calldata(&proof.instances, &proof.bytes);
        let call = file.call(self.rules.into(), &calldata, map.as_ref())?;
        let outcome = call.outcome;
        let seconds = start.elapsed().as_secs_f64();
        if !outcome.verified {
            let name = outcome.error_name.unwrap_or_else(|| "no named error".to_owned());
            let message = format!("the Solidity verifier refuses {}: {name}", self.proof.display());
            return Err(Failure::new("proof_refused", message, "prove the inference again"));
        }
        report.line(format!("verified by the Solidity verifier under {:?} rules", self.rules));
        report
            .row("gas, whole transaction", count(outcome.gas))
            .row("gas, execution", count(outcome.execution_gas))
            .row("calldata", format!("{} bytes", count(outcome.calldata_bytes as u64)))
            .row("verifier", format!("{} bytes of runtime code", count(file.runtime_bytes as u64)));
        if let Some(gas) = call.key_gas {
            report.row("key", format!("{} gas to deploy beside a verifier of the shape", count(gas)));
            report.set("key_gas", gas);
        }
        if self.gas_parts {
            report.line("gas by part:");
            for part in &call.parts {
                let calls = part.calls.map_or_else(String::new, |calls| format!("{calls} "));
                report.line(format!("  {:>9}  {calls}{}", count(part.gas), part.name));
            }
            report.set("gas_parts", &call.parts);
        }
        report
            .set("verified", true)
            .set("seconds", seconds)
            .set("gas", outcome.gas)
            .set("execution_gas", outcome.execution_gas)
            .set("calldata_bytes", outcome.calldata_bytes)
            .set("runtime_bytes", file.runtime_bytes)
            .set("deploy_gas", call.deploy_gas)
            .set("statement", statement::read(&layout, &proof.instances)?);
        Ok(report)
    }
}
