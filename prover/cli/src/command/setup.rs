use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use clap::{ArgGroup, Args};
use vouch_proof::{DevelopmentSeed, LogRows, ProvingKey, Srs, Trust};
use vouch_solidity::standard_json;

use super::solc_path;
use crate::{
    bill::{self, Bill},
    failure::Failure,
    model_dir::{ModelDir, write, write_json},
    progress,
    report::{Report, bytes, count},
    statement,
    verifier::{self, Form, VerifierFile},
};

/// Make the keys and the Solidity verifier of a compiled model.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("powers").required(true).args(["srs", "insecure_dev_srs"])))]
pub(crate) struct Setup {
    /// Folder of the compiled model.
    dir: PathBuf,
    /// Powers of tau: a file of `vouch srs`, a `.ptau`, or halo2's raw format (`.srs` of a ceremony).
    #[arg(long)]
    srs: Option<PathBuf>,
    /// Make powers of tau whose secret is known: for tests alone.
    #[arg(long)]
    insecure_dev_srs: bool,
    /// Put the key into the verifier: a contract of the model's own, which needs the Solidity compiler. By default
    /// models of one shape share a verifier, and the key is data.
    #[arg(long)]
    single: bool,
    /// Solidity compiler, for verifiers that are not compiled already; the repository's wrapper by default.
    #[arg(long, env = "VOUCH_SOLC")]
    solc: Option<PathBuf>,
}

impl Setup {
    pub(crate) fn execute(self) -> Result<Report, Failure> {
        let dir = ModelDir::new(&self.dir);
        let model = dir.load()?;
        let mut bill = Bill::load(&dir)?;
        let form = if self.single { Form::Single } else { Form::Shared };
        verifier::require_compiler(&model.plan.shape, form, self.solc.as_deref())?;
        let start = Instant::now();
        let k = LogRows::new(model.plan.k)?;
        let srs = match &self.srs {
            Some(file) => read_powers(file, k)?,
            None => Srs::development(k, DevelopmentSeed::DEFAULT)?,
        };
        let estimate = Duration::from_secs_f64(model.plan.predicted.prove_seconds * 2.0);
        let blank = model.blank()?;
        let key = progress::timed("making keys", estimate, || ProvingKey::generate(&srs, &blank, model.spec()))?;
        let keygen_seconds = start.elapsed().as_secs_f64();

        let verifying = key.verifying();
        let (verifier, source) = progress::timed("making the verifier", Duration::from_secs(8), || {
            VerifierFile::generate(verifying, &model.plan.shape, form, self.solc.as_deref())
        })?;
        let reader = match solc_path(self.solc.as_deref()) {
            Ok(solc) => statement::save_compiled(&dir, &statement::layout(&model)?, &solc).map(|()| true)?,
            Err(_) if self.solc.is_none() => false,
            Err(failure) => return Err(failure),
        };

        srs.save(&dir.powers())?;
        key.save(&dir.proving_key())?;
        verifying.save(&dir.verifying_key())?;
        write(&dir.verifier_source(), source.as_bytes())?;
        write(&dir.verifier_input(), standard_json(&source).as_bytes())?;
        write_json(&dir.verifier(), &verifier)?;
        bill.note_setup(bill::Setup::of(&verifier, &source, verifying, srs.provenance()));
        bill.save(&dir)?;

        let size = |path: &Path| std::fs::metadata(path).map(|m| m.len()).unwrap_or(0);
        let key_bytes = size(&dir.proving_key());
        let mut report = Report::new();
        report.line(format!("keys and verifier of {} are in {}", model.graph.name, dir.root().display()));
        report
            .row("powers of tau", format!("2^{} rows, {}", srs.k().0, srs.provenance()))
            .row("verifying key", verifying.digest())
            .row("proving key", bytes(key_bytes))
            .row("verifier", described(&verifier))
            .row(
                "statement",
                if reader {
                    "its reader is compiled"
                } else {
                    "its reader is not compiled: no Solidity compiler is known"
                },
            )
            .row("time", format!("{keygen_seconds:.1} s for the keys, {:.1} s in all", start.elapsed().as_secs_f64()));
        report
            .set("k", srs.k().0)
            .set("vk_digest", verifying.digest())
            .set("srs_digest", verifying.srs())
            .set("insecure", verifying.is_insecure())
            .set("provenance", srs.provenance())
            .set("proving_key_bytes", key_bytes)
            .set("shape", &verifier.shape)
            .set("runtime_bytes", verifier.runtime_bytes)
            .set("key_bytes", verifier.key().map(|key| key.bytes().len()))
            .set("keygen_seconds", keygen_seconds)
            .set("seconds", start.elapsed().as_secs_f64());
        Ok(report)
    }
}

fn described(verifier: &VerifierFile) -> String {
    let code = format!("{} bytes of runtime code", count(verifier.runtime_bytes as u64));
    match verifier.key() {
        Some(key) => {
            format!("that of the shape {}, {code}; a key of {} bytes", verifier.shape, count(key.bytes().len() as u64))
        }
        None => format!("of its own, {code}"),
    }
}

/// Reads powers of tau in any format and keeps `2^k`.
fn read_powers(file: &Path, k: LogRows) -> Result<Srs, Failure> {
    if file.extension().is_some_and(|extension| extension == "ptau") {
        return Ok(Srs::import_ptau(file, Some(k), Trust::KnownCeremonies)?);
    }
    if !file.extension().is_some_and(|extension| extension == "srs" || extension == "raw") {
        let message = format!("{} is no file of powers of tau", file.display());
        return Err(Failure::new("not_powers", message, "give a .ptau of a ceremony, or a .srs file"));
    }
    let srs = if vouch_proof::inspect(file).is_ok() {
        Srs::load(file, None)?
    } else {
        Srs::import_raw(file, Trust::KnownCeremonies)?
    };
    Ok(if srs.k() == k { srs } else { srs.downsize(k)? })
}
