//! Operators that lay elements out anew.

use crate::onnx;

use crate::support::{Case, fixing, gives, gives_live_and_fixed, refuses};
use onnx::{Attribute, Attribute::*, Onnx};
use tract_onnx::pb::tensor_proto::DataType;

fn one(op: &str, shape: &[i64], attributes: &[Attribute<'_>]) -> Onnx {
    Onnx::new().input("x", shape).node(op, &["x"], "y", attributes).output("y")
}

const SIX: &[f64] = &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0];

#[test]
fn padding_has_four_modes() {
    let model = |mode: &str, pads: &[i64]| {
        Onnx::new()
            .input("x", &[3])
            .ints("pads", pads)
            .node("Pad", &["x", "pads"], "y", &[Text("mode", mode)])
            .output("y")
    };
    let x: &[f64] = &[1.0, 2.0, 3.0];
    gives(&model("edge", &[2, 1]), &[x], &[&[1.0, 1.0, 1.0, 2.0, 3.0, 3.0]], 1e-3);
    gives(&model("wrap", &[2, 1]), &[x], &[&[2.0, 3.0, 1.0, 2.0, 3.0, 1.0]], 1e-3);
    // Further than there is to reflect: back again.
    gives(&model("reflect", &[1, 4]), &[x], &[&[2.0, 1.0, 2.0, 3.0, 2.0, 1.0, 2.0, 3.0]], 1e-3);
    gives(&model("constant", &[-1, 1]), &[x], &[&[2.0, 3.0, 0.0]], 1e-3);
    refuses(&model("mirror", &[1, 1]), "its mode is `mirror`");
    let filled = Onnx::new().input("x", &[3]).ints("pads", &[0, 1]).input("fill", &[]);
    let filled = filled.node("Pad", &["x", "pads", "fill"], "y", &[]).output("y");
    gives_live_and_fixed(&filled, &["fill"], &[x, &[-7.0]], &[&[1.0, 2.0, 3.0, -7.0]], 2e-3);
}

#[test]
fn centres_are_cropped_and_padded() {
    let model = Onnx::new().input("x", &[2, 3]).ints("shape", &[2, 5]);
    let model = model.node("CenterCropPad", &["x", "shape"], "y", &[Ints("axes", &[1, 0])]).output("y").opset(18);
    gives(&model, &[SIX], &[&[0.0, 0.0, 1.0, 2.0, 4.0, 5.0, 0.0, 0.0, 0.0, 0.0]], 1e-3);
}

#[test]
fn triangles_have_a_diagonal_of_their_own() {
    let model = |upper: i64, k: i64| {
        let model = Onnx::new().input("x", &[2, 3]).ints("k", &[k]);
        model.node("Trilu", &["x", "k"], "y", &[Int("upper", upper)]).output("y")
    };
    gives(&model(1, 1), &[SIX], &[&[0.0, 2.0, 3.0, 0.0, 0.0, 6.0]], 1e-3);
    gives(&model(0, -1), &[SIX], &[&[0.0, 0.0, 0.0, 4.0, 0.0, 0.0]], 1e-3);
    let eye = one("EyeLike", &[2, 3], &[Int("k", 1)]).node("Add", &["x", "y"], "z", &[]).output("z");
    gives(&eye, &[SIX], &[&[0.0, 1.0, 0.0, 0.0, 0.0, 1.0], &[1.0, 3.0, 3.0, 4.0, 5.0, 7.0]], 1e-3);
}

#[test]
fn sequences_turn_up_to_their_length() {
    let model = Onnx::new().input("x", &[3, 2]).typed_input("l", &[2], DataType::Int64);
    let model = model.node("ReverseSequence", &["x", "l"], "y", &[]).output("y");
    let inputs: &[&[f64]] = &[SIX, &[3.0, 2.0]];
    gives_live_and_fixed(&model, &["l"], inputs, &[&[5.0, 4.0, 3.0, 2.0, 1.0, 6.0]], 1e-3);
    refuses(fixing(&model, &[("l", &[3.0, 4.0])]), "index 4 on an axis of 4");
}

#[test]
fn blocks_go_in_and_out_of_channels() {
    let x: Vec<f64> = (0..16).map(f64::from).collect();
    for mode in ["DCR", "CRD"] {
        let attributes = [Int("blocksize", 2), Text("mode", mode)];
        let model = Onnx::new()
            .input("x", &[1, 2, 2, 4])
            .node("SpaceToDepth", &["x"], "d", &attributes)
            .node("DepthToSpace", &["d"], "y", &attributes)
            .output("y");
        // The operator set has modes for one of the two operators alone, and tract keeps to it.
        let case = Case::from(&model);
        gives(if mode == "CRD" { case.unlike_tract() } else { case }, &[&x], &[&x], 2e-3);
    }
    let split = one("DepthToSpace", &[1, 8, 1, 1], &[Int("blocksize", 2), Text("mode", "CRD")]);
    gives(&split, &[&x[..8]], &[&x[..8]], 2e-3);
    let split = one("DepthToSpace", &[1, 8, 1, 1], &[Int("blocksize", 2)]);
    gives(&split, &[&x[..8]], &[&[0.0, 2.0, 4.0, 6.0, 1.0, 3.0, 5.0, 7.0]], 2e-3);
    refuses(&one("SpaceToDepth", &[1, 1, 3, 2], &[Int("blocksize", 2)]), "blocks of 2");
}

#[test]
fn columns_add_up_where_blocks_overlap() {
    let model = |image: &[i64]| {
        let model = Onnx::new().input("x", &[1, 2, 3]).ints("image", image).ints("block", &[2]);
        model.node("Col2Im", &["x", "image", "block"], "y", &[]).output("y").opset(18)
    };
    // Blocks (1, 4), (2, 5) and (3, 6), a step apart.
    gives(&model(&[4]), &[SIX], &[&[1.0, 6.0, 8.0, 6.0]], 2e-3);
    refuses(&model(&[6]), "blocks [2] of an image [6]");
}

#[test]
fn sizes_are_no_negative_numbers() {
    let model = Onnx::new().input("x", &[3]).typed_input("s", &[1], DataType::Int64);
    let tile = model.node("Tile", &["x", "s"], "y", &[]).output("y");
    let x: &[f64] = &[1.0, 2.0, 3.0];
    gives(fixing(&tile, &[("s", &[2.0])]), &[x], &[&[1.0, 2.0, 3.0, 1.0, 2.0, 3.0]], 1e-3);
    refuses(fixing(&tile, &[("s", &[-1.0])]), "sizes [-1.0]");
}
