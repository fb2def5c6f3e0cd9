use super::{check, graphs, instances, network::network, plan};
use crate::ModelCircuit;

#[test]
fn every_operation_accepts_the_honest_witness() {
    for case in graphs::all().into_iter().chain([network()]) {
        let plan = plan(&case.graph);
        let circuit = ModelCircuit::with_witness(&case.graph, plan, &case.inputs)
            .unwrap_or_else(|error| panic!("{}: {error}", case.name));
        let instances = instances(&case.graph, &circuit, &case.inputs);
        check(&circuit, instances).unwrap_or_else(|failures| panic!("{}: {failures:?}", case.name));
    }
}

#[test]
fn every_operation_gives_the_reference_executors_outputs() {
    for case in graphs::all().into_iter().chain([network()]) {
        let circuit = ModelCircuit::with_witness(&case.graph, plan(&case.graph), &case.inputs).unwrap();
        let trace = vouch_graph::exec::execute(&case.graph, &case.inputs).unwrap();
        let expected: Vec<_> = case.graph.outputs.iter().map(|port| trace.tensors[port.tensor.0].clone()).collect();
        assert_eq!(circuit.outputs(), expected, "{}", case.name);
    }
}
