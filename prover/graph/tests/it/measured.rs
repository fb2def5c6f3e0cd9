//! Exponents chosen by measured error, against those chosen by estimate alone.

use std::path::{Path, PathBuf};

use vouch_graph::{
    calibrate::calibrate,
    data::{Sample, read_file},
    float::FloatGraph,
    import::{ImportOptions, OnnxModel},
    int::IntGraph,
    quantise::{QuantiseOptions, Target, quantise, quantise_measured, quantise_within},
    report::report,
};

/// Root mean square of the outputs' errors.
fn error(float: &FloatGraph, int: &IntGraph, samples: &[Sample]) -> (usize, f64) {
    let report = report(float, int, samples).unwrap();
    (report.refused, report.outputs.iter().map(|o| o.rms).fold(0.0, f64::max))
}

/// Errors by estimate and by measurement, on held-back data.
fn both(folder: &Path, model: &str, calibration: &str) -> [(usize, f64); 2] {
    let float = OnnxModel::open(&folder.join(model), &ImportOptions::default()).unwrap().lower().unwrap();
    let specs = float.input_specs();
    let samples = read_file(&folder.join(calibration), &specs).unwrap();
    let tests = read_file(&folder.join("test.npz"), &specs).unwrap();
    let ranges = calibrate(&float, &samples).unwrap();
    let options = QuantiseOptions::default();
    let estimated = quantise(&float, &ranges, &options).unwrap();
    let measured = quantise_measured(&float, &ranges, &options, &samples).unwrap().0;
    assert_eq!(measured, quantise_measured(&float, &ranges, &options, &samples).unwrap().0, "the choice is no chance");
    [error(&float, &estimated, &tests), error(&float, &measured, &tests)]
}

#[test]
fn measuring_does_not_make_trained_models_worse() {
    let models = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../models");
    let mut gains = Vec::new();
    for name in ["mlp_small", "digits_mlp", "digits_cnn"] {
        gains.push((name, both(&models.join("benchmark").join(name), "network.onnx", "calib.json")));
    }
    for name in ["mlp_torch", "lstm_forecaster", "transformer_encoder"] {
        gains.push((name, both(&models.join("real").join(name), "model.onnx", "calibration.npz")));
    }
    for (name, [(refused, estimated), (without, measured)]) in &gains {
        eprintln!("{name}: {estimated:.3e} by estimate, {measured:.3e} measured: {:.3}", measured / estimated);
        assert!(without <= refused, "{name}: {without} samples have no proof, {refused} had none before");
        // Chosen on calibration data, tried on others.
        assert!(*measured <= 1.05 * estimated, "{name}: {measured} measured, {estimated} by estimate");
    }
    let mean = gains.iter().map(|(_, [(_, e), (_, m)])| (m / e).ln()).sum::<f64>() / gains.len() as f64;
    assert!(mean < 0.0, "nothing is gained: a factor of {} on average", mean.exp());
}

#[test]
fn inputs_are_as_narrow_as_a_target_allows() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../models/benchmark/mlp_small");
    let float = OnnxModel::open(&folder.join("network.onnx"), &ImportOptions::default()).unwrap().lower().unwrap();
    let samples = read_file(&folder.join("calib.json"), &float.input_specs()).unwrap();
    let ranges = calibrate(&float, &samples).unwrap();
    let options = QuantiseOptions::default();
    let within = |max_error: Option<f64>, min_agreement: Option<f64>| {
        let target = Target { max_error, min_agreement };
        let int = quantise_within(&float, &ranges, &options, (&samples, &target)).unwrap().0;
        let error = report(&float, &int, &samples).unwrap().max_abs_error;
        (int.inputs[0].packing.bits, error)
    };
    let (mut last, widest) = within(Some(1e9), None);
    assert_eq!(last, 8);
    for share in [0.5, 0.1, 0.02] {
        let limit = share * widest;
        let (bits, error) = within(Some(limit), None);
        assert!(error <= limit, "{bits} bits, an error of {error} where {limit} is the limit");
        assert!(bits > last && bits < 16, "{bits} bits for {share}, {last} for more");
        last = bits;
    }
    assert_eq!(within(Some(1e-9), None).0, 16, "what cannot be had is not narrower for that");
    assert_eq!(within(None, Some(0.5)).0, 8);
    for input_bits in [7, 17] {
        let sentence = quantise(&float, &ranges, &QuantiseOptions { input_bits, ..options }).unwrap_err().to_string();
        assert!(sentence.contains("8 to 16"), "{sentence}");
    }
}
