//! What can be wrong, and what to do about it.

use std::io;
use std::path::PathBuf;

use crate::artefact::Kind;
use crate::digest::{CircuitDigest, SrsDigest, VkDigest};
use crate::srs::{LogRows, PointProblem};

/// Why a setup, a key, a proof or a file is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    // Files.
    /// The operating system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The file does not start with the magic of our binary files.
    #[error("{} is not a vouch file; give the file that this tool wrote", path.display())]
    ForeignFile {
        /// The file.
        path: PathBuf,
    },
    /// Written in another version of the format.
    #[error("{} has format version {got}, this build reads version {want}; make it again with this build", path.display())]
    FormatVersion {
        /// The file.
        path: PathBuf,
        /// Version in the file.
        got: u64,
        /// Version that is read here.
        want: u64,
    },
    /// A vouch file, but not of the kind that belongs here.
    #[error("{} holds {got}, where {want} belongs; check which file was given", path.display())]
    ForeignKind {
        /// The file.
        path: PathBuf,
        /// What the file holds.
        got: String,
        /// What belongs here.
        want: Kind,
    },
    /// Shorter or longer than its header says.
    #[error("{} is {have} bytes long, its header asks for {need}; copy or make it again", path.display())]
    FileLength {
        /// The file.
        path: PathBuf,
        /// Length by the header.
        need: u64,
        /// Length of the file.
        have: u64,
    },
    /// The bytes are not those that were written.
    #[error("{} is damaged: its BLAKE3 digest does not match; copy or make it again", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
    },
    /// Made for another circuit.
    #[error("{} was made for circuit {made_for}, not for {wanted}; run the setup for this model again", path.display())]
    OtherCircuit {
        /// The file.
        path: PathBuf,
        /// Circuit in the file.
        made_for: CircuitDigest,
        /// Circuit in use.
        wanted: CircuitDigest,
    },
    /// Made with other powers of tau.
    #[error("{} was made with powers of tau {made_with}, not with {wanted}; use the file that the keys were made with", path.display())]
    OtherSrsFile {
        /// The file.
        path: PathBuf,
        /// Setup in the file.
        made_with: SrsDigest,
        /// Setup in use.
        wanted: SrsDigest,
    },
    /// The digest fits, the content does not make sense.
    #[error("{} cannot be decoded: {problem}; make it again with this build", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// Text that should be hexadecimal is not.
    #[error("{what} is not a valid hexadecimal value: {problem}; expected 0x followed by digits")]
    BadHex {
        /// Which value.
        what: String,
        /// What is wrong.
        problem: String,
    },

    // Powers of tau.
    /// Not snarkjs's format.
    #[error("{} is not a BN254 .ptau file: {problem}; download a prepared file of the ceremony", file.display())]
    NotPtau {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        problem: &'static str,
    },
    /// The setup file is shorter or longer than its size asks for.
    #[error("{} is {have} bytes long where its powers of tau need {need}; download it again", file.display())]
    SrsLength {
        /// The file.
        file: PathBuf,
        /// Bytes that its header asks for.
        need: u64,
        /// Bytes that it has.
        have: u64,
    },
    /// The file's name and its header disagree on the power.
    #[error("{} is named for {named} and holds {holds} powers; download the file again under its own name", file.display())]
    Misnamed {
        /// The file.
        file: PathBuf,
        /// Size by the name.
        named: LogRows,
        /// Size by the header.
        holds: LogRows,
    },
    /// One point is not what it should be.
    #[error("{}: point {index} of the {section} {problem}; download the file again", file.display())]
    BadPoint {
        /// The file.
        file: PathBuf,
        /// Which list of points.
        section: &'static str,
        /// Place in the list.
        index: usize,
        /// What is wrong with it.
        problem: PointProblem,
    },
    /// The zeroth power is not the group's generator.
    #[error("{}: the zeroth power in {group} is not the generator; the file is no powers of tau of BN254", file.display())]
    WrongGenerator {
        /// The file.
        file: PathBuf,
        /// G1 or G2.
        group: &'static str,
    },
    /// A tau that everyone knows.
    #[error("{}: tau is {tau}, which everyone knows; use a ceremony's file", file.display())]
    TrivialTau {
        /// The file.
        file: PathBuf,
        /// 0 or 1.
        tau: u8,
    },
    /// The points are not the powers of one tau.
    #[error("{}: the points in G1 are not the powers of the tau in G2; download the file again", file.display())]
    InconsistentPowers {
        /// The file.
        file: PathBuf,
    },
    /// The Lagrange form does not belong to the powers.
    #[error("{}: the Lagrange form does not match the powers; download the file again", file.display())]
    BadLagrange {
        /// The file.
        file: PathBuf,
    },
    /// On no list of published digests.
    #[error("{} belongs to no ceremony known here (BLAKE2b-512 {blake2b}); whoever made it may be able to forge proofs, so accept it explicitly or use a published file", file.display())]
    UnknownSetup {
        /// The file.
        file: PathBuf,
        /// Digest of the whole file.
        blake2b: String,
    },
    /// A stored setup claims a ceremony that it does not come from.
    #[error("{} claims to come from {claimed}, and its tau is another; import the ceremony's file again", file.display())]
    FalseProvenance {
        /// The file.
        file: PathBuf,
        /// The ceremony that is claimed.
        claimed: String,
    },
    /// Fewer powers than needed.
    #[error("the powers of tau reach {have} rows and {want} are needed; import a larger file")]
    TooFewPowers {
        /// Size of the setup.
        have: LogRows,
        /// Size that is needed.
        want: LogRows,
    },
    /// No domain has so many rows.
    #[error("2^{k} rows are out of range; k must be 1 to 28")]
    RowsOutOfRange {
        /// The k that was asked for.
        k: u32,
    },

    // Circuits and keys.
    /// Something that halo2 offers and these proofs do not use.
    #[error("{what} is not supported; {remedy}")]
    Unsupported {
        /// What was found.
        what: String,
        /// What to do.
        remedy: &'static str,
    },
    /// halo2 would work with another degree than the constraints have.
    #[error(
        "halo2 takes the circuit's degree for {declared} and its constraints have degree {actual}; call set_minimum_degree({actual}) in the circuit's configuration, or use a permutation wide enough to fill a set"
    )]
    DegreeMismatch {
        /// `cs.degree()`.
        declared: usize,
        /// Largest degree over gates and permutation.
        actual: usize,
    },
    /// Openings would reveal more than the blinding rows hide.
    #[error(
        "advice column {column} is opened at {openings} points and blinded with {blinding} scalars only; query fewer rotations"
    )]
    TooLittleBlinding {
        /// The column.
        column: usize,
        /// Points at which a proof opens it.
        openings: usize,
        /// Blinding factors.
        blinding: usize,
    },
    /// Two rotations of one column are the same row of the domain.
    #[error(
        "rotations {first} and {second} of {column} are one row of {k} rows; use fewer distinct rotations or more rows"
    )]
    AliasedRotations {
        /// The column.
        column: String,
        /// One rotation.
        first: i32,
        /// The other.
        second: i32,
        /// Rows.
        k: LogRows,
    },
    /// A cell lies outside the rows that a circuit may use.
    #[error("the circuit assigns row {row} of {column}, and only {usable} of {k} rows are usable; use a larger k")]
    RowOutOfReach {
        /// The column.
        column: String,
        /// The row.
        row: usize,
        /// Usable rows.
        usable: usize,
        /// All rows.
        k: LogRows,
    },
    /// A copy constraint on a column that is not in the permutation.
    #[error("the circuit copies from or to {column}, which is not in the permutation; call enable_equality on it")]
    NotInPermutation {
        /// The column.
        column: String,
    },
    /// The circuit reads an instance word that the statement does not have.
    #[error(
        "the circuit reads instance word {row} and the statement has {instances}; make the keys with the right number of words"
    )]
    InstanceOutOfReach {
        /// The word.
        row: usize,
        /// Words of the statement.
        instances: usize,
    },
    /// The circuit is not the one that the key was made for.
    #[error("the circuit's configuration is not that of the key {vk_digest}; make the keys again with this circuit")]
    CircuitShape {
        /// The key.
        vk_digest: VkDigest,
    },
    /// The key in use and the setup in use do not belong together.
    #[error(
        "the keys were made with powers of tau {made_with}, not with {given}; use the same file, cut to the keys' size"
    )]
    OtherSrs {
        /// Setup of the key.
        made_with: SrsDigest,
        /// Setup that was given.
        given: SrsDigest,
    },

    // Proofs.
    /// A statement with the wrong number of words.
    #[error(
        "the statement has {got} instance words and the key asks for {want}; encode context, inputs and outputs for this model"
    )]
    InstanceCount {
        /// Words given.
        got: usize,
        /// Words of the key.
        want: usize,
    },
    /// A proof of the wrong length.
    #[error(
        "the proof is {got} bytes long and proofs of this key have {want}; it belongs to another model or is cut off"
    )]
    ProofLength {
        /// Bytes given.
        got: usize,
        /// Bytes of the key's proofs.
        want: usize,
    },
    /// A word of the proof is no canonical scalar, coordinate or point.
    #[error("the proof is malformed near byte {offset}: {problem}")]
    ProofEncoding {
        /// Bytes read before the fault was noticed.
        offset: usize,
        /// What is wrong.
        problem: String,
    },
    /// The proof does not hold.
    #[error("the proof does not hold for these instances under the key {vk_digest}; it must not be acted on")]
    ProofRejected {
        /// The key.
        vk_digest: VkDigest,
    },
    /// The circuit leaves a cell without a value.
    #[error(
        "row {row} of advice column {column} has no value within the rows of use; a circuit that computes cells from assigned cells is proved by the reference backend alone"
    )]
    UnknownWitness {
        /// The column.
        column: usize,
        /// The row.
        row: usize,
    },
    /// A proof made here does not verify, so the witness breaks a constraint.
    #[error(
        "the new proof fails its own check under the key {vk_digest}: the witness does not satisfy the circuit; check the input with `vouch check`"
    )]
    SelfVerification {
        /// The key.
        vk_digest: VkDigest,
    },
    /// A proof file names another key.
    #[error("{} was made under the key {made_for}, not {wanted}; use the keys of that model", path.display())]
    OtherKey {
        /// The file.
        path: PathBuf,
        /// Key in the file.
        made_for: VkDigest,
        /// Key in use.
        wanted: VkDigest,
    },
    /// halo2 returned an error.
    #[error("halo2 failed during {during}: {problem}")]
    Halo2 {
        /// The step.
        during: &'static str,
        /// What it said.
        problem: String,
    },
    /// halo2 or the circuit's synthesis panicked; the panic was caught.
    #[error("halo2 gave up during {during}: {problem}; this is a defect in the circuit, please report it")]
    Halo2Panicked {
        /// The step.
        during: &'static str,
        /// What it said.
        problem: String,
    },
}
