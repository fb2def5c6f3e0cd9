use std::{fmt::Debug, path::Path};

use serde::Serialize;
use vouch_relayer::RpcUrl;

/// What a command says when it fails: a stable code, what is wrong, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Failure {
    /// Name of the error, for scripts.
    pub(crate) code: String,
    /// What is wrong, and where.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) remedy: String,
}

impl Failure {
    pub(crate) fn new(code: &str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into(), remedy: remedy.into() }
    }

    /// A file that cannot be read or written.
    pub(crate) fn file(path: &Path, error: &std::io::Error) -> Self {
        let message = format!("cannot access {}: {error}", path.display());
        Self::new("file", message, "check the path and its permissions")
    }

    /// A JSON file that cannot be understood.
    pub(crate) fn malformed(path: &Path, problem: &dyn std::fmt::Display) -> Self {
        let message = format!("{} cannot be read: {problem}", path.display());
        Self::new("malformed_file", message, "make it again with this build")
    }

    /// A node that does not answer, without the credentials of its URL.
    pub(crate) fn rpc(url: &RpcUrl, error: &dyn std::error::Error) -> Self {
        let message = format!("{} refused or did not answer: {}", url.label(), url.describe(error));
        Self::new("rpc", message, "check --rpc-url and that the node runs")
    }

    /// The sentence a person reads.
    pub(crate) fn sentence(&self) -> String {
        if self.remedy.is_empty() { self.message.clone() } else { format!("{}; {}", self.message, self.remedy) }
    }

    /// From a library's error: its variant is the code, and its sentence says what is wrong, then,
    /// behind the last semicolon, what to do.
    fn from_error(error: &impl std::error::Error) -> Self {
        let sentence = error.to_string();
        let (message, remedy) = match sentence.rsplit_once("; ") {
            Some((message, remedy)) => (message.to_owned(), remedy.to_owned()),
            None => (sentence, String::new()),
        };
        Self { code: variant(error), message, remedy }
    }
}

/// The name of an error's variant, in snake case.
fn variant(error: &impl Debug) -> String {
    let debug = format!("{error:?}");
    let name: String = debug.chars().take_while(|c| c.is_ascii_alphanumeric()).collect();
    let mut code = String::with_capacity(name.len() + 4);
    for (i, c) in name.chars().enumerate() {
        if c.is_ascii_uppercase() && i > 0 {
            code.push('_');
        }
        code.push(c.to_ascii_lowercase());
    }
    code
}

macro_rules! failure_from {
    ($($error:ty),*) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::from_error(&error)
            }
        })*
    };
}

failure_from!(
    vouch_graph::GraphError,
    vouch_circuit::CircuitError,
    vouch_proof::ProofError,
    vouch_solidity::Error,
    vouch_verifiers::Error,
    vouch_relayer::RelayerError,
    vouch_relayer::ProveError
);
