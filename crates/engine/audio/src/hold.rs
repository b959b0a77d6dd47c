//! Which of several buffer sizes a device gets: the smallest that holds, found by trying.

use std::time::Duration;

/// Failures this soon after a change are still those of the size before.
const SETTLE: Duration = Duration::from_millis(100);

/// Failures count together where they come within this time of each other.
const STRIKES_WITHIN: Duration = Duration::from_secs(10);

/// The longest that a size is kept before the next smaller one is tried again.
const LONGEST: Duration = Duration::from_secs(16 * 60);

/// How a device's failures are answered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// How many failures make a size too small.
    pub(crate) strikes: u32,
    /// How long a size has to hold before the next smaller one is tried, the first time.
    pub(crate) hold: Duration,
}

/// A ladder of sizes, of which the lowest rung is the smallest.
///
/// It goes up a rung where the present one fails, and down again when that has held for a while; one that is on trial then holds after
/// a third of it. Where the smaller size fails, the while is twice as long from then on: a machine that needs the larger size is asked
/// less and less often.
///
/// Moments are told as the time since any fixed one.
#[derive(Debug)]
pub(crate) struct Hold {
    patience: Patience,
    top: usize,
    rung: usize,
    changed: Duration,
    failed: Option<Duration>,
    strikes: u32,
    wait: Duration,
    /// The present size is a smaller one on trial.
    trial: bool,
}

impl Hold {
    /// Of `sizes` sizes, at least 1, the smallest.
    pub(crate) fn new(sizes: usize, patience: Patience, now: Duration) -> Self {
        Self {
            patience,
            top: sizes.saturating_sub(1),
            rung: 0,
            changed: now,
            failed: None,
            strikes: 0,
            wait: patience.hold,
            trial: false,
        }
    }

    /// Which size it is now: 0 is the smallest.
    pub(crate) fn rung(&self) -> usize {
        self.rung
    }

    /// The present size was too small at a moment. Whether there is to be another one.
    pub(crate) fn fail(&mut self, now: Duration) -> bool {
        let settling = now.saturating_sub(self.changed) < SETTLE && self.rung > 0 && !self.trial;
        let together = self.failed.is_some_and(|last| now.saturating_sub(last) < STRIKES_WITHIN);
        self.failed = Some(now);
        if settling {
            return false;
        }
        self.strikes = if together { self.strikes + 1 } else { 1 };
        if self.strikes < self.patience.strikes {
            return false;
        }
        self.strikes = 0;
        if std::mem::take(&mut self.trial) {
            self.wait = (self.wait * 2).min(LONGEST);
        }
        if self.rung == self.top {
            return false;
        }
        self.rung += 1;
        self.changed = now;
        true
    }

    /// To be asked now and then. Whether a smaller size is to be tried.
    pub(crate) fn held(&mut self, now: Duration) -> bool {
        let since = self.failed.map_or(self.changed, |failed| failed.max(self.changed));
        let quiet = now.saturating_sub(since);
        if self.trial && quiet >= self.wait {
            // What was tried has held for as long as it was waited for.
            (self.trial, self.wait) = (false, self.patience.hold);
        }
        let needed = if self.trial { self.wait.min(self.patience.hold / 3) } else { self.wait };
        if self.rung == 0 || quiet < needed {
            return false;
        }
        self.rung -= 1;
        self.changed = now;
        self.strikes = 0;
        self.trial = true;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EAGER: Patience = Patience { strikes: 1, hold: Duration::from_secs(30) };

    fn at(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn a_size_that_fails_gives_way_to_the_next_larger_up_to_the_largest() {
        let mut hold = Hold::new(3, EAGER, at(0.0));
        assert_eq!(hold.rung(), 0);
        assert!(hold.fail(at(1.0)));
        assert!(!hold.fail(at(1.05)), "the larger one has not filled yet");
        assert!(hold.fail(at(1.2)));
        assert!(!hold.fail(at(2.0)), "there is no larger one");
        assert_eq!(hold.rung(), 2);
    }

    #[test]
    fn the_first_failure_counts_at_once() {
        assert!(Hold::new(3, EAGER, at(0.0)).fail(at(0.01)));
    }

    #[test]
    fn a_size_that_holds_gives_way_to_the_next_smaller() {
        let mut hold = Hold::new(3, EAGER, at(0.0));
        assert!(hold.fail(at(1.0)) && hold.fail(at(2.0)));
        assert!(!hold.fail(at(10.0)), "the largest");
        assert!(!hold.held(at(39.9)), "30 s after its last failure, not before");
        assert!(hold.held(at(40.0)));
        assert!(!hold.held(at(49.9)), "a third of it for what is on trial");
        assert!(hold.held(at(50.0)));
        assert_eq!(hold.rung(), 0);
        assert!(!hold.held(at(1000.0)), "there is no smaller one");
    }

    /// The moments at which a machine that needs the second size gets the first.
    fn trials(hours: f64) -> Vec<f64> {
        let mut hold = Hold::new(3, EAGER, at(0.0));
        let mut trials = Vec::new();
        for tenth in 1..(hours * 36_000.0) as u64 {
            let now = tenth as f64 / 10.0;
            if hold.held(at(now)) {
                trials.push(now);
            }
            if hold.rung() == 0 && tenth % 7 == 0 {
                hold.fail(at(now));
            }
            assert!(hold.rung() < 2);
        }
        trials
    }

    #[test]
    fn a_smaller_size_that_fails_again_is_tried_less_and_less_often() {
        let trials = trials(3.0);
        let gaps: Vec<f64> = trials.windows(2).map(|pair| pair[1] - pair[0]).collect();
        for (gap, expected) in gaps.iter().zip([60.0, 120.0, 240.0, 480.0, 960.0, 960.0, 960.0]) {
            assert!((expected..expected + 2.0).contains(gap), "{gaps:?}");
        }
        assert!(gaps.len() >= 7, "{gaps:?}");
    }

    #[test]
    fn a_machine_that_has_become_quiet_is_trusted_again() {
        let mut hold = Hold::new(2, EAGER, at(0.0));
        assert!(hold.fail(at(0.0)));
        assert!(hold.held(at(30.0)) && hold.fail(at(31.0)));
        assert!(!hold.held(at(90.9)) && hold.held(at(91.0)), "twice as long");
        assert!(!hold.held(at(151.0)), "it has held, and there is no smaller one");
        assert!(hold.fail(at(1000.0)));
        assert!(hold.held(at(1030.0)), "as at first");
    }

    #[test]
    fn where_a_change_is_dear_one_failure_alone_changes_nothing() {
        let mut hold = Hold::new(3, Patience { strikes: 3, ..EAGER }, at(0.0));
        assert!(!hold.fail(at(1.0)) && !hold.fail(at(2.0)));
        assert!(!hold.fail(at(20.0)), "long after the others");
        assert!(!hold.fail(at(21.0)) && hold.fail(at(22.0)));
        assert_eq!(hold.rung(), 1);
    }
}
