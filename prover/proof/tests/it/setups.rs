//! Powers of tau: honest files, and one named error for each way to be wrong.

use std::path::{Path, PathBuf};

use halo2_proofs::halo2curves::CurveAffine;
use halo2_proofs::halo2curves::bn256::{Fq2, Fr, G1Affine, G2, G2Affine};
use halo2_proofs::halo2curves::ff::{Field, PrimeField};
use halo2_proofs::halo2curves::group::Curve;
use halo2_proofs::halo2curves::group::cofactor::CofactorGroup;
use halo2_proofs::halo2curves::group::prime::PrimeCurveAffine;
use halo2_proofs::halo2curves::serde::SerdeObject;
use halo2_proofs::poly::commitment::ParamsProver;
use vouch_proof::artefact::{Artefact, Kind, Stamp};
use vouch_proof::srs::PointProblem;
use vouch_proof::{CircuitDigest, DevelopmentSeed, LogRows, ProofError, Provenance, Srs, SrsDigest, Trust};

use crate::fixtures::{K, reference, srs};

const POWER: u32 = 3;
const N: usize = 1 << POWER;
const MODULUS: &str = "47fd7cd8168c203c8dca7168916a81975d588181b64550b829a031e1724e6430";

/// The parts of a small `.ptau` file, to be spoilt one at a time.
#[derive(Clone)]
struct Ptau {
    power: u32,
    modulus: Vec<u8>,
    tau_g1: Vec<G1Affine>,
    tau_g2: Vec<G2Affine>,
    lagrange: Option<Vec<G1Affine>>,
}

/// snarkjs's root of unity of order `2^k`: a power of 5.
fn snarkjs_root(k: u32) -> Fr {
    // (r - 1) / 2^28, from the modulus.
    let exponent = [0x9b97_0914_3e1f_593f, 0x1815_85d2_833e_8487, 0x131a_029b_8504_5b68, 0x0000_0003_0644_e72e];
    let root = Fr::from(5).pow_vartime(exponent);
    (k..28).fold(root, |root, _| root.square())
}

fn multiple(factor: Fr) -> G1Affine {
    (G1Affine::generator() * factor).to_affine()
}

impl Ptau {
    fn new(tau: Fr) -> Self {
        let powers = |count: usize| (0..count as u64).map(move |i| tau.pow_vartime([i]));
        let mut lagrange = Vec::new();
        for k in 0..=POWER {
            let n = 1u64 << k;
            let root = snarkjs_root(k);
            for i in 0..n {
                // L_i(tau) = w^i (tau^n - 1) / (n (tau - w^i))
                let point = root.pow_vartime([i]);
                let value = point
                    * (tau.pow_vartime([n]) - Fr::ONE)
                    * (Fr::from(n) * (tau - point)).invert().unwrap_or(Fr::ZERO);
                lagrange.push(multiple(value));
            }
        }
        Self {
            power: POWER,
            modulus: hex::decode(MODULUS).unwrap(),
            tau_g1: powers(2 * N - 1).map(multiple).collect(),
            tau_g2: powers(N).map(|power| (G2Affine::generator() * power).to_affine()).collect(),
            lagrange: Some(lagrange),
        }
    }

    fn sections(&self) -> Vec<(u32, Vec<u8>)> {
        let mut header = 32u32.to_le_bytes().to_vec();
        header.extend(&self.modulus);
        header.extend(self.power.to_le_bytes());
        header.extend(28u32.to_le_bytes());
        let g1 = |points: &[G1Affine]| points.iter().flat_map(|p| p.to_raw_bytes()).collect();
        let mut sections =
            vec![(1, header), (2, g1(&self.tau_g1)), (3, self.tau_g2.iter().flat_map(|p| p.to_raw_bytes()).collect())];
        sections.extend(self.lagrange.as_ref().map(|points| (12, g1(points))));
        sections
    }

    fn bytes(&self) -> Vec<u8> {
        file_of(&self.sections())
    }
}

fn file_of(sections: &[(u32, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = b"ptau\x01\0\0\0".to_vec();
    bytes.extend((sections.len() as u32).to_le_bytes());
    for (kind, content) in sections {
        bytes.extend(kind.to_le_bytes());
        bytes.extend((content.len() as u64).to_le_bytes());
        bytes.extend(content);
    }
    bytes
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

fn import(bytes: &[u8]) -> Result<Srs, ProofError> {
    let folder = Folder::new();
    Srs::import_ptau(&folder.write("tau.ptau", bytes), None, Trust::AnySetup)
}

fn spoilt(spoil: impl FnOnce(&mut Ptau)) -> ProofError {
    let mut ptau = Ptau::new(Fr::from(12345));
    spoil(&mut ptau);
    import(&ptau.bytes()).unwrap_err()
}

fn raw_bytes(srs: &Srs) -> Vec<u8> {
    let folder = Folder::new();
    let path = folder.0.path().join("raw");
    srs.export_raw(&path).unwrap();
    std::fs::read(path).unwrap()
}

fn import_raw(bytes: &[u8]) -> Result<Srs, ProofError> {
    Srs::from_raw_bytes(bytes, Trust::AnySetup, Path::new("bytes"))
}

/// A point of the twist that is not in G2: the twist's cofactor is large, so almost any will do.
fn outside_the_subgroup() -> G2Affine {
    let sqrt_of_rhs = |x: Fq2| (x.square() * x + G2Affine::b()).sqrt();
    (1u64..)
        .map(Fq2::from)
        .find_map(|x| {
            let y = Option::<Fq2>::from(sqrt_of_rhs(x))?;
            let point = Option::<G2Affine>::from(G2Affine::from_xy(x, y))?;
            (!bool::from(G2::from(point).is_torsion_free())).then_some(point)
        })
        .unwrap()
}

#[test]
fn an_import_agrees_with_a_setup_from_the_same_tau_at_every_size() {
    let ptau = Ptau::new(Fr::from(12345));
    let folder = Folder::new();
    let path = folder.write("tau.ptau", &ptau.bytes());
    let mut bare = ptau.clone();
    bare.lagrange = None;
    let bare = folder.write("bare.ptau", &bare.bytes());
    for k in 1..=POWER {
        let k = LogRows(k);
        let prepared = Srs::import_ptau(&path, Some(k), Trust::AnySetup).unwrap();
        assert_eq!(prepared.params().get_g(), &ptau.tau_g1[..k.rows()]);
        assert_eq!(prepared.verify_g2(), ptau.tau_g2[1]);
        // Without the file's Lagrange form it is computed by FFT: both must agree.
        let computed = Srs::import_ptau(&bare, Some(k), Trust::AnySetup).unwrap();
        assert_eq!(raw_bytes(&prepared), raw_bytes(&computed));
        assert_eq!(prepared.digest(), computed.digest());
        prepared.check(&path).unwrap();
    }
    let error = Srs::import_ptau(&path, Some(LogRows(4)), Trust::AnySetup).unwrap_err();
    assert!(matches!(error, ProofError::TooFewPowers { have: LogRows(3), want: LogRows(4) }), "{error}");
}

#[test]
fn a_setup_of_no_known_ceremony_is_refused_by_digest_unless_accepted() {
    let folder = Folder::new();
    let path = folder.write("tau.ptau", &Ptau::new(Fr::from(12345)).bytes());
    let error = Srs::import_ptau(&path, None, Trust::KnownCeremonies).unwrap_err();
    assert!(matches!(&error, ProofError::UnknownSetup { blake2b, .. } if blake2b.len() == 128), "{error}");
    let accepted = Srs::import_ptau(&path, None, Trust::AnySetup).unwrap();
    assert!(matches!(accepted.provenance(), Provenance::Unknown { .. }));

    let raw = raw_bytes(srs());
    let error = Srs::from_raw_bytes(&raw, Trust::KnownCeremonies, Path::new("raw")).unwrap_err();
    assert!(matches!(error, ProofError::UnknownSetup { .. }), "{error}");
}

#[test]
fn a_file_that_is_no_ptau_is_named_so() {
    let honest = Ptau::new(Fr::from(12345));
    let mut version = honest.bytes();
    version[4] = 2;
    let mut trailing = honest.bytes();
    trailing.push(0);
    let mut twice = honest.sections();
    twice.push(twice[1].clone());
    let mut missing = honest.sections();
    missing.remove(2);
    let mut curve = honest.clone();
    curve.modulus[0] ^= 1;
    let mut counts = honest;
    counts.tau_g1.pop();
    for (bytes, what) in [
        (raw_bytes(srs()), "letters"),
        (b"ptau".to_vec(), "shorter"),
        (version, "version"),
        (trailing, "follow"),
        (file_of(&twice), "two sections"),
        (file_of(&missing), "missing"),
        (curve.bytes(), "BN254"),
        (counts.bytes(), "power"),
    ] {
        let error = import(&bytes).unwrap_err();
        assert!(matches!(error, ProofError::NotPtau { problem, .. } if problem.contains(what)), "{what}: {error}");
    }
}

#[test]
fn a_truncated_file_is_named_so_at_every_length() {
    let bytes = Ptau::new(Fr::from(12345)).bytes();
    for length in (12..bytes.len()).step_by(41) {
        let error = import(&bytes[..length]).unwrap_err();
        assert!(matches!(error, ProofError::SrsLength { have, .. } if have == length as u64), "{length}: {error}");
    }
    let raw = raw_bytes(srs());
    for length in [0, 3, 4, 100, raw.len() - 1] {
        let error = import_raw(&raw[..length]).unwrap_err();
        assert!(matches!(error, ProofError::SrsLength { have, .. } if have == length as u64), "{length}: {error}");
    }
}

#[test]
fn a_section_length_that_overflows_is_an_error() {
    let mut bytes = Ptau::new(Fr::from(12345)).bytes();
    bytes[16..24].fill(0xff);
    let error = import(&bytes).unwrap_err();
    assert!(matches!(error, ProofError::NotPtau { .. }), "{error}");
}

#[test]
fn a_file_named_for_another_power_is_refused() {
    let folder = Folder::new();
    let bytes = Ptau::new(Fr::from(12345)).bytes();
    let path = folder.write("powersOfTau28_hez_final_09.ptau", &bytes);
    let error = Srs::import_ptau(&path, None, Trust::AnySetup).unwrap_err();
    assert!(matches!(error, ProofError::Misnamed { named: LogRows(9), holds: LogRows(3), .. }), "{error}");
    let path = folder.write("powersOfTau28_hez_final_03.ptau", &bytes);
    Srs::import_ptau(&path, None, Trust::AnySetup).unwrap();
}

#[test]
fn a_flipped_bit_in_any_imported_point_is_found() {
    let bytes = Ptau::new(Fr::from(12345)).bytes();
    let g1 = 12 + 12 + 44 + 12;
    let g2 = g1 + (2 * N - 1) * 64 + 12;
    let flipped = |place: usize| {
        let mut bytes = bytes.clone();
        bytes[place] ^= 4;
        import(&bytes).unwrap_err()
    };
    for index in 0..N {
        let error = flipped(g1 + index * 64 + 5);
        assert!(
            matches!(error, ProofError::BadPoint { index: at, problem: PointProblem::NotOnCurve, section: "powers in G1", .. } if at == index),
            "{error}"
        );
    }
    for index in 0..2 {
        let error = flipped(g2 + index * 128 + 40);
        assert!(
            matches!(error, ProofError::BadPoint { index: at, problem: PointProblem::NotOnCurve, section: "powers in G2", .. } if at == index),
            "{error}"
        );
    }
}

#[test]
fn a_power_replaced_by_another_point_is_found_by_the_pairing() {
    for index in 1..N {
        let error = spoilt(|ptau| ptau.tau_g1[index] = multiple(Fr::from(99)));
        assert!(matches!(error, ProofError::InconsistentPowers { .. }), "{error}");
    }
    let error = spoilt(|ptau| ptau.tau_g1.swap(2, 3));
    assert!(matches!(error, ProofError::InconsistentPowers { .. }), "{error}");
}

#[test]
fn a_tau_in_g2_other_than_in_g1_is_found() {
    let error = spoilt(|ptau| ptau.tau_g2[1] = ptau.tau_g2[2]);
    assert!(matches!(error, ProofError::InconsistentPowers { .. }), "{error}");
}

#[test]
fn a_wrong_lagrange_form_is_found() {
    let of_size = N - 1;
    let error = spoilt(|ptau| {
        ptau.lagrange.as_mut().unwrap().swap(of_size, of_size + 1);
    });
    assert!(matches!(error, ProofError::BadLagrange { .. }), "{error}");

    let mut raw = raw_bytes(srs());
    let lagrange = 4 + K.rows() * 64;
    let (first, second) = raw[lagrange..].split_at_mut(64);
    first.swap_with_slice(&mut second[..64]);
    let error = import_raw(&raw).unwrap_err();
    assert!(matches!(error, ProofError::BadLagrange { .. }), "{error}");
}

#[test]
fn points_at_infinity_are_found() {
    let error = spoilt(|ptau| ptau.tau_g1[3] = G1Affine::identity());
    assert!(matches!(error, ProofError::BadPoint { index: 3, problem: PointProblem::Infinity, .. }), "{error}");
    let error = spoilt(|ptau| {
        ptau.lagrange.as_mut().unwrap()[N - 1] = G1Affine::identity();
    });
    assert!(
        matches!(error, ProofError::BadPoint { problem: PointProblem::Infinity, section: "Lagrange form in G1", .. }),
        "{error}"
    );
}

#[test]
fn other_generators_are_found() {
    let error = spoilt(|ptau| ptau.tau_g1[0] = multiple(Fr::from(2)));
    assert!(matches!(error, ProofError::WrongGenerator { group: "G1", .. }), "{error}");
    let error = spoilt(|ptau| ptau.tau_g2[0] = ptau.tau_g2[1]);
    assert!(matches!(error, ProofError::WrongGenerator { group: "G2", .. }), "{error}");
}

#[test]
fn a_point_of_the_twist_outside_the_subgroup_is_found() {
    let error = spoilt(|ptau| ptau.tau_g2[1] = outside_the_subgroup());
    assert!(matches!(error, ProofError::BadPoint { index: 1, problem: PointProblem::NotInSubgroup, .. }), "{error}");
}

#[test]
fn a_tau_of_zero_or_one_is_found() {
    let one = Ptau::new(Fr::ONE);
    let mut bare = one;
    bare.lagrange = None;
    let error = import(&bare.bytes()).unwrap_err();
    assert!(matches!(error, ProofError::TrivialTau { tau: 1, .. }), "{error}");
    let error = spoilt(|ptau| ptau.tau_g2[1] = G2Affine::identity());
    assert!(matches!(error, ProofError::TrivialTau { tau: 0, .. }), "{error}");
}

#[test]
fn a_raw_file_with_a_point_off_the_curve_is_refused() {
    let raw = raw_bytes(srs());
    for place in [4 + 64 * 3, 4 + 64 * (K.rows() + 3), raw.len() - 250, raw.len() - 100] {
        let mut raw = raw.clone();
        raw[place] ^= 1;
        let error = import_raw(&raw).unwrap_err();
        assert!(matches!(error, ProofError::BadPoint { .. }), "{error}");
    }
}

#[test]
fn a_development_setup_depends_on_its_seed_alone_and_is_marked() {
    assert!(format!("{:?}", srs()).contains("INSECURE"));
    let smaller = srs().downsize(LogRows(3)).unwrap();
    let direct = Srs::development(LogRows(3), DevelopmentSeed::DEFAULT).unwrap();
    assert_eq!(raw_bytes(&smaller), raw_bytes(&direct));
    assert_eq!(smaller.digest(), direct.digest());
    // The same by an FFT over the group, where tau is not at hand.
    let unmarked = import_raw(&raw_bytes(srs())).unwrap();
    let by_fft = unmarked.downsize(LogRows(3)).unwrap();
    assert_eq!(raw_bytes(&by_fft), raw_bytes(&direct));
    assert_ne!(smaller.digest(), srs().digest());
    assert_eq!(smaller.verify_g2(), srs().verify_g2());
    assert!(smaller.provenance().is_insecure());
    let other = Srs::development(LogRows(3), DevelopmentSeed([1; 32])).unwrap();
    assert_ne!(other.digest(), direct.digest());
    let error = smaller.downsize(LogRows(4)).unwrap_err();
    assert!(matches!(error, ProofError::TooFewPowers { .. }), "{error}");
    for k in [0, 29] {
        let error = Srs::development(LogRows(k), DevelopmentSeed::DEFAULT).unwrap_err();
        assert!(matches!(error, ProofError::RowsOutOfRange { .. }), "{error}");
    }
}

#[test]
fn a_stored_setup_comes_back_whole_and_marked() {
    let folder = Folder::new();
    let path = folder.0.path().join("dev.srs");
    srs().save(&path).unwrap();
    assert_eq!(&std::fs::read(&path).unwrap()[16..24], b"INSECURE");
    let loaded = Srs::load(&path, Some(srs().digest())).unwrap();
    assert_eq!(raw_bytes(&loaded), raw_bytes(srs()));
    assert_eq!(loaded.provenance(), srs().provenance());
    let error = Srs::load(&path, Some(SrsDigest([3; 32]))).unwrap_err();
    assert!(matches!(error, ProofError::OtherSrsFile { .. }), "{error}");
}

#[test]
fn a_stored_setup_cannot_claim_a_ceremony_or_hide_its_mark() {
    let folder = Folder::new();
    let path = folder.0.path().join("forged.srs");
    let write = |insecure: bool, provenance: serde_json::Value| {
        let stamp = Stamp { kind: Kind::Srs, insecure, circuit: CircuitDigest::NONE, srs: srs().digest() };
        let description = serde_json::json!({ "k": K.0, "provenance": provenance });
        let bytes = raw_bytes(srs());
        Artefact::write(&path, &stamp, &description, |body| body.write_all(&bytes)).unwrap();
        Srs::load(&path, None).unwrap_err()
    };
    let error = write(false, serde_json::json!({ "kind": "ceremony", "name": "Hermez powers of tau" }));
    assert!(matches!(error, ProofError::FalseProvenance { .. }), "{error}");
    let error = write(false, serde_json::json!({ "kind": "development", "seed": "0x00" }));
    assert!(matches!(error, ProofError::Malformed { .. }), "{error}");
}

#[test]
fn the_ceremonys_files_are_accepted_and_agree_with_each_other() {
    let (Some(ptau), Some(raw)) = (reference("powersOfTau28_hez_final_09.ptau"), reference("hermez-raw-11.srs")) else {
        return;
    };
    let from_ptau = Srs::import_ptau(&ptau, None, Trust::KnownCeremonies).unwrap();
    let from_raw = Srs::import_raw(&raw, Trust::KnownCeremonies).unwrap();
    assert_eq!((from_ptau.k(), from_raw.k()), (LogRows(9), LogRows(11)));
    for srs in [&from_ptau, &from_raw] {
        assert!(matches!(srs.provenance(), Provenance::Ceremony { name } if name.contains("Hermez")));
    }
    let cut = from_raw.downsize(LogRows(9)).unwrap();
    assert_eq!(raw_bytes(&cut), raw_bytes(&from_ptau));
    assert_eq!(cut.digest(), from_ptau.digest());

    let folder = Folder::new();
    let path = folder.0.path().join("hermez.srs");
    from_ptau.save(&path).unwrap();
    let loaded = Srs::load(&path, None).unwrap();
    assert_eq!(loaded.provenance(), from_ptau.provenance());
    loaded.check(&path).unwrap();
}

#[test]
fn the_ceremonys_file_with_one_bit_changed_anywhere_is_refused() {
    let Some(path) = reference("powersOfTau28_hez_final_09.ptau") else {
        return;
    };
    let bytes = std::fs::read(path).unwrap();
    let folder = Folder::new();
    for place in (0..bytes.len()).step_by(bytes.len() / 37) {
        let mut bytes = bytes.clone();
        bytes[place] ^= 1;
        let path = folder.write("changed.ptau", &bytes);
        let error = Srs::import_ptau(&path, None, Trust::KnownCeremonies).unwrap_err();
        assert!(
            matches!(
                error,
                ProofError::UnknownSetup { .. } | ProofError::NotPtau { .. } | ProofError::SrsLength { .. }
            ),
            "{error}"
        );
    }
}

#[test]
fn snarkjs_and_halo2_roots_have_the_same_order() {
    assert_eq!(snarkjs_root(28).pow_vartime([1 << 28]), Fr::ONE);
    assert_eq!(snarkjs_root(1), -Fr::ONE);
    assert_eq!(Fr::S, 28);
}
