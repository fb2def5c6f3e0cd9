//! Running files side by side.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Mutex, PoisonError, mpsc},
    thread,
};

use eyre::Result;

use super::{
    form::Form,
    measure::{Failure, Outcome, Watch, measure},
};
use crate::conformance::schedule::{STACK_BYTES, panicked};

/// Measures files, `jobs` at a time, and tells of each when it ends, with the seconds that it took.
///
/// # Errors
/// Where a thread cannot be started, or `ended` fails.
pub fn run(forms: &[Form], jobs: usize, mut ended: impl FnMut(&Form, Outcome, f64) -> Result<()>) -> Result<()> {
    let waiting = Mutex::new(forms.iter().enumerate());
    let (send, receive) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..jobs {
            let (waiting, send) = (&waiting, send.clone());
            thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, move || {
                let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
                while let Some((index, form)) = next() {
                    let start = std::time::Instant::now();
                    let outcome = outcome(form);
                    // Nobody listens once the run has failed.
                    let _ = send.send((index, outcome, start.elapsed().as_secs_f64()));
                }
            })?;
        }
        drop(send);
        receive.iter().try_for_each(|(index, outcome, seconds)| ended(&forms[index], outcome, seconds))
    })
}

fn outcome(form: &Form) -> Outcome {
    let watch = Watch::default();
    let ran = catch_unwind(AssertUnwindSafe(|| measure(form, &watch)));
    match ran.unwrap_or_else(|payload| Err(panicked(payload.as_ref()))) {
        Ok(figures) => Outcome::Figures(Box::new(figures)),
        Err(reason) => Outcome::Failure(Failure { stage: watch.stage(), reason }),
    }
}
