//! The errors of a quantised model as a page: how large, of which layer, and where they enter.

use std::fmt::Write as _;

use vouch_graph::{
    bound::Bounds,
    report::{Histogram, LayerError, Report as Accuracy, TensorError},
};

use crate::{
    command::guarantee,
    picture::{escape, head},
    report::{count, figure, figure_above},
};

/// Colours of the layer's own error, of the accumulated one, and of the layer that is marked.
const OWN: &str = "#e15759";
const ACCUMULATED: &str = "#4e79a7";
const MARKED: &str = "#fff3d6";

/// Left and right edge of the chart's axis, and height of its rows, in pixels.
const AXIS: (f64, f64) = (300.0, 860.0);
const ROW: usize = 18;

/// Characters of a layer's name that a chart has room for.
const NAME: usize = 44;

/// The page.
pub(crate) fn page(name: &str, accuracy: &Accuracy) -> String {
    let mut html = head(&format!("{name}: errors of quantisation"));
    facts(&mut html, accuracy);
    html.push_str("<h2>Errors of the outputs</h2>\n<p>Quantised less float values, against the reference.</p>\n");
    for (i, output) in accuracy.outputs.iter().enumerate() {
        let name = escape(&output.name);
        let _ = writeln!(
            html,
            "<h3>{name}</h3>\n<p>values from {} to {}; largest error {}, mean {}, root mean square {}</p>",
            figure(output.lo),
            figure(output.hi),
            figure(output.max_abs),
            figure(output.mean_abs),
            figure(output.rms)
        );
        if let Some(guaranteed) = accuracy.guaranteed.as_ref().and_then(|bounds| bounds.outputs.get(i)) {
            let reason = escape(guaranteed.reason.as_deref().unwrap_or_default());
            let _ = match guaranteed.bound {
                Some(bound) => writeln!(html, "<p>guaranteed: at most {}</p>", figure_above(bound)),
                None => writeln!(html, "<p>nothing guaranteed: {reason}</p>"),
            };
        }
        histogram(&mut html, output);
    }
    html.push_str(
        "<h2>Errors by layer</h2>\n<p>Root mean square as a share of the range of the layer's values, on a logarithmic \
         axis, in the order of computation. A layer's own error is what it adds to \
         inputs without error, by its rounding, its weights' and its table's; the accumulated error has those of all \
         layers before it, too. Layers that \
         round nothing are left out.</p>\n",
    );
    let _ = writeln!(
        html,
        "<p class=\"legend\"><span><i style=\"background:{OWN}\"></i>own</span>\
         <span><i style=\"background:{ACCUMULATED}\"></i>accumulated</span>\
         <span><i style=\"background:{MARKED};outline:1px solid #ddb\"></i>most error enters here</span></p>"
    );
    chart(&mut html, accuracy);
    html.push_str("<h2>All layers</h2>\n");
    table(&mut html, accuracy);
    if let Some(bounds) = accuracy.guaranteed.as_ref().filter(|bounds| !bounds.tables.is_empty()) {
        functions(&mut html, bounds);
    }
    html
}

fn facts(html: &mut String, accuracy: &Accuracy) {
    let mut rows = vec![
        ("samples", format!("{} compared, {} without a proof", count_of(accuracy.samples), count_of(accuracy.refused))),
        ("largest error of an output", figure(accuracy.max_abs_error)),
        ("mean error of the outputs", figure(accuracy.mean_abs_error)),
    ];
    if let Some(bounds) = &accuracy.guaranteed {
        let (label, said) = guarantee(bounds, accuracy.max_abs_error);
        rows.push((label, escape(&said)));
    }
    if let Some(agreement) = accuracy.argmax_agreement {
        rows.push(("same arg-max", format!("{:.2} %", 100.0 * agreement)));
    }
    if let Some(worst) = accuracy.worst_layers().first().filter(|_| accuracy.enters_at.is_some()) {
        let node = if worst.node.is_empty() { "an input".to_owned() } else { format!("node {}", escape(&worst.node)) };
        let name = escape(&worst.tensor.name);
        let value = format!("<b>{name}</b> ({node}): {} at the outputs by itself", figure(worst.at_outputs));
        rows.push(("most error enters at", value));
    }
    html.push_str("<table>\n");
    for (label, value) in rows {
        let _ = writeln!(html, "<tr><th>{label}<td>{value}");
    }
    html.push_str("</table>\n");
}

fn count_of(n: usize) -> String {
    count(n as u64)
}

/// Bins that are not empty, with two more on either side so that the ends show.
fn shown(histogram: &Histogram) -> std::ops::Range<usize> {
    let filled = |bin: &usize| histogram.counts[*bin] > 0;
    let all = 0..histogram.counts.len();
    let first = all.clone().find(filled).unwrap_or(0).saturating_sub(2);
    let last = all.clone().rev().find(filled).unwrap_or(0);
    first..(last + 3).min(all.end)
}

fn histogram(html: &mut String, output: &TensorError) {
    const TALL: f64 = 120.0;
    const WIDE: usize = 18;
    let bins = shown(&output.histogram);
    let most = output.histogram.counts.iter().copied().max().unwrap_or(0).max(1) as f64;
    let width = bins.len() * WIDE;
    let _ = writeln!(html, "<svg width=\"{}\" height=\"{}\" role=\"img\">", width + 120, TALL as usize + 44);
    for (i, bin) in bins.clone().enumerate() {
        let n = output.histogram.counts[bin];
        let tall = TALL * n as f64 / most;
        let (lo, hi) = (output.histogram.edge(bin), output.histogram.edge(bin + 1));
        let _ = writeln!(
            html,
            "<rect x=\"{}\" y=\"{:.1}\" width=\"{}\" height=\"{tall:.1}\" fill=\"{ACCUMULATED}\"><title>{} from {} to {}</title></rect>",
            60 + i * WIDE,
            TALL + 10.0 - tall,
            WIDE - 1,
            count(n),
            figure(lo),
            figure(hi)
        );
    }
    let base = TALL as usize + 10;
    let _ = writeln!(html, "<path d=\"M60 {base}h{width}\" stroke=\"#999\"/>");
    // Zero and the ends, and no label on top of another.
    let zero = output.histogram.counts.len() / 2;
    for edge in [bins.start, zero, bins.end] {
        if edge != zero && edge.abs_diff(zero) < 4 || !(bins.start..=bins.end).contains(&edge) {
            continue;
        }
        let x = 60 + (edge - bins.start) * WIDE;
        let _ = writeln!(
            html,
            "<path d=\"M{x} {base}v5\" stroke=\"#999\"/><text x=\"{x}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            base + 18,
            figure(output.histogram.edge(edge))
        );
    }
    html.push_str("</svg>\n");
}

/// Root mean squares as shares of the tensor's range: own and accumulated.
fn shares(layer: &LayerError) -> Option<(f64, f64)> {
    let range = layer.tensor.hi - layer.tensor.lo;
    (range > 0.0 && layer.own.rms > 0.0).then(|| (layer.own.rms / range, layer.tensor.rms / range))
}

fn chart(html: &mut String, accuracy: &Accuracy) {
    let rows: Vec<(&LayerError, f64, f64)> =
        accuracy.layers.iter().filter_map(|layer| shares(layer).map(|(own, all)| (layer, own, all))).collect();
    let powers = rows.iter().flat_map(|(_, own, all)| [*own, *all]).filter(|x| *x > 0.0).map(f64::log10);
    let (least, most) = powers.fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), p| (lo.min(p), hi.max(p)));
    if rows.is_empty() {
        html.push_str("<p>No layer rounds anything.</p>\n");
        return;
    }
    let (least, most) = (least.floor(), most.ceil().max(least.floor() + 1.0));
    let place = |share: f64| {
        let power = if share > 0.0 { share.log10() } else { least };
        AXIS.0 + (AXIS.1 - AXIS.0) * (power - least) / (most - least)
    };
    let tall = rows.len() * ROW;
    let _ = writeln!(html, "<svg width=\"{}\" height=\"{}\" role=\"img\">", AXIS.1 + 40.0, tall + 40);
    for power in least as i32..=most as i32 {
        let x = place(10f64.powi(power));
        let _ = writeln!(
            html,
            "<path d=\"M{x:.1} 20V{}\" stroke=\"#ddd\"/><text x=\"{x:.1}\" y=\"14\" text-anchor=\"middle\">{} %</text>",
            tall + 26,
            power_of_ten(power + 2)
        );
    }
    for (i, (layer, own, all)) in rows.iter().enumerate() {
        let y = 24 + i * ROW;
        if accuracy.enters_at.as_ref() == Some(&layer.tensor.name) {
            let _ = writeln!(
                html,
                "<rect x=\"0\" y=\"{y}\" width=\"{}\" height=\"{ROW}\" fill=\"{MARKED}\"/>",
                AXIS.1 + 40.0
            );
        }
        let (from, to, middle) = (place(*own), place(*all), y + ROW / 2);
        let _ = writeln!(
            html,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\"><title>{}</title>{}</text>\
             <path d=\"M{from:.1} {middle}H{to:.1}\" stroke=\"#bbb\"/>\
             <circle cx=\"{to:.1}\" cy=\"{middle}\" r=\"5\" fill=\"{ACCUMULATED}\"><title>accumulated {}</title></circle>\
             <circle cx=\"{from:.1}\" cy=\"{middle}\" r=\"3.5\" fill=\"{OWN}\"><title>own {}</title></circle>",
            AXIS.0 - 12.0,
            middle + 4,
            escape(&layer.tensor.name),
            escape(&short(&layer.tensor.name)),
            figure(layer.tensor.rms),
            figure(layer.own.rms)
        );
    }
    html.push_str("</svg>\n");
}

/// A power of ten in full: floating point would show its own errors.
fn power_of_ten(power: i32) -> String {
    let zeros = "0".repeat(power.unsigned_abs() as usize);
    if power < 0 { format!("0.{}1", &zeros[1..]) } else { format!("1{zeros}") }
}

/// The end of a name, which tells layers apart.
fn short(name: &str) -> String {
    let length = name.chars().count();
    if length <= NAME {
        name.to_owned()
    } else {
        format!("…{}", name.chars().skip(length - NAME).collect::<String>())
    }
}

fn table(html: &mut String, accuracy: &Accuracy) {
    let columns = ["layer", "values", "largest", "mean", "rms", "largest of range", "own rms", "at outputs", "errors"];
    let _ = writeln!(html, "<table>\n<tr><th>{}", columns.join("<th>"));
    for layer in &accuracy.layers {
        let LayerError { tensor, node, own, at_outputs } = layer;
        let mark = match &accuracy.enters_at {
            Some(name) if *name == tensor.name => format!(" style=\"background:{MARKED}\""),
            _ => String::new(),
        };
        let _ = writeln!(
            html,
            "<tr{mark} title=\"{}\"><td>{}<td>{} to {}<td>{}<td>{}<td>{}<td>{:.4} %<td>{}<td>{}<td>{}",
            escape(node),
            escape(&short(&tensor.name)),
            figure(tensor.lo),
            figure(tensor.hi),
            figure(tensor.max_abs),
            figure(tensor.mean_abs),
            figure(tensor.rms),
            100.0 * tensor.relative,
            figure(own.rms),
            figure(*at_outputs),
            sketch(&tensor.histogram)
        );
    }
    let _ = writeln!(
        html,
        "</table>\n<p>At outputs: root mean square of what the layer's own errors alone come to at the outputs, on {} \
         samples. Point at a row to see the ONNX node.</p>",
        count_of(accuracy.carried_samples)
    );
}

/// The largest errors of the functions' tables.
fn functions(html: &mut String, bounds: &Bounds) {
    html.push_str(
        "<h2>Tables of functions</h2>\n<p>Largest error of each table, in units of its output: over the inputs that can \
         occur, and over all of 16 bits.</p>\n<table>\n<tr><th>layer<th>function<th>unit<th>that occur<th>all\n",
    );
    for table in &bounds.tables {
        let _ = writeln!(
            html,
            "<tr title=\"{}\"><td>{}<td>{}<td>{}<td>{}<td>{}",
            escape(&table.node),
            escape(&short(&table.tensor)),
            escape(&table.function),
            figure(table.unit),
            figure_above(table.units_in_range),
            figure_above(table.units)
        );
    }
    html.push_str("</table>\n");
}

/// A histogram as small as a word.
fn sketch(histogram: &Histogram) -> String {
    let most = histogram.counts.iter().copied().max().unwrap_or(0).max(1) as f64;
    let mut svg = format!("<svg width=\"{}\" height=\"16\" role=\"img\">", 2 * histogram.counts.len());
    for (bin, n) in histogram.counts.iter().enumerate().filter(|(_, n)| **n > 0) {
        // What is there at all shows.
        let tall = (16.0 * *n as f64 / most).max(1.0);
        let (x, y) = (2 * bin, 16.0 - tall);
        let _ = write!(svg, "<rect x=\"{x}\" y=\"{y:.1}\" width=\"2\" height=\"{tall:.1}\" fill=\"{ACCUMULATED}\"/>");
    }
    svg.push_str("</svg>");
    svg
}

#[cfg(test)]
mod tests {
    use super::power_of_ten;

    #[test]
    fn powers_of_ten_are_written_in_full() {
        assert_eq!([-3, -1, 0, 2].map(power_of_ten), ["0.001", "0.1", "1", "100"]);
    }
}
