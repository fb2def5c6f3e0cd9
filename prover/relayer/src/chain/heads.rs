//! Which endpoints' newest blocks are believed.

use super::Head;

/// A block farther than this beyond the local clock (seconds) is not of a live chain.
const CLOCK_LEAD: u64 = 60;
/// Blocks and seconds by which a head may be ahead of the others'.
const FAR_BLOCKS: u64 = 64;
const FAR_SECONDS: u64 = 120;
/// A node lags whose head is older than this (seconds), or this many blocks behind the others', and has no say.
const STALE: u64 = 120;
const LAG_BLOCKS: u64 = 8;

/// What chain time is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Clock {
    /// The local clock (Unix seconds).
    Local(u64),
    /// Nothing: time on a development chain is what a test makes it.
    Warped,
}

/// Endpoints with their heads, parted.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Judged {
    /// Believed, the newest head first.
    pub(super) believed: Vec<(usize, Head)>,
    /// Those of them that do not lag.
    pub(super) current: Vec<usize>,
    /// Not believed, and why.
    pub(super) doubted: Vec<(usize, String)>,
}

/// Parts heads that may be true from those that cannot be: one endpoint must not own all reads, and with them
/// every deadline, by telling the highest number. Of an even number of heads the lower middle one is the median,
/// so that of two that differ much the lower one is believed.
pub(super) fn judge(heads: &[(usize, Head)], clock: Clock) -> Judged {
    let (mut believed, mut doubted) = (Vec::new(), Vec::new());
    for (index, head) in heads {
        match clock {
            Clock::Local(now) if head.timestamp > now.saturating_add(CLOCK_LEAD) => {
                let lead = head.timestamp - now;
                let why = format!("its newest block is {lead} s ahead of this machine's clock; check node and clock");
                doubted.push((*index, why));
            }
            _ => believed.push((*index, *head)),
        }
    }
    let is_fresh = |head: &Head| match clock {
        Clock::Local(now) => head.timestamp.saturating_add(STALE) >= now,
        Clock::Warped => true,
    };
    let any_fresh = believed.iter().any(|(_, head)| is_fresh(head));
    let has_say = |head: &Head| !any_fresh || is_fresh(head);
    let voters = || believed.iter().map(|(_, head)| head).filter(|head| has_say(head));
    let number = lower_median(voters().map(|head| head.number)).unwrap_or(0);
    let timestamp = lower_median(voters().map(|head| head.timestamp)).unwrap_or(0);
    let is_far = |head: &Head| {
        head.number > number.saturating_add(FAR_BLOCKS) || head.timestamp > timestamp.saturating_add(FAR_SECONDS)
    };
    let (far, mut believed): (Vec<_>, Vec<_>) = believed.into_iter().partition(|(_, head)| is_far(head));
    doubted.extend(far.into_iter().map(|(index, head)| {
        let why = format!(
            "its newest block, {} at {} s, is far ahead of the other endpoints', {number} at {timestamp} s; check the node",
            head.number, head.timestamp
        );
        (index, why)
    }));
    believed.sort_by_key(|(index, head)| (std::cmp::Reverse(head.number), *index));
    let current = believed
        .iter()
        .filter(|(_, head)| has_say(head) && head.number.saturating_add(LAG_BLOCKS) >= number)
        .map(|(index, _)| *index)
        .collect();
    Judged { believed, current, doubted }
}

/// The middle value; of an even number of values the lower of the two in the middle.
pub(super) fn lower_median<T: Ord>(values: impl Iterator<Item = T>) -> Option<T> {
    let mut values: Vec<T> = values.collect();
    values.sort_unstable();
    let middle = values.len().saturating_sub(1) / 2;
    values.into_iter().nth(middle)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn head(number: u64, timestamp: u64) -> Head {
        Head { number, timestamp }
    }

    /// Endpoints that are believed, in order.
    fn believed(heads: &[Head], clock: Clock) -> Vec<usize> {
        let heads: Vec<_> = heads.iter().copied().enumerate().collect();
        judge(&heads, clock).believed.into_iter().map(|(index, _)| index).collect()
    }

    #[test]
    fn a_block_beyond_the_clock_is_not_believed_on_a_live_chain_even_alone() {
        let clock = Clock::Local(NOW);
        assert_eq!(believed(&[head(10, NOW + 60)], clock), [0]);
        assert_eq!(believed(&[head(10, NOW + 61)], clock), [0usize; 0]);
        assert_eq!(believed(&[head(10, NOW + 400_000_000)], Clock::Warped), [0]);
    }

    #[test]
    fn a_number_or_a_time_far_ahead_of_the_others_is_not_believed() {
        for clock in [Clock::Local(NOW), Clock::Warped] {
            assert_eq!(believed(&[head(100, NOW), head(1_000_000_000, NOW)], clock), [0]);
            assert_eq!(believed(&[head(1_000_000_000, NOW), head(100, NOW), head(164, NOW)], clock), [2, 1]);
        }
        assert_eq!(believed(&[head(100, NOW), head(101, NOW + 315_360_000)], Clock::Warped), [0]);
    }

    #[test]
    fn a_node_that_lags_has_no_say_on_a_live_chain_and_is_asked_last() {
        let heads = [head(100, NOW - 3_000), head(1_000, NOW - 5)];
        assert_eq!(believed(&heads, Clock::Local(NOW)), [1, 0]);
        let indexed: Vec<_> = heads.into_iter().enumerate().collect();
        assert_eq!(judge(&indexed, Clock::Local(NOW)).current, [1]);
        assert_eq!(believed(&heads, Clock::Warped), [0], "without a clock the lower one is believed");
        let halted = [head(100, NOW - 9_000), head(101, NOW - 8_990)];
        assert_eq!(believed(&halted, Clock::Local(NOW)), [1, 0]);
    }

    #[test]
    fn a_node_many_blocks_behind_most_others_has_no_say() {
        let heads = [head(91, NOW), head(100, NOW), head(102, NOW)];
        let indexed: Vec<_> = heads.into_iter().enumerate().collect();
        let judged = judge(&indexed, Clock::Warped);
        assert_eq!((judged.believed.len(), judged.current), (3, vec![2, 1]));
    }

    #[test]
    fn the_lower_middle_value_is_the_median() {
        assert_eq!(lower_median([3, 1, 2].into_iter()), Some(2));
        assert_eq!(lower_median([9, 1].into_iter()), Some(1));
        assert_eq!(lower_median(std::iter::empty::<u64>()), None);
    }
}
