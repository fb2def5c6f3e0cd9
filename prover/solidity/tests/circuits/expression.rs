//! Random expressions: what a gate computes.

use halo2_proofs::halo2curves::bn256::Fr;
use halo2_proofs::halo2curves::ff::Field;
use rand::seq::SliceRandom;
use rand::{Rng, RngCore, SeedableRng};
use rand_chacha::ChaCha20Rng;

use super::recipe::Recipe;

/// What a gate computes.
#[derive(Clone, Debug)]
pub enum Ast {
    Const(Fr),
    Free(usize, i32),
    Fixed(usize, i32),
    Instance(i32),
    Challenge(usize),
    /// Column of a lookup's table.
    Table(usize, i32),
    Add(Box<Ast>, Box<Ast>),
    Mul(Box<Ast>, Box<Ast>),
    Neg(Box<Ast>),
    Scale(Box<Ast>, Fr),
}

impl Ast {
    fn plus(self, other: Ast) -> Ast {
        Ast::Add(Box::new(self), Box::new(other))
    }

    fn times(self, other: Ast) -> Ast {
        Ast::Mul(Box::new(self), Box::new(other))
    }
}

/// A computed column: `q * (column - value) = 0`, or with `running` set
/// `q * (column(+1) - column * s^lanes - sum_l s^(lanes-1-l) free_l) = 0`.
#[derive(Clone, Debug)]
pub struct Computed {
    pub phase: usize,
    pub value: Ast,
    pub running: bool,
    /// Challenge of the last phase that the gate is multiplied with.
    pub late: Option<usize>,
}

/// One expression of a lookup: the input is `column` alone, or `q * (column + shift)`.
#[derive(Clone, Debug)]
pub struct Pair {
    pub shift: Option<Ast>,
    /// Of the lookup's table columns; zero where those are zero.
    pub table: Ast,
}

/// What a recipe's gates and lookups are.
#[derive(Clone, Debug)]
pub struct Plan {
    pub computed: Vec<Computed>,
    /// One list a lookup.
    pub lookups: Vec<Vec<Pair>>,
}

struct Grower<'a> {
    recipe: &'a Recipe,
    rng: ChaCha20Rng,
}

impl Grower<'_> {
    fn rotation(&mut self) -> i32 {
        let m = self.recipe.max_rotation;
        self.rng.gen_range(-m..=m)
    }

    fn grow(&mut self, degree: usize, fuel: usize, challenges: usize) -> Ast {
        let pick = if fuel == 0 { self.rng.gen_range(0..5) } else { self.rng.gen_range(3..12) };
        match pick {
            0 | 3 => Ast::Const(match self.rng.gen_range(0..4) {
                0 => Fr::from(self.rng.gen_range(0..3)),
                1 => -Fr::from(u64::from(self.rng.next_u32())),
                2 => Fr::from(1 << 20),
                _ => Fr::random(&mut self.rng),
            }),
            1 if challenges > 0 => Ast::Challenge(self.rng.gen_range(0..challenges)),
            _ if degree == 0 => Ast::Const(Fr::from(7)),
            2 | 1 => {
                let rotation = self.rotation();
                Ast::Free(self.rng.gen_range(0..self.recipe.free), rotation)
            }
            4 => match self.recipe.instance_rotations.choose(&mut self.rng).copied() {
                Some(rotation) if self.rng.r#gen() => Ast::Instance(rotation),
                _ => {
                    let rotation = self.rotation();
                    Ast::Fixed(self.rng.gen_range(0..self.recipe.fixed), rotation)
                }
            },
            5..=7 => self.grow(degree, fuel - 1, challenges).plus(self.grow(degree, fuel - 1, challenges)),
            8 | 9 => {
                let left = self.rng.gen_range(0..=degree);
                self.grow(left, fuel - 1, challenges).times(self.grow(degree - left, fuel - 1, challenges))
            }
            10 => Ast::Neg(Box::new(self.grow(degree, fuel - 1, challenges))),
            _ => {
                let factor = Fr::random(&mut self.rng);
                Ast::Scale(Box::new(self.grow(degree, fuel - 1, challenges)), factor)
            }
        }
    }

    /// An expression of the full degree over columns of a table, zero where they are.
    fn table(&mut self, columns: usize, degree: usize, challenges: usize) -> Ast {
        let column = |rng: &mut ChaCha20Rng, reach: i32| {
            let rotation = rng.gen_range(-reach..=reach);
            Ast::Table(rng.gen_range(0..columns), rotation)
        };
        let reach = self.recipe.max_rotation.min(1);
        let mut product = column(&mut self.rng, reach);
        for _ in 1..degree {
            product = product.times(column(&mut self.rng, reach));
        }
        let factor = match self.rng.gen_range(0..3) {
            0 => return product,
            1 if challenges > 0 => Ast::Challenge(self.rng.gen_range(0..challenges)),
            _ => Ast::Const(Fr::random(&mut self.rng)),
        };
        product.plus(column(&mut self.rng, reach).times(factor))
    }
}

/// Gates and lookups of a recipe. Each has a seed of its own, so that leaving one out does not
/// change the others.
pub fn plan(recipe: &Recipe) -> Plan {
    let grower = |kind: u64, phase: usize, index: usize| {
        let own = kind << 32 | (phase as u64) << 16 | index as u64;
        Grower { recipe, rng: ChaCha20Rng::seed_from_u64(recipe.seed ^ 0xace ^ own << 20) }
    };
    let challenges = |phase: usize| if phase > 0 { recipe.challenges } else { 0 };
    let degree = recipe.key_degree();
    let mut computed = Vec::new();
    for (phase, count) in recipe.computed.iter().enumerate() {
        for i in 0..*count {
            let mut value = grower(1, phase, i).grow(degree - 1, recipe.fuel, challenges(phase));
            if computed.is_empty() {
                // One gate has the full degree: the last piece of the quotient must not be zero.
                let full = (0..degree - 1).map(|j| Ast::Free(j % recipe.free, 0));
                value = value.plus(full.reduce(Ast::times).unwrap());
            }
            let late = (recipe.late_challenges > 0).then(|| i % recipe.late_challenges);
            computed.push(Computed { phase, value, running: phase > 0 && i == 0, late });
        }
    }
    let lookups = recipe.lookups.iter().enumerate().map(|(index, lookup)| {
        let mut grower = grower(2, lookup.phase, index);
        let challenges = challenges(lookup.phase);
        let pair = |_| Pair {
            shift: (lookup.input_degree > 1)
                .then(|| grower.grow(lookup.input_degree - 1, recipe.fuel.min(3), challenges)),
            table: grower.table(lookup.columns, lookup.table_degree, challenges),
        };
        (0..lookup.columns).map(pair).collect()
    });
    Plan { computed, lookups: lookups.collect() }
}
