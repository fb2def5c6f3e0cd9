use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Map, Value, json};
use vouch_graph::{
    audit::{Audit as Audited, AuditOptions, Finding, Origin, audit},
    data,
    exec::input_specs,
    float::{FloatGraph, InputSpec},
    int::IntGraph,
    quantise::QuantiseOptions,
};

use super::{
    bench::{CALIBRATION_NAMES, MODEL_NAMES, present},
    compile::{ModelFile, parse_shape},
    prove::preview,
};
use crate::{
    failure::Failure,
    model_dir::{Inputs, ModelDir, write_json},
    progress,
    report::{Report, count, figure},
};

/// Find inputs on which the quantised model and its float model disagree: in data, and by a search around it.
#[derive(Debug, Args)]
pub(crate) struct Audit {
    /// The ONNX file, or a folder with it and its calibration data.
    model: PathBuf,
    /// Samples of real inputs to calibrate on: JSON by name, EZKL's JSON, or `.npz`.
    #[arg(long)]
    calibrate: Option<PathBuf>,
    /// Folder of the compiled model, to audit it as it is instead of quantising anew.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["calibrate", "headroom", "fix"])]
    compiled: Option<PathBuf>,
    /// Samples to compare both models on; may be given more than once.
    #[arg(long, value_name = "FILE", required = true)]
    data: Vec<PathBuf>,
    /// Shape of an input whose file leaves dimensions open: `name=1,3,32,32`.
    #[arg(long, value_parser = parse_shape)]
    input_shape: Vec<(String, Vec<usize>)>,
    /// Inputs that become constants of the model, of the value that they have in all calibration data; `auto` for those
    /// that the model cannot be compiled without.
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    fix: Vec<String>,
    /// How far values may leave their calibrated range, as a factor of at least 1.
    #[arg(long, default_value_t = QuantiseOptions::default().headroom)]
    headroom: f64,
    /// Where the output is one number: from which value on it decides otherwise.
    #[arg(long, allow_negative_numbers = true)]
    threshold: Option<f64>,
    /// Inputs that the search may run; 0 for the data alone.
    #[arg(long, default_value_t = AuditOptions::default().tries)]
    tries: usize,
    /// What the search's random numbers come from.
    #[arg(long, default_value_t = AuditOptions::default().seed)]
    seed: u64,
    /// Disagreements and largest errors to report, of the data and of the search each.
    #[arg(long, default_value_t = AuditOptions::default().keep)]
    worst: usize,
    /// Where to write the worst inputs, for `vouch check --input FILE --sample N`.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Refuse a model that agrees with the float model on fewer samples of the data than this share; a sample
    /// without a proof agrees with nothing.
    #[arg(long)]
    min_agreement: Option<f64>,
    /// Refuse a model whose largest error, on the data or in the search, is above this.
    #[arg(long)]
    max_error: Option<f64>,
}

impl Audit {
    pub(crate) fn execute(self) -> Result<Report, Failure> {
        let (float, graph, inputs) = self.models()?;
        let specs = float.input_specs();
        let mut samples = Vec::new();
        for file in &self.data {
            samples.append(&mut data::read_file_of(file, &specs, &inputs.names)?);
        }
        self.refuse_meaningless(&float)?;
        let options =
            AuditOptions { threshold: self.threshold, seed: self.seed, tries: self.tries, keep: self.worst.max(1) };
        let audited = progress::counted("auditing", samples.len() + self.tries, |tick| {
            audit(&float, &graph, &samples, &options, tick)
        })?;
        if let Some(out) = &self.out {
            write_json(out, &as_data(&audited.findings(), &specs))?;
        }
        self.refuse_bad(&audited)?;

        let mut report = Report::new();
        report.line(format!("{}: {} samples, {} tries around them", graph.name, samples.len(), audited.search.tries));
        describe(&mut report, &audited);
        if let Some(out) = &self.out {
            let findings = audited.findings().len();
            report.row("worst inputs", format!("{findings} in {}", out.display())).set("out", out);
        }
        report
            .extend(&audited)
            .set("threshold", self.threshold)
            .set("largest_margin", audited.largest_margin())
            .set("least_margin", audited.least_margin())
            .set("largest_error", audited.largest_error());
        Ok(report)
    }

    /// The float model, the quantised one, and the inputs that both have as constants.
    fn models(&self) -> Result<(FloatGraph, IntGraph, Inputs), Failure> {
        let path = if self.model.is_dir() {
            present(&self.model, MODEL_NAMES).ok_or_else(|| {
                let message = format!("{} holds no ONNX file", self.model.display());
                Failure::new(
                    "no_model",
                    message,
                    "give the ONNX file, and the folder of a compiled model as --compiled",
                )
            })?
        } else {
            self.model.clone()
        };
        let model = ModelFile { path: &path, input_shapes: &self.input_shape, fix: &self.fix };
        if let Some(compiled) = &self.compiled {
            let dir = ModelDir::new(compiled);
            let graph = dir.load()?.graph;
            let inputs = dir.load_inputs()?;
            let float = model.lower_as(&inputs)?;
            refuse_another(&float, &graph, compiled)?;
            return Ok((float, graph, inputs));
        }
        let beside = || if self.model.is_dir() { present(&self.model, CALIBRATION_NAMES) } else { None };
        let calibration = self.calibrate.clone().or_else(beside).ok_or_else(|| {
            let message = "the model has to be quantised, and there is no data to calibrate on";
            Failure::new(
                "no_calibration",
                message,
                "give --calibrate, or --compiled with the folder of the compiled model",
            )
        })?;
        let options = QuantiseOptions { headroom: self.headroom, ..QuantiseOptions::default() };
        let quantised = model.quantise(&calibration, &options, None)?;
        Ok((quantised.float, quantised.graph, quantised.inputs))
    }

    /// Refuses options that say nothing about this model.
    fn refuse_meaningless(&self, float: &FloatGraph) -> Result<(), Failure> {
        let elements = float.outputs.first().map_or(0, |id| float.tensor(*id).len());
        if self.threshold.is_some() && elements > 1 {
            let message = format!("the first output has {elements} elements, of which the greatest decides");
            return Err(Failure::new("bad_threshold", message, "leave --threshold out"));
        }
        if self.min_agreement.is_some() && self.threshold.is_none() && elements < 2 {
            let message = "the output is one number, which decides nothing by itself";
            return Err(Failure::new("no_decision", message, "say with --threshold from which value on it does"));
        }
        Ok(())
    }

    fn refuse_bad(&self, audited: &Audited) -> Result<(), Failure> {
        const REMEDY: &str = "calibrate on data of the range that is really used, or lower --headroom";
        if audited.samples == 0 && (self.max_error.is_some() || self.min_agreement.is_some()) {
            let message =
                format!("none of the {} samples has a proof, so nothing is known of their error", audited.refused);
            let remedy = "calibrate on data of the range that is really used, or raise --headroom";
            return Err(Failure::new("samples_refused", message, remedy));
        }
        let all = (audited.samples + audited.refused) as f64;
        let agreement = audited.agreed.map(|agreed| agreed as f64 / all).zip(self.min_agreement);
        if let Some((agreement, limit)) = agreement.filter(|(agreement, limit)| agreement < limit) {
            let message = format!(
                "the quantised model agrees with the float model on {agreement:.4} of the samples, below {limit}; {} of \
                 them have no proof",
                audited.refused
            );
            return Err(Failure::new("too_little_agreement", message, REMEDY));
        }
        if let Some(limit) = self.max_error.filter(|limit| audited.largest_error() > *limit) {
            let message = format!(
                "the largest error against the float model is {} on the data and {} in the search, above {limit}",
                figure(audited.errors.max),
                figure(audited.search.largest_error)
            );
            return Err(Failure::new("too_inaccurate", message, REMEDY));
        }
        Ok(())
    }
}

/// Refuses a compiled folder that was not made from the model.
fn refuse_another(float: &FloatGraph, graph: &IntGraph, folder: &Path) -> Result<(), Failure> {
    let floats: Vec<usize> = float.outputs.iter().map(|id| float.tensor(*id).len()).collect();
    let integers: Vec<usize> = graph.outputs.iter().map(|port| graph.tensor(port.tensor).len()).collect();
    if input_specs(graph) == float.input_specs() && integers == floats {
        return Ok(());
    }
    let message = format!("{} was compiled from another model: inputs or outputs differ", folder.display());
    Err(Failure::new("another_model", message, "give the ONNX file that it was compiled from"))
}

/// Inputs as a data file has them: by name, a row a sample.
fn as_data(findings: &[&Finding], specs: &[InputSpec]) -> Value {
    let rows = |i: usize| findings.iter().filter_map(|f| f.inputs.get(i)).map(|row| json!(row)).collect::<Vec<_>>();
    Value::Object(specs.iter().enumerate().map(|(i, spec)| (spec.name.clone(), json!(rows(i)))).collect::<Map<_, _>>())
}

fn describe(report: &mut Report, audited: &Audited) {
    let number = |n: usize| count(n as u64);
    let all = audited.samples + audited.refused;
    report.row("answered", format!("{} of {} samples", number(audited.samples), number(all)));
    for refusal in &audited.refusals {
        let what = format!("{}: `{}` ({})", number(refusal.samples), refusal.tensor, refusal.reason.replace('_', " "));
        report.row("refused", format!("{what}, the first sample {}", refusal.first));
    }
    if let (Some(agreed), Some(agreement)) = (audited.agreed, audited.agreement) {
        let label = if audited.decision == Some("arg_max") { "same arg-max" } else { "same side" };
        let apart = audited.samples - agreed;
        report.row(label, format!("{:.2} % of those answered, {} disagree", 100.0 * agreement, number(apart)));
    }
    let errors = &audited.errors;
    let quantiles = [("50 %", errors.p50), ("90 %", errors.p90), ("99 %", errors.p99), ("all", errors.max)];
    let quantiles = quantiles.map(|(share, error)| format!("{share} within {}", figure(error)));
    report.row("error on the data", quantiles.join(", "));
    let search = &audited.search;
    if search.tries > 0 {
        report.row(
            "search",
            format!(
                "{} tries with seed {}: {} lines between samples, {} climbs; {} without a proof",
                number(search.tries),
                search.seed,
                number(search.pairs),
                number(search.climbs),
                number(search.refused)
            ),
        );
        report.row("largest error found", figure(audited.largest_error()));
    }
    if audited.decision.is_some() {
        let run = number(audited.samples + search.tries - search.refused);
        let text = match audited.largest_margin() {
            Some(margin) => format!(
                "found up to a float margin of {}; outside it nothing was found to differ in {run} inputs",
                figure(margin)
            ),
            None => format!(
                "none found in {run} inputs, the nearest to a boundary with a float margin of {}",
                figure(audited.least_margin().unwrap_or(0.0))
            ),
        };
        report.row("disagreements", text);
    }
    for (i, finding) in audited.findings().into_iter().enumerate() {
        report.line(format!("worst input {i}, {}", sentence(finding)));
        for (label, outputs) in [("float model", &finding.float), ("quantised", &finding.quantised)] {
            report.row(label, outputs.iter().map(|o| preview(&json!(o))).collect::<Vec<_>>().join("; "));
        }
    }
}

/// Where an input comes from, and how the models differ on it.
fn sentence(finding: &Finding) -> String {
    let origin = match &finding.origin {
        Origin::Data { sample } => format!("sample {sample}"),
        Origin::Boundary { samples: [a, b] } => format!("between the samples {a} and {b}"),
        Origin::Perturbation => "found by small changes".to_owned(),
    };
    let decisions = match finding.decisions.filter(|d| !d.agree()) {
        Some(d) => format!(
            ", decided {} with a margin of {} by the float model, {} with {} by the quantised one",
            d.float,
            figure(d.float_margin),
            d.quantised,
            figure(d.quantised_margin)
        ),
        None => String::new(),
    };
    format!("{origin}: off by {}{decisions}", figure(finding.error))
}
