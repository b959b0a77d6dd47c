//! What is too much for resampling, and left out in one cut.

use super::{DepthPolicy, GUARD};

/// Less than this of what the device lost is not worth a cut, and is left to resampling.
const LEAST_LOSS: f64 = 0.005;
/// What is too deep for so many seconds is cut in a pause.
const SPARE_FOR: f64 = 2.0;
/// But no more than this at once: the next word may begin within it.
const MOST_IN_PAUSE: f64 = 0.01;
/// Less is not worth a cut at the beginning.
const LEAST_TRIM: f64 = 0.001;
/// What is left above the worst that was seen: a second shows less than eight.
const TRIM_GUARD: f64 = 0.001;

impl DepthPolicy {
    /// How much sound is to be left out, at once, before the place that was observed last. `is_quiet` where it would
    /// not be heard.
    pub(crate) fn surplus(&mut self, now: f64, is_quiet: bool) -> Option<f64> {
        let left_over = self.left_over_by_break();
        if self.realign.is_some() {
            return left_over;
        }
        left_over
            .or_else(|| self.to_skip(now))
            .or_else(|| self.trim(now, is_quiet))
            .or_else(|| self.in_pause(now, is_quiet))
    }

    /// What the device lost and is queued since. Where the speaker's stood still as well, there is none; that shows in what
    /// packets really wait.
    pub(super) fn left_over_by_break(&self) -> Option<f64> {
        if self.left_over < LEAST_LOSS {
            return None;
        }
        let queued = (self.depth + self.longer_by_break() - self.target).min(self.last_wait - GUARD);
        Some(self.left_over.min(queued)).filter(|lost| *lost >= LEAST_LOSS)
    }

    /// What nothing has needed for a while, where leaving it out is not heard.
    pub(super) fn in_pause(&mut self, now: f64, is_quiet: bool) -> Option<f64> {
        let spare = self.depth - self.wanted;
        if self.settling.is_some() || self.surplus.is_some() || spare < LEAST_LOSS {
            self.spare_since = self.spare_since.max(now);
            return None;
        }
        // Of the frames that are left out nobody knows how loud they are.
        let spare = spare.min(self.last_wait - GUARD).min(MOST_IN_PAUSE);
        if !is_quiet || now - self.spare_since < SPARE_FOR || spare < LEAST_LOSS {
            return None;
        }
        self.spare_since = now;
        self.target = self.target.min((self.depth - spare).max(self.wanted));
        Some(spare)
    }

    /// What a path that became shorter left over.
    pub(super) fn to_skip(&self, now: f64) -> Option<f64> {
        self.surplus?.skip(now, GUARD, self.before[1])
    }

    /// What the beginning left over. Once there is nothing (any more), the depth has settled.
    pub(super) fn trim(&mut self, now: f64, is_quiet: bool) -> Option<f64> {
        let settling = self.settling.filter(|settling| settling.is_over(now))?;
        self.simulation.keep_recent();
        self.update();
        let needed = self.simulation.needed_by_all().map_or(self.most, |needed| needed + GUARD + TRIM_GUARD);
        let trimmed = self.depth - needed.max(self.target).max(settling.least);
        if trimmed < LEAST_TRIM {
            self.settling = None;
            return None;
        }
        settling.may_cut(now, is_quiet).then_some(trimmed)
    }

    /// So much was left out.
    pub(crate) fn left_out(&mut self, now: f64, seconds: f64) {
        if self.left_over_by_break().is_some() {
            self.left_over = (self.left_over - seconds).max(0.0);
            self.shift(-seconds);
        } else if self.to_skip(now).is_some()
            && let Some(surplus) = self.surplus.take()
        {
            self.coasts = false;
            // It came from outside: had all of it been skipped, the waits would be what they were before. Those on
            // the way there belong to neither.
            let before = self.before[1].longest_wait;
            self.simulation.limit_longest(before);
            self.depth = before + self.added;
            self.shift(surplus.longest_wait - self.depth - seconds);
        } else {
            self.settling = None;
            self.shift(-seconds);
        }
        self.steer.led = self.depth;
    }
}
