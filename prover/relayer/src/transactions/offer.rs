//! What a transaction says and what it offers.

use alloy::consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy::eips::eip2718::Encodable2718;
use alloy::network::TxSignerSync;
use alloy::primitives::{Bytes, TxKind, U256};
use alloy::rpc::types::TransactionRequest;

use super::TransactionManager;
use super::fees::{Fees, Limits, Urgency, check_budget};
use crate::chain::{Head, request};
use crate::error::RelayerError;
use crate::event::Wait;
use crate::journal::{Attempt, AttemptKind, JobRecord, now};
use crate::revert::Revert;

/// Share of the gas estimate that is added to it: state changes between estimate and inclusion.
const GAS_MARGIN_PERCENT: u64 = 25;
/// The day of the daily budget (seconds).
const DAY: u64 = 86_400;

/// What a new transaction would cost.
pub(super) struct Quote {
    pub(super) gas_limit: u64,
    pub(super) fees: Fees,
}

/// Why there is no quote.
pub(super) enum NoQuote {
    Reverted(Revert),
    Wait(Wait),
}

impl TransactionManager {
    /// Gas, fees and budget of the job's transaction on the newest state.
    pub(super) async fn quote(
        &self,
        job: &JobRecord,
        request: &TransactionRequest,
        head: Head,
    ) -> Result<Result<Quote, NoQuote>, RelayerError> {
        let gas = match self.chain.estimate_gas(request).await? {
            Ok(gas) => gas,
            Err(revert) => return Ok(Err(NoQuote::Reverted(revert))),
        };
        let gas_limit = gas.saturating_add(gas.saturating_mul(GAS_MARGIN_PERCENT) / 100);
        let spent = self.spent().await?;
        let history = self.chain.fee_history().await?;
        let limits = Limits::of(&self.fees, AttemptKind::Submit);
        let fees = Fees::suggest(&history, limits, self.urgency(job, head))
            .and_then(|fees| check_budget(fees.cost(gas_limit), spent, &self.fees).map(|()| fees));
        Ok(fees.map(|fees| Quote { gas_limit, fees }).map_err(NoQuote::Wait))
    }

    pub(super) async fn spent(&self) -> Result<u128, RelayerError> {
        self.journal.fees_since(now().saturating_sub(DAY)).await
    }

    pub(super) fn urgency(&self, job: &JobRecord, head: Head) -> Urgency {
        let soon = head.timestamp.saturating_add(self.fees.urgent_seconds.get());
        if job.deadline.is_some_and(|deadline| deadline < soon) { Urgency::High } else { Urgency::Normal }
    }

    pub(super) fn request(&self, job: &JobRecord) -> TransactionRequest {
        let calldata = job.calldata.clone().unwrap_or_default();
        request(Some(self.sender()), job.key.consumer, calldata, U256::ZERO)
    }

    pub(super) fn sign(
        &self,
        job: &JobRecord,
        nonce: u64,
        kind: AttemptKind,
        quote: &Quote,
    ) -> Result<Attempt, RelayerError> {
        let (to, input) = match kind {
            AttemptKind::Submit => (job.key.consumer, job.calldata.clone().unwrap_or_default()),
            AttemptKind::Cancel => (self.sender(), Bytes::new()),
        };
        let mut transaction = TxEip1559 {
            chain_id: self.chain.chain_id(),
            nonce,
            gas_limit: quote.gas_limit,
            max_fee_per_gas: quote.fees.max_fee,
            max_priority_fee_per_gas: quote.fees.priority_fee,
            to: TxKind::Call(to),
            value: U256::ZERO,
            access_list: Default::default(),
            input,
        };
        let signature = self
            .signer
            .sign_transaction_sync(&mut transaction)
            .map_err(|error| RelayerError::Signing { job: job.id, problem: error.to_string() })?;
        let signed = transaction.into_signed(signature);
        let hash = *signed.hash();
        Ok(Attempt {
            hash,
            nonce,
            kind,
            raw: TxEnvelope::from(signed).encoded_2718().into(),
            gas_limit: quote.gas_limit,
            max_fee: quote.fees.max_fee,
            priority_fee: quote.fees.priority_fee,
            signed_at: now(),
            fee_paid: None,
        })
    }
}
