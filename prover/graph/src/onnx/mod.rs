//! Lowering of ONNX operators to the float graph, one file a family.

mod activation;
mod along;
mod arg;
mod attention;
mod bits;
mod bound;
mod compare;
mod conv;
mod conv_transpose;
mod division;
mod einsum;
mod elementwise;
mod function;
mod grid;
mod index;
mod linear_attention;
mod loss;
mod matmul;
mod ml;
mod ngram;
mod normalise;
mod pool;
mod power;
mod quantised;
mod rearrange;
mod recurrent;
mod reduce;
mod resize;
mod roi;
mod rotary;
mod sample;
mod scatter;
mod shape;
mod signal;
mod structure;
mod suppress;
pub(crate) mod tensor;
mod weighted;
mod window;

use std::{collections::BTreeMap, path::Path};

use tract_onnx::pb::{AttributeProto, GraphProto, NodeProto, TensorProto};

use crate::{
    GraphError,
    float::{Builder, Value},
};

/// Lowers one node: inputs in order, absent ones as `None`; outputs in order.
pub(crate) type Lowering = fn(&mut Builder, &Node<'_>, &[Option<Value>]) -> Result<Vec<Value>, GraphError>;

/// Most axes of a tensor, as many as numpy has.
pub(crate) const MAX_RANK: usize = 64;

/// Characters of the longest reason.
const LONGEST_REASON: usize = 400;

/// Domain of classical machine learning.
pub(crate) const ML: &str = "ai.onnx.ml";

/// The lowering of an operator; the default domain's name is empty.
pub(crate) fn lowering(domain: &str, operator: &str) -> Option<Lowering> {
    if domain == ML {
        return ml::find(operator);
    }
    if !domain.is_empty() {
        return None;
    }
    [
        activation::find,
        along::find,
        arg::find,
        attention::find,
        bits::find,
        bound::find,
        compare::find,
        conv::find,
        conv_transpose::find,
        division::find,
        einsum::find,
        elementwise::find,
        function::find,
        grid::find,
        index::find,
        linear_attention::find,
        loss::find,
        matmul::find,
        ngram::find,
        normalise::find,
        pool::find,
        power::find,
        quantised::find,
        rearrange::find,
        recurrent::find,
        reduce::find,
        resize::find,
        roi::find,
        rotary::find,
        scatter::find,
        shape::find,
        signal::find,
        structure::find,
        suppress::find,
    ]
    .iter()
    .find_map(|family| family(operator))
}

/// What to do instead of using an operator that has no lowering.
pub(crate) fn instead_of(operator: &str) -> &'static str {
    match operator {
        "ImageDecoder" => "decode the image outside the model, and make its pixels the input",
        "Bernoulli" | "Multinomial" | "RandomNormal" | "RandomNormalLike" | "RandomUniform" | "RandomUniformLike" => {
            "a proof has no random numbers: draw them outside the model, and make them an input"
        }
        "ConcatFromSequence" | "SequenceAt" | "SequenceConstruct" | "SequenceEmpty" | "SequenceErase"
        | "SequenceInsert" | "SequenceLength" | "SequenceMap" | "SplitToSequence" => {
            "sequences are not supported: use tensors, with Split, Concat and Scan"
        }
        "Optional" => "optional values are not supported: pass the tensor itself",
        "CategoryMapper" | "RegexFullMatch" | "StringConcat" | "StringNormalizer" | "StringSplit" => {
            "text has no place in a circuit: encode it outside the model, and make the codes the input"
        }
        "CastMap" | "DictVectorizer" => "maps are not supported: make a tensor of features the input",
        "MaxRoiPool" => "use RoiAlign with mode `max`",
        _ => "replace it by supported operators, or compute it outside the model",
    }
}

/// An ONNX node with what its lowering asks of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Node<'a> {
    pub(crate) proto: &'a NodeProto,
    /// Node name, or its first output where it has none.
    pub(crate) name: &'a str,
    /// Version of the default operator set.
    pub(crate) opset: i64,
    /// Folder of the model, for external data.
    pub(crate) folder: Option<&'a Path>,
    /// Shapes that the file declares for the graph's results, as far as they are numbers.
    pub(crate) declared: &'a Declared,
}

/// Shapes by the name of the tensor.
pub(crate) type Declared = BTreeMap<String, Vec<usize>>;

impl<'a> Node<'a> {
    fn attribute(&self, name: &str) -> Option<&'a AttributeProto> {
        self.proto.attribute.iter().find(|a| a.name == name)
    }

    pub(crate) fn int(&self, name: &str) -> Option<i64> {
        self.attribute(name).map(|a| a.i)
    }

    /// An attribute that is 0 or 1; ONNX does not say what another number means, and its runtimes differ.
    pub(crate) fn flag(&self, name: &str, default: bool) -> Result<bool, GraphError> {
        match self.int(name) {
            None => Ok(default),
            Some(0) => Ok(false),
            Some(1) => Ok(true),
            Some(other) => Err(self.malformed(format!("{name} is {other}; it can be 0 or 1"))),
        }
    }

    pub(crate) fn float(&self, name: &str) -> Option<f64> {
        self.attribute(name).map(|a| f64::from(a.f))
    }

    pub(crate) fn ints(&self, name: &str) -> Option<&'a [i64]> {
        self.attribute(name).map(|a| a.ints.as_slice())
    }

    pub(crate) fn floats(&self, name: &str) -> Option<&'a [f32]> {
        self.attribute(name).map(|a| a.floats.as_slice())
    }

    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.attribute(name).map(|a| String::from_utf8_lossy(&a.s).into_owned())
    }

    pub(crate) fn texts(&self, name: &str) -> Option<Vec<String>> {
        self.attribute(name).map(|a| a.strings.iter().map(|s| String::from_utf8_lossy(s).into_owned()).collect())
    }

    pub(crate) fn tensor(&self, name: &str) -> Option<&'a TensorProto> {
        self.attribute(name).and_then(|a| a.t.as_ref())
    }

    pub(crate) fn malformed(&self, reason: impl Into<String>) -> GraphError {
        GraphError::MalformedNode {
            node: self.name.to_owned(),
            operator: self.proto.op_type.clone(),
            reason: shortened(reason.into()),
        }
    }

    pub(crate) fn unsupported(&self, reason: impl Into<String>, remedy: impl Into<String>) -> GraphError {
        GraphError::UnsupportedForm {
            node: self.name.to_owned(),
            operator: self.proto.op_type.clone(),
            reason: shortened(reason.into()),
            remedy: remedy.into(),
        }
    }

    /// Input number `i`, which the operator cannot do without.
    pub(crate) fn required<'v>(&self, inputs: &'v [Option<Value>], i: usize) -> Result<&'v Value, GraphError> {
        inputs.get(i).and_then(Option::as_ref).ok_or_else(|| self.malformed(format!("input {i} is missing")))
    }

    /// The shape that the file declares for output number `i`.
    pub(crate) fn declared(&self, i: usize) -> Option<&'a [usize]> {
        self.proto.output.get(i).and_then(|name| self.declared.get(name)).map(Vec::as_slice)
    }

    /// Elements of input number `i`, which must be known while compiling.
    pub(crate) fn known<'v>(&self, inputs: &'v [Option<Value>], i: usize, role: &str) -> Result<&'v [f64], GraphError> {
        let value = self.required(inputs, i)?;
        value.known().ok_or_else(|| self.not_known(value, role))
    }

    /// The error for a value that has to be known while compiling.
    pub(crate) fn not_known(&self, value: &Value, role: &str) -> GraphError {
        GraphError::NeedsConstant {
            node: self.name.to_owned(),
            operator: self.proto.op_type.clone(),
            role: role.into(),
            value: value.name.as_str().into(),
            inputs: Box::default(),
        }
    }

    pub(crate) fn graph(&self, name: &str) -> Option<&'a GraphProto> {
        self.attribute(name).and_then(|a| a.g.as_ref())
    }

    /// Integers from an attribute of old operator sets or an input of new ones.
    pub(crate) fn ints_or_input(
        &self,
        inputs: &[Option<Value>],
        attribute: &str,
        input: usize,
    ) -> Result<Option<Vec<i64>>, GraphError> {
        if let Some(ints) = self.ints(attribute) {
            return Ok(Some(ints.to_vec()));
        }
        if inputs.get(input).and_then(Option::as_ref).is_none() {
            return Ok(None);
        }
        let known = self.known(inputs, input, attribute)?;
        Ok(Some(known.iter().map(|v| *v as i64).collect()))
    }

    /// An axis that may count from the end.
    pub(crate) fn axis(&self, axis: i64, rank: usize) -> Result<usize, GraphError> {
        let at = if axis < 0 { axis.checked_add(rank as i64) } else { Some(axis) };
        at.and_then(|a| usize::try_from(a).ok())
            .filter(|a| *a < rank)
            .ok_or_else(|| self.malformed(format!("axis {axis} of a tensor of rank {rank}")))
    }

    /// Several axes that may count from the end, each at most once.
    pub(crate) fn axes(&self, axes: &[i64], rank: usize) -> Result<Vec<usize>, GraphError> {
        if axes.len() > MAX_RANK {
            return Err(self.unsupported(format!("it names {} axes", axes.len()), format!("use at most {MAX_RANK}")));
        }
        let mut out = Vec::with_capacity(axes.len());
        for axis in axes {
            let axis = self.axis(*axis, rank)?;
            if out.contains(&axis) {
                return Err(self.malformed(format!("axis {axis} is given twice")));
            }
            out.push(axis);
        }
        Ok(out)
    }
}

/// A reason that a person reads: lists of thousands of numbers are cut.
fn shortened(mut reason: String) -> String {
    if let Some((end, _)) = reason.char_indices().nth(LONGEST_REASON) {
        reason.truncate(end);
        reason.push('…');
    }
    reason
}
