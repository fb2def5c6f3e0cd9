use std::{fmt, path::PathBuf};

use alloy::{
    contract,
    network::TransactionBuilder,
    primitives::{Address, B256, Bytes, U256, address, keccak256},
    providers::{Provider, ProviderBuilder},
    rpc::types::TransactionRequest,
    signers::local::PrivateKeySigner,
};
use clap::Args;
use vouch_circuit::WeightPlacement;
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
use vouch_solidity::{Evm, Role, Rules};

use super::relay::runtime;
use crate::{
    bill::{Bill, Contract, Deployment, Registration},
    failure::Failure,
    model_dir::{Model, ModelDir},
    report::{Report, count},
    statement,
    verifier::VerifierFile,
};

/// The contract, the same on most chains, that deploys code to an address which follows from the code: the
/// deterministic deployment proxy (<https://github.com/Arachnid/deterministic-deployment-proxy>).
const DEPLOYMENT_PROXY: Address = address!("4e59b44847b379578588920cA78FbF26c0B4956C");

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
        let mut bill = Bill::load(&dir)?;
        let (report, deployment) = runtime()?.block_on(self.deploy(&model, &key, &verifier, &provenance, signer))?;
        bill.note_deployment(deployment);
        bill.save(&dir)?;
        Ok(report)
    }

    /// Generates the verifier anew: what is deployed is what the verifying key gives, whatever the folder's
    /// `verifier.json` says.
    fn checked_verifier(&self, dir: &ModelDir, model: &Model, key: &VerifyingKey) -> Result<VerifierFile, Failure> {
        let file = VerifierFile::load(dir, model.digest, key)?;
        let (made, _) = VerifierFile::generate(key, &model.plan.shape, file.form, self.solc.as_deref())?;
        if made.is_same_code(&file) {
            return Ok(made);
        }
        Err(Failure::malformed(&dir.verifier(), &"its bytecode is not what the verifying key and this compiler give"))
    }

    async fn deploy(
        &self,
        model: &Model,
        key: &VerifyingKey,
        verifier: &VerifierFile,
        provenance: &Provenance,
        signer: PrivateKeySigner,
    ) -> Result<(Report, Deployment), Failure> {
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
        let runtime = Evm::new(Rules::Cancun).deploy(&verifier.creation)?.runtime().to_vec();
        let shape = self.place(&provider, &verifier.creation, &runtime).await?;
        let mut report = Report::new();
        let mut shape_verifier = None;
        let Placed { contract: placed, gas } = match verifier.key() {
            Some(data) => {
                report.row(&format!("verifier of the shape {}", verifier.shape), &shape);
                let address = shape.contract.address;
                report.set("shape_verifier", address).set("shape_verifier_gas", shape.gas);
                shape_verifier = Some(shape.contract);
                let contract = data.contract(address);
                self.place(&provider, &contract.creation, &contract.runtime).await?
            }
            None => shape,
        };
        let Contract { address, code_hash } = placed;
        report.row(&format!("verifier of {}", model.graph.name), Placed { contract: placed.clone(), gas });
        report.line(format!("  on chain {chain}"));
        report.row("code hash", code_hash).row("powers of tau", provenance);
        if provenance.is_insecure() {
            report.line(format!("  {INSECURE}: its proofs convince nobody"));
        }
        report
            .set("insecure", provenance.is_insecure())
            .set("verifier", address)
            .set("code_hash", code_hash)
            .set("chain_id", chain)
            .set("gas", gas);
        let mut deployment = Deployment { chain_id: chain, shape_verifier, verifier: placed, registration: None };
        if let Some(registry) = self.registry {
            let id = self.register(&provider, registry, address, model, key).await?;
            report.row("model id", id).set("model_id", id);
            deployment.registration = Some(Registration { registry, model_id: id.to_string(), version: 1 });
        }
        Ok((report, deployment))
    }

    /// Sees that there is code on the chain: where it was put before, or deployed now.
    async fn place(&self, provider: &impl Provider, creation: &[u8], runtime: &[u8]) -> Result<Placed, Failure> {
        let code_at = async |address| provider.get_code_at(address).await.map_err(|error| self.rpc(&error));
        let salt = B256::ZERO;
        let known = DEPLOYMENT_PROXY.create2_from_code(salt, creation);
        let placed = |address, gas| Placed { contract: Contract { address, code_hash: keccak256(runtime) }, gas };
        let request = if *code_at(known).await? == *runtime {
            return Ok(placed(known, 0));
        } else if code_at(DEPLOYMENT_PROXY).await?.is_empty() {
            TransactionRequest::default().with_deploy_code(creation.to_vec())
        } else {
            let input = Bytes::from([salt.as_slice(), creation].concat());
            TransactionRequest::default().with_to(DEPLOYMENT_PROXY).with_input(input)
        };
        let by_proxy = request.to.is_some_and(|to| to.is_call());
        let pending = provider.send_transaction(request).await.map_err(|error| self.rpc(&error))?;
        let receipt = pending.get_receipt().await.map_err(|error| self.rpc(&error))?;
        let address = if by_proxy { Some(known) } else { receipt.contract_address };
        let Some(address) = address.filter(|_| receipt.status()) else {
            return Err(Failure::new(
                "deployment_reverted",
                "the deployment reverted",
                "look at the transaction on chain",
            ));
        };
        if *code_at(address).await? != *runtime {
            return Err(Failure::new(
                "other_code",
                format!("the code at {address} is not the verifier's runtime code"),
                "do not use that contract; ask another node with --rpc-url",
            ));
        }
        Ok(placed(address, receipt.gas_used))
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
        Failure::rpc(&self.rpc_url, error)
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

/// A contract on the chain.
struct Placed {
    contract: Contract,
    /// Gas that its deployment cost now; none where it was there.
    gas: u64,
}

impl fmt::Display for Placed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.gas {
            0 => write!(f, "{}, deployed before", self.contract.address),
            gas => write!(f, "{}, deployed for {} gas", self.contract.address, count(gas)),
        }
    }
}

/// What the registry has to know to rebuild and read the statement.
pub(crate) fn binding(model: &Model, verifier: Address) -> Result<VerifierBinding, Failure> {
    let unfit = |what: &str| Failure::new("not_registrable", what.to_owned(), "compile a model with one public output");
    if model.graph.outputs.len() != 1 {
        return Err(unfit("the model has more than one output"));
    }
    let layout = statement::layout(model)?;
    let Some((_, output)) = layout.of(Role::Output).next() else { return Err(unfit("the model's output is private")) };
    let too_large = |_| unfit("the output does not fit the registry's schema");
    let input_words: usize = layout.of(Role::Input).map(|(_, port)| port.words).sum();
    Ok(VerifierBinding {
        verifier,
        inputWords: u32::try_from(input_words).map_err(too_large)?,
        inputsArePublic: layout.subject().inputs_are_public,
        output: OutputSchema {
            count: u32::try_from(output.count).map_err(too_large)?,
            bits: u8::try_from(output.spec.bits).map_err(too_large)?,
            perWord: u8::try_from(output.spec.per_word).map_err(too_large)?,
            exponent: i8::try_from(output.spec.exponent).map_err(too_large)?,
            minimum: output.spec.minimum,
            maximum: output.spec.maximum,
        },
    })
}
