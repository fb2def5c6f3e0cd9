//! What the parts of a proof take on two models of the repository: `script/bench --parts`.
#![allow(clippy::unwrap_used, missing_docs)]

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use halo2_proofs::halo2curves::bn256::Fr;
use rand::rngs::OsRng;
use vouch_circuit::{CircuitPlan, ModelCircuit, PlanOptions, instance_values};
use vouch_graph::{
    calibrate::calibrate,
    data::read_file,
    exec::{execute, quantise_inputs},
    import::{ImportOptions, OnnxModel},
    int::IntGraph,
    quantise::{QuantiseOptions, quantise},
};
use vouch_proof::{
    CircuitDigest, DevelopmentSeed, DirectBackend, Halo2Backend, KeySpec, LogRows, ProofRequest, ProverBackend,
    ProvingKey, Srs, verify,
};

fn folder(model: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/benchmark").join(model)
}

fn compiled(model: &str) -> (IntGraph, Vec<Vec<i64>>) {
    let folder = folder(model);
    let onnx = OnnxModel::open(&folder.join("network.onnx"), &ImportOptions::default()).unwrap();
    let float = onnx.lower().unwrap();
    let samples = read_file(&folder.join("calib.json"), &float.input_specs()).unwrap();
    let ranges = calibrate(&float, &samples).unwrap();
    let graph = quantise(&float, &ranges, &QuantiseOptions::default()).unwrap();
    let inputs = quantise_inputs(&graph, &samples[0]).unwrap();
    (graph, inputs)
}

fn parts(criterion: &mut Criterion) {
    for model in ["digits_mlp", "digits_cnn"] {
        let mut group = criterion.benchmark_group(model);
        group.sample_size(10).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(4));
        group.bench_function("import and quantise", |b| b.iter(|| compiled(model)));
        let (graph, inputs) = compiled(model);
        group.bench_function("plan", |b| b.iter(|| CircuitPlan::choose(&graph, &PlanOptions::default()).unwrap()));
        let plan = Arc::new(CircuitPlan::choose(&graph, &PlanOptions::default()).unwrap());
        group.bench_function("execute", |b| b.iter(|| execute(&graph, &inputs).unwrap()));
        let witness = || ModelCircuit::with_witness(&graph, Arc::clone(&plan), &inputs).unwrap();
        group.bench_function("witness", |b| b.iter(witness));

        let srs = Srs::development(LogRows::new(plan.k).unwrap(), DevelopmentSeed::DEFAULT).unwrap();
        let blank = ModelCircuit::for_keys(&graph, Arc::clone(&plan)).unwrap();
        let spec = KeySpec { circuit: CircuitDigest::NONE, instances: plan.instances };
        let keys = || ProvingKey::generate(&srs, &blank, spec).unwrap();
        group.bench_function("generate keys", |b| b.iter(keys));
        let key = keys();
        let file = tempfile::NamedTempFile::new().unwrap();
        key.save(file.path()).unwrap();
        let shape = &plan.shape;
        group.bench_function("load proving key", |b| {
            b.iter_batched(
                || shape.clone(),
                |shape| ProvingKey::load::<ModelCircuit>(file.path(), CircuitDigest::NONE, shape).unwrap(),
                BatchSize::PerIteration,
            );
        });

        let circuit = witness();
        let instances = instance_values(&graph, Fr::zero(), &inputs, circuit.outputs()).unwrap();
        let request = ProofRequest { circuit: &circuit, key: &key, srs: &srs, instances: &instances };
        let prove = || DirectBackend.create_proof(&request, OsRng).unwrap();
        group.bench_function("create proof", |b| b.iter(prove));
        group.bench_function("create proof, reference", |b| {
            b.iter(|| Halo2Backend.create_proof(&request, OsRng).unwrap());
        });
        let proof = vouch_proof::Proof { bytes: prove().bytes, instances: instances.clone() };
        group.bench_function("verify", |b| b.iter(|| verify(key.verifying(), &proof).unwrap()));
        group.finish();
    }
}

criterion_group!(benches, parts);
criterion_main!(benches);
