//! Seconds of the microphone as it came, kept from a take's start, its middle and its end, so that its master can be held against them.

use hyperzoom_media::SAMPLE_RATE;
use hyperzoom_timing::Spread;

/// A piece's length in samples: a second. Of all that are kept it is 2 MB at most.
const PIECE: usize = SAMPLE_RATE as usize;
/// A piece's length on the session clock may differ from its own by this: 1 %, in nanoseconds. No crystal is so far off: the device stood
/// still for a while, and its samples lie nobody knows where.
const OFF_NS: u64 = 10_000_000;
/// Samples after a piece until its session time is final: what the track waits for evidence, and as much again.
const SETTLED: u64 = 2 * crate::audio_track::EVIDENCE as u64;

/// A second of the microphone, with the session time of its first and its last sample.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Piece {
    index: u64,
    pub(crate) samples: Vec<f32>,
    pub(crate) times: Option<(i64, i64)>,
}

/// The pieces of a take that runs.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    pieces: Spread<Piece>,
    /// Full, and without its times yet.
    waiting: Option<Piece>,
    filling: Option<Piece>,
    /// The device's next sample.
    next: u64,
}

impl Kept {
    /// Takes the microphone's next block: `index` is its first sample's.
    pub(crate) fn push(&mut self, index: u64, block: &[f32]) {
        if index != self.next {
            // A piece has no holes.
            self.filling = None;
        }
        self.next = index + block.len() as u64;
        let piece = self.filling.get_or_insert_with(|| Piece {
            index,
            samples: Vec::with_capacity(PIECE),
            times: None,
        });
        let room = PIECE - piece.samples.len();
        piece.samples.extend_from_slice(&block[..room.min(block.len())]);
        if piece.samples.len() == PIECE {
            let full = self.filling.take();
            // One that waits for its times is not replaced by the next.
            self.waiting = self.waiting.take().or(full);
        }
    }

    /// Notes the session time of the piece that waits for it, once that is final.
    pub(crate) fn settle(&mut self, time_of: impl Fn(u64) -> Option<i64>) {
        let next = self.next;
        let Some(mut piece) = self.waiting.take_if(|it| next >= it.index + PIECE as u64 + SETTLED) else {
            return;
        };
        let last = piece.index + PIECE as u64 - 1;
        piece.times = time_of(piece.index)
            .zip(time_of(last))
            .filter(|(from, to)| to.saturating_sub(*from).abs_diff(1_000_000_000) <= OFF_NS);
        if let Some((from_ns, _)) = piece.times {
            self.pieces.push(from_ns, piece);
        }
    }

    /// The first, the middle and the last piece that lie within the take from `start_ns` to `end_ns`.
    pub(crate) fn chosen(&self, start_ns: i64, end_ns: i64) -> Vec<(&'static str, Piece)> {
        let inside = |_, piece: &Piece| piece.times.is_some_and(|(from, to)| from >= start_ns && to < end_ns);
        self.pieces.chosen(inside).into_iter().map(|(place, piece)| (place, piece.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Session time of a device's sample: 48 kHz, from 5 s on.
    fn time_of(index: u64) -> Option<i64> {
        Some(5_000_000_000 + (index as i64) * 62_500 / 3)
    }

    /// Its own number, as far as an `f32` counts.
    fn sample(index: u64) -> f32 {
        (index % (1 << 24)) as f32
    }

    fn kept(seconds: u64, hole_at: Option<u64>) -> Kept {
        let mut kept = Kept::default();
        let mut index = 0;
        for block in 0..seconds * 100 {
            if hole_at == Some(block) {
                index += 5000;
            }
            let samples: Vec<f32> = (index..index + 480).map(sample).collect();
            kept.push(index, &samples);
            kept.settle(time_of);
            index += 480;
        }
        kept
    }

    #[test]
    fn start_middle_and_end_are_kept_of_any_length() {
        for seconds in [12, 60, 601, 4000] {
            let kept = kept(seconds, None);
            let chosen = kept.chosen(5_000_000_000, i64::MAX);
            let names: Vec<_> = chosen.iter().map(|(name, _)| *name).collect();
            assert_eq!(names, ["start", "middle", "end"], "{seconds} s");
            let at = |n: usize| (chosen[n].1.times.unwrap().0 - 5_000_000_000) as f64 / 1e9;
            let length = seconds as f64;
            assert!(at(0) < 2.0 && at(2) > length - 6.0, "{} and {} of {seconds} s", at(0), at(2));
            assert!((at(1) - length / 2.0).abs() < length / 4.0 + 4.0, "{} of {seconds} s", at(1));
            for (_, piece) in &chosen {
                assert!(piece.samples.iter().zip(piece.index..).all(|(it, index)| *it == sample(index)));
            }
        }
    }

    #[test]
    fn a_piece_in_which_the_device_stood_still_is_not_kept() {
        // Half an hour passes in the middle of the ninth second.
        let paused = |index: u64| Some(time_of(index)? + if index < 408_000 { 0 } else { 1_800_000_000_000 });
        let mut kept = Kept::default();
        for n in 0..3000 {
            kept.push(n * 480, &[0.1; 480]);
            kept.settle(paused);
        }
        let pieces: Vec<_> = kept.pieces.iter().map(|(_, piece)| piece).collect();
        assert!(pieces.len() > 3);
        for piece in pieces {
            let (from, to) = piece.times.unwrap();
            assert!((to - from).abs_diff(1_000_000_000) < OFF_NS, "{} s", (to - from) as f64 / 1e9);
        }
    }

    #[test]
    fn no_piece_has_a_hole_and_none_lies_outside_the_take() {
        let kept = kept(30, Some(1234));
        for (_, piece) in kept.pieces.iter() {
            let last = piece.samples[PIECE - 1];
            assert_eq!(last - piece.samples[0], (PIECE - 1) as f32);
        }
        let chosen = kept.chosen(9_000_000_000, 20_000_000_000);
        for (_, piece) in chosen {
            let (from, to) = piece.times.unwrap();
            assert!(from >= 9_000_000_000 && to < 20_000_000_000);
        }
        assert_eq!(kept.chosen(0, 1), []);
    }
}
