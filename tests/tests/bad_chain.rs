//! Commands that talk to a chain, where the chain, the key or the model is not fit: one sentence that says what to do,
//! exit code 1, no secret in the words.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

/// How the command's own tests read a refusal.
#[path = "../../prover/cli/tests/commands/refusal.rs"]
mod refusal;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use refusal::{assert_mentions, refusal};
use vouch_tests::{
    demo::tools::{account_key, anvil, foundry_program, vouch, vouch_program},
    root,
};

/// Nothing listens there.
const NOWHERE: &str = "http://user:hunter2@127.0.0.1:9/v3/hunter2";
/// A key whose account owns nothing, for nobody has ever used it.
const POOR_KEY: &str = "0x00000000000000000000000000000000000000000000000000000000766f7563";

/// The rebalancer under the INSECURE development setup, by how its weights are kept, and a proof of it.
fn model(params: &str) -> PathBuf {
    let dir = root().join("target/bad-chain").join(params);
    let sample = |name: &str| root().join("models/rebalancer").join(name).display().to_string();
    let text = dir.display().to_string();
    let calibration = sample("calibration.json");
    vouch(&["compile", &sample("model.onnx"), "--calibrate", &calibration, "--params", params, "--out", &text])
        .unwrap();
    vouch(&["setup", &text, "--insecure-dev-srs"]).unwrap();
    let proof = dir.join("proof.json").display().to_string();
    vouch(&["prove", &text, "--input", &sample("input.json"), "--out", &proof]).unwrap();
    dir
}

fn public_model() -> &'static Path {
    static MODEL: OnceLock<PathBuf> = OnceLock::new();
    MODEL.get_or_init(|| model("public"))
}

/// Runs a command that must be refused; its error's code and sentence.
fn refused(args: &[&str], variables: &[(&str, &str)]) -> (String, String) {
    let mut command = Command::new(vouch_program().unwrap());
    command
        .args(args)
        .arg("--json")
        .current_dir(root())
        .env_remove("VOUCH_DEPLOYER_KEY")
        .envs(variables.iter().copied());
    let output = command.output().unwrap();
    let (code, sentence) = refusal(args, &output);
    assert!(
        !sentence.contains("hunter2") && !String::from_utf8_lossy(&output.stderr).contains("hunter2"),
        "{sentence}"
    );
    (code, sentence)
}

fn deploy_refused(dir: &Path, url: &str, key: &str, more: &[&str]) -> (String, String) {
    let dir = dir.display().to_string();
    refused(&[&["deploy", &dir, "--rpc-url", url], more].concat(), &[("VOUCH_DEPLOYER_KEY", key)])
}

#[test]
fn a_deployment_without_a_usable_key_is_refused() {
    let dir = public_model().display().to_string();
    let (code, sentence) = refused(&["deploy", &dir, "--rpc-url", NOWHERE], &[]);
    assert_eq!(code, "key_missing");
    assert_mentions(&sentence, &["VOUCH_DEPLOYER_KEY"]);
    let (code, _) = deploy_refused(public_model(), NOWHERE, "0xhunter2", &[]);
    assert_eq!(code, "key_malformed");
}

#[test]
fn a_deployment_to_a_node_that_is_down_is_refused_without_its_credentials() {
    let (code, sentence) = deploy_refused(public_model(), NOWHERE, POOR_KEY, &[]);
    assert_eq!(code, "rpc");
    assert_mentions(&sentence, &["http://127.0.0.1:9", "--rpc-url"]);
}

#[test]
fn a_deployment_from_an_empty_account_is_refused() {
    let anvil = anvil(31_337).unwrap();
    let (code, sentence) = deploy_refused(public_model(), &anvil.endpoint(), POOR_KEY, &[]);
    assert_eq!(code, "no_funds");
    assert_mentions(&sentence, &["31337", "send it"]);
}

#[test]
fn a_setup_whose_secret_is_known_stays_on_development_chains() {
    let anvil = anvil(8_453).unwrap();
    let (code, sentence) = deploy_refused(public_model(), &anvil.endpoint(), &account_key(&anvil, 0), &[]);
    assert_eq!(code, "insecure_setup");
    assert_mentions(&sentence, &["INSECURE", "8453", "vouch setup"]);
}

#[test]
fn a_registry_that_is_none_is_refused() {
    let anvil = anvil(31_337).unwrap();
    let nobody = format!("{:#x}", anvil.addresses()[5]);
    let (code, sentence) =
        deploy_refused(public_model(), &anvil.endpoint(), &account_key(&anvil, 0), &["--registry", &nobody]);
    assert_eq!(code, "no_registry");
    assert_mentions(&sentence, &["--registry"]);
}

#[test]
fn weights_that_the_key_does_not_bind_are_not_deployed_unawares() {
    let (code, sentence) = deploy_refused(&model("private"), NOWHERE, POOR_KEY, &[]);
    assert_eq!(code, "unbound_weights");
    assert_mentions(&sentence, &["--params public", "--accept-unbound-weights"]);
}

/// Writes a relayer's configuration; the gate is an account without code.
fn relayer_config(folder: &Path, rpc: &str, chain_id: u64) -> String {
    let file = folder.join("relayer.toml");
    let text = format!(
        "rpc = [\"{rpc}\"]\nchain_id = {chain_id}\ngate = \"0x00000000000000000000000000000000000000aa\"\n\
         model = \"{}\"\nstore = \"relayer.sqlite\"\nrpc_wait_seconds = 1\n\n[signer]\nenv = \"VOUCH_RELAYER_KEY\"\n",
        public_model().display()
    );
    fs::write(&file, text).unwrap();
    file.display().to_string()
}

/// What `vouch relay` and `vouch submit` say; they say the same.
fn relayer_refused(name: &str, rpc: &str, chain_id: u64, key: &str) -> (String, String) {
    let folder = root().join("target/bad-chain").join(name);
    fs::create_dir_all(&folder).unwrap();
    let config = relayer_config(&folder, rpc, chain_id);
    let proof = public_model().join("proof.json").display().to_string();
    let key = [("VOUCH_RELAYER_KEY", key)];
    let relay = refused(&["relay", "--config", &config], &key);
    let submit = refused(&["submit", "--config", &config, "--epoch", "32", &proof], &key);
    assert_eq!(relay.0, submit.0);
    submit
}

#[test]
fn a_relayer_whose_node_is_down_says_so() {
    let (code, sentence) = relayer_refused("down", NOWHERE, 31_337, POOR_KEY);
    assert_eq!(code, "rpc_unreachable");
    assert_mentions(&sentence, &["http://127.0.0.1:9"]);
}

#[test]
fn a_relayer_on_another_chain_than_configured_stops() {
    let anvil = anvil(31_337).unwrap();
    let (code, sentence) = relayer_refused("chain", &anvil.endpoint(), 1, &account_key(&anvil, 0));
    assert_eq!(code, "wrong_chain");
    assert_mentions(&sentence, &["31337", "chain_id"]);
}

#[test]
fn a_relayer_whose_account_is_empty_stops() {
    let anvil = anvil(31_337).unwrap();
    let (code, sentence) = relayer_refused("poor", &anvil.endpoint(), 31_337, POOR_KEY);
    assert_eq!(code, "no_funds");
    assert_mentions(&sentence, &["31337", "send it"]);
}

#[test]
fn a_relayer_whose_gate_is_no_contract_stops() {
    let anvil = anvil(31_337).unwrap();
    let (code, sentence) = relayer_refused("gate", &anvil.endpoint(), 31_337, &account_key(&anvil, 0));
    assert_eq!(code, "no_contract");
    assert_mentions(&sentence, &["`gate`", "no contract"]);
}

#[test]
fn a_tool_that_is_not_installed_is_named_with_the_remedy() {
    let error = foundry_program("no-such-tool").unwrap_err().to_string();
    assert_mentions(&error, &["no-such-tool", "script/setup"]);
}
