//! A circuit as a page: what lies where, and where the time goes.

use std::{collections::BTreeMap, fmt::Write as _};

use vouch_circuit::{CircuitMap, CircuitPlan, Mark, Purpose};

use crate::report::{bytes, count};

/// Width of a column and height of a band, in pixels.
const CELL: (usize, usize) = (14, 2);
/// Pixels between groups of columns.
const GAP: usize = 10;
/// Pixels above the columns, for their names.
const HEAD: usize = 130;
/// Spans of a proof in the order in which they happen; the others are sums of these.
const SPANS: [(&str, &str); 5] = [
    ("witness", "layout of the witness"),
    ("commit", "commitments to columns"),
    ("quotient", "quotient"),
    ("open", "evaluations and opening"),
    ("self_verify", "verification of the new proof"),
];

fn colour(purpose: Purpose) -> (&'static str, &'static str) {
    match purpose {
        Purpose::Input => ("#4e79a7", "inputs"),
        Purpose::Linear => ("#f28e2b", "linear layers"),
        Purpose::MatrixProduct => ("#e15759", "products of computed matrices"),
        Purpose::Arithmetic => ("#76b7b2", "sums and products"),
        Purpose::Maximum => ("#59a14f", "maxima"),
        Purpose::Function => ("#b07aa1", "functions and quotients"),
        Purpose::Comparison => ("#edc948", "comparisons and choices"),
        Purpose::Output => ("#9c755f", "outputs and constants"),
        Purpose::Lookup => ("#bab0ac", "lookups and row marks"),
    }
}

pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// The beginning of a page.
pub(crate) fn head(title: &str) -> String {
    let title = escape(title);
    format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>{title}</title>\n<style>\n\
         body {{ font: 14px/1.5 system-ui, sans-serif; margin: 24px; color: #222; background: #fff; }}\n\
         td, th {{ padding: 2px 14px 2px 0; text-align: left; font-weight: normal; }} th {{ color: #666; }}\n\
         text {{ font: 11px system-ui, sans-serif; fill: #333; }} .legend span {{ margin-right: 18px; white-space: nowrap; }}\n\
         .legend i {{ display: inline-block; width: 12px; height: 12px; margin-right: 6px; vertical-align: -1px; }}\n\
         </style>\n<h1>{title}</h1>\n"
    )
}

/// The page; `spans` are a proof's, in seconds.
pub(crate) fn page(name: &str, plan: &CircuitPlan, map: &CircuitMap, spans: Option<&BTreeMap<String, f64>>) -> String {
    let mut html = head(name);
    facts(&mut html, plan);
    html.push_str(
        "<h2>Where cells lie</h2>\n<p>Columns side by side, rows from top to bottom, by what they are used for; \
                   paler where fewer cells are in use, white where none is.</p>\n",
    );
    legend(&mut html, map);
    layout(&mut html, map);
    html.push_str("<h2>Where the time goes</h2>\n");
    match spans {
        Some(spans) => times(&mut html, spans),
        None => html.push_str("<p>Not measured: give a proof of this model with <code>--proof</code>.</p>\n"),
    }
    html
}

fn facts(html: &mut String, plan: &CircuitPlan) {
    let (cost, shape) = (&plan.cost, &plan.shape);
    let rows = [
        ("rows", format!("2<sup>{}</sup>, {} of the circuit to one of the model", plan.k, shape.height)),
        (
            "columns",
            format!(
                "{} advice, {} fixed, {} in the permutation",
                cost.advice_columns, cost.fixed_columns, cost.permutation_columns
            ),
        ),
        (
            "rows of the model",
            format!("{} of values, {} of weights", count(plan.value_rows as u64), count(plan.weight_rows as u64)),
        ),
        ("weight lanes", shape.weight_lanes.to_string()),
        ("limbs", format!("{} bits", shape.limb_bits)),
        (
            "predicted",
            format!(
                "{:.2} s, {}, {} gas",
                plan.predicted.prove_seconds,
                bytes(plan.predicted.peak_memory_bytes),
                count(plan.predicted.verify_gas)
            ),
        ),
    ];
    html.push_str("<table>\n");
    for (label, value) in rows {
        let _ = writeln!(html, "<tr><th>{label}<td>{value}");
    }
    html.push_str("</table>\n");
}

fn legend(html: &mut String, map: &CircuitMap) {
    let mut used: Vec<Purpose> = map.marks.iter().map(|mark| mark.purpose).collect();
    used.sort();
    used.dedup();
    html.push_str("<p class=\"legend\">");
    for (fill, label) in used.into_iter().map(colour) {
        let _ = write!(html, "<span><i style=\"background:{fill}\"></i>{label}</span>");
    }
    html.push_str("</p>\n");
}

/// Left edge of each column, and the whole width.
fn edges(map: &CircuitMap) -> (Vec<usize>, usize) {
    let mut at = 60;
    let mut edges = Vec::with_capacity(map.columns.len());
    for (i, column) in map.columns.iter().enumerate() {
        if i > 0 && map.columns[i - 1].group != column.group {
            at += GAP;
        }
        edges.push(at);
        at += CELL.0 + 1;
    }
    (edges, at + 40)
}

fn layout(html: &mut String, map: &CircuitMap) {
    let (edges, width) = edges(map);
    let tall = map.bands * CELL.1;
    let _ = writeln!(html, "<svg width=\"{width}\" height=\"{}\" role=\"img\">", HEAD + tall + 20);
    for (column, x) in map.columns.iter().zip(&edges) {
        let all = column.holds.join(", ");
        let short = match column.holds.as_slice() {
            [] => String::new(),
            [one] => one.clone(),
            [first, rest @ ..] => format!("{first} +{}", rest.len()),
        };
        let _ = writeln!(
            html,
            "<rect x=\"{x}\" y=\"{HEAD}\" width=\"{}\" height=\"{tall}\" fill=\"#f4f4f4\"/>\
             <text transform=\"translate({},{}) rotate(-60)\"><title>{}</title>{}</text>",
            CELL.0,
            x + CELL.0 / 2 + 3,
            HEAD - 6,
            escape(&all),
            escape(&short)
        );
    }
    for Mark { column, from, bands, purpose, tenths } in &map.marks {
        let Some(x) = edges.get(*column) else { continue };
        let opacity = 0.15 + 0.085 * f64::from(*tenths);
        let _ = writeln!(
            html,
            "<rect x=\"{x}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"{}\" fill-opacity=\"{opacity:.2}\"/>",
            HEAD + from * CELL.1,
            CELL.0,
            bands * CELL.1,
            colour(*purpose).0
        );
    }
    for quarter in 0..=4usize {
        let row = (quarter << map.k) / 4;
        let _ = writeln!(
            html,
            "<text x=\"54\" y=\"{}\" text-anchor=\"end\">{}</text>",
            HEAD + quarter * tall / 4 + 4,
            count(row as u64)
        );
    }
    html.push_str("</svg>\n");
}

fn times(html: &mut String, spans: &BTreeMap<String, f64>) {
    let known: Vec<(&str, f64)> = SPANS.iter().filter_map(|(key, label)| Some((*label, *spans.get(*key)?))).collect();
    let whole: f64 = known.iter().map(|(_, seconds)| seconds).sum();
    let _ = writeln!(html, "<svg width=\"760\" height=\"{}\" role=\"img\">", 26 * known.len() + 10);
    for (i, (label, seconds)) in known.iter().enumerate() {
        let share = if whole > 0.0 { seconds / whole } else { 0.0 };
        let y = 26 * i + 6;
        let _ = writeln!(
            html,
            "<text x=\"190\" y=\"{}\" text-anchor=\"end\">{label}</text>\
             <rect x=\"200\" y=\"{y}\" width=\"{:.1}\" height=\"18\" fill=\"#4e79a7\"/>\
             <text x=\"{:.1}\" y=\"{}\">{seconds:.2} s, {:.0} %</text>",
            y + 13,
            420.0 * share,
            206.0 + 420.0 * share,
            y + 13,
            100.0 * share
        );
    }
    html.push_str("</svg>\n");
}
