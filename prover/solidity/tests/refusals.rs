//! What the generator does not support it refuses by name, before any code is written.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod circuits;

use halo2_proofs::circuit::{Layouter, SimpleFloorPlanner, Value};
use halo2_proofs::halo2curves::bn256::{Bn256, Fr, G1Affine, G2Affine};
use halo2_proofs::halo2curves::ff::Field;
use halo2_proofs::halo2curves::group::prime::PrimeCurveAffine;
use halo2_proofs::plonk::{Advice, Circuit, Column, ConstraintSystem, Error as PlonkError, VerifyingKey, keygen_vk};
use halo2_proofs::poly::Rotation;
use halo2_proofs::poly::kzg::commitment::ParamsKZG;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use vouch_solidity::{Error, Evm, Generator, Rules, SolcPath, VerifierParams, compile};

const K: u32 = 5;

/// One property that the generator refuses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Oddity {
    #[default]
    None,
    TwoInstanceColumns,
    NoInstanceColumn,
    CappedLookup,
    UnopenedAdvice,
    CoincidingRotations,
    CappedDegree,
    Selector,
}

#[derive(Clone, Default)]
struct Odd(Oddity);

impl Circuit<Fr> for Odd {
    type Config = Column<Advice>;
    type FloorPlanner = SimpleFloorPlanner;
    type Params = Oddity;

    fn without_witnesses(&self) -> Self {
        self.clone()
    }

    fn params(&self) -> Oddity {
        self.0
    }

    fn configure(_: &mut ConstraintSystem<Fr>) -> Self::Config {
        panic!("the oddity is needed")
    }

    fn configure_with_params(meta: &mut ConstraintSystem<Fr>, oddity: Oddity) -> Self::Config {
        let a = meta.advice_column();
        let table = meta.fixed_column();
        if oddity != Oddity::NoInstanceColumn {
            meta.instance_column();
        }
        if oddity == Oddity::TwoInstanceColumns {
            meta.instance_column();
        }
        if oddity == Oddity::UnopenedAdvice {
            meta.advice_column();
        }
        if oddity == Oddity::CappedLookup {
            meta.lookup_any("range", |_| vec![(a.cur::<Fr>() * a.cur(), table.cur::<Fr>() * table.next())]);
        }
        let selector = meta.selector();
        meta.create_gate("cubic", |meta| {
            let q = match oddity {
                Oddity::Selector => meta.query_selector(selector),
                _ => table.cur(),
            };
            let other = match oddity {
                Oddity::CoincidingRotations => a.query_cell(Rotation(1 - (1 << K))) + a.next(),
                _ => a.next(),
            };
            let a = a.cur::<Fr>();
            let high = match oddity {
                Oddity::CappedDegree => (0..6).fold(a.clone(), |acc, _| acc * a.clone()),
                _ => a.clone() * a,
            };
            vec![q * (high - other)]
        });
        a
    }

    fn synthesize(&self, config: Self::Config, mut layouter: impl Layouter<Fr>) -> Result<(), PlonkError> {
        layouter.assign_region(
            || "one row",
            |mut region| {
                region.assign_advice(config, 0, Value::known(Fr::ONE));
                Ok(())
            },
        )
    }
}

fn key(oddity: Oddity) -> (VerifyingKey<G1Affine>, VerifierParams) {
    let srs = ParamsKZG::<Bn256>::setup(K, ChaCha20Rng::seed_from_u64(1));
    let vk = keygen_vk(&srs, &Odd(oddity)).unwrap();
    let params = VerifierParams { s_g2: srs.s_g2(), vk_digest: [1; 32], srs_digest: [2; 32], instances: 1 };
    (vk, params)
}

fn refusal(oddity: Oddity) -> Error {
    let (vk, params) = key(oddity);
    Generator::new(&vk, &params).err().unwrap()
}

#[test]
fn a_plain_circuit_is_not_refused() {
    for oddity in [Oddity::None, Oddity::Selector] {
        let (vk, params) = key(oddity);
        assert!(Generator::new(&vk, &params).unwrap().solidity("Verifier").is_ok(), "{oddity:?}");
    }
}

#[test]
fn other_numbers_of_instance_columns_than_one_are_refused() {
    assert!(matches!(refusal(Oddity::TwoInstanceColumns), Error::InstanceColumns { got: 2 }));
    assert!(matches!(refusal(Oddity::NoInstanceColumn), Error::InstanceColumns { got: 0 }));
}

#[test]
fn a_degree_that_halo2_capped_below_its_lookups_is_refused() {
    let error = refusal(Oddity::CappedLookup);
    let expected = matches!(error, Error::DegreeMismatch { key: 5, gates: 6, system: 5 });
    assert!(expected, "{error}");
}

#[test]
fn advice_that_is_never_opened_is_refused() {
    assert!(matches!(refusal(Oddity::UnopenedAdvice), Error::AdviceNeverQueried { column: 1 }));
}

#[test]
fn rotations_that_name_the_same_row_are_refused() {
    let error = refusal(Oddity::CoincidingRotations);
    let Error::RotationsCoincide { first, second, rows: 32 } = error else { panic!("{error}") };
    assert_eq!([first.min(second), first.max(second)], [-31, 1]);
}

#[test]
fn a_degree_that_halo2_capped_is_refused() {
    let error = refusal(Oddity::CappedDegree);
    let expected = matches!(error, Error::DegreeMismatch { key: 5, gates: 8, system: 5 });
    assert!(expected, "{error}");
}

#[test]
fn more_instances_than_rows_are_refused() {
    let (vk, params) = key(Oddity::None);
    let usable = 32 - (vk.cs().blinding_factors() + 1);
    let fits = VerifierParams { instances: usable, ..params };
    assert!(Generator::new(&vk, &fits).is_ok());
    let error = Generator::new(&vk, &VerifierParams { instances: usable + 1, ..params }).err();
    let Some(Error::TooManyInstances { got, usable: limit }) = error else { panic!("{error:?}") };
    assert_eq!((got, limit), (usable + 1, usable));
}

#[test]
fn a_digest_that_is_not_reduced_is_refused() {
    let (vk, params) = key(Oddity::None);
    let params = VerifierParams { vk_digest: [0xff; 32], ..params };
    let error = Generator::new(&vk, &params).err().unwrap();
    assert!(matches!(error, Error::DigestNotCanonical { .. }), "{error}");
}

#[test]
fn degenerate_powers_of_tau_are_refused() {
    let (vk, params) = key(Oddity::None);
    for (s_g2, name) in [(G2Affine::identity(), "identity"), (G2Affine::generator(), "generator")] {
        let params = VerifierParams { s_g2, ..params.clone() };
        let error = Generator::new(&vk, &params).err().unwrap();
        assert!(matches!(error, Error::DegenerateSrs { what } if what == name), "{error}");
    }
}

#[test]
fn a_contract_name_that_is_no_identifier_is_refused() {
    let (vk, params) = key(Oddity::None);
    let generator = Generator::new(&vk, &params).unwrap();
    for name in ["", "1st", "a b", "A{}contract B", "é"] {
        let error = generator.solidity(name).err().unwrap();
        assert!(matches!(&error, Error::ContractName { name: n } if n == name), "{error}");
    }
}

#[test]
fn a_missing_compiler_names_the_remedy() {
    let error = compile("contract A {}", &SolcPath::new("/nowhere/solc")).err().unwrap();
    assert!(matches!(error, Error::SolcMissing { .. }));
    assert!(error.to_string().contains("npm ci"), "{error}");
}

#[test]
fn a_compiler_that_fails_is_reported_with_its_words() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("solc");
    std::fs::write(&path, "#!/bin/sh\necho no such luck >&2\nexit 3\n").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let error = compile("contract A {}", &SolcPath::new(&path)).err().unwrap();
    assert!(matches!(&error, Error::Solc { reason, .. } if reason.contains("no such luck")), "{error}");
}

#[test]
fn source_that_does_not_compile_is_refused_with_the_compilers_words() {
    let solc = circuits::solc();
    let error = compile("contract A { uint x = y; }", &solc).err().unwrap();
    let named = matches!(&error, Error::Compile { messages } if messages[0].contains("Undeclared"));
    assert!(named, "{error}");
    for (source, count) in [("", 0), ("contract A {} contract B {}", 2), ("interface I {}", 0)] {
        let error = compile(source, &solc).err().unwrap();
        assert!(matches!(error, Error::ContractCount { found } if found == count), "{error}");
    }
}

#[test]
fn code_over_the_limit_of_a_contract_is_refused() {
    let long = "ab".repeat(25_000);
    let source = format!(
        "contract A {{ bytes constant C = hex\"{long}\"; function f() external pure returns (bytes memory) {{ return C; }} }}"
    );
    let error = compile(&source, &circuits::solc()).err().unwrap();
    assert!(matches!(error, Error::CodeTooLarge { bytes } if bytes > 25_000), "{error}");
}

#[test]
fn creation_code_that_reverts_is_refused() {
    let error = Evm::new(Rules::Cancun).deploy(&[0x5f, 0x5f, 0xfd]).err().unwrap();
    assert!(matches!(error, Error::Deployment { .. }), "{error}");
}
