use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use clap::{Args, Parser, ValueEnum};
use vouch_circuit::{Alternative, CircuitPlan, CostModel, Objective, PlanOptions, TOLERANCE, WeightPlacement};
use vouch_graph::{
    GraphError,
    bound::{Bounds, Ideal, bounds},
    calibrate::calibrate,
    data,
    float::FloatGraph,
    import::{ImportOptions, OnnxModel},
    int::{IntGraph, Visibility},
    quantise::{INPUT_BITS, QuantiseOptions, Target, quantise_measured, quantise_within},
    report::{Report as Accuracy, report as accuracy},
};
use vouch_proof::LogRows;

use crate::{
    accuracy_page,
    bill::{self, Bill, Material},
    failure::Failure,
    model_dir::{Inputs, ModelDir, read, write, write_json},
    report::{Report, bytes, count, figure, figure_above},
    statement,
};

/// Quantise an ONNX model and plan its circuit.
#[derive(Debug, Args)]
pub(crate) struct Compile {
    #[command(flatten)]
    source: Source,
    /// Data to measure the error on; the calibration data by default.
    #[arg(long)]
    test: Option<PathBuf>,
    /// Folder to write; the model's name by default.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Write a page about the errors: how large, of which layer, and where they enter.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Refuse a model whose largest error against the float model is above this.
    #[arg(long)]
    max_error: Option<f64>,
    /// Refuse a model whose guaranteed error, of any output for any input that has a proof, is above this, or which has
    /// none.
    #[arg(long)]
    max_bound: Option<f64>,
    /// Refuse a classifier that agrees with the float model on fewer samples than this share.
    #[arg(long)]
    min_agreement: Option<f64>,
}

/// A model and how to quantise and place it.
#[derive(Debug, Args)]
pub(crate) struct Source {
    /// The ONNX file.
    model: PathBuf,
    /// Samples of real inputs: JSON by name, EZKL's JSON, or `.npz`.
    #[arg(long)]
    pub(crate) calibrate: PathBuf,
    /// Shape of an input whose file leaves dimensions open: `name=1,3,32,32`.
    #[arg(long, value_parser = parse_shape)]
    input_shape: Vec<(String, Vec<usize>)>,
    /// Inputs that become constants of the model, of the value that they have in all calibration data; `auto` for those
    /// that the model cannot be compiled without.
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    fix: Vec<String>,
    /// Who sees the inputs.
    #[arg(long = "input-visibility", value_enum, default_value_t = Placement::Public)]
    input_visibility: Placement,
    /// Who sees the outputs.
    #[arg(long = "output-visibility", value_enum, default_value_t = Placement::Public)]
    output_visibility: Placement,
    /// Private weights are hidden and not bound by the verifying key; public weights are bound by it
    /// and not hidden.
    #[arg(long, value_enum, default_value_t = Placement::Private)]
    params: Placement,
    /// How far values may leave their calibrated range, as a factor of at least 1.
    #[arg(long, default_value_t = QuantiseOptions::default().headroom)]
    headroom: f64,
    /// Bits of real inputs, 8 to 16, or `auto` for the fewest at which the calibration data keeps to --max-error and
    /// --min-agreement. Fewer bits of public inputs cost less gas; inside the circuit they cost the same.
    #[arg(long, default_value = "16", value_parser = parse_input_bits, value_name = "N|auto")]
    input_bits: InputBits,
    /// What the circuit is to be best at.
    #[arg(long, value_enum, default_value_t = Goal::Prover)]
    objective: Goal,
    /// Rows of the circuit, as a power of two; the best by default.
    #[arg(long)]
    k: Option<u32>,
    /// Rows that one row of the model takes: few make a fast prover, many a cheap verifier; the best by default.
    #[arg(long, value_parser = ["1", "2", "4"])]
    height: Option<String>,
    /// Bits of the numbers that range checks look up; the best by default.
    #[arg(long, value_parser = ["8", "16"])]
    limb_bits: Option<String>,
    /// Coefficients of predicted time and memory, from `vouch bench --calibrate-planner` on this machine.
    #[arg(long, env = "VOUCH_COST_MODEL", value_name = "FILE")]
    cost_model: Option<PathBuf>,
    /// Print the circuits that were considered, and why the winner won.
    #[arg(long)]
    explain: bool,
}

/// Stands for the inputs that have to be fixed, or for the bits that inputs need.
const AUTO: &str = "auto";

/// Bits of real inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum InputBits {
    Number(u32),
    /// As few as a target allows.
    Auto,
}

/// What a circuit is to be best at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Goal {
    /// Least proving time.
    Prover,
    /// Least gas to verify.
    Gas,
    /// Least memory to prove.
    Memory,
}

impl From<Goal> for Objective {
    fn from(goal: Goal) -> Self {
        match goal {
            Goal::Prover => Self::Prover,
            Goal::Gas => Self::Gas,
            Goal::Memory => Self::Memory,
        }
    }
}

/// Public or private.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Placement {
    /// Seen by the verifier.
    Public,
    /// Hidden.
    Private,
}

/// A model through the stages that need no keys.
pub(crate) struct Compiled {
    pub(crate) float: FloatGraph,
    pub(crate) graph: IntGraph,
    pub(crate) ideal: Ideal,
    pub(crate) plan: CircuitPlan,
    /// What the plan is best at, and the plans considered, where the user asked for them.
    pub(crate) considered: Option<(Objective, Vec<Alternative>)>,
    pub(crate) samples: Vec<data::Sample>,
    pub(crate) inputs: Inputs,
}

/// An ONNX file, and what of it is left to the user.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ModelFile<'a> {
    pub(crate) path: &'a Path,
    pub(crate) input_shapes: &'a [(String, Vec<usize>)],
    /// Inputs to fix, or [`AUTO`].
    pub(crate) fix: &'a [String],
}

impl ModelFile<'_> {
    fn options(&self) -> ImportOptions {
        let input_shapes: BTreeMap<_, _> = self.input_shapes.iter().cloned().collect();
        ImportOptions { input_shapes, ..ImportOptions::default() }
    }

    /// Lowers the model with the inputs fixed that are to be, of the values that they have in the calibration data.
    fn lower(&self, calibration: &Path) -> Result<(FloatGraph, Inputs), Failure> {
        let mut options = self.options();
        let specs = OnnxModel::open(self.path, &options)?.input_specs()?;
        let names: Vec<String> = specs.iter().map(|spec| spec.name.clone()).collect();
        let value = |name: &str| -> Result<Vec<f64>, Failure> {
            let spec = specs.iter().find(|spec| spec.name == name);
            let spec =
                spec.ok_or_else(|| GraphError::UnknownInput { input: name.to_owned(), known: names.join(", ") })?;
            Ok(data::constant_of(calibration, spec, &names)?)
        };
        for name in self.fix.iter().filter(|name| *name != AUTO) {
            options.fixed.insert(name.clone(), value(name)?);
        }
        let auto = self.fix.iter().any(|name| name == AUTO);
        let lowered = OnnxModel::open_fixing(self.path, options, |name| auto.then(|| value(name)).transpose())?;
        Ok((lowered.graph, Inputs { names, fixed: lowered.fixed }))
    }

    /// Lowers the model with the inputs fixed that are constants of a compiled one.
    pub(crate) fn lower_as(&self, inputs: &Inputs) -> Result<FloatGraph, Failure> {
        let options = ImportOptions { fixed: inputs.fixed.clone(), ..self.options() };
        Ok(OnnxModel::open(self.path, &options)?.lower()?)
    }

    /// Quantises the model, with the narrowest inputs that keep to a target if there is one.
    pub(crate) fn quantise(
        &self,
        calibration: &Path,
        options: &QuantiseOptions,
        narrowest: Option<&Target>,
    ) -> Result<Quantised, Failure> {
        let (float, inputs) = self.lower(calibration)?;
        let samples = data::read_file_of(calibration, &float.input_specs(), &inputs.names)?;
        let ranges = calibrate(&float, &samples)?;
        let (graph, ideal) = match narrowest {
            Some(target) => quantise_within(&float, &ranges, options, (&samples, target))?,
            None => quantise_measured(&float, &ranges, options, &samples)?,
        };
        Ok(Quantised { float, graph, ideal, samples, inputs })
    }
}

/// A model, its integer form, and the data that it was calibrated on.
pub(crate) struct Quantised {
    pub(crate) float: FloatGraph,
    pub(crate) graph: IntGraph,
    pub(crate) ideal: Ideal,
    pub(crate) samples: Vec<data::Sample>,
    pub(crate) inputs: Inputs,
}

impl Source {
    /// The model as a circuit; a target is what inputs of as few bits as possible keep to.
    pub(crate) fn compile(&self, target: &Target) -> Result<Compiled, Failure> {
        let visibility = |placement| match placement {
            Placement::Public => Visibility::Public,
            Placement::Private => Visibility::Private,
        };
        let options = QuantiseOptions {
            headroom: self.headroom,
            input_bits: match self.input_bits {
                InputBits::Number(bits) => bits,
                InputBits::Auto => QuantiseOptions::default().input_bits,
            },
            inputs: visibility(self.input_visibility),
            outputs: visibility(self.output_visibility),
        };
        let narrowest = (self.input_bits == InputBits::Auto).then_some(target);
        if narrowest == Some(&Target::default()) {
            return Err(Failure::new(
                "no_target",
                "--input-bits auto has nothing to keep to",
                "compile with --max-error or --min-agreement, or name the bits",
            ));
        }
        let model = ModelFile { path: &self.model, input_shapes: &self.input_shape, fix: &self.fix };
        let Quantised { float, graph, ideal, samples, inputs } =
            model.quantise(&self.calibrate, &options, narrowest)?;
        let weights = match self.params {
            Placement::Public => WeightPlacement::Public,
            Placement::Private => WeightPlacement::Private,
        };
        if let Some(k) = self.k {
            LogRows::new(k)?;
        }
        let options = PlanOptions {
            weights,
            k: self.k,
            height: self.height.as_deref().and_then(|height| height.parse().ok()),
            limb_bits: self.limb_bits.as_deref().and_then(|bits| bits.parse().ok()),
            objective: self.objective.into(),
            cost_model: match &self.cost_model {
                Some(file) => serde_json::from_slice(&read(file)?).map_err(|error| Failure::malformed(file, &error))?,
                None => CostModel::default(),
            },
        };
        let (plan, considered) = CircuitPlan::explain(&graph, &options)?;
        let considered = self.explain.then_some((options.objective, considered));
        Ok(Compiled { float, graph, ideal, plan, considered, samples, inputs })
    }

    /// The options that the integer model depends on, as they are given to `vouch compile`.
    fn options(&self, target: &Target) -> Vec<String> {
        let option = |name: &str, value: &dyn std::fmt::Display| [format!("--{name}"), value.to_string()];
        let placement = |placement| match placement {
            Placement::Public => "public",
            Placement::Private => "private",
        };
        let mut options = Vec::new();
        for (name, shape) in &self.input_shape {
            let sizes: Vec<_> = shape.iter().map(ToString::to_string).collect();
            options.extend(option("input-shape", &format!("{name}={}", sizes.join(","))));
        }
        if !self.fix.is_empty() {
            options.extend(option("fix", &self.fix.join(",")));
        }
        options.extend(option("input-visibility", &placement(self.input_visibility)));
        options.extend(option("output-visibility", &placement(self.output_visibility)));
        options.extend(option("headroom", &self.headroom));
        match self.input_bits {
            InputBits::Number(bits) => options.extend(option("input-bits", &bits)),
            InputBits::Auto => {
                options.extend(option("input-bits", &AUTO));
                options.extend(target.max_error.iter().flat_map(|limit| option("max-error", limit)));
                options.extend(target.min_agreement.iter().flat_map(|limit| option("min-agreement", limit)));
            }
        }
        options
    }

    /// The model's file name without its extension.
    fn stem(&self) -> String {
        self.model.file_stem().unwrap_or_default().to_string_lossy().into_owned()
    }
}

/// A model quantised again by the options that its bill of materials has.
#[derive(Debug, Parser)]
pub(crate) struct Recompile {
    #[command(flatten)]
    source: Source,
    #[arg(long)]
    max_error: Option<f64>,
    #[arg(long)]
    min_agreement: Option<f64>,
}

impl Recompile {
    /// The integer model of a file, its calibration data and the options of [`Source::options`].
    pub(crate) fn graph(model: &Path, calibration: &Path, options: &[String]) -> Result<IntGraph, Failure> {
        let files = ["recompile".into(), model.as_os_str().to_owned(), "--calibrate".into(), calibration.into()];
        let again = Self::try_parse_from(files.into_iter().chain(options.iter().map(Into::into))).map_err(|error| {
            let message = format!("the bill's options are none of `vouch compile`: {error}");
            Failure::new("bill_malformed", message, "compile the model again")
        })?;
        let target = Target { max_error: again.max_error, min_agreement: again.min_agreement };
        Ok(again.source.compile(&target)?.graph)
    }
}

impl Compile {
    pub(crate) fn execute(self) -> Result<Report, Failure> {
        let target = Target { max_error: self.max_error, min_agreement: self.min_agreement };
        let compiled = self.source.compile(&target)?;
        let samples = match &self.test {
            Some(test) => data::read_file_of(test, &compiled.float.input_specs(), &compiled.inputs.names)?,
            None => compiled.samples.clone(),
        };
        let accuracy = compiled.accuracy(&samples)?;
        self.refuse_inaccurate(&accuracy)?;
        let out = self.out.clone().unwrap_or_else(|| PathBuf::from(self.source.stem()));
        let dir = ModelDir::new(&out);
        let model = dir.save(&compiled.graph, &compiled.plan)?;
        dir.save_inputs(&compiled.inputs)?;
        statement::save(&dir, &statement::layout(&model)?)?;
        write_json(&dir.accuracy(), &accuracy)?;
        Bill::new(bill::Model {
            onnx: Material::of(&self.source.model)?,
            calibration: Material::of(&self.source.calibrate)?,
            options: self.source.options(&target),
            circuit: model.digest,
        })
        .save(&dir)?;
        if let Some(page) = &self.html {
            write(page, accuracy_page::page(&compiled.graph.name, &accuracy).as_bytes())?;
        }

        let mut report = Report::new();
        report.line(format!("compiled {} into {}", compiled.graph.name, out.display()));
        describe(&mut report, &compiled, &accuracy);
        report.row("model digest", model.digest);
        worst_layers(&mut report, &accuracy);
        if let Some(page) = &self.html {
            report.row("page", page.display()).set("page", page);
        }
        report.set("model_digest", model.digest).set("dir", out.display().to_string());
        Ok(report)
    }

    fn refuse_inaccurate(&self, accuracy: &Accuracy) -> Result<(), Failure> {
        let promised = self.max_error.is_some() || self.min_agreement.is_some();
        if promised && accuracy.refused > 0 {
            return Err(Failure::new(
                "samples_refused",
                format!(
                    "{} samples are outside the calibrated ranges, so nothing is known of their error",
                    accuracy.refused
                ),
                "calibrate on data of the range that is really used, or raise --headroom",
            ));
        }
        if let Some(limit) = self.max_error.filter(|limit| accuracy.max_abs_error > *limit) {
            return Err(Failure::new(
                "too_inaccurate",
                format!("the largest error against the float model is {:.6}, above {limit}", accuracy.max_abs_error),
                "calibrate on data of the range that is really used, or lower --headroom",
            ));
        }
        self.refuse_unbounded(accuracy)?;
        let agreement = accuracy.argmax_agreement.zip(self.min_agreement);
        if let Some((agreement, limit)) = agreement.filter(|(agreement, limit)| agreement < limit) {
            return Err(Failure::new(
                "too_little_agreement",
                format!(
                    "the quantised model agrees with the float model on {agreement:.4} of the samples, below {limit}"
                ),
                "calibrate on data of the range that is really used, or lower --headroom",
            ));
        }
        Ok(())
    }

    /// Refuses a model whose guaranteed error is not small enough.
    fn refuse_unbounded(&self, accuracy: &Accuracy) -> Result<(), Failure> {
        let Some((limit, guaranteed)) = self.max_bound.zip(accuracy.guaranteed.as_ref()) else { return Ok(()) };
        match guaranteed.largest() {
            Ok(bound) if bound <= limit => Ok(()),
            Ok(bound) => Err(Failure::new(
                "bound_too_large",
                format!("the guaranteed error is {}, above {limit}", figure_above(bound)),
                "raise --max-bound, calibrate on a smaller range or lower --headroom",
            )),
            Err(output) => Err(Failure::new(
                "no_bound",
                format!(
                    "output `{}` has no guaranteed error: {}",
                    output.name,
                    output.reason.as_deref().unwrap_or_default()
                ),
                "change what that says in the model, or ask for --max-error, which is measured",
            )),
        }
    }
}

impl Compiled {
    /// Errors on the samples, and those that are guaranteed.
    pub(crate) fn accuracy(&self, samples: &[data::Sample]) -> Result<Accuracy, Failure> {
        let measured = accuracy(&self.float, &self.graph, samples)?;
        Ok(measured.with_bounds(bounds(&self.graph, &self.ideal)))
    }
}

/// The guaranteed error of the outputs: what the row is called, and what it says beside the measured error.
pub(crate) fn guarantee(bounds: &Bounds, measured: f64) -> (&'static str, String) {
    match bounds.largest() {
        Ok(bound) => {
            let (bound, measured) = (figure_above(bound), figure(measured));
            ("guaranteed error", format!("{bound} for every input that has a proof (measured {measured})"))
        }
        Err(output) => {
            let reason = output.reason.as_deref().unwrap_or_default();
            ("no guaranteed error", format!("output `{}`: {reason}", output.name))
        }
    }
}

/// Rows and keys that `compile` and `check` share.
pub(crate) fn describe(report: &mut Report, compiled: &Compiled, accuracy: &Accuracy) {
    let plan = &compiled.plan;
    let cost = plan.cost;
    let (params, macs) = (compiled.graph.parameter_count(), compiled.graph.macs());
    report
        .row(
            "circuit",
            format!(
                "2^{} rows, {} advice, {} fixed, {} permutation columns",
                plan.k, cost.advice_columns, cost.fixed_columns, cost.permutation_columns
            ),
        )
        .row("shape", &plan.shape)
        .row(
            "rows used",
            format!("{} for values, {} for weights", count(plan.value_rows as u64), count(plan.weight_rows as u64)),
        )
        .row("model", format!("{} parameters, {} multiply-adds", count(params as u64), count(macs)))
        .row(
            "largest error",
            format!(
                "{:.6} (mean {:.6}) on {} samples",
                accuracy.max_abs_error, accuracy.mean_abs_error, accuracy.samples
            ),
        );
    if let Some(bounds) = &accuracy.guaranteed {
        let (label, said) = guarantee(bounds, accuracy.max_abs_error);
        report.row(label, said).set("guaranteed_error", bounds.largest().ok());
    }
    let bits: BTreeMap<&str, u32> = compiled
        .graph
        .inputs
        .iter()
        .map(|port| (compiled.graph.tensor(port.tensor).name.as_str(), port.packing.bits))
        .collect();
    let listed: Vec<String> = bits.iter().map(|(name, bits)| format!("{name} {bits}")).collect();
    report.row("bits of inputs", listed.join(", ")).set("input_bits", &bits);
    if !compiled.inputs.fixed.is_empty() {
        let fixed: Vec<&str> = compiled.inputs.fixed.keys().map(String::as_str).collect();
        report.row("fixed inputs", fixed.join(", "));
    }
    if let Some(reason) = &accuracy.without_reference {
        report.row("compared with", format!("this program's own evaluation of the float model: {reason}"));
    }
    report.set("without_reference", &accuracy.without_reference);
    if accuracy.refused > 0 {
        report.row("refused", format!("{} samples outside the calibrated ranges", accuracy.refused));
    }
    if let Some(agreement) = accuracy.argmax_agreement {
        report.row("same arg-max", format!("{:.2} %", 100.0 * agreement));
    }
    report.row(
        "predicted",
        format!(
            "{:.1} s to prove, {} of memory, {} gas",
            plan.predicted.prove_seconds,
            bytes(plan.predicted.peak_memory_bytes),
            count(plan.predicted.verify_gas)
        ),
    );
    if let Some((objective, considered)) = &compiled.considered {
        explain(report, plan, *objective, considered);
    }
    report.extend(&cost);
    report
        .set("shape", plan.shape.to_string())
        .set("k", plan.k)
        .set("height", plan.shape.height)
        .set("limb_bits", plan.shape.limb_bits)
        .set("weight_lanes", plan.shape.weight_lanes)
        .set("value_rows", plan.value_rows)
        .set("weight_rows", plan.weight_rows)
        .set("instances", plan.instances)
        .set("params", params)
        .set("macs", macs)
        .set("fixed", &compiled.inputs.fixed)
        .set("max_abs_error", accuracy.max_abs_error)
        .set("mean_abs_error", accuracy.mean_abs_error)
        .set("argmax_agreement", accuracy.argmax_agreement)
        .set("refused_samples", accuracy.refused)
        .set("predicted", plan.predicted);
}

/// Layers that `compile` prints.
const WORST_LAYERS: usize = 5;

/// The layers that add most to the outputs' errors.
fn worst_layers(report: &mut Report, accuracy: &Accuracy) {
    report.set("error_enters_at", &accuracy.enters_at);
    let Some(enters_at) = &accuracy.enters_at else { return };
    report.row("most error enters at", enters_at);
    report.line("  | at outputs |   own rms | accumulated |  largest |  of range | layer");
    let worst = accuracy.worst_layers();
    for layer in worst.into_iter().take(WORST_LAYERS).filter(|layer| layer.at_outputs > 0.0) {
        report.line(format!(
            "  | {:>10} | {:>9} | {:>11} | {:>8} | {:>7.3} % | {}",
            figure(layer.at_outputs),
            figure(layer.own.rms),
            figure(layer.tensor.rms),
            figure(layer.tensor.max_abs),
            100.0 * layer.tensor.relative,
            layer.tensor.name,
        ));
    }
}

/// Plans that `--explain` prints.
const EXPLAINED: usize = 12;

/// The best of the plans considered, best first, and why the first of them won.
fn explain(report: &mut Report, plan: &CircuitPlan, objective: Objective, considered: &[Alternative]) {
    let won = |a: &Alternative| {
        let shape = &plan.shape;
        (a.k, a.height, a.limb_bits, a.weight_lanes) == (plan.k, shape.height, shape.limb_bits, shape.weight_lanes)
    };
    let mut ranked: Vec<&Alternative> = considered.iter().collect();
    ranked.sort_by(|a, b| objective.score(&a.predicted).total_cmp(&objective.score(&b.predicted)));
    let (what, named) = match objective {
        Objective::Prover => ("proving time", "prover"),
        Objective::Gas => ("gas", "gas"),
        Objective::Memory => ("memory", "memory"),
    };
    let close = (TOLERANCE * 100.0).round();
    report.line(format!(
        "{} plans considered for the objective {named}; of those within {close} % of the least {what} the fastest wins:",
        considered.len()
    ));
    report.line("  |  k | height | limb bits | lanes | filled | columns | seconds |  memory |     gas |");
    let shown = ranked.iter().enumerate().filter(|(i, a)| *i < EXPLAINED || won(a));
    for (_, a) in shown {
        report.line(format!(
            "{} | {:>2} | {:>6} | {:>9} | {:>5} | {:>4.0} % | {:>7} | {:>7.2} | {:>7} | {:>7} |",
            if won(a) { ">" } else { " " },
            a.k,
            a.height,
            a.limb_bits,
            a.weight_lanes,
            100.0 * a.filled,
            a.cost.advice_columns + a.cost.fixed_columns + a.cost.permutation_columns,
            a.predicted.prove_seconds,
            bytes(a.predicted.peak_memory_bytes),
            count(a.predicted.verify_gas),
        ));
    }
    report.set("objective", objective).set("considered", considered);
}

/// Reads a number of bits, or `auto`.
fn parse_input_bits(text: &str) -> Result<InputBits, String> {
    if text == AUTO {
        return Ok(InputBits::Auto);
    }
    let bits = text.parse().ok().filter(|bits| INPUT_BITS.contains(bits)).map(InputBits::Number);
    bits.ok_or_else(|| format!("not a number from {} to {}, nor {AUTO}", INPUT_BITS.start(), INPUT_BITS.end()))
}

/// Reads `name=1,3,32,32`.
pub(crate) fn parse_shape(text: &str) -> Result<(String, Vec<usize>), String> {
    let (name, dims) = text.split_once('=').ok_or("expected name=1,3,32,32")?;
    let dims = dims.split(',').map(|d| d.trim().parse::<usize>().map_err(|_| format!("{d} is not a size")));
    Ok((name.to_owned(), dims.collect::<Result<_, _>>()?))
}

/// Reads the one sample of an input file, or the one of several that `which` says.
pub(crate) fn read_sample(
    graph: &IntGraph,
    inputs: &Inputs,
    path: &Path,
    which: Option<usize>,
) -> Result<data::Sample, Failure> {
    let mut samples = data::read_file_of(path, &vouch_graph::exec::input_specs(graph), &inputs.names)?;
    if let Some(which) = which {
        if which < samples.len() {
            return Ok(samples.swap_remove(which));
        }
        let message = format!("{} holds {} samples, and no sample {which}", path.display(), samples.len());
        return Err(Failure::new("sample_count", message, "count them from 0"));
    }
    if samples.len() != 1 {
        let message = format!("{} holds {} samples", path.display(), samples.len());
        return Err(Failure::new("sample_count", message, "give a file with exactly one"));
    }
    Ok(samples.remove(0))
}
