//! Resizing, sampling at positions, regions, Fourier transforms: expected numbers follow ONNX's definitions, and known
//! positions check computed ones.

use crate::onnx;

use crate::support::{agreed, check, close, refuses};
use onnx::{Attribute, Attribute::*, Onnx, noise};

/// A resize of four numbers along the last axis, to a size.
fn resize(size: i64, attributes: &[Attribute<'_>]) -> Onnx {
    let model = Onnx::new().opset(19).input("x", &[1, 1, 4]).weight("roi", &[6], &[0.0, 0.0, 0.5, 1.0, 1.0, 1.5]);
    model.ints("sizes", &[1, 1, size]).node("Resize", &["x", "roi", "", "sizes"], "y", attributes).output("y")
}

const RAMP: &[f64] = &[1.0, 2.0, 3.0, 4.0];

#[test]
fn resize_rounds_positions_between_two_elements_as_asked() {
    // The outputs lie at 0.5 and 2.5.
    for (rounding, expected) in [
        ("round_prefer_floor", [1.0, 3.0]),
        ("round_prefer_ceil", [2.0, 4.0]),
        ("floor", [1.0, 3.0]),
        ("ceil", [2.0, 4.0]),
    ] {
        check((rounding, &resize(2, &[Text("nearest_mode", rounding)])), &[RAMP], &expected);
    }
    // Version 10 rounds down where an image grows, up where it shrinks.
    let old = |scale: f32| {
        let model = Onnx::new().opset(10).input("x", &[4]).weight("s", &[1], &[scale]);
        model.node("Resize", &["x", "s"], "y", &[]).output("y")
    };
    check(("grown", &old(1.5)), &[RAMP], &[1.0, 1.0, 2.0, 3.0, 3.0, 4.0]);
    check(("shrunk", &old(0.75)), &[RAMP], &[1.0, 3.0, 4.0]);
}

#[test]
fn resize_interpolates_and_repeats_the_edge() {
    let linear = Text("mode", "linear");
    check(("linear", &resize(8, &[linear])), &[&[0.0, 8.0, 8.0, 0.0]], &[0.0, 2.0, 6.0, 8.0, 8.0, 6.0, 2.0, 0.0]);
    let corners = Text("coordinate_transformation_mode", "align_corners");
    check(("corners", &resize(7, &[linear, corners])), &[RAMP], &[1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0]);
    // The kernel is twice as wide: weights 1, 3, 3, 1 eighths.
    check(("antialias", &resize(2, &[linear, Int("antialias", 1)])), &[RAMP], &[1.625, 3.375]);
    // Cubic weights at 0.5, of which the first lies outside; a ramp's other weights need not keep it.
    check(("cubic", &resize(2, &[Text("mode", "cubic")])), &[&[0.0, 32.0, 0.0, 0.0]], &[19.0, -3.0]);
    let cropped =
        [linear, Text("coordinate_transformation_mode", "tf_crop_and_resize"), Float("extrapolation_value", 9.0)];
    check(("crop", &resize(3, &cropped)), &[RAMP], &[2.5, 4.0, 9.0]);
}

#[test]
fn resize_keeps_the_aspect_ratio_over_axes_counted_from_the_end() {
    for (policy, expected) in [("not_larger", vec![1.0, 3.0]), ("not_smaller", vec![1.0, 2.0, 4.0, 5.0, 6.0, 8.0])] {
        let model = Onnx::new().opset(18).input("x", &[2, 4]).ints("sizes", &[3, 1]);
        let attributes = [Ints("axes", &[-1, -2]), Text("keep_aspect_ratio_policy", policy)];
        let model = model.node("Resize", &["x", "", "", "sizes"], "y", &attributes).output("y");
        check((policy, &model), &[&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]], &expected);
    }
}

#[test]
fn resize_refuses_what_has_no_meaning() {
    refuses(&resize(0, &[]), "resized to 0");
    refuses(&resize(2, &[Text("mode", "sinc")]), "mode `sinc`");
    let empty = Onnx::new().input("x", &[4]).node("Resize", &["x"], "y", &[]).output("y");
    refuses(&empty, "either scales or sizes");
}

/// Two models of one node, with the second input computed and known.
fn both(op: &str, x: &[i64], (shape, values): (&[i64], &[f32]), attributes: &[Attribute<'_>]) -> (Onnx, Onnx) {
    let live = Onnx::new().opset(20).input("x", x).input("at", shape);
    let known = Onnx::new().opset(20).input("x", x).weight("at", shape, values);
    let end = |model: Onnx| model.node(op, &["x", "at"], "y", attributes).output("y");
    (end(live), end(known))
}

fn reals(values: &[f32]) -> Vec<f64> {
    values.iter().map(|v| f64::from(*v)).collect()
}

#[test]
fn a_computed_grid_reads_what_a_known_one_reads() {
    let (x, grid) = (reals(&noise(3, 2 * 2 * 4 * 3)), noise(4, 2 * 5 * 2));
    let grid: Vec<f32> = grid.iter().map(|v| v * 1.8).collect();
    for mode in ["linear", "nearest", "cubic"] {
        for padding in ["zeros", "border", "reflection"] {
            for align in [0, 1] {
                let case = format!("{mode}, {padding}, {align}");
                let attributes = [Text("mode", mode), Text("padding_mode", padding), Int("align_corners", align)];
                let (live, known) = both("GridSample", &[2, 2, 4, 3], (&[2, 1, 5, 2], &grid), &attributes);
                let expected = agreed((&case, &known), &[&x]);
                close(&case, &agreed((&case, &live), &[&x, &reals(&grid)])[0], &expected[0], 1e-5);
            }
        }
    }
}

#[test]
fn grids_read_between_elements_and_round_ties_to_even() {
    // The middle, a corner, far outside, half outside.
    let grid = [0.0, 0.0, -1.0, -1.0, 5.0, 0.0, 2.0, -1.0];
    let image: &[f64] = &[1.0, 2.0, 3.0, 4.0];
    let align = Int("align_corners", 1);
    let (live, known) = both("GridSample", &[1, 1, 2, 2], (&[1, 1, 4, 2], &grid), &[align]);
    check(("live", &live), &[image, &reals(&grid)], &[2.5, 1.0, 0.0, 1.0]);
    check(("known", &known), &[image], &[2.5, 1.0, 0.0, 1.0]);
    let attributes = [align, Text("mode", "nearest"), Text("padding_mode", "border")];
    // At 0.5, 1.5 and 2.5 of three columns.
    let grid = [-0.5, 0.0, 0.5, 0.0, 1.5, 0.0];
    let (live, known) = both("GridSample", &[1, 1, 1, 3], (&[1, 1, 3, 2], &grid), &attributes);
    check(("live ties", &live), &[&[1.0, 2.0, 3.0], &reals(&grid)], &[1.0, 3.0, 3.0]);
    check(("known ties", &known), &[&[1.0, 2.0, 3.0]], &[1.0, 3.0, 3.0]);
    let (wrong, _) = both("GridSample", &[1, 1, 2, 2], (&[1, 1, 4, 3], &[]), &[]);
    refuses(&wrong, "a grid [1, 1, 4, 3] for an input [1, 1, 2, 2]");
}

#[test]
fn an_affine_grid_moves_evenly_spaced_positions() {
    let model = |align: i64| {
        let model = Onnx::new().opset(20).input("t", &[1, 2, 3]).ints("size", &[1, 1, 1, 2]);
        model.node("AffineGrid", &["t", "size"], "y", &[Int("align_corners", align)]).output("y")
    };
    let theta: &[f64] = &[2.0, 0.0, 0.5, 0.0, 1.0, 3.0];
    check(("between the corners", &model(0)), &[theta], &[-0.5, 3.0, 1.5, 3.0]);
    check(("on the corners", &model(1)), &[theta], &[-1.5, 2.0, 2.5, 2.0]);
}

/// Regions of two images, with what is computed in the model's inputs.
fn regions(known: bool, attributes: &[Attribute<'_>], rois: &[f32]) -> Onnx {
    let count = rois.len() as i64 / 4;
    let batch: Vec<i64> = (0..count).map(|i| i % 2).collect();
    let model = Onnx::new().opset(16).input("x", &[2, 2, 5, 6]).ints("batch", &batch);
    let model = if known { model.weight("rois", &[count, 4], rois) } else { model.input("rois", &[count, 4]) };
    model.node("RoiAlign", &["x", "rois", "batch"], "y", attributes).output("y")
}

#[test]
fn computed_regions_read_what_known_ones_read() {
    let (x, rois) = (reals(&noise(5, 2 * 2 * 5 * 6)), [0.3, 0.7, 4.1, 3.9, 2.0, 1.0, 2.3, 1.2, -4.0, -3.0, 9.0, 8.0]);
    for mode in ["avg", "max"] {
        for transform in ["half_pixel", "output_half_pixel"] {
            let size = [Int("output_height", 2), Int("output_width", 3), Int("sampling_ratio", 2)];
            let mode = [Text("mode", mode), Text("coordinate_transformation_mode", transform)];
            let attributes = [&size[..], &mode].concat();
            let expected = agreed(("known", &regions(true, &attributes, &rois)), &[&x]);
            let got = agreed(("live", &regions(false, &attributes, &rois)), &[&x, &reals(&rois)]);
            close(transform, &got[0], &expected[0], 1e-4);
        }
    }
    // Without a number of samples the regions' sizes decide.
    let (adaptive, rois) = (regions(true, &[], &rois[..4]), &rois[..4]);
    let ones = agreed(("adaptive", &adaptive), &[&[1.5; 120]]);
    close("adaptive", &ones[0], &[1.5, 1.5], 1e-5);
    refuses(&regions(false, &[], rois), "without a sampling_ratio");
}

/// A transform of the axis before the last, and the inverse of that.
fn there_and_back(n: i64, onesided: i64) -> Onnx {
    let model = Onnx::new().opset(20).input("x", &[2, n, 1]).ints("n", &[n]);
    let back = [Int("inverse", 1), Int("onesided", onesided)];
    model
        .node("DFT", &["x"], "f", &[Int("onesided", onesided)])
        .node("DFT", &["f", "n"], "y", &back)
        .output("f")
        .output("y")
}

#[test]
fn transforms_invert_each_other() {
    for n in [1, 5, 6] {
        let x = reals(&noise(6, 2 * n as usize));
        let case = format!("{n} elements");
        let full = agreed((&case, &there_and_back(n, 0)), &[&x]);
        let complex: Vec<f64> = x.iter().flat_map(|v| [*v, 0.0]).collect();
        close(&case, &full[1], &complex, 1e-9);
        let half = agreed((&case, &there_and_back(n, 1)), &[&x]);
        close(&case, &half[1], &x, 1e-9);
        close(&case, &half[0][..2], &full[0][..2], 1e-9);
    }
    // An impulse has every frequency; the signal is cut or filled up to the length.
    let model = Onnx::new().opset(17).input("x", &[1, 2, 1]).ints("n", &[3]);
    let model = model.node("DFT", &["x", "n"], "y", &[Int("axis", -2)]).output("y");
    check(("impulse", &model), &[&[2.0, 0.0]], &[2.0, 0.0, 2.0, 0.0, 2.0, 0.0]);
    let last = Onnx::new().opset(17).input("x", &[1, 2, 1]).node("DFT", &["x"], "y", &[Int("axis", 2)]).output("y");
    refuses(&last, "axis 2");
}

#[test]
fn frames_are_windowed_before_their_transform() {
    let model = |window: bool| {
        let model = Onnx::new().input("x", &[1, 5, 1]).ints("step", &[2]).ints("length", &[2]);
        let model = if window { model.weight("w", &[2], &[1.0, 0.5]) } else { model };
        let window = if window { "w" } else { "" };
        model.node("STFT", &["x", "step", window, "length"], "y", &[]).output("y")
    };
    let x: &[f64] = &[1.0, 2.0, 3.0, 4.0, 9.0];
    check(("plain", &model(false)), &[x], &[3.0, 0.0, -1.0, 0.0, 7.0, 0.0, -1.0, 0.0]);
    check(("windowed", &model(true)), &[x], &[2.0, 0.0, 0.0, 0.0, 5.0, 0.0, 1.0, 0.0]);
    let long = Onnx::new().input("x", &[1, 5, 1]).ints("step", &[2]).ints("length", &[6]);
    let long = long.node("STFT", &["x", "step", "", "length"], "y", &[]).output("y");
    refuses(&long, "frames of 6 elements");
}

#[test]
fn windows_are_periodic_or_symmetric() {
    let model = |op: &str, size: i64, periodic: i64| {
        let model = Onnx::new().input("x", &[size]).ints("n", &[size]);
        model.node(op, &["n"], "w", &[Int("periodic", periodic)]).node("Mul", &["x", "w"], "y", &[]).output("y")
    };
    check(("Hann", &model("HannWindow", 4, 1)), &[&[2.0; 4]], &[0.0, 1.0, 2.0, 1.0]);
    check(("Blackman", &model("BlackmanWindow", 3, 0)), &[&[1.0; 3]], &[0.0, 1.0, 0.0]);
    check(("Hamming", &model("HammingWindow", 3, 0)), &[&[1.0; 3]], &[4.0 / 46.0, 1.0, 4.0 / 46.0]);
    refuses(&model("HannWindow", 1, 0), "a symmetric window of one element");
}
