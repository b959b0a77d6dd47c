//! Whether the loudspeaker reaches the microphone: a short chirp is played, and looked for in what the microphone hears meanwhile.
//!
//! It is found by its correlation, so that a quiet one will do, and neither steady noise nor a steady tone is taken for it.

use std::f64::consts::TAU;

use hyperzoom_media::SAMPLE_RATE;

/// The probe's length in samples at 48 kHz: 0.4 s.
pub const PROBE_SAMPLES: usize = SAMPLE_RATE as usize * 2 / 5;

/// Its level: −20 dBFS.
const AMPLITUDE: f64 = 0.1;

/// From here to there, in Hz: what small loudspeakers and all microphones have.
const SWEEP: (f64, f64) = (500.0, 3000.0);

/// It rises and falls within so many samples, that it does not click: 20 ms.
const EDGE: f64 = 960.0;

/// It is looked for at a quarter of the rate: it has nothing above 3 kHz.
const EVERY: usize = 4;

/// So many times as much as what is there beside it the probe is to be, or it is not believed. The greatest of that many moments of noise is four
/// times as much.
const CLEARLY: f64 = 7.0;

/// What comes back more quietly than this, in dB, is heard by nobody.
const AUDIBLE_DB: f64 = -40.0;

/// What a probe found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Coupling {
    /// The microphone does not hear the loudspeaker.
    None,
    /// It does: so many dB above what is played; below 0, as a rule.
    At(f32),
    /// Something else was too loud to tell, or nothing was heard at all.
    Unknown,
}

/// Sample `n` of the probe at 48 kHz; silence where it has none. Allocates nothing.
#[must_use]
pub fn probe_sample(n: usize) -> f32 {
    if n < PROBE_SAMPLES { (AMPLITUDE * edge(n as f64) * phase(n as f64).sin()) as f32 } else { 0.0 }
}

/// The sweep's phase at a sample.
fn phase(n: f64) -> f64 {
    let (from, to) = SWEEP;
    let seconds = n / f64::from(SAMPLE_RATE);
    let length = PROBE_SAMPLES as f64 / f64::from(SAMPLE_RATE);
    TAU * (from + (to - from) * seconds / length / 2.0) * seconds
}

fn edge(n: f64) -> f64 {
    let near = n.min(PROBE_SAMPLES as f64 - n) / EDGE;
    if near < 1.0 { 0.5 - 0.5 * (TAU * 0.5 * near).cos() } else { 1.0 }
}

/// Looks for the probe in what a microphone heard while it was played, and a while longer: samples at 48 kHz.
#[must_use]
pub fn coupling(heard: &[f32]) -> Coupling {
    let heard = fewer(heard.iter().map(|sample| f64::from(*sample)));
    let along = fewer((0..PROBE_SAMPLES).map(|n| f64::from(probe_sample(n))));
    // A room turns the phase: the probe and the probe a quarter of a cycle later tell it together.
    let across = fewer((0..PROBE_SAMPLES).map(|n| AMPLITUDE * edge(n as f64) * phase(n as f64).cos()));
    let own: f64 = along.iter().map(|sample| sample * sample).sum();
    if heard.len() < 2 * along.len() || heard.iter().all(|sample| *sample == 0.0) {
        return if heard.len() < 2 * along.len() { Coupling::Unknown } else { Coupling::None };
    }
    let dot = |window: &[f64], probe: &[f64]| -> f64 { window.iter().zip(probe).map(|(a, b)| a * b).sum() };
    let gains: Vec<f64> = heard
        .windows(along.len())
        .map(|window| dot(window, &along).hypot(dot(window, &across)) / own)
        .collect();
    let peak = gains.iter().copied().fold(0.0, f64::max);
    let mut sorted = gains;
    sorted.sort_by(f64::total_cmp);
    let beside = sorted[sorted.len() / 2];
    let decibels = |gain: f64| 20.0 * gain.max(1e-9).log10();
    if peak > CLEARLY * beside && decibels(peak) >= AUDIBLE_DB {
        Coupling::At(decibels(peak) as f32)
    } else if decibels(CLEARLY * beside) > AUDIBLE_DB {
        // A probe that can be heard would not stand out.
        Coupling::Unknown
    } else {
        Coupling::None
    }
}

/// The same at a quarter of the rate.
fn fewer(samples: impl Iterator<Item = f64>) -> Vec<f64> {
    let samples: Vec<f64> = samples.collect();
    samples.chunks_exact(EVERY).map(|part| part.iter().sum::<f64>() / EVERY as f64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a microphone hears of the probe after `delay` samples at this gain, with this beside it.
    fn heard(delay: usize, gain: f32, beside: impl Fn(usize) -> f32) -> Vec<f32> {
        let sample = |n: usize| {
            let probe = n.checked_sub(delay).map_or(0.0, probe_sample);
            gain * probe + beside(n)
        };
        (0..72_000).map(sample).collect()
    }

    /// Noise of this amplitude, the same each time.
    fn noise(amplitude: f32) -> impl Fn(usize) -> f32 {
        move |n| {
            let mixed = (n as u64).wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            amplitude * ((mixed >> 40) as f32 / (1 << 23) as f32 - 1.0)
        }
    }

    fn decibels(it: Coupling) -> f32 {
        match it {
            Coupling::At(db) => db,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn it_is_found_wherever_it_is_and_as_loud_as_it_is() {
        for (delay, gain, db) in
            [(0, 1.0, 0.0), (4801, 0.1, -20.0), (31_117, -0.5, -6.0), (12_345, 0.02, -34.0)]
        {
            let found = decibels(coupling(&heard(delay, gain, noise(0.001))));
            assert!((found - db).abs() < 0.5, "{gain} after {delay}: {found} dB");
        }
    }

    #[test]
    fn a_room_with_people_in_it_does_not_hide_it() {
        let found = decibels(coupling(&heard(9_000, 0.1, noise(0.05))));
        assert!((found + 20.0).abs() < 1.0, "{found} dB");
        // Each echo of its own phase.
        let direct = heard(6_000, 0.1, |_| 0.0);
        let echo = heard(6_420, -0.05, noise(0.001));
        let both: Vec<f32> = direct.iter().zip(&echo).map(|(a, b)| a + b).collect();
        assert!(decibels(coupling(&both)) > -26.0);
    }

    #[test]
    fn what_is_not_there_is_not_found() {
        assert_eq!(coupling(&heard(0, 0.0, noise(0.003))), Coupling::None);
        assert_eq!(coupling(&heard(0, 0.0, |_| 0.0)), Coupling::None);
        assert_eq!(coupling(&heard(5_000, 0.001, noise(0.001))), Coupling::None, "nobody hears −60 dB");
    }

    #[test]
    fn where_it_cannot_be_told_nothing_is_told() {
        assert_eq!(coupling(&heard(0, 0.0, noise(0.5))), Coupling::Unknown);
        let tone = |n: usize| 0.14 * (n as f32 * std::f32::consts::TAU * 1000.0 / 48_000.0).sin();
        assert_eq!(coupling(&heard(0, 0.0, tone)), Coupling::Unknown);
        assert_eq!(coupling(&[0.1; 4800]), Coupling::Unknown, "too short");
    }

    #[test]
    fn it_makes_no_click() {
        let samples: Vec<f32> = (0..PROBE_SAMPLES + 2).map(probe_sample).collect();
        let step = samples.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f32::max);
        // That of a sine of 3 kHz.
        assert!(step < 0.1 * std::f32::consts::TAU * 3000.0 / 48_000.0 + 0.001, "{step}");
        assert_eq!((samples[0], samples[PROBE_SAMPLES + 1]), (0.0, 0.0));
    }
}
