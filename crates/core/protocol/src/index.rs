//! From 16-bit sequence numbers to extended ones, and the memory of those already seen.

/// How many sequence numbers below the highest one seen a datagram may lie and still be taken.
pub(crate) const WINDOW: u64 = 2048;

// One word more than the window, so that clearing a word that the window enters never touches one still inside it
// (RFC 6479 §2).
const WORDS: usize = WINDOW as usize / 64 + 1;

/// The extended sequence numbers of one stream that have been received.
#[derive(Debug, Clone)]
pub(crate) struct ReplayWindow {
    /// One more than the highest number received: 0 when there is none.
    end: u64,
    seen: [u64; WORDS],
}

impl ReplayWindow {
    pub(crate) fn new() -> Self {
        Self { end: 0, seen: [0; WORDS] }
    }

    /// The extended number that `sequence` most likely stands for: the one nearest to the highest received
    /// (RFC 3711 §3.3.1 and Appendix A).
    pub(crate) fn estimate(&self, sequence: u16) -> u64 {
        let highest = self.end.saturating_sub(1);
        let rollover = highest >> 16;
        let low = highest as u16;
        let sequence_wide = u64::from(sequence);
        let rollover = if low < 0x8000 {
            // `highest` is in the lower half: a number far above it is from before the last wrap, if there was one.
            if sequence > low && sequence - low > 0x8000 { rollover.saturating_sub(1) } else { rollover }
        } else if low - 0x8000 > sequence {
            rollover + 1
        } else {
            rollover
        };
        rollover << 16 | sequence_wide
    }

    /// Whether `index` is neither seen nor too old to tell.
    pub(crate) fn check(&self, index: u64) -> Result<(), Stale> {
        if index >= self.end {
            return Ok(());
        }
        if self.end - index > WINDOW {
            return Err(Stale::Old);
        }
        let (word, bit) = place(index);
        if self.seen[word] & bit == 0 { Ok(()) } else { Err(Stale::Seen) }
    }

    /// Remembers `index`, which [`check`](Self::check) let pass; whether it is the highest so far.
    pub(crate) fn mark(&mut self, index: u64) -> bool {
        let newest = index >= self.end;
        if newest {
            let old_word = self.end.saturating_sub(1) / 64;
            let steps = (index / 64 - old_word).min(WORDS as u64);
            for step in 1..=steps {
                self.seen[((old_word + step) % WORDS as u64) as usize] = 0;
            }
            self.end = index + 1;
        }
        let (word, bit) = place(index);
        self.seen[word] |= bit;
        newest
    }
}

/// Why a sequence number is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stale {
    Seen,
    Old,
}

fn place(index: u64) -> (usize, u64) {
    (((index / 64) % WORDS as u64) as usize, 1 << (index % 64))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_first_number_stands_for_itself() {
        let window = ReplayWindow::new();
        assert_eq!(window.estimate(0), 0);
        assert_eq!(window.estimate(0x7FFF), 0x7FFF);
        assert_eq!(window.estimate(0xFFFF), 0xFFFF, "nothing is before the first");
    }

    proptest! {
        #[test]
        fn the_estimate_holds_within_half_a_turn(highest in 0u64..1 << 40, step in -0x7FFFi64..0x7FFF) {
            let mut window = ReplayWindow::new();
            window.mark(highest);
            let truth = highest as i64 + step;
            prop_assume!(truth >= 0);
            prop_assert_eq!(window.estimate(truth as u16), truth as u64);
        }

        #[test]
        fn the_window_agrees_with_a_set(steps in prop::collection::vec(-3000i64..3000, 1..400)) {
            let mut window = ReplayWindow::new();
            let mut set = HashSet::new();
            let mut at = 5000i64;
            let mut highest = None::<u64>;
            for step in steps {
                at = (at + step).max(0);
                let index = at as u64;
                let expected = match highest {
                    Some(top) if index + WINDOW <= top => Err(Stale::Old),
                    _ if set.contains(&index) => Err(Stale::Seen),
                    _ => Ok(()),
                };
                prop_assert_eq!(window.check(index), expected);
                if expected.is_ok() {
                    prop_assert_eq!(window.mark(index), highest.is_none_or(|top| index > top));
                    set.insert(index);
                    highest = Some(highest.map_or(index, |top| top.max(index)));
                }
            }
        }
    }
}
