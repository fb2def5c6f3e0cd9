use std::path::PathBuf;

use alloy::{
    hex,
    primitives::{Address, keccak256},
    providers::{Provider, ProviderBuilder},
};
use clap::Args;
use vouch_relayer::RpcUrl;
use vouch_solidity::{Evm, Rules, compile_standard_json};

use super::{doctor::solc_path, relay::runtime};
use crate::{
    failure::Failure,
    model_dir::{ModelDir, read},
    report::Report,
    verifier::{Form, VerifierFile},
};

/// Compile a model's Solidity source again and compare the code, with the folder's and with a chain's.
///
/// The input of the compiler is `verifier.input.json`, which block explorers take for verifying a source, with the
/// constructor's arguments that this command prints.
#[derive(Debug, Args)]
pub(crate) struct VerifySource {
    /// Folder of the model.
    dir: PathBuf,
    /// Where a chain listens on which the verifier is deployed.
    #[arg(long, requires = "address")]
    rpc_url: Option<RpcUrl>,
    /// Address of the verifier there: the shape's, or the model's where the key is inside.
    #[arg(long, requires = "rpc_url")]
    address: Option<Address>,
    /// Solidity compiler; the repository's wrapper by default.
    #[arg(long, env = "VOUCH_SOLC")]
    solc: Option<PathBuf>,
}

impl VerifySource {
    pub(crate) fn execute(self) -> Result<Report, Failure> {
        let dir = ModelDir::new(&self.dir);
        let model = dir.load()?;
        let key = dir.load_verifying_key(&model)?;
        let file = VerifierFile::load(&dir, model.digest, &key)?;
        let input = String::from_utf8_lossy(&read(&dir.verifier_input())?).into_owned();
        let compiled = compile_standard_json(&input, &solc_path(self.solc.as_deref())?)?;
        let Some(arguments) = file.creation.strip_prefix(compiled.creation.as_slice()) else {
            return Err(Failure::new(
                "other_source",
                format!(
                    "{} compiles to other code than that of {}",
                    dir.verifier_input().display(),
                    dir.verifier().display()
                ),
                "run `vouch setup` again, with the compiler that verifier.json names",
            ));
        };
        let runtime_code = Evm::new(Rules::Cancun).deploy(&file.creation)?.runtime().to_vec();
        let mut report = Report::new();
        report.line(format!("the source of {} gives its code", file.contract));
        report
            .row("compiler", &compiled.compiler)
            .row("input of the compiler", dir.verifier_input().display())
            .row("constructor arguments", if arguments.is_empty() { "none".to_owned() } else { hex::encode(arguments) })
            .row("hash of the code", keccak256(&runtime_code));
        if let (Some(rpc_url), Some(address)) = (&self.rpc_url, self.address) {
            runtime()?.block_on(compare(rpc_url, address, &runtime_code, file.form))?;
            report.row("on chain", format!("the same at {address}"));
        }
        report
            .set("contract", &file.contract)
            .set("compiler", &compiled.compiler)
            .set("constructor_arguments", hex::encode(arguments))
            .set("code_hash", keccak256(&runtime_code))
            .set("address", self.address);
        Ok(report)
    }
}

async fn compare(rpc_url: &RpcUrl, address: Address, expected: &[u8], form: Form) -> Result<(), Failure> {
    let provider = ProviderBuilder::new().connect_http(rpc_url.url().clone());
    let code = provider.get_code_at(address).await.map_err(|error| Failure::rpc(rpc_url, &error))?;
    if *code == *expected {
        return Ok(());
    }
    let remedy = match form {
        Form::Shared => "give the address of the shape's verifier, which `vouch deploy` printed",
        Form::Single => "give the address that `vouch deploy` printed",
    };
    let message = match code.len() {
        0 => format!("there is no code at {address}"),
        _ => format!("the code at {address} is not what the source gives"),
    };
    Err(Failure::new("other_code", message, remedy))
}
