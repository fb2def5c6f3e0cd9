use std::path::PathBuf;

use clap::Args;
use tokio::{sync::mpsc, task::JoinHandle};
use vouch_relayer::{ChildProver, RelayEvent, Relayer, RelayerConfig};

use crate::{failure::Failure, report::Report};

/// Watch a chain, prove and submit.
#[derive(Debug, Args)]
pub(crate) struct Relay {
    /// Configuration file.
    #[arg(long)]
    config: PathBuf,
    /// Do everything but send transactions.
    #[arg(long)]
    dry_run: bool,
}

impl Relay {
    pub(crate) fn execute(self) -> Result<Report, Failure> {
        let mut config = RelayerConfig::read(&self.config)?;
        config.dry_run |= self.dry_run;
        let signer = config.signer.open(|name| std::env::var(name).ok())?;
        let prover = ChildProver::new(&config);
        runtime()?.block_on(async {
            let (sender, printer) = printed_events();
            let relayer = Relayer::start(config, signer, prover, sender).await?;
            let stopper = relayer.stopper();
            tokio::spawn(async move {
                // Where the signal cannot be listened to, the process ends as the system ends it.
                if interrupted().await.is_ok() {
                    stopper.stop();
                }
            });
            relayer.run().await?;
            // The printer ends with the last event.
            let _ = printer.await;
            let mut report = Report::new();
            report.line("stopped; the journal holds what is left to do").set("stopped", true);
            Ok(report)
        })
    }
}

/// Where a relayer tells what it does, and the task that prints it; the task ends when the relayer is gone.
pub(super) fn printed_events() -> (mpsc::UnboundedSender<RelayEvent>, JoinHandle<()>) {
    let (sender, mut events) = mpsc::unbounded_channel::<RelayEvent>();
    let printer = tokio::spawn(async move {
        while let Some(event) = events.recv().await {
            eprintln!("{event}");
        }
    });
    (sender, printer)
}

/// Returns on Ctrl-C or a request to terminate.
async fn interrupted() -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            result = tokio::signal::ctrl_c() => result,
            _ = terminate.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}

/// The runtime of a command that talks to a chain.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| {
        Failure::new("runtime", format!("no runtime could be started: {error}"), "free some memory or threads")
    })
}
