use std::path::PathBuf;

use clap::Args;
use vouch_proof::ProofFile;
use vouch_relayer::{ChildProver, ProvedInference, Relayer, RelayerConfig, journal::JobState};

use super::relay::{printed_events, runtime};
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
        let end = if config.dry_run { JobState::Proved } else { JobState::Confirmed };
        runtime()?.block_on(async {
            let (sender, printer) = printed_events();
            let relayer = Relayer::start(config, signer, prover, sender).await?;
            let job = relayer.submit(self.epoch, &proved).await?;
            drop(relayer);
            // The printer ends with the last event.
            let _ = printer.await;
            if job.state != end {
                let reason = job.reason.map(|reason| format!(": {reason}")).unwrap_or_default();
                let message = format!("the proof for epoch {} ended {}{reason}", self.epoch, job.state);
                return Err(Failure::new("not_confirmed", message, "see `vouch jobs show` for what happened"));
            }
            let mut report = Report::new();
            report.line(format!("epoch {}: {}", self.epoch, job.state)).set("job", job);
            Ok(report)
        })
    }
}
