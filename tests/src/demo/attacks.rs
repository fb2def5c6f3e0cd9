//! What an attacker tries, and the error that refuses it.

use std::path::{Path, PathBuf};

use alloy::{
    primitives::{Bytes, I256},
    sol_types::SolInterface,
};
use eyre::{Result, bail, ensure, eyre};
use serde_json::{Value, json};

use super::{
    Model, Refusal, prepare,
    tools::{read_json, vouch, write_json},
    world::World,
};
use crate::root;

alloy::sol! {
    /// Errors that a refused submission ends with.
    #[derive(Debug)]
    interface IRefusals {
        error StatementUsed(bytes32 nullifier);
        error EpochSuperseded(uint64 epoch, uint64 latest);
        error EpochNotRecorded(uint64 epoch, uint64 recordedEnd);
        error DeadlinePassed(uint64 epoch, uint256 deadline);
        error OutputOutOfBounds(uint256 index, int256 value);
        error InstanceCount(uint256 got, uint256 want);
        error ProofLength(uint256 got, uint256 want);
        error ProofRejected();
        error CalldataLayout();
    }
}

/// A proof and what it says.
struct Made {
    outputs: Vec<i64>,
    proof: Vec<u8>,
}

/// Runs every attack on the epoch that is due, which the relayer has not proven.
pub(super) async fn run(
    folder: &Path,
    world: &World,
    model: &Model,
    graph: &Value,
    epoch: u64,
    say: &dyn Fn(&str),
) -> Result<Vec<Refusal>> {
    world.begin_epoch(epoch).await?;
    world.poke().await?;
    let statement = world.vault_contract().statement(epoch).call().await?;
    let context = format!("{:#066x}", statement.context);
    let window = world.window(epoch).await?;
    let name = input_name(graph)?;
    let honest = make(folder, &model.dir, &name, &window, &context)?;

    let mut refusals = Vec::new();
    let mut expect = |attack: &str, result: Result<String>| -> Result<()> {
        let error = result?;
        say(&format!("   {attack}: {error}"));
        refusals.push(Refusal { attack: attack.to_owned(), error });
        Ok(())
    };

    let tampered = Made { outputs: honest.outputs.iter().map(|v| v + 1).collect(), proof: honest.proof.clone() };
    expect("an output changed by one unit", refused(world, epoch, &tampered).await)?;

    let last = epoch - 1;
    expect("a proof submitted again", refused(world, last, &honest).await)?;

    let other = prepare("other", &other_model(folder)?, folder)?;
    ensure!(other.verifier["vk_digest"] != model.verifier["vk_digest"], "the other model has the same key");
    let foreign = make(folder, &other.dir, &name, &window, &context)?;
    expect("a proof of another model", refused(world, epoch, &foreign).await)?;

    let invented: Vec<i64> = window.iter().enumerate().map(|(i, tick)| tick + 10 * i as i64).collect();
    let dreamt = make(folder, &model.dir, &name, &invented, &context)?;
    expect("prices that nobody traded at", refused(world, epoch, &dreamt).await)?;

    let elsewhere = make(folder, &model.dir, &name, &window, "0x1")?;
    expect("a proof made for another purpose", refused(world, epoch, &elsewhere).await)?;

    // The honest proof of the same epoch is accepted: the refusals were not for want of anything else.
    submit(world, epoch, &honest).await.map_err(|error| eyre!("the honest proof is refused too: {error}"))?;
    say("   the honest proof of the same day: accepted");
    Ok(refusals)
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
    Ok(Made { outputs: serde_json::from_value(outputs)?, proof: alloy::hex::decode(proof)? })
}

/// The model with one bit of one weight turned over.
fn other_model(folder: &Path) -> Result<PathBuf> {
    let mut bytes = std::fs::read(root().join("models/rebalancer/model.onnx"))?;
    // Weights fill most of the file. The high bytes of small little-endian floats stand out, and so tell where in
    // the middle of the file the floats begin.
    let middle = bytes.len() / 2;
    let is_high_byte = |at: usize| matches!(bytes[at] & 0x7f, 0x3c..=0x3e);
    let places = |phase: usize| (middle + phase..middle + 256).step_by(4).filter(|at| is_high_byte(*at));
    let phase = (0..4).max_by_key(|phase| places(*phase).count()).unwrap_or(0);
    let at = places(phase).next().ok_or_else(|| eyre!("the model has no weight to change"))?;
    // The byte below holds the float's high mantissa bits.
    bytes[at - 1] ^= 0x40;
    let path = folder.join("other.onnx");
    std::fs::write(&path, bytes)?;
    Ok(path)
}

/// The transaction's fate as a call: nothing, or the data that it reverts with.
async fn submit(world: &World, epoch: u64, made: &Made) -> std::result::Result<(), alloy::contract::Error> {
    let outputs: Vec<I256> = made.outputs.iter().map(|v| I256::try_from(*v).unwrap_or_default()).collect();
    let call = world.vault_contract();
    let call = call.submitInference(epoch, outputs, Bytes::from(made.proof.clone()));
    call.call().await.map(|_| ())
}

/// The name of the error that refuses a submission.
async fn refused(world: &World, epoch: u64, made: &Made) -> Result<String> {
    let error = match submit(world, epoch, made).await {
        Ok(()) => bail!("a submission was accepted that must be refused"),
        Err(error) => error,
    };
    let data = error.as_revert_data().ok_or_else(|| eyre!("the call failed without a reason: {error}"))?;
    ensure!(data.len() >= 4, "the call reverted without a named error");
    let name = IRefusals::IRefusalsErrors::abi_decode(&data)
        .map(|error| format!("{error:?}"))
        .unwrap_or_else(|_| format!("error {}", alloy::hex::encode_prefixed(&data[..4])));
    Ok(name.split('(').next().unwrap_or(&name).to_owned())
}
