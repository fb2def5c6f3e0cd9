//! The two native verifiers, and what their transcripts drew.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use halo2_proofs::halo2curves::bn256::{Bn256, Fr, G1Affine};
use halo2_proofs::plonk::verify_proof;
use halo2_proofs::poly::commitment::ParamsProver;
use halo2_proofs::poly::kzg::commitment::KZGCommitmentScheme;
use halo2_proofs::poly::kzg::multiopen::VerifierSHPLONK;
use halo2_proofs::poly::kzg::strategy::SingleStrategy;
use halo2_proofs::transcript as halo2;
use halo2_proofs::transcript::EncodedChallenge;
use snark_verifier::Error;
use snark_verifier::loader::native::NativeLoader;
use snark_verifier::pcs::kzg::{Bdfg21, KzgAs, KzgDecidingKey};
use snark_verifier::system::halo2::transcript::evm::ChallengeEvm;
use snark_verifier::system::halo2::{Config, compile};
use snark_verifier::util::transcript as snark;
use snark_verifier::verifier::SnarkVerifier;
use snark_verifier::verifier::plonk::{PlonkProtocol, PlonkVerifier};

use crate::circuits::{EvmNative, Keyed};
use crate::mutation::Case;

pub(crate) type Reference = PlonkVerifier<KzgAs<Bn256, Bdfg21>>;
type Challenge = ChallengeEvm<G1Affine>;

/// What a verifier says, and the challenges that it drew on the way.
#[derive(Clone, Debug)]
pub(crate) struct Verdict {
    pub(crate) accepted: bool,
    pub(crate) challenges: Vec<Fr>,
}

impl Verdict {
    fn refused() -> Self {
        Verdict { accepted: false, challenges: Vec::new() }
    }
}

/// A transcript that remembers its challenges.
struct Recording<'a, 'p> {
    inner: EvmNative<&'a mut &'p [u8]>,
    challenges: Vec<Fr>,
}

impl<'a, 'p> Recording<'a, 'p> {
    fn new(proof: &'a mut &'p [u8]) -> Self {
        Recording { inner: EvmNative::<&mut &[u8]>::new(proof), challenges: Vec::new() }
    }
}

impl halo2::Transcript<G1Affine, Challenge> for Recording<'_, '_> {
    fn squeeze_challenge(&mut self) -> Challenge {
        let challenge = halo2::Transcript::squeeze_challenge(&mut self.inner);
        self.challenges.push(challenge.get_scalar());
        challenge
    }

    fn common_point(&mut self, point: G1Affine) -> io::Result<()> {
        halo2::Transcript::common_point(&mut self.inner, point)
    }

    fn common_scalar(&mut self, scalar: Fr) -> io::Result<()> {
        halo2::Transcript::common_scalar(&mut self.inner, scalar)
    }
}

impl halo2::TranscriptRead<G1Affine, Challenge> for Recording<'_, '_> {
    fn read_point(&mut self) -> io::Result<G1Affine> {
        halo2::TranscriptRead::read_point(&mut self.inner)
    }

    fn read_scalar(&mut self) -> io::Result<Fr> {
        halo2::TranscriptRead::read_scalar(&mut self.inner)
    }
}

impl snark::Transcript<G1Affine, NativeLoader> for Recording<'_, '_> {
    fn loader(&self) -> &NativeLoader {
        snark::Transcript::loader(&self.inner)
    }

    fn squeeze_challenge(&mut self) -> Fr {
        let challenge = snark::Transcript::squeeze_challenge(&mut self.inner);
        self.challenges.push(challenge);
        challenge
    }

    fn common_ec_point(&mut self, point: &G1Affine) -> Result<(), Error> {
        snark::Transcript::common_ec_point(&mut self.inner, point)
    }

    fn common_scalar(&mut self, scalar: &Fr) -> Result<(), Error> {
        snark::Transcript::common_scalar(&mut self.inner, scalar)
    }
}

impl snark::TranscriptRead<G1Affine, NativeLoader> for Recording<'_, '_> {
    fn read_scalar(&mut self) -> Result<Fr, Error> {
        snark::TranscriptRead::read_scalar(&mut self.inner)
    }

    fn read_ec_point(&mut self) -> Result<G1Affine, Error> {
        snark::TranscriptRead::read_ec_point(&mut self.inner)
    }
}

/// halo2's verdict. Its verifier reads what it needs; a proof that goes on is refused here.
pub(crate) fn halo2(keyed: &Keyed, case: &Case) -> Verdict {
    let Some(instances) = case.scalars() else { return Verdict::refused() };
    let mut rest = case.proof.as_slice();
    let mut transcript = Recording::new(&mut rest);
    let verified = verify_proof::<KZGCommitmentScheme<Bn256>, VerifierSHPLONK<'_, Bn256>, _, _, _>(
        &keyed.srs,
        keyed.vk(),
        SingleStrategy::new(&keyed.srs),
        &[&[&instances]],
        &mut transcript,
    );
    let challenges = std::mem::take(&mut transcript.challenges);
    drop(transcript);
    Verdict { accepted: verified.is_ok() && rest.is_empty(), challenges }
}

/// snark-verifier's description of a circuit.
pub(crate) struct Twin {
    pub(crate) protocol: PlonkProtocol<G1Affine>,
    pub(crate) key: KzgDecidingKey<Bn256>,
}

impl Twin {
    /// The words of its panic where it cannot describe the circuit.
    pub(crate) fn new(keyed: &Keyed) -> Result<Self, String> {
        unpanicked(|| {
            let config = Config::kzg().with_num_instance(vec![keyed.recipe.instances]);
            let protocol = compile(&keyed.srs, keyed.vk(), config);
            let key = (keyed.srs.get_g()[0], keyed.srs.g2(), keyed.srs.s_g2()).into();
            Twin { protocol, key }
        })
    }

    /// snark-verifier's verdict, with the same care for a proof that goes on; the words of its
    /// panic where it cannot verify.
    pub(crate) fn verdict(&self, case: &Case) -> Result<Verdict, String> {
        let Some(instances) = case.scalars() else { return Ok(Verdict::refused()) };
        let mut rest = case.proof.as_slice();
        let mut transcript = Recording::new(&mut rest);
        let instances = [instances];
        let verified = unpanicked(|| {
            Reference::read_proof(&self.key, &self.protocol, &instances, &mut transcript)
                .and_then(|proof| Reference::verify(&self.key, &self.protocol, &instances, &proof))
        })?;
        let challenges = std::mem::take(&mut transcript.challenges);
        drop(transcript);
        Ok(Verdict { accepted: verified.is_ok() && rest.is_empty(), challenges })
    }
}

/// The result, or the words of the panic.
pub(crate) fn unpanicked<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|payload| {
        let text = payload.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("a panic without words");
        text.lines().next().unwrap_or_default().to_owned()
    })
}
