//! What a random circuit is made of, as plain data: printed, compared and made smaller.

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;

/// Rows that hold random values; the rest of the circuit is zero.
pub const FILLED: usize = 16;
/// Rows that neither blinding nor the last row take, at the rotations that recipes may have.
const RESERVED_ROWS: usize = 12;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipe {
    /// Seed of the powers of tau, of fixed columns and of expressions.
    pub seed: u64,
    pub k: u32,
    /// Free columns of the first phase.
    pub free: usize,
    /// Computed columns a phase; at most two, halo2-axiom 0.5.3 panics after a third.
    pub computed: Vec<usize>,
    pub fixed: usize,
    /// Free columns in the permutation argument.
    pub permuted: usize,
    pub permuted_fixed: bool,
    pub permuted_instance: bool,
    /// Computed columns are in the permutation argument too, without copies.
    pub permuted_computed: bool,
    pub instances: usize,
    /// Rotations that gates query the instance column at.
    pub instance_rotations: Vec<i32>,
    /// Least degree; lookups may need more.
    pub degree: usize,
    /// Lanes of the Horner gates of the later phases.
    pub lanes: usize,
    pub max_rotation: i32,
    /// A fixed column of zeros, whose commitment is the identity.
    pub zero_fixed: bool,
    /// Challenges drawn after the first of two phases.
    pub challenges: usize,
    /// Challenges drawn after the last phase.
    pub late_challenges: usize,
    pub lookups: Vec<Lookup>,
    /// Depth of expressions.
    pub fuel: usize,
    /// Values of the fixed columns: all that keys of one constraint system differ in, beside rows and instances.
    pub fixed_seed: u64,
}

/// A lookup of halo2's own kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookup {
    /// Input expressions, and as many of the table.
    pub columns: usize,
    /// Degree of the input; from two on a selector and other columns are part of it.
    pub input_degree: usize,
    /// Degree of the table; products of fixed columns from two on.
    pub table_degree: usize,
    /// Phase of the looked-up columns; in the second a challenge is part of the table.
    pub phase: usize,
}

impl Default for Recipe {
    fn default() -> Self {
        Recipe {
            seed: 1,
            k: 6,
            free: 3,
            computed: vec![2, 1],
            fixed: 2,
            permuted: 2,
            permuted_fixed: true,
            permuted_instance: true,
            permuted_computed: false,
            instances: 3,
            instance_rotations: vec![],
            degree: 5,
            lanes: 4,
            max_rotation: 1,
            zero_fixed: false,
            challenges: 1,
            late_challenges: 0,
            lookups: vec![],
            fuel: 4,
            fixed_seed: 0,
        }
    }
}

impl Recipe {
    pub fn random(seed: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let phases = rng.gen_range(1..=2);
        let free = rng.gen_range(1..6);
        let instances = match rng.gen_range(0..6) {
            0 => 0,
            1 => 64,
            2 | 3 => rng.gen_range(1..8),
            _ => rng.gen_range(8..64),
        };
        let lookups = match rng.gen_range(0..10) {
            0..=3 => 0,
            4..=6 => 1,
            7 | 8 => 2,
            _ => 3,
        };
        let degree = rng.gen_range(3..=9);
        let lookups = (0..lookups)
            .map(|_| {
                // Two of the degree are the argument's own.
                let above = degree.max(4) - 2;
                let table_degree = rng.gen_range(1..=3.min(above - 1));
                let input_degree = rng.gen_range(1..=4.min(above - table_degree));
                Lookup { columns: rng.gen_range(1..=3), input_degree, table_degree, phase: rng.gen_range(0..phases) }
            })
            .collect();
        let rotations = rng.gen_range(0..=3);
        let mut recipe = Recipe {
            seed,
            k: rng.gen_range(5..8),
            free,
            computed: (0..phases).map(|_| rng.gen_range(1..4)).collect(),
            fixed: rng.gen_range(1..4),
            permuted: rng.gen_range(0..=free),
            permuted_fixed: rng.r#gen(),
            permuted_instance: rng.r#gen(),
            permuted_computed: rng.r#gen(),
            instances,
            instance_rotations: [-2, -1, 0, 1, 2].choose_multiple(&mut rng, rotations).copied().collect(),
            degree,
            lanes: rng.gen_range(1..10),
            max_rotation: rng.gen_range(0..4),
            zero_fixed: rng.gen_bool(0.3),
            challenges: rng.gen_range(1..4),
            late_challenges: if rng.gen_bool(0.3) { rng.gen_range(1..3) } else { 0 },
            lookups,
            fuel: rng.gen_range(2..6),
            fixed_seed: 0,
        };
        while !recipe.is_possible() {
            recipe.k += 1;
        }
        recipe
    }

    /// Degree that gates, permutation argument and lookups need.
    pub fn key_degree(&self) -> usize {
        let lookups = self.lookups.iter().map(|lookup| (2 + lookup.input_degree + lookup.table_degree).max(4));
        lookups.chain([3, self.degree]).max().unwrap_or(3)
    }

    /// Rows that gates are active on; rotations stay inside the filled rows.
    pub fn rows(&self) -> std::ops::Range<usize> {
        let margin = self.max_rotation.max(2) as usize;
        margin..FILLED - margin
    }

    /// Whether a circuit can be made of it.
    pub fn is_possible(&self) -> bool {
        let rows = (1usize << self.k) - RESERVED_ROWS;
        rows > FILLED + 1
            && rows >= self.instances
            && self.free > 0
            && self.fixed > 0
            && self.permuted <= self.free
            && (1..=2).contains(&self.computed.len())
            && self.computed.iter().all(|count| *count > 0)
            && self.challenges > 0
            && self.lanes > 0
            && self.degree >= 3
            && self.lookups.iter().all(|lookup| {
                lookup.columns > 0
                    && lookup.input_degree > 0
                    && lookup.table_degree > 0
                    && lookup.phase < self.computed.len()
            })
    }

    /// Every recipe with one thing less, those that leave out most first.
    pub fn smaller(&self) -> Vec<Recipe> {
        let mut all = Vec::new();
        let mut with = |change: &dyn Fn(&mut Recipe)| {
            let mut recipe = self.clone();
            change(&mut recipe);
            if recipe != *self && recipe.is_possible() {
                all.push(recipe);
            }
        };
        with(&|r| r.lookups.clear());
        for i in 0..self.lookups.len() {
            with(&|r| {
                r.lookups.remove(i);
            });
        }
        with(&|r| {
            r.computed.truncate(1);
            r.lookups.iter_mut().for_each(|lookup| lookup.phase = 0);
        });
        with(&|r| r.permuted = 0);
        with(&|r| r.instances = 0);
        with(&|r| r.fuel = 0);
        with(&|r| r.degree = 3);
        with(&|r| r.instance_rotations.clear());
        with(&|r| r.late_challenges = 0);
        with(&|r| r.max_rotation = 0);
        with(&|r| r.lanes = 1);
        with(&|r| r.zero_fixed = false);
        with(&|r| r.permuted_fixed = false);
        with(&|r| r.permuted_instance = false);
        with(&|r| r.permuted_computed = false);
        with(&|r| r.k = 5);
        for i in 0..self.lookups.len() {
            with(&|r| r.lookups[i].phase = 0);
            with(&|r| r.lookups[i].input_degree = 1);
            with(&|r| r.lookups[i].table_degree = 1);
            with(&|r| r.lookups[i].columns = 1);
            with(&|r| r.lookups[i].input_degree -= 1);
            with(&|r| r.lookups[i].table_degree -= 1);
            with(&|r| r.lookups[i].columns -= 1);
        }
        for phase in 0..self.computed.len() {
            with(&|r| r.computed[phase] = 1);
            with(&|r| r.computed[phase] -= 1);
        }
        for i in 0..self.instance_rotations.len() {
            with(&|r| r.instance_rotations.retain(|rotation| *rotation != self.instance_rotations[i]));
        }
        with(&|r| {
            r.free = 1;
            r.permuted = r.permuted.min(1);
        });
        with(&|r| {
            r.free -= 1;
            r.permuted = r.permuted.min(r.free);
        });
        with(&|r| r.permuted = r.permuted.saturating_sub(1));
        with(&|r| r.fixed = 1);
        with(&|r| r.fixed -= 1);
        with(&|r| r.challenges = 1);
        with(&|r| r.challenges -= 1);
        with(&|r| r.instances /= 2);
        with(&|r| r.instances = r.instances.saturating_sub(1));
        with(&|r| r.degree -= 1);
        with(&|r| r.fuel = r.fuel.saturating_sub(1));
        with(&|r| r.max_rotation = (r.max_rotation - 1).max(0));
        with(&|r| r.late_challenges = r.late_challenges.saturating_sub(1));
        with(&|r| r.lanes -= 1);
        with(&|r| r.k -= 1);
        all
    }
}
