//! The microphone's samples at the moments of the session's: asynchronous resampling that follows a map, sample by sample.

use rubato::audioadapter_buffers::direct::SequentialSlice;
use rubato::{
    Adjustable, Async, FixedAsync, Resampler as _, Resizable, SincInterpolationParameters,
    SincInterpolationType, WindowFunction,
};

/// Points of the windowed sinc. With [`CUTOFF`] it is flat to 20 kHz. Half of it is looked ahead: 1.3 ms.
const SINC_LEN: usize = 128;

/// The sinc's cutoff, as a share of 24 kHz. It is higher than rubato's own choice for that length, which would be 1 dB down at
/// 20 kHz; in exchange images are let through of what is above 22.7 kHz, and at a ratio so close to 1 they fall back to where they
/// came from.
const CUTOFF: f32 = 0.95;

/// Sincs between two samples; between those, linear interpolation. So many and linear is as clean as 128 and cubic, with two products
/// a sample instead of four; at a ratio close to 1 neighbours in the table serve for long, so that its 256 KiB do not matter.
const OVERSAMPLING: usize = 512;

/// Where the first output would lie, if it took no step: so many samples before the first input. Rubato's sincs are centred on the
/// sample after their middle, and the table of them is one place of [`OVERSAMPLING`] ahead.
const BEFORE_FIRST: f64 = (SINC_LEN / 2) as f64 - 1.0 / OVERSAMPLING as f64;

/// Samples made in one go: 1.3 ms.
const CHUNK: usize = 64;

/// The most that are made in one go: what leads to the first one is thrown away.
const CHUNK_MAX: usize = 4 * SINC_LEN;

/// The furthest that a step goes from 1. Only an absurd map asks for more than a thousandth, but the first output is reached by
/// whole steps.
const STRETCH: f64 = 1.02;

/// Resamples one unbroken run of a device's samples after the other.
///
/// Each output lies exactly where the map says that its session sample lies between the device's samples, whatever came before:
/// the resampler is told how far to go and not how fast, so that no error adds up.
pub(crate) struct Resampler {
    inner: Async<f32>,
    /// Samples that the resampler has not taken yet, and the device's index of the first.
    input: Vec<f32>,
    next_in: i64,
    /// Where the last output lies, in samples after device's sample `origin`; `None` before a run's first.
    at: Option<f64>,
    origin: i64,
    output: Vec<f32>,
}

impl std::fmt::Debug for Resampler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let waiting = self.input.len();
        write!(f, "Resampler {{ next_in: {}, waiting: {waiting}, at: {:?} }}", self.next_in, self.at)
    }
}

impl Resampler {
    pub(crate) fn new() -> Self {
        let parameters = SincInterpolationParameters::new(SINC_LEN, WindowFunction::BlackmanHarris2)
            .f_cutoff(CUTOFF)
            .oversampling_factor(OVERSAMPLING)
            .interpolation(SincInterpolationType::Linear);
        let inner = Async::new_sinc(1.0, STRETCH, &parameters, CHUNK_MAX, 1, FixedAsync::Output)
            .expect("a ratio of 1 and a chunk that is not empty are valid");
        Self { inner, input: Vec::new(), next_in: 0, at: None, origin: 0, output: vec![0.0; CHUNK_MAX] }
    }

    /// A run begins with the device's sample `index`; there is silence before it.
    pub(crate) fn begin(&mut self, index: i64) {
        self.inner.reset();
        self.input.clear();
        (self.next_in, self.at) = (index, None);
    }

    /// Takes the run's next samples.
    pub(crate) fn push(&mut self, samples: &[f32]) {
        self.input.extend_from_slice(samples);
    }

    /// Makes as many as the samples taken allow, appends them to `out` and returns how many. `index_at` says for the next, the one
    /// after and so on where it lies among the device's samples: a rising function that does not change for what it was asked and
    /// answered for with a sample.
    pub(crate) fn produce(&mut self, index_at: impl Fn(u64) -> f64, out: &mut Vec<f32>) -> u64 {
        let mut made = 0;
        if self.at.is_none() && !self.approach(index_at(0), false) {
            return 0;
        }
        while self.make(CHUNK, index_at(made + CHUNK as u64 - 1), false) {
            out.extend_from_slice(&self.output[..CHUNK]);
            made += CHUNK as u64;
        }
        made
    }

    /// Ends the run: makes `count` more, as [`produce`](Self::produce) does, with silence after the last sample taken.
    pub(crate) fn finish(&mut self, count: u64, index_at: impl Fn(u64) -> f64, out: &mut Vec<f32>) {
        if count > 0 && self.at.is_none() {
            self.approach(index_at(0), true);
        }
        let mut made = 0;
        while made < count {
            let n = (count - made).min(CHUNK as u64);
            self.make(n as usize, index_at(made + n - 1), true);
            out.extend_from_slice(&self.output[..n as usize]);
            made += n;
        }
    }

    /// Goes to one sample before `first`, where the first output is to lie. `false` where samples are missing for it.
    fn approach(&mut self, first: f64, last: bool) -> bool {
        // What the filter does not reach from there is not needed: the take begins long after the device.
        let reach = first.floor() as i64 - SINC_LEN as i64;
        let surplus = reach.saturating_sub(self.next_in).clamp(0, self.input.len() as i64);
        self.input.drain(..surplus as usize);
        self.next_in += surplus;
        if !last && self.next_in < reach {
            return false;
        }
        self.origin = self.next_in;
        let goal = first - 1.0 - self.origin as f64;
        let steps = (goal + BEFORE_FIRST).round().clamp(1.0, CHUNK_MAX as f64) as usize; // 1 for NaN
        self.at = Some(-BEFORE_FIRST);
        let reached = self.make(steps, goal + self.origin as f64, last);
        if !reached {
            self.at = None;
        }
        reached
    }

    /// Makes `n`, the last of which lies at the device's sample `end`. `false` where samples are missing for it, unless they are the
    /// `last`.
    fn make(&mut self, n: usize, end: f64, last: bool) -> bool {
        let Some(at) = self.at else { return false };
        let step = (end - self.origin as f64 - at) / n as f64;
        let step = if step.is_nan() { 1.0 } else { step.clamp(1.0 / STRETCH, STRETCH) };
        self.inner.set_chunk_size(n).expect("between 1 and CHUNK_MAX");
        self.inner.set_resample_ratio_relative(1.0 / step, false).expect("clamped");
        let needed = self.inner.input_frames_next();
        if self.input.len() < needed {
            if !last {
                return false;
            }
            self.input.resize(needed, 0.0);
        }
        let input =
            SequentialSlice::new(&self.input[..needed], 1, needed).expect("one channel of that length");
        let mut output =
            SequentialSlice::new_mut(&mut self.output[..n], 1, n).expect("one channel of that length");
        self.inner.process_into_buffer(&input, &mut output, None).expect("both lengths are those asked for");
        self.input.drain(..needed);
        self.next_in += needed as i64;
        self.at = Some(at + step * n as f64);
        true
    }
}

#[cfg(test)]
mod tests;
