//! The chirps that are played into a mouth and looked for at an ear.

/// Samples a second of all that is played and heard here.
pub(crate) const SAMPLE_RATE: usize = 48_000;

/// Samples of one chirp: 20 ms.
const CHIRP: usize = SAMPLE_RATE / 50;

/// How long after it was spoken a chirp is looked for, in samples: 0.35 s, less than any two are apart.
const WINDOW: usize = SAMPLE_RATE * 35 / 100;

/// A chirp that is heard with less than this part of the energy that was spoken is lost.
const HEARD: f32 = 0.03;

/// Two chirps in a recording of the mouth are at least this far apart, in samples.
const APART: usize = SAMPLE_RATE / 5;

/// A sweep from 600 Hz to 3 kHz in 20 ms under a Hann window: a codec for speech carries it, and its autocorrelation has one sharp
/// peak.
pub(crate) fn chirp() -> Vec<f32> {
    let (from, to, length) = (600.0_f64, 3000.0_f64, CHIRP as f64 / SAMPLE_RATE as f64);
    (0..CHIRP)
        .map(|n| {
            let t = n as f64 / SAMPLE_RATE as f64;
            let phase = std::f64::consts::TAU * (from * t + (to - from) / (2.0 * length) * t * t);
            let hann = 0.5 - 0.5 * (std::f64::consts::TAU * n as f64 / (CHIRP - 1) as f64).cos();
            (0.7 * phase.sin() * hann) as f32
        })
        .collect()
}

/// What is spoken, and at which of its samples the chirps begin.
pub(crate) struct Sequence {
    /// The samples.
    pub(crate) samples: Vec<f32>,
    /// Where each chirp begins.
    pub(crate) starts: Vec<usize>,
}

impl Sequence {
    /// So many chirps, one every 0.4 to 0.6 s, over a low bed of noise, with a second of the bed alone before and after. Always the
    /// same one: nothing is drawn by lot but by Knuth's generator (TAOCP vol. 2, 3.3.4: MMIX), begun at one place.
    pub(crate) fn of(chirps: usize) -> Self {
        let mut state = 7_u64;
        let mut lot = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1_u32 << 24) as f32
        };
        let mut starts = vec![SAMPLE_RATE];
        while starts.len() < chirps {
            let gap = (SAMPLE_RATE as f32 * (0.4 + 0.2 * lot())) as usize;
            starts.push(starts[starts.len() - 1] + gap);
        }
        let length = starts[starts.len() - 1] + SAMPLE_RATE;
        // Uniform in ±0.005: −50 dBFS.
        let mut samples: Vec<f32> = (0..length).map(|_| 0.01 * (lot() - 0.5)).collect();
        for start in &starts {
            for (sample, chirp) in samples[*start..].iter_mut().zip(chirp()) {
                *sample += chirp;
            }
        }
        Self { samples, starts }
    }
}

/// How strongly a chirp begins at the first sample of `part`, which has at least a chirp's length.
fn correlation(part: &[f32], chirp: &[f32]) -> f32 {
    let mut sums = [0.0_f32; 8];
    for (a, b) in part.as_chunks::<8>().0.iter().zip(chirp.as_chunks::<8>().0) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += a * b;
        }
    }
    sums.iter().sum::<f32>().abs()
}

/// The best place of a chirp among those that begin before `within` samples of `heard`, and how strong it is there.
fn best(heard: &[f32], chirp: &[f32], within: usize) -> Option<(usize, f32)> {
    let places = heard.len().saturating_sub(chirp.len()).min(within);
    (0..places)
        .map(|at| (at, correlation(&heard[at..at + chirp.len()], chirp)))
        .max_by(|(_, a), (_, b)| a.total_cmp(b))
}

/// Where chirps begin in the recording of a mouth.
pub(crate) fn spoken(mouth: &[f32]) -> Vec<usize> {
    let chirp = chirp();
    let enough = 0.3 * correlation(&chirp, &chirp);
    let (mut starts, mut at) = (Vec::new(), 0);
    while at + chirp.len() <= mouth.len() {
        if correlation(&mouth[at..at + chirp.len()], &chirp) > enough
            && let Some((offset, _)) = best(&mouth[at..], &chirp, chirp.len())
        {
            starts.push(at + offset);
            at += APART;
        } else {
            at += 1;
        }
    }
    starts
}

/// How many samples after `start` a chirp begins in `heard`; `None` where none is there.
pub(crate) fn delay(heard: &[f32], start: usize) -> Option<usize> {
    let chirp = chirp();
    let energy = correlation(&chirp, &chirp);
    let (at, strength) = best(heard.get(start..)?, &chirp, WINDOW)?;
    (strength >= HEARD * energy).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_is_found_to_the_sample_and_a_missing_chirp_is_missed() {
        let sequence = Sequence::of(4);
        let mut heard = vec![0.0; 517];
        heard.extend(sequence.samples.iter().map(|sample| -0.5 * sample));
        heard[517 + sequence.starts[2]..][..CHIRP].fill(0.0);
        let delays: Vec<_> = sequence.starts.iter().map(|start| delay(&heard, *start)).collect();
        assert_eq!(delays, [Some(517), Some(517), None, Some(517)]);
    }

    #[test]
    fn the_chirps_of_a_recorded_mouth_are_found_where_they_are() {
        let sequence = Sequence::of(5);
        assert_eq!(spoken(&sequence.samples), sequence.starts);
    }
}
