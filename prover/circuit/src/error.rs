use thiserror::Error;

/// What can go wrong between an integer graph and its circuit.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CircuitError {
    /// A rounded value left the range that the circuit checks.
    #[error(
        "{node}: value {value} is outside [{lo}, {hi}]; the input is outside the calibrated range, so no proof exists for it"
    )]
    OutOfRange {
        /// Node or tensor.
        node: String,
        /// The value.
        value: i128,
        /// Least provable value.
        lo: i128,
        /// Greatest provable value.
        hi: i128,
    },
    /// Arithmetic left 127 bits.
    #[error("{node}: an intermediate value does not fit 127 bits; lower the exponents of its operands")]
    Overflow {
        /// Node or tensor.
        node: String,
    },
    /// The graph does not hold together.
    #[error("{node}: {what}; the graph file is damaged or was made by another version, compile the model again")]
    Malformed {
        /// Node or tensor.
        node: String,
        /// What is wrong.
        what: String,
    },
    /// The inputs given are not the graph's.
    #[error("input {index}: expected {expected} values, got {got}")]
    InputLength {
        /// Position among the graph's inputs.
        index: usize,
        /// Elements of the tensor.
        expected: usize,
        /// Elements given.
        got: usize,
    },
    /// No supported size holds the circuit.
    #[error("the circuit needs {rows} rows, more than 2^{max_k} hold; use a smaller model or more lanes")]
    TooLarge {
        /// Rows needed.
        rows: usize,
        /// Largest size considered, as a power of two.
        max_k: u32,
    },
    /// The plan was made for another graph.
    #[error("the plan does not fit the graph: {what}; run `vouch compile` again")]
    PlanMismatch {
        /// What differs.
        what: String,
    },
    /// The graph breaks an invariant, or the reference executor refuses the inputs.
    #[error(transparent)]
    Graph(#[from] vouch_graph::GraphError),
    /// The circuit's witness is not the reference executor's trace.
    #[error("output {index} of the circuit is not the reference executor's; report this model")]
    Disagreement {
        /// Position among the graph's outputs.
        index: usize,
    },
    /// A gate reads under a challenge what is committed after the challenge.
    #[error("the constraint system binds nothing: {what}; report this model")]
    PhaseOrder {
        /// The gate and what it reads.
        what: String,
    },
    /// A tensor does not fit its packing.
    #[error(transparent)]
    Packing(#[from] vouch_graph::int::PackingError),
}
