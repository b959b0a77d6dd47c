//! The ladder of one peer: what its path holds.

use std::time::Duration;

use crate::{ALARM, CLEAR, NOTICE, PathReport, Rung, WARNING};

/// Reports are judged together over so long.
const WINDOW: Duration = Duration::from_secs(2);

/// Good for so long, and it goes up a rung.
const GOOD_FOR: Duration = Duration::from_secs(5);

/// A step up that did not hold is tried again after twice as long as before, and at last after this: trying costs the voice some
/// milliseconds.
const MOST_PATIENCE: Duration = Duration::from_secs(20);

/// A step up that held for so long has held.
const HELD: Duration = Duration::from_secs(30);

/// What was sent before a step down must have left the queue before the path is judged anew.
const SETTLE: Duration = Duration::from_secs(1);

/// A queue that never becomes shorter than this in a whole window stands.
const STANDING: Duration = Duration::from_millis(12);

/// So many reports in a window that tell of a queue: it comes and goes with the frames, and the voice is late as often as not.
const OFTEN: u32 = 10;

/// A queue that is there for so long is the path's. What looks like one as somebody mutes himself is told of twice, 50 ms apart.
const LASTS: Duration = Duration::from_millis(60);

/// A path that loses so much while there is a queue is congested, in permille.
const CONGESTED_LOSS: u32 = 20;

/// One that loses so much has too much to carry, queue or not, in permille. Radio loses less by itself: where it loses a tenth in bursts of
/// 10 ms, hardly one window of 2 s loses so much. What was repaired counts as lost.
const HEAVY_LOSS: u32 = 200;

/// One that loses more than this is none to send more over, in permille.
const GOOD_LOSS: u32 = 150;

/// So few datagrams say nothing of a loss.
const ENOUGH: u32 = 50;

/// An alarm that lasts counts again after each of these: video is held back meanwhile, so that its own queue would be gone.
const ALARM_LASTS: Duration = Duration::from_millis(500);

/// Down goes a rung after so long where a full path shows that it holds less: the size of what is encoded may change with each.
const STEP: Duration = Duration::from_millis(100);

/// A round trip that is so much longer than the shortest one lately is one through a queue.
const QUEUED_TRIP: Duration = Duration::from_millis(30);

/// So many in a row are no hiccup of one machine or the other.
const QUEUED_TRIPS: u32 = 2;

/// The shortest round trip is that of about the last half minute, kept in spans of this, so that a route may change.
const TRIP_SPAN: Duration = Duration::from_secs(5);
const TRIP_SPANS: usize = 6;

/// A peer that reports nothing for so long hears nothing of us.
const UNHEARD: Duration = Duration::from_secs(3);

/// How long the filling takes to grow to what the next rung adds, before a step up.
const PROBE: Duration = Duration::from_secs(3);

/// For so long reports of it are waited for.
const PROBE_ECHO: Duration = Duration::from_millis(700);

/// However wide a path is, it may become narrow in the midst of a keyframe: what leaves until that is known here must fit the queue. These
/// are most of the bits that leave in 200 ms at 150 kbit/s, in kbit times ms. With it the voice loses nothing on paths with round trips of up
/// to 30 ms whenever they become narrow; `tests/bottleneck.rs` says what it loses on longer ones.
const FITS: u32 = 22_000;

/// It is known so much later than a round trip: when a packet of the voice is overdue, and the sender has looked.
const NOTICED: Duration = Duration::from_millis(17);

/// Bounds of the fastest that a frame's datagrams follow one another, in kbit/s: a keyframe has to leave at some time, and no round trip
/// makes it faster than the upper one.
const MOST_PACE: std::ops::RangeInclusive<u32> = 600..=1300;

/// What it is for paths of this round trip.
fn most_pace(round_trip: Duration) -> u32 {
    let known = (round_trip + NOTICED).as_millis().max(1);
    (FITS / u32::try_from(known).unwrap_or(u32::MAX)).clamp(*MOST_PACE.start(), *MOST_PACE.end())
}

/// What reports told in a window.
#[derive(Debug, Clone, Copy, Default)]
struct Window {
    since: Duration,
    reports: u32,
    least_queue: Duration,
    most_queue: Duration,
    expected: u32,
    lost: u32,
    alarms: u32,
    /// Reports of a queue.
    queued: u32,
    queued_trip: bool,
}

impl Window {
    fn add(&mut self, report: &PathReport) {
        let least = if self.reports == 0 { report.queue } else { self.least_queue };
        self.least_queue = least.min(report.queue);
        self.most_queue = self.most_queue.max(report.most_queue);
        self.expected = self.expected.saturating_add(report.expected);
        self.lost = self.lost.saturating_add(report.lost);
        self.queued += u32::from(report.most_queue >= WARNING);
        self.reports += 1;
    }

    fn lost_permille(&self) -> u32 {
        if self.expected < ENOUGH {
            return 0;
        }
        (u64::from(self.lost) * 1000 / u64::from(self.expected.max(1))) as u32
    }

    fn is_bad(&self) -> bool {
        let lost = self.lost_permille();
        let is_queued = match self.reports {
            // Nothing is heard of us, so only the trip there and back is known.
            0 => self.queued_trip,
            _ => self.most_queue >= STANDING,
        };
        // Two alarms in a window are not the hiccup of a radio.
        (self.reports > 0 && self.least_queue >= STANDING)
            || self.alarms > 1
            || self.queued >= OFTEN
            || lost >= HEAVY_LOSS
            || (is_queued && lost >= CONGESTED_LOSS)
            || (self.reports == 0 && self.queued_trip)
    }
}

/// Which rung one peer's path holds.
///
/// Down: at an alarm, a rung each tenth of a second as far as what the full path let through says, and by one rung after each window of 2 s
/// that was bad. Up: by one after 5 good seconds. In the last 3 of these filling is sent that grows to what the next rung takes. A
/// path that does not hold that shows it by a queue of some milliseconds, before any video is sent over it; it is asked again after twice as
/// long.
#[derive(Debug, Clone)]
pub struct PeerLadder {
    rung: Rung,
    window: Window,
    settled_at: Duration,
    good_since: Option<Duration>,
    patience: Duration,
    /// When it last went up, while that has not held yet, and how long was waited before.
    stepped_up: Option<(Duration, Duration)>,
    probe: Option<Duration>,
    /// Reports of a queue since it began.
    probe_warnings: u32,
    queued_since: Option<Duration>,
    /// Since when there is an alarm, and how often it was counted.
    alarm: Option<(Duration, u32)>,
    /// The rung that the full path holds, and when the next one down to it is due.
    walk: Option<(Rung, Duration)>,
    /// What queue the path's own jitter looks like.
    usual: Duration,
    /// The shortest round trip of each span, the latest first.
    shortest_trips: [Option<Duration>; TRIP_SPANS],
    trip_span: u64,
    /// How many of the last round trips went through a queue, one after the other.
    queued_trips: u32,
    reported: Option<Duration>,
    pace_kbps: u32,
    /// Windows without a queue, and how many of them make the pace faster.
    smooth: u32,
    smooth_wanted: u32,
}

impl PeerLadder {
    /// One at the top: a path is taken for good until it shows otherwise.
    #[must_use]
    pub fn new(now: Duration) -> Self {
        Self {
            rung: Rung::Full,
            window: Window { since: now, ..Window::default() },
            settled_at: now,
            good_since: None,
            patience: GOOD_FOR,
            stepped_up: None,
            probe: None,
            probe_warnings: 0,
            queued_since: None,
            alarm: None,
            walk: None,
            usual: Duration::ZERO,
            shortest_trips: [None; TRIP_SPANS],
            trip_span: 0,
            queued_trips: 0,
            reported: None,
            pace_kbps: Rung::Full.pace_kbps(),
            smooth: 0,
            smooth_wanted: 1,
        }
    }

    /// Where it stands.
    #[must_use]
    pub fn rung(&self) -> Rung {
        self.rung
    }

    /// Whether the path to it is full: it is sent no video for the moment.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.alarm.is_some()
    }

    /// How fast a frame's datagrams may follow one another, in kbit/s.
    #[must_use]
    pub fn pace_kbps(&self) -> u32 {
        self.pace_kbps
    }

    /// How much filling is to be sent `now`, in kbit/s, to find out whether the path holds the next rung.
    #[must_use]
    pub fn filling_kbps(&self, now: Duration) -> u32 {
        let (Some(since), Some(next)) = (self.probe, self.rung.higher()) else { return 0 };
        let most = next.pace_kbps() - self.rung.kbps();
        let grown = now.saturating_sub(since).as_secs_f64() / PROBE.as_secs_f64();
        (f64::from(most) * grown.min(1.0)) as u32
    }

    /// What the peer says of the path to it.
    pub fn handle_report(&mut self, now: Duration, report: &PathReport) {
        let is_alarm = self.note_alarm(now, report);
        if let Some((holds, _)) = &mut self.walk
            && *holds > self.rung
            && report.queue >= CLEAR
        {
            // A rate that was taken over longer is a better one.
            *holds = fits(report).unwrap_or(*holds);
        }
        if now < self.settled_at {
            return;
        }
        self.reported = Some(now);
        self.window.add(report);
        if report.queue < self.usual.min(NOTICE) + NOTICE {
            self.queued_since = None;
        } else {
            self.queued_since.get_or_insert(now);
        }
        // A queue that one report tells of may be a machine's that was busy.
        let lasts = self.queued_since.is_some_and(|since| now >= since + LASTS);
        self.probe_warnings += u32::from(report.queue >= WARNING);
        if (lasts || self.probe_warnings > 1) && self.give_up_probe(now) {
            return;
        }
        let lost = u64::from(report.lost) * 1000 / u64::from(report.expected.max(1));
        let is_lossy = report.expected >= ENOUGH && lost > u64::from(GOOD_LOSS);
        if lasts || is_lossy {
            self.good_since = None;
        } else {
            self.usual = (self.usual * 7 + report.queue) / 8;
            self.good_since.get_or_insert(now);
        }
        self.window.alarms += u32::from(is_alarm);
        if report.queue >= ALARM {
            self.good_since = None;
            if self.give_up_probe(now) {
                return;
            }
        }
        // While it drains the queue still says how fast the path is, and often only then.
        if self.alarm.is_some()
            && self.walk.is_none()
            && let Some(fits) = fits(report).filter(|fits| *fits > self.rung)
        {
            self.walk = Some((fits, now));
            self.walk(now);
        }
    }

    /// Whether a report is one more alarm: a queue is one however often it is reported, and one more where it does not go away.
    fn note_alarm(&mut self, now: Duration, report: &PathReport) -> bool {
        if report.queue < CLEAR {
            self.alarm = None;
        } else if report.queue >= ALARM {
            let (since, counted) = self.alarm.get_or_insert((now, 0));
            if now >= *since + ALARM_LASTS * *counted {
                *counted += 1;
                self.pace_kbps = self.rung.pace_kbps();
                (self.smooth, self.smooth_wanted) = (0, (self.smooth_wanted * 2).min(32));
                return true;
            }
        }
        false
    }

    /// A round trip to the peer. It counts where the peer reports nothing, since it hears nothing of us.
    pub fn handle_round_trip(&mut self, now: Duration, trip: Duration) {
        let is_queued = trip > self.shortest_trip(now, trip) + QUEUED_TRIP;
        self.queued_trips = if is_queued { self.queued_trips + 1 } else { 0 };
        self.window.queued_trip |= self.queued_trips >= QUEUED_TRIPS;
        if !is_queued && now >= self.settled_at && self.reported.is_none_or(|at| now > at + UNHEARD) {
            self.good_since.get_or_insert(now);
        }
    }

    /// The shortest round trip lately, this one included.
    fn shortest_trip(&mut self, now: Duration, trip: Duration) -> Duration {
        let span = (now.as_nanos() / TRIP_SPAN.as_nanos()) as u64;
        for _ in 0..span.saturating_sub(self.trip_span).min(TRIP_SPANS as u64) {
            self.shortest_trips.rotate_right(1);
            self.shortest_trips[0] = None;
        }
        self.trip_span = span;
        self.shortest_trips[0] = Some(self.shortest_trips[0].map_or(trip, |shortest| shortest.min(trip)));
        self.shortest_trips.iter().flatten().copied().min().unwrap_or(trip)
    }

    /// Goes on to `now`; to be called several times a second.
    pub fn advance(&mut self, now: Duration) {
        self.walk(now);
        if now >= self.window.since + WINDOW {
            let window = std::mem::replace(&mut self.window, Window { since: now, ..Window::default() });
            if window.is_bad() {
                self.good_since = None;
                self.give_up_probe(now);
                if let Some(lower) = self.rung.lower() {
                    self.step_down(now, lower);
                }
            } else {
                self.adapt_pace(&window);
            }
        }
        self.stepped_up.take_if(|(at, _)| now >= *at + HELD);
        let (Some(next), Some(good_since)) = (self.rung.higher(), self.good_since) else { return };
        match self.probe {
            Some(since) => {
                if now >= since + PROBE + PROBE_ECHO {
                    self.probe = None;
                    let before = self.stepped_up.map_or(self.patience, |(_, before)| before);
                    self.stepped_up = Some((now, before));
                    self.patience = GOOD_FOR;
                    self.move_to(now, next);
                    self.good_since = Some(now);
                }
            }
            None => {
                if now >= good_since + self.patience.saturating_sub(PROBE + PROBE_ECHO) {
                    (self.probe, self.probe_warnings) = (Some(now), 0);
                }
            }
        }
    }

    /// Whether there was one. Its filling must have left the queue before the path is judged anew: it says nothing against the rung.
    fn give_up_probe(&mut self, now: Duration) -> bool {
        let was_probed = self.probe.take().is_some();
        if was_probed {
            self.be_patient();
            self.good_since = None;
            self.settled_at = now + SETTLE;
        }
        was_probed
    }

    fn be_patient(&mut self) {
        self.patience = (self.patience * 2).min(MOST_PATIENCE);
    }

    /// Down to what the path holds, while that is due.
    fn walk(&mut self, now: Duration) {
        let Some((fits, next)) = self.walk else { return };
        match self.rung.lower().filter(|_| self.rung < fits) {
            Some(lower) if now >= next => {
                self.step_down(now, lower);
                self.walk = Some((fits, now + STEP));
            }
            Some(_) => {}
            None => self.walk = None,
        }
    }

    fn step_down(&mut self, now: Duration, to: Rung) {
        if let Some((_, before)) = self.stepped_up.take() {
            self.patience = before;
            self.be_patient();
        }
        self.move_to(now, to);
        self.good_since = None;
        self.settled_at = now + SETTLE;
    }

    fn move_to(&mut self, now: Duration, to: Rung) {
        self.rung = to;
        self.window = Window { since: now, ..Window::default() };
        self.pace_kbps = to.pace_kbps();
        (self.smooth, self.smooth_wanted) = (0, 1);
    }

    /// Large frames may leave faster where that makes no queue. On a lower rung they may not: that the path holds its pace is known, and that
    /// it does not hold much more.
    fn adapt_pace(&mut self, window: &Window) {
        if window.reports == 0 || self.rung != Rung::Full {
            return;
        }
        if window.most_queue < self.usual + NOTICE {
            self.smooth += 1;
            if self.smooth >= self.smooth_wanted {
                self.smooth = 0;
                let most = self
                    .shortest_trips
                    .iter()
                    .flatten()
                    .min()
                    .map_or(*MOST_PACE.start(), |trip| most_pace(*trip));
                self.pace_kbps = (self.pace_kbps + self.pace_kbps / 2).min(most);
            }
        } else {
            self.smooth = 0;
            self.smooth_wanted = (self.smooth_wanted * 2).min(32);
            self.pace_kbps = (self.pace_kbps / 2).max(self.rung.pace_kbps());
        }
    }
}

/// What a full path holds beside the voice, as a report of it tells.
fn fits(report: &PathReport) -> Option<Rung> {
    // A tenth less, for the queue must drain.
    report.rate_kbps.map(|rate| Rung::that_fits((rate - rate / 10).saturating_sub(report.audio_kbps)))
}

#[cfg(test)]
mod tests;
