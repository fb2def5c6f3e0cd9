//! Pools and convolutions over any number of axes, products over named axes, determinants: expected numbers follow
//! ONNX's definitions, and known weights check computed ones.

use crate::onnx;

use crate::support::{agreed, check, close, refuses};
use onnx::{Attribute, Attribute::*, Onnx, noise};

fn one(op: &str, shape: &[i64], output: &str, attributes: &[Attribute<'_>]) -> Onnx {
    let model = Onnx::new().opset(19).input("x", shape).node(op, &["x"], output, attributes);
    output.split(',').fold(model, Onnx::output)
}

fn reals(values: &[f32]) -> Vec<f64> {
    values.iter().map(|v| f64::from(*v)).collect()
}

#[test]
fn the_first_of_equal_elements_is_the_greatest() {
    let kernel = [Ints("kernel_shape", &[2, 2]), Ints("pads", &[1, 0, 0, 0])];
    let x: &[f64] = &[5.0, 5.0, 1.0, 7.0, 2.0, 7.0];
    let got = agreed(("rows", &one("MaxPool", &[1, 1, 2, 3], "y,i", &kernel)), &[x]);
    close("rows", &got[0], &[5.0, 5.0, 7.0, 7.0], 1e-9);
    close("rows", &got[1], &[0.0, 1.0, 3.0, 5.0], 1e-9);
    // Of two channels stored column by column.
    let twice = [x, x].concat();
    let columns = [&kernel[..], &[Int("storage_order", 1)]].concat();
    let got = agreed(("columns", &one("MaxPool", &[1, 2, 2, 3], "y,i", &columns)), &[&twice]);
    close("columns", &got[1], &[0.0, 2.0, 1.0, 5.0, 6.0, 8.0, 7.0, 11.0], 1e-9);
}

#[test]
fn pools_slide_over_three_axes() {
    let x: Vec<f64> = (0..12).map(f64::from).collect();
    let kernel = [Ints("kernel_shape", &[2, 2, 1]), Ints("dilations", &[1, 1, 2])];
    check(("max", &one("MaxPool", &[1, 1, 2, 2, 3], "y", &kernel)), &[&x], &[9.0, 10.0, 11.0]);
    check(("mean", &one("AveragePool", &[1, 1, 2, 2, 3], "y", &kernel)), &[&x], &[4.5, 5.5, 6.5]);
    // A last window that lies half in the padding, and beyond it.
    let ceil = [Ints("kernel_shape", &[3]), Ints("strides", &[2]), Ints("pads", &[0, 1]), Int("ceil_mode", 1)];
    let counted = [&ceil[..], &[Int("count_include_pad", 1)]].concat();
    check(("edge", &one("AveragePool", &[1, 1, 5], "y", &ceil)), &[&x[..5]], &[1.0, 3.0, 4.0]);
    check(("counted", &one("AveragePool", &[1, 1, 5], "y", &counted)), &[&x[..5]], &[1.0, 3.0, 2.0]);
    let outside = [Ints("kernel_shape", &[1]), Ints("pads", &[1, 0])];
    refuses(&one("MaxPool", &[1, 1, 5], "y", &outside), "in the padding alone");
}

#[test]
fn norms_have_any_whole_exponent() {
    let x: &[f64] = &[1.0, -2.0, 0.0, 0.0, 3.0];
    let kernel = Ints("kernel_shape", &[2]);
    for p in [1, 2, 3, 7] {
        let power = f64::from(p as i32);
        let norm = |pair: &[f64]| pair.iter().map(|v| v.abs().powf(power)).sum::<f64>().powf(1.0 / power);
        let expected: Vec<f64> = x.windows(2).map(norm).collect();
        check(("LpPool", &one("LpPool", &[1, 1, 5], "y", &[kernel, Int("p", p)])), &[x], &expected);
        check(("GlobalLpPool", &one("GlobalLpPool", &[1, 1, 5], "y", &[Int("p", p)])), &[x], &[norm(x)]);
    }
    refuses(&one("LpPool", &[1, 1, 5], "y", &[kernel, Int("p", 0)]), "its exponent p is 0");
}

/// A convolution with its weight and bias known, or given as inputs.
fn convolution(op: &str, x: &[i64], (w, weight): (&[i64], &[f32]), known: bool, attributes: &[Attribute<'_>]) -> Onnx {
    let model = Onnx::new().input("x", x);
    let bias = [0.5, -0.25, 0.125, 1.0];
    let model = if known {
        model.weight("w", w, weight).weight("b", &[4], &bias)
    } else {
        model.input("w", w).input("b", &[4])
    };
    model.node(op, &["x", "w", "b"], "y", attributes).output("y")
}

#[test]
fn computed_weights_do_what_known_ones_do() {
    for axes in [1, 2, 3] {
        let dims = &[6i64, 5, 4][..axes];
        let kernel = &[3i64, 2, 2][..axes];
        let x = [&[2i64, 4][..], dims].concat();
        let values = reals(&noise(7, x.iter().product::<i64>() as usize));
        let weights = noise(8, 8 * kernel.iter().product::<i64>() as usize);
        let attributes = [
            Int("group", 2),
            Ints("strides", &[2, 1, 3][..axes]),
            Ints("dilations", &[1, 2, 2][..axes]),
            Ints("pads", &[1, 0, 1, 0, 2, 1][..2 * axes]),
        ];
        for (op, lead) in [("Conv", [4i64, 2]), ("ConvTranspose", [4, 2])] {
            let w = [&lead[..], kernel].concat();
            let model = |known| convolution(op, &x, (&w, &weights), known, &attributes);
            let case = format!("{op} over {axes} axes");
            let expected = agreed((&case, &model(true)), &[&values]);
            let bias: &[f64] = &[0.5, -0.25, 0.125, 1.0];
            let got = agreed((&case, &model(false)), &[&values, &reals(&weights), bias]);
            close(&case, &got[0], &expected[0], 1e-6);
        }
    }
}

#[test]
fn a_transposed_convolution_may_reach_less_than_its_output() {
    let model = Onnx::new().input("x", &[1, 1, 2]).input("w", &[1, 1, 2]);
    let attributes = [Ints("strides", &[3]), Ints("output_shape", &[7])];
    let model = model.node("ConvTranspose", &["x", "w"], "y", &attributes).output("y");
    check(("zeros", &model), &[&[1.0, 2.0], &[3.0, 4.0]], &[3.0, 4.0, 0.0, 6.0, 8.0, 0.0, 0.0]);
}

#[test]
fn taps_move_by_their_offsets() {
    let model = Onnx::new().opset(19).input("x", &[1, 1, 1, 3]).input("w", &[1, 1, 1, 2]);
    let model = model.input("o", &[1, 4, 1, 2]).input("m", &[1, 2, 1, 2]);
    let model = model.node("DeformConv", &["x", "w", "o", "", "m"], "y", &[]).output("y");
    // Down by a half, right by a half and by three; the second tap of the second position counts half.
    let offsets: &[f64] = &[0.5, 0.0, 0.0, 0.5, 0.0, 0.0, 3.0, 0.0];
    let given: [&[f64]; 4] = [&[1.0, 2.0, 4.0], &[1.0, 10.0], offsets, &[1.0, 1.0, 1.0, 0.5]];
    check(("moved", &model), &given, &[0.5, 23.0]);
}

#[test]
fn a_causal_convolution_carries_its_last_elements() {
    let model = |past: bool| {
        let model = Onnx::new().opset(27).input("x", &[1, 2, 2]).input("w", &[2, 1, 3]);
        let model = if past { model.input("s", &[1, 2, 2]) } else { model };
        let state = if past { "s" } else { "" };
        model.node("CausalConvWithState", &["x", "w", "", state], "y,p", &[]).output("y").output("p")
    };
    let (x, w): (&[f64], &[f64]) = (&[1.0, 2.0, 3.0, 4.0], &[1.0, 2.0, 3.0, 0.0, 1.0, 0.0]);
    let got = agreed(("first", &model(false)), &[x, w]);
    close("first", &got[0], &[3.0, 8.0, 0.0, 3.0], 1e-9);
    close("first", &got[1], x, 1e-9);
    let got = agreed(("next", &model(true)), &[x, w, &[5.0, 6.0, 7.0, 8.0]]);
    close("next", &got[0], &[20.0, 14.0, 8.0, 3.0], 1e-9);
}

fn einsum(equation: &str, shapes: &[&[i64]]) -> Onnx {
    let names = ["a", "b", "c"];
    let inputs = shapes.iter().zip(names);
    let model = inputs.fold(Onnx::new(), |model, (shape, name)| model.input(name, shape));
    model.node("Einsum", &names[..shapes.len()], "y", &[Text("equation", equation)]).output("y")
}

#[test]
fn equations_name_axes() {
    let (a, b): (&[f64], &[f64]) = (&[1.0, 2.0, 3.0, 4.0], &[5.0, 6.0]);
    check(("trace", &einsum("ii", &[&[2, 2]])), &[a], &[5.0]);
    check(("diagonal", &einsum("...ii->...i", &[&[1, 2, 2]])), &[a], &[1.0, 4.0]);
    check(("in the letters' order", &einsum("ba", &[&[2, 2]])), &[a], &[1.0, 3.0, 2.0, 4.0]);
    check(("capitals first", &einsum("aB, a", &[&[2, 2], &[2]])), &[a, b], &[23.0, 34.0]);
    check(("product", &einsum("ij,j->i", &[&[2, 2], &[2]])), &[a, b], &[17.0, 39.0]);
    check(("outer", &einsum("i,j->ji", &[&[2], &[1]])), &[b, &[3.0]], &[15.0, 18.0]);
    check(("broadcast", &einsum("...i,...i->...", &[&[2, 2], &[1, 2]])), &[a, b], &[17.0, 39.0]);
    check(("three", &einsum("ij,jk,k->i", &[&[2, 2], &[2, 2], &[2]])), &[a, a, b], &[95.0, 207.0]);
    refuses(&einsum("ij,jk", &[&[2, 3], &[2, 3]]), "an axis of 3 and of 2 elements");
    refuses(&einsum("ij->k", &[&[2, 3]]), "the output of its equation");
}

#[test]
fn determinants_of_small_matrices() {
    check(("1", &one("Det", &[2, 1, 1], "y", &[])), &[&[3.0, -4.0]], &[3.0, -4.0]);
    let three: &[f64] = &[2.0, 0.0, 1.0, 1.0, 3.0, 2.0, 1.0, 1.0, 4.0];
    check(("3", &one("Det", &[3, 3], "y", &[])), &[three], &[18.0]);
    // Rows of a diagonal matrix in another order.
    let mut five = vec![0.0; 25];
    [(0, 3), (1, 0), (2, 4), (3, 1), (4, 2)].iter().for_each(|(row, column)| five[row * 5 + column] = 2.0);
    check(("5", &one("Det", &[5, 5], "y", &[])), &[&five], &[-32.0]);
    refuses(&one("Det", &[9, 9], "y", &[]), "its matrices have 9 rows");
}
