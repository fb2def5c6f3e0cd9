//! The chain behind one or several RPC endpoints.

mod heads;

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use alloy::eips::{BlockId, BlockNumberOrTag};
use alloy::primitives::{Address, B256, Bytes, TxKind, U256};
use alloy::providers::{Provider, RootProvider};
use alloy::rpc::types::{FeeHistory, TransactionInput, TransactionReceipt, TransactionRequest};
use alloy::sol_types::SolCall;
use alloy::transports::{RpcError, TransportResult};
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinSet;
use tokio::time::{error::Elapsed, timeout};

use self::heads::{Clock, judge, lower_median};
use crate::config::{RelayerConfig, RpcUrl, is_development_chain};
use crate::error::RelayerError;
use crate::event::{RelayEvent, Reporter};
use crate::journal::now;
use crate::revert::Revert;

/// Blocks that the fee history covers, and the percentiles of tips that it is asked for.
const FEE_BLOCKS: u64 = 10;
const TIP_PERCENTILES: [f64; 2] = [50.0, 90.0];

/// The newest block that was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Its number.
    pub number: u64,
    /// Its time (seconds).
    pub timestamp: u64,
}

/// What a node did with a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Sent {
    /// It took the transaction, or had it already.
    Accepted,
    /// The nonce is mined.
    NonceUsed,
    /// Another transaction with this nonce pays too much to be replaced by this one.
    Occupied,
    /// It pays less than the node asks for.
    Underpriced,
    /// The account cannot pay.
    NoFunds,
    /// Something else.
    Refused(String),
}

/// Transactions that an account has sent, by the endpoints' counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Mined.
    pub(crate) latest: u64,
    /// Mined or waiting in the node's pool.
    pub(crate) pending: u64,
}

/// The chain behind one or several RPC endpoints: reads come from the endpoint with the newest
/// head that can be believed and move on to the next one where it fails; transactions go to all.
/// An endpoint of another chain, or with a head that cannot be, is passed over while it is so.
#[derive(Debug)]
pub struct Chain {
    chain_id: u64,
    timeout: Duration,
    endpoints: Vec<Endpoint>,
    /// Endpoints that answered the last [`Chain::refresh`] and are believed, the newest head first;
    /// nothing before the first.
    order: Mutex<Option<Order>>,
    /// Endpoints that answered it and are not believed.
    passed_over: Mutex<BTreeSet<usize>>,
    reporter: Reporter,
}

/// Endpoints that are asked.
#[derive(Debug, Clone)]
struct Order {
    /// In turn, the newest head first.
    in_turn: Vec<usize>,
    /// Where each has a say: those that do not lag.
    together: Vec<usize>,
}

/// What the endpoints say about themselves.
struct Answers {
    heads: Vec<(usize, Head)>,
    /// Endpoints of other chains, with the chains' ids.
    strangers: Vec<(usize, u64)>,
    /// The last that failed.
    last: String,
}

struct Endpoint {
    url: RpcUrl,
    provider: RootProvider,
}

impl Chain {
    /// The chain that a configuration describes. Nothing is asked yet. `events` is told of endpoints
    /// that are passed over.
    #[must_use]
    pub fn new(config: &RelayerConfig, events: UnboundedSender<RelayEvent>) -> Self {
        let endpoints = config
            .rpc
            .iter()
            .map(|rpc| Endpoint { url: rpc.clone(), provider: RootProvider::new_http(rpc.url().clone()) })
            .collect();
        Self {
            chain_id: config.chain_id,
            timeout: config.rpc_timeout_seconds.duration(),
            endpoints,
            order: Mutex::new(None),
            passed_over: Mutex::new(BTreeSet::new()),
            reporter: Reporter::new(events),
        }
    }

    /// The configured chain id.
    #[must_use]
    pub fn chain_id(&self) -> u64 {
        self.chain_id
    }

    /// Asks every endpoint for its chain id and head, and returns the newest head that can be
    /// believed. Endpoints that cannot be are passed over.
    ///
    /// # Errors
    /// [`RelayerError::RpcUnreachable`] where none is left.
    pub async fn refresh(&self) -> Result<Head, RelayerError> {
        let answers = self.ask_all().await;
        self.settle(answers)
    }

    async fn ask_all(&self) -> Answers {
        let mut asked = JoinSet::new();
        for (index, endpoint) in self.endpoints.iter().enumerate() {
            let (provider, limit) = (endpoint.provider.clone(), self.timeout);
            asked.spawn(async move { (index, timeout(limit, identity(&provider)).await) });
        }
        let mut answers = Answers { heads: Vec::new(), strangers: Vec::new(), last: "nothing".to_owned() };
        while let Some(answer) = asked.join_next().await {
            let Ok((index, answer)) = answer else { continue };
            let endpoint = &self.endpoints[index];
            match answer {
                Ok(Ok((chain_id, _))) if chain_id != self.chain_id => answers.strangers.push((index, chain_id)),
                Ok(Ok((_, Some(head)))) => answers.heads.push((index, head)),
                Ok(Ok((_, None))) => answers.last = endpoint.says("it has no block"),
                Ok(Err(error)) => answers.last = endpoint.says(endpoint.url.describe(&error)),
                Err(_) => answers.last = endpoint.says(format_args!("no answer in {:?}", self.timeout)),
            }
        }
        answers
    }

    /// Chooses the endpoints that are asked from now on.
    fn settle(&self, answers: Answers) -> Result<Head, RelayerError> {
        let clock = if is_development_chain(self.chain_id) { Clock::Warped } else { Clock::Local(now()) };
        let judged = judge(&answers.heads, clock);
        let strangers = answers.strangers.iter().map(|(index, chain_id)| {
            (*index, format!("it serves chain {chain_id} where `chain_id` is {}; correct `rpc`", self.chain_id))
        });
        let mut last = answers.last;
        let mut passed_over = BTreeSet::new();
        {
            let mut known = self.passed_over.lock().unwrap_or_else(PoisonError::into_inner);
            for (index, why) in strangers.chain(judged.doubted) {
                last = self.endpoints[index].says(&why);
                if !known.contains(&index) {
                    let endpoint = self.endpoints[index].url.label();
                    self.reporter.tell(RelayEvent::PassedOver { endpoint, why });
                }
                passed_over.insert(index);
            }
            *known = passed_over;
        }
        let best = judged.believed.first().map(|(_, head)| *head);
        let in_turn = judged.believed.into_iter().map(|(index, _)| index).collect();
        *self.order.lock().unwrap_or_else(PoisonError::into_inner) = Some(Order { in_turn, together: judged.current });
        best.ok_or(RelayerError::RpcUnreachable { method: "eth_getBlockByNumber", tried: self.endpoints.len(), last })
    }

    /// Waits at the start for the first endpoint that answers, at most `limit`.
    ///
    /// # Errors
    /// [`RelayerError::WrongChain`] where any endpoint serves another chain: at the start that is the
    /// configuration's mistake. [`RelayerError::RpcUnreachable`] only after `limit`.
    pub async fn wait_for_endpoint(&self, limit: Duration) -> Result<Head, RelayerError> {
        let end = tokio::time::Instant::now() + limit;
        let mut pause = Duration::from_millis(250);
        loop {
            let answers = self.ask_all().await;
            if let Some((index, got)) = answers.strangers.first() {
                let endpoint = self.endpoints[*index].url.label();
                return Err(RelayerError::WrongChain { endpoint, want: self.chain_id, got: *got });
            }
            match self.settle(answers) {
                Err(error @ RelayerError::RpcUnreachable { .. }) => {
                    if tokio::time::Instant::now() + pause > end {
                        return Err(error);
                    }
                    tracing::warn!(%error, "waiting for an RPC endpoint");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(5));
                }
                answer => return answer,
            }
        }
    }

    /// Hash of block 0, which tells apart two chains of the same id.
    pub(crate) async fn genesis(&self) -> Result<B256, RelayerError> {
        let block = self
            .read("eth_getBlockByNumber", |p| async move { p.get_block_by_number(BlockNumberOrTag::Earliest).await })
            .await?;
        Ok(block.map(|block| block.header.hash).unwrap_or_default())
    }

    /// Whether there is a contract at an address.
    pub(crate) async fn has_code(&self, address: Address) -> Result<bool, RelayerError> {
        Ok(!self.read("eth_getCode", move |p| async move { p.get_code_at(address).await }).await?.is_empty())
    }

    /// Calls a view function; `what` names it in errors.
    pub(crate) async fn query<C: SolCall>(
        &self,
        to: Address,
        what: &'static str,
        call: &C,
    ) -> Result<C::Return, RelayerError> {
        let request = request(None, to, call.abi_encode().into(), U256::ZERO);
        let answer = self.call(what, &request).await?;
        C::abi_decode_returns(&answer).map_err(|_| RelayerError::OtherContract { address: to, what })
    }

    /// Calls a view function on every endpoint; those that lag or fail have no say.
    pub(crate) async fn query_all<C: SolCall>(
        &self,
        to: Address,
        what: &'static str,
        call: &C,
    ) -> Result<Vec<C::Return>, RelayerError> {
        let request = request(None, to, call.abi_encode().into(), U256::ZERO);
        let answers = self
            .read_all(what, move |p| {
                let request = request.clone();
                async move { p.call(request).block(BlockId::latest()).await }
            })
            .await?;
        let decoded: Vec<_> = answers.iter().filter_map(|answer| C::abi_decode_returns(answer).ok()).collect();
        if decoded.is_empty() { Err(RelayerError::OtherContract { address: to, what }) } else { Ok(decoded) }
    }

    /// Runs a transaction on the newest state without sending it. The inner error is its revert.
    pub(crate) async fn simulate(&self, request: &TransactionRequest) -> Result<Result<(), Revert>, RelayerError> {
        match self.call("eth_call", request).await {
            Ok(_) => Ok(Ok(())),
            Err(RelayerError::Reverted { revert, .. }) => Ok(Err(revert)),
            Err(error) => Err(error),
        }
    }

    /// Gas that a transaction takes on the newest state. The inner error is its revert.
    pub(crate) async fn estimate_gas(&self, request: &TransactionRequest) -> Result<Result<u64, Revert>, RelayerError> {
        let answer = self
            .read("eth_estimateGas", |p| {
                let request = request.clone();
                async move { p.estimate_gas(request).block(BlockId::latest()).await }
            })
            .await;
        match answer {
            Ok(gas) => Ok(Ok(gas)),
            Err(RelayerError::Reverted { revert, .. }) => Ok(Err(revert)),
            Err(error) => Err(error),
        }
    }

    /// What an account owns, in wei.
    pub(crate) async fn balance(&self, account: Address) -> Result<U256, RelayerError> {
        self.read("eth_getBalance", move |p| async move { p.get_balance(account).await }).await
    }

    /// Transactions that an account has sent: of each count the endpoints' median, so that one of
    /// them cannot make the next transaction wait behind others that are not there.
    pub(crate) async fn counts(&self, account: Address) -> Result<Counts, RelayerError> {
        const METHOD: &str = "eth_getTransactionCount";
        let latest =
            self.read_all(METHOD, move |p| async move { p.get_transaction_count(account).latest().await }).await?;
        let pending =
            self.read_all(METHOD, move |p| async move { p.get_transaction_count(account).pending().await }).await?;
        let median = |counts: Vec<u64>| lower_median(counts.into_iter()).unwrap_or_default();
        Ok(Counts { latest: median(latest), pending: median(pending) })
    }

    /// Transactions of an account that were mined up to a block, by the endpoint that counts fewest:
    /// more than one of them must say that a nonce is gone before it is given up.
    pub(crate) async fn fewest_mined(&self, account: Address, block: BlockId) -> Result<u64, RelayerError> {
        let counts = self
            .read_all("eth_getTransactionCount", move |p| async move {
                p.get_transaction_count(account).block_id(block).await
            })
            .await?;
        Ok(counts.into_iter().min().unwrap_or_default())
    }

    /// The receipt of a mined transaction.
    pub(crate) async fn receipt(&self, hash: B256) -> Result<Option<TransactionReceipt>, RelayerError> {
        self.read("eth_getTransactionReceipt", move |p| async move { p.get_transaction_receipt(hash).await }).await
    }

    /// Whether a node knows a transaction, mined or not.
    pub(crate) async fn knows(&self, hash: B256) -> Result<bool, RelayerError> {
        let found = self
            .read("eth_getTransactionByHash", move |p| async move { p.get_transaction_by_hash(hash).await })
            .await?;
        Ok(found.is_some())
    }

    /// Base fees and tips of the last blocks.
    pub(crate) async fn fee_history(&self) -> Result<FeeHistory, RelayerError> {
        self.read("eth_feeHistory", |p| async move {
            p.get_fee_history(FEE_BLOCKS, BlockNumberOrTag::Latest, &TIP_PERCENTILES).await
        })
        .await
    }

    /// Gives a signed transaction to every endpoint that is not passed over. The best answer counts:
    /// one node that takes it is enough.
    pub(crate) async fn send(&self, raw: &[u8]) -> Result<Sent, RelayerError> {
        let passed_over = self.passed_over.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut asked = JoinSet::new();
        for (index, endpoint) in self.endpoints.iter().enumerate().filter(|(index, _)| !passed_over.contains(index)) {
            let (provider, limit, raw) = (endpoint.provider.clone(), self.timeout, raw.to_vec());
            asked.spawn(async move {
                (index, timeout(limit, provider.send_raw_transaction(&raw)).await.map(|sent| sent.map(|_| ())))
            });
        }
        let mut best: Option<Sent> = None;
        let mut last = "nothing".to_owned();
        while let Some(answer) = asked.join_next().await {
            let Ok((index, answer)) = answer else { continue };
            let endpoint = &self.endpoints[index];
            let sent = match answer {
                Ok(Ok(())) => Sent::Accepted,
                Ok(Err(RpcError::ErrorResp(refusal))) => sent(&refusal.message),
                Ok(Err(error)) => {
                    last = endpoint.says(endpoint.url.describe(&error));
                    continue;
                }
                Err(_) => {
                    last = endpoint.says(format_args!("no answer in {:?}", self.timeout));
                    continue;
                }
            };
            if best.as_ref().is_none_or(|known| rank(&sent) < rank(known)) {
                best = Some(sent);
            }
        }
        best.ok_or(RelayerError::RpcUnreachable { method: "eth_sendRawTransaction", tried: self.endpoints.len(), last })
    }

    /// On the latest block, not the pending one, which alloy asks by default: there our own waiting
    /// transaction has already been executed, and the same call would revert because of it.
    async fn call(&self, what: &'static str, request: &TransactionRequest) -> Result<Bytes, RelayerError> {
        self.read(what, |p| {
            let request = request.clone();
            async move { p.call(request).block(BlockId::latest()).await }
        })
        .await
    }

    /// Asks the endpoints in turn until one answers. A revert is an answer; any other error is not,
    /// since it may be one endpoint's limit.
    async fn read<T, F, A>(&self, method: &'static str, ask: F) -> Result<T, RelayerError>
    where
        F: Fn(RootProvider) -> A + Send + Sync,
        A: Future<Output = TransportResult<T>> + Send,
    {
        let mut failures = Vec::new();
        for index in self.order().in_turn {
            let asked = timeout(self.timeout, ask(self.endpoints[index].provider.clone())).await;
            match self.answer(index, method, asked) {
                Err(error @ (RelayerError::Rpc { .. } | RelayerError::RpcUnreachable { .. })) => failures.push(error),
                answer => return answer,
            }
        }
        Err(no_answer(method, failures))
    }

    /// Asks all endpoints that do not lag at once. Those that fail have no say.
    async fn read_all<T, F, A>(&self, method: &'static str, ask: F) -> Result<Vec<T>, RelayerError>
    where
        T: Send + 'static,
        F: Fn(RootProvider) -> A,
        A: Future<Output = TransportResult<T>> + Send + 'static,
    {
        let mut asked = JoinSet::new();
        for index in self.order().together {
            let asking = timeout(self.timeout, ask(self.endpoints[index].provider.clone()));
            asked.spawn(async move { (index, asking.await) });
        }
        let (mut answers, mut failures) = (Vec::new(), Vec::new());
        while let Some(answer) = asked.join_next().await {
            let Ok((index, answer)) = answer else { continue };
            match self.answer(index, method, answer) {
                Ok(answer) => answers.push(answer),
                Err(error) => failures.push(error),
            }
        }
        if answers.is_empty() { Err(no_answer(method, failures)) } else { Ok(answers) }
    }

    /// What an endpoint's answer comes to.
    fn answer<T>(
        &self,
        index: usize,
        method: &'static str,
        answer: Result<TransportResult<T>, Elapsed>,
    ) -> Result<T, RelayerError> {
        let endpoint = &self.endpoints[index];
        let unreachable = |last| RelayerError::RpcUnreachable { method, tried: 1, last };
        match answer {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(RpcError::ErrorResp(error))) => Err(if let Some(data) = error.as_revert_data() {
                RelayerError::Reverted { what: method, revert: Revert::decode(&data) }
            } else if error.message.contains("revert") {
                RelayerError::Reverted { what: method, revert: Revert::decode(&Bytes::new()) }
            } else {
                RelayerError::Rpc { endpoint: endpoint.url.label(), method, problem: error.message.into_owned() }
            }),
            Ok(Err(error)) => Err(unreachable(endpoint.says(endpoint.url.describe(&error)))),
            Err(_) => Err(unreachable(endpoint.says(format_args!("no answer in {:?}", self.timeout)))),
        }
    }

    /// Endpoints to ask: those that answered the last refresh and are believed, or all before the
    /// first.
    fn order(&self) -> Order {
        let order = self.order.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let all = || (0..self.endpoints.len()).collect();
        order.unwrap_or_else(|| Order { in_turn: all(), together: all() })
    }
}

/// Why no endpoint answered: where one refused, its refusal, else that none was reached.
fn no_answer(method: &'static str, mut failures: Vec<RelayerError>) -> RelayerError {
    let tried = failures.len();
    let refused = failures.iter().rposition(|failure| !matches!(failure, RelayerError::RpcUnreachable { .. }));
    match refused.map(|at| failures.swap_remove(at)).or_else(|| failures.pop()) {
        Some(RelayerError::RpcUnreachable { last, .. }) => RelayerError::RpcUnreachable { method, tried, last },
        Some(refused) => refused,
        None => RelayerError::RpcUnreachable { method, tried, last: "nothing".to_owned() },
    }
}

impl Endpoint {
    /// What went wrong with it, for messages.
    fn says(&self, what: impl std::fmt::Display) -> String {
        format!("{}: {what}", self.url.label())
    }
}

/// Shows the label alone: the rest holds credentials.
impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.url.fmt(f)
    }
}

/// A call or transaction as nodes take it.
pub(crate) fn request(from: Option<Address>, to: Address, data: Bytes, value: U256) -> TransactionRequest {
    TransactionRequest {
        from,
        to: Some(TxKind::Call(to)),
        input: TransactionInput::both(data),
        value: Some(value),
        ..TransactionRequest::default()
    }
}

async fn identity(provider: &RootProvider) -> TransportResult<(u64, Option<Head>)> {
    let chain_id = provider.get_chain_id().await?;
    let block = provider.get_block_by_number(BlockNumberOrTag::Latest).await?;
    let head = block.map(|block| Head { number: block.header.number, timestamp: block.header.timestamp });
    Ok((chain_id, head))
}

/// Nodes agree on the meaning of their refusals, not on the words.
fn sent(message: &str) -> Sent {
    let words = message.to_ascii_lowercase();
    if ["already known", "already imported", "already exists", "known transaction"].iter().any(|w| words.contains(w)) {
        Sent::Accepted
    } else if words.contains("nonce too low") || words.contains("nonce is too low") {
        Sent::NonceUsed
    } else if words.contains("replacement") || words.contains("transaction with same nonce") {
        Sent::Occupied
    } else if words.contains("underpriced") || words.contains("fee too low") {
        Sent::Underpriced
    } else if words.contains("insufficient funds") {
        Sent::NoFunds
    } else {
        Sent::Refused(message.to_owned())
    }
}

fn rank(sent: &Sent) -> u8 {
    match sent {
        Sent::Accepted => 0,
        Sent::NonceUsed => 1,
        Sent::Occupied => 2,
        Sent::Underpriced => 3,
        Sent::NoFunds => 4,
        Sent::Refused(_) => 5,
    }
}
