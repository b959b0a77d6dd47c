//! Between a device's interleaved samples and the program's mono at 48 kHz.

use std::time::{Duration, Instant};

use hyperzoom_media::SAMPLE_RATE;

use crate::dater::Dater;
use crate::resample::{FromDevice, ToDevice};

/// Frames that are converted at a time, so that a device's period may be of any length while the buffers have one.
const BLOCK: usize = 480;

/// The oldest age of a sample that is believed of a host, which sometimes reports nonsense while a stream starts.
const OLDEST: Duration = Duration::from_millis(500);

/// One frame as mono. Of more than two channels (an interface with eight inputs) the first two count.
pub(crate) fn downmix(frame: &[f32]) -> f32 {
    match frame {
        [] => 0.0,
        [mono] => *mono,
        [left, right, ..] => 0.5 * (left + right),
    }
}

/// When the first sample of a block was captured, in two readings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Captured {
    /// By the callback that brought it: late by whatever held that up, and never early.
    pub(crate) told: Duration,
    /// By count from the callbacks that came in time.
    pub(crate) counted: Duration,
}

impl Captured {
    /// Both readings are the same.
    pub(crate) fn exactly(at: Duration) -> Self {
        Self { told: at, counted: at }
    }

    fn plus(self, seconds: f64) -> Self {
        let later = Duration::from_secs_f64(seconds);
        Self { told: self.told + later, counted: self.counted + later }
    }

    fn minus(self, seconds: f64) -> Self {
        let earlier = Duration::from_secs_f64(seconds);
        Self { told: self.told.saturating_sub(earlier), counted: self.counted.saturating_sub(earlier) }
    }
}

/// Where a device's microphone samples go: mono, 48 kHz, with the moment at which the first of them was captured.
pub(crate) trait Hear: Send + 'static {
    fn hear(&mut self, block: &[f32], at: Captured);
}

/// Where a loudspeaker's samples come from: mono, 48 kHz.
pub(crate) trait Play: Send + 'static {
    fn play(&mut self, now: Duration, block: &mut [f32]);

    /// Before the samples that are asked for next the device plays for so long, and a resampler on the way holds back for so long.
    fn ahead(&mut self, device: Duration, resampler: Duration);
}

/// A microphone's callback.
pub(crate) struct FromMicrophone<H> {
    hear: H,
    epoch: Instant,
    channels: usize,
    rate: u32,
    resampler: Option<FromDevice>,
    dater: Dater,
    mono: [f32; BLOCK],
}

impl<H: Hear> FromMicrophone<H> {
    pub(crate) fn new(hear: H, epoch: Instant, channels: u16, rate: u32) -> Self {
        let resampler = (rate != SAMPLE_RATE).then(|| FromDevice::new(rate));
        Self {
            hear,
            epoch,
            channels: usize::from(channels).max(1),
            rate,
            resampler,
            dater: Dater::new(rate),
            mono: [0.0; BLOCK],
        }
    }

    /// Takes one period, whose first frame was captured `age` ago as the host says.
    pub(crate) fn take<T: cpal::Sample>(&mut self, period: &[T], age: Duration)
    where
        f32: cpal::FromSample<T>,
    {
        let told = self.epoch.elapsed().saturating_sub(age.min(OLDEST));
        let counted = self.dater.date(told, period.len() / self.channels);
        let first_at = Captured { told, counted };
        let mut done = 0;
        for frames in period.chunks(BLOCK * self.channels) {
            let count = frames.len() / self.channels;
            for (mono, frame) in self.mono.iter_mut().zip(frames.chunks_exact(self.channels)) {
                let mut first = [0.0; 2];
                let used = self.channels.min(2);
                for (to, from) in first.iter_mut().zip(frame) {
                    *to = from.to_sample::<f32>();
                }
                *mono = downmix(&first[..used]);
            }
            let at = first_at.plus(done as f64 / f64::from(self.rate));
            done += count;
            let (hear, mono) = (&mut self.hear, &self.mono[..count]);
            match &mut self.resampler {
                None => hear.hear(mono, at),
                Some(resampler) => {
                    let mut at = at.minus(resampler.delay());
                    resampler.push(mono, |block| {
                        hear.hear(block, at);
                        at = at.plus(block.len() as f64 / f64::from(SAMPLE_RATE));
                    });
                }
            }
        }
    }
}

/// A loudspeaker's callback.
pub(crate) struct ToLoudspeaker<P> {
    play: P,
    epoch: Instant,
    channels: usize,
    resampler: Option<ToDevice>,
    mono: [f32; BLOCK],
}

impl<P: Play> ToLoudspeaker<P> {
    pub(crate) fn new(play: P, epoch: Instant, channels: u16, rate: u32) -> Self {
        let resampler = (rate != SAMPLE_RATE).then(|| ToDevice::new(rate));
        Self { play, epoch, channels: usize::from(channels).max(1), resampler, mono: [0.0; BLOCK] }
    }

    /// The device will play the first sample of the period that is filled next in so long, as the host says.
    pub(crate) fn ahead(&mut self, device: Duration) {
        let resampler = self.resampler.as_ref().map_or(0.0, ToDevice::delay);
        self.play.ahead(device.min(OLDEST), Duration::from_secs_f64(resampler));
    }

    /// Fills one period. Mono goes to the first two channels, which are the front ones wherever there are more.
    pub(crate) fn fill<T: cpal::Sample + cpal::FromSample<f32>>(&mut self, period: &mut [T]) {
        let now = self.epoch.elapsed();
        for frames in period.chunks_mut(BLOCK * self.channels) {
            let play = &mut self.play;
            let mono = &mut self.mono[..frames.len() / self.channels];
            match &mut self.resampler {
                None => play.play(now, mono),
                Some(resampler) => resampler.pull(mono, |block| play.play(now, block)),
            }
            for (frame, mono) in frames.chunks_exact_mut(self.channels).zip(&*mono) {
                let sample = T::from_sample_(*mono);
                let (front, rest) = frame.split_at_mut(self.channels.min(2));
                front.fill(sample);
                rest.fill(T::EQUILIBRIUM);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Heard(Vec<f32>, Vec<Duration>);

    impl Hear for std::sync::Arc<std::sync::Mutex<Heard>> {
        fn hear(&mut self, block: &[f32], at: Captured) {
            let mut heard = self.lock().unwrap();
            heard.0.extend_from_slice(block);
            heard.1.push(at.counted);
        }
    }

    struct Ramp(f32);

    impl Play for Ramp {
        fn play(&mut self, _now: Duration, block: &mut [f32]) {
            for sample in block {
                *sample = self.0;
                self.0 += 1.0 / 1024.0;
            }
        }

        fn ahead(&mut self, _device: Duration, _resampler: Duration) {}
    }

    fn heard(channels: u16, rate: u32, period: &[f32]) -> Heard {
        let all = std::sync::Arc::new(std::sync::Mutex::new(Heard(Vec::new(), Vec::new())));
        FromMicrophone::new(all.clone(), Instant::now(), channels, rate).take(period, Duration::ZERO);
        std::mem::replace(&mut all.lock().unwrap(), Heard(Vec::new(), Vec::new()))
    }

    #[test]
    fn two_channels_are_averaged_and_of_more_the_first_two_count() {
        assert_eq!(heard(1, SAMPLE_RATE, &[0.1, 0.2]).0, [0.1, 0.2]);
        assert_eq!(heard(2, SAMPLE_RATE, &[0.5, 0.25, 1.0, 0.0]).0, [0.375, 0.5]);
        assert_eq!(heard(4, SAMPLE_RATE, &[0.5, 0.25, 9.0, 9.0]).0, [0.375]);
    }

    #[test]
    fn a_long_period_is_heard_in_blocks_that_follow_each_other_in_time() {
        let Heard(samples, at) = heard(1, SAMPLE_RATE, &[0.0; 1000]);
        assert_eq!((samples.len(), at.len()), (1000, 3));
        let block = Duration::from_millis(10);
        assert_eq!((at[1] - at[0], at[2] - at[1]), (block, block));
    }

    #[test]
    fn a_device_at_another_rate_is_heard_at_ours() {
        let samples = heard(2, 44_100, &vec![0.25; 44_100 * 2]).0;
        assert!((47_900..48_100).contains(&samples.len()));
        assert!((samples[24_000] - 0.25).abs() < 1e-4);
    }

    #[test]
    fn integers_keep_their_loudness() {
        let all = std::sync::Arc::new(std::sync::Mutex::new(Heard(Vec::new(), Vec::new())));
        FromMicrophone::new(all.clone(), Instant::now(), 1, SAMPLE_RATE)
            .take(&[16384_i16, -32768], Duration::ZERO);
        assert_eq!(all.lock().unwrap().0, [0.5, -1.0]);
    }

    #[test]
    fn mono_plays_on_both_front_channels_and_on_no_other() {
        let mut period = [9.0_f32; 8];
        ToLoudspeaker::new(Ramp(0.5), Instant::now(), 4, SAMPLE_RATE).fill(&mut period);
        let next = 0.5 + 1.0 / 1024.0;
        assert_eq!(period, [0.5, 0.5, 0.0, 0.0, next, next, 0.0, 0.0]);
        let mut mono = [0_i16; 1];
        ToLoudspeaker::new(Ramp(0.5), Instant::now(), 1, SAMPLE_RATE).fill(&mut mono);
        assert_eq!(mono, [16384]);
    }

    #[test]
    fn a_sample_of_the_wildest_age_is_not_dated_before_the_epoch() {
        let all = std::sync::Arc::new(std::sync::Mutex::new(Heard(Vec::new(), Vec::new())));
        let mut microphone = FromMicrophone::new(all.clone(), Instant::now(), 1, SAMPLE_RATE);
        microphone.take(&[0.0_f32], Duration::from_secs(1_000_000));
        assert_eq!(all.lock().unwrap().1, [Duration::ZERO]);
    }

    struct Deaf;

    impl Hear for Deaf {
        fn hear(&mut self, _block: &[f32], _at: Captured) {}
    }

    #[test]
    fn converting_does_not_touch_the_heap() {
        for rate in [SAMPLE_RATE, 44_100] {
            let mut microphone = FromMicrophone::new(Deaf, Instant::now(), 2, rate);
            let mut loudspeaker = ToLoudspeaker::new(Ramp(0.0), Instant::now(), 2, rate);
            let mut period = [0_i16; 2 * 1000];
            for _ in 0..50 {
                let calls = crate::heap_use::heap_calls(|| {
                    microphone.take(&period, Duration::ZERO);
                    loudspeaker.fill(&mut period);
                });
                assert_eq!(calls, 0, "{rate} Hz");
            }
        }
    }
}
