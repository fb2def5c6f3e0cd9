//! What an attacker tries, and the error that refuses it.

use std::path::{Path, PathBuf};

use alloy::{
    consensus::Transaction as _,
    primitives::{B256, Bytes, I256},
    providers::Provider as _,
    rpc::types::TransactionRequest,
    sol_types::SolCall as _,
};
use eyre::{Result, bail, ensure, eyre};
use prost::Message as _;
use serde_json::{Value, json};
use tract_onnx::pb::{ModelProto, TensorProto, tensor_proto::DataType};
use vouch_relayer::Revert;

use super::{
    Model, Refusal,
    contracts::IVault,
    prepare,
    relayer::KEY_VARIABLE,
    tools::{read_json, vouch, vouch_with, write_json},
    world::World,
};
use crate::root;

/// A proof and what it says.
struct Made {
    file: PathBuf,
    outputs: Vec<i64>,
    proof: Vec<u8>,
}

impl Made {
    /// The gate's call that submits it.
    fn calldata(&self, epoch: u64) -> Bytes {
        let outputs = self.outputs.iter().map(|v| I256::try_from(*v).unwrap_or_default()).collect();
        let proof = Bytes::from(self.proof.clone());
        IVault::submitInferenceCall { epoch, outputs, proof }.abi_encode().into()
    }
}

/// What an attacker has to hand: the chain, the model with its proving key, and a relayer's configuration for the
/// honest submission.
pub(super) struct Attacker<'a> {
    pub(super) folder: &'a Path,
    pub(super) world: &'a World,
    pub(super) model: &'a Model,
    pub(super) config: &'a Path,
    pub(super) say: &'a dyn Fn(&str),
}

impl Attacker<'_> {
    /// Runs every attack on the epoch that is due, which the relayer has not proven, then submits the honest proof and
    /// replays it.
    pub(super) async fn run(&self, graph: &Value, epoch: u64) -> Result<Vec<Refusal>> {
        let (folder, world, say) = (self.folder, self.world, self.say);
        world.begin_epoch(epoch).await?;
        world.poke().await?;
        let statement = world.vault_contract().statement(epoch).call().await?;
        let context = format!("{:#066x}", statement.context);
        let window = world.window(epoch).await?;
        let name = input_name(graph)?;

        let mut refusals = Vec::new();
        let mut expect = |attack: &str, result: Result<String>| -> Result<()> {
            let error = result?;
            say(&format!("   {attack}: {error}"));
            refusals.push(Refusal { attack: attack.to_owned(), error });
            Ok(())
        };

        let mut tampered = make(folder, &self.model.dir, &name, &window, &context)?;
        tampered.outputs.iter_mut().for_each(|output| *output += 1);
        expect("an output changed by one unit", refused(world, tampered.calldata(epoch)).await)?;

        let other = prepare("other", &other_model(folder)?, folder)?;
        ensure!(other.verifier["vk_digest"] != self.model.verifier["vk_digest"], "the other model has the same key");
        let id = self.register(&other)?;
        say(&format!("   a model that differs in one bit of one weight is registered too, as model {id}"));
        let foreign = make(folder, &other.dir, &name, &window, &context)?;
        expect("a proof of that other model", refused(world, foreign.calldata(epoch)).await)?;

        let invented: Vec<i64> = window.iter().enumerate().map(|(i, tick)| tick + 10 * i as i64).collect();
        let dreamt = make(folder, &self.model.dir, &name, &invented, &context)?;
        expect("prices that nobody traded at", refused(world, dreamt.calldata(epoch)).await)?;

        let elsewhere = make(folder, &self.model.dir, &name, &window, "0x1")?;
        expect("a proof made for another purpose", refused(world, elsewhere.calldata(epoch)).await)?;

        // The honest proof of the same epoch is accepted: the refusals were not for want of anything else.
        let honest = make(folder, &self.model.dir, &name, &window, &context)?;
        let transaction = self.submit(epoch, &honest)?;
        say("   the honest proof of the same day, by `vouch submit`: accepted");
        let mined = world.provider().get_transaction_by_hash(transaction).await?;
        let calldata = mined.ok_or_else(|| eyre!("the accepted transaction is not on the chain"))?.input().clone();
        expect("the accepted transaction sent again", refused(world, calldata).await)?;
        Ok(refusals)
    }

    /// Registers a model beside the vault's own, as anybody may; its number.
    fn register(&self, model: &Model) -> Result<String> {
        let deployed = self.world.deploy_verifier(&model.dir, Some(self.world.registry))?;
        ensure!(deployed["shape_verifier_gas"] == 0, "a model of a known shape deployed a verifier: {deployed}");
        (self.say)(&format!("   its shape's verifier is on the chain; its key cost {} gas", deployed["gas"]));
        let id = deployed["model_id"].as_str().ok_or_else(|| eyre!("`vouch deploy` reports no model: {deployed}"))?;
        Ok(id.trim_start_matches("0x").to_owned())
    }

    /// Submits a proof through the relayer's journal and waits for its confirmation; the transaction.
    fn submit(&self, epoch: u64, made: &Made) -> Result<B256> {
        let (config, epoch) = (self.config.display().to_string(), epoch.to_string());
        let proof = made.file.display().to_string();
        let submitted = vouch_with(
            &["submit", "--config", &config, "--epoch", &epoch, &proof],
            &[(KEY_VARIABLE, &self.world.relayer_key())],
        )?;
        let hash = submitted["job"]["mined"]["hash"].as_str();
        Ok(hash.ok_or_else(|| eyre!("`vouch submit` reports no transaction: {submitted}"))?.parse()?)
    }
}

fn input_name(graph: &Value) -> Result<String> {
    let tensor = graph["inputs"][0]["tensor"].as_u64().and_then(|id| usize::try_from(id).ok());
    let name = tensor.and_then(|id| graph["tensors"][id]["name"].as_str());
    name.map(str::to_owned).ok_or_else(|| eyre!("graph.json does not name its input"))
}

/// Proves a window for a context.
fn make(folder: &Path, dir: &Path, name: &str, window: &[i64], context: &str) -> Result<Made> {
    let (input, out) = (folder.join("attack.input.json"), folder.join("attack.proof.json"));
    write_json(&input, &json!({ name: [window] }))?;
    let text = |path: &Path| path.display().to_string();
    let proven = vouch(&["prove", &text(dir), "--input", &text(&input), "--context", context, "--out", &text(&out)])?;
    let output = proven["outputs"].as_object().and_then(|outputs| outputs.values().next());
    let outputs = output.map(|output| output["integers"].clone()).unwrap_or_default();
    let proof = read_json(&out)?;
    let proof = proof["proof"].as_str().unwrap_or_default();
    Ok(Made { outputs: serde_json::from_value(outputs)?, proof: alloy::hex::decode(proof)?, file: out })
}

/// The model with one bit of one weight turned over.
fn other_model(folder: &Path) -> Result<PathBuf> {
    let bytes = std::fs::read(root().join("models/rebalancer/model.onnx"))?;
    let mut model = ModelProto::decode(&bytes[..])?;
    let weights = model.graph.as_mut().map(|graph| graph.initializer.iter_mut()).into_iter().flatten();
    let is_float = |tensor: &&mut TensorProto| tensor.data_type == DataType::Float as i32;
    let largest = weights.filter(is_float).max_by_key(|tensor| tensor.raw_data.len());
    // The third byte of a little-endian float holds its high mantissa bits.
    let byte = largest.and_then(|tensor| tensor.raw_data.get_mut(2));
    *byte.ok_or_else(|| eyre!("the model has no weight to change"))? ^= 0x40;
    let path = folder.join("other.onnx");
    std::fs::write(&path, model.encode_to_vec())?;
    Ok(path)
}

/// The name of the error that refuses a call of the vault.
async fn refused(world: &World, calldata: Bytes) -> Result<String> {
    let request = TransactionRequest::default().to(world.vault).input(calldata.into());
    let error = match world.provider().call(request).await {
        Ok(_) => bail!("a submission was accepted that must be refused"),
        Err(error) => error,
    };
    let payload = error.as_error_resp().and_then(|payload| payload.as_revert_data());
    let data = payload.ok_or_else(|| eyre!("the call failed without a reason: {error}"))?;
    let revert = Revert::decode(&data);
    revert.name().map(str::to_owned).ok_or_else(|| eyre!("the call reverted without a known error: {revert}"))
}
