//! Proving, behind a trait, and the implementation that runs a child process for each proof.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::str::FromStr;
use std::time::Duration;

use alloy::primitives::{Bytes, U256, hex};
use serde::{Deserialize, Serialize};
use tokio::process::Command;
use vouch_proof::ProofFile;

use crate::config::RelayerConfig;
use crate::error::ProveError;
use crate::journal::{JobId, StatementKey};

/// Most of a failed prover's log that is kept.
const LOG_TAIL: usize = 400;

/// An inference to prove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProofJob {
    /// The job in the journal.
    pub id: JobId,
    /// What it is about.
    pub key: StatementKey,
    /// First instance word.
    pub context: U256,
    /// Integers of the model's input, in order.
    pub inputs: Vec<i64>,
}

/// A proof with its statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvedInference {
    /// Context, input words, output words.
    pub instances: Vec<U256>,
    /// The proof.
    pub proof: Bytes,
}

impl ProvedInference {
    /// The proof in a proof file.
    ///
    /// # Errors
    /// [`ProveError::BadProof`] where a word or the proof is not canonical.
    pub fn from_file(file: &ProofFile) -> Result<Self, ProveError> {
        let bad = |problem: String| ProveError::BadProof { problem };
        let proof = file.proof().map_err(|error| bad(error.to_string()))?;
        let instances = file
            .instances
            .iter()
            .map(|word| U256::from_str(word).map_err(|error| bad(error.to_string())))
            .collect::<Result<_, _>>()?;
        Ok(Self { instances, proof: proof.bytes.into() })
    }
}

/// Something that proves inferences. Dropping the future stops the work.
pub trait JobProver: Send + Sync + 'static {
    /// Proves one inference.
    ///
    /// # Errors
    /// [`ProveError`]; the relayer tries again a configured number of times.
    fn prove(&self, job: &ProofJob) -> impl Future<Output = Result<ProvedInference, ProveError>> + Send;
}

/// Proves in a child process, `vouch prove`, so that a crash or a lack of memory ends one proof and
/// not the relayer, and a timeout or a cancel really stops the work.
#[derive(Debug, Clone)]
pub struct ChildProver {
    command: PathBuf,
    model: PathBuf,
    work: PathBuf,
    timeout: Duration,
    input_exponent: i32,
    /// Variables with secrets, which the child is not given.
    secrets: Vec<String>,
}

#[derive(Serialize)]
struct InputFile<'a> {
    input_data: [&'a [f64]; 1],
}

#[derive(Deserialize)]
struct Failure {
    error: FailureText,
}

#[derive(Deserialize)]
struct FailureText {
    message: String,
}

impl ChildProver {
    /// The prover that a configuration describes. Its files go into a folder beside the journal,
    /// `<store>.work`.
    #[must_use]
    pub fn new(config: &RelayerConfig) -> Self {
        let mut work = config.store.clone().into_os_string();
        work.push(".work");
        Self {
            command: config.prover.command.clone(),
            model: config.model.clone(),
            work: PathBuf::from(work),
            timeout: config.prover.timeout_seconds.duration(),
            input_exponent: config.prover.input_exponent,
            secrets: [&config.signer.env, &config.signer.password_env].into_iter().flatten().cloned().collect(),
        }
    }

    async fn run(&self, job: &ProofJob, input: &Path, output: &Path) -> Result<(), ProveError> {
        let mut command = Command::new(&self.command);
        command
            .arg("prove")
            .arg(&self.model)
            .arg("--input")
            .arg(input)
            .arg("--context")
            .arg(format!("0x{}", hex::encode(job.context.to_be_bytes::<32>())))
            .arg("--out")
            .arg(output)
            .arg("--json")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        for variable in &self.secrets {
            command.env_remove(variable);
        }
        let child = command.spawn().map_err(|source| ProveError::Start {
            action: "start the prover",
            path: self.command.clone(),
            source,
        })?;
        let ended = tokio::time::timeout(self.timeout, child.wait_with_output())
            .await
            .map_err(|_| ProveError::Timeout { seconds: self.timeout.as_secs() })?
            .map_err(|source| ProveError::Start { action: "run", path: self.command.clone(), source })?;
        if ended.status.success() {
            Ok(())
        } else {
            Err(ProveError::Failed { status: ended.status.to_string(), message: words(&ended) })
        }
    }
}

impl JobProver for ChildProver {
    async fn prove(&self, job: &ProofJob) -> Result<ProvedInference, ProveError> {
        let at = |action, path: &Path| {
            let path = path.to_owned();
            move |source| ProveError::Start { action, path, source }
        };
        tokio::fs::create_dir_all(&self.work).await.map_err(at("make the folder", &self.work))?;
        let input = self.work.join(format!("job-{}-input.json", job.id));
        let output = self.work.join(format!("job-{}-proof.json", job.id));
        let scale = f64::from(self.input_exponent).exp2().recip();
        // Values have at most 32 bits, so the conversion is exact.
        #[allow(clippy::cast_precision_loss, reason = "the packing has at most 32 bits a value")]
        let values: Vec<f64> = job.inputs.iter().map(|value| *value as f64 * scale).collect();
        let text = serde_json::to_vec(&InputFile { input_data: [&values] })
            .map_err(|error| at("write", &input)(error.into()))?;
        tokio::fs::write(&input, text).await.map_err(at("write", &input))?;
        self.run(job, &input, &output).await?;
        let file = ProofFile::read(&output).map_err(|error| ProveError::BadProof { problem: error.to_string() })?;
        let proved = ProvedInference::from_file(&file)?;
        // Both can be made again; what is left behind does no harm.
        let _ = tokio::fs::remove_file(&input).await;
        let _ = tokio::fs::remove_file(&output).await;
        Ok(proved)
    }
}

/// The prover's own sentence from its JSON, or the end of its log.
fn words(ended: &Output) -> String {
    if let Ok(failure) = serde_json::from_slice::<Failure>(&ended.stdout) {
        return failure.error.message;
    }
    let log = String::from_utf8_lossy(&ended.stderr);
    let log = log.trim();
    let start = log.len().saturating_sub(LOG_TAIL);
    let start = (start..=log.len()).find(|at| log.is_char_boundary(*at)).unwrap_or(log.len());
    if log.is_empty() { "it wrote nothing".to_owned() } else { log[start..].to_owned() }
}
