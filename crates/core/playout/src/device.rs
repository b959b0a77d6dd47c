//! When the device plays what it takes.
//!
//! A callback says when the device *took* its samples, and that is not when it plays them: a sound server takes
//! several periods at once, and one that stood still catches up, while it plays all along from what it has. So samples
//! are counted, and the moment from which each could have been taken at the latest, its **place**, is read off a line:
//! one sample after the other at the nominal rate, as early as the device ever took the last sample of a call lately.
//! A packet that is there by its frame's place is there in time, whatever the callback does.
//!
//! The line falls at once where the device takes earlier than ever, and rises where it has not taken so early for a
//! while. If it rises by more than clocks do, the device lost sound: it stood still and did not catch up.
//!
//! Where the device is **behind** its line when a packet arrives, it has not taken what the line says. That packet may be
//! there after its place and yet before its frame is taken.

use hyperzoom_media::SAMPLE_RATE;

/// Calls that follow each other within this are one callback's, or those of a sound server that asks several times at
/// once: less than any period lasts.
const AT_ONCE: f64 = 0.001;
/// The line is the earliest of so long a time, and of twice that at most.
const SPAN: f64 = 0.5;
/// A device that takes so much later than the line has stood still. It may yet catch up.
const BEHIND: f64 = 0.003;
/// But not after so long, and so many of its usual takes.
const GRACE: f64 = 0.04;
/// See [`GRACE`].
const GRACE_TAKES: f64 = 4.0;
/// And none catches up with so much.
const HOPELESS: f64 = 0.5;
/// A line that moves by less at once moves with the clock, or with a scheduler's whims.
const STEP: f64 = 0.001;
/// The usual take is the median of so many.
const TAKES: usize = 15;

/// The line, and how much the device takes at once.
#[derive(Debug, Clone)]
pub(crate) struct Device {
    /// Samples that were taken before the current call, and with it.
    first: u64,
    taken: u64,
    /// The place of sample 0, and the lowest that the calls gave in this span and in the one before.
    line: Option<f64>,
    span: f64,
    lowest: [f64; 2],
    behind: Option<Behind>,
    /// The first call after the standstill that the current call showed to have lost sound.
    stood_still_until: Option<f64>,
    /// The last takes, in samples: the current one's first and last call, and those that are over.
    begun: f64,
    last: f64,
    last_samples: usize,
    take: usize,
    takes: [usize; TAKES],
    takes_len: usize,
}

/// Calls that are behind the line, from the first of them, and the lowest line that they give.
#[derive(Debug, Clone, Copy)]
struct Behind {
    since: f64,
    line: f64,
}

impl Device {
    pub(crate) fn new() -> Self {
        Self {
            first: 0,
            taken: 0,
            line: None,
            span: 0.0,
            lowest: [f64::INFINITY; 2],
            behind: None,
            stood_still_until: None,
            begun: f64::NEG_INFINITY,
            last: f64::NEG_INFINITY,
            last_samples: 0,
            take: 0,
            takes: [0; TAKES],
            takes_len: 0,
        }
    }

    /// The device takes so many samples more. Returns by how much their places moved against those before, beyond
    /// what clocks do: positive where it lost sound.
    pub(crate) fn take(&mut self, now: f64, samples: usize) -> f64 {
        self.count(now, samples);
        self.stood_still_until = None;
        self.first = self.taken;
        self.taken += samples as u64;
        // Where the line is if this call's last sample was taken at the latest.
        let line = now - self.taken as f64 / f64::from(SAMPLE_RATE);
        let before = *self.line.get_or_insert(line);
        if now - self.span >= SPAN || now < self.span {
            self.span = now;
            self.lowest = [line, self.lowest[0]];
        }
        self.lowest[0] = self.lowest[0].min(line);
        let mut after = self.lowest[0].min(self.lowest[1]);
        if line > before + BEHIND {
            let grace = GRACE.max(GRACE_TAKES * self.usual_take());
            let behind = self.behind.get_or_insert(Behind { since: now, line });
            behind.line = behind.line.min(line);
            let Behind { since, line: lowest } = *behind;
            if now - since >= grace || line > before + HOPELESS {
                self.lowest = [lowest; 2];
                self.behind = None;
                self.stood_still_until = Some(since);
                after = lowest;
            } else {
                // Whether it catches up is yet to be seen.
                after = after.min(before);
            }
        } else {
            self.behind = None;
        }
        self.line = Some(after);
        if (after - before).abs() > STEP { after - before } else { 0.0 }
    }

    /// The place of the current call's first sample.
    pub(crate) fn place(&self) -> f64 {
        self.line.unwrap_or(0.0) + self.first as f64 / f64::from(SAMPLE_RATE)
    }

    /// By how much, at the moment of an arrival, the device is later with its next samples than it usually takes them. Zero
    /// or more.
    pub(crate) fn behind(&self, arrived: f64) -> f64 {
        self.line.map_or(0.0, |_| (arrived - self.next_place() - self.usual_take()).max(0.0))
    }

    /// The place of the sample that is taken next.
    pub(crate) fn next_place(&self) -> f64 {
        self.line.unwrap_or(0.0) + self.taken as f64 / f64::from(SAMPLE_RATE)
    }

    /// The moment of the first call after a standstill, where it was a standstill that moved the places at the current call.
    pub(crate) fn stood_still_until(&self) -> Option<f64> {
        self.stood_still_until
    }

    /// How much the device usually takes at once, in one call or several, in seconds.
    pub(crate) fn usual_take(&self) -> f64 {
        let samples = if self.takes_len == 0 {
            self.take
        } else {
            let mut sorted = self.takes;
            let sorted = &mut sorted[..self.takes_len];
            sorted.sort_unstable();
            sorted[sorted.len() / 2]
        };
        samples as f64 / f64::from(SAMPLE_RATE)
    }

    fn count(&mut self, now: f64, samples: usize) {
        let quarter = self.last_samples as f64 / f64::from(SAMPLE_RATE) / 4.0;
        if !(0.0..AT_ONCE.min(quarter)).contains(&(now - self.last)) {
            if self.take > 0 {
                self.takes.rotate_right(1);
                self.takes[0] = self.take;
                self.takes_len = (self.takes_len + 1).min(TAKES);
            }
            (self.begun, self.take) = (now, 0);
        }
        self.last = now;
        self.last_samples = samples;
        self.take += samples;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: f64 = 0.0025;

    /// A device of 2.5 ms that ran for two seconds, and the moment of its next call.
    fn running() -> (Device, f64) {
        let mut device = Device::new();
        for n in 0..800 {
            assert_eq!(device.take(f64::from(n) * PERIOD, 120), 0.0);
        }
        (device, 2.0)
    }

    #[test]
    fn the_last_sample_of_a_call_is_taken_at_its_place() {
        let (mut device, now) = running();
        device.take(now, 120);
        assert!((device.place() - (now - PERIOD)).abs() < 1e-9);
        assert_eq!(device.usual_take(), PERIOD);
    }

    #[test]
    fn a_device_that_catches_up_does_not_move_the_places() {
        let (mut device, now) = running();
        let before = device.place();
        for n in 0..9 {
            assert_eq!(device.take(now + 0.02 + f64::from(n) * 2e-5, 120), 0.0);
            assert!((device.place() - before - f64::from(n + 1) * PERIOD).abs() < 1e-9);
        }
        assert_eq!(device.usual_take(), PERIOD);
    }

    #[test]
    fn a_device_that_lost_sound_moves_them_once() {
        let (mut device, now) = running();
        let moved: Vec<f64> =
            (0..100).map(|n| device.take(now + 0.02 + f64::from(n) * PERIOD, 120)).collect();
        let at = moved.iter().position(|moved| *moved != 0.0).unwrap();
        assert!((moved[at] - 0.02).abs() < 1e-9 && moved.iter().filter(|moved| **moved != 0.0).count() == 1);
        assert!(f64::from(at as u32) * PERIOD <= GRACE + 1e-9);
    }

    #[test]
    fn it_is_behind_when_the_next_call_does_not_come() {
        let (mut device, now) = running();
        device.take(now, 120);
        for (later, behind) in [(0.0, 0.0), (PERIOD, 0.0), (0.01, 0.01 - PERIOD)] {
            assert!((device.behind(now + later) - behind).abs() < 1e-9, "{later}");
        }
        assert_eq!(Device::new().behind(now), 0.0);
    }

    #[test]
    fn a_server_that_asks_for_more_at_once_moves_them_back() {
        let (mut device, now) = running();
        let moved: f64 = (0..4).map(|n| device.take(now + f64::from(n) * 2e-5, 120)).sum();
        assert!((moved + 3.0 * PERIOD).abs() < 1e-3);
    }

    #[test]
    fn a_clock_that_is_off_moves_the_line_but_is_no_move() {
        for ppm in [300.0, -300.0] {
            let mut device = Device::new();
            let period = PERIOD * (1.0 + ppm * 1e-6);
            for n in 0..40_000 {
                let now = f64::from(n) * period;
                assert_eq!(device.take(now, 120), 0.0);
                assert!((device.place() - (now - PERIOD)).abs() < 0.000_5);
            }
        }
    }
}
