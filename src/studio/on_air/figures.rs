//! How the way to and from somebody did of late: figures for who wants to know, a value a second.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How often the counts are looked at.
const EVERY: Duration = Duration::from_secs(1);

/// Values that are kept: a minute.
const KEPT: usize = 60;

/// Rates and losses are of the last seconds: fewer would jump, since what the links carried is counted once a second.
const WINDOW: usize = 5;

/// Looks that pass until the first figure from mouth to ear counts.
const SETTLED: usize = 2;

/// IPv4 and UDP, in bytes.
const HEADERS: u64 = 20 + 8;

/// What was counted since the link began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Packets of voice that came.
    pub(super) received: u64,
    /// Those that never did.
    pub(super) lost: u64,
    /// Of these, those that copies made good.
    pub(super) repaired: u64,
    /// Bytes of media that came.
    pub(super) down: u64,
    /// Bytes of media that went.
    pub(super) up: u64,
    /// In so many datagrams.
    pub(super) datagrams: u64,
}

impl Counts {
    /// What has come to it since `before`; `None` where counting began anew, as after a return.
    fn since(&self, before: &Self) -> Option<Self> {
        Some(Self {
            received: self.received.checked_sub(before.received)?,
            lost: self.lost.checked_sub(before.lost)?,
            repaired: self.repaired.checked_sub(before.repaired)?,
            down: self.down.checked_sub(before.down)?,
            up: self.up.checked_sub(before.up)?,
            datagrams: self.datagrams.checked_sub(before.datagrams)?,
        })
    }

    /// Packets that should have come.
    fn due(&self) -> u64 {
        self.received + self.lost
    }
}

/// The last minute of one link.
#[derive(Debug, Clone, Default)]
pub(super) struct History {
    counts: VecDeque<(Instant, Counts)>,
    ear: VecDeque<f32>,
    lost: VecDeque<f32>,
}

/// What the last seconds came to.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Rates {
    /// Packets that never came, in percent.
    pub(super) lost: f32,
    /// Those that copies made good, in percent of all.
    pub(super) repaired: f32,
    /// Media that came, in kbit/s.
    pub(super) down_kbps: f32,
    /// Media that went, in kbit/s.
    pub(super) up_kbps: f32,
    /// All of what went as the network saw it, in kbit/s.
    pub(super) wire_kbps: f32,
}

impl History {
    /// Takes the counts as of now, where a second has passed, and how long it takes from mouth to ear, in ms, where that is known.
    pub(super) fn note(&mut self, now: Instant, counts: Counts, ear_ms: Option<f32>) {
        if self.counts.back().is_some_and(|(at, _)| now.saturating_duration_since(*at) < EVERY) {
            return;
        }
        match self.counts.back().map(|(_, before)| counts.since(before)) {
            Some(Some(new)) => push(&mut self.lost, KEPT, percent(new.lost, new.due())),
            Some(None) => self.counts.clear(),
            None => {}
        }
        push(&mut self.counts, WINDOW + 1, (now, counts));
        // What is measured in the first moments tells more of the beginning than of the way.
        if let Some(ear_ms) = ear_ms
            && self.counts.len() > SETTLED
        {
            push(&mut self.ear, KEPT, ear_ms);
        }
    }

    /// The last seconds.
    pub(super) fn rates(&self) -> Rates {
        let (Some((since, first)), Some((until, last))) = (self.counts.front(), self.counts.back()) else {
            return Rates::default();
        };
        let (seconds, new) = ((*until - *since).as_secs_f32(), last.since(first).unwrap_or_default());
        let kbps = |bytes: u64| if seconds > 0.0 { bytes as f32 * 8.0 / 1000.0 / seconds } else { 0.0 };
        Rates {
            lost: percent(new.lost, new.due()),
            repaired: percent(new.repaired, new.due()),
            down_kbps: kbps(new.down),
            up_kbps: kbps(new.up),
            wire_kbps: kbps(new.up + HEADERS * new.datagrams),
        }
    }

    /// Whether the way from mouth to ear is known well enough to be told.
    pub(super) fn is_settled(&self) -> bool {
        !self.ear.is_empty()
    }

    /// From mouth to ear, in ms, a value a second, the oldest first.
    pub(super) fn ear(&self) -> Vec<f32> {
        self.ear.iter().copied().collect()
    }

    /// What was lost, in percent, likewise.
    pub(super) fn lost(&self) -> Vec<f32> {
        self.lost.iter().copied().collect()
    }
}

fn percent(part: u64, of: u64) -> f32 {
    if of > 0 { part as f32 * 100.0 / of as f32 } else { 0.0 }
}

fn push<T>(into: &mut VecDeque<T>, most: usize, value: T) {
    if into.len() == most {
        into.pop_front();
    }
    into.push_back(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many seconds of 200 packets each, of which every 20th is lost and half of these repaired; 60 kB down and 6 kB up a second.
    fn after(seconds: u64) -> Counts {
        Counts {
            received: 190 * seconds,
            lost: 10 * seconds,
            repaired: 5 * seconds,
            down: 60_000 * seconds,
            up: 6_000 * seconds,
            datagrams: 200 * seconds,
        }
    }

    #[test]
    fn the_last_seconds_count_and_a_minute_is_kept() {
        let (mut history, begin) = (History::default(), Instant::now());
        assert_eq!(history.rates(), Rates::default());
        for ms in (0..90_000).step_by(250) {
            let now = begin + Duration::from_millis(ms);
            history.note(now, after(ms / 1000), Some(ms as f32 / 1000.0));
        }
        let Rates { lost, repaired, down_kbps, up_kbps, wire_kbps } = history.rates();
        assert_eq!([lost, repaired, down_kbps, up_kbps], [5.0, 2.5, 480.0, 48.0]);
        assert!((wire_kbps - 92.8).abs() < 0.01, "{wire_kbps}");
        assert_eq!((history.lost().len(), history.ear().len()), (KEPT, KEPT));
        assert_eq!(history.ear()[..2], [30.0, 31.0]);
        assert!(history.lost().iter().all(|lost| *lost == 5.0));
    }

    #[test]
    fn a_link_that_begins_anew_is_not_reckoned_with_the_one_before() {
        let (mut history, begin) = (History::default(), Instant::now());
        for (second, counts) in [(0, after(100)), (1, after(101)), (2, after(1)), (3, after(2))] {
            history.note(begin + Duration::from_secs(second), counts, None);
        }
        assert_eq!(history.rates().down_kbps, 480.0);
        assert!(history.ear().is_empty());
    }

    #[test]
    fn who_says_nothing_loses_nothing() {
        let (mut history, begin) = (History::default(), Instant::now());
        for second in 0..10 {
            history.note(begin + Duration::from_secs(second), Counts::default(), None);
        }
        assert_eq!(history.rates(), Rates::default());
    }
}
