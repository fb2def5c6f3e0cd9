//! From ONNX files to integers: operators on every stage, models, the executor, and what is refused.
#![allow(clippy::disallowed_methods, reason = "the functions of another library are what values are compared with")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, unreachable_pub, missing_docs)]

mod audit;
mod bound;
mod bound_models;
mod executor;
mod fixed_inputs;
mod measured;
mod models;
mod onnx;
mod operators;
mod operators_attention;
mod operators_functions;
mod operators_integers;
mod operators_loss;
mod operators_ml;
mod operators_normalise;
mod operators_positions;
mod operators_rearrange;
mod operators_recurrent;
mod operators_reductions;
mod operators_results;
mod operators_sampling;
mod operators_scatter;
mod operators_windows;
mod reference;
mod rejections;
mod rejections_import;
mod support;
