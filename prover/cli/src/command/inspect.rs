use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};
use vouch_proof::ProofFile;

use crate::{
    failure::Failure,
    model_dir::{ModelDir, read, write},
    picture,
    report::Report,
};

/// Say what a file is, what made it, and its digests.
#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// A file of this tool, or the folder of a compiled model.
    path: PathBuf,
    /// Draw the folder's circuit, and where the time goes, on a page.
    #[arg(long)]
    html: Option<PathBuf>,
    /// A proof of the model, whose times the page shows.
    #[arg(long, requires = "html")]
    proof: Option<PathBuf>,
}

/// Bands of rows on the page.
const BANDS: usize = 320;

impl Inspect {
    pub(crate) fn execute(self) -> Result<Report, Failure> {
        let value = if self.path.is_dir() { self.folder()? } else { self.file()? };
        let mut report = Report::new();
        report.line(self.path.display().to_string());
        rows(&mut report, "", &value);
        report.extend(&value);
        if let Some(page) = &self.html {
            self.draw(page)?;
            report.row("page", page.display()).set("page", page);
        }
        Ok(report)
    }

    fn draw(&self, page: &Path) -> Result<(), Failure> {
        if !self.path.is_dir() {
            let message = format!("{} is no folder of a compiled model", self.path.display());
            return Err(Failure::new("no_model", message, "give the folder that `vouch compile` wrote"));
        }
        let model = ModelDir::new(&self.path).load()?;
        let spans = match &self.proof {
            Some(proof) => Some(ProofFile::read(proof)?.spans),
            None => None,
        };
        let circuit = model.blank()?;
        let html = picture::page(&model.graph.name, &model.plan, &circuit.map(BANDS), spans.as_ref());
        write(page, html.as_bytes())
    }

    fn folder(&self) -> Result<Value, Failure> {
        let dir = ModelDir::new(&self.path);
        let model = dir.load()?;
        let files = [dir.powers(), dir.proving_key(), dir.verifying_key(), dir.verifier(), dir.accuracy()];
        let present: Vec<_> = files
            .iter()
            .filter(|f| f.exists())
            .filter_map(|f| f.file_name())
            .map(|f| f.display().to_string())
            .collect();
        Ok(json!({
            "file": "model",
            "name": model.graph.name,
            "model_digest": model.digest,
            "k": model.plan.k,
            "nodes": model.graph.nodes.len(),
            "params": model.graph.parameter_count(),
            "plan": *model.plan,
            "present": present,
        }))
    }

    fn file(&self) -> Result<Value, Failure> {
        match vouch_proof::inspect(&self.path) {
            Ok(info) => Ok(json!(info)),
            Err(error) => {
                // Compiled models, plans and verifiers are JSON files that say what they are.
                let named = serde_json::from_slice::<Value>(&read(&self.path)?).ok();
                match named.filter(|value| value.get("format").is_some()) {
                    Some(value) => Ok(summary(value)),
                    None => Err(error.into()),
                }
            }
        }
    }
}

/// The short values of a JSON file; long ones by their size.
fn summary(value: Value) -> Value {
    let Value::Object(object) = value else { return value };
    let short = |(key, value): (String, Value)| {
        let value = match value {
            Value::Array(items) => json!(format!("{} entries", items.len())),
            Value::String(text) if text.len() > 80 => json!(format!("{} characters", text.len())),
            other => other,
        };
        (key, value)
    };
    Value::Object(object.into_iter().map(short).collect())
}

fn rows(report: &mut Report, prefix: &str, value: &Value) {
    let Value::Object(object) = value else { return };
    for (key, value) in object {
        match value {
            Value::Object(_) => rows(report, &format!("{prefix}{key}."), value),
            Value::String(text) => {
                report.row(&format!("{prefix}{key}"), shorten(text));
            }
            other => {
                report.row(&format!("{prefix}{key}"), shorten(&other.to_string()));
            }
        }
    }
}

/// At most a line's worth of a value.
fn shorten(text: &str) -> String {
    let head: String = text.chars().take(90).collect();
    if head.len() < text.len() { format!("{head}… ({} characters)", text.chars().count()) } else { head }
}
