//! Reading ONNX files.

mod check;
mod fix;
mod scope;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use tract_onnx::{pb::ModelProto, prelude::Framework};

use crate::{
    GraphError,
    float::{FloatGraph, InputSpec, Limits, Reference, Value},
    onnx,
};

/// How to read a model.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ImportOptions {
    /// Full shapes of inputs whose file leaves dimensions open. A first dimension that stays open
    /// is the batch, and becomes 1.
    pub input_shapes: BTreeMap<String, Vec<usize>>,
    /// Values, row-major, of inputs that become constants of the model: shapes, axes and other structure
    /// that a file leaves open.
    pub fixed: BTreeMap<String, Vec<f64>>,
}

/// A model with the inputs that became constants of it.
#[derive(Debug, Clone)]
pub struct Lowered {
    /// The model over reals.
    pub graph: FloatGraph,
    /// Values, row-major, of the inputs that are constants.
    pub fixed: BTreeMap<String, Vec<f64>>,
}

/// An ONNX file whose input shapes are known and whose tensors are readable; not yet lowered.
#[derive(Debug, Clone)]
pub struct OnnxModel {
    proto: Arc<ModelProto>,
    name: String,
    folder: Option<PathBuf>,
}

impl OnnxModel {
    /// Reads a file.
    ///
    /// # Errors
    /// Where the file cannot be read or is no ONNX model, or an input's shape stays open.
    pub fn open(path: &Path, options: &ImportOptions) -> Result<Self, GraphError> {
        let bytes = std::fs::read(path).map_err(|source| GraphError::File { path: path.to_owned(), source })?;
        let mut model = Self::read(&bytes, &path.display().to_string(), options)?;
        model.folder = path.parent().map(Path::to_owned);
        if model.name.is_empty() {
            model.name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        }
        Ok(model)
    }

    /// Reads a model that lies in memory; `origin` stands for its path in messages.
    ///
    /// # Errors
    /// As [`OnnxModel::open`].
    pub fn read(bytes: &[u8], origin: &str, options: &ImportOptions) -> Result<Self, GraphError> {
        let refused = |reason: String| GraphError::NotOnnx { origin: origin.to_owned(), reason };
        if bytes.is_empty() {
            return Err(refused("it is empty".to_owned()));
        }
        let mut proto = tract_onnx::onnx().proto_model_for_read(&mut &*bytes).map_err(|e| refused(format!("{e:#}")))?;
        let Some(graph) = &mut proto.graph else {
            return Err(refused("it holds no graph".to_owned()));
        };
        let weights: Vec<String> = graph.initializer.iter().map(|t| t.name.clone()).collect();
        // Old files list weights among the inputs.
        graph.input.retain(|i| !weights.contains(&i.name));
        let known: Vec<&str> = graph.input.iter().map(|i| i.name.as_str()).collect();
        for name in options.input_shapes.keys().chain(options.fixed.keys()) {
            if !known.contains(&name.as_str()) {
                return Err(GraphError::UnknownInput { input: name.clone(), known: known.join(", ") });
            }
        }
        for input in &mut graph.input {
            fix::shape(input, options)?;
        }
        fix::values(graph, &options.fixed)?;
        let name = graph.name.clone();
        Ok(Self { proto: Arc::new(proto), name, folder: None })
    }

    /// Name of the model: its graph's, or the file's.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What each input expects that is no constant.
    ///
    /// # Errors
    /// Where an input's type is not supported.
    pub fn input_specs(&self) -> Result<Vec<InputSpec>, GraphError> {
        let inputs = self.proto.graph.iter().flat_map(|graph| &graph.input);
        inputs
            .map(|input| {
                let (shape, data_type) = fix::declared(input);
                let element = onnx::tensor::element(&input.name, data_type)?;
                Ok(InputSpec { name: input.name.clone(), shape, element })
            })
            .collect()
    }

    /// Reads and lowers a file. Inputs without whose values that cannot be done become constants, with the values that
    /// `value` has for their names; where it has none, the model is refused.
    ///
    /// # Errors
    /// As [`OnnxModel::open`] and [`OnnxModel::lower`], what `value` returns, and where every input would be a constant.
    pub fn open_fixing<E: From<GraphError>>(
        path: &Path,
        mut options: ImportOptions,
        mut value: impl FnMut(&str) -> Result<Option<Vec<f64>>, E>,
    ) -> Result<Lowered, E> {
        loop {
            let error = match Self::open(path, &options)?.lower() {
                Ok(graph) if graph.inputs.is_empty() && !options.fixed.is_empty() => {
                    let inputs = options.fixed.into_keys().collect();
                    return Err(GraphError::NothingLive { inputs }.into());
                }
                Ok(graph) => return Ok(Lowered { graph, fixed: options.fixed }),
                Err(error) => error,
            };
            let GraphError::NeedsConstant { inputs, .. } = &error else { return Err(error.into()) };
            let known = options.fixed.len();
            for name in inputs {
                if !options.fixed.contains_key(name)
                    && let Some(values) = value(name)?
                {
                    options.fixed.insert(name.clone(), values);
                }
            }
            if options.fixed.len() == known {
                return Err(error.into());
            }
        }
    }

    /// Lowers the model to the float graph.
    ///
    /// # Errors
    /// Where an operator, a form of one, a type or a tensor is not supported or malformed, or the model is too large.
    pub fn lower(&self) -> Result<FloatGraph, GraphError> {
        self.lower_within(Limits::default())
    }

    /// Lowers the model within limits of one's own, for models that come from strangers.
    ///
    /// # Errors
    /// As [`OnnxModel::lower`].
    pub fn lower_within(&self, limits: Limits) -> Result<FloatGraph, GraphError> {
        let _span = tracing::info_span!("import", model = %self.name).entered();
        lower(self, limits)
    }
}

fn lower(model: &OnnxModel, limits: Limits) -> Result<FloatGraph, GraphError> {
    let malformed = |reason: String| GraphError::MalformedModel { reason };
    let Some(graph) = &model.proto.graph else {
        return Err(malformed("it holds no graph".to_owned()));
    };
    if let Some(sparse) = graph.sparse_initializer.first() {
        let tensor = sparse.values.as_ref().map(|v| v.name.clone()).unwrap_or_default();
        return Err(GraphError::ElementType { tensor, found: "sparse".to_owned() });
    }
    let folder = model.folder.as_deref();
    check::external(&model.proto)?;
    let mut lowerer = scope::Lowerer::new(&model.proto.functions, folder, limits);
    let mut values = scope::Scope::new(&model.proto.opset_import);
    for input in &graph.input {
        let (shape, data_type) = fix::declared(input);
        onnx::tensor::element(&input.name, data_type)?;
        let value = lowerer.input(&input.name, shape, data_type)?;
        if values.insert(&input.name, value).is_some() {
            return Err(malformed(format!("two inputs are called `{}`", input.name)));
        }
    }
    let outputs: Vec<Value> = lowerer
        .graph(graph, &mut values)?
        .into_iter()
        .zip(&graph.output)
        .map(|(value, o)| Value { name: o.name.clone(), ..value })
        .collect();
    if outputs.is_empty() {
        return Err(malformed("it has no outputs".to_owned()));
    }
    let reference = match lowerer.beyond_tract() {
        Some(reason) => Reference::absent(&model.proto, reason.to_owned()),
        None => Reference::new(&model.proto, folder),
    };
    lowerer.finish(model.name.clone(), &outputs, reference)
}
