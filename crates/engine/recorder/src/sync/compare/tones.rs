//! The sync tones of two takes beside each other.

/// Tones that lie within this of each other once the takes are shifted are the same, in milliseconds.
const SAME_MS: f64 = 5.0;
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

/// The tones of both that fall together at an offset, in order.
pub(super) fn pairs(a: &[f64], b: &[f64], offset: f64) -> Vec<(f64, f64)> {
    let partner = |a: f64| {
        let near = b.partition_point(|b| b - a - offset <= -SAME_MS);
        b.get(near).copied().filter(|b| b - a - offset < SAME_MS)
    };
    a.iter().filter_map(|a| Some((*a, partner(*a)?))).collect()
}
