//! Programs that the demonstration runs: `vouch`, `forge`, `anvil`.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use eyre::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::root;

/// A program of the repository's Node packages.
pub fn node_program(name: &str) -> Result<PathBuf> {
    let path = root().join("node_modules/.bin").join(name);
    ensure!(path.exists(), "{name} is not installed; run `npm ci` in {}", root().display());
    Ok(path)
}

/// The `vouch` command that was built beside this program.
pub fn vouch_program() -> Result<PathBuf> {
    let here = std::env::current_exe()?;
    let beside = here.ancestors().skip(1).map(|folder| folder.join("vouch")).find(|path| path.is_file());
    beside.ok_or_else(|| eyre::eyre!("the vouch command is not built; run `cargo build -p vouch-cli`"))
}

/// Runs `vouch … --json` and returns what it prints.
pub fn vouch(args: &[&str]) -> Result<Value> {
    let output = Command::new(vouch_program()?).args(args).arg("--json").current_dir(root()).output()?;
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
    let output = Command::new(node_program("forge")?)
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
