//! What can go wrong when a verifier is generated, compiled or run.

use std::path::PathBuf;

use crate::codec::CodecError;

/// Why a verifier could not be generated, compiled or run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The constraint system does not have exactly one instance column.
    #[error(
        "the circuit has {got} instance columns, the verifier supports exactly one; \
         put all public values into one column"
    )]
    InstanceColumns {
        /// Number of instance columns of the constraint system.
        got: usize,
    },
    /// A gate or a lookup contains a virtual selector.
    #[error(
        "gate `{gate}` still contains virtual selector {selector}; pass a key made by `keygen_vk`, \
         which turns selectors into fixed columns"
    )]
    VirtualSelector {
        /// Name of the gate, or of the lookup.
        gate: String,
        /// Index of the selector.
        selector: usize,
    },
    /// A gate or a lookup queries a cell that the constraint system did not register.
    #[error("gate `{gate}` reads {kind} column {column} at rotation {rotation}, which the key never queries")]
    UnregisteredQuery {
        /// Name of the gate, or of the argument.
        gate: String,
        /// `advice`, `fixed` or `instance`.
        kind: &'static str,
        /// Index of the column.
        column: usize,
        /// Rotation of the query.
        rotation: i32,
    },
    /// A committed advice column is opened nowhere, so nothing would check its commitment.
    #[error("advice column {column} is queried by no gate and not part of the permutation; remove it")]
    AdviceNeverQueried {
        /// Index of the column.
        column: usize,
    },
    /// Two rotations of one key name the same row.
    #[error(
        "rotations {first} and {second} name the same row of a circuit with {rows} rows; \
         use one of them, or more rows"
    )]
    RotationsCoincide {
        /// The rotation that appears first.
        first: i32,
        /// The rotation congruent to it.
        second: i32,
        /// Number of rows of the domain.
        rows: u64,
    },
    /// The degree that the key was made for is not the degree that its gates and lookups need.
    #[error(
        "the key was made for constraints of degree {key}, but its gates and lookups need {gates} and its \
         constraint system says {system}; call `set_minimum_degree({gates})` in `configure` and \
         make the keys again"
    )]
    DegreeMismatch {
        /// Degree that follows from the key's domain.
        key: usize,
        /// Highest degree over all gates, the permutation argument and the lookups.
        gates: usize,
        /// Degree that the constraint system reports.
        system: usize,
    },
    /// The commitments in the key do not fit its constraint system.
    #[error("the key has {got} {kind} commitments, its constraint system needs {want}")]
    CommitmentCount {
        /// `fixed` or `permutation`.
        kind: &'static str,
        /// Number of commitments present.
        got: usize,
        /// Number of commitments needed.
        want: usize,
    },
    /// More instances than usable rows.
    #[error("{got} instances do not fit the {usable} usable rows of the circuit; pack them or use more rows")]
    TooManyInstances {
        /// Number of instances asked for.
        got: usize,
        /// Number of rows that instances may occupy.
        usable: usize,
    },
    /// The digest of the verifying key is not a reduced scalar.
    #[error("the verifying-key digest 0x{digest} is not below the scalar modulus; reduce it first")]
    DigestNotCanonical {
        /// The digest, hexadecimal, big-endian.
        digest: String,
    },
    /// The trapdoor commitment of the powers of tau is degenerate.
    #[error("s*G2 is the {what}; the powers of tau are worthless, use others")]
    DegenerateSrs {
        /// `identity` or `generator`.
        what: &'static str,
    },
    /// The contract name is not an identifier.
    #[error("`{name}` is not a Solidity identifier (letters, digits, `_`, not starting with a digit)")]
    ContractName {
        /// The name that was asked for.
        name: String,
    },
    /// A public port cannot be part of a statement.
    #[error("port `{port}` cannot be part of a statement: {reason}")]
    Port {
        /// The port's name.
        port: String,
        /// Why not, and what to do.
        reason: String,
    },
    /// A description of a statement cannot be read.
    #[error("the description of the statement cannot be used: {reason}; make it again with this build")]
    Layout {
        /// What is wrong with it.
        reason: String,
    },
    /// Instances have no reading, or values no instances.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The contract template could not be filled in.
    #[error("the contract template could not be rendered: {0}")]
    Template(#[from] askama::Error),
    /// There is no compiler at the given path.
    #[error(
        "no Solidity compiler at {}; run `npm ci` and use script/solc, or give the path of a solc",
        path.display()
    )]
    SolcMissing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The compiler could not be run, or its answer could not be read.
    #[error("the Solidity compiler {} failed: {reason}", path.display())]
    Solc {
        /// The compiler.
        path: PathBuf,
        /// What it said.
        reason: String,
    },
    /// The compiler refused the source.
    #[error("the source does not compile: {}", messages.join("; "))]
    Compile {
        /// The compiler's errors.
        messages: Vec<String>,
    },
    /// The source holds no contract, or several.
    #[error("the source must hold exactly one deployable contract, it holds {found}")]
    ContractCount {
        /// Number of deployable contracts found.
        found: usize,
    },
    /// The contract is larger than EIP-170 allows.
    #[error("the verifier's runtime code has {bytes} bytes, over the limit of 24576; use fewer columns or gates")]
    CodeTooLarge {
        /// Size of the runtime code.
        bytes: usize,
    },
    /// Deployment in the in-process EVM did not succeed.
    #[error("the verifier could not be deployed in the in-process EVM: {reason}")]
    Deployment {
        /// What the EVM said.
        reason: String,
    },
    /// The in-process EVM refused a transaction before running it.
    #[error("the in-process EVM refused the transaction: {reason}")]
    Transaction {
        /// What the EVM said.
        reason: String,
    },
}

/// Result with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;
