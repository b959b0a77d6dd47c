//! A few pieces of something whose end nobody knows yet, from its start, its middle and its end.

/// Pieces that are kept at most, beside the newest.
const MOST: usize = 8;

/// The least time between two that are kept, at first: four seconds. It doubles when there are too many.
const SPACING_NS: i64 = 4_000_000_000;

/// Keeps pieces of something that goes on, so that however long it lasts there are some of its start, its middle and its end: the first,
/// the newest, and a few between them that lie ever further apart. Ten at most.
#[derive(Debug)]
pub struct Spread<T> {
    kept: Vec<(i64, T)>,
    newest: Option<(i64, T)>,
    spacing_ns: i64,
}

impl<T> Default for Spread<T> {
    fn default() -> Self {
        Self { kept: Vec::new(), newest: None, spacing_ns: SPACING_NS }
    }
}

impl<T> Spread<T> {
    /// None so far.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next piece, which begins at `at_ns`. They come in order; one that begins before one that is there may be forgotten.
    pub fn push(&mut self, at_ns: i64, piece: T) {
        let Some(before) = self.newest.replace((at_ns, piece)) else { return };
        if self.kept.last().is_none_or(|(kept_ns, _)| before.0.saturating_sub(*kept_ns) >= self.spacing_ns) {
            self.kept.push(before);
        }
        if self.kept.len() > MOST {
            let mut number = 0;
            self.kept.retain(|_| {
                number += 1;
                number % 2 == 1
            });
            self.spacing_ns = self.spacing_ns.saturating_mul(2);
        }
    }

    /// All that are kept, in order, with the moments at which they begin.
    pub fn iter(&self) -> impl Iterator<Item = (i64, &T)> {
        self.kept.iter().chain(&self.newest).map(|(at_ns, piece)| (*at_ns, piece))
    }

    /// The first, the middle and the last of those that `wanted` wants, with these names: fewer where there are fewer.
    pub fn chosen(&self, wanted: impl Fn(i64, &T) -> bool) -> Vec<(&'static str, &T)> {
        let all: Vec<(i64, &T)> = self.iter().filter(|(at_ns, piece)| wanted(*at_ns, piece)).collect();
        let [first, .., last] = all[..] else {
            return all.first().map(|(_, piece)| ("start", *piece)).into_iter().collect();
        };
        let middle_ns = first.0 / 2 + last.0 / 2;
        let middle = all[1..all.len() - 1].iter().min_by_key(|(at_ns, _)| at_ns.abs_diff(middle_ns));
        let middle = middle.map(|(_, piece)| ("middle", *piece));
        [("start", first.1)].into_iter().chain(middle).chain([("end", last.1)]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    #[test]
    fn start_middle_and_end_are_kept_of_any_length() {
        for seconds in [9, 60, 601, 4000, 40_000] {
            let mut spread = Spread::new();
            for second in 0..seconds {
                spread.push(second * SECOND, second);
                assert!(spread.iter().count() <= MOST + 1);
            }
            let chosen = spread.chosen(|_, _| true);
            let [("start", start), ("middle", middle), ("end", end)] = chosen[..] else {
                panic!("{chosen:?}")
            };
            assert_eq!((*start, *end), (0, seconds - 1));
            assert!((middle - seconds / 2).abs() <= seconds / 4 + 4, "{middle} of {seconds} s");
        }
    }

    #[test]
    fn what_is_not_wanted_is_not_chosen() {
        let mut spread = Spread::new();
        assert_eq!(spread.chosen(|_, _: &i64| true), []);
        (0..100).for_each(|second| spread.push(second * SECOND, second));
        assert_eq!(spread.chosen(|at_ns, _| at_ns == 0), [("start", &0)]);
        assert_eq!(spread.chosen(|at_ns, _| at_ns > 98 * SECOND), [("start", &99)]);
        let late = spread.chosen(|at_ns, _| at_ns >= 30 * SECOND);
        assert!(late.len() == 3 && *late[0].1 >= 30 && *late[2].1 == 99, "{late:?}");
    }

    #[test]
    fn no_moment_overflows() {
        let mut spread = Spread::new();
        for n in 0..100 {
            spread.push(if n % 2 == 0 { i64::MIN } else { i64::MAX }, n);
        }
        assert!(spread.chosen(|_, _| true).len() <= 3);
    }
}
