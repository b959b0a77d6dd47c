//! The sync tones of two takes beside each other.

/// Tones that lie within this of each other once the takes are shifted are the same, in milliseconds.
const SAME_MS: f64 = 5.0;
/// So far one that is not certain may lie beside where it was found, in milliseconds.
const DOUBT_MS: f64 = 24.0;
/// Tones of each take by which they are laid beside each other: a call has some dozens, and whatever else beeps may have thousands.
const MOST_TONES: usize = 1000;

/// The offset, in milliseconds, at which the most tones of both fall together; of equals the least.
pub(super) fn likeliest(a: &[f64], b: &[f64]) -> Option<f64> {
    let first = |tones: &[f64]| tones[..tones.len().min(MOST_TONES)].to_vec();
    let (a, b) = (first(a), first(b));
    let mut offsets: Vec<f64> = a.iter().flat_map(|a| b.iter().map(move |b| b - a)).collect();
    offsets.sort_by(f64::total_cmp);
    // Tones of one take lie further apart than what counts as the same: each offset nearby is another pair.
    let (mut from, mut end) = (0, 0);
    let mut best: Option<(usize, f64)> = None;
    for offset in &offsets {
        while offset - offsets[from] >= SAME_MS {
            from += 1;
        }
        while end < offsets.len() && offsets[end] - offset < SAME_MS {
            end += 1;
        }
        let count = end - from;
        if best.is_none_or(|(most, least)| count > most || count == most && offset.abs() < least.abs()) {
            best = Some((count, *offset));
        }
    }
    best.map(|(_, offset)| offset)
}

/// The tones of both that fall together at an offset, in order, by their numbers.
pub(super) fn pairs(a: &[f64], b: &[f64], offset: f64) -> Vec<(usize, usize)> {
    let partner = |a: f64| {
        let near = b.partition_point(|b| b - a - offset <= -SAME_MS);
        b.get(near).filter(|b| **b - a - offset < SAME_MS).map(|_| near)
    };
    a.iter().enumerate().filter_map(|(n, a)| Some((n, partner(*a)?))).collect()
}

/// The nearest tone of `b` to each one of `a` that has no partner, where either of them is not certain: it may lie that far beside.
pub(super) fn doubtful(
    (a, a_certain): (&[f64], &[bool]),
    (b, b_certain): (&[f64], &[bool]),
    offset: f64,
    known: &[(usize, usize)],
) -> Vec<(usize, usize)> {
    let alone = |n: &usize| known.iter().all(|(known, _)| known != n);
    let free = |m: &usize| known.iter().all(|(_, known)| known != m);
    let partner = |n: usize| {
        let far = |m: usize| (b[m] - a[n] - offset).abs();
        let nearest = (0..b.len()).filter(free).min_by(|l, r| far(*l).total_cmp(&far(*r)))?;
        let may_be = far(nearest) <= DOUBT_MS && !(a_certain[n] && b_certain[nearest]);
        may_be.then_some((n, nearest))
    };
    (0..a.len()).filter(alone).filter_map(partner).collect()
}

/// Two takes' same tone.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Pair {
    /// Its session time by the first take's timecode, in milliseconds.
    pub(super) ms: f64,
    /// How much later it lies by the second's, in milliseconds.
    pub(super) offset: f64,
    /// Whether both are certain to the millisecond.
    pub(super) is_certain: bool,
}

/// Moves pairs that may be off by whole milliseconds to where the others say; to where the voices say, `heard`, in milliseconds, if
/// there is no other; else as near as they come to what the timecode says. Whether anything but the timecode says so.
pub(super) fn settle(pairs: &mut [Pair], heard: Option<f64>) -> bool {
    let certain: Vec<f64> = pairs.iter().filter(|pair| pair.is_certain).map(|pair| pair.offset).collect();
    if certain.len() == pairs.len() {
        return true;
    }
    let mean = (!certain.is_empty()).then(|| certain.iter().sum::<f64>() / certain.len() as f64);
    let known = mean.or(heard);
    for pair in pairs.iter_mut().filter(|pair| !pair.is_certain) {
        let beside = pair.offset - known.unwrap_or(0.0);
        // What is further off than a tone in doubt can be is off.
        if beside.abs() <= DOUBT_MS {
            pair.offset -= beside.round();
        }
    }
    known.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(offset: f64, is_certain: bool) -> Pair {
        Pair { ms: 1000.0, offset, is_certain }
    }

    #[test]
    fn what_is_in_doubt_follows_what_is_certain_and_that_stays() {
        let mut pairs = [pair(3.02, true), pair(-1.99, false), pair(2.98, true), pair(9.01, false)];
        assert!(settle(&mut pairs, Some(0.0)));
        let offsets = pairs.map(|pair| (pair.offset * 100.0).round() / 100.0);
        assert_eq!(offsets, [3.02, 3.01, 2.98, 3.01]);
        let mut pairs = [pair(6.02, false)];
        assert!(settle(&mut pairs, Some(2.3)) && (pairs[0].offset - 2.02).abs() < 1e-9, "the voices say");
        let mut pairs = [pair(6.02, false)];
        assert!(!settle(&mut pairs, None) && (pairs[0].offset - 0.02).abs() < 1e-9, "nobody does");
        assert!(settle(&mut [], None));
    }
}
