//! Endpoints that lie, lag, hang up or turn to another chain.

use super::faults::PATIENT;
use super::liar::{Liar, Reply};
use super::service::{Service, TestProver};
use super::*;

/// The liar and the world's node, in this order.
fn both(world: &World, liar: &Liar, extra: &str) -> RelayerConfig {
    config(&[&liar.url, &world.anvil.endpoint()], world.gate, &world.folder.path().join("relayer.db"), extra)
}

fn number(value: &Value) -> u64 {
    u64::from_str_radix(value.as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
}

/// Changes a field of the newest block.
fn newest(field: &'static str, change: impl Fn(u64) -> u64) -> impl Fn(&str, &Value, &mut Value) -> Reply {
    move |method, parameters, result| {
        if method == "eth_getBlockByNumber" && parameters[0] == "latest" {
            result[field] = Value::from(format!("{:#x}", change(number(&result[field]))));
        }
        Reply::Sent
    }
}

#[tokio::test]
async fn a_head_that_cannot_be_ends_no_job_and_its_endpoint_is_passed_over_and_named() {
    for lie in [0, 1] {
        let world = World::new().await;
        let liar = Liar::new(&world).await;
        match lie {
            0 => liar.lies(newest("number", |_| 1_000_000_000)),
            _ => liar.lies(newest("timestamp", |time| time + 315_360_000)),
        }
        let mut run = Run::open(&both(&world, &liar, PATIENT), world.key()).await;
        let id = run.proved_job(&world).await;
        world.automine(false).await;
        run.drive(id).await;
        let job = run.drive(id).await;
        assert_eq!((job.state, job.closing), (JobState::Broadcast, None), "lie {lie}");
        let passed_over = |event: &&RelayEvent| {
            matches!(event, RelayEvent::PassedOver { endpoint, why }
            if *endpoint == liar.url && why.contains("is far ahead of the other endpoints'"))
        };
        assert_eq!(run.told().iter().filter(passed_over).count(), 1, "it is told once");
        world.mine(1).await;
        run.until(id, JobState::Confirmed).await;
        assert_eq!((world.executed().await, world.nonce().await), (1, 1));
    }
}

#[tokio::test]
async fn a_count_that_one_endpoint_alone_gives_makes_no_second_nonce() {
    let world = World::new().await;
    let liar = Liar::new(&world).await;
    liar.lies(|method, _, result| {
        if method == "eth_getTransactionCount" {
            *result = Value::from("0x3e8");
        }
        Reply::Sent
    });
    let mut run = Run::open(&both(&world, &liar, PATIENT), world.key()).await;
    let id = run.proved_job(&world).await;
    world.automine(false).await;
    for _ in 0..4 {
        let job = run.drive(id).await;
        assert_eq!((job.state, job.nonce), (JobState::Broadcast, Some(0)));
        tokio::time::sleep(Duration::from_millis(900)).await;
    }
    assert!(!run.told().iter().any(|event| matches!(event, RelayEvent::NonceTaken { .. })));
    world.mine(1).await;
    run.until(id, JobState::Confirmed).await;
    assert_eq!(run.journal.attempts(id).await.unwrap().len(), 1);
    assert_eq!((world.executed().await, world.nonce().await), (1, 1));
}

#[tokio::test]
async fn an_epoch_that_one_endpoint_alone_calls_done_is_proven() {
    let world = World::new().await;
    let liar = Liar::new(&world).await;
    let selector = hex::encode(InferenceGate::lastEpochCall::SELECTOR);
    liar.lies(move |method, parameters, result| {
        if method == "eth_call" && parameters[0]["input"].as_str().is_some_and(|input| input.contains(&selector)) {
            *result = Value::from(format!("{:#066x}", 1_000));
        }
        Reply::Sent
    });
    let mut service = Service::start_with(&world, both(&world, &liar, ""), TestProver::default()).await;
    assert_eq!(service.finished().await, (JobState::Confirmed, None));
    service.stop().await;
}

#[tokio::test]
async fn an_endpoint_that_turns_to_another_chain_is_passed_over_until_it_returns() {
    let world = World::new().await;
    let liar = Liar::new(&world).await;
    let prover = TestProver { endless: vec![20], ..TestProver::default() };
    let mut service = Service::start_with(&world, both(&world, &liar, ""), prover).await;
    service.wait_for(|e| matches!(e, RelayEvent::Proving { .. })).await;
    liar.lies(|method, _, result| {
        if method == "eth_chainId" {
            *result = Value::from("0x5");
        }
        Reply::Sent
    });
    let event = service.wait_for(|e| matches!(e, RelayEvent::PassedOver { .. })).await;
    let want = format!("{} is passed over: it serves chain 5 where `chain_id` is 31337; correct `rpc`", liar.url);
    assert_eq!(event.to_string(), want);
    world.set_epochs(21, 21).await;
    while service.finished().await.0 != JobState::Confirmed {}
    liar.is_honest();
    world.set_epochs(22, 22).await;
    while service.finished().await.0 != JobState::Confirmed {}
    service.stop().await;
    assert_eq!((world.executed().await, world.nonce().await), (2, 2));
}

#[tokio::test]
async fn an_endpoint_that_hangs_up_or_answers_garbage_is_worked_around() {
    for reply in [Reply::Closed, Reply::Garbage] {
        let world = World::new().await;
        let liar = Liar::new(&world).await;
        liar.lies(move |_, _, _| reply);
        let run = Run::open(&both(&world, &liar, PATIENT), world.key()).await;
        let id = run.proved_job(&world).await;
        run.until(id, JobState::Confirmed).await;
        assert_eq!((world.executed().await, world.nonce().await), (1, 1));
    }
}

#[tokio::test]
async fn the_only_endpoint_may_hang_up_and_answer_garbage_for_a_time() {
    let world = World::new().await;
    let liar = Liar::new(&world).await;
    let alone = config(&[&liar.url], world.gate, &world.folder.path().join("relayer.db"), "");
    let prover = TestProver { endless: vec![20], ..TestProver::default() };
    let mut service = Service::start_with(&world, alone, prover).await;
    service.wait_for(|e| matches!(e, RelayEvent::Proving { .. })).await;
    for reply in [Reply::Closed, Reply::Garbage] {
        liar.lies(move |_, _, _| reply);
        service.wait_for(|e| matches!(e, RelayEvent::Trouble { .. })).await;
    }
    world.set_epochs(21, 21).await;
    liar.is_honest();
    while service.finished().await.0 != JobState::Confirmed {}
    service.stop().await;
    assert_eq!((world.executed().await, world.nonce().await), (1, 1));
}

#[tokio::test]
async fn an_endpoint_that_lags_is_asked_last() {
    let world = World::new().await;
    let liar = Liar::new(&world).await;
    let is_behind = newest("number", |number| number - 3);
    liar.lies(move |method, parameters, result| {
        if method == "eth_getTransactionReceipt" {
            *result = Value::Null;
        }
        is_behind(method, parameters, result)
    });
    let run = Run::open(&both(&world, &liar, PATIENT), world.key()).await;
    let id = run.proved_job(&world).await;
    run.until(id, JobState::Confirmed).await;
    assert_eq!((world.executed().await, world.nonce().await), (1, 1));
}
