//! One file a subcommand.

mod audit;
mod audit_deployment;
mod bench;
mod check;
mod compile;
mod deploy;
mod doctor;
mod inspect;
mod jobs;
mod prove;
mod relay;
mod setup;
mod shapes;
mod srs;
mod submit;
mod verify;
mod verify_source;

use clap::Subcommand;

pub(crate) use compile::guarantee;
pub(crate) use doctor::solc_path;

use crate::{failure::Failure, report::Report};

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Quantise an ONNX model and plan its circuit.
    Compile(compile::Compile),
    /// Compile, run one input through the reference executor and the constraints, without keys.
    Check(check::Check),
    /// Find inputs on which the quantised model and its float model disagree.
    Audit(audit::Audit),
    /// Make the keys and the Solidity verifier of a compiled model.
    Setup(setup::Setup),
    /// Prove one inference.
    Prove(prove::Prove),
    /// Verify a proof, natively or in an in-process EVM.
    Verify(verify::Verify),
    /// Powers of tau.
    #[command(subcommand)]
    Srs(srs::SrsCommand),
    /// Say what a file is, what made it, and its digests.
    Inspect(inspect::Inspect),
    /// Deploy a model's verifier and register the model.
    Deploy(deploy::Deploy),
    /// Check a deployment from the ONNX file to the code on the chain.
    AuditDeployment(audit_deployment::AuditDeployment),
    /// Compile a model's Solidity source again and compare the code.
    VerifySource(verify_source::VerifySource),
    /// Submit one proof to a gate and see it confirmed.
    Submit(submit::Submit),
    /// Watch a chain, prove and submit.
    Relay(relay::Relay),
    /// Look at a relayer's journal, also while it works.
    #[command(subcommand)]
    Jobs(jobs::Jobs),
    /// Measure models: size, time, memory, proof, gas and error.
    Bench(bench::Bench),
    /// List the shapes of circuits: models of one shape share a verifier.
    Shapes(shapes::Shapes),
    /// Say what is installed, what is missing and how to get it.
    Doctor(doctor::Doctor),
}

impl Command {
    pub(crate) fn execute(self) -> Result<Report, Failure> {
        match self {
            Self::Compile(command) => command.execute(),
            Self::Check(command) => command.execute(),
            Self::Audit(command) => command.execute(),
            Self::Setup(command) => command.execute(),
            Self::Prove(command) => command.execute(),
            Self::Verify(command) => command.execute(),
            Self::Srs(command) => command.execute(),
            Self::Inspect(command) => command.execute(),
            Self::Deploy(command) => command.execute(),
            Self::AuditDeployment(command) => command.execute(),
            Self::VerifySource(command) => command.execute(),
            Self::Submit(command) => command.execute(),
            Self::Relay(command) => command.execute(),
            Self::Jobs(command) => command.execute(),
            Self::Bench(command) => command.execute(),
            Self::Shapes(_) => Ok(shapes::execute()),
            Self::Doctor(command) => command.execute(),
        }
    }
}
