//! The relayer as a process of its own.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use alloy::providers::Provider;
use eyre::{Context as _, Result, bail, eyre};

use super::{tools::vouch_program, world::World};
use crate::root;

/// Longest wait for one inference.
const PATIENCE: Duration = Duration::from_secs(180);

/// Variable that holds the relayer's key.
pub(super) const KEY_VARIABLE: &str = "VOUCH_RELAYER_KEY";

/// Writes the configuration of a relayer of `world` that proves `model`.
pub(super) fn write_config(folder: &Path, world: &World, model: &Path) -> Result<PathBuf> {
    let config = folder.join("relayer.toml");
    std::fs::write(
        &config,
        format!(
            "rpc = [\"{}\"]\nchain_id = {}\ngate = \"{}\"\nmodel = \"{}\"\nstore = \"relayer.sqlite\"\npoll_seconds = 1\n\n\
             [signer]\nenv = \"{KEY_VARIABLE}\"\n\n[prover]\ncommand = \"{}\"\n",
            world.url(),
            world.chain_id(),
            world.vault,
            model.display(),
            vouch_program()?.display(),
        ),
    )?;
    Ok(config)
}

/// A running `vouch relay`.
pub(super) struct RelayerProcess {
    child: Child,
    log: PathBuf,
}

/// An inference that the vault accepted.
pub(super) struct Accepted {
    pub(super) output: i64,
    pub(super) gas: u64,
}

impl RelayerProcess {
    pub(super) fn start(folder: &Path, world: &World, config: &Path) -> Result<Self> {
        let vouch = vouch_program()?;
        let log = folder.join("relayer.log");
        let child = Command::new(&vouch)
            .args(["relay", "--config"])
            .arg(config)
            .env(KEY_VARIABLE, world.relayer_key())
            .env("VOUCH_LOG", "info")
            .current_dir(root())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log)?)
            .spawn()
            .context("the relayer did not start")?;
        Ok(Self { child, log })
    }

    /// Waits until the vault accepted the inference of an epoch.
    pub(super) async fn wait_for(&mut self, world: &World, epoch: u64) -> Result<Accepted> {
        let start = Instant::now();
        let vault = world.vault_contract();
        loop {
            let events = vault
                .InferenceAccepted_filter()
                .from_block(0)
                .topic1(alloy::primitives::U256::from(epoch))
                .query()
                .await?;
            if let Some((event, log)) = events.into_iter().next() {
                let hash = log.transaction_hash.ok_or_else(|| eyre!("the event has no transaction"))?;
                let receipt = world.provider().get_transaction_receipt(hash).await?;
                let output = event.outputs.first().ok_or_else(|| eyre!("the inference has no output"))?;
                return Ok(Accepted {
                    output: i64::try_from(*output)?,
                    gas: receipt.map_or(0, |receipt| receipt.gas_used),
                });
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("the relayer ended with {status}:\n{}", self.log_tail());
            }
            if start.elapsed() > PATIENCE {
                bail!("no inference for epoch {epoch} after {} s:\n{}", PATIENCE.as_secs(), self.log_tail());
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }

    pub(super) fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    fn log_tail(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for RelayerProcess {
    fn drop(&mut self) {
        // Already ended in the ordinary course.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
