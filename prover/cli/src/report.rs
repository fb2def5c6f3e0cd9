use std::fmt::Write as _;

use serde_json::{Map, Value, json};

/// What a command has to say: rows for a person, an object for a program.
#[derive(Debug, Default)]
pub(crate) struct Report {
    text: String,
    json: Map<String, Value>,
}

impl Report {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// A line for people.
    pub(crate) fn line(&mut self, line: impl AsRef<str>) -> &mut Self {
        self.text.push_str(line.as_ref());
        self.text.push('\n');
        self
    }

    /// A labelled row for people.
    pub(crate) fn row(&mut self, label: &str, value: impl std::fmt::Display) -> &mut Self {
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "  {label:<22} {value}");
        self
    }

    /// A key for programs.
    pub(crate) fn set(&mut self, key: &str, value: impl serde::Serialize) -> &mut Self {
        self.json.insert(key.to_owned(), json!(value));
        self
    }

    /// Keys of an object, for programs.
    pub(crate) fn extend(&mut self, object: &impl serde::Serialize) -> &mut Self {
        if let Value::Object(object) = json!(object) {
            self.json.extend(object);
        }
        self
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn into_json(self) -> Value {
        Value::Object(self.json)
    }
}

/// Bytes as a person reads them.
pub(crate) fn bytes(n: u64) -> String {
    match n {
        0..10_000 => format!("{n} B"),
        10_000..10_000_000 => format!("{:.0} kB", n as f64 / 1e3),
        10_000_000..10_000_000_000 => format!("{:.0} MB", n as f64 / 1e6),
        _ => format!("{:.1} GB", n as f64 / 1e9),
    }
}

/// Thousands separated.
pub(crate) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// A measured number, with three digits that mean something.
pub(crate) fn figure(x: f64) -> String {
    if x == 0.0 {
        return "0".to_owned();
    }
    let digits = 2 - x.abs().log10().floor() as i32;
    match digits {
        -3..0 => format!("{x:.0}"),
        0..=6 => format!("{x:.*}", digits.unsigned_abs() as usize),
        _ => format!("{x:.2e}"),
    }
}

/// The least figure of three digits that is no less than a positive number.
pub(crate) fn figure_above(x: f64) -> String {
    let step = 10f64.powi(x.log10().floor().max(-300.0) as i32 - 2);
    let figure = |n: f64| figure(n * step);
    let whole = (x / step).floor();
    let not_less = |n: &f64| figure(*n).parse::<f64>().is_ok_and(|shown| shown >= x);
    figure([whole, whole + 1.0].into_iter().find(not_less).unwrap_or(whole + 2.0))
}

#[cfg(test)]
mod tests {
    use super::{figure, figure_above};

    #[test]
    fn what_is_guaranteed_is_rounded_up() {
        let shown = [0.0, 0.012_341, 0.012_34, 0.9999, 1.0, 1234.5].map(figure_above);
        assert_eq!(shown, ["0", "0.0124", "0.0124", "1.00", "1.00", "1240"]);
    }

    #[test]
    fn figures_keep_three_digits() {
        let shown = [0.0, 1234.5, 12.345, 0.012_345, -0.000_123_45, 0.000_012_345, 1.5e9].map(figure);
        assert_eq!(shown, ["0", "1234", "12.3", "0.0123", "-0.000123", "1.23e-5", "1.50e9"]);
    }
}
