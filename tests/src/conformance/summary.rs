//! Outcomes in figures.

use std::{
    cmp::Reverse,
    collections::BTreeMap,
    iter::{Peekable, from_fn, once},
    str::Chars,
};

use super::{results::Outcome, stages::Fixed};

/// Cases of an operator, or of all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Cases.
    pub cases: usize,
    /// Cases that pass with every input live.
    pub live: usize,
    /// Cases that pass with integer or boolean inputs fixed, and no others.
    pub fixed: usize,
    /// Cases that pass with floating-point inputs fixed.
    pub fixed_real: usize,
}

impl Tally {
    /// Takes in a case; `fixed` where it passes.
    pub fn add(&mut self, fixed: Option<&Fixed>) {
        self.cases += 1;
        let Some(fixed) = fixed else { return };
        let kind = match (fixed.is_empty(), fixed.real.is_empty()) {
            (true, _) => &mut self.live,
            (_, true) => &mut self.fixed,
            _ => &mut self.fixed_real,
        };
        *kind += 1;
    }

    /// Cases that pass.
    #[must_use]
    pub fn passed(self) -> usize {
        self.live + self.fixed + self.fixed_real
    }
}

/// A message without the names and numbers of its case, and without the advice behind a semicolon.
#[must_use]
pub fn reason(message: &str) -> String {
    let first = message.lines().next().unwrap_or_default();
    let first = first.split_once("; ").map_or(first, |(first, _)| first);
    let mut out = String::new();
    for (i, part) in first.split('`').enumerate() {
        if i % 2 == 1 {
            out.push_str("`…`");
        } else {
            without_numbers(part, &mut out);
        }
    }
    let out = out.trim_start_matches("node `…` ");
    out.strip_prefix('(').map_or_else(|| out.to_owned(), |out| out.replacen(')', "", 1))
}

/// Appends a text with N for each number; digits within words stay.
fn without_numbers(text: &str, out: &mut String) {
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        if c.is_alphanumeric() && !c.is_ascii_digit() {
            out.push(c);
            out.push_str(&taken(&mut rest, char::is_alphanumeric));
        } else if c.is_ascii_digit() {
            taken(&mut rest, |c| c.is_alphanumeric() || c == '.');
            out.push('N');
        } else {
            out.push(c);
        }
    }
}

/// Takes characters while they are of a kind.
fn taken(rest: &mut Peekable<Chars<'_>>, kind: fn(char) -> bool) -> String {
    from_fn(|| rest.next_if(|c| kind(*c))).collect()
}

/// How often each reason occurs, the most frequent first.
#[must_use]
pub fn counted(reasons: impl Iterator<Item = String>) -> Vec<(String, usize)> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for reason in reasons {
        *counts.entry(reason).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| Reverse(*count));
    counts
}

/// Outcomes as a table by operator, then the reasons of those that fail, then the sum.
#[must_use]
pub fn table(outcomes: &[Outcome]) -> String {
    let mut operators: BTreeMap<&str, Tally> = BTreeMap::new();
    let mut all = Tally::default();
    for outcome in outcomes {
        let fixed = outcome.pass.then_some(&outcome.fixed);
        operators.entry(&outcome.op).or_default().add(fixed);
        all.add(fixed);
    }
    let failed = outcomes.iter().filter(|outcome| !outcome.pass);
    let reasons = counted(failed.map(|outcome| format!("{}: {}", outcome.stage, reason(&outcome.message))));
    let heading = format!("{:28} {:>5} {:>5} {:>5}", "operator", "cases", "pass", "fixed");
    let row = |(operator, t): (&&str, &Tally)| {
        format!("{operator:28} {:>5} {:>5} {:>5}", t.cases, t.passed(), t.fixed + t.fixed_real)
    };
    let lines = once(heading)
        .chain(operators.iter().map(row))
        .chain(once(String::new()))
        .chain(reasons.iter().map(|(reason, count)| format!("{count:5}  {reason}")))
        .chain(once(String::new()))
        .chain(once(sum(all)));
    lines.collect::<Vec<_>>().join("\n")
}

/// One line for all cases.
fn sum(all: Tally) -> String {
    let Tally { cases, live, fixed, fixed_real } = all;
    format!(
        "{} of {cases} cases pass: {live} with every input live, {fixed} with integer inputs fixed, {fixed_real} with \
         floating-point inputs fixed",
        all.passed()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_keep_what_cases_share() {
        let unsupported = "node `y` uses the operator GatherND, which is not supported; replace it";
        assert_eq!(reason(unsupported), "uses the operator GatherND, which is not supported");
        assert_eq!(reason("node `z` (Pad): its mode is `edge`; use 2"), "Pad: its mode is `…`");
        assert_eq!(
            reason("output 0: 3 of 60 are off, by 1.2e-5 at conv2d"),
            "output N: N of N are off, by N-N at conv2d"
        );
        assert_eq!(reason("first\nsecond"), "first");
    }

    #[test]
    fn a_case_counts_as_live_or_as_fixed() {
        let fixed = |whole: &[&str], real: &[&str]| Fixed {
            whole: whole.iter().map(|name| (*name).to_owned()).collect(),
            real: real.iter().map(|name| (*name).to_owned()).collect(),
        };
        let mut tally = Tally::default();
        for fixed in [fixed(&[], &[]), fixed(&["axes"], &[]), fixed(&["sizes"], &["roi"])] {
            tally.add(Some(&fixed));
        }
        tally.add(None);
        assert_eq!(tally, Tally { cases: 4, live: 1, fixed: 1, fixed_real: 1 });
    }
}
