use super::{compile, json, model_file, prepared, vouch};

#[test]
fn a_proof_verifies_natively_and_in_the_evm() {
    let dir = prepared();
    let folder = tempfile::tempdir().unwrap();
    let proof = folder.path().join("proof.json");
    let (dir, proof) = (dir.to_str().unwrap(), proof.to_str().unwrap());
    let input = model_file("input.json");
    let proven = json(&["prove", dir, "--input", input.to_str().unwrap(), "--context", "0x1234", "--out", proof]);
    let weight = proven["outputs"]["weight"]["values"][0].as_f64().unwrap();
    assert!((0.0..=1.0).contains(&weight), "{weight}");
    for key in ["prove_seconds", "load_seconds", "peak_memory_bytes", "proof_bytes"] {
        assert!(proven[key].as_f64().unwrap() > 0.0, "{key}");
    }
    assert_eq!(json(&["verify", dir, proof])["verified"], true);
    let verified = json(&["verify", dir, proof, "--evm"]);
    assert_eq!(verified["verified"], true);
    let execution = verified["execution_gas"].as_u64().unwrap();
    assert!(verified["gas"].as_u64().unwrap() > execution + 21_000);
    assert!(verified["runtime_bytes"].as_u64().unwrap() < 24_576);
    let inspected = json(&["inspect", proof]);
    assert_eq!(inspected["context"], format!("0x{:064x}", 0x1234));
    assert_eq!(inspected["marking"], "INSECURE");
}

#[test]
fn the_plan_predicts_memory_length_gas_and_size() {
    let dir = prepared();
    let folder = tempfile::tempdir().unwrap();
    let proof = folder.path().join("proof.json");
    let plan: serde_json::Value = serde_json::from_slice(&std::fs::read(dir.join("plan.json")).unwrap()).unwrap();
    let predicted = |key: &str| plan["plan"]["predicted"][key].as_f64().unwrap();
    let (dir, proof) = (dir.to_str().unwrap(), proof.to_str().unwrap());
    let proven = json(&["prove", dir, "--input", model_file("input.json").to_str().unwrap(), "--out", proof]);
    assert_eq!(proven["proof_bytes"].as_f64().unwrap(), predicted("proof_bytes"));
    let verified = json(&["verify", dir, proof, "--evm"]);
    for (report, key, prediction) in [
        (&proven, "peak_memory_bytes", "peak_memory_bytes"),
        (&verified, "gas", "verify_gas"),
        (&verified, "runtime_bytes", "runtime_bytes"),
    ] {
        let (measured, prediction) = (report[key].as_f64().unwrap(), predicted(prediction));
        assert!((measured / prediction - 1.0).abs() < 0.15, "{key}: {measured} where {prediction} was predicted");
    }
}

#[test]
fn a_changed_output_is_refused_natively_and_in_the_evm() {
    let dir = prepared();
    let folder = tempfile::tempdir().unwrap();
    let proof = folder.path().join("proof.json");
    let (dir, proof) = (dir.to_str().unwrap(), proof.to_str().unwrap());
    json(&["prove", dir, "--input", model_file("input.json").to_str().unwrap(), "--out", proof]);
    let mut file: serde_json::Value = serde_json::from_slice(&std::fs::read(proof).unwrap()).unwrap();
    let last = file["instances"].as_array().unwrap().len() - 1;
    let word = file["instances"][last].as_str().unwrap().to_owned();
    let digit = if word.ends_with('0') { "1" } else { "0" };
    file["instances"][last] = format!("{}{digit}", &word[..word.len() - 1]).into();
    std::fs::write(proof, file.to_string()).unwrap();
    for more in [&[][..], &["--evm"]] {
        let output = vouch(["verify", dir, proof, "--json"].iter().chain(more));
        let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(value["error"]["message"].as_str().is_some(), "{value}");
    }
}

#[test]
fn check_agrees_with_the_float_model_without_keys() {
    let checked = json(&[
        "check",
        model_file("model.onnx").to_str().unwrap(),
        "--calibrate",
        model_file("calibration.json").to_str().unwrap(),
        "--input",
        model_file("input.json").to_str().unwrap(),
    ]);
    assert_eq!(checked["satisfied"], true);
    let value = |key: &str| checked[key]["weight"]["values"][0].as_f64().unwrap();
    assert!((value("outputs") - value("float_outputs")).abs() <= checked["max_abs_error"].as_f64().unwrap() + 1e-9);
}

#[test]
fn private_weights_are_not_in_the_verifying_key() {
    let folder = tempfile::tempdir().unwrap();
    let compiled = compile(&folder.path().join("private"), &[]);
    let public = compile(&folder.path().join("public"), &["--params", "public"]);
    let columns = |value: &serde_json::Value, key: &str| value[key].as_u64().unwrap();
    assert!(columns(&compiled, "advice_columns") > columns(&public, "advice_columns"));
    assert!(columns(&compiled, "fixed_columns") < columns(&public, "fixed_columns"));
}

#[test]
fn doctor_and_help_answer() {
    let doctor = json(&["doctor"]);
    assert!(doctor["tools"].as_array().unwrap().len() >= 4);
    assert_eq!(doctor["missing"], 0, "{doctor}");
    // Where nothing is installed, it says what to do.
    let bare = std::process::Command::new(env!("CARGO_BIN_EXE_vouch"))
        .args(["doctor", "--json"])
        .current_dir("/")
        .env("PATH", "/nowhere")
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&bare.stdout).contains("install Node.js"));
    let help = vouch(["--help"]);
    assert!(help.status.success());
    let text = String::from_utf8_lossy(&help.stdout).into_owned();
    for command in
        ["compile", "check", "audit", "setup", "prove", "verify", "srs", "inspect", "relay", "jobs", "bench", "doctor"]
    {
        assert!(text.contains(command), "{command} is not in the help");
    }
}
