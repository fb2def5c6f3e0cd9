//! When outputs are those expected.

use super::case::Elements;

/// Largest error of a floating-point output, as a share of the output's largest finite magnitude, or of 1 where that is
/// less.
pub const TOLERANCE: f64 = 1e-2;

/// How outputs compare.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// Largest error as [`TOLERANCE`] counts it; of integers the largest difference. Infinite where a value that is not
    /// finite was not given.
    pub error: f64,
    /// The first output that is not as expected.
    pub complaint: Option<String>,
}

/// Compares real outputs with those expected: as many outputs with as many elements; floating-point elements within
/// [`TOLERANCE`], the not finite ones the same; integers and booleans exact, once rounded. Shapes are not compared.
#[must_use]
pub fn compare(expected: &[Elements], got: &[Vec<f64>]) -> Comparison {
    let failed = |complaint: String| Comparison { error: f64::INFINITY, complaint: Some(complaint) };
    if got.len() != expected.len() {
        return failed(format!("{} outputs, expected {}", got.len(), expected.len()));
    }
    let mut all = Comparison { error: 0.0, complaint: None };
    for (index, (expected, got)) in expected.iter().zip(got).enumerate() {
        if got.len() != expected.len() {
            return failed(format!("output {index}: {} elements, expected {}", got.len(), expected.len()));
        }
        let (error, complaint) = match expected {
            Elements::Real(expected) => reals(expected, got),
            Elements::Whole(expected) => integers(expected, got),
        };
        all.error = all.error.max(error);
        all.complaint = all.complaint.or_else(|| complaint.map(|what| format!("output {index}: {what}")));
    }
    all
}

fn reals(expected: &[f64], got: &[f64]) -> (f64, Option<String>) {
    let finite = expected.iter().filter(|e| e.is_finite());
    let magnitude = finite.fold(1.0f64, |most, e| most.max(e.abs()));
    let same = |(e, g): &(&f64, &f64)| e == g || (e.is_nan() && g.is_nan());
    let (ordinary, special): (Vec<_>, Vec<_>) = expected.iter().zip(got).partition(|(e, _)| e.is_finite());
    if !special.iter().all(same) {
        return (f64::INFINITY, Some("expected values that are not finite are others".to_owned()));
    }
    let errors = ordinary.iter().map(|(e, g)| if g.is_nan() { f64::INFINITY } else { (*e - *g).abs() });
    let off = errors.clone().filter(|error| *error > TOLERANCE * magnitude).count();
    let most = errors.fold(0.0, f64::max);
    let complaint = format!("{off} of {} elements are off, by {most:.3e} at most", expected.len());
    (most / magnitude, (off > 0).then_some(complaint))
}

fn integers(expected: &[i128], got: &[f64]) -> (f64, Option<String>) {
    let difference = |e: i128, g: f64| {
        // Beyond 2^127 the cast saturates, and differs from whatever is expected.
        if g.is_finite() { e.abs_diff(g.round_ties_even() as i128) as f64 } else { f64::INFINITY }
    };
    let errors = expected.iter().zip(got).map(|(e, g)| difference(*e, *g));
    let off = errors.clone().filter(|error| *error > 0.0).count();
    let most = errors.fold(0.0, f64::max);
    let complaint = format!("{off} of {} integers differ, by {most} at most", expected.len());
    (most, (off > 0).then_some(complaint))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(expected: Elements, got: &[f64]) -> bool {
        compare(&[expected], &[got.to_vec()]).complaint.is_none()
    }

    #[test]
    fn reals_may_err_by_a_share_of_the_largest_magnitude() {
        let expected = || Elements::Real(vec![0.0, 200.0]);
        assert!(passes(expected(), &[2.0, 200.0]));
        assert!(!passes(expected(), &[2.001, 200.0]));
        assert!(passes(Elements::Real(vec![0.1]), &[0.11]) && !passes(Elements::Real(vec![0.1]), &[0.1101]));
    }

    #[test]
    fn values_that_are_not_finite_are_the_same_and_count_for_no_magnitude() {
        let expected = || Elements::Real(vec![f64::INFINITY, f64::NAN, 1.0]);
        assert!(passes(expected(), &[f64::INFINITY, f64::NAN, 1.009]));
        assert!(!passes(expected(), &[f64::INFINITY, f64::NAN, 1.02]));
        assert!(!passes(expected(), &[f64::NEG_INFINITY, f64::NAN, 1.0]));
        assert!(!passes(Elements::Real(vec![1.0]), &[f64::NAN]));
    }

    #[test]
    fn integers_are_exact_once_rounded() {
        assert!(passes(Elements::Whole(vec![3, -1]), &[3.4, -0.6]));
        assert!(!passes(Elements::Whole(vec![3]), &[3.6]));
        assert!(!passes(Elements::Whole(vec![i128::from(u64::MAX)]), &[u64::MAX as f64]));
    }

    #[test]
    fn counts_agree() {
        assert!(passes(Elements::Real(Vec::new()), &[]) && !passes(Elements::Real(vec![1.0]), &[1.0, 1.0]));
        let none: [Elements; 0] = [];
        assert!(compare(&none, &[vec![1.0]]).complaint.is_some());
    }
}
