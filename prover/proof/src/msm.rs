//! Sums of many points times scalars.
//!
//! Pippenger's method with signed digits. Points of a bucket are added pairwise in affine form, all buckets of a window at
//! once, so that one inversion serves hundreds of additions. Scalars are mostly small (values, limbs, weights) or
//! mostly of full size (accumulators, evaluations): windows that hardly any scalar reaches cost hardly anything.

use halo2_proofs::halo2curves::bn256::{Fq, Fr, G1, G1Affine};
use halo2_proofs::halo2curves::ff::{Field, PrimeField};
use halo2_proofs::halo2curves::group::{Curve, Group};
use rayon::prelude::*;

/// Additions that share an inversion.
const BATCH: usize = 512;
/// Widest window: digits are counted in 32 bits, and buckets should stay in the cache.
const MAX_WINDOW: usize = 15;

/// `sum_i scalars[i] * bases[i]`, over the shorter of the two.
pub(crate) fn msm(scalars: &[Fr], bases: &[G1Affine]) -> G1 {
    let limbs: Vec<[u64; 4]> = scalars.par_iter().with_min_len(1 << 10).map(limbs).collect();
    let lengths = limbs.iter().map(bits);
    let (total, longest) = lengths.fold((0, 0), |(total, longest), bits| (total + bits, bits.max(longest)));
    let window = window_bits(total, limbs.len());
    // One bit more: the last digit may carry.
    let windows: Vec<usize> = (0..(longest + 1).div_ceil(window)).collect();
    let sums: Vec<G1> = windows.into_par_iter().map(|at| window_sum(&limbs, bases, at * window, window)).collect();
    sums.into_iter().rev().fold(G1::identity(), |sum, next| (0..window).fold(sum, |sum, _| sum.double()) + next)
}

/// The integer of a scalar, from the lowest limb.
fn limbs(scalar: &Fr) -> [u64; 4] {
    let bytes = scalar.to_repr();
    let mut limbs = [0; 4];
    for (limb, bytes) in limbs.iter_mut().zip(bytes.as_chunks::<8>().0) {
        *limb = u64::from_le_bytes(*bytes);
    }
    limbs
}

fn bits(limbs: &[u64; 4]) -> usize {
    let highest = limbs.iter().rposition(|limb| *limb != 0);
    highest.map_or(0, |at| 64 * at + 64 - limbs[at].leading_zeros() as usize)
}

/// The window with the fewest additions for scalars of so many bits in all: one for each digit, and a few for each
/// bucket of a window that is in use throughout.
fn window_bits(total: usize, count: usize) -> usize {
    let average = total / count.max(1);
    let additions = |window: &usize| {
        let windows = average / window + 1;
        // An addition to a running sum costs as much as three or four of a batch.
        windows * count + windows * (7 << (window - 1))
    };
    (3..=MAX_WINDOW).min_by_key(additions).unwrap_or(MAX_WINDOW)
}

/// The signed digit of `window` bits from bit `at` on: in `[-2^(window-1), 2^(window-1)]`.
fn digit(limbs: &[u64; 4], at: usize, window: usize) -> i32 {
    let bit = |at: usize| limbs.get(at / 64).map_or(0, |limb| (limb >> (at % 64)) & 1);
    // The bits of the window, and those of the limb above that it reaches into.
    let (limb, offset) = (at / 64, at % 64);
    let low = limbs.get(limb).map_or(0, |limb| limb >> offset);
    let high = if offset + window > 64 { limbs.get(limb + 1).map_or(0, |limb| limb << (64 - offset)) } else { 0 };
    let value = ((low | high) & ((1 << window) - 1)) as i32;
    // A window with its top bit set is taken as negative, and the next one up gets a carry.
    let carry = if at == 0 { 0 } else { bit(at - 1) as i32 };
    let value = value + carry;
    if bit(at + window - 1) == 1 { value - (1 << window) } else { value }
}

/// `sum_i digit_i * bases[i]` of one window.
fn window_sum(scalars: &[[u64; 4]], bases: &[G1Affine], at: usize, window: usize) -> G1 {
    let buckets = 1usize << (window - 1);
    let digits: Vec<i32> = scalars.iter().zip(bases).map(|(limbs, _)| digit(limbs, at, window)).collect();
    // Points by bucket: a counting sort.
    let mut sizes = vec![0u32; buckets];
    for digit in digits.iter().filter(|digit| **digit != 0) {
        sizes[digit.unsigned_abs() as usize - 1] += 1;
    }
    let mut next: Vec<u32> = sizes
        .iter()
        .scan(0, |start, size| {
            let from = *start;
            *start += size;
            Some(from)
        })
        .collect();
    let total = sizes.iter().sum::<u32>() as usize;
    let mut points = vec![G1Affine::default(); total];
    for (digit, base) in digits.iter().zip(bases).filter(|(digit, _)| **digit != 0) {
        let place = &mut next[digit.unsigned_abs() as usize - 1];
        points[*place as usize] = if *digit < 0 { -base } else { *base };
        *place += 1;
    }
    drop(digits);
    let mut spare = Vec::with_capacity(total.div_ceil(2) + buckets);
    while sizes.iter().any(|size| *size > 1) {
        halve(&points, &mut sizes, &mut spare);
        std::mem::swap(&mut points, &mut spare);
    }
    weighted_sum(&points, &sizes)
}

/// `sum_b (b + 1) * P_b` over buckets of one point or none.
fn weighted_sum(points: &[G1Affine], sizes: &[u32]) -> G1 {
    let width = usize::BITS as usize - sizes.len().leading_zeros() as usize;
    if points.len() * 2 * width < sizes.len() {
        let filled = sizes.iter().enumerate().filter(|(_, size)| **size > 0).map(|(bucket, _)| bucket + 1);
        return filled.zip(points).fold(G1::identity(), |sum, (weight, point)| {
            let multiple = (0..width).rev().fold(G1::identity(), |multiple, bit| {
                let doubled = multiple.double();
                if (weight >> bit) & 1 == 1 { doubled + point } else { doubled }
            });
            sum + multiple
        });
    }
    let mut points = points.iter().rev();
    let (mut running, mut sum) = (G1::identity(), G1::identity());
    for size in sizes.iter().rev() {
        if let Some(point) = (*size > 0).then(|| points.next()).flatten() {
            running += point;
        }
        sum += running;
    }
    sum
}

/// Adds the points of each bucket pairwise.
fn halve(points: &[G1Affine], sizes: &mut [u32], out: &mut Vec<G1Affine>) {
    out.clear();
    let mut batch = Batch::default();
    let mut from = 0;
    for size in sizes {
        let end = from + *size as usize;
        while from + 1 < end {
            out.push(G1Affine::default());
            batch.push(points, from, out);
            from += 2;
        }
        if from < end {
            out.push(points[from]);
            from += 1;
        }
        *size = size.div_ceil(2);
    }
    batch.flush(points, out);
}

/// Pairs of neighbours whose sums share an inversion.
#[derive(Default)]
struct Batch {
    /// Position of the first of a pair, and of the sum.
    places: Vec<(usize, usize)>,
    /// `x` of the second less `x` of the first, and the product of all such before.
    factors: Vec<(Fq, Fq)>,
    product: Option<Fq>,
}

impl Batch {
    /// Adds the pair from `from` on, later, to what is the last of `out`.
    fn push(&mut self, points: &[G1Affine], from: usize, out: &mut [G1Affine]) {
        let (a, b) = (&points[from], &points[from + 1]);
        let difference = b.x - a.x;
        // Equal and opposite points, and the identity, whose coordinates are zeros.
        if difference == Fq::ZERO || a.x == Fq::ZERO || b.x == Fq::ZERO {
            if let Some(out) = out.last_mut() {
                *out = (G1::from(a) + b).to_affine();
            }
            return;
        }
        let product = self.product.unwrap_or(Fq::ONE);
        self.places.push((from, out.len() - 1));
        self.factors.push((difference, product));
        self.product = Some(product * difference);
        if self.places.len() == BATCH {
            self.flush(points, out);
        }
    }

    fn flush(&mut self, points: &[G1Affine], out: &mut [G1Affine]) {
        // No factor is zero.
        let inverse = self.product.take().and_then(|product| Option::from(product.invert()));
        let mut inverse = inverse.unwrap_or(Fq::ONE);
        for ((from, to), (difference, before)) in self.places.drain(..).zip(self.factors.drain(..)).rev() {
            let (a, b) = (&points[from], &points[from + 1]);
            let slope = (b.y - a.y) * (inverse * before);
            inverse *= difference;
            let x = slope.square() - a.x - b.x;
            out[to] = G1Affine { x, y: slope * (a.x - x) - a.y };
        }
    }
}

#[cfg(test)]
mod tests {
    use halo2_proofs::arithmetic::best_multiexp;
    use halo2_proofs::halo2curves::group::prime::PrimeCurveAffine;
    use rand::{Rng, SeedableRng, rngs::StdRng};

    use super::*;

    fn bases(count: usize, rng: &mut StdRng) -> Vec<G1Affine> {
        let points: Vec<G1> = (0..count).map(|_| G1::random(&mut *rng)).collect();
        let mut affine = vec![G1Affine::default(); count];
        G1::batch_normalize(&points, &mut affine);
        affine
    }

    #[test]
    fn sums_are_those_of_halo2_for_scalars_of_every_size() {
        let mut rng = StdRng::seed_from_u64(1);
        for count in [1, 2, 3, 31, 512, 3000] {
            let bases = bases(count, &mut rng);
            let scalars: [(&str, Vec<Fr>); 6] = [
                ("full", (0..count).map(|_| Fr::random(&mut rng)).collect()),
                ("bytes", (0..count).map(|_| Fr::from(u64::from(rng.r#gen::<u8>()))).collect()),
                ("bytes and a random end", {
                    let mut scalars: Vec<Fr> = (0..count).map(|i| Fr::from(i as u64 % 200)).collect();
                    let from = count.saturating_sub(7);
                    scalars[from..].fill_with(|| Fr::random(&mut rng));
                    scalars
                }),
                ("all one", vec![Fr::ONE; count]),
                ("negative", (0..count).map(|i| -Fr::from(i as u64)).collect()),
                ("zero", vec![Fr::ZERO; count]),
            ];
            for (name, scalars) in scalars {
                assert_eq!(msm(&scalars, &bases), best_multiexp(&scalars, &bases), "{name}, {count} points");
            }
        }
    }

    #[test]
    fn equal_and_opposite_bases_and_the_identity_are_added_right() {
        let mut rng = StdRng::seed_from_u64(2);
        let point = bases(1, &mut rng)[0];
        let mixed: Vec<G1Affine> = (0..600).map(|i| [point, -point, G1Affine::identity(), point][i % 4]).collect();
        for scalars in [vec![Fr::from(5); 600], (0..600).map(|_| Fr::random(&mut rng)).collect()] {
            assert_eq!(msm(&scalars, &mixed), best_multiexp(&scalars, &mixed));
        }
        assert_eq!(msm(&[], &[]), G1::identity());
        assert_eq!(msm(&[-Fr::ONE], &[point]), -G1::from(point));
    }
}
