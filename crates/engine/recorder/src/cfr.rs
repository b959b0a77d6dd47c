//! Constant frame rate: exactly one picture a tick, whatever the camera does.

use std::collections::VecDeque;
use std::time::Duration;

use hyperzoom_timing::tick_time_ns;

use crate::ledger::TickEntry;

/// How long a tick waits for the camera's picture, past its own time, before it repeats the one before.
///
/// Pictures are stamped at capture and come a conversion and a ring later, so that a tick is settled at once by the first
/// picture captured after it; only a camera slower than the ticks, or one that stalls, makes it wait.
const REPEAT_AFTER: Duration = Duration::from_millis(100);

/// How long the take's first ticks wait for the camera's first picture before they stay black.
const BLACK_AFTER: Duration = Duration::from_secs(1);

/// Takes pictures as the camera delivers them, gives one for each tick: the newest captured at or before it.
///
/// A pure machine, so that an hour of any camera is a test of milliseconds. `T` is a cheap handle on a picture.
#[derive(Debug)]
pub(crate) struct ConstantRate<T> {
    first_tick: u64,
    next_tick: u64,
    waiting: VecDeque<Waiting<T>>,
    last_at: i64,
    current: Option<T>,
}

#[derive(Debug)]
struct Waiting<T> {
    at_ns: i64,
    /// Pictures lost before this one that no tick has been charged with.
    lost: u64,
    picture: T,
}

/// One settled tick.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tick<T> {
    /// Its number on the session's grid.
    pub(crate) tick: u64,
    /// Its picture; `None` where the camera has delivered nothing yet, which is black.
    pub(crate) picture: Option<T>,
    /// What became of the pictures that belong to it.
    pub(crate) entry: TickEntry,
}

impl<T: Clone> ConstantRate<T> {
    /// A machine whose first tick is `first_tick`.
    pub(crate) fn new(first_tick: u64) -> Self {
        Self { first_tick, next_tick: first_tick, waiting: VecDeque::new(), last_at: i64::MIN, current: None }
    }

    /// The tick that is settled next.
    pub(crate) fn next_tick(&self) -> u64 {
        self.next_tick
    }

    /// Whether a picture waits that was captured after the next tick: that tick is settled, and later pictures can wait outside.
    pub(crate) fn is_settled(&self) -> bool {
        self.waiting.back().is_some_and(|it| it.at_ns > tick_time_ns(self.next_tick))
    }

    /// Takes a picture captured at `at_ns` of session time; `lost` ones between it and the one before are missing.
    ///
    /// A correction of the session clock can make moments go back a little; pictures keep their order.
    pub(crate) fn push(&mut self, at_ns: i64, lost: u64, picture: T) {
        self.last_at = self.last_at.max(at_ns);
        self.waiting.push_back(Waiting { at_ns: self.last_at, lost, picture });
    }

    /// The next tick, once it is settled as of `now_ns` of session time.
    pub(crate) fn poll(&mut self, now_ns: i64) -> Option<Tick<T>> {
        let time = tick_time_ns(self.next_tick);
        let late = |patience: Duration| now_ns >= time.saturating_add(patience.as_nanos() as i64);
        let due = self.waiting.front().is_some_and(|it| it.at_ns <= time);
        let ready = self.is_settled()
            || if self.current.is_some() || due { late(REPEAT_AFTER) } else { late(BLACK_AFTER) };
        ready.then(|| self.settle(time))
    }

    fn settle(&mut self, time: i64) -> Tick<T> {
        let (mut arrived, mut lost) = (0, 0);
        while let Some(next) = self.waiting.pop_front_if(|it| it.at_ns <= time) {
            self.current = Some(next.picture);
            lost += next.lost;
            arrived += 1;
        }
        let fresh = arrived > 0;
        if !fresh && let Some(next) = self.waiting.front_mut() {
            // This tick repeats a picture since its own was lost.
            lost = std::mem::take(&mut next.lost);
        }
        let mut entry = TickEntry { fresh, decimated: arrived.max(1) - 1, dropped: lost };
        if self.next_tick == self.first_tick {
            // What the first tick passes over was captured before the take, and is no part of it.
            (entry.decimated, entry.dropped) = (0, 0);
        }
        let picture = self.current.clone().or_else(|| self.waiting.front().map(|next| next.picture.clone()));
        let tick = self.next_tick;
        self.next_tick += 1;
        Tick { tick, picture, entry }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{PictureLedger, VideoCounts};

    const SECOND: i64 = 1_000_000_000;

    fn fresh<T>(tick: u64, picture: T) -> Tick<T> {
        Tick { tick, picture: Some(picture), entry: TickEntry { fresh: true, ..TickEntry::default() } }
    }

    fn repeated<T>(tick: u64, picture: Option<T>) -> Tick<T> {
        Tick { tick, picture, entry: TickEntry::default() }
    }

    fn counts<T>(ticks: &[Tick<T>]) -> VideoCounts {
        let mut ledger = PictureLedger::default();
        ticks.iter().for_each(|tick| ledger.push(tick.entry));
        ledger.counts(u64::MAX, u64::MAX)
    }

    /// Runs a camera that delivers at `moments`, each picture `latency` after its capture, and collects `ticks` ticks.
    fn run(first: u64, moments: &[i64], latency: i64, ticks: usize) -> (Vec<Tick<usize>>, VideoCounts) {
        let mut machine = ConstantRate::new(first);
        let mut out = Vec::new();
        let mut pictures = moments.iter().enumerate().peekable();
        let mut now = tick_time_ns(first) - SECOND;
        while out.len() < ticks {
            while let Some((index, at)) = pictures.next_if(|(_, at)| **at + latency <= now) {
                machine.push(*at, 0, index);
            }
            out.extend(std::iter::from_fn(|| machine.poll(now)));
            now += SECOND / 1000;
        }
        out.truncate(ticks);
        let counts = counts(&out);
        (out, counts)
    }

    fn camera(rate_mhz: i64, seconds: i64, jitter: i64) -> Vec<i64> {
        let mut state = 88_172_645_463_325_252_u64;
        (0..seconds * rate_mhz / 1000)
            .map(|i| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                let noise = if jitter == 0 { 0 } else { (state % (2 * jitter as u64)) as i64 - jitter };
                SECOND / 100 + i * 1000 * SECOND / rate_mhz + noise
            })
            .collect()
    }

    #[test]
    fn a_camera_on_the_beat_gives_each_tick_its_own_picture() {
        let (ticks, counts) = run(1, &camera(30_000, 12, 0), 20_000_000, 300);
        assert!(
            ticks.iter().enumerate().all(|(i, tick)| tick.tick == i as u64 + 1 && tick.picture == Some(i))
        );
        assert_eq!((counts.duplicated, counts.decimated), (0, 0));
    }

    #[test]
    fn any_camera_yields_one_picture_a_tick_and_the_counts_add_up() {
        for (rate, jitter) in
            [(24_000, 20), (29_970, 20), (30_020, 20), (60_000, 20), (15_000, 0), (7_000, 60)]
        {
            let (ticks, counts) = run(3, &camera(rate, 70, jitter * 1_000_000), 40_000_000, 1800);
            assert!(ticks.windows(2).all(|pair| pair[1].tick == pair[0].tick + 1), "{rate}");
            assert!(ticks.windows(2).all(|pair| pair[1].picture >= pair[0].picture), "{rate}");
            assert_eq!((counts.written, counts.dropped), (1800, 0), "{rate}");
            let shown = counts.written - counts.duplicated;
            let expected = (rate as u64).min(30_000) * 60 / 1000;
            if jitter == 0 {
                assert!(shown.abs_diff(expected) <= 2, "{rate}: {shown} of {expected}");
            }
            assert!(counts.captured.abs_diff(rate as u64 * 60 / 1000) <= 3, "{rate}: {counts:?}");
        }
    }

    #[test]
    fn a_60_hz_camera_is_halved() {
        let (_, counts) = run(0, &camera(60_000, 12, 0), 10_000_000, 300);
        assert_eq!(counts.duplicated, 1, "the first tick is before the first picture");
        assert!(counts.decimated.abs_diff(300) <= 2, "{counts:?}");
    }

    #[test]
    fn a_camera_that_stops_is_repeated_without_waiting_longer_than_the_patience() {
        let mut machine = ConstantRate::new(0);
        machine.push(0, 0, 'a');
        let last = tick_time_ns(90);
        let now = last + REPEAT_AFTER.as_nanos() as i64;
        let ticks: Vec<_> = std::iter::from_fn(|| machine.poll(now)).collect();
        assert_eq!((ticks.len(), counts(&ticks).duplicated), (91, 90));
        machine.push(tick_time_ns(91) - 5, 0, 'b');
        assert_eq!(machine.poll(last), None, "tick 91 may yet get a newer picture");
        machine.push(tick_time_ns(91) + 5, 0, 'c');
        assert_eq!(machine.poll(last), Some(fresh(91, 'b')));
    }

    #[test]
    fn the_first_picture_stands_in_for_the_ticks_before_it() {
        let mut machine = ConstantRate::new(10);
        assert_eq!(
            machine.poll(tick_time_ns(10) + SECOND / 2),
            None,
            "there is a second to deliver the first"
        );
        machine.push(tick_time_ns(12) - 1, 0, 'a');
        let now = tick_time_ns(13);
        assert_eq!(machine.poll(now), Some(repeated(10, Some('a'))));
        assert_eq!(machine.poll(now), Some(repeated(11, Some('a'))));
        machine.push(tick_time_ns(13) - 1, 0, 'b');
        assert_eq!(machine.poll(now), Some(fresh(12, 'a')));
    }

    #[test]
    fn without_any_picture_ticks_are_black_after_a_second() {
        let mut machine = ConstantRate::<char>::new(0);
        assert_eq!(machine.poll(SECOND - 1), None);
        assert_eq!(machine.poll(SECOND), Some(repeated(0, None)));
    }

    #[test]
    fn pictures_from_before_the_take_are_not_counted() {
        let mut machine = ConstantRate::new(30);
        for (i, at) in camera(60_000, 2, 0).into_iter().enumerate() {
            machine.push(at, 1, i);
        }
        let first = machine.poll(0).unwrap();
        assert_eq!(first.entry, TickEntry { fresh: true, decimated: 0, dropped: 0 });
    }

    #[test]
    fn lost_pictures_belong_to_the_ticks_that_lack_them() {
        let mut machine = ConstantRate::new(0);
        machine.push(0, 0, 'a');
        // Three are missing, at ticks 1 to 3; and one more between two pictures of tick 6.
        machine.push(tick_time_ns(4), 3, 'b');
        machine.push(tick_time_ns(5) + 1, 0, 'c');
        machine.push(tick_time_ns(6), 1, 'd');
        machine.push(tick_time_ns(7) + 1, 0, 'e');
        let ticks: Vec<_> = std::iter::from_fn(|| machine.poll(0)).collect();
        let dropped: Vec<_> = ticks.iter().map(|tick| tick.entry.dropped).collect();
        assert_eq!(dropped, [0, 3, 0, 0, 0, 0, 1, 0]);
        assert_eq!(
            counts(&ticks),
            VideoCounts { captured: 8, written: 8, duplicated: 5, decimated: 1, dropped: 4 }
        );
    }

    #[test]
    fn a_clock_that_steps_back_keeps_the_order() {
        let mut machine = ConstantRate::new(1);
        machine.push(tick_time_ns(1) - 10, 0, 'a');
        machine.push(tick_time_ns(1) - 20, 0, 'b');
        machine.push(tick_time_ns(1) + 20, 0, 'c');
        assert_eq!(machine.poll(0).and_then(|tick| tick.picture), Some('b'));
    }
}
