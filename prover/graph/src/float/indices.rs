//! Index arithmetic of row-major arrays: each map lists, for every element of the result, the
//! element of the source that it is.

/// Number of elements, `None` where there are more than any tensor has. Axes without elements are no excuse for absurd
/// ones beside them: steps along those are computed as well.
pub(crate) fn count(shape: &[usize]) -> Option<usize> {
    let extent = shape.iter().try_fold(1usize, |n, d| n.checked_mul((*d).max(1)))?;
    let empty = shape.contains(&0);
    (extent <= 1 << 32).then_some(if empty { 0 } else { extent })
}

/// Step in the flat array of one step along each axis.
pub(crate) fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    strides
}

/// Flat offsets `base + sum_axis coordinate * step` over all coordinates of `shape`.
///
/// Steps may be negative (reversed slices) or zero (broadcasts); the caller keeps every offset
/// inside the source.
pub(crate) fn walk(shape: &[usize], base: usize, steps: &[isize]) -> Vec<usize> {
    let total: usize = shape.iter().product();
    let mut out = Vec::with_capacity(total);
    let mut at = vec![0usize; shape.len()];
    let mut flat = base;
    for _ in 0..total {
        out.push(flat);
        for axis in (0..shape.len()).rev() {
            at[axis] += 1;
            flat = flat.wrapping_add_signed(steps[axis]);
            if at[axis] < shape[axis] {
                break;
            }
            flat = flat.wrapping_add_signed(-(steps[axis] * shape[axis] as isize));
            at[axis] = 0;
        }
    }
    out
}

/// Axes of the source in the order `perm`.
pub(crate) fn permute(shape: &[usize], perm: &[usize]) -> Vec<usize> {
    let strides = strides(shape);
    let out: Vec<usize> = perm.iter().map(|a| shape[*a]).collect();
    let steps: Vec<isize> = perm.iter().map(|a| strides[*a] as isize).collect();
    walk(&out, 0, &steps)
}

/// Numpy's broadcast of two shapes, `None` where they do not agree.
pub(crate) fn broadcast_shape(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let rank = a.len().max(b.len());
    let dim = |s: &[usize], axis: usize| (axis + s.len()).checked_sub(rank).map_or(1, |i| s[i]);
    (0..rank)
        .map(|axis| match (dim(a, axis), dim(b, axis)) {
            (x, y) if x == y => Some(x),
            (1, y) => Some(y),
            (x, 1) => Some(x),
            _ => None,
        })
        .collect()
}

/// Elements of `from` repeated to `to`, which it must broadcast to.
pub(crate) fn broadcast(from: &[usize], to: &[usize]) -> Vec<usize> {
    let strides = strides(from);
    let lead = to.len() - from.len();
    let steps: Vec<isize> = (0..to.len())
        .map(|axis| match axis.checked_sub(lead) {
            Some(i) if from[i] != 1 => strides[i] as isize,
            _ => 0,
        })
        .collect();
    walk(to, 0, &steps)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn permute_transposes_a_matrix() {
        assert_eq!(permute(&[2, 3], &[1, 0]), vec![0, 3, 1, 4, 2, 5]);
    }

    #[test]
    fn walk_reverses_with_negative_steps() {
        assert_eq!(walk(&[3], 2, &[-1]), vec![2, 1, 0]);
    }

    #[test]
    fn broadcast_follows_numpy() {
        assert_eq!(broadcast_shape(&[3, 1], &[4]).unwrap(), vec![3, 4]);
        assert_eq!(broadcast_shape(&[3], &[4]), None);
        assert_eq!(broadcast(&[2, 1], &[2, 2]), vec![0, 0, 1, 1]);
    }
}
