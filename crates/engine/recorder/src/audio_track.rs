//! The microphone on the take's timeline: from the first tick on, one sample after the other, silence where there is none.

use std::collections::VecDeque;
use std::time::Duration;

use hyperzoom_media::SAMPLE_RATE;

use crate::ledger::{Filling, SoundLedger};

/// A block that starts this much later than the samples before it say is looked at as a gap.
const SUSPECT: i64 = samples(Duration::from_millis(30));

/// For how long the blocks after a suspect one must agree: a late callback catches up within that, a stalled device never.
const EVIDENCE_NS: i64 = 300_000_000;

/// How far behind the session's time the track may fall before it is filled with silence, so that a device which says nothing
/// more does not hold the file back.
const SILENCE_AFTER: Duration = Duration::from_secs(1);

/// How long the device must have run without a gap before its drift is told: a jitter of a millisecond is 3 ppm then.
const DRIFT_AFTER: i64 = samples(Duration::from_secs(10));

const fn samples(duration: Duration) -> i64 {
    (duration.as_nanos() as i64) * SAMPLE_RATE as i64 / 1_000_000_000
}

/// Lays blocks of samples out on the timeline.
///
/// The count of samples rules; the blocks' moments decide where the first goes and where the device was silent. (A device
/// whose clock runs fast or slow therefore drifts by its parts per million; nothing is resampled.)
#[derive(Debug)]
pub(crate) struct AudioTrack {
    start_ns: i64,
    /// The position at which the device's sample 0 lies, by its index.
    origin: Option<i64>,
    /// The first index of each stretch between gaps, and the origin that holds from there on.
    stretches: Vec<(i64, i64)>,
    /// The index after the last block placed. Samples from there to the next block were lost.
    next_index: i64,
    /// The smoothed difference between the moments that blocks claim and their places by count, in samples.
    lateness: f64,
    drift: Drift,
    held: VecDeque<Block>,
    ledger: SoundLedger,
}

#[derive(Debug)]
struct Block {
    index: i64,
    at_ns: i64,
    samples: Vec<f32>,
}

impl Block {
    fn end(&self) -> i64 {
        self.index + self.samples.len() as i64
    }
}

impl AudioTrack {
    /// A track that starts at `start_ns` of session time.
    pub(crate) fn new(start_ns: i64) -> Self {
        Self {
            start_ns,
            origin: None,
            stretches: Vec::new(),
            next_index: 0,
            lateness: 0.0,
            drift: Drift::default(),
            held: VecDeque::new(),
            ledger: SoundLedger::default(),
        }
    }

    /// What the samples given out so far consist of.
    pub(crate) fn ledger(&self) -> &SoundLedger {
        &self.ledger
    }

    /// Samples given out so far.
    pub(crate) fn written(&self) -> u64 {
        self.ledger.len()
    }

    /// How much faster the device's clock runs than the session's, in parts per million, once that can be told.
    pub(crate) fn drift_ppm(&self) -> Option<f64> {
        self.drift.ppm()
    }

    /// Session time of the device's sample `index`, by count from where its stretch begins and the smoothed lateness.
    /// `None` for what is not placed yet.
    pub(crate) fn session_ns_of(&self, index: u64) -> Option<i64> {
        let index = i64::try_from(index).ok().filter(|index| *index < self.next_index)?;
        let after = self.stretches.partition_point(|(first, _)| *first <= index);
        let (_, origin) = self.stretches.get(after.checked_sub(1)?)?;
        let position = (origin + index) as f64 + self.lateness;
        Some(self.start_ns + (position * 1e9 / f64::from(SAMPLE_RATE)).round() as i64)
    }

    /// Takes one block: `index` is its first sample's, counted by the device, captured at `at_ns` of session time.
    /// What is settled is appended to `out`.
    pub(crate) fn push(&mut self, index: u64, at_ns: i64, samples: &[f32], out: &mut Vec<f32>) {
        let index = i64::try_from(index).unwrap_or(i64::MAX);
        self.held.push_back(Block { index, at_ns, samples: samples.to_vec() });
        self.settle(false, out);
    }

    /// Fills up with silence to [`SILENCE_AFTER`] before `now_ns`: the device has said nothing for that long.
    pub(crate) fn keep_up(&mut self, now_ns: i64, out: &mut Vec<f32>) {
        let due = self.position(now_ns) - samples(SILENCE_AFTER);
        if due > self.place() {
            self.settle(true, out);
            self.fill_to(due, Filling::Gap, out);
        }
    }

    /// Settles what is held back and makes the track `total` samples long, or longer where it is already.
    pub(crate) fn finish(&mut self, total: u64, out: &mut Vec<f32>) {
        self.settle(true, out);
        self.fill_to(i64::try_from(total).unwrap_or(i64::MAX), Filling::Gap, out);
    }

    fn position(&self, at_ns: i64) -> i64 {
        let since = i128::from(at_ns) - i128::from(self.start_ns);
        (since * i128::from(SAMPLE_RATE)).div_euclid(1_000_000_000) as i64
    }

    /// The position of the next sample to be given out.
    fn place(&self) -> i64 {
        self.ledger.len() as i64
    }

    fn settle(&mut self, all: bool, out: &mut Vec<f32>) {
        while let Some(block) = self.held.front() {
            let claimed = self.position(block.at_ns);
            let Some(origin) = self.origin else {
                // The first block says where the device's count lies on the timeline.
                self.origin = Some(claimed - block.index);
                self.stretches.push((block.index, claimed - block.index));
                continue;
            };
            let late = (claimed - (origin + block.index)) as f64;
            if late - self.lateness > SUSPECT as f64 {
                match self.evidence(origin, all) {
                    Evidence::Missing => return,
                    Evidence::Gap(gap) => {
                        self.origin = Some(origin + gap);
                        self.stretches.push((block.index, origin + gap));
                        self.drift.interrupt();
                    }
                    // Only late: its moment says nothing about the device's clock.
                    Evidence::Jitter => self.place_front(out),
                }
                continue;
            }
            // Slow enough that a burst of late callbacks leaves no trace: a time constant of about 500 blocks.
            self.lateness += (late - self.lateness) * 0.002;
            self.drift.note(block.index, late);
            self.place_front(out);
        }
    }

    /// Whether the blocks held agree that the device stood still before the first of them.
    fn evidence(&self, origin: i64, all: bool) -> Evidence {
        let first = &self.held[0];
        let mut least = f64::MAX;
        for block in &self.held {
            let error = (self.position(block.at_ns) - (origin + block.index)) as f64 - self.lateness;
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
        let lost = (block.index - self.next_index).max(0);
        self.next_index = self.next_index.max(block.end());
        // Nothing from before the take is part of it.
        let place = (origin + block.index).max(0);
        let before = (-(origin + block.index)).clamp(0, block.samples.len() as i64);
        let samples = &block.samples[before as usize..];
        let hole = (origin + block.index - lost).max(0)..place;
        self.fill_to(hole.start, Filling::Gap, out);
        // The device may have been taken for silent where only its samples were lost.
        self.ledger.gap_was_dropped(&(hole.start as u64..hole.end as u64));
        self.fill_to(hole.end, Filling::Dropped, out);

        let late = (self.place() - place).clamp(0, samples.len() as i64);
        if late > 0 {
            self.ledger.note_late(place as u64..(place + late) as u64);
        }
        out.extend_from_slice(&samples[late as usize..]);
        self.ledger.fill_to(place as u64 + samples.len() as u64, Filling::Captured);
    }

    fn fill_to(&mut self, place: i64, filling: Filling, out: &mut Vec<f32>) {
        let missing = place - self.place();
        if missing > 0 {
            out.resize(out.len() + missing as usize, 0.0);
            self.ledger.fill_to(place as u64, filling);
        }
    }
}

enum Evidence {
    Missing,
    Gap(i64),
    Jitter,
}

/// The slope of the blocks' lateness over their indices: least squares, with an offset of its own for each stretch between gaps,
/// since how long a gap was is only known to a callback's jitter.
#[derive(Debug, Default)]
struct Drift {
    first: i64,
    count: f64,
    mean_index: f64,
    mean_late: f64,
    /// Sums over all stretches.
    index_index: f64,
    index_late: f64,
    longest: i64,
}

impl Drift {
    fn note(&mut self, index: i64, late: f64) {
        if self.count == 0.0 {
            self.first = index;
        }
        self.longest = self.longest.max(index - self.first);
        self.count += 1.0;
        let off = index as f64 - self.mean_index;
        self.mean_index += off / self.count;
        self.mean_late += (late - self.mean_late) / self.count;
        self.index_index += off * (index as f64 - self.mean_index);
        self.index_late += off * (late - self.mean_late);
    }

    /// A new stretch begins.
    fn interrupt(&mut self) {
        (self.count, self.mean_index, self.mean_late) = (0.0, 0.0, 0.0);
    }

    fn ppm(&self) -> Option<f64> {
        // A device whose blocks come later and later counts too slowly.
        (self.longest >= DRIFT_AFTER).then(|| -self.index_late / self.index_index * 1e6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::AudioCounts;

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

    fn counts(track: &AudioTrack) -> AudioCounts {
        track.ledger().counts(u64::MAX)
    }

    #[test]
    fn the_track_starts_at_the_take_and_not_with_the_device() {
        let mut track = AudioTrack::new(START);
        // The device started 12 ms before the take: 576 samples.
        let out = push(&mut track, 0, 10, |block| START - 12_000_000 + block * BLOCK_NS);
        assert_eq!(out[0], 577.0);
        assert_eq!(out.len(), 10 * BLOCK - 576);
        assert_eq!((counts(&track).silence, counts(&track).captured), (0, out.len() as u64));
    }

    #[test]
    fn a_device_that_starts_late_is_preceded_by_silence() {
        let mut track = AudioTrack::new(START);
        let out = push(&mut track, 0, 2, |block| START + 10_000_000 + block * BLOCK_NS);
        assert_eq!(out[..480], [0.0; 480]);
        assert_eq!(out[480], 1.0);
    }

    #[test]
    fn samples_that_a_full_ring_lost_leave_their_place_silent() {
        let mut track = AudioTrack::new(START);
        push(&mut track, 0, 100, |block| START + block * BLOCK_NS);
        let out = push(&mut track, 120, 10, |block| START + block * BLOCK_NS);
        assert_eq!(out.len(), 30 * BLOCK);
        assert_eq!(out[20 * BLOCK - 1..=20 * BLOCK], [0.0, (120 * BLOCK) as f32 + 1.0]);
        let it = counts(&track);
        assert_eq!((it.dropped, it.silence, it.gaps), (20 * BLOCK as u64, 0, 0));
    }

    #[test]
    fn a_loss_that_was_taken_for_a_silent_device_is_a_loss_once_it_is_known() {
        let mut track = AudioTrack::new(START);
        push(&mut track, 0, 200, |block| START + block * BLOCK_NS);
        // Three seconds are lost; two of them have been filled before the next block comes.
        let mut out = Vec::new();
        track.keep_up(START + 4_000_000_000, &mut out);
        assert_eq!((out.len(), counts(&track).silence, counts(&track).gaps), (96_000, 96_000, 1));
        let out = push(&mut track, 800, 10, |block| START + block * BLOCK_NS);
        assert_eq!(out[47_999..=48_000], [0.0, (800 * BLOCK) as f32 + 1.0]);
        let it = counts(&track);
        assert_eq!((it.dropped, it.silence, it.gaps, it.late), (144_000, 0, 0, 0));
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
        assert_eq!((counts(&track).silence, counts(&track).gaps), (19_200, 1));
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
        assert_eq!(counts(&track).gaps, 0);
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
        assert_eq!(counts(&track).gaps, 0);
        let ppm = track.drift_ppm().unwrap();
        assert!((ppm + 300.0).abs() < 0.5, "a slow device: {ppm}");
    }

    #[test]
    fn a_gap_is_no_drift() {
        let mut track = AudioTrack::new(START);
        let moment = |block: i64| START + block * BLOCK_NS - block * 500 + (block * 7919 % 1000) * 1000;
        push(&mut track, 0, 1000, moment);
        assert_eq!(track.drift_ppm(), None, "five seconds tell nothing");
        for stall in 1..9 {
            push(&mut track, 4000 * stall, 4000, |block| moment(block) + stall as i64 * 77_777_777);
        }
        let ppm = track.drift_ppm().unwrap();
        assert!((ppm - 100.0).abs() < 2.0, "a fast device: {ppm}");
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
        assert_eq!((counts(&track).gaps, counts(&track).silence), (1, 100_800));
        // It comes back with what it captured in between: the newest second still has its place.
        let out = push(&mut track, 200, 600, |block| START + block * BLOCK_NS);
        assert_eq!(out[0], 148_801.0);
        assert_eq!(counts(&track).late, 100_800);
    }

    #[test]
    fn the_end_is_exact() {
        let mut track = AudioTrack::new(START);
        push(&mut track, 0, 10, |block| START + block * BLOCK_NS);
        let mut out = Vec::new();
        track.finish(48_000, &mut out);
        assert_eq!((track.written(), out.len()), (48_000, 48_000 - 10 * BLOCK));
        let mut long = AudioTrack::new(START);
        push(&mut long, 0, 10, |block| START + block * BLOCK_NS);
        long.finish(1600, &mut Vec::new());
        assert_eq!(long.written(), 2400, "what was given out stays");
        assert_eq!(long.ledger().counts(1600).captured, 1600);
    }
}
