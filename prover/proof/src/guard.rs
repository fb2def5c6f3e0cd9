//! The border to halo2, which panics where this crate promises errors.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use halo2_proofs::plonk;

use crate::error::ProofError;

/// Runs `step` and turns a panic into an error.
///
/// What can be checked beforehand is checked beforehand; this is for what only halo2 finds, such as
/// an unknown witness value. Nothing that `step` has touched is used after a panic.
pub(crate) fn guarded<T>(during: &'static str, step: impl FnOnce() -> T) -> Result<T, ProofError> {
    catch_unwind(AssertUnwindSafe(step))
        .map_err(|payload| ProofError::Halo2Panicked { during, problem: message(payload.as_ref()) })
}

/// halo2's errors, which carry no more than a text.
pub(crate) fn halo2(during: &'static str, error: &plonk::Error) -> ProofError {
    ProofError::Halo2 { during, problem: error.to_string() }
}

fn message(payload: &(dyn Any + Send)) -> String {
    payload
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap_or_else(|| "no message".to_owned())
}
