use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::Arc,
};

use tract_onnx::{
    pb::ModelProto,
    prelude::{DatumType, IntoRunnable, IntoTValue, TVec, Tensor, TractResult, TypedRunnableModel},
    tract_hir::infer::InferenceModelExt,
};

use crate::{GraphError, data::Sample};

/// The model as tract runs it: an implementation that shares nothing with this crate's lowering,
/// so that the two check each other.
#[derive(Debug, Clone)]
pub(crate) enum Reference {
    /// Tract reads the model.
    Tract(Tract),
    /// It does not, for this reason.
    Absent(String),
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
    /// Prepares a model whose input shapes are all known.
    pub(crate) fn new(model: &ModelProto, folder: Option<&Path>) -> Self {
        // Tract panics on some graphs that it does not know.
        let prepared = catch_unwind(AssertUnwindSafe(|| prepare(model, folder)));
        match prepared {
            Ok(Ok(tract)) => Self::Tract(tract),
            Ok(Err(error)) => Self::Absent(format!("{error:#}")),
            Err(_) => Self::Absent("tract fails on the model".to_owned()),
        }
    }
}

impl Tract {
    /// Outputs for one sample.
    pub(crate) fn run(&self, sample: &Sample) -> Result<Vec<Vec<f64>>, GraphError> {
        self.try_run(sample).map_err(|e| GraphError::Reference { action: "run", reason: format!("{e:#}") })
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
