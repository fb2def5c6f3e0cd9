//! The whole service: due epochs, a prover, transactions.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use alloy::primitives::I256;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinHandle;
use vouch_graph::int::Packing;

use super::*;
use crate::error::{ProveError, RelayerError};
use crate::prover::{JobProver, ProofJob, ProvedInference};
use crate::service::{Relayer, Stopper};

/// Proves as the market's verifier wants it: the proof is the context.
#[derive(Default)]
pub(super) struct TestProver {
    /// How many proofs fail before one succeeds.
    pub(super) failures: AtomicUsize,
    /// Epochs whose proof never ends.
    pub(super) endless: Vec<u64>,
    /// What is added to the context.
    pub(super) twist: u64,
    pub(super) seen: Arc<Mutex<Vec<ProofJob>>>,
}

impl JobProver for TestProver {
    async fn prove(&self, job: &ProofJob) -> Result<ProvedInference, ProveError> {
        self.seen.lock().unwrap().push(job.clone());
        if self.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
            return Err(ProveError::Failed { status: "signal 9".to_owned(), message: "killed".to_owned() });
        }
        if self.endless.contains(&job.key.epoch) {
            std::future::pending::<()>().await;
        }
        let word = |bytes: &[u8; 32]| U256::from_be_bytes(*bytes);
        let inputs = Packing { bits: 24, per_word: 8 }.pack(&job.inputs).unwrap();
        let outputs = Packing { bits: 16, per_word: 15 }.pack(&[3, -7]).unwrap();
        let context = job.context + U256::from(self.twist);
        let mut instances = vec![context];
        instances.extend(inputs.iter().chain(&outputs).map(word));
        let proof = (context, instances[1]).abi_encode().into();
        Ok(ProvedInference { instances, proof })
    }
}

pub(super) struct Service {
    stopper: Stopper,
    task: JoinHandle<Result<(), RelayerError>>,
    events: UnboundedReceiver<RelayEvent>,
}

impl Service {
    pub(super) async fn start(world: &World, extra: &str, prover: TestProver) -> Self {
        Self::start_with(world, world.config(extra), prover).await
    }

    pub(super) async fn start_with(world: &World, config: RelayerConfig, prover: TestProver) -> Self {
        let (sender, events): (UnboundedSender<_>, _) = unbounded_channel();
        let relayer = Relayer::start(config, world.key(), prover, sender).await.unwrap();
        Self { stopper: relayer.stopper(), task: tokio::spawn(relayer.run()), events }
    }

    /// The first event that fits, with all before it; fails after a time that is long enough.
    pub(super) async fn wait_for(&mut self, fits: impl Fn(&RelayEvent) -> bool) -> RelayEvent {
        let mut seen = Vec::new();
        let end = tokio::time::Instant::now() + Duration::from_secs(60);
        while let Ok(Some(event)) = tokio::time::timeout_at(end, self.events.recv()).await {
            if fits(&event) {
                return event;
            }
            seen.push(event.to_string());
        }
        panic!("the event did not come; those before: {seen:#?}");
    }

    pub(super) async fn finished(&mut self) -> (JobState, Option<String>) {
        match self.wait_for(|event| matches!(event, RelayEvent::Finished { .. })).await {
            RelayEvent::Finished { state, reason, .. } => (state, reason),
            other => panic!("{other:?}"),
        }
    }

    pub(super) async fn stop(mut self) -> Vec<RelayEvent> {
        self.stopper.stop();
        (&mut self.task).await.unwrap().unwrap();
        std::iter::from_fn(|| self.events.try_recv().ok()).collect()
    }
}

#[tokio::test]
async fn a_due_epoch_is_proven_and_submitted_once() {
    let world = World::new().await;
    let prover = TestProver::default();
    let seen = Arc::clone(&prover.seen);
    let mut service = Service::start(&world, "", prover).await;
    assert_eq!(service.finished().await, (JobState::Confirmed, None));
    tokio::time::sleep(Duration::from_millis(2500)).await;
    let told = service.stop().await;
    assert_eq!(told.last(), Some(&RelayEvent::Stopped));
    assert!(!told.iter().any(|event| matches!(event, RelayEvent::Queued { .. })), "{told:?}");
    assert_eq!((world.executed().await, world.nonce().await), (1, 1));
    assert_eq!(world.read(world.gate, lastOutputCall {}).await, I256::try_from(-7).unwrap());
    let seen = seen.lock().unwrap();
    assert_eq!((seen.len(), seen[0].key.epoch, seen[0].inputs.clone()), (1, 20, vec![20i64; 16]));
}

#[tokio::test]
async fn an_epoch_that_ended_is_recorded_then_proven() {
    let world = World::new().await;
    world.set_epochs(20, 21).await;
    let mut service = Service::start(&world, "", TestProver::default()).await;
    service
        .wait_for(|e| matches!(e, RelayEvent::Queued { key, .. } if key.epoch == 21 && key.action == JobAction::Infer))
        .await;
    while service.finished().await.0 != JobState::Confirmed || world.executed().await == 0 {}
    service.stop().await;
    assert_eq!(world.read(world.market, pokesCall {}).await, U256::from(1));
    let journal = Journal::open(&world.config("").store).await.unwrap();
    let confirmed: Vec<_> =
        journal.jobs().await.unwrap().iter().filter(|j| j.state == JobState::Confirmed).map(|j| j.key.action).collect();
    assert!(confirmed.contains(&JobAction::Poke) && confirmed.contains(&JobAction::Infer));
}

#[tokio::test]
async fn a_prover_that_dies_once_is_tried_again_and_one_that_always_dies_fails_the_job() {
    let mut world = World::new().await;
    let once = TestProver { failures: AtomicUsize::new(1), ..TestProver::default() };
    let mut service = Service::start(&world, "", once).await;
    service.wait_for(|e| matches!(e, RelayEvent::ProofFailed { retried: true, .. })).await;
    assert_eq!(service.finished().await, (JobState::Confirmed, None));
    service.stop().await;

    world.new_gate().await;
    let always = TestProver { failures: AtomicUsize::new(usize::MAX), ..TestProver::default() };
    let mut service = Service::start(&world, "", always).await;
    let (state, reason) = service.finished().await;
    assert_eq!((state, reason.as_deref()), (JobState::Failed, Some("the prover failed (signal 9): killed")));
    service.stop().await;
    assert_eq!(world.executed().await, 0);

    let journal = Journal::open(&world.config("").store).await.unwrap();
    let failed = journal.jobs().await.unwrap()[0].id;
    assert_eq!(journal.retry(failed).await.unwrap().state, JobState::Queued);
    drop(journal);
    let once = TestProver { failures: AtomicUsize::new(1), ..TestProver::default() };
    let mut service = Service::start(&world, "", once).await;
    assert_eq!(service.finished().await, (JobState::Confirmed, None), "a retry has all tries again");
    service.stop().await;
}

#[tokio::test]
async fn a_proof_of_another_statement_is_never_sent() {
    let world = World::new().await;
    let mut service = Service::start(&world, "", TestProver { twist: 1, ..TestProver::default() }).await;
    let (state, reason) = service.finished().await;
    assert_eq!(state, JobState::Failed);
    assert!(reason.unwrap().ends_with("its context is another"));
    service.stop().await;
    assert_eq!(world.nonce().await, 0);
}

#[tokio::test]
async fn a_newer_epoch_cancels_the_proof_of_an_older_one() {
    let world = World::new().await;
    let mut service = Service::start(&world, "", TestProver { endless: vec![20], ..TestProver::default() }).await;
    service.wait_for(|e| matches!(e, RelayEvent::Proving { .. })).await;
    world.set_epochs(21, 21).await;
    assert_eq!(service.finished().await, (JobState::Superseded, Some("epoch 21 is due".to_owned())));
    assert_eq!(service.finished().await, (JobState::Confirmed, None));
    service.stop().await;
    assert_eq!((world.executed().await, world.nonce().await), (1, 1));
}

#[tokio::test]
async fn a_stop_while_proving_leaves_the_job_for_the_next_start() {
    let world = World::new().await;
    let mut service = Service::start(&world, "", TestProver { endless: vec![20], ..TestProver::default() }).await;
    service.wait_for(|e| matches!(e, RelayEvent::Proving { .. })).await;
    service.stop().await;
    let journal = Journal::open(&world.config("").store).await.unwrap();
    assert_eq!(journal.jobs().await.unwrap()[0].state, JobState::Queued);
    // As a crash leaves it.
    journal.record(JobId(1), &Step::Prove).await.unwrap();
    drop(journal);
    let mut service = Service::start(&world, "", TestProver::default()).await;
    assert_eq!(service.finished().await, (JobState::Confirmed, None));
    service.stop().await;
    assert_eq!(world.executed().await, 1);
}

#[tokio::test]
async fn a_dry_run_does_everything_but_send() {
    let world = World::new().await;
    let mut service = Service::start(&world, "dry_run = true", TestProver::default()).await;
    service.wait_for(|e| matches!(e, RelayEvent::Waiting { wait: crate::event::Wait::DryRun, .. })).await;
    service.stop().await;
    assert_eq!((world.executed().await, world.nonce().await), (0, 0));
}

#[tokio::test]
async fn a_proof_made_elsewhere_is_submitted_once() {
    let world = World::new().await;
    let (sender, _events) = unbounded_channel();
    let prover = TestProver::default();
    let relayer = Relayer::start(world.config(""), world.key(), TestProver::default(), sender).await.unwrap();
    let (key, inputs, _) = world.statement().await;
    let job = ProofJob { id: JobId(0), key, context: inputs.context, inputs: vec![20; 16] };
    let proved = prover.prove(&job).await.unwrap();
    let first = relayer.submit(20, &proved).await.unwrap();
    let again = relayer.submit(20, &proved).await.unwrap();
    assert_eq!((first.state, first.id), (JobState::Confirmed, again.id));
    assert_eq!((world.executed().await, world.nonce().await), (1, 1));

    let other = ProvedInference { instances: vec![U256::ZERO; 4], ..proved };
    world.set_epochs(21, 21).await;
    assert!(matches!(relayer.submit(21, &other).await, Err(RelayerError::OtherStatement { .. })));
}

#[tokio::test]
async fn a_node_that_is_down_at_the_start_is_waited_for_and_then_named() {
    let world = World::new().await;
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}");
    let store = world.folder.path().join("late.db");
    let start = |wait: u64| {
        let config = config(&[&url], world.gate, &store, &format!("rpc_wait_seconds = {wait}"));
        let (sender, _) = unbounded_channel();
        Relayer::start(config, world.key(), TestProver::default(), sender)
    };
    assert!(matches!(start(1).await.map(drop), Err(RelayerError::RpcUnreachable { tried: 1, .. })));

    let late = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        anvil().port(port).try_spawn().unwrap()
    });
    // The late node has no gate: the start came through to the contracts.
    let error = start(30).await.map(drop).unwrap_err();
    assert!(matches!(error, RelayerError::NoContract { key: "gate", .. }), "{error}");
    drop(late.await.unwrap());
}

#[tokio::test]
async fn a_node_that_goes_away_and_comes_back_is_waited_for() {
    let world = World::new().await;
    let mut service =
        Service::start(&world, "rpc_timeout_seconds = 1", TestProver { endless: vec![20], ..TestProver::default() })
            .await;
    service.wait_for(|e| matches!(e, RelayEvent::Proving { .. })).await;
    let pid = world.anvil.child().id().to_string();
    let signal = |name: &str| std::process::Command::new("kill").args([name, &pid]).status().unwrap();
    signal("-STOP");
    service.wait_for(|e| matches!(e, RelayEvent::Trouble { .. })).await;
    signal("-CONT");
    world.set_epochs(21, 21).await;
    while service.finished().await.0 != JobState::Confirmed {}
    service.stop().await;
    assert_eq!((world.executed().await, world.nonce().await), (1, 1));
}

#[tokio::test]
async fn contracts_that_are_not_there_or_not_the_gates_are_named() {
    let world = World::new().await;
    let start = |gate: Address, extra: &str| {
        let config = config(&[&world.anvil.endpoint()], gate, &world.folder.path().join("x.db"), extra);
        let (sender, _) = unbounded_channel();
        Relayer::start(config, world.key(), TestProver::default(), sender)
    };
    let error = start(Address::repeat_byte(9), "").await.map(drop).unwrap_err().to_string();
    assert!(error.starts_with("there is no contract at 0x0909"), "{error}");
    let error = start(world.market, "").await.map(drop).unwrap_err();
    assert!(!error.is_transient() || matches!(error, RelayerError::Reverted { .. }), "{error}");
    let error = start(world.gate, &format!("ring = \"{}\"", world.gate)).await.map(drop).unwrap_err();
    assert!(matches!(error, RelayerError::ConfigValue { key: "ring", .. }), "{error}");
}
