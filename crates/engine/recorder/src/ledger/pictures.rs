//! The pictures' ledger: one entry a tick.

use serde::{Deserialize, Serialize};

/// What became of the camera's pictures: `captured + duplicated = written + decimated + dropped`, always.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VideoCounts {
    /// Pictures that the camera captured for this take.
    pub captured: u64,
    /// Pictures in the file: one a tick.
    pub written: u64,
    /// Ticks that repeat the picture before (or the first one, ahead of its time), since the camera had no new one.
    pub duplicated: u64,
    /// Those among the duplicated that are black: the camera had not delivered anything yet, or nothing for two seconds.
    #[serde(default)]
    pub black: u64,
    /// Pictures left out since a newer one had arrived by the same tick.
    pub decimated: u64,
    /// Pictures that we lost: in a full ring, or on their way to a disk or out of an encoder that failed. Must be 0.
    pub dropped: u64,
}

/// Black pictures in the file for want of the camera's. Where the camera was there before, its last picture stands still for two seconds
/// before them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PictureGap {
    /// The first of them, in pictures of the file (1/30 s), counted from its first.
    pub start_frame: u64,
    /// How many there are.
    pub frames: u64,
}

/// What became of the pictures that belong to one tick.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct TickEntry {
    /// Whether its picture is shown for the first time.
    pub(crate) fresh: bool,
    /// Whether it shows black for want of one.
    pub(crate) black: bool,
    /// Pictures passed over for that one.
    pub(crate) decimated: u64,
    /// Pictures that did not fit into the camera's ring.
    pub(crate) dropped: u64,
}

/// The entries of all ticks settled so far. Equal ones in a row are kept as one, so that hours of them take little room.
#[derive(Debug, Default)]
pub(crate) struct PictureLedger {
    runs: Vec<(TickEntry, u64)>,
    ticks: u64,
    /// The runs of black ones, in order; no two touch.
    gaps: Vec<PictureGap>,
    /// What all of the runs come to: the counts are asked for many times a second, and a long take may have many runs.
    total: Sums,
}

/// What some ticks come to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sums {
    fresh: u64,
    black: u64,
    decimated: u64,
    dropped: u64,
}

impl Sums {
    fn add(&mut self, entry: TickEntry, count: u64) {
        self.fresh += if entry.fresh { count } else { 0 };
        self.black += if entry.black { count } else { 0 };
        self.decimated += count * entry.decimated;
        self.dropped += count * entry.dropped;
    }
}

impl PictureLedger {
    /// Enters the next tick.
    pub(crate) fn push(&mut self, entry: TickEntry) {
        if entry.black {
            match self.gaps.last_mut() {
                Some(gap) if gap.start_frame + gap.frames == self.ticks => gap.frames += 1,
                _ => self.gaps.push(PictureGap { start_frame: self.ticks, frames: 1 }),
            }
        }
        self.ticks += 1;
        self.total.add(entry, 1);
        match self.runs.last_mut() {
            Some((last, count)) if *last == entry => *count += 1,
            _ => self.runs.push((entry, 1)),
        }
    }

    /// The counts of a take that ends after `asked` ticks, of which the first `on_disk` are in its file.
    pub(crate) fn counts(&self, asked: u64, on_disk: u64) -> VideoCounts {
        let settled = asked.min(self.ticks);
        let written = on_disk.min(settled);
        // Only an end that cuts something off needs a look at the runs.
        let it = if settled == self.ticks { self.total } else { self.first(settled) };
        VideoCounts {
            captured: it.fresh + it.decimated + it.dropped,
            written,
            duplicated: settled - it.fresh,
            black: it.black,
            decimated: it.decimated,
            dropped: it.dropped + settled - written,
        }
    }

    /// Where the first `ticks` are black: as many as [`VideoCounts::black`].
    pub(crate) fn gaps(&self, ticks: u64) -> Vec<PictureGap> {
        let within = self.gaps.iter().take_while(|gap| gap.start_frame < ticks);
        within.map(|gap| PictureGap { frames: gap.frames.min(ticks - gap.start_frame), ..*gap }).collect()
    }

    /// What the first `ticks` come to.
    fn first(&self, ticks: u64) -> Sums {
        let mut sums = Sums::default();
        let mut left = ticks;
        for (entry, count) in &self.runs {
            let count = left.min(*count);
            if count == 0 {
                break;
            }
            left -= count;
            sums.add(*entry, count);
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_end_leaves_out_what_came_after_it() {
        let mut ledger = PictureLedger::default();
        for tick in 0..10 {
            let fresh = tick != 3;
            ledger.push(TickEntry { fresh, black: !fresh, decimated: u64::from(tick > 6), dropped: 0 });
        }
        let counts = |asked, on_disk| {
            let it = ledger.counts(asked, on_disk);
            (it.captured, it.written, it.duplicated, it.decimated, it.dropped)
        };
        assert_eq!(counts(3, 10), (3, 3, 0, 0, 0));
        assert_eq!((ledger.counts(3, 10).black, ledger.counts(8, 10).black), (0, 1));
        let gap = PictureGap { start_frame: 3, frames: 1 };
        assert_eq!((ledger.gaps(3), ledger.gaps(4), ledger.gaps(u64::MAX)), (vec![], vec![gap], vec![gap]));
        assert_eq!(counts(8, 10), (8, 8, 1, 1, 0));
        assert_eq!(counts(u64::MAX, u64::MAX), (12, 10, 1, 3, 0));
        assert_eq!(counts(8, 5), (8, 5, 1, 1, 3), "three never reached the disk");
    }

    proptest! {
        #[test]
        fn the_counts_add_up_for_every_end(
            entries in prop::collection::vec((any::<bool>(), 0u64..3, 0u64..2), 0..60),
            asked in 0u64..70,
            on_disk in 0u64..70,
        ) {
            let mut ledger = PictureLedger::default();
            for (fresh, decimated, dropped) in entries {
                ledger.push(TickEntry { fresh, black: !fresh, decimated, dropped });
            }
            let it = ledger.counts(asked, on_disk);
            prop_assert_eq!(it.captured + it.duplicated, it.written + it.decimated + it.dropped);
            prop_assert!(it.written <= asked.min(on_disk));
            let gaps = ledger.gaps(asked.min(ledger.ticks));
            prop_assert_eq!(gaps.iter().map(|gap| gap.frames).sum::<u64>(), it.black);
            prop_assert!(gaps.windows(2).all(|it| it[0].start_frame + it[0].frames < it[1].start_frame));
            prop_assert_eq!(ledger.first(ledger.ticks), ledger.total, "the running totals are those of the runs");
        }
    }
}
