use clap::Args;
use vouch_circuit::family;

use crate::report::{Report, count};

/// List the shapes of circuits: models of one shape share a verifier.
///
/// The figures are those of one column of private weights, limbs of 8 bits, 1,024 rows and a statement of one word.
#[derive(Debug, Args)]
pub(crate) struct Shapes {}

pub(crate) fn execute() -> Report {
    let shapes = family();
    let mut report = Report::new();
    report.line("| gates | height | advice columns | fixed | in the permutation | proof, bytes | gas |");
    report.line("| --- | ---: | ---: | ---: | ---: | ---: | ---: |");
    for row in &shapes {
        report.line(format!(
            "| {} | {} | {} | {} | {} | {} | {} |",
            row.shape.gates,
            row.shape.height,
            row.cost.advice_columns,
            row.cost.fixed_columns,
            row.cost.permutation_columns,
            count(row.predicted.proof_bytes),
            count(row.predicted.verify_gas),
        ));
    }
    report.set("shapes", shapes);
    report
}
