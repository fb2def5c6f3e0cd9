//! From a model's folder to code on a chain and back: what is deployed can be found, made again and compared, and every
//! difference is named.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use alloy::{
    node_bindings::AnvilInstance,
    primitives::{Address, Bytes, address},
    providers::{Provider, ProviderBuilder, ext::AnvilApi},
};
use serde_json::Value;
use vouch_tests::{
    demo::tools::{account_key, anvil, foundry_program, read_json, vouch, vouch_program, vouch_with},
    root,
};

const DEPLOYMENT_PROXY: Address = address!("4e59b44847b379578588920cA78FbF26c0B4956C");

/// A chain and the rebalancer, compiled and set up in a folder.
struct World {
    anvil: AnvilInstance,
    dir: PathBuf,
}

fn sample(name: &str) -> String {
    root().join("models/rebalancer").join(name).display().to_string()
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

impl World {
    fn new(name: &str, setup: &[&str]) -> Self {
        let dir = root().join("target/deployment").join(name);
        let folder = text(&dir);
        let options = ["--params", "public", "--objective", "gas"];
        let (onnx, calibration) = (sample("model.onnx"), sample("calibration.json"));
        vouch(&[&["compile", &onnx, "--calibrate", &calibration, "--out", &folder][..], &options].concat()).unwrap();
        vouch(&[&["setup", &folder, "--insecure-dev-srs"][..], setup].concat()).unwrap();
        World { anvil: anvil(31_337).unwrap(), dir }
    }

    fn provider(&self) -> impl Provider {
        ProviderBuilder::new().connect_http(self.anvil.endpoint_url())
    }

    fn key(&self) -> String {
        account_key(&self.anvil, 0)
    }

    fn deploy(&self, more: &[&str]) -> Value {
        let (dir, url) = (text(&self.dir), self.anvil.endpoint());
        let arguments = [&["deploy", &dir, "--rpc-url", &url][..], more].concat();
        vouch_with(&arguments, &[("VOUCH_DEPLOYER_KEY", &self.key())]).unwrap()
    }

    fn registry(&self) -> String {
        let (url, key) = (self.anvil.endpoint(), self.key());
        let contract = "contracts/src/ModelRegistry.sol:ModelRegistry";
        let output = Command::new(foundry_program("forge").unwrap())
            .args(["create", contract, "--rpc-url", &url, "--private-key", &key, "--broadcast", "--json"])
            .args(["--constructor-args", "0"])
            .current_dir(root())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let start = said.find('{').unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&output.stderr)));
        let created: Value = serde_json::from_str(&said[start..]).unwrap();
        created["deployedTo"].as_str().unwrap().to_owned()
    }

    fn audit(&self, more: &[&str]) -> Value {
        self.run(&[&["audit-deployment"][..], more].concat())
    }

    /// Runs a command on the folder and the chain; what it says, be it an error.
    fn run(&self, arguments: &[&str]) -> Value {
        let (command, more) = arguments.split_first().unwrap();
        let output = Command::new(vouch_program().unwrap())
            .args([command, text(&self.dir).as_str(), "--rpc-url", &self.anvil.endpoint(), "--json"])
            .args(more)
            .current_dir(root())
            .output()
            .unwrap();
        let said: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(i32::from(said.get("error").is_some())), "{said}");
        said
    }

    /// The audit fails and says where.
    fn broken(&self, more: &[&str], link: &str) {
        let said = self.audit(more);
        assert_eq!(said["error"]["code"], "audit_failed", "{said}");
        let message = said["error"]["message"].as_str().unwrap();
        assert!(message.starts_with(link), "{message}");
    }

    /// Runs a check while the code at an address is another.
    async fn with_other_code(&self, at: &Value, check: impl Fn()) {
        let at: Address = at.as_str().unwrap().parse().unwrap();
        let provider = self.provider();
        let code = provider.get_code_at(at).await.unwrap();
        let mut other = code.to_vec();
        *other.last_mut().unwrap() ^= 1;
        provider.anvil_set_code(at, other.into()).await.unwrap();
        check();
        provider.anvil_set_code(at, code).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_is_checked_from_the_onnx_file_to_the_registry() {
    let world = World::new("audited", &[]);
    let registry = world.registry();
    let deployed = world.deploy(&["--registry", &registry]);
    let files = [sample("model.onnx"), sample("calibration.json")];
    let given = ["--onnx", &files[0], "--calibrate", &files[1]];
    let audited = world.audit(&given);
    let links = audited["links"].as_array().unwrap_or_else(|| panic!("{audited}"));
    assert!(links.iter().all(|link| link["holds"] == true), "{audited}");
    assert_eq!(links.len(), 21, "{audited}");
    assert_eq!(world.audit(&[])["links"].as_array().unwrap().len(), 18);

    // Another file, other data.
    let other = world.dir.join("other.onnx");
    let mut bytes = fs::read(&files[0]).unwrap();
    bytes.extend([0xf8, 0x7f, 0x01]); // a field that nobody reads
    fs::write(&other, bytes).unwrap();
    world.broken(&["--onnx", &text(&other), "--calibrate", &files[1]], "ONNX file");
    world.broken(&["--onnx", &files[0], "--calibrate", &sample("input.json")], "calibration data");

    // Other code on the chain.
    let shape = "code of the shape's verifier at";
    world.with_other_code(&deployed["shape_verifier"], || world.broken(&[], shape)).await;
    world.with_other_code(&deployed["verifier"], || world.broken(&[], "code of the model's verifier at")).await;

    // Another bill.
    let path = world.dir.join("bill.json");
    let bill = read_json(&path).unwrap();
    let nothing = format!("0x{}", "0".repeat(64));
    for (place, link) in [
        ("/model/circuit", "circuit"),
        ("/setup/srs", "powers of tau"),
        ("/setup/verifying_key", "verifying key"),
        ("/setup/source", "Solidity source"),
        ("/setup/creation", "creation code"),
        ("/setup/key", "key"),
        ("/deployments/0/verifier/code_hash", "code of the model's verifier at"),
    ] {
        let mut changed = bill.clone();
        *changed.pointer_mut(place).unwrap() = Value::from(nothing.clone());
        fs::write(&path, changed.to_string()).unwrap();
        world.broken(&[], link);
    }
    fs::write(&path, bill.to_string()).unwrap();
    assert!(world.audit(&[])["links"].is_array());
}

#[test]
fn contracts_that_are_on_the_chain_are_found_and_not_paid_for_again() {
    let world = World::new("twice", &[]);
    let first = world.deploy(&[]);
    assert!(first["shape_verifier_gas"].as_u64().unwrap() > 1_000_000, "{first}");
    let key_gas = first["gas"].as_u64().unwrap();
    assert!((200_000..700_000).contains(&key_gas), "{first}");
    let second = world.deploy(&[]);
    assert_eq!((&second["shape_verifier_gas"], &second["gas"]), (&Value::from(0), &Value::from(0)), "{second}");
    assert_eq!((&second["verifier"], &second["shape_verifier"]), (&first["verifier"], &first["shape_verifier"]));
    let bill = read_json(&world.dir.join("bill.json")).unwrap();
    assert_eq!(bill["deployments"].as_array().unwrap().len(), 1, "{bill}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_without_the_deployment_proxy_takes_the_contracts_too() {
    let world = World::new("plain", &[]);
    world.provider().anvil_set_code(DEPLOYMENT_PROXY, Bytes::new()).await.unwrap();
    let deployed = world.deploy(&[]);
    assert!(world.audit(&[])["links"].is_array(), "{deployed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_source_of_a_verifier_gives_the_code_on_the_chain() {
    for (name, setup, at) in [("shared", &[][..], "shape_verifier"), ("single", &["--single"], "verifier")] {
        let world = World::new(name, setup);
        let deployed = world.deploy(&[]);
        let address = deployed[at].as_str().unwrap();
        let said = world.run(&["verify-source", "--address", address]);
        assert_eq!(said["address"].as_str().unwrap().to_lowercase(), address.to_lowercase(), "{said}");
        let words = if setup.is_empty() { 4 } else { 0 };
        assert_eq!(said["constructor_arguments"].as_str().unwrap().len(), 64 * words, "{said}");
        let check = || assert_eq!(world.run(&["verify-source", "--address", address])["error"]["code"], "other_code");
        world.with_other_code(&deployed[at], check).await;

        let input = world.dir.join("verifier.input.json");
        let source = fs::read_to_string(&input).unwrap();
        let changed = source.replace("shl(5,", "shl(6,").replace("mod(h, r)", "h");
        assert_ne!(changed, source);
        fs::write(&input, changed).unwrap();
        assert_eq!(world.run(&["verify-source", "--address", address])["error"]["code"], "other_source");
    }
}
