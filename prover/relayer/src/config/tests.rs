#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use alloy::signers::local::PrivateKeySigner;

use super::*;

const MINIMAL: &str = r#"
rpc = ["https://user:pass@rpc.example:8545/v3/s3cret?key=s3cret"]
chain_id = 1
gate = "0x00000000000000000000000000000000000000aa"
model = "build"
store = "relayer.db"

[signer]
env = "VOUCH_KEY"
"#;

/// Key 0 of every development node's mnemonic.
const PUBLIC_KEY: &str = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";

fn parse(text: &str) -> Result<RelayerConfig, RelayerError> {
    RelayerConfig::parse(text, Path::new("relayer.toml"))
}

fn message(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

#[test]
fn the_least_file_is_complete_and_careful() {
    let config = parse(MINIMAL).unwrap();
    assert_eq!(config.confirmations(), 10);
    assert!(config.poke && !config.dry_run);
    assert_eq!(config.prover.command, Path::new("vouch"));
    assert_eq!(parse(&MINIMAL.replace("chain_id = 1\n", "chain_id = 31337\n")).unwrap().confirmations(), 1);
}

#[test]
fn an_unknown_key_is_refused_with_its_line_and_the_keys_that_exist() {
    let text = MINIMAL.replace("store =", "confirmation = 3\nstore =");
    let shown = message(&text);
    assert!(shown.starts_with("relayer.toml: line 6: unknown field `confirmation`"), "{shown}");
    assert!(shown.contains("`confirmations`"), "{shown}");
}

#[test]
fn a_missing_key_is_named() {
    let shown = message(&MINIMAL.replace("store = \"relayer.db\"", ""));
    assert!(shown.contains("missing field `store`"), "{shown}");
}

#[test]
fn values_that_make_no_sense_name_key_and_remedy() {
    for (from, to, want) in [
        ("chain_id = 1", "chain_id = 1\nconfirmations = 0", "configuration key `confirmations`"),
        ("chain_id = 1", "chain_id = 1\npoll_seconds = 0", "configuration key `poll_seconds`"),
        ("env = \"VOUCH_KEY\"", "", "write either `env`, or `keystore` and `password_env`"),
        ("env = \"VOUCH_KEY\"", "keystore = \"k.json\"", "write either `env`"),
        ("[signer]", "[prover]\nattempts = 0\n[signer]", "configuration key `prover.attempts`"),
        ("[signer]", "[fees]\nmin_priority_fee = \"300 gwei\"\n[signer]", "`fees.min_priority_fee`"),
        ("[signer]", "[fees]\nmax_fee_per_day = \"1\"\n[signer]", "write a number and a unit"),
        ("https://user", "ipc://user", "scheme `ipc` is not supported"),
    ] {
        let shown = message(&MINIMAL.replacen(from, to, 1));
        assert!(shown.contains(want), "{shown}");
    }
}

#[test]
fn credentials_appear_in_no_dump_and_no_error() {
    let config = parse(MINIMAL).unwrap();
    let dump = format!("{config:?}");
    assert!(dump.contains("https://rpc.example:8545") && !dump.contains("s3cret") && !dump.contains("user"));

    let pasted = MINIMAL.replace("VOUCH_KEY", PUBLIC_KEY);
    let shown = message(&pasted);
    assert!(shown.contains("`signer.env`") && !shown.contains(PUBLIC_KEY), "{shown}");

    let shown = config.signer.open(|_| Some("0xnot-a-key".to_owned())).unwrap_err().to_string();
    assert_eq!(shown, "environment variable VOUCH_KEY does not hold a private key; set it to 64 hexadecimal digits");

    let signer = config.signer.open(|_| Some(PUBLIC_KEY.to_owned())).unwrap();
    assert!(!format!("{signer:?}").contains(&PUBLIC_KEY[..16]));
}

#[test]
fn a_key_comes_from_the_variable_or_the_keystore() {
    let config = parse(MINIMAL).unwrap();
    let from_env = config.signer.open(|name| (name == "VOUCH_KEY").then(|| PUBLIC_KEY.to_owned())).unwrap();
    assert_eq!(from_env.address().to_string(), "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
    let shown = config.signer.open(|_| None).unwrap_err().to_string();
    assert!(shown.starts_with("environment variable VOUCH_KEY, which `signer.env` names, is not set"), "{shown}");

    let folder = tempfile::tempdir().unwrap();
    let secret = from_env.to_bytes();
    PrivateKeySigner::encrypt_keystore(folder.path(), &mut rand::thread_rng(), secret, "pw", Some("k")).unwrap();
    let keystore = SignerConfig {
        env: None,
        keystore: Some(folder.path().join("k")),
        password_env: Some("VOUCH_PASSWORD".to_owned()),
    };
    assert_eq!(keystore.open(|_| Some("pw".to_owned())).unwrap().address(), from_env.address());
    assert!(matches!(keystore.open(|_| Some("other".to_owned())), Err(RelayerError::Keystore { .. })));
}

#[test]
fn paths_are_relative_to_the_file_and_bare_commands_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("relayer.toml");
    std::fs::write(&path, MINIMAL).unwrap();
    let config = RelayerConfig::read(&path).unwrap();
    assert_eq!(config.store, folder.path().join("relayer.db"));
    assert_eq!(config.model, folder.path().join("build"));
    assert_eq!(config.prover.command, Path::new("vouch"));
    let shown = RelayerConfig::read(&folder.path().join("none.toml")).unwrap_err().to_string();
    assert!(shown.ends_with("give the path of a relayer.toml"), "{shown}");
}

#[test]
fn amounts_are_read_and_shown_with_their_unit() {
    for (text, wei, shown) in [
        ("0.05 ether", 50_000_000_000_000_000, "0.05 ether"),
        ("30 gwei", 30_000_000_000, "30 gwei"),
        ("1.5 gwei", 1_500_000_000, "1.5 gwei"),
        ("7 wei", 7, "7 wei"),
    ] {
        let amount = Wei::try_from(text.to_owned()).unwrap();
        assert_eq!((amount.get(), amount.to_string().as_str()), (wei, shown));
    }
    for text in ["1", "1 eth", "-1 wei", "0.5 wei", "1e3 wei", ". gwei", "9999999999999999999999999 ether"] {
        assert!(Wei::try_from(text.to_owned()).is_err(), "{text}");
    }
}
