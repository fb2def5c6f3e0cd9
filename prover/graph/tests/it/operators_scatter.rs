//! Operators that write elements to positions.

use crate::onnx;

use crate::support::{fixing, gives_live_and_fixed, refuses};
use onnx::{Attribute, Attribute::*, Onnx};
use tract_onnx::pb::tensor_proto::DataType;

/// Data, indices and updates.
fn scatter(op: &str, shapes: [&[i64]; 3], attributes: &[Attribute<'_>]) -> Onnx {
    let model = Onnx::new().input("x", shapes[0]).typed_input("i", shapes[1], DataType::Int64).input("u", shapes[2]);
    model.node(op, &["x", "i", "u"], "y", attributes).output("y")
}

const REDUCTIONS: [(&str, [f64; 4]); 5] = [
    ("none", [1.0, -3.0, 2.0, 5.0]),
    ("add", [1.0, 3.0, 2.0, 9.0]),
    ("mul", [1.0, -24.0, 2.0, 20.0]),
    ("max", [1.0, 4.0, 2.0, 5.0]),
    ("min", [1.0, -3.0, 2.0, 4.0]),
];

#[test]
fn updates_of_one_element_come_in_their_order() {
    let data: &[f64] = &[1.0, 2.0, 2.0, 4.0];
    let updates: &[f64] = &[4.0, 5.0, -3.0];
    let indices: &[f64] = &[1.0, -1.0, 1.0];
    for (reduction, expected) in REDUCTIONS {
        let attributes = [Text("reduction", reduction)];
        let model = scatter("ScatterElements", [&[4], &[3], &[3]], &attributes);
        gives_live_and_fixed(&model, &["i"], &[data, indices, updates], &[&expected], 2e-3);
        let model = scatter("ScatterND", [&[4], &[3, 1], &[3]], &attributes);
        gives_live_and_fixed(&model, &["i"], &[data, indices, updates], &[&expected], 2e-3);
    }
    let unknown = scatter("ScatterND", [&[4], &[3, 1], &[3]], &[Text("reduction", "xor")]);
    refuses(&unknown, "its reduction is `xor`");
}

#[test]
fn integers_are_scattered_exactly() {
    for (reduction, expected) in REDUCTIONS {
        let model = Onnx::new().typed_input("x", &[4], DataType::Int64).typed_input("i", &[3, 1], DataType::Int64);
        let model = model.typed_input("u", &[3], DataType::Int64);
        let model = model.node("ScatterND", &["x", "i", "u"], "y", &[Text("reduction", reduction)]).output("y");
        let inputs: &[&[f64]] = &[&[1.0, 2.0, 2.0, 4.0], &[1.0, -1.0, 1.0], &[4.0, 5.0, -3.0]];
        gives_live_and_fixed(&model, &["i"], inputs, &[&expected], 0.0);
    }
}

#[test]
fn scatters_reach_part_of_an_axis_and_whole_slices() {
    let data: &[f64] = &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
    let model = scatter("ScatterElements", [&[3, 2], &[2, 1], &[2, 1]], &[Int("axis", 0)]);
    let inputs: &[&[f64]] = &[data, &[2.0, 0.0], &[7.0, 8.0]];
    gives_live_and_fixed(&model, &["i"], inputs, &[&[8.0, 2.0, 3.0, 4.0, 7.0, 6.0]], 2e-3);
    let model = scatter("ScatterElements", [&[3, 2], &[1, 2], &[1, 2]], &[Int("axis", 1)]);
    let inputs: &[&[f64]] = &[data, &[1.0, 0.0], &[7.0, 8.0]];
    gives_live_and_fixed(&model, &["i"], inputs, &[&[8.0, 7.0, 3.0, 4.0, 5.0, 6.0]], 2e-3);
    let model = scatter("ScatterND", [&[3, 2], &[1, 1], &[1, 2]], &[]);
    let inputs: &[&[f64]] = &[data, &[-2.0], &[7.0, 8.0]];
    gives_live_and_fixed(&model, &["i"], inputs, &[&[1.0, 2.0, 7.0, 8.0, 5.0, 6.0]], 2e-3);
    refuses(fixing(&model, &[("i", &[3.0])]), "index 3 on an axis of 3");
}

#[test]
fn caches_grow_and_turn() {
    let model = |mode: &str| {
        let model = Onnx::new().input("x", &[2, 3, 1]).input("u", &[2, 2, 1]).typed_input("i", &[2], DataType::Int64);
        model.node("TensorScatter", &["x", "u", "i"], "y", &[Text("mode", mode)]).output("y").opset(24)
    };
    let inputs = |start: &'static [f64]| [&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0][..], &[7.0, 8.0, 9.0, 10.0][..], start];
    gives_live_and_fixed(&model("linear"), &["i"], &inputs(&[1.0, 0.0]), &[&[1.0, 7.0, 8.0, 9.0, 10.0, 6.0]], 2e-3);
    gives_live_and_fixed(&model("circular"), &["i"], &inputs(&[2.0, 1.0]), &[&[8.0, 2.0, 7.0, 4.0, 9.0, 10.0]], 2e-3);
    refuses(fixing(&model("linear"), &[("i", &[2.0, 0.0])]), "index 3 on an axis of 3");
}

#[test]
fn unpooling_undoes_windows_that_overlap() {
    let unpool = |attributes: &[Attribute<'_>]| {
        let model = Onnx::new().input("x", &[1, 2, 2]).typed_input("i", &[1, 2, 2], DataType::Int64);
        model.node("MaxUnpool", &["x", "i"], "y", attributes).output("y")
    };
    // Windows 0..3 and 1..4 of four positions: both took position 2.
    let inputs: &[&[f64]] = &[&[3.0, 3.0, 1.0, 2.0], &[2.0, 2.0, 4.0, 7.0]];
    let model = unpool(&[Ints("kernel_shape", &[3])]);
    gives_live_and_fixed(&model, &["i"], inputs, &[&[0.0, 0.0, 3.0, 0.0, 1.0, 0.0, 0.0, 2.0]], 1e-3);
    refuses(&unpool(&[Ints("kernel_shape", &[3, 3])]), "kernel_shape");
}
