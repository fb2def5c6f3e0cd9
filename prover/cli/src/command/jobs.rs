use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;
use vouch_relayer::{Journal, journal::JobId};

use super::relay::runtime;
use crate::{failure::Failure, report::Report};

/// Look at a relayer's journal, also while it works; start its jobs again.
#[derive(Debug, Subcommand)]
pub(crate) enum Jobs {
    /// Every job, the newest first.
    List(List),
    /// One job's timeline.
    Show(Show),
    /// Start a failed, expired or superseded job again, while no relayer works on the journal.
    Retry(Retry),
}

/// Every job, the newest first.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// The journal, `store` of the relayer's configuration.
    #[arg(long)]
    store: PathBuf,
}

/// One job's timeline.
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// The job's number.
    job: i64,
    /// The journal, `store` of the relayer's configuration.
    #[arg(long)]
    store: PathBuf,
}

/// Start a failed, expired or superseded job again, while no relayer works on the journal.
#[derive(Debug, Args)]
pub(crate) struct Retry {
    /// The job's number.
    job: i64,
    /// The journal, `store` of the relayer's configuration.
    #[arg(long)]
    store: PathBuf,
}

impl Jobs {
    pub(crate) fn execute(self) -> Result<Report, Failure> {
        let mut report = Report::new();
        match self {
            Self::List(list) => runtime()?.block_on(async {
                let jobs = Journal::open_read_only(&list.store).await?.jobs().await?;
                report.line(format!("{} jobs", jobs.len()));
                for job in &jobs {
                    report.row(&format!("{} {} epoch {}", job.id, job.key.action, job.key.epoch), job.state);
                }
                report.set("jobs", jobs);
                Ok(report)
            }),
            Self::Show(show) => runtime()?.block_on(async {
                let journal = Journal::open_read_only(&show.store).await?;
                let id = JobId(show.job);
                let (job, attempts, timeline) =
                    (journal.job(id).await?, journal.attempts(id).await?, journal.timeline(id).await?);
                report.line(format!("job {id}: {} epoch {}, {}", job.key.action, job.key.epoch, job.state));
                for entry in &timeline {
                    report.row(&entry.at.to_string(), entry.state);
                }
                report.set("job", job).set("attempts", attempts).set("timeline", json!(timeline));
                Ok(report)
            }),
            Self::Retry(retry) => runtime()?.block_on(async {
                let id = JobId(retry.job);
                // Opening to write makes a journal where there is none.
                Journal::open_read_only(&retry.store).await?.job(id).await?;
                let job = Journal::open(&retry.store).await?.retry(id).await?;
                report
                    .line(format!("job {id}: {}; `vouch relay` takes it up when it runs next", job.state))
                    .set("job", job);
                Ok(report)
            }),
        }
    }
}
