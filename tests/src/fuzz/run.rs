//! A mutant through everything that happens to a file before a circuit is made.

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::Mutex,
    thread,
    time::Instant,
};

use eyre::{Result, bail, eyre};
use vouch_graph::{
    GraphError,
    calibrate::calibrate,
    data::{Sample, read_json, read_npz},
    exec::{execute, quantise_inputs},
    float::{Element, FloatGraph, InputSpec, Limits},
    import::{ImportOptions, OnnxModel},
    quantise::{QuantiseOptions, quantise},
};

use super::{Kind, Mutant, SECONDS};

/// What a mutant may ask for. A model that was not changed needs less.
const LIMITS: Limits = Limits { memory: 1 << 28, steps: 1 << 28, operations: 1 << 13 };

/// Characters of the longest message that a person would read.
const LONGEST_MESSAGE: usize = 4000;

/// What the last panic said, and where it was.
static PANIC: Mutex<String> = Mutex::new(String::new());

/// Keeps what panics say for the verdict, in the place of telling it.
pub(super) fn listen() {
    std::panic::set_hook(Box::new(|panic| {
        if let Ok(mut text) = PANIC.lock() {
            *text = panic.to_string();
        }
    }));
}

/// What became of a mutant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    /// Whether it is what should become of a bad file: an error with a sentence, or no error.
    pub(super) good: bool,
    /// In a word, for counting.
    pub(super) class: String,
    /// In a sentence.
    pub(super) message: String,
}

impl Verdict {
    pub(super) fn bad(class: &str, message: impl Into<String>) -> Self {
        Self { good: false, class: class.to_owned(), message: message.into() }
    }
}

/// Runs a mutant in this thread.
pub(super) fn verdict(mutant: &Mutant) -> Verdict {
    let (wall, start) = (Instant::now(), processor_time());
    let done = catch_unwind(AssertUnwindSafe(|| match mutant.kind {
        Kind::Model => model(&mutant.bytes),
        Kind::Json | Kind::Npz => data(mutant),
    }));
    let seconds = match (start, processor_time()) {
        (Some(start), Some(end)) => end - start,
        _ => wall.elapsed().as_secs_f64(),
    };
    match done {
        Err(_) => {
            let said = PANIC.lock().map(|mut text| std::mem::take(&mut *text)).unwrap_or_default();
            Verdict::bad("panic", said)
        }
        Ok(_) if seconds > SECONDS => Verdict::bad("slow", format!("it takes {seconds:.1} s of processor time")),
        Ok(Err(error)) => {
            let message = error.to_string();
            if message.len() > LONGEST_MESSAGE {
                return Verdict::bad("long", format!("a message of {} characters", message.len()));
            }
            Verdict { good: true, class: error.code().to_owned(), message }
        }
        Ok(Ok(())) => Verdict { good: true, class: "accepted".to_owned(), message: String::new() },
    }
}

/// Seconds of processor time of this thread: other work on the machine makes no mutant slow.
fn processor_time() -> Option<f64> {
    let text = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split_whitespace().next()?.parse::<f64>().ok().map(|nanoseconds| nanoseconds / 1e9)
}

fn model(bytes: &[u8]) -> Result<(), GraphError> {
    let float = OnnxModel::read(bytes, "mutant.onnx", &ImportOptions::default())?.lower_within(LIMITS)?;
    let samples = samples(&float);
    let ranges = calibrate(&float, &samples)?;
    let graph = quantise(&float, &ranges, &QuantiseOptions::default())?;
    graph.validate()?;
    for sample in &samples {
        execute(&graph, &quantise_inputs(&graph, sample)?)?;
    }
    // Last, as in use: what it says is no matter, that it returns is.
    let _ = float.run(&samples[0]);
    Ok(())
}

/// Zeros, and numbers that look random.
fn samples(float: &FloatGraph) -> [Sample; 2] {
    let specs = float.input_specs();
    let mut state = 1u64;
    let mut noise = |spec: &InputSpec| {
        let len: usize = spec.shape.iter().product();
        let value = |_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let unit = (state >> 40) as f64 / f64::from(1 << 23) - 1.0;
            if spec.element == Element::Integer { (unit * 4.0).round() } else { unit }
        };
        (0..len).map(value).collect()
    };
    let random = specs.iter().map(&mut noise).collect();
    let zeros = specs.iter().map(|spec| vec![0.0; spec.shape.iter().product()]).collect();
    [Sample { inputs: zeros }, Sample { inputs: random }]
}

/// A data file for the inputs that the good files are for.
fn data(mutant: &Mutant) -> Result<(), GraphError> {
    let inputs = [("x", vec![1, 32]), ("ticks", vec![1, 32]), ("x", vec![1, 0]), ("input_data", vec![4])];
    let mut last = Ok(());
    for (name, shape) in inputs {
        let specs = [InputSpec { name: name.to_owned(), shape, element: Element::Real }];
        let read = if mutant.kind == Kind::Npz { read_npz } else { read_json };
        last = read(&mutant.bytes, "mutant", &specs).map(|_| ());
    }
    last
}

/// Runs files again that were kept, and says what becomes of each.
///
/// # Errors
/// Where a file cannot be read or is of no known kind.
pub fn replay(file: &Path) -> Result<(bool, String)> {
    let kind = match file.extension().and_then(|e| e.to_str()) {
        Some("onnx") => Kind::Model,
        Some("json") => Kind::Json,
        Some("npz") => Kind::Npz,
        _ => bail!("{} is no .onnx, .json or .npz file", file.display()),
    };
    listen();
    let mutant = Mutant { kind, bytes: fs::read(file)? };
    // With the stack that a child gives to mutants.
    let verdict =
        thread::spawn(move || verdict(&mutant)).join().map_err(|_| eyre!("the thread of the mutant is gone"))?;
    Ok((verdict.good, format!("{}: {}", verdict.class, verdict.message)))
}
