use std::path::PathBuf;

use alloy::{
    network::TransactionBuilder,
    primitives::{Address, B256, U256, keccak256},
    providers::{Provider, ProviderBuilder},
    rpc::types::TransactionRequest,
    signers::local::PrivateKeySigner,
    transports::http::reqwest::Url,
};
use clap::Args;
use vouch_circuit::WeightPlacement;
use vouch_graph::int::Visibility;

use super::relay::runtime;
use crate::{
    failure::Failure,
    model_dir::{Model, ModelDir, VerifierFile},
    report::{Report, count},
};

/// Chains on which a verifier may rest on a setup whose secret is known.
const DEVELOPMENT_CHAINS: [u64; 2] = [1_337, 31_337];

alloy::sol! {
    struct ModelCommitment {
        bytes32 modelHash;
        bytes32 circuitHash;
        bytes32 vkHash;
        bytes4 proofSystemId;
        string uri;
    }

    struct OutputSchema {
        uint32 count;
        uint8 bits;
        uint8 perWord;
        int8 exponent;
        int64 minimum;
        int64 maximum;
    }

    struct VerifierBinding {
        address verifier;
        uint32 inputWords;
        bool inputsArePublic;
        OutputSchema output;
    }

    #[sol(rpc)]
    interface IModelRegistry {
        event ModelRegistered(uint256 indexed modelId, address indexed owner, ModelCommitment commitment);
        function PROOF_SYSTEM_ID() external view returns (bytes4);
        function registerModelWithVerifier(ModelCommitment calldata commitment, VerifierBinding calldata binding) external returns (uint256 modelId);
    }
}

/// Deploy a model's verifier and register the model.
#[derive(Debug, Args)]
pub(crate) struct Deploy {
    /// Folder of the model, compiled and set up.
    dir: PathBuf,
    /// Where the chain listens.
    #[arg(long)]
    rpc_url: Url,
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
}

impl Deploy {
    pub(crate) fn execute(self) -> Result<Report, Failure> {
        let dir = ModelDir::new(&self.dir);
        let model = dir.load()?;
        let verifier = dir.load_verifier(&model)?;
        if model.plan.shape.weights == WeightPlacement::Private && !self.accept_unbound_weights {
            return Err(Failure::new(
                "unbound_weights",
                format!("the weights of {} are private, and its verifying key does not bind them", model.graph.name),
                "compile with --params public, or accept with --accept-unbound-weights that any weights prove",
            ));
        }
        let key = std::env::var(&self.key_env).map_err(|_| {
            Failure::new(
                "key_missing",
                format!("the variable {} is not set", self.key_env),
                "set it to the key of the account that pays",
            )
        })?;
        let signer: PrivateKeySigner = key.parse().map_err(|_| {
            // The key itself goes into no message.
            Failure::new(
                "key_malformed",
                format!("the variable {} holds no private key", self.key_env),
                "set it to 0x and 64 hexadecimal digits",
            )
        })?;
        runtime()?.block_on(self.deploy(&dir, &model, &verifier, signer))
    }

    async fn deploy(
        &self,
        dir: &ModelDir,
        model: &Model,
        verifier: &VerifierFile,
        signer: PrivateKeySigner,
    ) -> Result<Report, Failure> {
        let sender = signer.address();
        let provider = ProviderBuilder::new().wallet(signer).connect_http(self.rpc_url.clone());
        let chain = provider.get_chain_id().await.map_err(|error| self.rpc(&error))?;
        if verifier.marking.is_some() && !DEVELOPMENT_CHAINS.contains(&chain) && !self.force_insecure {
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
        let creation = hex::decode(verifier.creation.trim_start_matches("0x"))
            .map_err(|error| Failure::malformed(&dir.verifier(), &error))?;
        let request = TransactionRequest::default().with_deploy_code(creation);
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
        let code_hash = keccak256(&code);

        let mut report = Report::new();
        report.line(format!("verifier of {} deployed to {address} on chain {chain}", model.graph.name));
        report.row("code hash", code_hash).row("gas", count(receipt.gas_used));
        if let Some(marking) = &verifier.marking {
            report.line(format!("  {marking}: its proofs convince nobody"));
        }
        report.set("verifier", address).set("code_hash", code_hash).set("chain_id", chain).set("gas", receipt.gas_used);
        if let Some(registry) = self.registry {
            let id = self.register(&provider, registry, address, model, verifier).await?;
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
        verifier: &VerifierFile,
    ) -> Result<U256, Failure> {
        let contract = IModelRegistry::new(registry, provider);
        let digest = B256::from(*model.digest.as_bytes());
        let vk_hash: B256 = verifier.vk_digest.parse().map_err(|_| {
            Failure::new("malformed_file", "verifier.json has no verifying-key digest", "run `vouch setup` again")
        })?;
        let commitment = ModelCommitment {
            modelHash: digest,
            circuitHash: digest,
            vkHash: vk_hash,
            proofSystemId: contract.PROOF_SYSTEM_ID().call().await.map_err(|error| self.rpc(&error))?,
            uri: self.uri.clone(),
        };
        let binding = binding(model, address)?;
        let call = contract.registerModelWithVerifier(commitment, binding);
        let pending = call.send().await.map_err(|error| self.rpc(&error))?;
        let receipt = pending.get_receipt().await.map_err(|error| self.rpc(&error))?;
        let registered = receipt.decoded_log::<IModelRegistry::ModelRegistered>();
        registered.map(|log| log.modelId).ok_or_else(|| {
            Failure::new(
                "registration_failed",
                format!("{registry} registered no model"),
                "check that it is a model registry",
            )
        })
    }

    fn rpc(&self, error: &dyn std::fmt::Display) -> Failure {
        let host = self.rpc_url.host_str().unwrap_or("?");
        Failure::new(
            "rpc",
            format!("the chain at {host} refused or did not answer: {error}"),
            "check --rpc-url and that the node runs",
        )
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
        inputsArePublic: graph.inputs.iter().all(|port| port.visibility == Visibility::Public),
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
