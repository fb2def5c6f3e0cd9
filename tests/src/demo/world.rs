//! A local chain with a market, the contracts and a funded vault.

use std::path::{Path, PathBuf};

use alloy::{
    node_bindings::{Anvil, AnvilInstance},
    primitives::{Address, U256},
    providers::{DynProvider, Provider, ProviderBuilder, ext::AnvilApi},
};
use eyre::{Context as _, Result, eyre};
use serde_json::{Value, json};

use super::{
    contracts::{IFeatureRing, IPoolOperator, ITestToken, IVault},
    tools::{account_key, forge_script, foundry_program, read_json, vouch_with, write_json},
};

/// Length of an epoch on the local chain: a trading day.
pub const EPOCH_SECONDS: u64 = 86_400;
/// Observations that the model reads.
pub const WINDOW: u64 = 32;
/// Time into an epoch at which its price is old enough for the vault's TWAP.
const SETTLED_SECONDS: u64 = 7_200;
/// One token.
const UNIT: u128 = 1_000_000_000_000_000_000;

/// The chain and what stands on it.
pub struct World {
    anvil: AnvilInstance,
    provider: DynProvider,
    folder: PathBuf,
    ticks: Vec<i32>,
    /// Pool of base and risk token.
    pub pool: Address,
    operator: Address,
    base: Address,
    /// Addresses of the deployment, zero before it.
    pub registry: Address,
    /// The feature ring.
    pub ring: Address,
    /// The vault.
    pub vault: Address,
    /// The registered model.
    pub model_id: U256,
}

/// What is registered.
pub struct Registration<'a> {
    /// `verifier.json` of the model.
    pub verifier: &'a Value,
    /// Where the model's verifier is.
    pub address: &'a str,
    /// Instance words of the input.
    pub input_words: u64,
    /// Bits of an output value.
    pub output_bits: u64,
    /// Values in an output word.
    pub output_per_word: u64,
    /// Exponent of the output.
    pub output_exponent: i64,
}

impl World {
    /// Starts a chain with a Uniswap v3 market at the first price of the series.
    ///
    /// # Errors
    /// Where a tool is missing or the chain refuses.
    pub async fn with_market(folder: &Path, ticks: Vec<i32>) -> Result<Self> {
        let anvil = Anvil::new()
            .path(foundry_program("anvil")?)
            .args(["--hardfork", "cancun"])
            .try_spawn()
            .context("anvil did not start")?;
        let signer = alloy::signers::local::PrivateKeySigner::from(anvil.keys()[0].clone());
        let provider = ProviderBuilder::new().wallet(signer).connect_http(anvil.endpoint_url()).erased();
        let plan = folder.join("market.json");
        let report = folder.join("market.deployed.json");
        let first = *ticks.first().ok_or_else(|| eyre!("the price series is empty"))?;
        write_json(
            &plan,
            &json!({
                "baseDecimals": 18, "riskDecimals": 18, "fee": 500, "priceTick": first,
                "liquidity": 50_000 * UNIT, "observations": 400, "deployerBalance": format!("{}", U256::from(UNIT) * U256::from(1_000_000_000_000_u64)),
            }),
        )?;
        let key = account_key(&anvil, 0);
        forge_script(
            "script/Market.s.sol:Market",
            &anvil.endpoint(),
            &key,
            &[("VOUCH_MARKET", &plan), ("VOUCH_MARKET_OUT", &report)],
        )?;
        let deployed = read_json(&report)?;
        Ok(Self {
            pool: address(&deployed, "pool")?,
            operator: address(&deployed, "operator")?,
            base: address(&deployed, "base")?,
            registry: Address::ZERO,
            ring: Address::ZERO,
            vault: Address::ZERO,
            model_id: U256::ZERO,
            folder: folder.to_owned(),
            ticks,
            anvil,
            provider,
        })
    }

    /// Deploys a model's verifier with `vouch deploy`, and registers the model where a registry is given; the report.
    ///
    /// # Errors
    /// Where the deployment or the registration fails.
    pub fn deploy_verifier(&self, model: &Path, registry: Option<Address>) -> Result<Value> {
        let (dir, url) = (model.display().to_string(), self.url());
        let registry = registry.map(|address| address.to_string());
        let mut arguments = vec!["deploy", &dir, "--rpc-url", &url];
        arguments.extend(registry.iter().flat_map(|address| ["--registry", address.as_str()]));
        vouch_with(&arguments, &[("VOUCH_DEPLOYER_KEY", &self.key())])
    }

    /// Deploys registry, ring and vault, and registers the model.
    ///
    /// # Errors
    /// Where the deployment fails.
    pub fn deploy(&mut self, model: &Registration<'_>) -> Result<()> {
        let plan = self.folder.join("deployment.json");
        let report = self.folder.join("deployment.deployed.json");
        let owner = self.account();
        let digest = model.verifier["model_digest"].clone();
        let scale = 1i64 << model.output_exponent;
        write_json(
            &plan,
            &json!({
                "updateDelay": 172_800,
                "pool": self.pool,
                "base": self.base,
                "model": {
                    "verifier": model.address,
                    "modelHash": digest, "vkHash": model.verifier["vk_digest"],
                    "circuitHash": digest, "uri": "models/rebalancer",
                    "inputWords": model.input_words, "inputsArePublic": true,
                    "output": {
                        "count": 1, "bits": model.output_bits, "perWord": model.output_per_word,
                        "exponent": model.output_exponent, "minimum": 0, "maximum": scale,
                    },
                },
                "ring": { "epochSeconds": EPOCH_SECONDS, "maxTickChange": 4_000, "slots": 12 },
                "gate": { "windowEpochs": WINDOW, "maxAgeSeconds": 2 * EPOCH_SECONDS },
                "vault": {
                    "name": "Vouch Vault", "symbol": "vBASE", "twapSeconds": 1_800,
                    "riskDelay": 259_200, "owner": owner, "guardian": owner,
                },
                "rails": {
                    "weightCapWad": 900_000_000_000_000_000_u64, "maxStepWad": 250_000_000_000_000_000_u64,
                    "hysteresisWad": 2_000_000_000_000_000_u64, "defaultWeightWad": 100_000_000_000_000_000_u64,
                    "cooldown": 3_600, "proverDeadline": 30 * EPOCH_SECONDS, "slippageBps": 100, "lossBudgetBps": 100,
                },
            }),
        )?;
        forge_script(
            "script/Deploy.s.sol:Deploy",
            &self.url(),
            &self.key(),
            &[("VOUCH_DEPLOYMENT", &plan), ("VOUCH_DEPLOYED", &report)],
        )?;
        let deployed = read_json(&report)?;
        self.registry = address(&deployed, "registry")?;
        self.ring = address(&deployed, "ring")?;
        self.vault = address(&deployed, "vault")?;
        self.model_id = U256::from(deployed["modelId"].as_u64().unwrap_or(1));
        Ok(())
    }

    /// Puts base tokens into the vault.
    ///
    /// # Errors
    /// Where a transaction reverts.
    pub async fn fund_vault(&self, tokens: u64) -> Result<()> {
        let amount = U256::from(tokens) * U256::from(UNIT);
        let token = ITestToken::new(self.base, &self.provider);
        token.mint(self.account(), amount).send().await?.get_receipt().await?;
        token.approve(self.vault, amount).send().await?.get_receipt().await?;
        self.vault_contract().deposit(amount, self.account()).send().await?.get_receipt().await?;
        Ok(())
    }

    /// Goes to the start of an epoch, moves the market to that day's price and lets it settle.
    ///
    /// # Errors
    /// Where a transaction reverts, or the price series ends.
    pub async fn begin_epoch(&self, epoch: u64) -> Result<()> {
        let ring = IFeatureRing::new(self.ring, &self.provider);
        let start: u64 = ring.startOf(epoch).call().await?.try_into()?;
        let tick =
            *self.ticks.get(usize::try_from(epoch)?).ok_or_else(|| eyre!("the price series ends at epoch {epoch}"))?;
        self.wait_until(start + 1).await?;
        self.move_price(tick).await?;
        self.wait_until(start + SETTLED_SECONDS).await
    }

    /// Has the ring record every epoch that is over.
    ///
    /// # Errors
    /// Where none is.
    pub async fn poke(&self) -> Result<()> {
        IFeatureRing::new(self.ring, &self.provider).poke().send().await?.get_receipt().await?;
        Ok(())
    }

    /// Ticks that the ring recorded for the window that ends before `end`.
    ///
    /// # Errors
    /// Where the ring does not answer.
    pub async fn window(&self, end: u64) -> Result<Vec<i64>> {
        let ring = IFeatureRing::new(self.ring, &self.provider);
        let mut ticks = Vec::new();
        for epoch in end - WINDOW..end {
            ticks.push(i64::from(ring.tickAt(epoch).call().await?.as_i32()));
        }
        Ok(ticks)
    }

    async fn move_price(&self, tick: i32) -> Result<()> {
        // Prices are of the risk token; the pool counts in its first token.
        let pool_tick = if self.risk_is_token0().await? { tick } else { -tick };
        let tick = alloy::primitives::aliases::I24::try_from(pool_tick)?;
        IPoolOperator::new(self.operator, &self.provider).moveTo(self.pool, tick).send().await?.get_receipt().await?;
        Ok(())
    }

    async fn risk_is_token0(&self) -> Result<bool> {
        alloy::sol! {
            #[sol(rpc)]
            interface IPool {
                function token0() external view returns (address);
            }
        }
        Ok(IPool::new(self.pool, &self.provider).token0().call().await? != self.base)
    }

    async fn wait_until(&self, timestamp: u64) -> Result<()> {
        let block = self.provider.get_block(alloy::eips::BlockId::latest()).await?;
        let now = block.map_or(0, |block| block.header.timestamp);
        if timestamp > now {
            self.provider.anvil_set_next_block_timestamp(timestamp).await?;
            self.provider.anvil_mine(Some(1), None).await?;
        }
        Ok(())
    }

    /// The vault's functions.
    pub fn vault_contract(&self) -> IVault::IVaultInstance<DynProvider> {
        IVault::new(self.vault, self.provider.clone())
    }

    /// Where the chain listens.
    pub fn url(&self) -> String {
        self.anvil.endpoint()
    }

    /// The chain's id.
    pub fn chain_id(&self) -> u64 {
        self.anvil.chain_id()
    }

    /// The deployer's account.
    pub fn account(&self) -> Address {
        self.anvil.addresses()[0]
    }

    /// The deployer's key; anvil's keys are public.
    pub fn key(&self) -> String {
        account_key(&self.anvil, 0)
    }

    /// The relayer's key, another account than the deployer's.
    pub fn relayer_key(&self) -> String {
        account_key(&self.anvil, 1)
    }

    /// The provider.
    pub fn provider(&self) -> &DynProvider {
        &self.provider
    }
}

fn address(report: &Value, key: &str) -> Result<Address> {
    let text = report[key].as_str().ok_or_else(|| eyre!("the deployment reports no {key}"))?;
    Ok(text.parse()?)
}
