//! What can go wrong when a compiled verifier is looked up or made.

/// Why there is no verifier.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The archive of compiled verifiers does not hold what its index says.
    #[error("the archive of compiled verifiers is damaged at {at}: {reason}; build the program again")]
    Archive {
        /// The shape, or the part of the archive.
        at: String,
        /// What is wrong.
        reason: String,
    },
    /// The generator refused.
    #[error(transparent)]
    Solidity(#[from] vouch_solidity::Error),
}

/// Result with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;
