//! The service: due epochs become jobs, jobs become proofs, proofs become confirmed transactions.

use std::cmp::Reverse;
use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, Instant};

use alloy::primitives::{Address, Bytes, I256, U256};
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::SolCall;
use tokio::sync::{mpsc::UnboundedSender, watch};
use tokio::task::JoinHandle;
use vouch_graph::int::Packing;

use crate::chain::{Chain, Head};
use crate::config::RelayerConfig;
use crate::contracts::{FeatureRing, InferenceGate, ModelRegistry};
use crate::error::{ProveError, RelayerError};
use crate::event::{RelayEvent, Reporter};
use crate::journal::{Enqueued, JobAction, JobId, JobRecord, JobState, Journal, StatementInputs, StatementKey, Step};
use crate::prover::{JobProver, ProofJob, ProvedInference};
use crate::revert::RevertMeaning;
use crate::transactions::{TransactionManager, is_late};

/// The packing of the feature ring: eight 24-bit ticks to a word.
const RING_PACKING: Packing = Packing { bits: 24, per_word: 8 };
/// Longest pause between two tries while the chain or the journal fails.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The service. It does nothing before [`Relayer::run`].
#[derive(Debug)]
pub struct Relayer<P> {
    config: RelayerConfig,
    chain: Arc<Chain>,
    journal: Arc<Journal>,
    transactions: TransactionManager,
    prover: Arc<P>,
    reporter: Reporter,
    contracts: Contracts,
    stop: watch::Sender<bool>,
    running: Option<RunningProof>,
    /// Whether the last proof was cancelled for a newer epoch; the next one is then let finish, so
    /// that epochs shorter than a proof cannot starve the relayer.
    cancelled_last: bool,
}

/// Stops a [`Relayer`] that runs elsewhere.
#[derive(Debug, Clone)]
pub struct Stopper(watch::Sender<bool>);

impl Stopper {
    /// Asks the relayer to stop: the step that it is taking is finished, a proof in the making is
    /// given up, transactions in flight are left to the next start.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

/// The contracts, as the gate names them.
#[derive(Debug, Clone, Copy)]
struct Contracts {
    gate: Address,
    ring: Address,
    registry: Address,
    /// Epochs in the model's window.
    window: usize,
}

/// What the gate says now.
struct GateView {
    due: Option<u64>,
    last_epoch: u64,
    model_id: U256,
    model_version: u64,
}

#[derive(Debug)]
struct RunningProof {
    job: JobId,
    schema: Schema,
    started: Instant,
    handle: JoinHandle<Result<ProvedInference, ProveError>>,
}

impl Drop for RunningProof {
    fn drop(&mut self) {
        self.handle.abort();
    }
}

/// How the outputs are packed.
#[derive(Debug, Clone, Copy)]
struct Schema {
    count: usize,
    packing: Packing,
}

impl<P: JobProver> Relayer<P> {
    /// Opens the journal, waits for a node and checks that everything is what the configuration
    /// says. Work that a crash interrupted is taken up by [`Relayer::run`].
    ///
    /// # Errors
    /// [`RelayerError::JournalInUse`] and its like, [`RelayerError::OtherSender`] where the journal holds
    /// a nonce of another key, [`RelayerError::RpcUnreachable`] where no node answers in `rpc_wait_seconds`, [`RelayerError::WrongChain`], [`RelayerError::NoContract`],
    /// [`RelayerError::OtherContract`], [`RelayerError::OtherChainsJournal`], [`RelayerError::NoFunds`] where the
    /// key's account is empty and this is no dry run.
    pub async fn start(
        config: RelayerConfig,
        signer: PrivateKeySigner,
        prover: P,
        events: UnboundedSender<RelayEvent>,
    ) -> Result<Self, RelayerError> {
        let journal = Arc::new(Journal::open(&config.store).await?);
        let sender = signer.address();
        own_nonces(&journal, sender).await?;
        let chain = Arc::new(Chain::new(&config, events.clone()));
        let head = chain.wait_for_endpoint(config.rpc_wait_seconds.duration()).await?;
        let balance = chain.balance(sender).await?;
        if balance.is_zero() && !config.dry_run {
            return Err(RelayerError::NoFunds { account: sender, chain_id: config.chain_id });
        }
        let contracts = Contracts::find(&chain, &config).await?;
        journal.bind(config.chain_id, chain.genesis().await?).await?;
        let reporter = Reporter::new(events.clone());
        let transactions = TransactionManager::new(&config, Arc::clone(&chain), Arc::clone(&journal), signer, events);
        reporter.tell(RelayEvent::Started { chain_id: config.chain_id, sender, balance, head: head.number });
        Ok(Self {
            config,
            chain,
            journal,
            transactions,
            prover: Arc::new(prover),
            reporter,
            contracts,
            stop: watch::Sender::new(false),
            running: None,
            cancelled_last: false,
        })
    }

    /// What stops this relayer.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        Stopper(self.stop.clone())
    }

    /// The journal, to look at.
    #[must_use]
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Works until it is stopped. Nodes that fail and a disk that is full are waited for.
    ///
    /// # Errors
    /// Those that waiting does not heal, such as [`RelayerError::WrongChain`].
    pub async fn run(mut self) -> Result<(), RelayerError> {
        let mut stopped = self.stop.subscribe();
        let poll = self.config.poll_seconds.duration();
        let mut pause = Duration::ZERO;
        loop {
            let proof = tokio::select! {
                biased;
                _ = stopped.wait_for(|stop| *stop) => break,
                ended = ended(&mut self.running) => Some(ended),
                () = tokio::time::sleep(pause) => None,
            };
            let outcome = match proof {
                Some(proof) => self.take_proof(proof).await,
                None => Ok(()),
            };
            let outcome = match outcome {
                Ok(()) => self.tick().await,
                failed => failed,
            };
            pause = match outcome {
                Ok(()) => poll,
                Err(error) if error.is_transient() => {
                    self.reporter.tell(RelayEvent::Trouble { problem: error.to_string() });
                    (pause * 2).clamp(poll, LONGEST_PAUSE.max(poll))
                }
                Err(error) => return Err(error),
            };
        }
        if let Some(running) = self.running.take() {
            self.journal.record(running.job, &Step::Requeue { why: "the relayer stopped".to_owned() }).await?;
        }
        self.reporter.tell(RelayEvent::Stopped);
        Ok(())
    }

    /// Submits a proof that was made elsewhere, and sees it confirmed.
    ///
    /// # Errors
    /// [`RelayerError::OtherStatement`] where it is not a proof of the gate's statement for `epoch`;
    /// [`RelayerError::ProofRefused`] where the gate refuses it; the job is then as it was;
    /// [`RelayerError::Reverted`] where the gate has no statement for it; errors that waiting does
    /// not heal.
    pub async fn submit(&self, epoch: u64, proved: &ProvedInference) -> Result<JobRecord, RelayerError> {
        let view = self.view().await?;
        let (mut job, _) = self.enqueue_inference(&view, epoch).await?;
        if matches!(job.state, JobState::Queued | JobState::Proving) {
            let schema = self.schema(&job).await?;
            let calldata = Bytes::from(calldata(&job, schema, proved)?);
            // The statement can still be proven by whoever made no mistake.
            if let Err(revert) = self.transactions.simulate(&job, calldata.clone()).await?
                && revert.meaning() == RevertMeaning::Refused
            {
                return Err(RelayerError::ProofRefused { job: job.id, revert });
            }
            job = self.journal.record(job.id, &Step::Prepare { calldata }).await?;
        }
        self.transactions.run(job.id).await
    }

    async fn tick(&mut self) -> Result<(), RelayerError> {
        let head = self.chain.refresh().await?;
        if self.config.poke {
            self.queue_poke().await?;
        }
        let view = self.view().await?;
        if let Some(epoch) = view.due {
            let (job, enqueued) = self.enqueue_inference(&view, epoch).await?;
            // A proof of the inputs that were.
            if enqueued == Enqueued::Replaced && self.running.as_ref().is_some_and(|running| running.job == job.id) {
                self.running = None;
            }
        }
        self.drop_stale(&view, head).await?;
        self.start_proof().await?;
        let mut jobs = self.journal.open_jobs().await?;
        // What is in flight goes on first, then what needs no proof; of the epochs the newest is worth the most,
        // and ends the others.
        jobs.sort_by_key(|job| (job.nonce.is_none(), job.key.action == JobAction::Infer, Reverse(job.key.epoch)));
        for job in jobs {
            self.transactions.drive(job, head).await?;
        }
        Ok(())
    }

    async fn view(&self) -> Result<GateView, RelayerError> {
        let gate = self.contracts.gate;
        let due = self.chain.query(gate, "dueEpoch", &InferenceGate::dueEpochCall {}).await?;
        // Jobs end by it, so one endpoint alone cannot raise it.
        let acted_on = self.chain.query_all(gate, "lastEpoch", &InferenceGate::lastEpochCall {}).await?;
        let last_epoch = acted_on.into_iter().min().unwrap_or_default();
        let model = self.chain.query(gate, "pinnedModel", &InferenceGate::pinnedModelCall {}).await?;
        Ok(GateView {
            due: due.due.then_some(due.epoch),
            last_epoch,
            model_id: model.modelId,
            model_version: model.version,
        })
    }

    async fn enqueue_inference(&self, view: &GateView, epoch: u64) -> Result<(JobRecord, Enqueued), RelayerError> {
        let call = InferenceGate::statementCall { epoch };
        let statement = self.chain.query(self.contracts.gate, "statement", &call).await?;
        let key = StatementKey {
            chain_id: self.config.chain_id,
            consumer: self.contracts.gate,
            action: JobAction::Infer,
            model_id: view.model_id,
            model_version: view.model_version,
            epoch,
        };
        let inputs = StatementInputs {
            context: statement.statementContext,
            input_words: statement.inputWords,
            nullifier: statement.statementNullifier,
        };
        let deadline = u64::try_from(statement.deadline).unwrap_or(u64::MAX);
        self.enqueue(&key, Some(&inputs), Some(deadline)).await
    }

    /// Makes a job of recording the epochs that ended; it needs no proof.
    async fn queue_poke(&self) -> Result<(), RelayerError> {
        let ring = self.contracts.ring;
        let current = self.chain.query(ring, "currentEpoch", &FeatureRing::currentEpochCall {}).await?;
        let recorded = self.chain.query(ring, "recordedEnd", &FeatureRing::recordedEndCall {}).await?;
        if current <= recorded {
            return Ok(());
        }
        let key = StatementKey {
            chain_id: self.config.chain_id,
            consumer: ring,
            action: JobAction::Poke,
            model_id: U256::ZERO,
            model_version: 0,
            epoch: current,
        };
        let (job, _) = self.enqueue(&key, None, None).await?;
        if job.state == JobState::Queued {
            let calldata = FeatureRing::pokeCall {}.abi_encode().into();
            self.journal.record(job.id, &Step::Prepare { calldata }).await?;
        }
        Ok(())
    }

    async fn enqueue(
        &self,
        key: &StatementKey,
        inputs: Option<&StatementInputs>,
        deadline: Option<u64>,
    ) -> Result<(JobRecord, Enqueued), RelayerError> {
        let (job, enqueued) = self.journal.enqueue(key, inputs, deadline).await?;
        match enqueued {
            Enqueued::New => self.reporter.tell(RelayEvent::Queued { job: job.id, key: key.clone() }),
            Enqueued::Replaced => self.reporter.tell(RelayEvent::InputsChanged { job: job.id }),
            Enqueued::Known => {}
        }
        Ok((job, enqueued))
    }

    /// Ends jobs that are not worth a proof any more, and takes back those whose prover is gone.
    async fn drop_stale(&mut self, view: &GateView, head: Head) -> Result<(), RelayerError> {
        for job in self.journal.open_jobs().await? {
            if job.key.action != JobAction::Infer || !matches!(job.state, JobState::Queued | JobState::Proving) {
                continue;
            }
            let is_running = self.running.as_ref().is_some_and(|running| running.job == job.id);
            let newer = view.due.filter(|due| *due > job.key.epoch);
            let end = if is_late(&job, head) {
                Some((JobState::Expired, "its deadline passed before it was proven".to_owned()))
            } else if job.key.epoch <= view.last_epoch {
                Some((JobState::Superseded, format!("epoch {} was acted on", view.last_epoch)))
            } else if (job.key.model_id, job.key.model_version) != (view.model_id, view.model_version) {
                Some((JobState::Superseded, "the gate follows another model version".to_owned()))
            } else if let Some(newer) = newer
                && (!is_running || !self.cancelled_last)
            {
                self.cancelled_last = is_running;
                Some((JobState::Superseded, format!("epoch {newer} is due")))
            } else {
                None
            };
            if let Some((end, reason)) = end {
                if is_running {
                    self.running = None;
                }
                self.transactions.finish(job.id, end, Some(reason)).await?;
            } else if job.state == JobState::Proving && !is_running {
                let why = "its prover is gone".to_owned();
                self.journal.record(job.id, &Step::Requeue { why }).await?;
            }
        }
        Ok(())
    }

    /// Gives the newest queued job to the prover, where it is free.
    async fn start_proof(&mut self) -> Result<(), RelayerError> {
        if self.running.is_some() {
            return Ok(());
        }
        let open = self.journal.open_jobs().await?;
        let Some((job, inputs)) = open
            .into_iter()
            .filter(|job| job.key.action == JobAction::Infer && job.state == JobState::Queued)
            .filter_map(|job| job.inputs.clone().map(|inputs| (job, inputs)))
            .max_by_key(|(job, _)| job.key.epoch)
        else {
            return Ok(());
        };
        let schema = self.schema(&job).await?;
        let words: Vec<_> = inputs.input_words.iter().map(U256::to_be_bytes::<32>).collect();
        let proof_job = ProofJob {
            id: job.id,
            key: job.key.clone(),
            context: inputs.context,
            inputs: RING_PACKING.unpack(&words, self.contracts.window),
        };
        self.journal.record(job.id, &Step::Prove).await?;
        self.reporter.tell(RelayEvent::Proving { job: job.id });
        let prover = Arc::clone(&self.prover);
        let handle = tokio::spawn(async move { prover.prove(&proof_job).await });
        self.running = Some(RunningProof { job: job.id, schema, started: Instant::now(), handle });
        Ok(())
    }

    async fn take_proof(&mut self, result: Result<ProvedInference, ProveError>) -> Result<(), RelayerError> {
        let Some(running) = self.running.take() else { return Ok(()) };
        let id = running.job;
        match result {
            Ok(proved) => {
                self.cancelled_last = false;
                let job = self.journal.job(id).await?;
                match calldata(&job, running.schema, &proved) {
                    Ok(calldata) => {
                        self.journal.record(id, &Step::Prepare { calldata: calldata.into() }).await?;
                        let seconds = running.started.elapsed().as_secs();
                        self.reporter.tell(RelayEvent::Proved { job: id, seconds });
                    }
                    // The same prover would give the same proof again.
                    Err(error) => {
                        self.transactions.finish(id, JobState::Failed, Some(error.to_string())).await?;
                    }
                }
            }
            Err(error) => {
                let problem = error.to_string();
                let retried = self.journal.proof_attempts(id).await? < self.config.prover.attempts;
                self.reporter.tell(RelayEvent::ProofFailed { job: id, problem: problem.clone(), retried });
                if retried {
                    self.journal.record(id, &Step::Requeue { why: problem }).await?;
                } else {
                    self.transactions.finish(id, JobState::Failed, Some(problem)).await?;
                }
            }
        }
        Ok(())
    }

    async fn schema(&self, job: &JobRecord) -> Result<Schema, RelayerError> {
        let call = ModelRegistry::routeCall { modelId: job.key.model_id, version: job.key.model_version };
        let route = self.chain.query(self.contracts.registry, "route", &call).await?;
        Ok(Schema {
            count: usize::try_from(route.output.count).unwrap_or(usize::MAX),
            packing: Packing { bits: route.output.bits.into(), per_word: route.output.perWord.into() },
        })
    }
}

impl Contracts {
    async fn find(chain: &Chain, config: &RelayerConfig) -> Result<Self, RelayerError> {
        let gate = config.gate;
        let chain_id = config.chain_id;
        if !chain.has_code(gate).await? {
            return Err(RelayerError::NoContract { key: "gate", address: gate, chain_id });
        }
        let named = chain.query(gate, "RING", &InferenceGate::RINGCall {}).await?;
        let ring = config.ring.unwrap_or(named);
        if ring != named {
            return Err(RelayerError::ConfigValue {
                key: "ring",
                problem: format!("it is {ring} where the gate reads {named}"),
                remedy: "leave it out, or correct it or `gate`",
            });
        }
        let registry = chain.query(gate, "REGISTRY", &InferenceGate::REGISTRYCall {}).await?;
        let window = chain.query(gate, "WINDOW_EPOCHS", &InferenceGate::WINDOW_EPOCHSCall {}).await?;
        // The ring holds at most 2,048 epochs; a longer window is not one of its.
        let window = usize::try_from(window)
            .ok()
            .filter(|window| *window <= 2048)
            .ok_or(RelayerError::OtherContract { address: gate, what: "WINDOW_EPOCHS" })?;
        Ok(Self { gate, ring, registry, window })
    }
}

/// Refuses a journal in which a job holds a nonce of another key: this key cannot replace or cancel what that one
/// signed, and would sign at its nonces.
async fn own_nonces(journal: &Journal, sender: Address) -> Result<(), RelayerError> {
    for job in journal.open_jobs().await? {
        if let (Some(nonce), Some(holder)) = (job.nonce, job.sender)
            && holder != sender
        {
            return Err(RelayerError::OtherSender { job: job.id, nonce, holder, sender });
        }
    }
    Ok(())
}

/// The result of the running proof; never, where none runs.
async fn ended(running: &mut Option<RunningProof>) -> Result<ProvedInference, ProveError> {
    match running {
        Some(running) => (&mut running.handle).await.unwrap_or_else(|error| {
            Err(ProveError::Failed { status: "crashed".to_owned(), message: error.to_string() })
        }),
        None => pending().await,
    }
}

/// The transaction's content, where the proof is of the job's statement.
fn calldata(job: &JobRecord, schema: Schema, proved: &ProvedInference) -> Result<Vec<u8>, RelayerError> {
    let other = |problem: String| RelayerError::OtherStatement { job: job.id, problem };
    let Some(inputs) = &job.inputs else {
        return Err(other("the job has no statement".to_owned()));
    };
    if schema.packing.bits == 0 || schema.packing.bits > 32 || schema.packing.per_word == 0 {
        return Err(other(format!("the registry's output schema cannot be unpacked: {:?}", schema.packing)));
    }
    let first_output = 1 + inputs.input_words.len();
    let want = first_output + schema.packing.words(schema.count);
    if proved.instances.len() != want {
        return Err(other(format!("it has {} instance words, the statement {want}", proved.instances.len())));
    }
    if proved.instances[0] != inputs.context {
        return Err(other("its context is another".to_owned()));
    }
    if let Some(at) = inputs.input_words.iter().zip(&proved.instances[1..]).position(|(a, b)| a != b) {
        return Err(other(format!("its input word {at} is not the feature ring's")));
    }
    let words: Vec<_> = proved.instances[first_output..].iter().map(U256::to_be_bytes::<32>).collect();
    let outputs = schema.packing.unpack(&words, schema.count);
    let call = InferenceGate::submitInferenceCall {
        epoch: job.key.epoch,
        outputs: outputs.into_iter().map(|value| I256::try_from(value).unwrap_or(I256::ZERO)).collect(),
        proof: proved.proof.clone(),
    };
    Ok(call.abi_encode())
}
