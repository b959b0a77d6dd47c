//! Where pips lie in a recording.

use hyperzoom_timing::{PIP_SECONDS, align, pip};

/// Samples a second.
const RATE: usize = 48_000;

/// What is looked at around the place where a pip should be, either way, in samples: 60 ms.
const AROUND: usize = RATE * 60 / 1000;

/// A pip that is less alike than this is none: the sync tone or a gap lies in it.
const ALIKE: f64 = 0.8;

/// The places of the pips in a recording at 48 kHz that holds one a second, in seconds from its first sample; of those that cannot be found
/// nothing is said.
pub(crate) fn find(samples: &[f32]) -> Vec<f64> {
    let Some(first) =
        samples.len().checked_sub(2 * RATE).and_then(|_| loudest(&samples[AROUND..RATE + AROUND]))
    else {
        return Vec::new();
    };
    let mut expected = (first + AROUND) as f64;
    let mut found = Vec::new();
    while let Some(window) = window(samples, expected) {
        if let Some(at) = exactly(window.1).map(|at| window.0 as f64 + at) {
            found.push(at / RATE as f64);
            expected = at;
        }
        expected += RATE as f64;
    }
    found
}

/// About where a pip begins among the samples of a second: where the most energy of its length lies.
fn loudest(samples: &[f32]) -> Option<usize> {
    let len = (PIP_SECONDS * RATE as f64) as usize;
    let energy = |from: usize| {
        let part = samples.iter().cycle().skip(from).take(len);
        part.map(|sample| f64::from(sample * sample)).sum::<f64>()
    };
    (0..samples.len()).step_by(len / 8).max_by(|a, b| energy(*a).total_cmp(&energy(*b)))
}

/// The samples around a pip that is expected at `at`, and the number of the first.
fn window(samples: &[f32], at: f64) -> Option<(usize, &[f32])> {
    let begin = (at.round() as usize).checked_sub(AROUND)?;
    let end = at.round() as usize + (PIP_SECONDS * RATE as f64) as usize + AROUND;
    Some((begin, samples.get(begin..end)?))
}

/// Where the pip begins in these samples.
fn exactly(samples: &[f32]) -> Option<f64> {
    let model: Vec<f32> = (0..samples.len()).map(|n| pip((n as f64 - AROUND as f64) / RATE as f64)).collect();
    let found = align(&model, samples, RATE as u32, AROUND)?;
    (found.correlation >= ALIKE).then_some(AROUND as f64 + found.lag)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A recording that begins `begin` seconds after a pip, by a device that is so far off.
    fn record(begin: f64, ppm: f64, seconds: usize) -> Vec<f32> {
        let rate = RATE as f64 * (1.0 + ppm * 1e-6);
        (0..seconds * RATE).map(|n| pip((begin + n as f64 / rate).fract())).collect()
    }

    #[test]
    fn pips_are_found_where_they_are() {
        for begin in [0.01, 0.3, 0.9, 0.97, 0.999] {
            let found = find(&record(begin, 0.0, 10));
            assert!(found.len() >= 8, "{begin}: {found:?}");
            for at in &found {
                let off = (at + begin).fract();
                assert!(off.min(1.0 - off) < 2e-6, "{begin}: {at}");
            }
        }
    }

    #[test]
    fn a_device_that_is_off_is_seen_to_be() {
        let found = find(&record(0.5, -300.0, 30));
        let (first, last) = (found[0], found[found.len() - 1]);
        let seconds = (last - first).round();
        let ppm = ((last - first) / seconds - 1.0) * 1e6;
        assert!((ppm + 300.0).abs() < 0.5, "{ppm}");
    }

    #[test]
    fn a_tone_over_it_hides_a_pip_and_no_more() {
        let mut samples = record(0.5, 0.0, 10);
        for n in 0..9600_i64 {
            samples[5 * RATE + RATE / 2 - 2000 + n as usize] += 4.0 * hyperzoom_timing::tone_sample(n);
        }
        let found = find(&samples);
        assert!((8..=10).contains(&found.len()), "{found:?}");
        assert!(found.iter().all(|at| (at + 0.5 - (at + 0.5).round()).abs() < 1e-4));
    }

    #[test]
    fn silence_has_none() {
        assert!(find(&vec![0.0; 10 * RATE]).is_empty());
        assert!(find(&[0.1; 100]).is_empty());
    }
}
