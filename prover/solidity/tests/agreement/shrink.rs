//! Makes a failing recipe as small as it can be while it still fails.

use crate::circuits::Recipe;

/// Takes the first smaller recipe that `fails` still refuses, again and again, until none is left or
/// `tries` are used up. Returns the recipe and what was said of it.
pub(crate) fn shrink<E>(
    start: Recipe,
    error: E,
    tries: usize,
    mut fails: impl FnMut(&Recipe) -> Option<E>,
) -> (Recipe, E) {
    let (mut recipe, mut error, mut left) = (start, error, tries);
    'smaller: loop {
        for candidate in recipe.smaller() {
            if left == 0 {
                break 'smaller;
            }
            left -= 1;
            if let Some(found) = fails(&candidate) {
                (recipe, error) = (candidate, found);
                continue 'smaller;
            }
        }
        break;
    }
    (recipe, error)
}
