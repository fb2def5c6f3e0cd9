//! The chain behind one or several RPC endpoints.

use std::future::Future;
use std::sync::Mutex;
use std::time::Duration;

use alloy::eips::{BlockId, BlockNumberOrTag};
use alloy::primitives::{Address, B256, Bytes, TxKind, U256};
use alloy::providers::{Provider, RootProvider};
use alloy::rpc::types::{FeeHistory, TransactionInput, TransactionReceipt, TransactionRequest};
use alloy::sol_types::SolCall;
use alloy::transports::http::reqwest::Url;
use alloy::transports::{RpcError, TransportError, TransportResult};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::config::RelayerConfig;
use crate::error::RelayerError;
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
    Underpriced,
    /// The account cannot pay.
    NoFunds,
    /// Something else.
    Refused(String),
}

/// Transactions that an account has sent, by a node's count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Mined.
    pub(crate) latest: u64,
    /// Mined or waiting in the node's pool.
    pub(crate) pending: u64,
}

/// The chain behind one or several RPC endpoints: reads come from the endpoint with the newest
/// head and move on to the next one where it fails; transactions go to all.
#[derive(Debug)]
pub struct Chain {
    chain_id: u64,
    timeout: Duration,
    endpoints: Vec<Endpoint>,
    /// Endpoints that answered the last [`Chain::refresh`], the newest head first.
    order: Mutex<Vec<usize>>,
}

struct Endpoint {
    label: String,
    /// The URL in the forms in which an error may show it, the longest first.
    secret_forms: Vec<String>,
    provider: RootProvider,
}

impl Chain {
    /// The chain that a configuration describes. Nothing is asked yet.
    #[must_use]
    pub fn new(config: &RelayerConfig) -> Self {
        let endpoints = config
            .rpc
            .iter()
            .map(|rpc| Endpoint {
                label: rpc.label(),
                secret_forms: secret_forms(rpc.url()),
                provider: RootProvider::new_http(rpc.url().clone()),
            })
            .collect();
        Self {
            chain_id: config.chain_id,
            timeout: config.rpc_timeout_seconds.duration(),
            endpoints,
            order: Mutex::new(Vec::new()),
        }
    }

    /// The configured chain id.
    #[must_use]
    pub fn chain_id(&self) -> u64 {
        self.chain_id
    }

    /// Asks every endpoint for its chain id and head, and returns the newest head.
    ///
    /// # Errors
    /// [`RelayerError::WrongChain`] where any endpoint serves another chain,
    /// [`RelayerError::RpcUnreachable`] where none answers.
    pub async fn refresh(&self) -> Result<Head, RelayerError> {
        let mut asked = JoinSet::new();
        for (index, endpoint) in self.endpoints.iter().enumerate() {
            let (provider, limit) = (endpoint.provider.clone(), self.timeout);
            asked.spawn(async move { (index, timeout(limit, identity(&provider)).await) });
        }
        let mut heads: Vec<(usize, Head)> = Vec::new();
        let mut last = "nothing".to_owned();
        while let Some(answer) = asked.join_next().await {
            let Ok((index, answer)) = answer else { continue };
            let endpoint = &self.endpoints[index];
            match answer {
                Ok(Ok((chain_id, _))) if chain_id != self.chain_id => {
                    return Err(RelayerError::WrongChain {
                        endpoint: endpoint.label.clone(),
                        want: self.chain_id,
                        got: chain_id,
                    });
                }
                Ok(Ok((_, Some(head)))) => heads.push((index, head)),
                Ok(Ok((_, None))) => last = format!("{}: it has no block", endpoint.label),
                Ok(Err(error)) => last = format!("{}: {}", endpoint.label, endpoint.describe(&error)),
                Err(_) => last = format!("{}: no answer in {:?}", endpoint.label, self.timeout),
            }
        }
        heads.sort_by_key(|(index, head)| (std::cmp::Reverse(head.number), *index));
        let best = heads.first().map(|(_, head)| *head);
        *self.order.lock().unwrap_or_else(std::sync::PoisonError::into_inner) =
            heads.into_iter().map(|(index, _)| index).collect();
        best.ok_or(RelayerError::RpcUnreachable { method: "eth_getBlockByNumber", tried: self.endpoints.len(), last })
    }

    /// Waits for the first endpoint that answers, at most `limit`.
    ///
    /// # Errors
    /// As [`Chain::refresh`]; [`RelayerError::RpcUnreachable`] only after `limit`.
    pub async fn wait_for_endpoint(&self, limit: Duration) -> Result<Head, RelayerError> {
        let end = tokio::time::Instant::now() + limit;
        let mut pause = Duration::from_millis(250);
        loop {
            match self.refresh().await {
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

    /// Transactions that an account has sent.
    pub(crate) async fn counts(&self, account: Address) -> Result<Counts, RelayerError> {
        let latest = self
            .read("eth_getTransactionCount", move |p| async move { p.get_transaction_count(account).latest().await })
            .await?;
        let pending = self
            .read("eth_getTransactionCount", move |p| async move { p.get_transaction_count(account).pending().await })
            .await?;
        Ok(Counts { latest, pending })
    }

    /// Transactions of an account that were mined up to a block.
    pub(crate) async fn count_at(&self, account: Address, block: u64) -> Result<u64, RelayerError> {
        self.read("eth_getTransactionCount", move |p| async move {
            p.get_transaction_count(account).block_id(BlockId::number(block)).await
        })
        .await
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

    /// Gives a signed transaction to every endpoint. The best answer counts: one node that takes it
    /// is enough.
    pub(crate) async fn send(&self, raw: &[u8]) -> Result<Sent, RelayerError> {
        let mut asked = JoinSet::new();
        for (index, endpoint) in self.endpoints.iter().enumerate() {
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
                Ok(Err(RpcError::ErrorResp(refusal))) => judge(&refusal.message),
                Ok(Err(error)) => {
                    last = format!("{}: {}", endpoint.label, endpoint.describe(&error));
                    continue;
                }
                Err(_) => {
                    last = format!("{}: no answer in {:?}", endpoint.label, self.timeout);
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
        let mut unreachable = "nothing".to_owned();
        let mut refused = None;
        let order = self.usable();
        for &index in &order {
            let endpoint = &self.endpoints[index];
            match timeout(self.timeout, ask(endpoint.provider.clone())).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(RpcError::ErrorResp(error))) => {
                    if let Some(data) = error.as_revert_data() {
                        return Err(RelayerError::Reverted { what: method, revert: Revert::decode(&data) });
                    }
                    if error.message.contains("revert") {
                        return Err(RelayerError::Reverted { what: method, revert: Revert::decode(&Bytes::new()) });
                    }
                    refused = Some(RelayerError::Rpc {
                        endpoint: endpoint.label.clone(),
                        method,
                        problem: error.message.into_owned(),
                    });
                }
                Ok(Err(error)) => unreachable = format!("{}: {}", endpoint.label, endpoint.describe(&error)),
                Err(_) => unreachable = format!("{}: no answer in {:?}", endpoint.label, self.timeout),
            }
        }
        Err(refused.unwrap_or(RelayerError::RpcUnreachable { method, tried: order.len(), last: unreachable }))
    }

    /// Endpoints to ask, in order: those that answered the last refresh, or all before the first.
    fn usable(&self) -> Vec<usize> {
        let order = self.order.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        if order.is_empty() { (0..self.endpoints.len()).collect() } else { order }
    }
}

/// Shows the label alone: the rest holds credentials.
impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.label)
    }
}

impl Endpoint {
    /// An error's words without the URL, which may hold a credential.
    fn describe(&self, error: &TransportError) -> String {
        let mut text = error.to_string();
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            let cause_text = cause.to_string();
            if !text.contains(&cause_text) {
                text = format!("{text}: {cause_text}");
            }
            source = cause.source();
        }
        self.secret_forms.iter().fold(text, |text, form| text.replace(form, &self.label))
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

/// A URL as it is, and without user and password, which HTTP clients strip from it.
fn secret_forms(url: &Url) -> Vec<String> {
    let mut bare = url.clone();
    // Refused only for URLs that cannot have them.
    let _ = (bare.set_username(""), bare.set_password(None));
    [url.to_string(), bare.to_string()].into()
}

async fn identity(provider: &RootProvider) -> TransportResult<(u64, Option<Head>)> {
    let chain_id = provider.get_chain_id().await?;
    let block = provider.get_block_by_number(BlockNumberOrTag::Latest).await?;
    let head = block.map(|block| Head { number: block.header.number, timestamp: block.header.timestamp });
    Ok((chain_id, head))
}

/// Nodes agree on the meaning of their refusals, not on the words.
fn judge(message: &str) -> Sent {
    let words = message.to_ascii_lowercase();
    if ["already known", "already imported", "already exists", "known transaction"].iter().any(|w| words.contains(w)) {
        Sent::Accepted
    } else if words.contains("nonce too low") || words.contains("nonce is too low") {
        Sent::NonceUsed
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
        Sent::Underpriced => 2,
        Sent::NoFunds => 3,
        Sent::Refused(_) => 4,
    }
}
