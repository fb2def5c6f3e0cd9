//! Tests against a real anvil. The contracts are those of `fixtures/RelayTarget.sol`: the real gate
//! over a market that the test controls.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod child;
mod edges;
mod faults;
mod fees;
mod interfaces;
mod keys;
mod liar;
mod lies;
mod reverts;
mod service;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use alloy::node_bindings::{Anvil, AnvilInstance};
use alloy::primitives::{Address, B256, Bytes, U256, hex};
use alloy::providers::{Provider, RootProvider};
use alloy::rpc::types::{TransactionInput, TransactionReceipt, TransactionRequest};
use alloy::signers::local::PrivateKeySigner;
use alloy::sol;
use alloy::sol_types::{SolCall, SolValue};
use serde::Serialize;
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::chain::Chain;
use crate::config::RelayerConfig;
use crate::contracts::{FeatureRing, InferenceGate};
use crate::event::RelayEvent;
use crate::journal::{JobAction, JobId, JobRecord, JobState, Journal, StatementInputs, StatementKey, Step};
use crate::transactions::{Progress, TransactionManager};

const GATE: &str = include_str!("../../fixtures/RelayGate.hex");
const MARKET: &str = include_str!("../../fixtures/RelayMarket.hex");

sol! {
    function setEpochs(uint64 recorded, uint64 current) external;
    function setStart(uint256 start) external;
    function setTickOffset(uint256 offset) external;
    function setPaused(bool paused) external;
    function executed() external view returns (uint256);
    function lastOutput() external view returns (int256);
    function pokes() external view returns (uint256);
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// anvil itself, not npm's wrapper of it: killing the wrapper would leave anvil behind.
fn anvil() -> Anvil {
    let packages = workspace().join("node_modules/@foundry-rs");
    let binary = std::fs::read_dir(&packages)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("anvil-"))
        .flat_map(|entry| ["bin/anvil", "bin/anvil.exe"].map(|name| entry.path().join(name)))
        .find(|path| path.is_file());
    let Some(binary) = binary else {
        panic!(
            "these tests need anvil: run `npm ci` in the repository root, which installs it in {}",
            packages.display()
        );
    };
    Anvil::at(binary).chain_id(31_337)
}

/// A node with market and gate on it.
struct World {
    anvil: AnvilInstance,
    provider: RootProvider,
    gate: Address,
    market: Address,
    folder: TempDir,
}

impl World {
    async fn new() -> Self {
        let anvil = anvil().try_spawn().expect("anvil does not start");
        let provider = RootProvider::new_http(anvil.endpoint_url());
        let mut world =
            Self { anvil, provider, gate: Address::ZERO, market: Address::ZERO, folder: tempfile::tempdir().unwrap() };
        world.market = world.deploy(MARKET, &[]).await;
        world.new_gate().await;
        world.admin(world.market, setStartCall { start: U256::from(world.time().await) }).await;
        world.set_epochs(20, 20).await;
        world
    }

    /// Another gate over the same market; the present one from now on.
    async fn new_gate(&mut self) {
        self.gate = self.deploy(GATE, &self.market.abi_encode()).await;
    }

    async fn deploy(&self, code: &str, arguments: &[u8]) -> Address {
        let mut data = hex::decode(code.trim()).unwrap();
        data.extend_from_slice(arguments);
        let request = TransactionRequest {
            from: Some(self.anvil.addresses()[1]),
            input: TransactionInput::both(data.into()),
            ..TransactionRequest::default()
        };
        let hash: B256 = self.rpc("eth_sendTransaction", (request,)).await;
        self.mined(hash).await.contract_address.unwrap()
    }

    /// A transaction of somebody else, mined at once.
    async fn admin(&self, to: Address, call: impl SolCall) {
        let hash = self.post(to, call, None).await;
        if !self.rpc::<bool>("anvil_getAutomine", ()).await {
            self.mine(1).await;
        }
        self.mined(hash).await;
    }

    /// A transaction of somebody else, with the node's own tip where none (wei) is given.
    async fn post(&self, to: Address, call: impl SolCall, tip: Option<u128>) -> B256 {
        let mut request =
            crate::chain::request(Some(self.anvil.addresses()[1]), to, call.abi_encode().into(), U256::ZERO);
        request.gas = Some(2_000_000);
        request.max_fee_per_gas = tip.map(|tip| 2 * tip);
        request.max_priority_fee_per_gas = tip;
        self.rpc("eth_sendTransaction", (request,)).await
    }

    /// The receipt of a transaction that succeeds; anvil mines a moment after it answers.
    async fn mined(&self, hash: B256) -> TransactionReceipt {
        for _ in 0..200 {
            if let Some(receipt) = self.provider.get_transaction_receipt(hash).await.unwrap() {
                assert!(receipt.status(), "{receipt:?}");
                return receipt;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{hash} was not mined");
    }

    async fn set_epochs(&self, recorded: u64, current: u64) {
        self.admin(self.market, setEpochsCall { recorded, current }).await;
    }

    async fn read<C: SolCall>(&self, to: Address, call: C) -> C::Return {
        let request = crate::chain::request(None, to, call.abi_encode().into(), U256::ZERO);
        C::abi_decode_returns(&self.provider.call(request).await.unwrap()).unwrap()
    }

    async fn executed(&self) -> u64 {
        self.read(self.gate, executedCall {}).await.to()
    }

    async fn rpc<R: serde::de::DeserializeOwned>(&self, method: &'static str, arguments: impl Serialize) -> R {
        let arguments = match serde_json::to_value(arguments).unwrap() {
            Value::Null => Value::Array(Vec::new()),
            arguments => arguments,
        };
        let answer: Value = self.provider.raw_request(method.into(), arguments).await.unwrap();
        serde_json::from_value(answer).unwrap()
    }

    async fn automine(&self, on: bool) {
        let _: Value = self.rpc("evm_setAutomine", (on,)).await;
    }

    async fn mine(&self, blocks: u64) {
        let _: Value = self.rpc("anvil_mine", (U256::from(blocks),)).await;
    }

    async fn time(&self) -> u64 {
        self.provider
            .get_block_by_number(alloy::eips::BlockNumberOrTag::Latest)
            .await
            .unwrap()
            .unwrap()
            .header
            .timestamp
    }

    /// The newest block's base fee, in wei.
    async fn base_fee(&self) -> u128 {
        let block = self.provider.get_block_by_number(alloy::eips::BlockNumberOrTag::Latest).await.unwrap().unwrap();
        block.header.base_fee_per_gas.unwrap().into()
    }

    /// Lets chain time pass.
    async fn pass(&self, seconds: u64) {
        let _: Value = self.rpc("evm_increaseTime", (U256::from(seconds),)).await;
        self.mine(1).await;
    }

    async fn nonce(&self) -> u64 {
        self.provider.get_transaction_count(self.key().address()).await.unwrap()
    }

    /// The relayer's key.
    fn key(&self) -> PrivateKeySigner {
        PrivateKeySigner::from_slice(&self.anvil.first_key().to_bytes()).unwrap()
    }

    fn config(&self, extra: &str) -> RelayerConfig {
        self.config_at("relayer.db", extra)
    }

    fn config_at(&self, store: &str, extra: &str) -> RelayerConfig {
        config(&[&self.anvil.endpoint()], self.gate, &self.folder.path().join(store), extra)
    }

    /// The newest epoch's statement as the journal takes it.
    async fn statement(&self) -> (StatementKey, StatementInputs, u64) {
        let epoch: u64 = self.read(self.market, FeatureRing::recordedEndCall {}).await;
        let s = self.read(self.gate, InferenceGate::statementCall { epoch }).await;
        let key = StatementKey {
            chain_id: 31_337,
            consumer: self.gate,
            action: JobAction::Infer,
            model_id: U256::from(1),
            model_version: 1,
            epoch,
        };
        let inputs =
            StatementInputs { context: s.statementContext, input_words: s.inputWords, nullifier: s.statementNullifier };
        (key, inputs, s.deadline.to())
    }

    /// What submits the newest epoch's statement.
    async fn calldata(&self) -> Bytes {
        let (key, inputs, _) = self.statement().await;
        let outputs = vec![alloy::primitives::I256::ONE, alloy::primitives::I256::try_from(-5).unwrap()];
        let proof = (inputs.context, inputs.input_words[0]).abi_encode().into();
        InferenceGate::submitInferenceCall { epoch: key.epoch, outputs, proof }.abi_encode().into()
    }
}

fn config(rpc: &[&str], gate: Address, store: &Path, extra: &str) -> RelayerConfig {
    let (top, sections) = extra.split_once('[').map_or((extra, String::new()), |(top, rest)| (top, format!("[{rest}")));
    let limit = if top.contains("rpc_timeout_seconds") { "" } else { "rpc_timeout_seconds = 5" };
    let text = format!(
        "rpc = {rpc:?}\nchain_id = 31337\ngate = \"{gate}\"\nmodel = \"model\"\nstore = {store:?}\n\
         poll_seconds = 1\n{limit}\n{top}\n[signer]\nenv = \"VOUCH_KEY\"\n{sections}"
    );
    RelayerConfig::parse(&text, Path::new("test.toml")).unwrap()
}

/// A transaction manager on an opened journal: what one run of the relayer has. Dropping it and
/// opening another is what a crash and a restart are.
struct Run {
    chain: Arc<Chain>,
    journal: Arc<Journal>,
    manager: TransactionManager,
    events: UnboundedReceiver<RelayEvent>,
}

impl Run {
    async fn open(config: &RelayerConfig, key: PrivateKeySigner) -> Self {
        let (sender, events) = unbounded_channel();
        let chain = Arc::new(Chain::new(config, sender.clone()));
        let journal = Arc::new(Journal::open(&config.store).await.unwrap());
        let manager = TransactionManager::new(config, Arc::clone(&chain), Arc::clone(&journal), key, sender);
        Self { chain, journal, manager, events }
    }

    /// A job of the newest epoch whose proof is there.
    async fn proved_job(&self, world: &World) -> JobId {
        let (key, inputs, deadline) = world.statement().await;
        let (job, _) = self.journal.enqueue(&key, Some(&inputs), Some(deadline)).await.unwrap();
        let calldata = world.calldata().await;
        self.journal.record(job.id, &Step::Prepare { calldata }).await.unwrap().id
    }

    async fn step(&self, id: JobId) -> Progress {
        let head = self.chain.refresh().await.unwrap();
        let job = self.journal.job(id).await.unwrap();
        self.manager.advance(&job, head).await.unwrap()
    }

    /// Every step that can be taken now.
    async fn drive(&self, id: JobId) -> JobRecord {
        let head = self.chain.refresh().await.unwrap();
        let job = self.journal.job(id).await.unwrap();
        self.manager.drive(job, head).await.unwrap()
    }

    /// Takes steps until the job is where it should be.
    async fn until(&self, id: JobId, state: JobState) -> JobRecord {
        for _ in 0..200 {
            let job = self.drive(id).await;
            if job.state == state {
                return job;
            }
            assert!(!job.state.is_final(), "{job:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("job {id} did not become {state}: {:?}", self.journal.timeline(id).await.unwrap());
    }

    fn told(&mut self) -> Vec<RelayEvent> {
        std::iter::from_fn(|| self.events.try_recv().ok()).collect()
    }
}
