//! A circuit with all its verifiers, and what they say.

use std::collections::BTreeMap;
use std::fmt;

use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use vouch_solidity::{
    Compiled, DeployedVerifier, Error, Evm, Generator, Key, Rules, compile, compile_all, shared_creation,
};

use crate::circuits::{self, Keyed, Recipe};
use crate::contracts::{Contract, calldata, compile_unoptimised, flat_calldata, reference_source};
use crate::mutation::{Case, Mutation};
use crate::native::{self, Twin, Verdict, unpanicked};

/// Why a circuit was not found in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Two verifiers differ.
    Disagreement(String),
    /// Something else does not work: keys, proofs, the generator.
    Broken(String),
    /// The circuit's contract is too long, which is refused by name.
    TooLong,
}

impl Failure {
    /// Whether two failures have the same kind of cause.
    pub(crate) fn is_like(&self, other: &Failure) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

/// What was compared.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) circuits: usize,
    accepted: usize,
    refused: usize,
    challenges: usize,
    lookups: usize,
    two_phases: usize,
    instances: usize,
    /// Circuits with more than one product of the permutation argument.
    several_products: usize,
    degrees: BTreeMap<usize, usize>,
    /// Shared verifiers.
    shared: usize,
    contracts: usize,
    contract_verdicts: usize,
    /// Proofs that only snark-verifier's contract accepts.
    loose: usize,
    /// Verifiers that took no part, and why.
    absent: BTreeMap<String, usize>,
}

impl Tally {
    pub(crate) fn miss(&mut self, what: &str, reason: &str) {
        *self.absent.entry(format!("{what}: {reason}")).or_default() += 1;
    }

    pub(crate) fn add(&mut self, other: Tally) {
        let Tally { circuits, accepted, refused, challenges, lookups, two_phases, .. } = other;
        self.circuits += circuits;
        self.accepted += accepted;
        self.refused += refused;
        self.challenges += challenges;
        self.lookups += lookups;
        self.two_phases += two_phases;
        self.instances += other.instances;
        self.several_products += other.several_products;
        self.shared += other.shared;
        self.contracts += other.contracts;
        self.contract_verdicts += other.contract_verdicts;
        self.loose += other.loose;
        for (key, count) in other.degrees {
            *self.degrees.entry(key).or_default() += count;
        }
        for (key, count) in other.absent {
            *self.absent.entry(key).or_default() += count;
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} circuits: {} with lookups, {} of two phases, {} with instances, {} with several permutation sets; \
             by degree {:?}",
            self.circuits, self.lookups, self.two_phases, self.instances, self.several_products, self.degrees
        )?;
        writeln!(
            f,
            "{} proofs accepted and {} refused by all, {} challenges equal; {} shared verifiers took part",
            self.accepted, self.refused, self.challenges, self.shared
        )?;
        writeln!(
            f,
            "{} contracts of snark-verifier took part in {} verdicts; {} proofs they alone accept: a scalar not \
             below the modulus, or bytes after the proof",
            self.contracts, self.contract_verdicts, self.loose
        )?;
        for (reason, count) in &self.absent {
            writeln!(f, "{count} circuits without {reason}")?;
        }
        Ok(())
    }
}

/// A circuit with all its verifiers.
pub(crate) struct Subject {
    keyed: Keyed,
    twin: Result<Twin, String>,
    ours: Contract,
    shipped: DeployedVerifier,
    /// `None` where the circuit was not chosen for it.
    shared: Option<Contract>,
    /// `None` where the circuit was not chosen for it.
    theirs: Option<Result<Contract, String>>,
}

/// Verifiers that take part for some circuits only.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Guests {
    /// The contract of snark-verifier's EVM loader.
    pub(crate) reference: bool,
    /// The verifier that all keys of the constraint system share.
    pub(crate) shared: bool,
}

/// A circuit with its generated sources.
struct Written {
    keyed: Keyed,
    single: String,
    shared: Option<(String, Key)>,
}

fn write(recipe: &Recipe, guests: Guests) -> Result<Written, Failure> {
    let keyed = unpanicked(|| Keyed::new(recipe)).map_err(|e| Failure::Broken(format!("keys: {e}")))?;
    let broken = |e: Error| Failure::Broken(format!("generator: {e}"));
    let generator = Generator::new(keyed.vk(), &keyed.params).map_err(broken)?;
    let single = generator.solidity("Verifier").map_err(broken)?;
    let shared = match guests.shared {
        true => Some((generator.shared_solidity("Verifier").map_err(broken)?, generator.key().map_err(broken)?)),
        false => None,
    };
    Ok(Written { keyed, single, shared })
}

/// All sources in one run of the compiler, or each alone where one of them fails.
fn compiled(sources: &[&str]) -> Vec<Result<Compiled, Failure>> {
    let solc = circuits::solc();
    match compile_all(sources, &solc) {
        Ok(all) => all.into_iter().map(Ok).collect(),
        Err(_) => {
            let alone = sources.iter().map(|source| {
                compile(source, &solc).map_err(|e| match e {
                    Error::CodeTooLarge { .. } => Failure::TooLong,
                    e => Failure::Broken(format!("compiler: {e}")),
                })
            });
            alone.collect()
        }
    }
}

impl Subject {
    /// Keys and contracts of recipes, with the guests of each.
    pub(crate) fn prepare(recipes: &[Recipe], guests: impl Fn(&Recipe) -> Guests) -> Vec<Result<Subject, Failure>> {
        let written: Vec<_> = recipes.iter().map(|recipe| write(recipe, guests(recipe))).collect();
        let sources: Vec<&str> = written
            .iter()
            .flatten()
            .flat_map(|written| [Some(&written.single), written.shared.as_ref().map(|(source, _)| source)])
            .flatten()
            .map(String::as_str)
            .collect();
        let mut ours = compiled(&sources).into_iter();
        let twins: Vec<_> = written.iter().flatten().map(|written| Twin::new(&written.keyed)).collect();
        let references = written.iter().flatten().zip(&twins).map(|(written, twin)| {
            let recipe = &written.keyed.recipe;
            let twin = twin.as_ref().ok().filter(|_| guests(recipe).reference)?;
            Some(reference_source(twin, recipe.instances))
        });
        let references: Vec<Option<Result<String, String>>> = references.collect();
        let sources: Vec<String> = references.iter().flatten().flatten().cloned().collect();
        let mut theirs = compile_unoptimised(&sources).into_iter();
        let mut others = twins.into_iter().zip(references);
        let subjects = written.into_iter().map(|written| {
            let Written { keyed, shared, .. } = written?;
            let single = ours.next().unwrap();
            let shared = shared.map(|(_, key)| (ours.next().unwrap(), key));
            let (twin, reference) = others.next().unwrap();
            let theirs = reference.map(|source| source.and_then(|_| theirs.next().unwrap()));
            let theirs = theirs.map(|code| code.and_then(|code| Contract::deploy(&code)));
            Subject::new(keyed, twin, single, shared).map(|subject| Subject { theirs, ..subject })
        });
        subjects.collect()
    }

    fn new(
        keyed: Keyed,
        twin: Result<Twin, String>,
        single: Result<Compiled, Failure>,
        shared: Option<(Result<Compiled, Failure>, Key)>,
    ) -> Result<Self, Failure> {
        let deployed = |reason: String| Failure::Broken(format!("deployment: {reason}"));
        let creation = single?.creation;
        let shared = shared.map(|(compiled, key)| {
            let creation = shared_creation(&compiled?.creation, &keyed.params.s_g2);
            Contract::deploy_shared(&creation, &key).map_err(deployed)
        });
        Ok(Subject {
            twin,
            ours: Contract::deploy(&creation).map_err(deployed)?,
            shipped: Evm::new(Rules::Cancun).deploy(&creation).map_err(|e| deployed(e.to_string()))?,
            shared: shared.transpose()?,
            theirs: None,
            keyed,
        })
    }

    /// The circuit of a recipe whose verifier's source is changed first.
    pub(crate) fn altered(recipe: &Recipe, change: impl Fn(&str) -> String) -> Result<Subject, Failure> {
        let Written { keyed, single, .. } = write(recipe, Guests { reference: false, shared: false })?;
        let twin = Twin::new(&keyed);
        Subject::new(keyed, twin, compiled(&[&change(&single)]).remove(0), None)
    }

    /// Compares all verifiers on a proof and on each mutation of it.
    pub(crate) fn check(&self) -> Result<Tally, Failure> {
        let recipe = &self.keyed.recipe;
        let proved = unpanicked(|| self.keyed.prove(recipe.seed));
        let (instances, proof) = proved.map_err(|e| Failure::Broken(format!("prover: {e}")))?;
        let honest = Case::new(&instances, proof);
        let mut tally = Tally {
            circuits: 1,
            lookups: usize::from(!recipe.lookups.is_empty()),
            two_phases: usize::from(recipe.computed.len() > 1),
            instances: usize::from(recipe.instances > 0),
            several_products: usize::from(self.keyed.products() > 1),
            degrees: BTreeMap::from([(recipe.key_degree(), 1)]),
            shared: usize::from(self.shared.is_some()),
            contracts: usize::from(matches!(self.theirs, Some(Ok(_)))),
            ..Tally::default()
        };
        if let Err(reason) = &self.twin {
            tally.miss("snark-verifier", reason);
        }
        if let Some(Err(reason)) = &self.theirs {
            tally.miss("snark-verifier's contract", reason);
        }
        let mut rng = ChaCha20Rng::seed_from_u64(recipe.seed ^ 0x3070);
        for mutation in Mutation::ALL {
            let mut case = honest.clone();
            mutation.apply(&mut case, self.keyed.scalars(), &mut rng);
            if case == honest && mutation != Mutation::Nothing {
                continue;
            }
            self.compare(mutation, &honest, &case, &mut tally)?;
        }
        Ok(tally)
    }

    fn compare(&self, mutation: Mutation, honest: &Case, case: &Case, tally: &mut Tally) -> Result<(), Failure> {
        let valid = case == honest;
        let disagreement = |text: String| Failure::Disagreement(format!("{mutation:?}: {text}"));
        let panicked = |reason: String| disagreement(format!("a verifier panics: {reason}"));
        let data = calldata(case);
        let mut verdicts = vec![
            ("halo2", unpanicked(|| native::halo2(&self.keyed, case)).map_err(panicked)?),
            ("the generated contract", self.ours.verdict(data.clone())),
        ];
        verdicts.extend(self.shared.iter().map(|shared| ("the shared contract", shared.verdict(data.clone()))));
        match self.twin.as_ref().map(|twin| twin.verdict(case)) {
            Ok(Ok(verdict)) => verdicts.push(("snark-verifier", verdict)),
            // Once a circuit, though it panics for each proof.
            Ok(Err(reason)) => drop(tally.absent.insert(format!("snark-verifier: {reason}"), 1)),
            Err(_) => {}
        }
        if let Some(Ok(contract)) = &self.theirs {
            let verdict = contract.verdict(flat_calldata(case));
            let loose = case.as_read_loosely(self.keyed.scalars(), honest.proof.len());
            tally.contract_verdicts += 1;
            if loose == *case && case.instances.len() == honest.instances.len() {
                verdicts.push(("snark-verifier's contract", verdict));
            } else if verdict.accepted != (loose == *honest) {
                return Err(disagreement(format!("snark-verifier's contract says {}", verdict.accepted)));
            } else {
                tally.loose += usize::from(verdict.accepted);
            }
        }
        let said: Vec<_> = verdicts.iter().map(|(name, verdict)| format!("{name}: {}", verdict.accepted)).collect();
        if verdicts.iter().any(|(_, verdict)| verdict.accepted != valid) {
            return Err(disagreement(format!("valid: {valid}, {}", said.join(", "))));
        }
        let outcome = self.shipped.verify(&data).map_err(|e| disagreement(e.to_string()))?;
        if outcome.verified != valid {
            return Err(disagreement(format!("valid: {valid}, {outcome:?}")));
        }
        tally.challenges += challenges(&verdicts, valid).map_err(disagreement)?;
        if valid {
            tally.accepted += 1
        } else {
            tally.refused += 1
        }
        Ok(())
    }
}

/// Number of challenges that were compared. Of a valid proof every verifier draws the same number; one
/// that refuses may stop before the others.
fn challenges(verdicts: &[(&str, Verdict)], valid: bool) -> Result<usize, String> {
    let Some((name, longest)) = verdicts.iter().max_by_key(|(_, verdict)| verdict.challenges.len()) else {
        return Ok(0);
    };
    let mut compared = 0;
    for (other, verdict) in verdicts {
        let drawn = verdict.challenges.len();
        if valid && drawn != longest.challenges.len() {
            return Err(format!("{other} draws {drawn} challenges, {name} {}", longest.challenges.len()));
        }
        let differs = (0..drawn).find(|i| verdict.challenges[*i] != longest.challenges[*i]);
        if let Some(position) = differs {
            return Err(format!("challenge {position} of {other} and of {name} differ"));
        }
        compared += drawn;
    }
    Ok(compared - longest.challenges.len())
}
