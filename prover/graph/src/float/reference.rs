use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use tract_onnx::{
    pb::{ModelProto, NodeProto},
    prelude::{DatumType, IntoRunnable, IntoTValue, TVec, Tensor, TractResult, TypedRunnableModel},
    tract_hir::infer::InferenceModelExt,
};

use crate::data::Sample;

/// The model as tract runs it: an implementation that shares nothing with this crate's lowering,
/// so that the two check each other. Tract prepares it when it is first asked for: an import needs nothing of it.
#[derive(Clone)]
pub(crate) struct Reference {
    model: Arc<ModelProto>,
    folder: Option<PathBuf>,
    prepared: Arc<OnceLock<Result<Tract, String>>>,
    /// Why tract has failed on a sample.
    failed: Arc<OnceLock<String>>,
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reference").field("prepared", &self.prepared).finish_non_exhaustive()
    }
}

/// A model that tract has prepared.
#[derive(Clone)]
pub(crate) struct Tract {
    plan: Arc<TypedRunnableModel>,
    inputs: Vec<(DatumType, Vec<usize>)>,
}

impl fmt::Debug for Tract {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tract").field("inputs", &self.inputs).finish_non_exhaustive()
    }
}

impl Reference {
    /// Of a model whose input shapes are all known, and which was lowered: tract has no limits of its own.
    pub(crate) fn new(model: &Arc<ModelProto>, folder: Option<&Path>) -> Self {
        let folder = folder.map(Path::to_owned);
        Self { model: Arc::clone(model), folder, prepared: Arc::default(), failed: Arc::default() }
    }

    /// Of a model that tract is not to see, for this reason.
    pub(crate) fn absent(model: &Arc<ModelProto>, reason: String) -> Self {
        let prepared = Arc::new(OnceLock::from(Err(reason)));
        Self { model: Arc::clone(model), folder: None, prepared, failed: Arc::default() }
    }

    /// Outputs for one sample, or why tract does not run the model. A model that tract has once failed on it does not
    /// run again: an index that counts from the end, which is as good as any, ends it.
    pub(crate) fn run(&self, sample: &Sample) -> Result<Vec<Vec<f64>>, &str> {
        let tract = self.tract()?;
        caught(|| tract.run(sample)).map_err(|reason| self.failed.get_or_init(|| reason).as_str())
    }

    /// The model as tract runs it, or why it does not.
    pub(crate) fn tract(&self) -> Result<&Tract, &str> {
        if let Some(reason) = self.failed.get() {
            return Err(reason);
        }
        let prepared = self.prepared.get_or_init(|| caught(|| prepare(&self.model, self.folder.as_deref())));
        prepared.as_ref().map_err(String::as_str)
    }
}

impl Tract {
    fn run(&self, sample: &Sample) -> TractResult<Vec<Vec<f64>>> {
        let inputs = self
            .inputs
            .iter()
            .zip(&sample.inputs)
            .map(|((datum, shape), values)| {
                let tensor = Tensor::from_shape(shape, values)?;
                Ok(tensor.cast_to_dt(*datum)?.into_owned().into_tvalue())
            })
            .collect::<TractResult<TVec<_>>>()?;
        self.plan
            .run(inputs)?
            .iter()
            .map(|t| {
                let t = t.cast_to::<f64>()?;
                Ok(t.to_plain_array_view::<f64>()?.iter().copied().collect())
            })
            .collect()
    }
}

/// Whether tract takes a node of this version of the operators for another: it leaves attributes of these unread, or
/// follows another definition.
pub(crate) fn is_misread(node: &NodeProto, opset: i64) -> bool {
    let attribute = |name: &str| node.attribute.iter().find(|a| a.name == name);
    let text = |name: &str| attribute(name).map(|a| a.s.to_ascii_lowercase()).unwrap_or_default();
    match node.op_type.as_str() {
        "RNN" | "GRU" | "LSTM" => {
            let unread = ["activations", "activation_alpha", "activation_beta", "clip", "input_forget"];
            unread.iter().any(|name| attribute(name).is_some()) || text("direction") == b"reverse"
        }
        "Celu" | "Swish" => attribute("alpha").is_some_and(|a| a.f != 1.0),
        "GlobalLpPool" => true,
        "GridSample" => text("mode").ends_with(b"cubic") && text("padding_mode") == b"border",
        "Resize" => opset < 11,
        // Of two classes with one score, the label.
        "TreeEnsembleClassifier" => {
            let one = attribute("class_ids").is_some_and(|a| a.ints.iter().all(|id| *id == 0));
            one && !matches!(&text("post_transform")[..], b"" | b"none")
        }
        _ => false,
    }
}

/// Tract panics on some graphs that it does not know.
fn caught<T>(work: impl FnOnce() -> TractResult<T>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(done) => done.map_err(|error| format!("{error:#}")),
        Err(_) => Err("tract fails on the model".to_owned()),
    }
}

fn prepare(model: &ModelProto, folder: Option<&Path>) -> TractResult<Tract> {
    let framework = tract_onnx::onnx().with_ignore_value_info(true);
    let folder = folder.and_then(Path::to_str);
    let parsed = framework.parse(model, folder)?.model;
    let typed = parsed.into_optimized()?;
    let inputs = (0..typed.inputs.len())
        .map(|i| {
            let fact = typed.input_fact(i)?;
            let shape = fact.shape.as_concrete().map(<[usize]>::to_vec).unwrap_or_default();
            Ok((fact.datum_type, shape))
        })
        .collect::<TractResult<_>>()?;
    Ok(Tract { plan: typed.into_runnable()?, inputs })
}
