//! The pip of a time signal: what a room full of microphones hears at once, so that their recordings can be held against each other.

use std::f64::consts::{PI, TAU};

/// The pip's length, in seconds.
pub const PIP_SECONDS: f64 = 0.04;

/// Where it begins and where it ends, in Hz. So wide a chirp has one moment at which it correlates with itself, and no neighbours a cycle
/// away; and the sync tone is below it.
const SWEEP_HZ: (f64, f64) = (1500.0, 5000.0);

/// Its amplitude where it is full: −12 dBFS.
const AMPLITUDE: f64 = 0.25;

/// The pip's pressure so many seconds after it began; silence where it does not sound. Allocates nothing.
///
/// It rises and falls as a raised cosine does.
#[must_use]
pub fn pip(since: f64) -> f32 {
    if !(0.0..PIP_SECONDS).contains(&since) {
        return 0.0;
    }
    let (from, to) = SWEEP_HZ;
    let cycles = from * since + (to - from) / PIP_SECONDS * since * since / 2.0;
    let level = (PI * since / PIP_SECONDS).sin().powi(2);
    (AMPLITUDE * level * (TAU * cycles).sin()) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::align;

    #[test]
    fn two_recordings_of_a_pip_are_told_apart_to_a_fraction_of_a_sample() {
        let record =
            |delay: f64| (0..4000).map(|n| pip((f64::from(n) - delay) / 48_000.0)).collect::<Vec<_>>();
        let here = record(700.0);
        for later in [-31.3, 0.0, 0.25, 12.5, 480.75] {
            let found = align(&here, &record(700.0 + later), 48_000, 960).unwrap();
            assert!((found.lag - later).abs() < 0.05 && found.correlation > 0.95, "{later}: {found:?}");
        }
    }

    #[test]
    fn it_is_silent_before_and_after() {
        for since in [-1.0, -1e-9, PIP_SECONDS, 1.0, f64::NAN] {
            assert_eq!(pip(since), 0.0);
        }
        let loudest = (0..1920).map(|n| pip(f64::from(n) / 48_000.0).abs()).fold(0.0, f32::max);
        assert!((0.24..=0.25).contains(&loudest), "{loudest}");
    }
}
