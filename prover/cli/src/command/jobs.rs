use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;
use vouch_relayer::{Journal, journal::JobId};

use super::relay::runtime;
use crate::{failure::Failure, report::Report};

/// Look at a relayer's journal, also while it works.
#[derive(Debug, Subcommand)]
pub(crate) enum Jobs {
    /// Every job, the newest first.
    List(List),
    /// One job's timeline.
    Show(Show),
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
        }
    }
}
