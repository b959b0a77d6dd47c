//! How much sound a speaker's packets should hold.
//!
//! A frame is sent when its last sample has come, so its length is delay: 2.5 ms of it are worth having wherever they can be
//! had. They are twice the packets of 5 ms, four times those of 10 ms, and each packet costs a path its headers and this
//! machine a system call. So the frame is short while the path and the machine hold it, and longer where they do not.
//!
//! To three others frames of 2.5 ms would take some 370 kbit/s more than those of 5 ms, most of it headers: more than an upload of
//! 1.65 Mbit/s has left beside the picture. So three get 5 ms.
//!
//! A change is heard, if only as a seam of a few milliseconds. So nothing changes twice in ten seconds, but for a shorter frame
//! that turns out not to hold: that is heard much worse, and ends after two. It is tried again only after a wait that doubles
//! each time.

use std::time::Duration;

use crate::repair::PEERS;

/// How much sound one packet of live audio holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum FrameSize {
    /// 2.5 ms, 400 packets a second: the least delay, for a link that is good.
    Ms2_5,
    /// 5 ms, 200 packets a second.
    #[default]
    Ms5,
    /// 10 ms, 100 packets a second: for a link on which packets are dear.
    Ms10,
}

impl FrameSize {
    /// All of them, the shortest first; the place of each is its code on the wire.
    pub const ALL: [Self; 3] = [Self::Ms2_5, Self::Ms5, Self::Ms10];

    /// Samples in a frame, at 48 kHz.
    #[must_use]
    pub fn samples(self) -> usize {
        120 << self.code()
    }

    /// The frame's duration.
    #[must_use]
    pub fn duration(self) -> Duration {
        Duration::from_micros(2500 << self.code())
    }

    /// The frame's duration in milliseconds.
    #[must_use]
    pub fn millis(self) -> f32 {
        self.duration().as_secs_f32() * 1e3
    }

    /// The one that lasts this many milliseconds.
    #[must_use]
    pub fn from_millis(millis: f32) -> Option<Self> {
        Self::ALL.into_iter().find(|size| (size.millis() - millis).abs() < 1e-3)
    }

    /// The bits a second of frames of this size where those of 5 ms have `usual`.
    ///
    /// 2.5 ms need half as many again, since every packet tells the bands' energies anew. 10 ms are for a path that is congested, and
    /// get by with half. `./x bench loss --frame-ms 2.5 --bitrate 96000` prints what is left of a voice.
    #[must_use]
    pub fn bitrate(self, usual: u32) -> u32 {
        match self {
            Self::Ms2_5 => usual.saturating_add(usual / 2),
            Self::Ms5 => usual,
            Self::Ms10 => usual / 2,
        }
    }

    /// Two bits that tell it.
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The one of a [`code`](Self::code).
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }

    fn shorter(self) -> Option<Self> {
        self.code().checked_sub(1).and_then(Self::from_code)
    }

    fn longer(self) -> Option<Self> {
        Self::from_code(self.code() + 1)
    }
}

/// How the last second went.
///
/// Where nobody says how we are heard, because we are muted or the report was lost, that says nothing of the path either way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Going {
    /// What each listener lost, by participant id, in permille; `None` where it has not said.
    pub lost_permille: [Option<u32>; PEERS],
    /// The round trip to each listener, by participant id.
    pub round_trip: [Option<Duration>; PEERS],
    /// The paths that do not hold all of the video, by participant id: none for more packets.
    pub crowded: [bool; PEERS],
    /// How long encoding and sending took this machine, all frames of the second together.
    pub busy: Duration,
    /// Frames whose encoding and sending took longer than they last.
    pub overruns: u64,
}

/// What a second was, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Second {
    /// Nothing is known of any path, and the machine is good enough.
    Unknown,
    /// Good enough for shorter frames.
    Good,
    /// Good enough for these.
    Fair,
    /// Too many packets for the path, or for the machine.
    Overloaded,
}

/// Nothing changes twice within this, but for a shorter frame that does not hold.
const DWELL: Duration = Duration::from_secs(10);
/// A call's first shorter frames are tried after so long: in its first seconds nobody talks about anything that matters.
const FIRST_TRY: Duration = Duration::from_secs(3);
/// After frames had to become longer, it must have been good for so long in a row before shorter ones are tried.
const STEADY: Duration = Duration::from_secs(10);
/// A shorter frame that did not hold is tried again after this, at first.
const RETRY_FIRST: Duration = Duration::from_secs(30);
/// And at last after this.
const RETRY_MOST: Duration = Duration::from_secs(16 * 60);
/// Shorter frames that held for so long have held.
const HELD: Duration = Duration::from_secs(60);
/// Overloaded for so many seconds in a row is no accident.
const SUSTAINED: u32 = 2;
/// A path that loses more than this, in permille, is none for more packets.
const GOOD_LOSS: u32 = 5;
/// A path that loses more than this while its round trip grows is congested.
const CONGESTED_LOSS: u32 = 20;
/// A round trip that is so much longer than the shortest one is one through a queue.
const QUEUED: Duration = Duration::from_millis(20);
/// The shortest round trip is that of about the last minute, for a route may change; it is kept in spans of this.
const TRIP_SPAN: Duration = Duration::from_secs(10);
/// A minute has so many of them.
const TRIP_SPANS: usize = 6;
/// A machine that is too slow has so many overrun frames in a second; one is a scheduler's whim.
const OVERRUNS: u64 = 4;
/// So many listeners get no frames shorter than [`CROWD_SIZE`].
const CROWD: usize = 3;
/// The shortest frame that all of them get.
const CROWD_SIZE: FrameSize = FrameSize::Ms5;
/// The share of its time, in permille, that the live thread may be busy with shorter frames.
const GOOD_BUSY: u128 = 250;
/// And with frames as they are.
const FAIR_BUSY: u128 = 600;

/// The shortest round trip to one peer in the last minute.
#[derive(Debug, Clone, Copy, Default)]
struct ShortestTrip {
    /// The shortest of each span, the latest first.
    spans: [Option<Duration>; TRIP_SPANS],
    /// Which span is the first, counted from the clock's beginning.
    span: u64,
}

impl ShortestTrip {
    /// The shortest lately, this one included.
    fn observe(&mut self, now: Duration, trip: Duration) -> Duration {
        let span = now.as_secs() / TRIP_SPAN.as_secs();
        for _ in 0..span.saturating_sub(self.span).min(TRIP_SPANS as u64) {
            self.spans.rotate_right(1);
            self.spans[0] = None;
        }
        self.span = span;
        self.spans[0] = Some(self.spans[0].map_or(trip, |shortest| shortest.min(trip)));
        self.spans.iter().flatten().min().copied().unwrap_or(trip)
    }
}

/// The speaker's choice of frame, made once a second from how the last second went.
#[derive(Debug, Clone)]
pub struct FramePolicy {
    size: FrameSize,
    changed: Option<Duration>,
    last: Option<Duration>,
    /// How long it has been good, seconds of which nothing is known left out, and the overloaded seconds in a row.
    good: Duration,
    overloaded: u32,
    /// When the frame last had to become longer.
    gave_way: Option<Duration>,
    /// How long after that a shorter one is tried.
    patience: Duration,
    /// The frame is shorter than the one before, and has not held yet.
    is_trial: bool,
    shortest_trips: [ShortestTrip; PEERS],
}

impl Default for FramePolicy {
    fn default() -> Self {
        Self::new()
    }
}

impl FramePolicy {
    /// What a call begins with: every path that holds a call holds it.
    pub const FIRST: FrameSize = FrameSize::Ms5;

    /// A policy that begins with [`FIRST`](Self::FIRST).
    #[must_use]
    pub fn new() -> Self {
        Self {
            size: Self::FIRST,
            changed: None,
            last: None,
            good: Duration::ZERO,
            overloaded: 0,
            gave_way: None,
            patience: STEADY,
            is_trial: false,
            shortest_trips: [ShortestTrip::default(); PEERS],
        }
    }

    /// The frame of now.
    #[must_use]
    pub fn size(&self) -> FrameSize {
        self.size
    }

    /// Listener `peer` has left, or somebody else has its number: the path is another.
    pub fn forget(&mut self, peer: u8) {
        if let Some(shortest) = self.shortest_trips.get_mut(usize::from(peer)) {
            *shortest = ShortestTrip::default();
        }
    }

    /// So it went since the last call, about a second before `now`. Returns the frame from here on.
    pub fn observe(&mut self, now: Duration, going: &Going) -> FrameSize {
        let passed = now.saturating_sub(self.last.replace(now).unwrap_or(now));
        let second = self.judge(now, passed, going);
        self.good = match second {
            Second::Good => self.good + passed,
            Second::Unknown => self.good,
            Second::Fair | Second::Overloaded => Duration::ZERO,
        };
        self.overloaded = if second == Second::Overloaded { self.overloaded + 1 } else { 0 };
        let since = self.changed.map(|changed| now.saturating_sub(changed));
        if self.is_trial && since.is_some_and(|since| since >= HELD) {
            self.is_trial = false;
            self.patience = RETRY_FIRST;
        }
        let may_change = since.is_none_or(|since| since >= DWELL);
        let is_ready = self.gave_way.map_or(self.good >= FIRST_TRY, |gave_way| {
            self.good >= STEADY && now.saturating_sub(gave_way) >= self.patience
        });
        let heard_by = going
            .round_trip
            .iter()
            .zip(going.lost_permille)
            .filter(|(trip, lost)| trip.is_some() || lost.is_some());
        let least = if heard_by.count() >= CROWD { CROWD_SIZE } else { FrameSize::Ms2_5 };
        if self.size < least {
            // That is nothing that the shorter ones have done.
            self.is_trial = false;
            self.change(now, least);
        } else if self.overloaded >= SUSTAINED
            && (may_change || self.is_trial)
            && let Some(longer) = self.size.longer()
        {
            if self.is_trial {
                self.patience = (2 * self.patience).clamp(RETRY_FIRST, RETRY_MOST);
                self.is_trial = false;
            }
            self.gave_way = Some(now);
            self.change(now, longer);
        } else if is_ready
            && may_change
            && let Some(shorter) = self.size.shorter().filter(|shorter| *shorter >= least)
        {
            self.is_trial = true;
            self.change(now, shorter);
        }
        self.size
    }

    /// A path is full though nothing but the voice is sent over it: the frame becomes longer at once, but not twice in
    /// `SUSTAINED` seconds, in which what was queued drains.
    pub fn relieve(&mut self, now: Duration) -> FrameSize {
        let settled = Duration::from_secs(SUSTAINED.into());
        if self.changed.is_none_or(|changed| now.saturating_sub(changed) >= settled)
            && let Some(longer) = self.size.longer()
        {
            if self.is_trial {
                self.patience = (2 * self.patience).clamp(RETRY_FIRST, RETRY_MOST);
                self.is_trial = false;
            }
            self.gave_way = Some(now);
            self.change(now, longer);
        }
        self.size
    }

    fn change(&mut self, now: Duration, size: FrameSize) {
        self.size = size;
        self.changed = Some(now);
        self.good = Duration::ZERO;
        self.overloaded = 0;
    }

    /// The worst of the paths and the machine.
    fn judge(&mut self, now: Duration, passed: Duration, going: &Going) -> Second {
        let busy = going.busy.as_nanos() * 1000 / passed.as_nanos().max(1);
        // Half the frame is twice the frames.
        let machine = if going.overruns >= OVERRUNS || (busy >= FAIR_BUSY && !passed.is_zero()) {
            Second::Overloaded
        } else if going.overruns > 0 || 2 * busy >= GOOD_BUSY {
            Second::Fair
        } else {
            Second::Unknown
        };
        let paths = going.lost_permille.iter().zip(going.round_trip).zip(&mut self.shortest_trips);
        let machine = if going.crowded.contains(&true) { machine.max(Second::Fair) } else { machine };
        // All are looked at, so that each shortest trip is known.
        paths.fold(machine, |worst, ((lost, trip), shortest)| {
            let queued = trip.is_some_and(|trip| trip > shortest.observe(now, trip) + QUEUED);
            worst.max(match lost {
                Some(lost) if queued && *lost >= CONGESTED_LOSS => Second::Overloaded,
                Some(lost) if *lost <= GOOD_LOSS && !queued => Second::Good,
                None if !queued => Second::Unknown,
                _ => Second::Fair,
            })
        })
    }
}

#[cfg(test)]
mod tests;
