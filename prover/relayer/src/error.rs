//! What can go wrong, and what to do about it.

use std::io;
use std::path::PathBuf;

use alloy::primitives::{Address, B256};

use crate::journal::{JobId, JobState};
use crate::revert::Revert;

/// Why the relayer stops, waits or refuses.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RelayerError {
    // Configuration.
    /// The file cannot be read.
    #[error("cannot read the configuration {}: {source}; give the path of a relayer.toml", path.display())]
    ConfigFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Not TOML, a key that does not exist, a key that is missing or of the wrong type.
    #[error("{}: {problem}", path.display())]
    ConfigSyntax {
        /// The file.
        path: PathBuf,
        /// What is wrong, with line and key.
        problem: String,
    },
    /// A value that makes no sense.
    #[error("configuration key `{key}`: {problem}; {remedy}")]
    ConfigValue {
        /// The key.
        key: &'static str,
        /// What is wrong.
        problem: String,
        /// What to write.
        remedy: &'static str,
    },
    /// The variable that holds a secret is not set.
    #[error("environment variable {variable}, which `{key}` names, is not set; set it to {holds}")]
    SecretMissing {
        /// The configuration key.
        key: &'static str,
        /// The variable.
        variable: String,
        /// What it should hold.
        holds: &'static str,
    },
    /// The variable does not hold a private key. Its value is not shown.
    #[error("environment variable {variable} does not hold a private key; set it to 64 hexadecimal digits")]
    KeyInvalid {
        /// The variable.
        variable: String,
    },
    /// The keystore cannot be opened.
    #[error("cannot open the keystore {}: {problem}; check the file and its password", path.display())]
    Keystore {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },

    // The chain.
    /// No endpoint answered.
    #[error("none of {tried} RPC endpoints answered {method}, the last said: {last}; check `rpc` and the node")]
    RpcUnreachable {
        /// What was asked.
        method: &'static str,
        /// Endpoints tried.
        tried: usize,
        /// The last problem.
        last: String,
    },
    /// The endpoint serves another chain.
    #[error("{endpoint} serves chain {got} where `chain_id` is {want}; correct one of the two")]
    WrongChain {
        /// The endpoint, without credentials.
        endpoint: String,
        /// Configured.
        want: u64,
        /// Served.
        got: u64,
    },
    /// An endpoint answered with an error.
    #[error("{endpoint} refused {method}: {problem}")]
    Rpc {
        /// The endpoint, without credentials.
        endpoint: String,
        /// What was asked.
        method: &'static str,
        /// What it said.
        problem: String,
    },
    /// A contract reverted.
    #[error("{what} reverted: {revert}")]
    Reverted {
        /// What was called.
        what: &'static str,
        /// How.
        revert: Revert,
    },
    /// The answer cannot be decoded: most likely another contract lives there.
    #[error("{address} does not answer {what} as its interface says; check the address in the configuration")]
    OtherContract {
        /// The contract.
        address: Address,
        /// What was called.
        what: &'static str,
    },
    /// There is no contract.
    #[error(
        "there is no contract at {address}, which `{key}` names, on chain {chain_id}; deploy it or correct the address"
    )]
    NoContract {
        /// The configuration key.
        key: &'static str,
        /// The address.
        address: Address,
        /// The chain.
        chain_id: u64,
    },

    /// The account cannot pay for anything.
    #[error("the key's account {account} owns nothing on chain {chain_id}; send it enough to pay for gas")]
    NoFunds {
        /// The account.
        account: Address,
        /// The chain.
        chain_id: u64,
    },

    // The journal.
    /// The database failed.
    #[error("cannot {action} the journal {}: {source}", path.display())]
    Journal {
        /// The file.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// What the database said.
        source: sqlx::Error,
    },
    /// The database is not a journal of this version.
    #[error("{} is not a journal that this build can use: {problem}; give another `store`", path.display())]
    ForeignJournal {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The file that guards the journal cannot be made.
    #[error("cannot open {}: {source}", path.display())]
    LockFile {
        /// The lock file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another relayer works on the journal.
    #[error("another relayer is using the journal {}; stop it or give another `store`", path.display())]
    JournalInUse {
        /// The journal.
        path: PathBuf,
    },
    /// The journal was written on another chain with the same id.
    #[error(
        "the journal {} belongs to chain {journal_chain} with genesis block {journal_genesis}, \
         the node serves chain {chain} with genesis block {genesis}; give another `store`",
        path.display()
    )]
    OtherChainsJournal {
        /// The journal.
        path: PathBuf,
        /// Chain of the journal.
        journal_chain: u64,
        /// Genesis block of the journal's chain.
        journal_genesis: B256,
        /// Chain of the node.
        chain: u64,
        /// Genesis block of the node's chain.
        genesis: B256,
    },
    /// A row does not decode.
    #[error("the journal's {what} of job {job} is damaged; restore the file from a backup or give another `store`")]
    JournalDamaged {
        /// The job.
        job: JobId,
        /// Which column.
        what: &'static str,
    },
    /// There is no such job.
    #[error("the journal has no job {job}; `vouch jobs list` shows those it has")]
    NoSuchJob {
        /// The job.
        job: JobId,
    },
    /// A job cannot go from where it is to there.
    #[error("job {job} is {from}, from which it cannot become {to}")]
    IllegalStep {
        /// The job.
        job: JobId,
        /// Where it is.
        from: JobState,
        /// Where it should go.
        to: JobState,
    },

    // Proofs and signatures.
    /// The proof is of another statement than the job's.
    #[error("the proof is not of job {job}'s statement: {problem}")]
    OtherStatement {
        /// The job.
        job: JobId,
        /// What differs.
        problem: String,
    },
    /// The gate refuses a proof that was made elsewhere.
    #[error(
        "the gate refuses this proof for job {job}, it reverts with {revert}; the job is still open, \
         prove its statement again"
    )]
    ProofRefused {
        /// The job.
        job: JobId,
        /// How the call reverts.
        revert: Revert,
    },
    /// A job holds a nonce of another key.
    #[error(
        "job {job} holds nonce {nonce} of {holder} where the configured key is that of {sender}; \
         start with the first key until the job has ended"
    )]
    OtherSender {
        /// The job.
        job: JobId,
        /// Its nonce.
        nonce: u64,
        /// Whose nonce.
        holder: Address,
        /// The configured key's account.
        sender: Address,
    },
    /// The signer failed.
    #[error("cannot sign a transaction of job {job}: {problem}")]
    Signing {
        /// The job.
        job: JobId,
        /// What the signer said.
        problem: String,
    },
}

impl RelayerError {
    /// Whether the same step may succeed later with nothing changed here: the node or the disk may
    /// come back, a contract may be unpaused.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::RpcUnreachable { .. } | Self::Rpc { .. } | Self::Reverted { .. } | Self::Journal { .. })
    }
}

/// Why there is no proof.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProveError {
    /// A file for the prover cannot be written, or the command cannot be started.
    #[error("cannot {action} {}: {source}", path.display())]
    Start {
        /// What was tried.
        action: &'static str,
        /// File or command.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It took too long and was killed.
    #[error("the prover was killed after {seconds} s; raise `prover.timeout_seconds` or use a faster machine")]
    Timeout {
        /// Seconds it was given.
        seconds: u64,
    },
    /// It ended without success.
    #[error("the prover failed ({status}): {message}")]
    Failed {
        /// How it ended.
        status: String,
        /// Its own words, or the end of its log.
        message: String,
    },
    /// It said that it succeeded, but its proof file is unusable.
    #[error("the prover's proof file is unusable: {problem}")]
    BadProof {
        /// What is wrong.
        problem: String,
    },
}
