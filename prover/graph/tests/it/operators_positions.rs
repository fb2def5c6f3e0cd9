//! Operators about positions: the greatest elements, indices that are computed and indices that are known.

use crate::onnx;

use crate::support::{fixing, gives, gives_live_and_fixed, lowered, refuses, sample};
use onnx::{Attribute, Attribute::*, Onnx};
use tract_onnx::pb::tensor_proto::DataType;

fn one(op: &str, shape: &[i64], attributes: &[Attribute<'_>]) -> Onnx {
    Onnx::new().input("x", shape).node(op, &["x"], "y", attributes).output("y")
}

/// A float table and integer indices.
fn indexed(op: &str, table: &[i64], index: &[i64], attributes: &[Attribute<'_>]) -> Onnx {
    let model = Onnx::new().input("x", table).typed_input("i", index, DataType::Int64);
    model.node(op, &["x", "i"], "y", attributes).output("y")
}

#[test]
fn ties_go_to_the_first_or_the_last() {
    let x: &[f64] = &[2.0, 1.0, 2.0, 1.0, 0.0, 0.0, 0.0, 0.0, -1.0, -1.0];
    let (axis, keep, last) = (Int("axis", -1), Int("keepdims", 0), Int("select_last_index", 1));
    gives(&one("ArgMax", &[2, 5], &[axis, keep]), &[x], &[&[0.0, 0.0]], 0.0);
    gives(&one("ArgMax", &[2, 5], &[axis, last]), &[x], &[&[2.0, 2.0]], 0.0);
    gives(&one("ArgMin", &[2, 5], &[axis, keep]), &[x], &[&[4.0, 3.0]], 0.0);
    gives(&one("ArgMin", &[2, 5], &[axis, last]), &[x], &[&[4.0, 4.0]], 0.0);
    let hard = [1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0];
    gives(&one("Hardmax", &[2, 5], &[axis]), &[x], &[&hard], 0.0);
    // Before operator set 13 a row is all axes from the axis on.
    let hard = [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
    gives(&one("Hardmax", &[2, 5], &[Int("axis", 0)]).opset(11), &[x], &[&hard], 0.0);
    refuses(&one("ArgMax", &[2, 5], &[Int("axis", 2)]), "axis 2");
}

#[test]
fn integers_of_24_bits_are_compared_exactly() {
    let x: &[f64] = &[8_000_000.0, 8_000_001.0, -8_000_001.0];
    let model = |op: &str| {
        let model = Onnx::new().typed_input("x", &[3], DataType::Int32);
        model.node(op, &["x"], "y", &[Int("keepdims", 0)]).output("y")
    };
    gives(&model("ArgMax"), &[x], &[&[1.0]], 0.0);
    gives(&model("ArgMin"), &[x], &[&[2.0]], 0.0);
}

#[test]
fn the_greatest_come_in_order_and_equal_ones_too() {
    let model = |n: i64, k: i64, attributes: &[Attribute<'_>]| {
        let model = Onnx::new().input("x", &[1, n]).ints("k", &[k]).node("TopK", &["x", "k"], "v,i", attributes);
        model.output("v").output("i")
    };
    let x: &[f64] = &[1.0, 3.0, 3.0, 0.0, 1.0];
    gives(&model(5, 5, &[]), &[x], &[&[3.0, 3.0, 1.0, 1.0, 0.0], &[1.0, 2.0, 0.0, 4.0, 3.0]], 1e-3);
    gives(&model(5, 3, &[Int("largest", 0)]), &[x], &[&[0.0, 1.0, 1.0], &[3.0, 0.0, 4.0]], 1e-3);
    // Few of many: tournaments, in which those that won before stand back even behind the least.
    let mut many = vec![-2.0; 25];
    many[11] = 1.0;
    gives(&model(25, 4, &[]), &[&many], &[&[1.0, -2.0, -2.0, -2.0], &[11.0, 0.0, 1.0, 2.0]], 1e-3);
    refuses(&model(5, 6, &[]), "its k does not fit");
}

#[test]
fn computed_indices_pick_what_known_ones_pick() {
    let x: &[f64] = &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
    let gather = indexed("Gather", &[2, 3], &[2], &[Int("axis", 1)]);
    gives_live_and_fixed(&gather, &["i"], &[x, &[-1.0, 0.0]], &[&[3.0, 1.0, 6.0, 4.0]], 1e-3);
    let embed = Onnx::new()
        .weight("table", &[3, 2], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
        .typed_input("i", &[1, 2], DataType::Int64)
        .node("Gather", &["table", "i"], "y", &[])
        .output("y");
    gives_live_and_fixed(&embed, &["i"], &[&[2.0, -3.0]], &[&[5.0, 6.0, 1.0, 2.0]], 1e-3);
    let elements = indexed("GatherElements", &[2, 3], &[2, 2], &[Int("axis", 1)]);
    gives_live_and_fixed(&elements, &["i"], &[x, &[1.0, -1.0, 0.0, 0.0]], &[&[2.0, 3.0, 4.0, 4.0]], 1e-3);
    let slices = indexed("GatherND", &[2, 3], &[2, 1, 1], &[Int("batch_dims", 1)]);
    gives_live_and_fixed(&slices, &["i"], &[x, &[1.0, -1.0]], &[&[2.0, 6.0]], 1e-3);
    let cells = indexed("GatherND", &[2, 3], &[2, 2], &[]);
    gives_live_and_fixed(&cells, &["i"], &[x, &[1.0, 0.0, -2.0, 2.0]], &[&[4.0, 3.0]], 1e-3);
    refuses(fixing(&gather, &[("i", &[3.0, 0.0])]), "index 3 on an axis of 3");
}

#[test]
fn a_model_that_tract_fails_on_has_no_reference_from_then_on() {
    let float = lowered(&indexed("GatherND", &[3], &[1, 1], &[])).unwrap();
    let taken = |at: f64| float.run(&sample(&[&[1.0, 2.0, 3.0], &[at]])).unwrap();
    assert_eq!((taken(1.0), float.without_reference()), (vec![vec![2.0]], None));
    assert_eq!(taken(-1.0), [[3.0]]);
    assert!(float.without_reference().is_some_and(|reason| reason.contains("tract fails on the model")));
    assert_eq!(taken(1.0), [[2.0]]);
}

#[test]
fn integers_keep_their_bits_where_they_are_picked() {
    let model = Onnx::new()
        .typed_input("x", &[3], DataType::Int32)
        .typed_input("i", &[2], DataType::Int64)
        .node("Gather", &["x", "i"], "y", &[])
        .output("y");
    gives_live_and_fixed(
        &model,
        &["i"],
        &[&[8_000_000.0, -8_000_000.0, 7.0], &[1.0, 2.0]],
        &[&[-8_000_000.0, 7.0]],
        0.0,
    );
}

#[test]
fn one_hot_ignores_what_is_out_of_range() {
    let model = Onnx::new()
        .typed_input("i", &[4], DataType::Int64)
        .ints("depth", &[3])
        .input("values", &[2])
        .node("OneHot", &["i", "depth", "values"], "y", &[Int("axis", 0)])
        .output("y");
    let (indices, values): (&[f64], &[f64]) = (&[0.0, -1.0, 3.0, -4.0], &[0.5, 2.0]);
    let expected = [2.0, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 2.0, 0.5, 0.5];
    gives_live_and_fixed(&model, &["values"], &[indices, values], &[&expected], 1e-3);
    gives(fixing(&model, &[("i", indices)]), &[values], &[&expected], 1e-3);
}

#[test]
fn what_depends_on_values_is_known() {
    let compress = Onnx::new()
        .input("x", &[2, 3])
        .typed_input("c", &[2], DataType::Bool)
        .node("Compress", &["x", "c"], "y", &[Int("axis", -1)])
        .output("y");
    gives(fixing(&compress, &[("c", &[0.0, 1.0])]), &[&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]], &[&[2.0, 5.0]], 1e-3);
    refuses(&compress, "condition");
    let add = |model: Onnx| model.input("x", &[1]).node("Add", &["x", "y"], "z", &[]).output("z");
    let x: &[f64] = &[0.0];
    let found = Onnx::new().weight("w", &[2, 2], &[0.0, 1.0, 2.0, 0.0]).node("NonZero", &["w"], "n", &[]);
    let found = found.node("Cast", &["n"], "y", &[Int("to", 1)]);
    gives(&add(found), &[x], &[&[0.0, 1.0, 1.0, 0.0]], 1e-3);
    for (sorted, expected) in [
        (1, [&[1.0, 2.0, 3.0][..], &[1.0, 0.0, 3.0], &[1.0, 0.0, 1.0, 2.0], &[2.0, 1.0, 1.0]]),
        (0, [&[2.0, 1.0, 3.0], &[0.0, 1.0, 3.0], &[0.0, 1.0, 1.0, 2.0], &[1.0, 2.0, 1.0]]),
    ] {
        let (inverse, order) =
            if sorted == 1 { ([1.0, 0.0, 0.0, 2.0], expected) } else { ([0.0, 1.0, 1.0, 2.0], expected) };
        for (output, list) in [order[0], order[1], &inverse, order[3]].iter().enumerate() {
            let names = ["y,a,b,c", "a,y,b,c", "a,b,y,c", "a,b,c,y"];
            let unique = Onnx::new().weight("w", &[4], &[2.0, 1.0, 1.0, 3.0]);
            let unique = unique.node("Unique", &["w"], names[output], &[Int("sorted", sorted)]);
            let unique = unique.node("Cast", &["y"], "f", &[Int("to", 1)]).input("x", &[1]);
            let unique = unique.node("Add", &["x", "f"], "z", &[]).output("z");
            gives(&unique, &[x], &[list], 1e-3);
        }
    }
}
