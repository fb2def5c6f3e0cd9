//! halo2, snark-verifier and the generated contracts give the same verdict on random circuits, and
//! draw the same challenges on the way.
//!
//! `VOUCH_SOLIDITY_CIRCUITS` sets the number of circuits, `VOUCH_SOLIDITY_SEED` the first one's seed.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

#[path = "../circuits/mod.rs"]
mod circuits;
mod contracts;
mod mutation;
mod native;
mod past_attacks;
mod shrink;
mod subject;

use circuits::Recipe;
use circuits::recipe::Lookup;
use shrink::shrink;
use subject::{Failure, Guests, Subject, Tally};

const DEFAULT_CIRCUITS: u64 = 16;
/// From here on come circuits of every kind.
const DEFAULT_SEED: u64 = 1034;
/// Circuits whose contracts are compiled together.
const BATCH: usize = 16;
/// snark-verifier's own Solidity is compiled for one circuit in this many: it takes long.
const REFERENCE_SOLIDITY_EVERY: u64 = 4;
/// The verifier that keys share is compiled for one circuit in this many.
const SHARED_EVERY: u64 = 2;
/// Smaller circuits that are tried in place of one that fails.
const SHRINKING: usize = 150;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect(name))
}

fn guests(recipe: &Recipe) -> Guests {
    Guests {
        reference: recipe.seed.is_multiple_of(REFERENCE_SOLIDITY_EVERY),
        shared: recipe.seed.is_multiple_of(SHARED_EVERY),
    }
}

fn check(subject: Result<Subject, Failure>) -> Result<Tally, Failure> {
    subject.and_then(|subject| subject.check())
}

/// Fails with the smallest recipe that fails the same way.
fn report(recipe: &Recipe, failure: &Failure, again: impl Fn(&Recipe) -> Result<Tally, Failure>) -> ! {
    let seed = recipe.seed;
    println!("circuit {seed} fails: {failure:?}\n{recipe:#?}\nmaking it smaller");
    let fails = |candidate: &Recipe| again(candidate).err().filter(|found| found.is_like(failure));
    let (smallest, found) = shrink(recipe.clone(), failure.clone(), SHRINKING, fails);
    panic!(
        "circuit {seed} (VOUCH_SOLIDITY_SEED={seed} VOUCH_SOLIDITY_CIRCUITS=1): {failure:?}\n\
         smallest that fails so: {found:?}\n{smallest:#?}"
    );
}

#[test]
fn three_verifiers_agree_on_random_circuits_valid_and_mutated() {
    let first = setting("VOUCH_SOLIDITY_SEED", DEFAULT_SEED);
    let circuits = setting("VOUCH_SOLIDITY_CIRCUITS", DEFAULT_CIRCUITS);
    let recipes: Vec<Recipe> = (first..first + circuits).map(Recipe::random).collect();
    let mut tally = Tally::default();
    for batch in recipes.chunks(BATCH) {
        let subjects = Subject::prepare(batch, guests);
        for (recipe, subject) in batch.iter().zip(subjects) {
            match check(subject) {
                Ok(found) => tally.add(found),
                Err(Failure::TooLong) => tally.miss("a verdict", "the generated contract is over the limit of EIP-170"),
                Err(failure) => report(recipe, &failure, |smaller| {
                    check(Subject::prepare(std::slice::from_ref(smaller), |_| guests(recipe)).remove(0))
                }),
            }
        }
        if recipes.len() > BATCH {
            println!("{tally}");
        }
    }
    println!("{tally}");
}

#[test]
fn the_circuits_of_a_short_run_are_of_every_kind() {
    let recipes: Vec<Recipe> = (DEFAULT_SEED..DEFAULT_SEED + DEFAULT_CIRCUITS).map(Recipe::random).collect();
    let has = |kind: &dyn Fn(&Recipe) -> bool| assert!(recipes.iter().filter(|recipe| kind(recipe)).count() > 1);
    for degree in 3..=9 {
        assert!(recipes.iter().any(|recipe| recipe.key_degree() == degree), "{degree}");
    }
    has(&|recipe| recipe.instances == 0);
    has(&|recipe| recipe.instances == 64);
    has(&|recipe| recipe.lookups.is_empty());
    has(&|recipe| recipe.lookups.len() > 1);
    has(&|recipe| recipe.lookups.iter().any(|lookup| lookup.phase > 0));
    has(&|recipe| recipe.lookups.iter().any(|lookup| lookup.columns > 1 && lookup.table_degree > 1));
    has(&|recipe| recipe.computed.len() == 1);
    has(&|recipe| recipe.computed.len() == 2);
    has(&|recipe| recipe.late_challenges > 0);
    has(&|recipe| recipe.permuted == 0);
    has(&|recipe| recipe.permuted > recipe.key_degree() - 2);
    has(&|recipe| recipe.max_rotation > 0);
    has(&|recipe| recipe.instance_rotations.iter().any(|rotation| *rotation < 0));
    has(&|recipe| recipe.zero_fixed);
}

#[test]
fn an_altered_contract_is_noticed() {
    let lookup = Lookup { columns: 2, input_degree: 2, table_degree: 1, phase: 0 };
    let recipe = Recipe { k: 5, computed: vec![1], lookups: vec![lookup], ..Recipe::default() };
    let replaced = |source: &str, from: &str, to: &str| {
        assert!(source.contains(from), "{from}");
        source.replacen(from, to, 1)
    };
    let accepting = |source: &str| replaced(source, "iszero(eq(mload(0x00), 1))", "iszero(1)");
    // A product in the middle becomes a sum.
    let refusing = |source: &str| {
        let products: Vec<_> = source.match_indices("mulmod(").collect();
        let (before, after) = source.split_at(products[products.len() / 2].0);
        format!("{before}addmod({}", &after["mulmod(".len()..])
    };
    // The first challenge is another one.
    let hashing = |source: &str| replaced(source, "mod(h, r)", "addmod(h, 1, r)");
    for (what, change) in
        [("accepting", &accepting as &dyn Fn(&str) -> String), ("refusing", &refusing), ("hashing", &hashing)]
    {
        let failure = check(Subject::altered(&recipe, change)).err();
        assert!(matches!(failure, Some(Failure::Disagreement(_))), "{what}: {failure:?}");
    }
    assert!(check(Subject::altered(&recipe, str::to_owned)).is_ok());
}

#[test]
fn a_failing_recipe_is_made_as_small_as_it_can_be() {
    // Fails where some lookup's table is a product and there are at least five instances.
    let fails = |recipe: &Recipe| {
        let product = recipe.lookups.iter().any(|lookup| lookup.table_degree > 1);
        (product && recipe.instances > 4).then_some(())
    };
    let mut tried = 0;
    for recipe in (0..400).map(Recipe::random).filter(|recipe| fails(recipe).is_some()).take(20) {
        tried += 1;
        let (smallest, ()) = shrink(recipe.clone(), (), 10_000, fails);
        let lookup = Lookup { columns: 1, input_degree: 1, table_degree: 2, phase: 0 };
        let expected = Recipe {
            seed: recipe.seed,
            k: 5,
            free: 1,
            computed: vec![1],
            fixed: 1,
            permuted: 0,
            permuted_fixed: false,
            permuted_instance: false,
            permuted_computed: false,
            instances: 5,
            instance_rotations: vec![],
            degree: 3,
            lanes: 1,
            max_rotation: 0,
            zero_fixed: false,
            challenges: 1,
            late_challenges: 0,
            lookups: vec![lookup],
            fuel: 0,
            fixed_seed: 0,
        };
        assert_eq!(smallest, expected);
    }
    assert_eq!(tried, 20);
}
