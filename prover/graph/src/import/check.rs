//! What holds of a whole file before anything in it is read.

use tract_onnx::pb::{AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto};

use crate::{GraphError, onnx::tensor};

/// No tensor lies outside the model's folder, not even one in a branch that is never taken.
pub(super) fn external(model: &ModelProto) -> Result<(), GraphError> {
    model.graph.iter().try_for_each(graph)?;
    model.functions.iter().flat_map(|f| &f.node).try_for_each(node)
}

fn graph(graph: &GraphProto) -> Result<(), GraphError> {
    graph.initializer.iter().try_for_each(one)?;
    graph.node.iter().try_for_each(node)
}

fn node(node: &NodeProto) -> Result<(), GraphError> {
    node.attribute.iter().try_for_each(|a: &AttributeProto| {
        a.t.iter().chain(&a.tensors).try_for_each(one)?;
        a.g.iter().chain(&a.graphs).try_for_each(graph)
    })
}

fn one(proto: &TensorProto) -> Result<(), GraphError> {
    tensor::beside_model(proto)
}
