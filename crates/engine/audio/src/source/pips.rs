//! A time signal: a pip at every second of the computer's clock.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hyperzoom_media::SAMPLE_RATE;
use hyperzoom_timing::pip;

/// So often the two clocks are read side by side; the pair that took the least time to read counts.
const READINGS: usize = 32;

/// What a microphone hears in a room in which a pip sounds at every second of this computer's clock (UTC). All programs on the computer
/// hear the same, however far the clocks of their devices are off.
pub(crate) struct Pips {
    /// How much faster than 48 kHz its device runs, in parts per million.
    ppm: f64,
    /// The part of a second that had passed at the process's epoch.
    epoch_part: f64,
}

impl Pips {
    pub(crate) fn new(ppm: f32) -> Self {
        Self { ppm: f64::from(ppm), epoch_part: 0.0 }
    }

    /// Its device starts, in a process that counts from `epoch`.
    pub(crate) fn start(&mut self, epoch: Instant) {
        let reading = |_| {
            let before = epoch.elapsed();
            let utc = UNIX_EPOCH.elapsed().unwrap_or_default();
            let after = epoch.elapsed();
            let part = f64::from(utc.subsec_nanos()) * 1e-9;
            (after - before, part - (before + after).as_secs_f64() / 2.0)
        };
        let quickest = (0..READINGS).map(reading).min_by_key(|(took, _)| *took);
        self.epoch_part = quickest.map_or(0.0, |(_, part)| part.rem_euclid(1.0));
        tracing::debug!(utc = ?SystemTime::now(), part = self.epoch_part, "pips");
    }

    /// Samples a second of its device.
    pub(crate) fn rate(&self) -> f64 {
        f64::from(SAMPLE_RATE) * (1.0 + self.ppm * 1e-6)
    }

    /// What is heard from the moment `at` on, since the epoch.
    pub(crate) fn fill(&self, at: Duration, out: &mut [f32]) {
        let first = self.epoch_part + at.as_secs_f64();
        let rate = self.rate();
        for (n, sample) in out.iter_mut().enumerate() {
            *sample = pip((first + n as f64 / rate).fract());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pip_is_where_its_second_begins_whatever_the_device_counts() {
        for ppm in [-300.0, 0.0, 300.0] {
            let mut pips = Pips::new(ppm);
            pips.epoch_part = 0.75;
            // A quarter of a second after the epoch, an hour on.
            let mut block = [0.0; 480];
            pips.fill(Duration::from_secs_f64(3600.25 - 0.005), &mut block);
            let first = block.iter().position(|sample| *sample != 0.0).unwrap();
            assert!((239..=243).contains(&first), "{first} at {ppm} ppm");
        }
    }

    #[test]
    fn two_processes_agree_on_the_second() {
        let mut here = Pips::new(0.0);
        let mut there = Pips::new(0.0);
        let epoch = Instant::now();
        here.start(epoch);
        there.start(epoch);
        let apart = (here.epoch_part - there.epoch_part + 0.5).rem_euclid(1.0) - 0.5;
        assert!(apart.abs() < 1e-3, "{apart} s");
    }
}
