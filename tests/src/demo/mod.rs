//! The main job end to end on a local chain: a model is compiled, set up and registered, a relayer proves
//! it on recorded market data, a vault follows, and everything else is refused.

mod attacks;
pub mod contracts;
mod relayer;
mod summary;
pub mod tools;
pub mod world;

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use alloy::primitives::U256;
use eyre::{Result, ensure, eyre};
use serde_json::Value;

pub use summary::{Rebalance, Refusal, Summary};

use crate::{root, shared};
use attacks::Attacker;
use relayer::RelayerProcess;
use tools::{read_json, vouch};
use world::{Registration, WINDOW, World};

/// What to demonstrate.
pub struct Options<'a> {
    /// Epochs over which the vault rebalances.
    pub epochs: u64,
    /// Where the story is told.
    pub say: &'a dyn Fn(&str),
}

impl std::fmt::Debug for Options<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options").field("epochs", &self.epochs).finish_non_exhaustive()
    }
}

/// A model that is compiled and set up.
#[derive(Debug)]
pub struct Model {
    /// Its folder.
    pub dir: PathBuf,
    /// Its compiled verifier, `verifier.json`.
    pub verifier: Value,
    /// Rows, as a power of two.
    pub k: u64,
    /// Where the powers of tau came from.
    pub powers_of_tau: String,
    /// Seconds of the setup.
    pub setup_seconds: f64,
}

/// Runs the demonstration.
///
/// # Errors
/// Where a step fails, or an attack is not refused.
pub async fn run(options: &Options<'_>) -> Result<Summary> {
    let say = options.say;
    let start = Instant::now();
    let folder = root().join("target/demo");
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&folder)?;

    say("1. Compile the rebalancer: 32 prices in, a target weight out. Quantised, planned, checked.");
    let model = prepare("rebalancer", &root().join("models/rebalancer/model.onnx"), &folder)?;
    say(&format!(
        "   circuit of 2^{} rows; keys and a Solidity verifier of {} bytes made in {:.1} s",
        model.k, model.verifier["runtime_bytes"], model.setup_seconds
    ));
    say(&format!("   powers of tau: {}", model.powers_of_tau));

    say("2. Start a local chain with a Uniswap v3 market, and replay real prices into it as swaps.");
    let prices = read_json(&root().join("models/rebalancer/prices.json"))?;
    let ticks: Vec<i32> = serde_json::from_value(prices["ticks"].clone())?;
    let mut world = World::with_market(&folder, ticks).await?;
    let graph = read_json(&model.dir.join("graph.json"))?["graph"].take();
    let deployed = world.deploy_verifier(&model.dir, None)?;
    say(&format!(
        "   verifier of the shape {}: {} gas, once for all its models; this model's key: {} gas",
        model.verifier["shape"].as_str().unwrap_or_default(),
        deployed["shape_verifier_gas"],
        deployed["gas"]
    ));
    let address = deployed["verifier"].as_str().ok_or_else(|| eyre!("`vouch deploy` reports no address"))?;
    world.deploy(&registration(&model, &graph, address)?)?;
    say("   contracts deployed, model registered with its verifier's code hash");
    for epoch in 0..WINDOW {
        world.begin_epoch(epoch).await?;
        if epoch % 8 == 0 && epoch > 0 {
            world.poke().await?;
        }
    }
    world.fund_vault(100_000).await?;
    say("   32 days recorded by the feature ring; the vault holds 100,000 base tokens and no risk");

    say("3. A relayer watches the chain, records each day, proves and submits; the vault follows.");
    let config = relayer::write_config(&folder, &world, &model.dir)?;
    let mut relayer = RelayerProcess::start(&folder, &world, &config)?;
    let mut rebalances = Vec::new();
    for epoch in WINDOW..WINDOW + options.epochs {
        let begun = Instant::now();
        let before = weight(&world).await?;
        world.begin_epoch(epoch).await?;
        let accepted = relayer.wait_for(&world, epoch).await?;
        let after = weight(&world).await?;
        let exponent = model_exponent(&graph)?;
        let rebalance = Rebalance {
            epoch,
            target: accepted.output as f64 / (1u64 << exponent) as f64,
            weight_before: before,
            weight_after: after,
            seconds: begun.elapsed().as_secs_f64(),
            gas: accepted.gas,
        };
        say(&format!(
            "   day {epoch}: the model says {:.4}; the vault goes from {before:.4} to {after:.4} ({} gas, {:.1} s)",
            rebalance.target, rebalance.gas, rebalance.seconds
        ));
        ensure!(after != before, "the vault did not move on the verified output of epoch {epoch}");
        rebalances.push(rebalance);
    }
    // As an operator or the machine might: without a word. Its journal knows what it has done.
    relayer.kill()?;

    say("4. What is not a proof of this model on these prices for this vault is refused.");
    let attacker = Attacker { folder: &folder, world: &world, model: &model, config: &config, say };
    let refusals = attacker.run(&graph, WINDOW + options.epochs).await?;

    Ok(Summary {
        format: "vouch-demo",
        version: 1,
        model: "rebalancer".to_owned(),
        k: model.k,
        powers_of_tau: model.powers_of_tau,
        setup_seconds: model.setup_seconds,
        rebalances,
        refusals,
        seconds: start.elapsed().as_secs_f64(),
    })
}

/// Compiles a model with public weights, so that the verifying key binds them, and sets it up.
fn prepare(name: &str, onnx: &Path, folder: &Path) -> Result<Model> {
    let dir = folder.join(name);
    let text = |path: &Path| path.display().to_string();
    let calibration = text(&root().join("models/rebalancer/calibration.json"));
    let (dir_text, onnx) = (text(&dir), text(onnx));
    let public = ["--params", "public", "--objective", "gas"];
    let compile = [&["compile", &onnx, "--calibrate", &calibration, "--out", &dir_text][..], &public].concat();
    let compiled = vouch(&compile)?;
    let k = compiled["k"].as_u64().unwrap_or(0);
    // The genuine ceremony's powers where they are at hand and large enough.
    let ceremony = shared("srs/hermez-raw-11.srs").filter(|_| k <= 11);
    let set_up = match &ceremony {
        Some(file) => vouch(&["setup", &dir_text, "--srs", &text(file)])?,
        None => vouch(&["setup", &dir_text, "--insecure-dev-srs"])?,
    };
    let provenance = &set_up["provenance"];
    let powers_of_tau = match provenance["name"].as_str() {
        Some(ceremony) => ceremony.to_owned(),
        None => "INSECURE development setup (its secret is known; for demonstrations alone)".to_owned(),
    };
    Ok(Model {
        verifier: read_json(&dir.join("verifier.json"))?,
        setup_seconds: set_up["seconds"].as_f64().unwrap_or(0.0),
        dir,
        k,
        powers_of_tau,
    })
}

fn registration<'a>(model: &'a Model, graph: &Value, address: &'a str) -> Result<Registration<'a>> {
    let output = &graph["outputs"][0]["packing"];
    let number = |value: &Value| value.as_u64().ok_or_else(|| eyre!("graph.json lacks a packing"));
    Ok(Registration {
        verifier: &model.verifier,
        address,
        input_words: WINDOW.div_ceil(number(&graph["inputs"][0]["packing"]["per_word"])?),
        output_bits: number(&output["bits"])?,
        output_per_word: number(&output["per_word"])?,
        output_exponent: i64::try_from(model_exponent(graph)?)?,
    })
}

/// Exponent of the model's output.
fn model_exponent(graph: &Value) -> Result<u64> {
    let tensor = graph["outputs"][0]["tensor"].as_u64().and_then(|id| usize::try_from(id).ok());
    let exponent = tensor.and_then(|id| graph["tensors"][id]["exponent"].as_u64());
    exponent.ok_or_else(|| eyre!("graph.json has no exponent for its output"))
}

/// The vault's weight of the risk token.
async fn weight(world: &World) -> Result<f64> {
    let wad: U256 = world.vault_contract().weightWad().call().await?;
    Ok(f64::from(wad) / 1e18)
}
