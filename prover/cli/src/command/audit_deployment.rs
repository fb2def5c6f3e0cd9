use std::{fmt, path::PathBuf};

use alloy::{
    hex,
    primitives::{B256, Bytes, U256, keccak256},
    providers::{Provider, ProviderBuilder},
    sol_types::SolValue,
};
use clap::Args;
use serde::Serialize;
use vouch_proof::{ProvingKey, VerifyingKey};
use vouch_relayer::{
    RpcUrl,
    contracts::ModelRegistry::{ModelRegistryInstance, getVersionReturn},
};
use vouch_solidity::{Evm, Rules};

use super::{compile::Recompile, deploy::binding, relay::runtime};
use crate::{
    bill::{Bill, Contract, Deployment, Material, Registration, Setup},
    failure::Failure,
    model_dir::{Model, ModelDir},
    progress,
    report::Report,
    verifier::VerifierFile,
};

/// Check a deployment from the ONNX file to the code on the chain: everything is made again and compared.
///
/// Needs the model's folder with its bill of materials and, for the first links, the ONNX file and its calibration data.
#[derive(Debug, Args)]
pub(crate) struct AuditDeployment {
    /// Folder of the model.
    dir: PathBuf,
    /// Where the chain listens.
    #[arg(long)]
    rpc_url: RpcUrl,
    /// The ONNX file.
    #[arg(long, requires = "calibrate")]
    onnx: Option<PathBuf>,
    /// The data that it was calibrated on.
    #[arg(long, requires = "onnx")]
    calibrate: Option<PathBuf>,
    /// Solidity compiler, for verifiers that are not compiled already; the repository's wrapper by default.
    #[arg(long, env = "VOUCH_SOLC")]
    solc: Option<PathBuf>,
}

/// One comparison.
#[derive(Debug, Serialize)]
struct Link {
    what: String,
    holds: bool,
    expected: String,
    found: String,
}

#[derive(Debug, Default)]
struct Chain(Vec<Link>);

impl Chain {
    fn same(&mut self, what: impl Into<String>, expected: impl fmt::Display, found: impl fmt::Display) {
        let (expected, found) = (expected.to_string(), found.to_string());
        self.0.push(Link { what: what.into(), holds: expected == found, expected, found });
    }
}

impl AuditDeployment {
    pub(crate) fn execute(self) -> Result<Report, Failure> {
        let dir = ModelDir::new(&self.dir);
        let bill = Bill::load(&dir)?;
        let model = dir.load()?;
        let mut chain = Chain::default();
        self.model(&bill, &model, &mut chain)?;
        let Some(setup) = &bill.setup else {
            return Err(Failure::new("not_set_up", "the bill names no setup", "run `vouch setup` first"));
        };
        let key = rebuilt_key(&dir, &model)?;
        let (made, source) = VerifierFile::generate(&key, &model.plan.shape, setup.form, self.solc.as_deref())?;
        let rebuilt = Setup::of(&made, &source, &key, dir.load_powers(&key)?.provenance());
        compare_setups(setup, &rebuilt, &mut chain);
        runtime()?.block_on(self.deployments(&bill, &model, &made, &mut chain))?;
        report(chain, setup)
    }

    /// From the ONNX file to the circuit.
    fn model(&self, bill: &Bill, model: &Model, chain: &mut Chain) -> Result<(), Failure> {
        if let (Some(onnx), Some(calibrate)) = (&self.onnx, &self.calibrate) {
            chain.same("ONNX file", bill.model.onnx.keccak256, Material::of(onnx)?.keccak256);
            chain.same("calibration data", bill.model.calibration.keccak256, Material::of(calibrate)?.keccak256);
            let graph = Recompile::graph(onnx, calibrate, &bill.model.options)?;
            chain.same("integer model", keccak256(model.graph.to_json()?), keccak256(graph.to_json()?));
        }
        chain.same("circuit", bill.model.circuit, model.digest);
        Ok(())
    }

    async fn deployments(
        &self,
        bill: &Bill,
        model: &Model,
        made: &VerifierFile,
        chain: &mut Chain,
    ) -> Result<(), Failure> {
        let provider = ProviderBuilder::new().connect_http(self.rpc_url.url().clone());
        let id = provider.get_chain_id().await.map_err(|error| self.rpc(&error))?;
        let here: Vec<_> = bill.deployments.iter().filter(|at| at.chain_id == id).collect();
        if here.is_empty() {
            let message = format!("the bill names no contract on chain {id}");
            return Err(Failure::new("not_deployed", message, "deploy with `vouch deploy`, or ask the right chain"));
        }
        for deployment in here {
            self.contracts(&provider, deployment, made, chain).await?;
            if let Some(registration) = &deployment.registration {
                self.registration(&provider, (deployment, registration), (bill, model), chain).await?;
            }
        }
        Ok(())
    }

    /// The code at the addresses is what the verifier's source and the key give.
    async fn contracts(
        &self,
        provider: &impl Provider,
        deployment: &Deployment,
        made: &VerifierFile,
        chain: &mut Chain,
    ) -> Result<(), Failure> {
        let program = Evm::new(Rules::Cancun).deploy(&made.creation)?.runtime().to_vec();
        let expected = match (made.key(), &deployment.shape_verifier) {
            (Some(key), Some(shape)) => {
                self.code(provider, "code of the shape's verifier", (shape, &program), chain).await?;
                key.contract(shape.address).runtime
            }
            _ => program,
        };
        self.code(provider, "code of the model's verifier", (&deployment.verifier, &expected), chain).await
    }

    async fn code(
        &self,
        provider: &impl Provider,
        what: &str,
        (contract, expected): (&Contract, &[u8]),
        chain: &mut Chain,
    ) -> Result<(), Failure> {
        let code: Bytes = provider.get_code_at(contract.address).await.map_err(|error| self.rpc(&error))?;
        let what = format!("{what} at {}", contract.address);
        chain.same(&what, keccak256(expected), keccak256(&code));
        chain.same(format!("{what}, in the bill"), keccak256(expected), contract.code_hash);
        Ok(())
    }

    /// The registry has the model under its digests, with this verifier, usable now.
    async fn registration(
        &self,
        provider: &impl Provider,
        (deployment, at): (&Deployment, &Registration),
        (bill, model): (&Bill, &Model),
        chain: &mut Chain,
    ) -> Result<(), Failure> {
        let registry = ModelRegistryInstance::new(at.registry, provider);
        let id: U256 = at
            .model_id
            .parse()
            .map_err(|_| Failure::new("bill_malformed", format!("{} is no model id", at.model_id), "deploy again"))?;
        let version = registry.getVersion(id, at.version).call().await.map_err(|error| self.rpc(&error))?;
        let getVersionReturn { commitment, binding: bound, .. } = version;
        let circuit = B256::from(*bill.model.circuit.as_bytes());
        let what = |part: &str| format!("{part} of model {id} in {}", at.registry);
        let verifying_key = bill.setup.as_ref().map(|setup| setup.verifying_key).unwrap_or_default();
        chain.same(what("model hash"), circuit, commitment.modelHash);
        chain.same(what("verifying key"), verifying_key, commitment.vkHash);
        chain.same(what("verifier"), deployment.verifier.address, bound.verifier);
        let expected = binding(model, deployment.verifier.address)?;
        chain.same(what("binding"), hex::encode(expected.abi_encode()), hex::encode(bound.abi_encode()));
        let pinned = match registry.route(id, at.version).call().await {
            Ok(route) => route.codeHash.to_string(),
            Err(_) => "not usable now".to_owned(),
        };
        chain.same(what("pinned code hash"), deployment.verifier.code_hash, pinned);
        Ok(())
    }

    fn rpc(&self, error: &dyn std::error::Error) -> Failure {
        Failure::rpc(&self.rpc_url, error)
    }
}

/// The key of the folder's model and powers of tau, made anew.
fn rebuilt_key(dir: &ModelDir, model: &Model) -> Result<VerifyingKey, Failure> {
    let kept = dir.load_verifying_key(model)?;
    let srs = dir.load_powers(&kept)?;
    let estimate = std::time::Duration::from_secs_f64(model.plan.predicted.prove_seconds * 2.0);
    let blank = model.blank()?;
    let key = progress::timed("making keys", estimate, || ProvingKey::generate(&srs, &blank, model.spec()))?;
    Ok(key.verifying().clone())
}

fn compare_setups(bill: &Setup, rebuilt: &Setup, chain: &mut Chain) {
    let digest = |key: &Option<B256>| key.unwrap_or_default();
    chain.same("powers of tau", bill.srs, rebuilt.srs);
    chain.same("provenance of the powers of tau", &bill.provenance, &rebuilt.provenance);
    chain.same("verifying key", bill.verifying_key, rebuilt.verifying_key);
    chain.same("shape", &bill.shape, &rebuilt.shape);
    chain.same("Solidity source", bill.source, rebuilt.source);
    chain.same("Solidity compiler", &bill.compiler, &rebuilt.compiler);
    chain.same("creation code", bill.creation, rebuilt.creation);
    chain.same("key", digest(&bill.key), digest(&rebuilt.key));
}

fn report(chain: Chain, setup: &Setup) -> Result<Report, Failure> {
    let Chain(links) = chain;
    if let Some(broken) = links.iter().find(|link| !link.holds) {
        let others = links.iter().filter(|link| !link.holds).count() - 1;
        let more = if others == 0 { String::new() } else { format!("; {others} other links break too") };
        return Err(Failure::new(
            "audit_failed",
            format!("{}: {} was expected, {} was found{more}", broken.what, broken.expected, broken.found),
            "do not rely on this deployment until somebody has explained the difference",
        ));
    }
    let mut report = Report::new();
    for link in &links {
        report.line(format!("  ok  {}: {}", link.what, link.found));
    }
    report.line(format!("{} links hold", links.len()));
    if setup.provenance.is_insecure() {
        report.line("INSECURE: the setup's secret is known, so its proofs convince nobody");
    }
    report.set("links", &links).set("insecure", setup.provenance.is_insecure());
    Ok(report)
}
