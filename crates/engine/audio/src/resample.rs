//! Changes a stream's rate by a fixed ratio, in a callback: for devices that have no 48 kHz.

use hyperzoom_media::SAMPLE_RATE;
use rubato::audioadapter_buffers::direct::SequentialSlice;
use rubato::{Async, FixedAsync, Resampler as _, SincInterpolationParameters, WindowFunction};

/// Samples on the fixed side of a step.
const CHUNK: usize = 64;

/// Length of the windowed sinc: 1.3 ms of delay at 48 kHz, flat to 20 kHz from 44.1 kHz.
const SINC_LEN: usize = 128;

/// The ratios of rates that make sense: a telephone headset's 8 kHz to a studio's 768 kHz.
const RATES: std::ops::RangeInclusive<u32> = 8_000..=768_000;

fn sinc(from: u32, to: u32, fixed: FixedAsync) -> Async<f32> {
    let [from, to] = [from, to].map(|rate| f64::from(rate.clamp(*RATES.start(), *RATES.end())));
    let parameters = SincInterpolationParameters::new(SINC_LEN, WindowFunction::BlackmanHarris2);
    Async::new_sinc(to / from, 1.0, &parameters, CHUNK, 1, fixed)
        .expect("the ratio of two clamped rates is finite and positive")
}

/// One step of a resampler; returns how many samples it read and wrote. It neither allocates nor fails where the slices are as long
/// as the resampler's maxima.
fn step(resampler: &mut Async<f32>, input: &[f32], output: &mut [f32]) -> (usize, usize) {
    let frames = output.len();
    let from = SequentialSlice::new(input, 1, input.len()).expect("a slice is as long as itself");
    let mut to = SequentialSlice::new_mut(output, 1, frames).expect("a slice is as long as itself");
    resampler.process_into_buffer(&from, &mut to, None).expect("the slices hold what the resampler asks for")
}

/// A device's samples, pushed in, come out at 48 kHz.
pub(crate) struct FromDevice {
    resampler: Async<f32>,
    waiting: Vec<f32>,
    filled: usize,
    out: Vec<f32>,
    rate: u32,
}

impl FromDevice {
    pub(crate) fn new(rate: u32) -> Self {
        let resampler = sinc(rate, SAMPLE_RATE, FixedAsync::Input);
        let out = vec![0.0; resampler.output_frames_max()];
        Self { resampler, waiting: vec![0.0; CHUNK], filled: 0, out, rate }
    }

    /// How long ago, in seconds, the next sample to come out was pushed in, if nothing more is.
    pub(crate) fn delay(&self) -> f64 {
        self.filled as f64 / f64::from(self.rate)
            + self.resampler.output_delay() as f64 / f64::from(SAMPLE_RATE)
    }

    pub(crate) fn push(&mut self, mut input: &[f32], mut out: impl FnMut(&[f32])) {
        while !input.is_empty() {
            let n = input.len().min(CHUNK - self.filled);
            self.waiting[self.filled..self.filled + n].copy_from_slice(&input[..n]);
            self.filled += n;
            input = &input[n..];
            if self.filled == CHUNK {
                self.filled = 0;
                let (_, written) = step(&mut self.resampler, &self.waiting, &mut self.out);
                out(&self.out[..written]);
            }
        }
    }
}

/// Samples at 48 kHz, pulled out at a device's rate.
pub(crate) struct ToDevice {
    resampler: Async<f32>,
    input: Vec<f32>,
    out: Vec<f32>,
    ready: usize,
    taken: usize,
    rate: u32,
}

impl ToDevice {
    pub(crate) fn new(rate: u32) -> Self {
        let resampler = sinc(SAMPLE_RATE, rate, FixedAsync::Output);
        let input = vec![0.0; resampler.input_frames_max()];
        let out = vec![0.0; resampler.output_frames_max()];
        Self { resampler, input, out, ready: 0, taken: 0, rate }
    }

    /// How long before the next sample to come in, in seconds, what was put in already plays.
    pub(crate) fn delay(&self) -> f64 {
        (self.ready - self.taken + self.resampler.output_delay()) as f64 / f64::from(self.rate)
    }

    pub(crate) fn pull(&mut self, mut out: &mut [f32], mut input: impl FnMut(&mut [f32])) {
        while !out.is_empty() {
            if self.taken == self.ready {
                let needed = self.resampler.input_frames_next();
                input(&mut self.input[..needed]);
                let (_, written) = step(&mut self.resampler, &self.input[..needed], &mut self.out);
                (self.ready, self.taken) = (written, 0);
            }
            let n = out.len().min(self.ready - self.taken);
            let (now, later) = out.split_at_mut(n);
            now.copy_from_slice(&self.out[self.taken..self.taken + n]);
            self.taken += n;
            out = later;
        }
    }
}

/// A whole recording at 48 kHz, without the resampler's delay.
pub(crate) fn resample_all(input: &[f32], rate: u32) -> Vec<f32> {
    let mut resampler = FromDevice::new(rate);
    let delay = resampler.resampler.output_delay();
    let wanted = (input.len() as u64 * u64::from(SAMPLE_RATE)).div_ceil(u64::from(rate)) as usize;
    let mut output = Vec::with_capacity(wanted + delay + CHUNK);
    resampler.push(input, |samples| output.extend_from_slice(samples));
    while output.len() < delay + wanted {
        resampler.push(&[0.0; CHUNK], |samples| output.extend_from_slice(samples));
    }
    output.drain(..delay);
    output.truncate(wanted);
    output
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sine(hz: f64, rate: u32, samples: usize) -> Vec<f32> {
        let step = std::f64::consts::TAU * hz / f64::from(rate);
        (0..samples).map(|n| (0.5 * (step * n as f64).sin()) as f32).collect()
    }

    fn worst(a: &[f32], b: &[f32]) -> f32 {
        a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    }

    #[test]
    fn a_recording_keeps_its_time_and_its_shape() {
        let at_48 = resample_all(&sine(997.0, 44_100, 44_100), 44_100);
        let wanted = sine(997.0, 48_000, 48_000);
        assert_eq!(at_48.len(), wanted.len());
        // The filter's delay is no whole number of samples; a shift by one is a difference of 0.065.
        assert!(worst(&at_48[500..47_000], &wanted[500..47_000]) < 0.067);
    }

    #[test]
    fn blocks_of_any_length_give_the_same_samples() {
        let input = sine(440.0, 44_100, 4410);
        let run = |block: usize| {
            let (mut resampler, mut output) = (FromDevice::new(44_100), Vec::new());
            input.chunks(block).for_each(|chunk| resampler.push(chunk, |s| output.extend_from_slice(s)));
            output
        };
        assert_eq!(run(1), run(441));
    }

    #[test]
    fn a_device_at_44_1_khz_gets_its_tone() {
        let source = sine(1000.0, 48_000, 60_000);
        let (mut resampler, mut at) = (ToDevice::new(44_100), 0);
        let mut played = vec![0.0; 44_100];
        for block in played.chunks_mut(113) {
            resampler.pull(block, |input| {
                input.copy_from_slice(&source[at..at + input.len()]);
                at += input.len();
            });
        }
        // 22 050 samples at 1000 Hz are 500 whole periods.
        assert!(purity(&played[10_000..32_050], 1000.0) > 0.9999);
    }

    /// The share of the power that is in a sine of `hz` and amplitude 0.5, of a signal at 44.1 kHz.
    fn purity(samples: &[f32], hz: f64) -> f64 {
        let step = std::f64::consts::TAU * hz / 44_100.0;
        let sum = |f: fn(f64) -> f64| -> f64 {
            samples.iter().enumerate().map(|(n, sample)| f64::from(*sample) * f(step * n as f64)).sum()
        };
        let amplitude = 2.0 * sum(f64::sin).hypot(sum(f64::cos)) / samples.len() as f64;
        let power =
            samples.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>() / samples.len() as f64;
        assert!((amplitude - 0.5).abs() < 1e-3, "{amplitude}");
        amplitude.powi(2) / 2.0 / power
    }

    #[test]
    fn the_age_of_what_comes_out_counts_what_is_held_back() {
        let mut resampler = FromDevice::new(44_100);
        let empty = resampler.delay();
        resampler.push(&[0.0; 10], |_| ());
        assert!((resampler.delay() - empty - 10.0 / 44_100.0).abs() < 1e-9);
    }
}
