//! The prover in a child process, with a script in place of `vouch`.

use std::os::unix::fs::PermissionsExt;
use std::time::Instant;

use super::*;
use crate::error::ProveError;
use crate::prover::{ChildProver, JobProver, ProofJob};

const PROOF: &str = r#"{"format":"vouch-proof","version":1,
"model_digest":"MODEL","vk_digest":"VK","srs_digest":"SRS",
"context":"0x0000000000000000000000000000000000000000000000000000000000000007",
"instances":["0x0000000000000000000000000000000000000000000000000000000000000007",
"0x0000000000000000000000000000000000000000000000000000000000000009"],"proof":"0xc0ffee"}"#;

fn prover(folder: &TempDir, script: &str) -> ChildProver {
    let command = folder.path().join("vouch");
    std::fs::write(&command, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&command, std::fs::Permissions::from_mode(0o755)).unwrap();
    let extra = format!("[prover]\ncommand = {command:?}\ntimeout_seconds = 2\ninput_exponent = 1");
    ChildProver::new(&config(&["http://127.0.0.1:9"], Address::repeat_byte(1), &folder.path().join("j.db"), &extra))
}

fn job() -> ProofJob {
    let key = StatementKey {
        chain_id: 1,
        consumer: Address::ZERO,
        action: JobAction::Infer,
        model_id: U256::ZERO,
        model_version: 0,
        epoch: 3,
    };
    ProofJob { id: JobId(4), key, context: U256::from(7), inputs: vec![5, -8] }
}

#[tokio::test]
async fn the_command_gets_model_input_and_context_and_its_proof_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let digest = format!("0x{}", "11".repeat(32));
    let proof = PROOF.replace("MODEL", &digest).replace("VK", &digest).replace("SRS", &digest);
    std::fs::write(folder.path().join("proof.json"), proof).unwrap();
    let here = folder.path().display();
    let proved = prover(&folder, &format!("echo \"$@\" > {here}/args; cp $4 {here}/input; cp {here}/proof.json $8"))
        .prove(&job())
        .await
        .unwrap();
    assert_eq!(proved.instances, [U256::from(7), U256::from(9)]);
    assert_eq!(proved.proof.as_ref(), [0xc0, 0xff, 0xee]);
    let arguments = std::fs::read_to_string(folder.path().join("args")).unwrap();
    let work = folder.path().join("j.db.work");
    let want = format!(
        "prove model --input {0}/job-4-input.json --context 0x{1:064x} --out {0}/job-4-proof.json --json\n",
        work.display(),
        7
    );
    assert_eq!(arguments, want);
    let input = std::fs::read_to_string(folder.path().join("input")).unwrap();
    assert_eq!(input, r#"{"input_data":[[2.5,-4.0]]}"#);
    assert_eq!(std::fs::read_dir(work).unwrap().count(), 0, "its files are removed");
}

#[tokio::test]
async fn a_failure_is_told_in_the_commands_own_words() {
    let folder = tempfile::tempdir().unwrap();
    let script = r#"echo '{"error":{"code":"x","message":"value 9 is out of range","remedy":"y"}}'; exit 1"#;
    let error = prover(&folder, script).prove(&job()).await.unwrap_err();
    assert_eq!(error.to_string(), "the prover failed (exit status: 1): value 9 is out of range");
    let error = prover(&folder, "echo lost >&2; kill -9 $$").prove(&job()).await.unwrap_err();
    assert!(matches!(&error, ProveError::Failed { message, .. } if message == "lost"), "{error}");
    let error = prover(&folder, "true").prove(&job()).await.unwrap_err();
    assert!(matches!(error, ProveError::BadProof { .. }), "{error}");
}

#[tokio::test]
async fn a_prover_that_takes_too_long_or_is_cancelled_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let pid_file = folder.path().join("pid");
    let prover = prover(&folder, &format!("echo $$ > {}; exec sleep 600", pid_file.display()));
    let gone = || {
        let pid = std::fs::read_to_string(&pid_file).unwrap();
        !std::process::Command::new("kill").args(["-0", pid.trim()]).output().unwrap().status.success()
    };
    let start = Instant::now();
    let error = prover.prove(&job()).await.unwrap_err();
    assert!(matches!(error, ProveError::Timeout { seconds: 2 }), "{error}");
    assert!(start.elapsed() < Duration::from_secs(20));
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(gone());

    let cancelled = tokio::time::timeout(Duration::from_secs(1), async { prover.prove(&job()).await.map(drop) }).await;
    assert!(cancelled.is_err());
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(gone());
}

#[tokio::test]
async fn a_command_that_does_not_exist_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let extra = "[prover]\ncommand = \"/nowhere/vouch\"";
    let store = folder.path().join("j.db");
    let prover = ChildProver::new(&config(&["http://127.0.0.1:9"], Address::repeat_byte(1), &store, extra));
    let error = prover.prove(&job()).await.unwrap_err().to_string();
    assert!(error.starts_with("cannot start the prover /nowhere/vouch: "), "{error}");
}
