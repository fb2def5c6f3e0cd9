//! ONNX to a quantised integer graph, with the reference executor.
//!
//! Stages are types: an [`import::OnnxModel`] becomes a [`float::FloatGraph`] (run by tract, the
//! reference for accuracy), calibration and quantisation turn that into an [`int::IntGraph`], and
//! [`exec::execute`] runs the integer graph. The executor is the specification: the circuit
//! accepts exactly the traces that it produces.

pub mod audit;
pub mod bound;
pub mod calibrate;
pub mod data;
mod error;
pub mod exec;
pub mod float;
pub mod import;
pub mod int;
mod onnx;
pub mod quantise;
pub mod report;

pub use error::GraphError;
