use std::path::PathBuf;

use clap::Args;
use tokio::sync::mpsc;
use vouch_proof::ProofFile;
use vouch_relayer::{ChildProver, ProvedInference, RelayEvent, Relayer, RelayerConfig};

use super::relay::runtime;
use crate::{failure::Failure, report::Report};

/// Submit one proof to a gate and see it confirmed.
#[derive(Debug, Args)]
pub(crate) struct Submit {
    /// The relayer's configuration file: chain, gate, key, journal.
    #[arg(long)]
    config: PathBuf,
    /// Epoch whose statement the proof is of.
    #[arg(long)]
    epoch: u64,
    /// The proof.
    proof: PathBuf,
}

impl Submit {
    pub(crate) fn execute(self) -> Result<Report, Failure> {
        let config = RelayerConfig::read(&self.config)?;
        let signer = config.signer.open(|name| std::env::var(name).ok())?;
        let proved = ProvedInference::from_file(&ProofFile::read(&self.proof)?)?;
        let prover = ChildProver::new(&config);
        runtime()?.block_on(async {
            let (sender, mut events) = mpsc::unbounded_channel::<RelayEvent>();
            tokio::spawn(async move {
                while let Some(event) = events.recv().await {
                    eprintln!("{event}");
                }
            });
            let relayer = Relayer::start(config, signer, prover, sender).await?;
            let job = relayer.submit(self.epoch, &proved).await?;
            let mut report = Report::new();
            report.line(format!("epoch {}: {}", self.epoch, job.state)).set("job", job);
            Ok(report)
        })
    }
}
