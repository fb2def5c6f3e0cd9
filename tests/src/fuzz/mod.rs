//! Bad input by the thousand: models and data files, changed at random, through everything that happens to them before
//! a circuit is made.
//!
//! A mutant is a number under a seed, so that any of them can be had again. Children of this process run them one
//! after another, under a limit on their memory; where one panics, dies, or takes too long, the mutant is made smaller
//! and kept in `target/fuzz`. The binary `fuzz` is the command.

mod bytes;
mod corpus;
mod data;
mod minimise;
mod proto;
mod run;
mod supervise;
mod worker;

use std::path::PathBuf;

pub use run::replay;
pub use supervise::{Campaign, Summary};
pub use worker::work;

use crate::root;

/// Processor time that a mutant may take, in seconds.
pub const SECONDS: f64 = 5.0;

/// Address space of a child in KiB: 1 GiB, and what the program itself maps.
pub const ADDRESS_SPACE: u64 = (1 << 20) + (1 << 18);

/// Where mutants that fail are kept.
#[must_use]
pub fn folder() -> PathBuf {
    root().join("target/fuzz")
}

/// What a mutant is a file of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An ONNX model.
    Model,
    /// Input data in JSON.
    Json,
    /// Input data in an archive of numpy's arrays.
    Npz,
}

impl Kind {
    /// Extension of its files.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Self::Model => "onnx",
            Self::Json => "json",
            Self::Npz => "npz",
        }
    }
}

/// A file that was changed at random.
#[derive(Debug, Clone, PartialEq)]
pub struct Mutant {
    /// What it is a file of.
    pub kind: Kind,
    /// The file.
    pub bytes: Vec<u8>,
}
