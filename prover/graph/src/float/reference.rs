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

use crate::{GraphError, data::Sample};

/// The model as tract runs it: an implementation that shares nothing with this crate's lowering,
/// so that the two check each other. Tract prepares it when it is first asked for: an import needs nothing of it.
#[derive(Clone)]
pub(crate) struct Reference {
    model: Arc<ModelProto>,
    folder: Option<PathBuf>,
    prepared: Arc<OnceLock<Result<Tract, String>>>,
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
        if let Some(reason) = misread(model) {
            return Self::absent(model, reason);
        }
        let folder = folder.map(Path::to_owned);
        Self { model: Arc::clone(model), folder, prepared: Arc::default() }
    }

    /// Of a model that tract is not to see, for this reason.
    pub(crate) fn absent(model: &Arc<ModelProto>, reason: String) -> Self {
        Self { model: Arc::clone(model), folder: None, prepared: Arc::new(OnceLock::from(Err(reason))) }
    }

    /// The model as tract runs it, or why it does not.
    pub(crate) fn tract(&self) -> Result<&Tract, &str> {
        let prepared = self.prepared.get_or_init(|| caught(|| prepare(&self.model, self.folder.as_deref())));
        prepared.as_ref().map_err(String::as_str)
    }
}

impl Tract {
    /// Outputs for one sample.
    pub(crate) fn run(&self, sample: &Sample) -> Result<Vec<Vec<f64>>, GraphError> {
        caught(|| self.try_run(sample)).map_err(|reason| GraphError::Reference { action: "run", reason })
    }

    fn try_run(&self, sample: &Sample) -> TractResult<Vec<Vec<f64>>> {
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

/// What tract would run as something else: of recurrent layers it does not read these attributes.
fn misread(model: &ModelProto) -> Option<String> {
    let attributes = ["activations", "activation_alpha", "activation_beta", "clip", "input_forget"];
    let recurrent = |n: &&NodeProto| matches!(n.op_type.as_str(), "RNN" | "GRU" | "LSTM");
    let node = model.graph.as_ref()?.node.iter().filter(recurrent).find(|n| {
        n.attribute.iter().any(|a| {
            attributes.contains(&a.name.as_str()) || a.name == "direction" && a.s.eq_ignore_ascii_case(b"reverse")
        })
    })?;
    Some(format!("tract does not read the form of {} that node `{}` has", node.op_type, node.name))
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
