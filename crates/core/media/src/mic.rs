//! The microphone's samples on their way from the capture callback to one consumer.

use std::time::Duration;

use ringbuf::traits::{Consumer, Observer, Producer, Split};
use ringbuf::{HeapCons, HeapProd, HeapRb};

use crate::SAMPLE_RATE;

/// Which samples of a [`MicTap`] a block holds, and when it was captured.
///
/// The capture callback writes one a block. The recorder reads losses, gaps and the card's drift out of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CaptureMark {
    /// The block's first sample, counted from the first sample the device captured for this tap, including samples
    /// that a full ring made it lose.
    pub sample_index: u64,
    /// The block's length in samples.
    pub len: u32,
    /// When the first sample was captured, since the process's epoch; or later, where what brought it was held up.
    pub at: Duration,
}

/// The capture callback's end of a tap: never blocks, never allocates.
pub struct MicFeed {
    samples: HeapProd<f32>,
    marks: HeapProd<CaptureMark>,
    next_index: u64,
}

/// The consumer's end of a tap: mono `f32` samples at 48 kHz, and the moments at which blocks of them were captured.
pub struct MicTap {
    samples: HeapCons<f32>,
    marks: HeapCons<CaptureMark>,
}

/// A ring of `seconds` of microphone between the capture callback and one consumer.
#[must_use]
pub fn mic_tap(seconds: f32) -> (MicFeed, MicTap) {
    let capacity = (seconds * SAMPLE_RATE as f32) as usize;
    let (samples_in, samples_out) = HeapRb::new(capacity.max(1)).split();
    // The smallest device periods are about a millisecond, so there is a mark for each even then.
    let (marks_in, marks_out) = HeapRb::new((capacity / 32).max(16)).split();
    (
        MicFeed { samples: samples_in, marks: marks_in, next_index: 0 },
        MicTap { samples: samples_out, marks: marks_out },
    )
}

impl MicFeed {
    /// Appends one block whose first sample was captured `at`; returns how many samples a full ring lost.
    ///
    /// A lost sample still counts in [`CaptureMark::sample_index`], so that the consumer sees the hole.
    pub fn push(&mut self, block: &[f32], at: Duration) -> usize {
        // Marks and samples must agree: without room for the mark the block is lost whole. The mark goes first, so that
        // whoever reads by samples finds the mark of each.
        let mark = CaptureMark { sample_index: self.next_index, len: block.len() as u32, at };
        self.next_index += block.len() as u64;
        if self.samples.vacant_len() < block.len() || self.marks.try_push(mark).is_err() {
            return block.len();
        }
        self.samples.push_slice(block);
        0
    }

    /// Whether the consumer has gone, so that the feed can be retired.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        !self.samples.read_is_held()
    }
}

impl MicTap {
    /// Takes the next block whole: its samples become all of `block`. `None` while it is not there.
    ///
    /// This is for a consumer that takes nothing but blocks; one that [`read`](Self::read)s any number of samples takes
    /// the marks with [`next_mark`](Self::next_mark) and counts.
    pub fn next_block(&mut self, block: &mut Vec<f32>) -> Option<CaptureMark> {
        let len = self.peek_mark()?.len as usize;
        if self.available() < len {
            return None;
        }
        block.resize(len, 0.0);
        self.samples.pop_slice(block);
        self.next_mark()
    }

    /// The next block's mark, once it is there. The first [`len`](CaptureMark::len) samples that no earlier mark spoke of
    /// are its own; they may come a moment after it.
    pub fn next_mark(&mut self) -> Option<CaptureMark> {
        self.marks.try_pop()
    }

    fn peek_mark(&self) -> Option<CaptureMark> {
        self.marks.try_peek().copied()
    }

    /// How many samples can be read now.
    #[must_use]
    pub fn available(&self) -> usize {
        self.samples.occupied_len()
    }

    /// The ring's size in samples.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.samples.capacity().get()
    }

    /// Takes up to `out.len()` samples; returns how many it took.
    pub fn read(&mut self, out: &mut [f32]) -> usize {
        self.samples.pop_slice(out)
    }

    /// Whether the device's end has gone: what is [`available`](Self::available) is all there will be.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        !self.samples.write_is_held()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_and_marks_arrive_in_order() {
        let (mut feed, mut tap) = mic_tap(0.1);
        assert_eq!(feed.push(&[1.0, 2.0], Duration::from_millis(1)), 0);
        assert_eq!(feed.push(&[3.0], Duration::from_millis(2)), 0);
        let mut out = [0.0; 8];
        assert_eq!(tap.read(&mut out), 3);
        assert_eq!(out[..3], [1.0, 2.0, 3.0]);
        assert_eq!(tap.next_mark().unwrap().sample_index, 0);
        assert_eq!(
            tap.next_mark(),
            Some(CaptureMark { sample_index: 2, len: 1, at: Duration::from_millis(2) })
        );
        assert_eq!(tap.next_mark(), None);
    }

    #[test]
    fn a_full_ring_loses_whole_blocks_and_the_next_mark_shows_the_hole() {
        let (mut feed, mut tap) = mic_tap(0.001); // 48 samples
        assert_eq!(feed.push(&[0.5; 40], Duration::ZERO), 0);
        assert_eq!(feed.push(&[0.5; 40], Duration::from_millis(1)), 40);
        let mut out = [0.0; 64];
        assert_eq!(tap.read(&mut out), 40);
        assert_eq!(feed.push(&[0.5; 40], Duration::from_millis(2)), 0);
        assert_eq!(tap.next_mark().unwrap().sample_index, 0);
        assert_eq!(tap.next_mark().unwrap().sample_index, 80);
    }

    #[test]
    fn blocks_come_apart_as_they_were_pushed_and_losses_show_between_their_marks() {
        let (mut feed, mut tap) = mic_tap(0.01); // 480 samples
        let mut block = vec![9.0; 7];
        assert_eq!(tap.next_block(&mut block), None);
        assert_eq!(block.len(), 7, "nothing was taken");
        for (i, len) in [100_usize, 240, 300, 140].into_iter().enumerate() {
            let lost = feed.push(&vec![i as f32; len], Duration::from_millis(i as u64));
            assert_eq!(lost, if i == 2 { 300 } else { 0 });
        }
        let mut end = 0;
        for (i, lost) in [(0, 0), (1, 0), (3, 300)] {
            let mark = tap.next_block(&mut block).unwrap();
            assert_eq!((mark.sample_index - end, mark.len as usize), (lost, block.len()));
            assert!(block.iter().all(|sample| *sample == i as f32), "block {i}");
            end = mark.sample_index + u64::from(mark.len);
        }
        assert_eq!((tap.next_block(&mut block), end), (None, 780));
    }

    #[test]
    fn each_end_sees_the_other_go() {
        let (feed, tap) = mic_tap(0.01);
        assert!(!tap.is_closed() && !feed.is_closed());
        drop(tap);
        assert!(feed.is_closed());
    }
}
