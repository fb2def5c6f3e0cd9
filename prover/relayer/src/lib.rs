//! Watches a chain, proves, submits, and sees each transaction confirmed, exactly once, whatever
//! fails in between.
//!
//! `trigger -> job -> proof -> simulate -> sign -> broadcast -> mined -> confirmed`
//!
//! | module | what it does |
//! | --- | --- |
//! | [`config`] | the configuration file, the key |
//! | [`journal`] | what every job has done and is about to do, in one SQLite file |
//! | [`contracts`] | functions, events and errors of the contracts |
//! | `chain` | the chain behind one or several RPC endpoints |
//! | `prover` | proving, in a child process for each proof |
//! | `transactions` | nonces, fees, replacement, cancellation, confirmation |
//! | `service` | due epochs become jobs, jobs become proofs and transactions |
//!
//! A job's identity is its statement, so a trigger that is seen twice makes one job. Each step is
//! in the journal before it is taken; [`Relayer::start`] after a crash goes on from there.

mod chain;
pub mod config;
pub mod contracts;
mod error;
mod event;
pub mod journal;
mod prover;
mod revert;
mod service;
mod transactions;

pub use chain::{Chain, Head};
pub use config::{RelayerConfig, RpcUrl, is_development_chain};
pub use error::{ProveError, RelayerError};
pub use event::{RelayEvent, Wait};
pub use journal::Journal;
pub use prover::{ChildProver, JobProver, ProofJob, ProvedInference};
pub use revert::{Revert, RevertMeaning};
pub use service::{Relayer, Stopper};
pub use transactions::{Progress, TransactionManager};

#[cfg(test)]
mod tests;
