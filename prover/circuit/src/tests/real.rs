//! Real proofs: MockProver's challenges are constants, so only these show that they are drawn late.

use std::collections::BTreeSet;

use halo2_proofs::halo2curves::bn256::Fr;

use super::{
    attack::{claimed, honest},
    graphs, instances,
    network::network,
    plan,
    prove::Keys,
};

#[test]
fn every_operation_has_a_real_proof() {
    for case in graphs::all().into_iter().chain([network()]) {
        let keys = Keys::new(&case.graph, &plan(&case.graph));
        let circuit = honest(&case);
        let mut instances = instances(&case.graph, &circuit, &case.inputs);
        let proof = keys.prove(&circuit, &instances, 2).unwrap();
        keys.verify(&proof, &instances).unwrap_or_else(|error| panic!("{}: {error:?}", case.name));
        for index in 0..instances.len() {
            instances[index] += Fr::one();
            assert!(keys.verify(&proof, &instances).is_err(), "{}: instance {index} changed", case.name);
            instances[index] -= Fr::one();
        }
        instances.push(Fr::zero());
        assert!(keys.verify(&proof, &instances).is_err(), "{}: an instance more", case.name);
        instances.truncate(instances.len() - 2);
        assert!(keys.verify(&proof, &instances).is_err(), "{}: an instance fewer", case.name);
    }
}

#[test]
fn two_proofs_of_one_witness_share_no_advice_commitment() {
    for case in [graphs::convolution(), graphs::all().into_iter().find(|case| case.name == "function").unwrap()] {
        let keys = Keys::new(&case.graph, &plan(&case.graph));
        let circuit = honest(&case);
        let statement = claimed(&circuit);
        let proofs = [4, 5].map(|seed| keys.prove(&circuit, &statement, seed).unwrap());
        let commitments = proofs.each_ref().map(|proof| keys.advice_commitments(proof));
        assert_eq!(commitments[0].len(), circuit.plan.cost.advice_columns);
        let distinct: BTreeSet<_> = commitments.iter().flatten().collect();
        assert_eq!(distinct.len(), 2 * commitments[0].len(), "{}: all differ, within a proof too", case.name);
        for (proof, instances) in proofs.iter().zip([&statement, &statement]) {
            keys.verify(proof, instances).unwrap();
        }
    }
}
