//! The microphone on the take's timeline: from the first tick on, one sample after the other, silence where there is none.

use std::collections::VecDeque;
use std::time::Duration;

use hyperzoom_media::SAMPLE_RATE;

/// A block that starts this much later than the samples before it say is looked at as a gap.
const SUSPECT: i64 = samples(Duration::from_millis(30));

/// For how long the blocks after a suspect one must agree: a late callback catches up within that, a stalled device never.
const EVIDENCE_NS: i64 = 300_000_000;

/// How far behind the session's time the track may fall before it is filled with silence, so that a device which says nothing
/// more does not hold the file back.
pub const SILENCE_AFTER: Duration = Duration::from_secs(1);

const fn samples(duration: Duration) -> i64 {
    (duration.as_nanos() as i64) * SAMPLE_RATE as i64 / 1_000_000_000
}

/// Lays blocks of samples out on the timeline.
///
/// The count of samples rules; the blocks' moments decide where the first goes and where the device was silent. (A device
/// whose clock runs fast or slow therefore drifts by its parts per million; nothing is resampled.)
#[derive(Debug)]
pub struct AudioTrack {
    start_ns: i64,
    /// Samples given out so far: the position of the next one.
    written: i64,
    /// The position at which the device's sample 0 lies, by its index.
    origin: Option<i64>,
    /// The smoothed difference between the moments that blocks claim and their places by count, in samples.
    drift: f64,
    held: VecDeque<Block>,
    counts: AudioCounts,
    /// Whether the last sample given out was silence put in, so that more of it is the same gap.
    in_gap: bool,
}

#[derive(Debug)]
struct Block {
    index: i64,
    at_ns: i64,
    samples: Vec<f32>,
}

/// What the sound of a take consists of, in samples: `captured + silence = written + late`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct AudioCounts {
    /// Samples from the device, from the take's first tick on.
    pub captured: u64,
    /// Samples in the file.
    pub written: u64,
    /// Samples of silence in places where the device gave none.
    pub silence: u64,
    /// Places with silence.
    pub gaps: u64,
    /// Samples among those of `silence` that the device gave and a full ring lost: ours, and must be 0.
    pub dropped: u64,
    /// Samples that came after their place had been filled with silence.
    pub late: u64,
}

impl AudioTrack {
    /// A track that starts at `start_ns` of session time.
    #[must_use]
    pub fn new(start_ns: i64) -> Self {
        Self {
            start_ns,
            written: 0,
            origin: None,
            drift: 0.0,
            held: VecDeque::new(),
            counts: AudioCounts::default(),
            in_gap: false,
        }
    }

    /// The counts so far.
    #[must_use]
    pub fn counts(&self) -> AudioCounts {
        AudioCounts { written: self.written as u64, ..self.counts }
    }

    /// Samples given out so far.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written as u64
    }

    /// How far the device's clock has moved against the session's since the take began, in samples: late is positive.
    #[must_use]
    pub fn drift(&self) -> f64 {
        self.drift
    }

    /// Takes one block: `index` is its first sample's, counted by the device, captured at `at_ns` of session time.
    /// What is settled is appended to `out`.
    pub fn push(&mut self, index: u64, at_ns: i64, samples: &[f32], out: &mut Vec<f32>) {
        let index = i64::try_from(index).unwrap_or(i64::MAX);
        self.held.push_back(Block { index, at_ns, samples: samples.to_vec() });
        self.settle(false, out);
    }

    /// Fills up with silence to [`SILENCE_AFTER`] before `now_ns`: the device has said nothing for that long.
    pub fn keep_up(&mut self, now_ns: i64, out: &mut Vec<f32>) {
        let due = self.position(now_ns) - samples(SILENCE_AFTER);
        if due > self.written {
            self.settle(true, out);
            self.fill_to(due, out);
        }
    }

    /// Settles what is held back and makes the track exactly `total` samples long; returns how many it is too long by.
    pub fn finish(&mut self, total: u64, out: &mut Vec<f32>) -> u64 {
        self.settle(true, out);
        let total = i64::try_from(total).unwrap_or(i64::MAX);
        self.fill_to(total, out);
        (self.written - total) as u64
    }

    fn position(&self, at_ns: i64) -> i64 {
        let since = i128::from(at_ns) - i128::from(self.start_ns);
        (since * i128::from(SAMPLE_RATE)).div_euclid(1_000_000_000) as i64
    }

    fn settle(&mut self, all: bool, out: &mut Vec<f32>) {
        while let Some(block) = self.held.front() {
            let claimed = self.position(block.at_ns);
            let Some(origin) = self.origin else {
                // The first block says where the device's count lies on the timeline.
                self.origin = Some(claimed - block.index);
                continue;
            };
            let error = (claimed - (origin + block.index)) as f64 - self.drift;
            if error > SUSPECT as f64 {
                match self.evidence(origin, all) {
                    Evidence::Missing => return,
                    Evidence::Gap(gap) => self.origin = Some(origin + gap),
                    // Only late: its moment says nothing about the device's clock.
                    Evidence::Jitter => self.place_front(out),
                }
                continue;
            }
            // Slow enough that a burst of late callbacks leaves no trace: a time constant of about 500 blocks.
            self.drift += error * 0.002;
            self.place_front(out);
        }
    }

    /// Whether the blocks held agree that the device stood still before the first of them.
    fn evidence(&self, origin: i64, all: bool) -> Evidence {
        let first = &self.held[0];
        let mut least = f64::MAX;
        for block in &self.held {
            let error = (self.position(block.at_ns) - (origin + block.index)) as f64 - self.drift;
            if error <= SUSPECT as f64 {
                return Evidence::Jitter;
            }
            least = least.min(error);
            if block.at_ns - first.at_ns >= EVIDENCE_NS {
                return Evidence::Gap(least as i64);
            }
        }
        if all { Evidence::Gap(least as i64) } else { Evidence::Missing }
    }

    fn place_front(&mut self, out: &mut Vec<f32>) {
        let (Some(block), Some(origin)) = (self.held.pop_front(), self.origin) else { return };
        let mut place = origin + block.index;
        let mut samples = &block.samples[..];
        // Samples from before the take.
        let before = (-place).clamp(0, samples.len() as i64);
        samples = &samples[before as usize..];
        place += before;
        self.counts.captured += samples.len() as u64;
        if place > self.written && !samples.is_empty() {
            self.fill_to(place, out);
        }
        let late = (self.written - place).clamp(0, samples.len() as i64);
        self.counts.late += late as u64;
        samples = &samples[late as usize..];
        out.extend_from_slice(samples);
        self.written += samples.len() as i64;
        self.in_gap &= samples.is_empty();
    }

    fn fill_to(&mut self, place: i64, out: &mut Vec<f32>) {
        let missing = place - self.written;
        if missing <= 0 {
            return;
        }
        out.resize(out.len() + missing as usize, 0.0);
        self.counts.silence += missing as u64;
        self.counts.gaps += u64::from(!std::mem::replace(&mut self.in_gap, true));
        self.written = place;
    }

    /// Notes that the device counted `lost` samples which a full ring lost; their place is filled by the next block's index.
    pub fn note_dropped(&mut self, lost: u64) {
        self.counts.dropped += lost;
    }
}

enum Evidence {
    Missing,
    Gap(i64),
    Jitter,
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: usize = 240;
    const BLOCK_NS: i64 = 5_000_000;
    const START: i64 = 7_000_000_000;

    /// Pushes `blocks` blocks from `first` on, each holding its samples' indices, captured by `at(block)`.
    fn push(track: &mut AudioTrack, first: usize, blocks: usize, at: impl Fn(i64) -> i64) -> Vec<f32> {
        let mut out = Vec::new();
        for block in first..first + blocks {
            let samples: Vec<f32> = (block * BLOCK..(block + 1) * BLOCK).map(|i| i as f32 + 1.0).collect();
            track.push((block * BLOCK) as u64, at(block as i64), &samples, &mut out);
        }
        out
    }

    fn check(track: &AudioTrack) {
        let counts = track.counts();
        assert_eq!(counts.captured + counts.silence, counts.written + counts.late, "{counts:?}");
    }

    #[test]
    fn the_track_starts_at_the_take_and_not_with_the_device() {
        let mut track = AudioTrack::new(START);
        // The device started 12 ms before the take: 576 samples.
        let out = push(&mut track, 0, 10, |block| START - 12_000_000 + block * BLOCK_NS);
        assert_eq!(out[0], 577.0);
        assert_eq!(out.len(), 10 * BLOCK - 576);
        assert_eq!((track.counts().silence, track.counts().captured), (0, out.len() as u64));
    }

    #[test]
    fn a_device_that_starts_late_is_preceded_by_silence() {
        let mut track = AudioTrack::new(START);
        let out = push(&mut track, 0, 2, |block| START + 10_000_000 + block * BLOCK_NS);
        assert_eq!(out[..480], [0.0; 480]);
        assert_eq!(out[480], 1.0);
        check(&track);
    }

    #[test]
    fn samples_that_a_full_ring_lost_leave_their_place_silent() {
        let mut track = AudioTrack::new(START);
        push(&mut track, 0, 100, |block| START + block * BLOCK_NS);
        let out = push(&mut track, 120, 10, |block| START + block * BLOCK_NS);
        assert_eq!(out.len(), 30 * BLOCK);
        assert_eq!(out[20 * BLOCK - 1..=20 * BLOCK], [0.0, (120 * BLOCK) as f32 + 1.0]);
        assert_eq!(track.counts().silence, 20 * BLOCK as u64);
        check(&track);
    }

    #[test]
    fn a_device_that_stood_still_leaves_a_gap_of_that_length() {
        let mut track = AudioTrack::new(START);
        push(&mut track, 0, 200, |block| START + block * BLOCK_NS);
        // 400 ms later it counts on as if nothing had been.
        let stall = 400_000_000;
        let out = push(&mut track, 200, 200, |block| START + stall + block * BLOCK_NS);
        assert_eq!(out.len(), 200 * BLOCK + 19_200);
        assert_eq!(out[19_199..=19_200], [0.0, (200 * BLOCK) as f32 + 1.0]);
        assert_eq!((track.counts().silence, track.counts().gaps), (19_200, 1));
        check(&track);
    }

    #[test]
    fn callbacks_that_come_late_and_catch_up_are_no_gap() {
        let mut track = AudioTrack::new(START);
        let mut out = push(&mut track, 0, 200, |block| START + block * BLOCK_NS);
        // 100 ms of blocks all stamped when the machine woke up.
        out.extend(push(&mut track, 200, 20, |_| START + 220 * BLOCK_NS));
        out.extend(push(&mut track, 220, 100, |block| START + block * BLOCK_NS));
        assert_eq!(out.len(), 320 * BLOCK);
        assert!(out.iter().enumerate().all(|(i, sample)| *sample == i as f32 + 1.0));
        assert_eq!(track.counts().gaps, 0);
    }

    #[test]
    fn a_clock_that_drifts_makes_no_gaps() {
        let mut track = AudioTrack::new(START);
        // Ten minutes at 300 ppm, with moments jittering by a millisecond.
        let blocks = 120_000;
        let out = push(&mut track, 0, blocks, |block| {
            START + block * BLOCK_NS + block * 1_500 + (block * 7919 % 1000) * 1000
        });
        assert_eq!(out.len(), blocks * BLOCK);
        assert_eq!(track.counts().gaps, 0);
        assert!((8_000.0..9_000.0).contains(&track.drift()), "600 s at 300 ppm are 8640: {}", track.drift());
    }

    #[test]
    fn a_device_that_says_nothing_is_filled_up_to_the_patience() {
        let mut track = AudioTrack::new(START);
        push(&mut track, 0, 200, |block| START + block * BLOCK_NS);
        let mut out = Vec::new();
        track.keep_up(START + 1_900_000_000, &mut out);
        assert!(out.is_empty());
        track.keep_up(START + 4_000_000_000, &mut out);
        assert_eq!(out.len(), 2 * 48_000);
        track.keep_up(START + 4_100_000_000, &mut Vec::new());
        assert_eq!((track.counts().gaps, track.counts().silence), (1, 100_800));
        // It comes back with what it captured in between: the newest second still has its place.
        let out = push(&mut track, 200, 600, |block| START + block * BLOCK_NS);
        assert_eq!(out[0], 148_801.0);
        assert_eq!(track.counts().late, 100_800);
        check(&track);
    }

    #[test]
    fn the_end_is_exact() {
        let mut track = AudioTrack::new(START);
        push(&mut track, 0, 10, |block| START + block * BLOCK_NS);
        let mut out = Vec::new();
        assert_eq!(track.finish(48_000, &mut out), 0);
        assert_eq!(track.written(), 48_000);
        check(&track);
        let mut long = AudioTrack::new(START);
        push(&mut long, 0, 10, |block| START + block * BLOCK_NS);
        assert_eq!(long.finish(1600, &mut Vec::new()), 800);
    }
}
