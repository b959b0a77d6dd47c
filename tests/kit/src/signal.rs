//! Listening by measuring.

use realfft::RealFftPlanner;
use realfft::num_complex::Complex;

const RATE: f32 = 48_000.0;

/// The band that carries speech over a telephone, in Hz.
const SPEECH: std::ops::RangeInclusive<f32> = 300.0..=3400.0;

/// The length of the pieces that are compared, in seconds: long enough for several periods of the lowest voice, short enough
/// that a playout which follows another clock by a few hundred ppm moves by less than a sample or two in between.
const PIECE: f32 = 0.2;

/// How far a piece's own delay may lie from the whole's, in samples: 60 ms.
const SLACK: i64 = RATE as i64 * 60 / 1000;

/// How well `heard` is `spoken`, from 0 to 1: the normalised correlation in the speech band of each fifth of a second of speech, each
/// at its own best delay within 60 ms of the whole's, weighted by its energy.
#[must_use]
pub fn speech_correlation(spoken: &[f32], heard: &[f32]) -> f64 {
    let spoken = band(spoken);
    let heard = band(heard);
    let coarse = best_delay(&spoken, &heard);
    let piece_len = (PIECE * RATE) as usize;
    let (mut sum, mut weight) = (0.0, 0.0);
    for (i, piece) in spoken.chunks_exact(piece_len).enumerate() {
        let energy: f64 = piece.iter().map(|s| f64::from(s * s)).sum();
        sum += energy * around(piece, &heard, (i * piece_len) as i64 + coarse);
        weight += energy;
    }
    if weight == 0.0 { 0.0 } else { sum / weight }
}

/// How well `heard` is `spoken` at one delay for all of it, from 0 to 1, in the speech band.
///
/// Lower than [`speech_correlation`] where the playout followed another clock: that is no damage, and the two figures side by
/// side tell it from damage.
#[must_use]
pub fn rigid_correlation(spoken: &[f32], heard: &[f32]) -> f64 {
    let spoken = band(spoken);
    let heard = band(heard);
    let delay = best_delay(&spoken, &heard);
    let (from, skip) = (delay.max(0) as usize, (-delay).max(0) as usize);
    let there = &heard[from.min(heard.len())..];
    correlation(&spoken, &[&vec![0.0; skip.min(spoken.len())], there].concat())
}

/// The root of the mean square.
#[must_use]
pub fn rms(samples: &[f32]) -> f64 {
    (samples.iter().map(|s| f64::from(s * s)).sum::<f64>() / samples.len().max(1) as f64).sqrt()
}

/// The best correlation of `part` with `whole` within [`SLACK`] of `start`.
fn around(part: &[f32], whole: &[f32], start: i64) -> f64 {
    let from = (start - SLACK).max(0) as usize;
    let to = ((start + SLACK).max(0) as usize + part.len()).min(whole.len());
    if to <= from + part.len() {
        return 0.0;
    }
    let window = &whole[from..to];
    let delay = best_delay(part, window).clamp(0, (window.len() - part.len()) as i64) as usize;
    correlation(part, &window[delay..delay + part.len()])
}

/// The normalised correlation of `a` with as much of `b`, from 0 to 1.
fn correlation(a: &[f32], b: &[f32]) -> f64 {
    let b = &b[..a.len().min(b.len())];
    let energy = |samples: &[f32]| samples.iter().map(|s| f64::from(s * s)).sum::<f64>();
    let dot: f64 = a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum();
    let norm = (energy(a) * energy(b)).sqrt();
    if norm == 0.0 { 0.0 } else { (dot / norm).max(0.0) }
}

/// The delay of `a` in `b`, in samples, where their cross-correlation is largest.
///
/// # Panics
/// Never: the sizes of the transforms fit each other.
#[must_use]
pub fn best_delay(a: &[f32], b: &[f32]) -> i64 {
    let len = (a.len() + b.len()).next_power_of_two();
    let mut planner = RealFftPlanner::<f32>::new();
    let forward = planner.plan_fft_forward(len);
    let spectrum = |samples: &[f32]| {
        let mut time = vec![0.0; len];
        time[..samples.len()].copy_from_slice(samples);
        let mut out = forward.make_output_vec();
        forward.process(&mut time, &mut out).expect("sizes fit");
        out
    };
    let mut product: Vec<Complex<f32>> =
        spectrum(a).iter().zip(spectrum(b)).map(|(a, b)| a.conj() * b).collect();
    let inverse = planner.plan_fft_inverse(len);
    let mut correlation = inverse.make_output_vec();
    product[0].im = 0.0;
    product[len / 2].im = 0.0;
    inverse.process(&mut product, &mut correlation).expect("sizes fit");
    let best = (0..len).max_by(|&i, &j| correlation[i].total_cmp(&correlation[j])).unwrap_or(0);
    if best < b.len() { best as i64 } else { best as i64 - len as i64 }
}

/// The part of a sound in the speech band.
fn band(samples: &[f32]) -> Vec<f32> {
    let len = samples.len().next_power_of_two().max(2);
    let mut planner = RealFftPlanner::<f32>::new();
    let forward = planner.plan_fft_forward(len);
    let mut time = vec![0.0; len];
    time[..samples.len()].copy_from_slice(samples);
    let mut spectrum = forward.make_output_vec();
    forward.process(&mut time, &mut spectrum).expect("sizes fit");
    for (i, bin) in spectrum.iter_mut().enumerate() {
        if !SPEECH.contains(&(i as f32 * RATE / len as f32)) {
            *bin = Complex::default();
        }
    }
    let inverse = planner.plan_fft_inverse(len);
    inverse.process(&mut spectrum, &mut time).expect("sizes fit");
    time.truncate(samples.len());
    let scale = 1.0 / len as f32;
    time.iter_mut().for_each(|s| *s *= scale);
    time
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Noise that sounds like nothing else, from a small generator (Marsaglia's xorshift, 2003).
    fn noise(len: usize, mut state: u64) -> Vec<f32> {
        (0..len)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                (state >> 40) as f32 / (1 << 23) as f32 - 1.0
            })
            .collect()
    }

    #[test]
    fn a_delayed_copy_is_the_same_and_another_sound_is_not() {
        let spoken = noise(96_000, 1);
        let mut heard = vec![0.0; 4321];
        heard.extend(spoken.iter().map(|s| s * 0.2));
        heard.extend([0.0; 5000]);
        assert_eq!(best_delay(&spoken, &heard), 4321);
        assert!(speech_correlation(&spoken, &heard) > 0.99);
        assert!(speech_correlation(&spoken, &noise(110_000, 2)) < 0.2);
        assert!(speech_correlation(&spoken, &[0.0; 110_000]) < 0.01);
    }

    /// Noise with most of its energy below 500 Hz, as speech has it.
    fn voice(len: usize) -> Vec<f32> {
        let mut low = 0.0;
        noise(len, 3)
            .into_iter()
            .map(|s| {
                low += 0.065 * (s - low);
                low
            })
            .collect()
    }

    #[test]
    fn a_playout_that_follows_another_clock_is_no_damage() {
        let spoken = voice(480_000);
        let heard: Vec<f32> = (0..479_000)
            .map(|n| {
                let at = f64::from(n) * 1.0005;
                let (index, part) = (at as usize, at.fract() as f32);
                spoken[index] * (1.0 - part) + spoken[index + 1] * part
            })
            .collect();
        let (pieces, rigid) = (speech_correlation(&spoken, &heard), rigid_correlation(&spoken, &heard));
        println!("500 ppm: {pieces:.3} in pieces, {rigid:.3} rigidly");
        assert!(pieces > 0.95, "{pieces}");
        assert!(rigid < 0.5, "{rigid}");
        let of_noise = speech_correlation(&spoken, &noise(480_000, 4));
        assert!(of_noise < 0.3, "{of_noise}");
    }

    #[test]
    fn what_is_missing_lowers_the_score() {
        let spoken = voice(480_000);
        let mut heard = spoken.clone();
        assert!(rigid_correlation(&spoken, &heard) > 0.999);
        heard[200_000..296_000].fill(0.0);
        let score = speech_correlation(&spoken, &heard);
        println!("a fifth missing: {score:.3}");
        assert!((0.75..0.88).contains(&score), "{score}");
    }
}
