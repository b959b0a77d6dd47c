//! The microphone on the take's timeline: from the first tick on, one sample for each of session time, silence where there is none.

use std::collections::VecDeque;
use std::time::Duration;

use hyperzoom_media::SAMPLE_RATE;
use hyperzoom_timing::DeviceClock;

use crate::ledger::{Filling, SoundLedger};
use crate::resample::Resampler;

/// A block that comes this much later, or earlier, than its samples' count says is looked at: the device may have stood still, or the
/// session clock may have been stepped. What is less the clock makes up by and by.
const SUSPECT_NS: i64 = 30_000_000;

/// For how long the blocks after a suspect one must agree: a late callback catches up within that, and so does a sound server that was
/// starved for a third of a second; a stalled device never. The take's first blocks wait as long for the least late of them, which says
/// where the device's count lies on the timeline.
const EVIDENCE_NS: i64 = 500_000_000;

/// [`EVIDENCE_NS`] in samples.
pub(crate) const EVIDENCE: i64 = samples(Duration::from_nanos(EVIDENCE_NS as u64));

/// How far behind the session's time the track may fall before it is filled with silence, so that a device which says nothing
/// more does not hold the file back.
const SILENCE_AFTER: Duration = Duration::from_secs(1);

/// The most silence that one call adds. Its caller calls every few milliseconds, so that an hour in which a computer slept is
/// filled within seconds, and never is in memory as a whole.
const AT_ONCE: i64 = SAMPLE_RATE as i64;

/// Blocks further ahead than this wait until what lies before them is filled: half a minute of silence at once is 6 MB.
const AHEAD: i64 = 30 * SAMPLE_RATE as i64;

/// A session sample's length.
const SAMPLE_NS: f64 = 1e9 / SAMPLE_RATE as f64;

const fn samples(duration: Duration) -> i64 {
    (duration.as_nanos() as i64) * SAMPLE_RATE as i64 / 1_000_000_000
}

/// Lays blocks of samples out on the timeline.
///
/// Sample `k` of the track is the sound at `k / 48 000` s of session time after its start. The device counts by a crystal of its own;
/// a [`DeviceClock`] says which session time its samples have, and the sound is resampled to that. So nothing drifts, however long the
/// take. The blocks' moments also show where the device was silent. What the resampler looks ahead, and what does not fill a chunk of
/// it yet, is all that is held back while nothing is suspect: under 3 ms.
#[derive(Debug)]
pub(crate) struct AudioTrack {
    start_ns: i64,
    clock: DeviceClock,
    resampler: Resampler,
    /// The run of samples that the resampler is in.
    run: Option<Run>,
    /// The index after the last block placed. Samples from there to the next block were lost.
    next_index: i64,
    held: VecDeque<Block>,
    ledger: SoundLedger,
}

/// Samples that follow each other without a hole.
#[derive(Debug)]
struct Run {
    /// Places from here on to `filled` are late: they have been filled with something else when the run began.
    late_from: i64,
    filled: i64,
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
            clock: DeviceClock::new(SAMPLE_RATE),
            resampler: Resampler::new(),
            run: None,
            next_index: 0,
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
        self.clock.rate_ppb().map(|ppb| ppb as f64 / 1000.0)
    }

    /// The session time of the device's sample `index`, in nanoseconds, as the track places it; `None` while that cannot be told: for
    /// the first half of a second. Right to the nanosecond for the samples of the last ten seconds, a forecast for those to come.
    pub(crate) fn session_ns_of(&self, index: u64) -> Option<i64> {
        self.clock.session_ns_of(i64::try_from(index).unwrap_or(i64::MAX))
    }

    /// Takes one block: `index` is its first sample's, counted by the device, captured at `at_ns` of session time.
    /// What is settled is appended to `out`.
    pub(crate) fn push(&mut self, index: u64, at_ns: i64, samples: &[f32], out: &mut Vec<f32>) {
        // A device counts for six million years before that is not its index.
        let index = i64::try_from(index).unwrap_or(i64::MAX).min(i64::MAX / 2);
        self.held.push_back(Block { index, at_ns, samples: samples.to_vec() });
        self.settle(false, AHEAD, out);
    }

    /// Fills up with silence to [`SILENCE_AFTER`] before `now_ns`, but with no more than a second of it: the device has said nothing for
    /// that long.
    pub(crate) fn keep_up(&mut self, now_ns: i64, out: &mut Vec<f32>) {
        let due = self.position(now_ns) - samples(SILENCE_AFTER);
        if due > self.place() {
            self.settle(true, AHEAD, out);
        }
        if due > self.place() {
            self.end_run(out);
            self.fill_to(due.min(self.place() + AT_ONCE), Filling::Gap, out);
        }
    }

    /// Settles what is held back and makes the track `total` samples long, or longer where it is already.
    pub(crate) fn finish(&mut self, total: u64, out: &mut Vec<f32>) {
        self.settle(true, i64::MAX, out);
        self.end_run(out);
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

    /// The position nearest to the device's sample `index`; nothing from before the take has one.
    fn place_of(&self, index: i64) -> i64 {
        let at_ns = self.clock.session_ns_of(index).unwrap_or(self.start_ns);
        let since = i128::from(at_ns) - i128::from(self.start_ns);
        let place = (since * i128::from(SAMPLE_RATE) + 500_000_000).div_euclid(1_000_000_000);
        place.clamp(0, i128::from(i64::MAX)) as i64
    }

    /// How much later the block claims to have been captured than its index says.
    fn lateness(&self, block: &Block) -> i64 {
        let expected = self.clock.session_ns_of(block.index).unwrap_or(block.at_ns);
        block.at_ns.saturating_sub(expected)
    }

    /// Places the blocks that can be, and those of which that is not sure where `all` of them must be, but for what lies more than
    /// `ahead` before its turn.
    fn settle(&mut self, all: bool, ahead: i64, out: &mut Vec<f32>) {
        while let Some(block) = self.held.front() {
            let index = block.index;
            if !self.clock.is_known() {
                match self.beginning(all) {
                    Some(at_ns) => self.clock.mark(index, at_ns),
                    None => return,
                }
                continue;
            }
            if self.lateness(block).saturating_abs() > SUSPECT_NS {
                match self.evidence(all) {
                    Evidence::Missing => return,
                    Evidence::Step(by_ns) => {
                        self.end_run(out);
                        // Where samples were lost as well, it was before them.
                        self.clock.step(index.min(self.next_index), by_ns);
                    }
                    // Only late: its moment says nothing about the device's clock.
                    Evidence::Jitter => self.place_front(out),
                }
                continue;
            }
            // A silence of so long is filled first, a second at a time.
            if self.place_of(index).saturating_sub(self.place()) > ahead {
                return;
            }
            self.clock.mark(index, block.at_ns);
            self.place_front(out);
        }
    }

    /// When the first block was captured, by the least late of those held.
    fn beginning(&self, all: bool) -> Option<i64> {
        let (first, last) = (self.held.front()?, self.held.back()?);
        let enough = last.index.saturating_sub(first.index) >= EVIDENCE
            || last.at_ns.saturating_sub(first.at_ns) >= EVIDENCE_NS;
        let counted = |block: &Block| (block.index.saturating_sub(first.index) as f64 * SAMPLE_NS) as i64;
        let least = self.held.iter().map(|block| block.at_ns.saturating_sub(counted(block))).min();
        least.filter(|_| enough || all)
    }

    /// Whether the blocks held agree that the device stood still before the first of them, or that session time went back.
    fn evidence(&self, all: bool) -> Evidence {
        let first = &self.held[0];
        let later = self.lateness(first) > 0;
        let mut least = i64::MAX;
        for block in &self.held {
            let late = self.lateness(block);
            if late.saturating_abs() <= SUSPECT_NS || (late > 0) != later {
                return Evidence::Jitter;
            }
            least = least.min(late);
            let seen = block.at_ns.saturating_sub(first.at_ns) >= EVIDENCE_NS
                || (!later && block.index.saturating_sub(first.index) >= EVIDENCE);
            if seen {
                return Evidence::Step(least);
            }
        }
        if all { Evidence::Step(least) } else { Evidence::Missing }
    }

    fn place_front(&mut self, out: &mut Vec<f32>) {
        let Some(block) = self.held.pop_front() else { return };
        if block.index > self.next_index {
            self.end_run(out);
        }
        if self.run.is_none() {
            self.begin_run(block.index.max(self.next_index), out);
        }
        // A device that counts twice is heard once.
        let twice = (self.next_index - block.index).clamp(0, block.samples.len() as i64);
        self.resampler.push(&block.samples[twice as usize..]);
        self.next_index = self.next_index.max(block.end());
        self.note_late();
        let place = self.ledger.len();
        let made = {
            let (clock, start_ns) = (&self.clock, self.start_ns);
            self.resampler.produce(|n| index_at(clock, start_ns, place + n), out)
        };
        self.ledger.fill_to(place + made, Filling::Captured);
    }

    /// Begins a run with the device's sample `index`; those since the last block were lost.
    fn begin_run(&mut self, index: i64, out: &mut Vec<f32>) {
        let hole = self.place_of(self.next_index.min(index))..self.place_of(index);
        self.fill_to(hole.start, Filling::Gap, out);
        if !hole.is_empty() {
            // The device may have been taken for silent where only its samples were lost.
            self.ledger.gap_was_dropped(&(hole.start as u64..hole.end as u64));
            self.fill_to(hole.end, Filling::Dropped, out);
        }
        self.resampler.begin(index);
        self.next_index = index;
        self.run = Some(Run { late_from: hole.end, filled: self.place() });
    }

    /// Gives out the last samples of the run.
    fn end_run(&mut self, out: &mut Vec<f32>) {
        if self.run.take().is_none() {
            return;
        }
        let place = self.ledger.len();
        let end = (self.place_of(self.next_index) as u64).max(place);
        let (clock, start_ns) = (&self.clock, self.start_ns);
        self.resampler.finish(end - place, |n| index_at(clock, start_ns, place + n), out);
        self.ledger.fill_to(end, Filling::Captured);
    }

    fn note_late(&mut self) {
        let end = self.place_of(self.next_index);
        if let Some(run) = &mut self.run {
            let end = end.min(run.filled);
            if end > run.late_from {
                self.ledger.note_late(run.late_from as u64..end as u64);
                run.late_from = end;
            }
        }
    }

    fn fill_to(&mut self, place: i64, filling: Filling, out: &mut Vec<f32>) {
        let missing = place - self.place();
        if missing > 0 {
            out.resize(out.len() + missing as usize, 0.0);
            self.ledger.fill_to(place as u64, filling);
        }
    }
}

/// Where the track's sample at `place` lies among the device's.
fn index_at(clock: &DeviceClock, start_ns: i64, place: u64) -> f64 {
    clock.index_at(start_ns as f64 + place as f64 * SAMPLE_NS).unwrap_or(0.0)
}

enum Evidence {
    Missing,
    /// Everything from the first block on is so much later than its index says, or earlier where it is negative.
    Step(i64),
    Jitter,
}

#[cfg(test)]
mod tests;
