//! The main job, asserted: the same run that `script/demo` tells as a story.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

use vouch_tests::{
    demo::{self, Options, tools::vouch},
    root,
};

#[tokio::test(flavor = "multi_thread")]
async fn the_vault_follows_verified_outputs_and_refuses_everything_else() {
    let say = |line: &str| eprintln!("{line}");
    let summary = demo::run(&Options { epochs: 3, say: &say }).await.unwrap();
    assert_eq!(summary.rebalances.len(), 3);
    for rebalance in &summary.rebalances {
        assert!((0.0..=1.0).contains(&rebalance.target));
        let before = (rebalance.weight_before - rebalance.target).abs();
        let after = (rebalance.weight_after - rebalance.target).abs();
        assert!(after < before, "epoch {} moved away from its target", rebalance.epoch);
    }
    let errors: Vec<_> = summary.refusals.iter().map(|refusal| refusal.error.as_str()).collect();
    assert_eq!(errors, ["ProofRejected", "ProofRejected", "ProofRejected", "ProofRejected", "StatementUsed"]);

    // The journal, which `vouch relay` and `vouch submit` wrote, tells the same story.
    let store = root().join("target/demo/relayer.sqlite").display().to_string();
    let listed = vouch(&["jobs", "list", "--store", &store]).unwrap();
    let inferences: Vec<_> =
        listed["jobs"].as_array().unwrap().iter().filter(|job| job["key"]["action"] == "infer").collect();
    assert_eq!(inferences.len(), 4, "{listed}");
    for job in inferences {
        // The relayer may have been killed before it saw the last block that it had a transaction in.
        assert!(job["state"] == "confirmed" || job["state"] == "mined", "{job}");
        let shown = vouch(&["jobs", "show", &job["id"].to_string(), "--store", &store]).unwrap();
        assert!(shown["timeline"].as_array().unwrap().len() >= 5, "{shown}");
    }
}
