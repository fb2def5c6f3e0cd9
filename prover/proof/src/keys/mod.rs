//! Proving and verifying keys.
//!
//! A key knows which circuit and which powers of tau it was made for, how many instance words its
//! statements have, and its canonical digest. Keys are generated without selector compression, so
//! that each selector is a fixed column of its own and the verifier's generator sees all of them.

mod audit;
mod codec;
mod file;
mod layout;

use std::fmt;
use std::ops::Range;

use halo2_proofs::halo2curves::bn256::{Bn256, Fr, G1Affine, G2Affine};
use halo2_proofs::plonk::{self, Circuit, ConstraintSystem};
use halo2_proofs::poly::kzg::commitment::ParamsKZG;

use crate::digest::{CircuitDigest, SrsDigest, VkDigest};
use crate::error::ProofError;
use crate::guard::{guarded, halo2};
use crate::srs::{LogRows, Srs, verifier_params};
use crate::vk_digest;

pub use file::KeyDescription;

/// What a key is made for, beside the circuit's constraints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeySpec {
    /// Identifies the circuit; carried into every artefact.
    pub circuit: CircuitDigest,
    /// Words of a statement: context, packed inputs, packed outputs.
    pub instances: usize,
}

/// A verifying key with all that a verifier needs: it does not read the powers of tau.
#[derive(Clone)]
pub struct VerifyingKey {
    inner: plonk::VerifyingKey<G1Affine>,
    digest: VkDigest,
    spec: KeySpec,
    srs: SrsDigest,
    /// Enough of the setup to check openings; built once, as verifications share it.
    params: ParamsKZG<Bn256>,
    insecure: bool,
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyingKey")
            .field("digest", &self.digest)
            .field("circuit", &self.spec.circuit)
            .field("srs", &self.srs)
            .field("k", &self.k().0)
            .field("instances", &self.spec.instances)
            .field("insecure", &self.insecure)
            .finish_non_exhaustive()
    }
}

impl VerifyingKey {
    fn new(
        inner: plonk::VerifyingKey<G1Affine>,
        spec: KeySpec,
        srs: SrsDigest,
        tau_g2: G2Affine,
        insecure: bool,
    ) -> Result<Self, ProofError> {
        let digest = vk_digest::digest(&inner, &tau_g2, spec.instances)?;
        let params = verifier_params(LogRows(inner.get_domain().k()), tau_g2);
        Ok(Self { inner, digest, spec, srs, params, insecure })
    }

    /// halo2's key.
    #[must_use]
    pub const fn halo2(&self) -> &plonk::VerifyingKey<G1Affine> {
        &self.inner
    }

    /// Canonical digest ([`crate::vk_digest`]).
    #[must_use]
    pub const fn digest(&self) -> VkDigest {
        self.digest
    }

    /// The circuit it was made for.
    #[must_use]
    pub const fn circuit(&self) -> CircuitDigest {
        self.spec.circuit
    }

    /// The powers of tau it was made with.
    #[must_use]
    pub const fn srs(&self) -> SrsDigest {
        self.srs
    }

    /// `tau*G2` of those powers.
    #[must_use]
    pub fn verify_g2(&self) -> G2Affine {
        self.params.s_g2()
    }

    /// What halo2's verifier asks of the setup.
    pub(crate) const fn params(&self) -> &ParamsKZG<Bn256> {
        &self.params
    }

    /// Words of a statement.
    #[must_use]
    pub const fn instances(&self) -> usize {
        self.spec.instances
    }

    /// Whether the key rests on a setup whose tau is known.
    #[must_use]
    pub const fn is_insecure(&self) -> bool {
        self.insecure
    }

    /// log2 of the number of rows.
    #[must_use]
    pub fn k(&self) -> LogRows {
        LogRows(self.inner.get_domain().k())
    }

    /// Bytes of each proof under this key: its points before the scalars, the scalars, and the two points of the opening.
    #[must_use]
    pub fn proof_length(&self) -> usize {
        32 * (self.proof_scalars().end + 4)
    }

    /// Which words of a proof, of 32 bytes each, are scalars; all others are coordinates.
    ///
    /// Points before them: one an advice column, one a permutation set, the random polynomial and the quotient's pieces.
    /// Scalars: one an advice query, one a fixed query, the random polynomial's, one a permutation column, three a
    /// permutation set but two for the last.
    #[must_use]
    pub fn proof_scalars(&self) -> Range<usize> {
        let cs = self.inner.cs();
        let columns = cs.permutation().get_columns().len();
        let sets = columns.div_ceil(cs.degree().saturating_sub(2).max(1));
        let pieces = self.inner.get_domain().get_quotient_poly_degree();
        let start = 2 * (cs.num_advice_columns() + sets + 1 + pieces);
        let scalars = cs.advice_queries().len() + cs.fixed_queries().len() + 1 + columns + (3 * sets).saturating_sub(1);
        start..start + scalars
    }

    /// Refuses a circuit whose configuration is not the key's.
    pub(crate) fn check_circuit<C: Circuit<Fr>>(&self, circuit: &C) -> Result<(), ProofError> {
        let k = self.k().0;
        let theirs = vk_digest::encode_shape(&configure::<C>(circuit.params())?, k)?;
        if theirs == vk_digest::encode_shape(self.inner.cs(), k)? {
            Ok(())
        } else {
            Err(ProofError::CircuitShape { vk_digest: self.digest })
        }
    }

    /// Refuses another setup than the key's.
    pub(crate) fn check_srs(&self, srs: &Srs) -> Result<(), ProofError> {
        if srs.digest() == self.srs {
            Ok(())
        } else {
            Err(ProofError::OtherSrs { made_with: self.srs, given: srs.digest() })
        }
    }

    /// Refuses a statement with another number of words.
    pub(crate) fn check_instances(&self, instances: &[Fr]) -> Result<(), ProofError> {
        if instances.len() == self.spec.instances {
            Ok(())
        } else {
            Err(ProofError::InstanceCount { got: instances.len(), want: self.spec.instances })
        }
    }
}

/// A proving key with its verifying key.
#[derive(Clone)]
pub struct ProvingKey {
    inner: plonk::ProvingKey<G1Affine>,
    verifying: VerifyingKey,
}

impl fmt::Debug for ProvingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProvingKey").field("verifying", &self.verifying).finish_non_exhaustive()
    }
}

impl ProvingKey {
    /// Makes the keys of a circuit with `2^k` rows, `k` being the setup's.
    ///
    /// Before halo2 sees the circuit, its layout is synthesised once against a checker: halo2
    /// itself panics on a cell out of reach, or says nothing.
    ///
    /// # Errors
    /// [`ProofError::Unsupported`] for halo2's lookups and more than one instance column;
    /// [`ProofError::DegreeMismatch`], [`ProofError::TooLittleBlinding`],
    /// [`ProofError::AliasedRotations`] for the configuration; [`ProofError::RowOutOfReach`],
    /// [`ProofError::NotInPermutation`], [`ProofError::InstanceOutOfReach`] for the layout;
    /// [`ProofError::Halo2`] or [`ProofError::Halo2Panicked`] where halo2 refuses all the same.
    pub fn generate<C: Circuit<Fr>>(srs: &Srs, circuit: &C, spec: KeySpec) -> Result<Self, ProofError> {
        let span = tracing::info_span!("keygen", k = srs.k().0);
        let _entered = span.enter();
        let cs = configure::<C>(circuit.params())?;
        audit::check(&cs, srs.k())?;
        layout::check(circuit, &cs, srs.k(), spec.instances)?;
        let inner = guarded("key generation", || plonk::keygen_pk2(srs.params(), circuit, false))?
            .map_err(|error| halo2("key generation", &error))?;
        Self::new(inner, spec, srs.digest(), srs.verify_g2(), srs.provenance().is_insecure())
    }

    fn new(
        inner: plonk::ProvingKey<G1Affine>,
        spec: KeySpec,
        srs: SrsDigest,
        tau_g2: G2Affine,
        insecure: bool,
    ) -> Result<Self, ProofError> {
        let verifying = VerifyingKey::new(inner.get_vk().clone(), spec, srs, tau_g2, insecure)?;
        Ok(Self { inner, verifying })
    }

    /// halo2's key.
    #[must_use]
    pub const fn halo2(&self) -> &plonk::ProvingKey<G1Affine> {
        &self.inner
    }

    /// The verifying key.
    #[must_use]
    pub const fn verifying(&self) -> &VerifyingKey {
        &self.verifying
    }
}

/// A circuit's constraint system as keys hold it: every selector a fixed column.
fn configure<C: Circuit<Fr>>(params: C::Params) -> Result<ConstraintSystem<Fr>, ProofError> {
    guarded("configuration", || {
        let mut cs = ConstraintSystem::default();
        C::configure_with_params(&mut cs, params);
        let selectors = vec![Vec::new(); cs.num_selectors()];
        cs.directly_convert_selectors_to_fixed(selectors).0
    })
}
