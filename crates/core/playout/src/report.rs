//! What a listener tells the speaker of how the speaker is heard.

use std::time::Duration;

use crate::config::PlayoutStats;

/// How many reports a loss is remembered for: ten seconds, one a second. A network that lost packets soon does so again.
const REMEMBERED: usize = 10;

/// So much is lost before a deeper buffer is worth its delay, in permille over ten seconds. Less is concealed well enough.
const WORTH_DEPTH: u32 = 10;

/// What may be left of a loss, in permille: as much is concealed without anybody noticing.
const ACCEPTABLE: f64 = 5.0;

/// The most depth that is held for the sake of copies: less than 15 ms, and the two or three that a device takes at once. Beyond it
/// what is gained in clearness is lost in talking over one another.
const MOST_HELD: Duration = Duration::from_millis(17);

/// A report is of no less sound than this. Of a second in which the speaker was muted for the most part, one lost packet would
/// otherwise weigh as much as ten.
const ENOUGH: Duration = Duration::from_millis(500);

/// How one speaker was heard in the last second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReceiverReport {
    /// The share of frames whose packet never came, repaired or not, in permille.
    pub lost_permille: u16,
    /// The share of frames whose packet came after the frame was due, in permille.
    pub late_permille: u16,
    /// How long a run of lost frames lasted on average, in microseconds of sound; 0 where none was lost.
    pub burst_us: u32,
    /// How long a packet that meets no queue waits for its place in the sound, in microseconds.
    pub depth_us: u32,
    /// How much later than a frame's own packet another may be sent and yet be at hand, on average, when the frame is due, in
    /// microseconds. It is what depth, jitter and the device's period leave for a copy.
    pub reach_us: u32,
}

impl ReceiverReport {
    /// [`burst_us`](Self::burst_us) as a duration.
    #[must_use]
    pub fn burst(&self) -> Duration {
        Duration::from_micros(self.burst_us.into())
    }

    /// [`reach_us`](Self::reach_us) as a duration.
    #[must_use]
    pub fn reach(&self) -> Duration {
        Duration::from_micros(self.reach_us.into())
    }
}

/// The losses of the last ten reports, in permille, and whether they are worth doing something about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LossWindow {
    worth: u32,
    lost: [u16; REMEMBERED],
    next: usize,
    losing: bool,
}

impl LossWindow {
    /// One in which a mean loss of `worth` permille is worth doing something about.
    pub(crate) fn new(worth: u32) -> Self {
        Self { worth, lost: [0; REMEMBERED], next: 0, losing: false }
    }

    pub(crate) fn push(&mut self, permille: u16) {
        self.lost[self.next] = permille.min(1000);
        self.next = (self.next + 1) % REMEMBERED;
        let begin = self.worth * REMEMBERED as u32;
        self.losing = self.sum() >= if self.losing { begin / 2 } else { begin };
    }

    /// From when the mean loss reaches what is worth it, until it is less than half of that: a link that loses a packet now and
    /// then, as most do, comes to an end of it.
    pub(crate) fn is_losing(&self) -> bool {
        self.losing
    }

    /// The mean loss, or the latest where that is worse.
    pub(crate) fn level(&self) -> u32 {
        let latest = self.lost[(self.next + REMEMBERED - 1) % REMEMBERED];
        u32::from(latest).max(self.sum() / REMEMBERED as u32)
    }

    fn sum(&self) -> u32 {
        self.lost.iter().map(|lost| u32::from(*lost)).sum()
    }
}

/// Makes a [`ReceiverReport`] a second out of one speaker's [`PlayoutStats`], and says how deep the buffer should be for the
/// copies that the speaker answers it with.
#[derive(Debug, Clone)]
pub struct Reporter {
    last: Option<(Duration, PlayoutStats)>,
    losses: LossWindow,
    /// The mean length of runs of lost frames, smoothed.
    burst: Duration,
    frame: Duration,
}

impl Default for Reporter {
    fn default() -> Self {
        Self::new()
    }
}

impl Reporter {
    /// How often there is a report.
    pub const INTERVAL: Duration = Duration::from_secs(1);

    /// A reporter of a speaker of whom nothing was heard yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            last: None,
            losses: LossWindow::new(WORTH_DEPTH),
            burst: Duration::ZERO,
            frame: Duration::ZERO,
        }
    }

    /// The statistics are these `now`. A report where it is time for one and half a second was heard, or missed, since the
    /// last; less adds to the next.
    pub fn observe(&mut self, now: Duration, stats: &PlayoutStats) -> Option<ReceiverReport> {
        let Some((since, last)) = self.last else {
            self.last = Some((now, *stats));
            return None;
        };
        if now.saturating_sub(since) < Self::INTERVAL {
            return None;
        }
        if stats.received < last.received {
            // The speaker began anew, and its counts with it.
            self.last = Some((now, *stats));
            return None;
        }
        // Counts go back where a frame that was taken for lost comes late.
        let more = |of: fn(&PlayoutStats) -> u64| of(stats).saturating_sub(of(&last));
        let (lost, late) = (more(|s| s.lost), more(|s| s.late));
        let expected = (more(|s| s.received) + lost).saturating_sub(more(|s| s.duplicates));
        if stats.frame.mul_f64(expected as f64) < ENOUGH {
            return None;
        }
        self.last = Some((now, *stats));
        self.frame = stats.frame;
        let frames = |count: u64, of: u64| stats.frame.mul_f64(count as f64 / of.max(1) as f64);
        let burst = frames(lost, more(|s| s.lost_runs));
        let report = ReceiverReport {
            lost_permille: permille(lost, expected),
            late_permille: permille(late, expected),
            burst_us: micros(if lost > 0 { burst } else { Duration::ZERO }),
            depth_us: micros(stats.depth),
            reach_us: micros(frames(more(|s| s.ahead_frames), more(|s| s.played_frames))),
        };
        self.burst = smooth(self.burst, report.burst());
        self.losses.push(report.lost_permille);
        Some(report)
    }

    /// The least depth that the buffer should have for the sake of repair: zero unless enough is lost. Not beyond 15 ms,
    /// whatever is lost.
    ///
    /// Of a loss p in bursts of mean length b, which end at any moment with the same chance, no redundancy that comes within d
    /// repairs p·exp(−d/b): so much is lost in bursts that are longer. This is the d for which that is half a percent. Where
    /// packets are lost one by one, the next packet and what the device takes at once are enough.
    #[must_use]
    pub fn hold(&self) -> Duration {
        if !self.losses.is_losing() {
            return Duration::ZERO;
        }
        let bursts = (f64::from(self.losses.level()) / ACCEPTABLE).ln().max(0.0);
        self.burst.mul_f64(bursts).max(2 * self.frame).min(MOST_HELD)
    }
}

/// A mean that follows the bursts of some seconds: one second has only a few of them. Seconds without any say nothing.
pub(crate) fn smooth(mean: Duration, burst: Duration) -> Duration {
    match (mean.is_zero(), burst.is_zero()) {
        (_, true) => mean,
        (true, false) => burst,
        (false, false) => (3 * mean + burst) / 4,
    }
}

fn permille(part: u64, whole: u64) -> u16 {
    (part.saturating_mul(1000) / whole.max(1)).min(1000) as u16
}

fn micros(span: Duration) -> u32 {
    u32::try_from(span.as_micros()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// A second of 5 ms frames more, of which so many are lost in so many runs.
    fn second(stats: &mut PlayoutStats, lost: u64, runs: u64) {
        stats.received += 200 - lost;
        stats.lost += lost;
        stats.lost_runs += runs;
        stats.played_frames += 200 - lost;
        stats.ahead_frames += 2 * (200 - lost);
    }

    #[test]
    fn a_report_tells_of_the_last_second_only() {
        let mut reporter = Reporter::new();
        let mut stats = PlayoutStats { frame: ms(5), depth: ms(12), ..PlayoutStats::default() };
        second(&mut stats, 100, 10);
        assert_eq!(reporter.observe(ms(0), &stats), None, "the past is not the last second");
        second(&mut stats, 10, 4);
        stats.late += 2;
        assert_eq!(reporter.observe(ms(999), &stats), None);
        let wanted = ReceiverReport {
            lost_permille: 50,
            late_permille: 10,
            burst_us: 12_500,
            depth_us: 12_000,
            reach_us: 10_000,
        };
        assert_eq!(reporter.observe(ms(1000), &stats), Some(wanted));
        second(&mut stats, 0, 0);
        let clean = ReceiverReport { lost_permille: 0, late_permille: 0, burst_us: 0, ..wanted };
        assert_eq!(reporter.observe(ms(2000), &stats), Some(clean));
        assert_eq!(reporter.observe(ms(3000), &stats), None, "nothing was heard");
    }

    #[test]
    fn a_second_that_was_muted_for_the_most_part_adds_to_the_next() {
        let mut reporter = Reporter::new();
        let mut stats = PlayoutStats { frame: ms(5), ..PlayoutStats::default() };
        reporter.observe(ms(0), &stats);
        stats.received += 9;
        stats.lost += 1;
        stats.lost_runs += 1;
        assert_eq!(reporter.observe(ms(1000), &stats), None, "one of ten is no loss of a tenth");
        assert_eq!(reporter.observe(ms(60_000), &stats), None, "muted");
        stats.received += 89;
        assert_eq!(
            reporter.observe(ms(61_000), &stats),
            None,
            "99 frames of 5 ms are less than half a second"
        );
        stats.received += 1;
        let report = reporter.observe(ms(61_005), &stats).unwrap();
        assert_eq!((report.lost_permille, report.burst_us), (10, 5000));
    }

    #[test]
    fn counts_that_go_back_are_no_report_of_a_flood() {
        let mut reporter = Reporter::new();
        let mut stats = PlayoutStats { frame: ms(5), ..PlayoutStats::default() };
        second(&mut stats, 10, 5);
        reporter.observe(ms(0), &stats);
        assert_eq!(
            reporter.observe(ms(1000), &PlayoutStats { frame: ms(5), ..PlayoutStats::default() }),
            None
        );
        let late = PlayoutStats { received: 150, late: 3, frame: ms(5), ..PlayoutStats::default() };
        assert_eq!(reporter.observe(ms(2000), &late).unwrap().lost_permille, 0);
    }

    #[test]
    fn a_mild_loss_neither_begins_nor_keeps_up_what_a_worse_one_began() {
        let mut losses = LossWindow::new(2);
        let mut push = |permille, seconds| {
            for _ in 0..seconds {
                losses.push(permille);
            }
            losses.is_losing()
        };
        assert!(!push(1, 20), "not worth it");
        assert!(push(20, 1));
        assert!(push(1, 20), "half of it keeps it up");
        assert!(push(0, 0));
        assert!(!push(0, 1), "less does not");
        assert!(!push(1, 20), "nor begins it again");
    }

    #[test]
    fn depth_is_held_while_bursts_are_lost_and_no_longer() {
        let mut reporter = Reporter::new();
        let mut stats = PlayoutStats { frame: ms(5), ..PlayoutStats::default() };
        let mut now = Duration::ZERO;
        let mut run = |reporter: &mut Reporter, lost, runs, seconds| {
            for _ in 0..seconds {
                reporter.observe(now, &stats);
                second(&mut stats, lost, runs);
                now += ms(1000);
            }
            reporter.hold()
        };
        assert_eq!(run(&mut reporter, 0, 0, 5), ms(0));
        assert_eq!(run(&mut reporter, 1, 1, 11), ms(0), "half a percent is not worth it");
        let single = run(&mut reporter, 10, 10, 11);
        assert!(single > ms(10) && single < ms(13), "a packet or two, not {single:?}");
        assert_eq!(run(&mut reporter, 10, 2, 30), MOST_HELD, "no more, however long the bursts");
        assert_eq!(run(&mut reporter, 0, 0, 5), MOST_HELD, "it may come again");
        assert!(run(&mut reporter, 0, 0, 5) > ms(0), "ten seconds are not over");
        assert_eq!(run(&mut reporter, 0, 0, 1), ms(0));
    }
}
