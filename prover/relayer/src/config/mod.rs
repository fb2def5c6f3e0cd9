//! The configuration file.

mod signer;
mod units;

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use alloy::primitives::Address;
use alloy::transports::http::reqwest::Url;
use serde::Deserialize;

pub use signer::SignerConfig;
pub use units::{Seconds, Wei};

use crate::error::RelayerError;

/// Chain ids of development nodes: anvil and hardhat, geth.
const DEVELOPMENT_CHAINS: [u64; 2] = [31_337, 1337];
/// Confirmations where the file says nothing: on a live chain and on a development chain.
const LIVE_CONFIRMATIONS: u64 = 10;
const DEVELOPMENT_CONFIRMATIONS: u64 = 1;

/// Whether a chain id is that of a development node, where nothing has value.
#[must_use]
pub fn is_development_chain(chain_id: u64) -> bool {
    DEVELOPMENT_CHAINS.contains(&chain_id)
}

/// What `relayer.toml` says. Keys that do not exist are refused; relative paths are relative to the
/// file's folder.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelayerConfig {
    /// RPC endpoints over HTTP, at least one. Reads go to the one with the newest head that can be
    /// believed, transactions to all.
    pub rpc: Vec<RpcUrl>,
    /// Chain that the endpoints must serve.
    pub chain_id: u64,
    /// Contract that extends `InferenceGate`.
    pub gate: Address,
    /// The gate's feature ring; the gate is asked where it is left out.
    #[serde(default)]
    pub ring: Option<Address>,
    /// Folder with the model's compiled circuit and keys.
    pub model: PathBuf,
    /// The journal: an SQLite file, made where it is missing.
    pub store: PathBuf,
    /// Whether to call the ring's `poke` when an epoch has ended.
    #[serde(default = "yes")]
    pub poke: bool,
    /// Whether to stop before signing: everything but the transaction happens.
    #[serde(default)]
    pub dry_run: bool,
    /// Blocks, its own included, after which a transaction counts as confirmed. 1 on chains 31337
    /// and 1337, 10 elsewhere, where it is left out.
    #[serde(default)]
    pub confirmations: Option<u64>,
    /// Time between two looks at the chain.
    #[serde(default = "default_poll")]
    pub poll_seconds: Seconds,
    /// Time that an endpoint has for an answer.
    #[serde(default = "default_rpc_timeout")]
    pub rpc_timeout_seconds: Seconds,
    /// Time to wait at the start for the first endpoint that answers.
    #[serde(default = "default_rpc_wait")]
    pub rpc_wait_seconds: Seconds,
    /// The key that pays.
    pub signer: SignerConfig,
    /// The process that proves.
    #[serde(default)]
    pub prover: ProverConfig,
    /// What may be paid.
    #[serde(default)]
    pub fees: FeeConfig,
}

/// The process that proves.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProverConfig {
    /// The `vouch` command: a path, or a name to be found in `PATH`.
    pub command: PathBuf,
    /// Time after which a proof is given up and its process killed.
    pub timeout_seconds: Seconds,
    /// How often a proof is tried before its job fails.
    pub attempts: u32,
    /// Exponent of the model's input: the integer `q` of the ring is given to the prover as the
    /// real number `q / 2^exponent`.
    pub input_exponent: i32,
}

impl Default for ProverConfig {
    fn default() -> Self {
        Self { command: PathBuf::from("vouch"), timeout_seconds: Seconds::new(600), attempts: 2, input_exponent: 0 }
    }
}

/// What may be paid. Amounts are written with their unit: `"0.05 ether"`, `"30 gwei"`, `"7 wei"`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FeeConfig {
    /// Highest price of a unit of gas, base fee and tip together. A submission offers at most eight ninths of
    /// it, so that a cancellation can still replace it.
    pub max_fee_per_gas: Wei,
    /// Lowest tip for a unit of gas.
    pub min_priority_fee: Wei,
    /// Highest fee of one transaction.
    pub max_fee_per_transaction: Wei,
    /// Highest sum of fees in 24 hours.
    pub max_fee_per_day: Wei,
    /// Time after which a transaction that is not mined is replaced by one that pays more.
    pub resubmit_seconds: Seconds,
    /// Time before a statement's deadline from which a higher tip is paid.
    pub urgent_seconds: Seconds,
}

impl Default for FeeConfig {
    fn default() -> Self {
        Self {
            max_fee_per_gas: Wei::gwei(200),
            min_priority_fee: Wei::new(10_000_000),
            max_fee_per_transaction: Wei::gwei(100_000_000),
            max_fee_per_day: Wei::gwei(1_000_000_000),
            resubmit_seconds: Seconds::new(45),
            urgent_seconds: Seconds::new(120),
        }
    }
}

/// The URL of an RPC endpoint. It often carries a credential, so only host and port are ever shown.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct RpcUrl(Url);

impl RpcUrl {
    /// The whole URL, credentials included.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.0
    }

    /// Scheme, host and port.
    #[must_use]
    pub fn label(&self) -> String {
        let port = self.0.port().map(|port| format!(":{port}")).unwrap_or_default();
        format!("{}://{}{port}", self.0.scheme(), self.0.host_str().unwrap_or("?"))
    }

    /// An error's words and its causes', with the label in the place of the URL: HTTP clients repeat the URL in
    /// their errors.
    #[must_use]
    pub fn describe(&self, error: &dyn std::error::Error) -> String {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            let words = cause.to_string();
            if !text.contains(&words) {
                text = format!("{text}: {words}");
            }
            source = cause.source();
        }
        // As it is, and without user and password, which HTTP clients strip from it.
        let mut bare = self.0.clone();
        // Refused only for URLs that cannot have them.
        let _ = (bare.set_username(""), bare.set_password(None));
        [self.0.as_str(), bare.as_str()].iter().fold(text, |text, form| text.replace(form, &self.label()))
    }
}

impl FromStr for RpcUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::try_from(text.to_owned())
    }
}

impl TryFrom<String> for RpcUrl {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        // The text is not repeated: it may be a credential that was put in the wrong place.
        let url = Url::parse(&text).map_err(|error| format!("not a URL: {error}; write http://host:port"))?;
        match url.scheme() {
            "http" | "https" => Ok(Self(url)),
            scheme => Err(format!("scheme `{scheme}` is not supported; write http://host:port or https://…")),
        }
    }
}

impl fmt::Debug for RpcUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.label())
    }
}

fn yes() -> bool {
    true
}

fn default_poll() -> Seconds {
    Seconds::new(4)
}

fn default_rpc_timeout() -> Seconds {
    Seconds::new(10)
}

fn default_rpc_wait() -> Seconds {
    Seconds::new(60)
}

impl RelayerConfig {
    /// Reads and checks a configuration file.
    ///
    /// # Errors
    /// [`RelayerError::ConfigFile`] where it cannot be read, [`RelayerError::ConfigSyntax`] where it
    /// is not the TOML of a configuration, [`RelayerError::ConfigValue`] where a value makes no sense.
    pub fn read(path: &Path) -> Result<Self, RelayerError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| RelayerError::ConfigFile { path: path.to_owned(), source })?;
        let mut config = Self::parse(&text, path)?;
        let folder = path.parent().unwrap_or(Path::new("."));
        config.model = folder.join(&config.model);
        config.store = folder.join(&config.store);
        if let Some(keystore) = &mut config.signer.keystore {
            *keystore = folder.join(&*keystore);
        }
        // A bare name is looked up in PATH; anything with a separator is a file.
        if config.prover.command.components().count() > 1 {
            config.prover.command = folder.join(&config.prover.command);
        }
        Ok(config)
    }

    /// Checks the text of a configuration file; `path` is what messages call it. Relative paths
    /// stay as they are.
    ///
    /// # Errors
    /// As [`RelayerConfig::read`], without those of reading.
    pub fn parse(text: &str, path: &Path) -> Result<Self, RelayerError> {
        let config: Self = toml::from_str(text)
            .map_err(|error| RelayerError::ConfigSyntax { path: path.to_owned(), problem: explain(&error, text) })?;
        config.check()?;
        Ok(config)
    }

    /// Confirmations in force.
    #[must_use]
    pub fn confirmations(&self) -> u64 {
        self.confirmations.unwrap_or(if is_development_chain(self.chain_id) {
            DEVELOPMENT_CONFIRMATIONS
        } else {
            LIVE_CONFIRMATIONS
        })
    }

    fn check(&self) -> Result<(), RelayerError> {
        let bad =
            |key, problem: &str, remedy| Err(RelayerError::ConfigValue { key, problem: problem.to_owned(), remedy });
        if self.rpc.is_empty() {
            return bad("rpc", "there is no endpoint", "write rpc = [\"http://host:port\"]");
        }
        if self.gate == Address::ZERO {
            return bad("gate", "it is the zero address", "write the address of the deployed gate");
        }
        if self.confirmations == Some(0) {
            return bad("confirmations", "0 blocks confirm nothing", "write 1 or more");
        }
        if self.poll_seconds.get() == 0 {
            return bad("poll_seconds", "it is 0", "write 1 or more");
        }
        if self.rpc_timeout_seconds.get() == 0 {
            return bad("rpc_timeout_seconds", "it is 0", "write 1 or more");
        }
        if self.prover.timeout_seconds.get() == 0 {
            return bad("prover.timeout_seconds", "it is 0", "write the longest time a proof may take");
        }
        if self.prover.attempts == 0 {
            return bad("prover.attempts", "it is 0, so nothing would be proven", "write 1 or more");
        }
        if self.prover.input_exponent.abs() > 64 {
            return bad("prover.input_exponent", "it is beyond 64", "write the input's exponent in the model");
        }
        if self.fees.min_priority_fee > self.fees.max_fee_per_gas {
            return bad(
                "fees.min_priority_fee",
                "it is above `fees.max_fee_per_gas`, so nothing could be sent",
                "lower it or raise the other",
            );
        }
        if self.fees.max_fee_per_transaction > self.fees.max_fee_per_day {
            return bad(
                "fees.max_fee_per_transaction",
                "it is above `fees.max_fee_per_day`",
                "lower it or raise the other",
            );
        }
        self.signer.check()
    }
}

/// The error's own words and its line; never the line's text, which may hold a credential.
fn explain(error: &toml::de::Error, text: &str) -> String {
    let line = error.span().map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
    match line {
        Some(line) => format!("line {line}: {}", error.message()),
        None => error.message().to_owned(),
    }
}

#[cfg(test)]
mod tests;
