//! Good files, to be changed: the models of `models/`, and ONNX's own cases where `script/conformance` has made them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use eyre::{Result, ensure};
use prost::Message;
use tract_onnx::pb::{ModelProto, NodeProto, TensorProto, tensor_proto::DataType, type_proto};

use crate::{conformance, root};

/// Files that are larger take too long to change and to read.
const LARGEST: u64 = 400_000;

/// Good models, and the nodes in them.
#[derive(Debug, Default)]
pub(super) struct Corpus {
    pub(super) models: Vec<ModelProto>,
    /// Nodes of every operator that the models have.
    pub(super) nodes: Vec<Vec<NodeProto>>,
    /// ONNX's cases that do not compile, or did not when it was recorded what does.
    pub(super) refused: Vec<ModelProto>,
    /// Data files as they are: JSON, then archives.
    pub(super) json: Vec<Vec<u8>>,
}

impl Corpus {
    /// Reads every file; in an order that does not depend on the machine.
    pub(super) fn read() -> Result<Self> {
        let mut corpus = Self::default();
        let mut nodes: BTreeMap<String, Vec<NodeProto>> = BTreeMap::new();
        let mut files = BTreeSet::new();
        for folder in ["models/rebalancer", "models/benchmark"] {
            collect(&root().join(folder), &mut files)?;
        }
        let cases = conformance::work_folder().join("cases");
        let mut failing = BTreeSet::new();
        if cases.is_dir() {
            let record = conformance::manifest::Manifest::read()?;
            for (name, entry) in record.0.into_values().flatten() {
                let file = cases.join(name).join("model.onnx");
                if !entry.pass {
                    failing.insert(file.clone());
                }
                files.insert(file);
            }
        }
        for file in files {
            if fs::metadata(&file).map_or(u64::MAX, |m| m.len()) > LARGEST {
                continue;
            }
            let bytes = fs::read(&file)?;
            if file.extension().is_some_and(|e| e == "json") {
                corpus.json.push(bytes);
            } else if let Ok(mut model) = ModelProto::decode(bytes.as_slice()) {
                settle(&mut model, &file);
                if failing.contains(&file) {
                    corpus.refused.push(model);
                    continue;
                }
                for node in model.graph.iter().flat_map(|g| &g.node) {
                    nodes.entry(node.op_type.clone()).or_default().push(node.clone());
                }
                corpus.models.push(model);
            }
        }
        corpus.nodes = nodes.into_values().collect();
        ensure!(!corpus.models.is_empty() && !corpus.json.is_empty(), "there are no models in models/");
        Ok(corpus)
    }
}

fn collect(folder: &Path, files: &mut BTreeSet<std::path::PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|e| e == "onnx" || e == "json") {
            files.insert(path);
        }
    }
    Ok(())
}

/// Turns inputs that are structure, such as shapes and axes, into constants, with the values that the case has for
/// them: otherwise most cases would go no further than the first node.
fn settle(model: &mut ModelProto, file: &Path) {
    let Some(graph) = &mut model.graph else { return };
    for (at, input) in graph.input.iter().enumerate() {
        let Some(type_proto::Value::TensorType(tensor)) = input.r#type.as_ref().and_then(|t| t.value.as_ref()) else {
            continue;
        };
        let whole = [DataType::Int32, DataType::Int64].iter().any(|t| tensor.elem_type == *t as i32);
        let known = graph.initializer.iter().any(|t| t.name == input.name);
        if !whole || known || at == 0 {
            continue;
        }
        let value = file.with_file_name(format!("test_data_set_0/input_{at}.pb"));
        let value = fs::read(value).ok().and_then(|bytes| TensorProto::decode(bytes.as_slice()).ok());
        if let Some(value) = value.filter(|v| v.dims.iter().product::<i64>() <= 64) {
            graph.initializer.push(TensorProto { name: input.name.clone(), ..value });
        }
    }
}
