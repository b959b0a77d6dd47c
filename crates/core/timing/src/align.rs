//! How two recordings of the same sound lie to each other: offset and drift, by correlation.

use realfft::RealFftPlanner;
use realfft::num_complex::Complex;

/// The band that is compared, in Hz: below it is hum, and above it what codecs make up.
const BAND: std::ops::Range<f64> = 80.0..7000.0;

/// How much spectra are levelled before they are compared, from 0 (plain correlation) to 1 (phase alone, Knapp and Carter 1976). A
/// voice's own spectrum would leave a peak that is a millisecond wide; phase alone would hear noise where the voice is silent.
const WHITENING: f64 = 0.6;

/// Two peaks closer than this are one, in seconds.
const PEAK: f64 = 0.001;

/// Samples of both together that are compared at most: a minute and a half at 48 kHz.
const MOST_SAMPLES: usize = 1 << 22;

/// Where one recording lies in another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Alignment {
    /// How much later the same sound is in the second than in the first, in samples, with a fraction.
    pub lag: f64,
    /// How alike they are there, from 0 to 1, in the band of a voice.
    pub correlation: f64,
    /// The next best place's peak, as a share of the best one's: near 1 for a sound that repeats itself, where the lag means little.
    pub rival: f64,
}

/// Where `first` lies in `second`, with a lag of at most `most` samples either way. `None` where either is silent or too short, or both
/// together are longer than a minute and a half at 48 kHz.
///
/// The cross-correlation of both, by FFT, with levelled spectra. Both are at `rate` samples a second. Their clocks should not differ by
/// more than a few hundred parts per million within a second of sound, or the peak is smeared.
#[must_use]
pub fn align(first: &[f32], second: &[f32], rate: u32, most: usize) -> Option<Alignment> {
    let len = (first.len() + second.len()).next_power_of_two();
    if first.len().min(second.len()) < 64 || len > MOST_SAMPLES {
        return None;
    }
    let mut planner = RealFftPlanner::<f64>::new();
    let forward = planner.plan_fft_forward(len);
    let inverse = planner.plan_fft_inverse(len);
    let band = BAND.start * len as f64 / f64::from(rate)..BAND.end * len as f64 / f64::from(rate);
    let spectrum = |samples: &[f32]| {
        let mut time = vec![0.0; len];
        time.iter_mut().zip(samples).for_each(|(to, from)| *to = f64::from(*from));
        let mut out = forward.make_output_vec();
        forward.process(&mut time, &mut out).ok()?;
        for (bin, value) in out.iter_mut().enumerate() {
            if !band.contains(&(bin as f64)) {
                *value = Complex::default();
            }
        }
        let energy: f64 = out.iter().map(Complex::norm_sqr).sum();
        (energy.is_finite() && energy > 1e-9 * len as f64).then_some((out, energy))
    };
    let ((a, a_energy), (b, b_energy)) = (spectrum(first)?, spectrum(second)?);
    let back = |mut product: Vec<Complex<f64>>| {
        let mut out = inverse.make_output_vec();
        product[0].im = 0.0;
        product[len / 2].im = 0.0;
        inverse.process(&mut product, &mut out).ok().map(|()| out)
    };
    let product: Vec<_> = a.iter().zip(&b).map(|(a, b)| a.conj() * b).collect();
    let floor = product.iter().map(|it| it.norm()).sum::<f64>() / product.len() as f64 * 1e-3;
    let levelled = product.iter().map(|it| it / (it.norm() + floor).powf(WHITENING)).collect();
    let sharp = back(levelled)?;

    let most = most.min(first.len().max(second.len())) as i64;
    let at = |wave: &[f64], lag: i64| wave[lag.rem_euclid(len as i64) as usize];
    let best = (-most..=most).max_by(|l, r| at(&sharp, *l).total_cmp(&at(&sharp, *r)))?;
    let peak = at(&sharp, best);
    if peak <= 0.0 {
        return None;
    }
    let near = (PEAK * f64::from(rate)).ceil() as i64;
    let rival = (-most..=most).filter(|lag| (lag - best).abs() > near).map(|lag| at(&sharp, lag));
    let rival = rival.fold(0.0, f64::max) / peak;
    // Of a parabola through the peak and its neighbours.
    let (left, right) = (at(&sharp, best - 1), at(&sharp, best + 1));
    let bend = left - 2.0 * peak + right;
    let fraction = if bend < 0.0 { (0.5 * (left - right) / bend).clamp(-0.5, 0.5) } else { 0.0 };
    let plain = back(product)?;
    // The inverse transform has half the bins' energy on each side of the spectrum.
    let correlation = (at(&plain, best) / (2.0 * (a_energy * b_energy).sqrt())).clamp(0.0, 1.0);
    Some(Alignment { lag: best as f64 + fraction, correlation, rival })
}

/// How alike `first` is to each part of `second` that is as long as it, from −1 to 1, in the band of a voice: of the part that begins with
/// the second's first sample, of that which begins with the next, and so on. Both are at `rate` samples a second. Empty where `second` is
/// the shorter, where either is silent, and where both together are longer than a minute and a half at 48 kHz.
///
/// It is the plain correlation. Where [`align`] tells where a sound is, this tells whether it is elsewhere as well: what repeats itself is
/// as like itself a bar later.
#[must_use]
pub fn likeness(first: &[f32], second: &[f32], rate: u32) -> Vec<f32> {
    let len = (first.len() + second.len()).next_power_of_two();
    if first.len() < 64 || second.len() < first.len() || len > MOST_SAMPLES {
        return Vec::new();
    }
    let mut planner = RealFftPlanner::<f64>::new();
    let forward = planner.plan_fft_forward(len);
    let inverse = planner.plan_fft_inverse(len);
    let band = BAND.start * len as f64 / f64::from(rate)..BAND.end * len as f64 / f64::from(rate);
    let spectrum = |samples: &[f32]| {
        let mut time = vec![0.0; len];
        time.iter_mut().zip(samples).for_each(|(to, from)| *to = f64::from(*from));
        let mut out = forward.make_output_vec();
        forward.process(&mut time, &mut out).ok()?;
        let outside = |bin: &usize| !band.contains(&(*bin as f64));
        (0..out.len()).filter(outside).for_each(|bin| out[bin] = Complex::default());
        Some(out)
    };
    let back = |mut product: Vec<Complex<f64>>| {
        let mut out = inverse.make_output_vec();
        product[0].im = 0.0;
        product[len / 2].im = 0.0;
        inverse.process(&mut product, &mut out).ok()?;
        out.iter_mut().for_each(|it| *it /= len as f64);
        Some(out)
    };
    let both = || {
        let (a, b) = (spectrum(first)?, spectrum(second)?);
        let products = back(a.iter().zip(&b).map(|(a, b)| a.conj() * b).collect())?;
        Some((products, back(a)?, back(b)?))
    };
    let Some((products, a, b)) = both() else { return Vec::new() };
    let power = |samples: &[f64]| samples.iter().map(|it| it * it).sum::<f64>();
    let (a_energy, b_energy) = (power(&a[..first.len()]), power(&b[..second.len()]));
    if !(a_energy * b_energy).is_finite() || a_energy * b_energy <= 0.0 {
        return Vec::new();
    }
    // A part that is all but silent beside the rest is like nothing.
    let least = 1e-4 * b_energy * first.len() as f64 / second.len() as f64;
    let mut energy = power(&b[..first.len()]);
    (0..=second.len() - first.len())
        .map(|at| {
            let like = products[at] / (a_energy * energy.max(least)).sqrt();
            let next = b.get(at + first.len()).copied().unwrap_or(0.0);
            energy += next * next - b[at] * b[at];
            like.clamp(-1.0, 1.0) as f32
        })
        .collect()
}

/// How the offset of two recordings goes over time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Drift {
    /// The offset at the first of the moments, in milliseconds, as the line has it.
    pub first_ms: f64,
    /// The offset at the last of them.
    pub last_ms: f64,
    /// How the offset grows, in parts per million.
    pub ppm: f64,
    /// How far from the line the offsets are at most, in milliseconds.
    pub residual_ms: f64,
}

impl Drift {
    /// The least-squares line through offsets: moments in seconds, offsets in milliseconds. `None` of less than two moments.
    #[must_use]
    pub fn of(points: &[(f64, f64)]) -> Option<Self> {
        let (first, last) =
            points.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(first, last), (at, _)| {
                (first.min(*at), last.max(*at))
            });
        if points.len() < 2 || last <= first {
            return None;
        }
        let count = points.len() as f64;
        let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
        let (x, y) = (mean(|it| it.0), mean(|it| it.1));
        let spread: f64 = points.iter().map(|it| (it.0 - x).powi(2)).sum();
        let product: f64 = points.iter().map(|it| (it.0 - x) * (it.1 - y)).sum();
        let slope = product / spread;
        let line = |at: f64| y + slope * (at - x);
        let residual_ms = points.iter().map(|(at, ms)| (ms - line(*at)).abs()).fold(0.0, f64::max);
        Some(Self { first_ms: line(first), last_ms: line(last), ppm: slope * 1000.0, residual_ms })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Noise (Marsaglia's xorshift, 2003).
    fn noise(len: usize) -> Vec<f32> {
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let next = |_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1 << 23) as f32 - 1.0
        };
        (0..len).map(next).collect()
    }

    #[test]
    fn a_sound_is_like_itself_where_it_is_and_nowhere_else() {
        let sound = noise(30_000);
        let like = likeness(&sound[10_000..20_000], &sound, 48_000);
        assert_eq!(like.len(), 20_001);
        assert!(like[10_000] > 0.98, "{}", like[10_000]);
        let elsewhere = like.iter().enumerate().filter(|(at, _)| at.abs_diff(10_000) > 48);
        assert!(elsewhere.map(|(_, like)| *like).fold(0.0, f32::max) < 0.2);
        // Quieter it is the same; what repeats itself is like itself each time.
        let bar: Vec<f32> = sound[..5000].iter().map(|it| 0.01 * it).collect();
        let beat: Vec<f32> = bar.iter().cycle().take(40_000).copied().collect();
        let like = likeness(&beat[..10_000], &beat, 48_000);
        assert!((0..6).all(|n| like[n * 5000] > 0.98) && like[2500] < 0.2);
    }

    #[test]
    fn what_is_silent_or_too_short_is_like_nothing() {
        let sound = noise(1000);
        for (first, second) in [(&sound[..], &sound[..999]), (&sound[..10], &sound), (&[0.0; 500], &sound)] {
            assert_eq!(likeness(first, second, 48_000), []);
        }
        assert_eq!(likeness(&sound, &[0.0; 2000], 48_000), []);
    }
}
