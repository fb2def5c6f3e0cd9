//! What happened, for people and for programs.

use std::path::Path;

use eyre::Result;
use serde::Serialize;

/// One rebalance on a verified output.
#[derive(Debug, Clone, Serialize)]
pub struct Rebalance {
    /// Epoch whose window was proven.
    pub epoch: u64,
    /// Weight that the model gave.
    pub target: f64,
    /// Weight of the vault before.
    pub weight_before: f64,
    /// Weight of the vault after.
    pub weight_after: f64,
    /// From the epoch's record to the transaction's block, wall clock.
    pub seconds: f64,
    /// Gas of the transaction.
    pub gas: u64,
}

/// One attack and how it was refused.
#[derive(Debug, Clone, Serialize)]
pub struct Refusal {
    /// What was tried.
    pub attack: String,
    /// Name of the error.
    pub error: String,
}

/// Everything that the demonstration did.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// Name of this format.
    pub format: &'static str,
    /// Version of this format.
    pub version: u32,
    /// The model.
    pub model: String,
    /// Rows of its circuit, as a power of two.
    pub k: u64,
    /// Where the powers of tau came from.
    pub powers_of_tau: String,
    /// Seconds to make keys and verifier.
    pub setup_seconds: f64,
    /// Rebalances, in order.
    pub rebalances: Vec<Rebalance>,
    /// Attacks, in order.
    pub refusals: Vec<Refusal>,
    /// Seconds in all.
    pub seconds: f64,
}

impl Summary {
    /// The summary as a table.
    #[must_use]
    pub fn table(&self) -> String {
        let mut lines = vec![
            format!("{} at 2^{} rows; powers of tau: {}", self.model, self.k, self.powers_of_tau),
            String::new(),
            format!("{:>7} {:>8} {:>8} {:>8} {:>9} {:>9}", "epoch", "target", "before", "after", "seconds", "gas"),
        ];
        for r in &self.rebalances {
            lines.push(format!(
                "{:>7} {:>8.4} {:>8.4} {:>8.4} {:>9.1} {:>9}",
                r.epoch, r.target, r.weight_before, r.weight_after, r.seconds, r.gas
            ));
        }
        lines.push(String::new());
        for refusal in &self.refusals {
            lines.push(format!("  refused: {:<32} {}", refusal.attack, refusal.error));
        }
        lines.push(String::new());
        lines.push(format!("done in {:.0} s", self.seconds));
        lines.join("\n")
    }

    /// Writes the summary as JSON.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        super::tools::write_json(path, &serde_json::to_value(self)?)
    }
}
