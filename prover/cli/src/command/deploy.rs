use std::path::PathBuf;

use alloy::{
    contract,
    network::TransactionBuilder,
    primitives::{Address, B256, U256, keccak256},
    providers::{Provider, ProviderBuilder},
    rpc::types::TransactionRequest,
    signers::local::PrivateKeySigner,
};
use clap::Args;
use vouch_circuit::WeightPlacement;
use vouch_graph::int::Visibility;
use vouch_proof::{
    VerifyingKey,
    srs::{INSECURE, Provenance},
};
use vouch_relayer::{
    Revert, RpcUrl,
    contracts::ModelRegistry::{
        ModelCommitment, ModelRegistered, ModelRegistryInstance, OutputSchema, VerifierBinding,
    },
    is_development_chain,
};
use vouch_solidity::{Compiled, compile};

use super::{doctor::solc_path, relay::runtime, setup::verifier_source};
use crate::{
    failure::Failure,
    model_dir::{Model, ModelDir},
    report::{Report, count},
};

/// Deploy a model's verifier and register the model.
#[derive(Debug, Args)]
pub(crate) struct Deploy {
    /// Folder of the model, compiled and set up.
    dir: PathBuf,
    /// Where the chain listens.
    #[arg(long)]
    rpc_url: RpcUrl,
    /// Environment variable that holds the key which pays.
    #[arg(long, default_value = "VOUCH_DEPLOYER_KEY")]
    key_env: String,
    /// Registry to register the model in; the verifier alone is deployed without.
    #[arg(long)]
    registry: Option<Address>,
    /// Where the model can be read about.
    #[arg(long, default_value = "")]
    uri: String,
    /// Deploy a verifier that rests on a setup whose secret is known to a chain that is not for development.
    #[arg(long)]
    force_insecure: bool,
    /// Deploy the verifier of a model with private weights: it accepts proofs made with any weights.
    #[arg(long)]
    accept_unbound_weights: bool,
    /// Solidity compiler; the repository's wrapper by default.
    #[arg(long, env = "VOUCH_SOLC")]
    solc: Option<PathBuf>,
}

impl Deploy {
    pub(crate) fn execute(self) -> Result<Report, Failure> {
        let dir = ModelDir::new(&self.dir);
        let model = dir.load()?;
        let key = dir.load_verifying_key(&model)?;
        let verifier = self.checked_verifier(&dir, &model, &key)?;
        if model.plan.shape.weights == WeightPlacement::Private && !self.accept_unbound_weights {
            return Err(Failure::new(
                "unbound_weights",
                format!("the weights of {} are private, and its verifying key does not bind them", model.graph.name),
                "compile with --params public, or accept with --accept-unbound-weights that any weights prove",
            ));
        }
        let secret = std::env::var(&self.key_env).map_err(|_| {
            Failure::new(
                "key_missing",
                format!("the variable {} is not set", self.key_env),
                "set it to the key of the account that pays",
            )
        })?;
        let signer: PrivateKeySigner = secret.parse().map_err(|_| {
            // The key itself goes into no message.
            Failure::new(
                "key_malformed",
                format!("the variable {} holds no private key", self.key_env),
                "set it to 0x and 64 hexadecimal digits",
            )
        })?;
        let provenance = dir.load_powers(&key)?.provenance().clone();
        runtime()?.block_on(self.deploy(&model, &key, &verifier, &provenance, signer))
    }

    /// Generates and compiles the verifier anew: what is deployed is what the verifying key gives, whatever the
    /// folder's `verifier.json` says.
    fn checked_verifier(&self, dir: &ModelDir, model: &Model, key: &VerifyingKey) -> Result<Compiled, Failure> {
        let file = dir.load_verifier(model, key)?;
        let compiled = compile(&verifier_source(key)?, &solc_path(self.solc.as_deref())?)?;
        if file.creation_code(dir)? == compiled.creation {
            return Ok(compiled);
        }
        Err(Failure::malformed(&dir.verifier(), &"its bytecode is not what the verifying key and this compiler give"))
    }

    async fn deploy(
        &self,
        model: &Model,
        key: &VerifyingKey,
        verifier: &Compiled,
        provenance: &Provenance,
        signer: PrivateKeySigner,
    ) -> Result<Report, Failure> {
        let sender = signer.address();
        let provider = ProviderBuilder::new().wallet(signer).connect_http(self.rpc_url.url().clone());
        let chain = provider.get_chain_id().await.map_err(|error| self.rpc(&error))?;
        if provenance.is_insecure() && !is_development_chain(chain) && !self.force_insecure {
            return Err(Failure::new(
                "insecure_setup",
                format!("the verifier rests on an INSECURE setup and chain {chain} is no development chain"),
                "run `vouch setup` with a ceremony's powers of tau",
            ));
        }
        let balance = provider.get_balance(sender).await.map_err(|error| self.rpc(&error))?;
        if balance.is_zero() {
            let message = format!("{sender} owns nothing on chain {chain}");
            return Err(Failure::new("no_funds", message, "send it enough to pay for the deployment"));
        }
        let request = TransactionRequest::default().with_deploy_code(verifier.creation.clone());
        let pending = provider.send_transaction(request).await.map_err(|error| self.rpc(&error))?;
        let receipt = pending.get_receipt().await.map_err(|error| self.rpc(&error))?;
        let Some(address) = receipt.contract_address.filter(|_| receipt.status()) else {
            return Err(Failure::new(
                "deployment_reverted",
                "the deployment reverted",
                "look at the transaction on chain",
            ));
        };
        let code = provider.get_code_at(address).await.map_err(|error| self.rpc(&error))?;
        if code != verifier.runtime {
            let message = format!("the code at {address} is not the verifier's runtime code");
            return Err(Failure::new(
                "other_code",
                message,
                "do not use that contract; ask another node with --rpc-url",
            ));
        }
        let code_hash = keccak256(&code);

        let mut report = Report::new();
        report.line(format!("verifier of {} deployed to {address} on chain {chain}", model.graph.name));
        report.row("code hash", code_hash).row("gas", count(receipt.gas_used));
        report.row("powers of tau", provenance);
        if provenance.is_insecure() {
            report.line(format!("  {INSECURE}: its proofs convince nobody"));
        }
        report
            .set("insecure", provenance.is_insecure())
            .set("verifier", address)
            .set("code_hash", code_hash)
            .set("chain_id", chain)
            .set("gas", receipt.gas_used);
        if let Some(registry) = self.registry {
            let id = self.register(&provider, registry, address, model, key).await?;
            report.row("model id", id).set("model_id", id);
        }
        Ok(report)
    }

    /// Registers the model with its verifier; the model's id.
    async fn register(
        &self,
        provider: &impl Provider,
        registry: Address,
        address: Address,
        model: &Model,
        key: &VerifyingKey,
    ) -> Result<U256, Failure> {
        let contract = ModelRegistryInstance::new(registry, provider);
        let digest = B256::from(*model.digest.as_bytes());
        let commitment = ModelCommitment {
            modelHash: digest,
            circuitHash: digest,
            vkHash: B256::from(*key.digest().as_bytes()),
            proofSystemId: contract.PROOF_SYSTEM_ID().call().await.map_err(|error| self.registry(registry, &error))?,
            uri: self.uri.clone(),
        };
        let binding = binding(model, address)?;
        let call = contract.registerModelWithVerifier(commitment, binding);
        let pending = call.send().await.map_err(|error| self.registry(registry, &error))?;
        let receipt = pending.get_receipt().await.map_err(|error| self.rpc(&error))?;
        let registered = receipt.decoded_log::<ModelRegistered>();
        registered.map(|log| log.modelId).ok_or_else(|| {
            Failure::new(
                "registration_failed",
                format!("{registry} registered no model"),
                "check that it is a model registry",
            )
        })
    }

    fn rpc(&self, error: &dyn std::error::Error) -> Failure {
        let message = format!("{} refused or did not answer: {}", self.rpc_url.label(), self.rpc_url.describe(error));
        Failure::new("rpc", message, "check --rpc-url and that the node runs")
    }

    /// A call of the registry that failed: by its own words where it reverted.
    fn registry(&self, registry: Address, error: &contract::Error) -> Failure {
        match error.as_revert_data() {
            Some(data) => Failure::new(
                "registration_refused",
                format!("{registry} refuses the model: {}", Revert::decode(&data)),
                "see the error in contracts/src/interfaces/IModelRegistry.sol; the verifier stays deployed",
            ),
            None if matches!(error, contract::Error::TransportError(_)) => self.rpc(error),
            None => Failure::new(
                "no_registry",
                format!("{registry} does not answer as a model registry: {error}"),
                "give the address of a deployed ModelRegistry with --registry",
            ),
        }
    }
}

/// What the registry has to know to rebuild and read the statement.
fn binding(model: &Model, verifier: Address) -> Result<VerifierBinding, Failure> {
    let graph = &model.graph;
    let unfit = |what: &str| Failure::new("not_registrable", what.to_owned(), "compile a model with one public output");
    let [output] = &graph.outputs[..] else { return Err(unfit("the model has more than one output")) };
    if output.visibility != Visibility::Public {
        return Err(unfit("the model's output is private"));
    }
    let tensor = graph.tensor(output.tensor);
    let too_large = |_| unfit("the output does not fit the registry's schema");
    let public = graph.inputs.iter().filter(|port| port.visibility == Visibility::Public);
    let words: usize = public.map(|port| port.packing.words(graph.tensor(port.tensor).len())).sum();
    Ok(VerifierBinding {
        verifier,
        inputWords: u32::try_from(words).map_err(too_large)?,
        // With private weights outputs are no function of the public inputs.
        inputsArePublic: model.plan.shape.weights == WeightPlacement::Public
            && graph.inputs.iter().all(|port| port.visibility == Visibility::Public),
        output: OutputSchema {
            count: u32::try_from(tensor.len()).map_err(too_large)?,
            bits: u8::try_from(output.packing.bits).map_err(too_large)?,
            perWord: u8::try_from(output.packing.per_word).map_err(too_large)?,
            exponent: i8::try_from(tensor.exponent.0).map_err(too_large)?,
            minimum: i64::try_from(tensor.range.lo).map_err(too_large)?,
            maximum: i64::try_from(tensor.range.hi).map_err(too_large)?,
        },
    })
}
