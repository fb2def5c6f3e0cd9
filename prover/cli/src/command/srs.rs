use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use vouch_proof::{DevelopmentSeed, LogRows, Srs, Trust};

use crate::{failure::Failure, report::Report};

/// Powers of tau.
#[derive(Debug, Subcommand)]
pub(crate) enum SrsCommand {
    /// Make an INSECURE development setup from a seed.
    New(New),
    /// Import a ceremony's file with full checks.
    Import(Import),
    /// Check a file of this tool again, point by point.
    Check(Check),
}

/// Make an INSECURE development setup from a seed.
#[derive(Debug, Args)]
pub(crate) struct New {
    /// Rows, as a power of two.
    #[arg(long)]
    k: u32,
    /// Where to write it.
    #[arg(long)]
    out: PathBuf,
}

/// Import a ceremony's file with full checks.
#[derive(Debug, Args)]
pub(crate) struct Import {
    /// The file.
    file: PathBuf,
    /// Its format.
    #[arg(long, value_enum, default_value_t = Format::Ptau)]
    format: Format,
    /// Rows to keep, as a power of two; all by default.
    #[arg(long)]
    k: Option<u32>,
    /// Accept a file of no known ceremony. Whoever made it may know tau.
    #[arg(long)]
    accept_unknown: bool,
    /// Where to write it.
    #[arg(long)]
    out: PathBuf,
}

/// Formats of setups.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Format {
    /// snarkjs's `.ptau`.
    Ptau,
    /// halo2's raw bytes.
    Raw,
}

/// Check a file of this tool again, point by point.
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// The file.
    file: PathBuf,
}

impl SrsCommand {
    pub(crate) fn execute(self) -> Result<Report, Failure> {
        match self {
            Self::New(new) => {
                let srs = Srs::development(LogRows::new(new.k)?, DevelopmentSeed::DEFAULT)?;
                srs.save(&new.out)?;
                Ok(describe(&srs, "written", Some(&new.out)))
            }
            Self::Import(import) => {
                let trust = if import.accept_unknown { Trust::AnySetup } else { Trust::KnownCeremonies };
                let srs = read(&import.file, import.format, import.k, trust)?;
                srs.save(&import.out)?;
                Ok(describe(&srs, "imported", Some(&import.out)))
            }
            Self::Check(check) => {
                let srs = Srs::load(&check.file, None)?;
                srs.check(&check.file)?;
                Ok(describe(&srs, "checked", Some(&check.file)))
            }
        }
    }
}

fn read(file: &std::path::Path, format: Format, k: Option<u32>, trust: Trust) -> Result<Srs, Failure> {
    let k = k.map(LogRows::new).transpose()?;
    match format {
        Format::Ptau => Ok(Srs::import_ptau(file, k, trust)?),
        Format::Raw => {
            let srs = Srs::import_raw(file, trust)?;
            match k {
                Some(k) => Ok(srs.downsize(k)?),
                None => Ok(srs),
            }
        }
    }
}

fn describe(srs: &Srs, verb: &str, file: Option<&PathBuf>) -> Report {
    let mut report = Report::new();
    let path = file.map(|file| file.display().to_string()).unwrap_or_default();
    report.line(format!("powers of tau {verb}: {path}"));
    report.row("rows", format!("2^{}", srs.k().0)).row("origin", srs.provenance()).row("digest", srs.digest());
    report.set("k", srs.k().0).set("digest", srs.digest()).set("provenance", srs.provenance());
    report.set("insecure", srs.provenance().is_insecure());
    report
}
