//! Constant frame rate: exactly one picture a tick, whatever the camera does.
//!
//! A camera's stamps jitter, and its clock is not the session's. Taking the newest picture at each tick would then show one
//! twice and leave the next one out, again and again, wherever stamps wander about the tick. So the stamps are first freed of
//! their jitter ([`Beat`]), and each picture belongs to the tick next to its fitted time: that keeps pictures and sound
//! together (the mean distance is 0), shows no picture more than a tick from its time, and repeats or leaves out only what the
//! camera's rate demands. A picture near the middle between two ticks goes where the last such one went ([`DEAD_BAND`]), or
//! what is left of the jitter would choose.

mod beat;

use std::collections::VecDeque;
use std::time::Duration;

use beat::Beat;
use hyperzoom_timing::tick_time_ns;

use crate::ledger::TickEntry;

/// How long a tick waits for the camera's picture, past its own time, before it repeats the one before.
///
/// A picture that belongs to a tick is captured up to half a tick after it, stamped up to 20 ms later and comes a conversion
/// after that. A tick is settled at once when its picture is there and the next is not due yet; only a camera that stalls makes
/// it wait for so long. What a crash loses is one fragment and this.
const REPEAT_AFTER: Duration = Duration::from_millis(70);

/// How long the take's first ticks wait for the camera's first picture before they stay black.
const BLACK_AFTER: Duration = Duration::from_secs(1);

/// How many ticks repeat the last picture of a camera that has stopped before they turn black: two seconds. A picture that stands still for
/// longer looks like a person who does.
const STILL_TICKS: u64 = 60;

/// Half the width of the dead band about the middle between two ticks, in ns: three times what the fit leaves of 20 ms of
/// jitter. Less than half of 8.3 ms, the distance at which the pictures of a 24 fps camera pass such middles.
const DEAD_BAND: i64 = 4_000_000;

/// Choices that are remembered. A 24 fps camera comes back to the same place after four pictures, a 25 fps one after five.
const CHOICES: usize = 16;

/// Takes pictures as the camera delivers them, gives one for each tick: the newest of those that belong to it.
///
/// A pure machine, so that an hour of any camera is a test of milliseconds. `T` is a cheap handle on a picture.
#[derive(Debug)]
pub(crate) struct ConstantRate<T> {
    first_tick: u64,
    next_tick: u64,
    beat: Beat,
    /// The last choices near a middle, newest first: how far after it the picture was, and whether the earlier tick had it.
    choices: VecDeque<(i64, bool)>,
    waiting: VecDeque<Waiting<T>>,
    last_at: i64,
    current: Option<T>,
    /// The tick that `current` was fresh in.
    current_since: u64,
}

#[derive(Debug)]
struct Waiting<T> {
    /// The fitted time.
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
    /// Its picture; `None` where the camera has delivered nothing yet, or nothing for [`STILL_TICKS`]: that is black.
    pub(crate) picture: Option<T>,
    /// What became of the pictures that belong to it.
    pub(crate) entry: TickEntry,
}

impl<T: Clone> ConstantRate<T> {
    /// A machine whose first tick is `first_tick`.
    pub(crate) fn new(first_tick: u64) -> Self {
        Self {
            first_tick,
            next_tick: first_tick,
            beat: Beat::new(),
            choices: VecDeque::with_capacity(CHOICES + 1),
            waiting: VecDeque::new(),
            last_at: i64::MIN,
            current: None,
            current_since: first_tick,
        }
    }

    /// The tick that is settled next.
    pub(crate) fn next_tick(&self) -> u64 {
        self.next_tick
    }

    /// Whether a picture waits that belongs to a later tick than the next: that one is settled, and more pictures can wait outside.
    pub(crate) fn is_settled(&self) -> bool {
        self.waiting.back().is_some_and(|it| !self.belongs(it.at_ns))
    }

    /// Takes a picture stamped `at_ns` of session time; `lost` ones between it and the one before are missing.
    ///
    /// A correction of the session clock can make moments go back a little; pictures keep their order.
    pub(crate) fn push(&mut self, at_ns: i64, lost: u64, picture: T) {
        self.last_at = self.last_at.max(self.beat.fit(at_ns, lost));
        self.waiting.push_back(Waiting { at_ns: self.last_at, lost, picture });
    }

    /// The next tick, once it is settled as of `now_ns` of session time.
    pub(crate) fn poll(&mut self, now_ns: i64) -> Option<Tick<T>> {
        let time = tick_time_ns(self.next_tick);
        let late = |patience: Duration| now_ns >= time.saturating_add(patience.as_nanos() as i64);
        let due = self.waiting.front().is_some_and(|it| self.belongs(it.at_ns));
        let ready = self.is_settled()
            || if self.current.is_some() || due {
                late(REPEAT_AFTER) || (now_ns >= time && self.next_is_later())
            } else {
                late(BLACK_AFTER)
            };
        ready.then(|| self.settle())
    }

    /// The middle between the next tick and the one after it, by which a picture of the next one is captured. A camera faster
    /// than the ticks has several pictures for one: the nearest is shown.
    fn middle(&self) -> i64 {
        let width =
            (tick_time_ns(self.next_tick + 1) - tick_time_ns(self.next_tick)).min(self.beat.period_ns());
        tick_time_ns(self.next_tick).saturating_add(width / 2)
    }

    /// Whether a picture of this moment belongs to the next tick, or to an earlier one, rather than a later one.
    fn belongs(&self, at_ns: i64) -> bool {
        let after = at_ns.saturating_sub(self.middle());
        if after.abs() > DEAD_BAND {
            return after <= 0;
        }
        let alike = self.choices.iter().find(|(other, _)| (after - other).abs() <= DEAD_BAND);
        alike.map_or(after <= 0, |(_, earlier)| *earlier)
    }

    fn remember(&mut self, at_ns: i64, earlier: bool) {
        let after = at_ns.saturating_sub(self.middle());
        if after.abs() <= 2 * DEAD_BAND {
            self.choices.push_front((after, earlier));
            self.choices.truncate(CHOICES);
        }
    }

    /// Whether the camera's beat says that no further picture belongs to the next tick.
    fn next_is_later(&self) -> bool {
        self.beat.next_ns().is_some_and(|next| next > self.middle() + DEAD_BAND)
    }

    fn settle(&mut self) -> Tick<T> {
        let (mut arrived, mut lost) = (0, 0);
        while let Some(at) = self.waiting.front().map(|it| it.at_ns) {
            if !self.belongs(at) {
                break;
            }
            self.remember(at, true);
            if let Some(next) = self.waiting.pop_front() {
                self.current = Some(next.picture);
                lost += next.lost;
                arrived += 1;
            }
        }
        // What is left to the next tick, or is about to come for it.
        if let Some(later) = self.waiting.front().map(|it| it.at_ns).or_else(|| self.beat.next_ns()) {
            self.remember(later, false);
        }
        let fresh = arrived > 0;
        if fresh {
            self.current_since = self.next_tick;
        }
        if !fresh && let Some(next) = self.waiting.front_mut() {
            // This tick repeats a picture since its own was lost.
            lost = std::mem::take(&mut next.lost);
        }
        let still = self.next_tick - self.current_since <= STILL_TICKS;
        let picture = match &self.current {
            Some(current) => still.then(|| current.clone()),
            None => self.waiting.front().map(|next| next.picture.clone()),
        };
        let black = picture.is_none();
        let mut entry = TickEntry { fresh, black, decimated: arrived.max(1) - 1, dropped: lost };
        if self.next_tick == self.first_tick {
            // What the first tick passes over was captured before the take, and is no part of it.
            (entry.decimated, entry.dropped) = (0, 0);
        }
        let tick = self.next_tick;
        self.next_tick += 1;
        Tick { tick, picture, entry }
    }
}

#[cfg(test)]
mod tests;
