//! The sound made a little longer or shorter, all the time.

use rubato::audioadapter_buffers::direct::SequentialSlice;
use rubato::{Adjustable, Async, FixedAsync, PolynomialDegree, Resampler, Resizable};

/// Samples of one [`Stretch::process`] at most.
pub(crate) const MAX_BLOCK: usize = 480;
/// Samples that a block may need beyond its own length: the first fills the interpolator.
const SLACK: usize = 32;
/// The furthest that the ratio goes from 1, with room beyond the 1500 ppm that are ever asked for.
const MAX_RATIO: f64 = 1.01;

/// A resampler whose ratio is close to 1 and may be changed for every block.
///
/// Rubato's polynomial interpolation of degree 7, with the output's length fixed and set anew for each block, so that
/// no sample is left over and waits. That holds 8 samples back (0.17 ms) and neither allocates nor locks after it was
/// made. A windowed sinc of 64 points would be cleaner above 12 kHz, where a voice has next to nothing, and hold back
/// four times as much; at a ratio within 0.1 % of 1 there is nothing to alias.
pub(crate) struct Stretch {
    inner: Async<f32>,
    input: Box<[f32]>,
}

impl Stretch {
    pub(crate) fn new() -> Self {
        let inner =
            Async::new_poly(1.0, MAX_RATIO, PolynomialDegree::Septic, MAX_BLOCK, 1, FixedAsync::Output)
                .expect("a ratio of 1 and a block that is not empty are valid");
        let input = vec![0.0; (MAX_BLOCK as f64 * MAX_RATIO) as usize + SLACK].into_boxed_slice();
        Self { inner, input }
    }

    /// Forgets the sound so far.
    pub(crate) fn reset(&mut self) {
        self.inner.reset();
    }

    /// Fills `out` (at most [`MAX_BLOCK`] samples), asking `source` for the samples that it takes, made longer by
    /// `by` (1e-6 is 1 ppm).
    pub(crate) fn process(&mut self, by: f64, out: &mut [f32], source: impl FnOnce(&mut [f32])) {
        let frames = out.len();
        self.inner.set_chunk_size(frames).expect("blocks are between 1 and MAX_BLOCK samples");
        self.inner
            .set_resample_ratio_relative(1.0 + by, false)
            .expect("the ratio is steered within 1500 ppm");
        let needed = self.inner.input_frames_next();
        let input = &mut self.input[..needed];
        source(input);
        let input = SequentialSlice::new(&*input, 1, needed).expect("one channel of that length");
        let mut output = SequentialSlice::new_mut(out, 1, frames).expect("one channel of that length");
        self.inner.process_into_buffer(&input, &mut output, None).expect("both lengths are those asked for");
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::*;

    /// Signal to error ratio in dB of a tone stretched by `ppm`, against the tone that it should be, in blocks of odd
    /// sizes.
    fn quality_db(hz: f64, ppm: f64) -> f64 {
        let mut stretch = Stretch::new();
        let (mut read, mut written) = (0u32, 0u32);
        let (mut signal, mut error) = (0.0, 0.0);
        for block in [128usize, 1, 480, 77, 240].iter().cycle().take(1000) {
            let mut out = [0.0f32; MAX_BLOCK];
            let out = &mut out[..*block];
            stretch.process(ppm * 1e-6, out, |input| {
                for sample in input {
                    *sample = (TAU * hz / 48e3 * f64::from(read)).sin() as f32;
                    read += 1;
                }
            });
            for sample in out {
                // The first output is one step on from the interpolator's start, 4 samples before the first input.
                let at = f64::from(written + 1) / (1.0 + ppm * 1e-6) - 4.0;
                let expected = (TAU * hz / 48e3 * at).sin();
                written += 1;
                if written > 1000 {
                    signal += expected * expected;
                    error += (f64::from(*sample) - expected).powi(2);
                }
            }
        }
        assert!(
            u64::from(read) <= u64::from(written) * 1_000_500 / 1_000_000 + 9,
            "no more than 8 samples are held back"
        );
        10.0 * (signal / error).log10()
    }

    #[test]
    fn a_stretched_tone_is_still_that_tone() {
        for ppm in [-300.0, 0.0, 300.0] {
            assert!(quality_db(1_000.0, ppm) > 90.0, "{ppm} ppm: {} dB", quality_db(1_000.0, ppm));
            assert!(quality_db(8_000.0, ppm) > 60.0, "{ppm} ppm: {} dB", quality_db(8_000.0, ppm));
        }
    }
}
