//! Programs that the demonstration runs: `vouch`, `forge`, `anvil`.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use alloy::node_bindings::{Anvil, AnvilInstance};
use eyre::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::root;

/// `forge` or `anvil` itself, from the package for this platform: the launchers in `node_modules/.bin` exit with
/// success whatever happened, and killing one leaves the tool running.
pub fn foundry_program(name: &str) -> Result<PathBuf> {
    let packages = root().join("node_modules/@foundry-rs");
    let missing = || format!("{name} is not installed; run script/setup in {}", root().display());
    let entries = std::fs::read_dir(&packages).with_context(missing)?;
    let binary = |package: std::fs::DirEntry| {
        let file_name = package.file_name();
        let platform = file_name.to_str()?.strip_prefix(name)?;
        platform.starts_with('-').then(|| package.path().join("bin").join(name)).filter(|path| path.is_file())
    };
    entries.filter_map(|entry| binary(entry.ok()?)).next().ok_or_else(|| eyre::eyre!(missing()))
}

/// A local chain with this number.
///
/// # Errors
/// Where `anvil` is missing or does not start.
pub fn anvil(chain_id: u64) -> Result<AnvilInstance> {
    Anvil::new().path(foundry_program("anvil")?).chain_id(chain_id).try_spawn().context("anvil did not start")
}

/// The key of one of a local chain's accounts; they are public.
pub fn account_key(anvil: &AnvilInstance, account: usize) -> String {
    format!("0x{}", alloy::hex::encode(anvil.keys()[account].to_bytes()))
}

/// The `vouch` command that was built beside this program.
pub fn vouch_program() -> Result<PathBuf> {
    let here = std::env::current_exe()?;
    let beside = here.ancestors().skip(1).map(|folder| folder.join("vouch")).find(|path| path.is_file());
    beside.ok_or_else(|| eyre::eyre!("the vouch command is not built; run `cargo build --workspace`"))
}

/// Runs `vouch … --json` and returns what it prints.
pub fn vouch(args: &[&str]) -> Result<Value> {
    vouch_with(args, &[])
}

/// Runs `vouch … --json` with environment variables and returns what it prints.
pub fn vouch_with(args: &[&str], variables: &[(&str, &str)]) -> Result<Value> {
    let mut command = Command::new(vouch_program()?);
    let output = command.args(args).arg("--json").envs(variables.iter().copied()).current_dir(root()).output()?;
    let value: Value = serde_json::from_slice(&output.stdout).with_context(|| {
        format!("vouch {} printed no JSON: {}", args.join(" "), String::from_utf8_lossy(&output.stderr))
    })?;
    if let Some(error) = value.get("error") {
        bail!("vouch {}: {}; {}", args.join(" "), error["message"], error["remedy"]);
    }
    Ok(value)
}

/// Runs a Forge script against a node.
pub fn forge_script(script: &str, url: &str, key: &str, variables: &[(&str, &Path)]) -> Result<()> {
    let output = Command::new(foundry_program("forge")?)
        .args(["script", script, "--rpc-url", url, "--private-key", key, "--broadcast", "--slow"])
        .envs(variables.iter().copied())
        .current_dir(root())
        .stdin(Stdio::null())
        .output()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    ensure!(output.status.success(), "forge script {script} failed:\n{}{}", text(&output.stdout), text(&output.stderr));
    Ok(())
}

/// Reads a JSON file.
pub fn read_json(path: &Path) -> Result<Value> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_slice(&bytes).with_context(|| format!("{} is not JSON", path.display()))
}

/// Writes a JSON file.
pub fn write_json(path: &Path, value: &Value) -> Result<()> {
    std::fs::write(path, serde_json::to_vec_pretty(value)?).with_context(|| format!("cannot write {}", path.display()))
}
