//! When a device's samples were captured, out of when they came.

use std::time::Duration;

/// How long lateness is watched before it is believed.
const WINDOW_SECONDS: f64 = 0.5;

/// Lateness, in seconds, that is believed at once: the machine slept.
const JUMP_SECONDS: f64 = 1.0;

/// Dates a device's periods.
///
/// A period may come late, for the machine was busy, but none comes before it was captured. So the earliest arrivals are right, and
/// the others are dated by counting samples from them. When all of half a second comes later than that, samples were lost, or the
/// device's clock is slow, and the dates follow.
pub(crate) struct Dater {
    rate: f64,
    next: Option<f64>,
    /// The least lateness of the window, and the window's length so far, in seconds.
    least: f64,
    watched: f64,
}

impl Dater {
    /// `rate` in frames a second.
    pub(crate) fn new(rate: u32) -> Self {
        Self { rate: f64::from(rate), next: None, least: f64::INFINITY, watched: 0.0 }
    }

    /// The date of a period's first frame, which was captured at `told` or before.
    pub(crate) fn date(&mut self, told: Duration, frames: usize) -> Duration {
        let told = told.as_secs_f64();
        let length = frames as f64 / self.rate;
        let counted = self.next.unwrap_or(told);
        let late = told - counted;
        let mut at = counted;
        if !(0.0..=JUMP_SECONDS).contains(&late) {
            at = told;
            (self.least, self.watched) = (f64::INFINITY, 0.0);
        } else {
            self.least = self.least.min(late);
            self.watched += length;
            if self.watched >= WINDOW_SECONDS {
                at = counted + self.least;
                (self.least, self.watched) = (f64::INFINITY, 0.0);
            }
        }
        self.next = Some(at + length);
        Duration::from_secs_f64(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: usize = 120;

    /// The greatest error, in microseconds, of the dates of `count` periods from the `first`; they come `late` by so many.
    fn worst(dater: &mut Dater, first: usize, count: usize, ppm: f64, late: impl Fn(usize) -> f64) -> f64 {
        let mut worst = 0.0_f64;
        for n in first..first + count {
            let captured = 10.0 + n as f64 * 0.0025 * (1.0 + ppm * 1e-6);
            let at = dater.date(Duration::from_secs_f64(captured + late(n) * 1e-6), PERIOD);
            worst = worst.max((at.as_secs_f64() - captured).abs() * 1e6);
        }
        worst
    }

    #[test]
    fn lateness_does_not_move_the_dates() {
        let mut dater = Dater::new(48_000);
        let late = |n: usize| if n.is_multiple_of(7) { 0.0 } else { (n % 11) as f64 * 900.0 };
        assert!(worst(&mut dater, 0, 4000, 0.0, late) < 1.0);
    }

    #[test]
    fn a_slow_and_a_fast_device_keep_their_dates() {
        for ppm in [-300.0, 300.0] {
            let mut dater = Dater::new(48_000);
            assert!(worst(&mut dater, 0, 40_000, ppm, |_| 0.0) < 350.0, "{ppm} ppm");
        }
    }

    #[test]
    fn a_loss_is_seen_within_the_window() {
        let mut dater = Dater::new(48_000);
        worst(&mut dater, 0, 1000, 0.0, |_| 0.0);
        // Four periods are missing.
        worst(&mut dater, 1004, 250, 0.0, |n| (n % 3) as f64 * 500.0);
        assert!(worst(&mut dater, 1254, 1000, 0.0, |n| (n % 3) as f64 * 500.0) < 1.0);
    }

    #[test]
    fn a_machine_that_slept_wakes_in_the_present() {
        let mut dater = Dater::new(48_000);
        worst(&mut dater, 0, 10, 0.0, |_| 0.0);
        assert!(worst(&mut dater, 10_000, 10, 0.0, |_| 0.0) < 1.0);
    }
}
