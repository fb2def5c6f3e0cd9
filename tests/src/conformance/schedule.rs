//! Running cases side by side, each for a limited time.

use std::{
    any::Any,
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{
        Arc,
        mpsc::{self, RecvTimeoutError, Sender},
    },
    thread,
    time::{Duration, Instant},
};

use eyre::Result;

use super::{
    case::Case,
    results::Outcome,
    stages::{self, Setups, Watch},
};

/// Stack of a case's thread: graphs that nest deeply are lowered by recursion.
pub(crate) const STACK_BYTES: usize = 256 << 20;

/// How to run cases.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// Where the cases are.
    pub folder: PathBuf,
    /// Cases at a time.
    pub jobs: usize,
    /// What a case may take.
    pub limit: Duration,
    /// Names of the cases that go on to a proof.
    pub proved: Vec<String>,
}

/// What a case's thread sends at its end.
type Ended = (usize, Result<(), String>);

struct Running {
    since: Instant,
    watch: Watch,
}

impl Schedule {
    /// Runs cases in their order and tells of each when it ends. The thread of a case that takes too long is left behind:
    /// it ends with the process.
    ///
    /// # Errors
    /// Where a thread cannot be started, or `ended` fails.
    pub fn run(&self, cases: &[Case], ended: &mut dyn FnMut(Outcome) -> Result<()>) -> Result<()> {
        let (send, receive) = mpsc::channel();
        let setups = Arc::new(Setups::default());
        let mut waiting = cases.iter().enumerate();
        let mut running: BTreeMap<usize, Running> = BTreeMap::new();
        loop {
            while running.len() < self.jobs
                && let Some((index, case)) = waiting.next()
            {
                let watch = Watch::default();
                self.start(index, case, &watch, &setups, &send)?;
                running.insert(index, Running { since: Instant::now(), watch });
            }
            // Started in order, so the first has run longest.
            let Some((oldest, first)) = running.first_key_value() else { return Ok(()) };
            let oldest = *oldest;
            let (index, end) = match receive.recv_timeout(self.limit.saturating_sub(first.since.elapsed())) {
                Ok(message) => message,
                Err(RecvTimeoutError::Timeout) => {
                    (oldest, Err(format!("TIMEOUT: it takes more than {} s", self.limit.as_secs())))
                }
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            };
            // A case that was given up may end later.
            let Some(Running { since, watch }) = running.remove(&index) else { continue };
            let reached = watch.reached();
            let case = &cases[index];
            ended(Outcome {
                name: case.name.clone(),
                op: case.operator.clone(),
                stage: reached.stage,
                pass: end.is_ok(),
                message: end.err().unwrap_or_default(),
                max_rel_error: reached.error.filter(|error| error.is_finite()),
                fixed: reached.fixed,
                k: reached.k,
                gadgets: reached.gadgets,
                seconds: since.elapsed().as_secs_f64(),
            })?;
        }
    }

    fn start(
        &self,
        index: usize,
        case: &Case,
        watch: &Watch,
        setups: &Arc<Setups>,
        send: &Sender<Ended>,
    ) -> Result<()> {
        let folder = self.folder.join(&case.name);
        let setups = self.proved.contains(&case.name).then(|| Arc::clone(setups));
        let (watch, send) = (watch.clone(), send.clone());
        thread::Builder::new().name(case.name.clone()).stack_size(STACK_BYTES).spawn(move || {
            let run = || stages::run(&folder, &watch, setups.as_deref());
            let end = catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|payload| Err(panicked(payload.as_ref())));
            // Nobody listens once the run has ended without this case.
            let _ = send.send((index, end));
        })?;
        Ok(())
    }
}

/// What a panic said.
pub(crate) fn panicked(payload: &(dyn Any + Send)) -> String {
    let said = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    format!("PANIC: {}", said.unwrap_or("without a message"))
}
