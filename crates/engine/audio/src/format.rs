//! How a device of cpal's is opened: channels, rate, samples, periods.

use cpal::traits::DeviceTrait;
use cpal::{BufferSize, SampleFormat, SupportedBufferSize, SupportedStreamConfigRange};
use hyperzoom_media::SAMPLE_RATE;

use crate::devices::{Direction, SoundDevice, SoundHost};

/// Periods to ask for, in samples, the shortest first.
const PERIODS: [u32; 4] = [120, 256, 480, 1024];

/// How a device is opened.
pub(crate) struct Format {
    /// Channels of a frame.
    pub(crate) channels: u16,
    /// Frames a second.
    pub(crate) rate: u32,
    /// The format of its samples.
    pub(crate) sample: SampleFormat,
    buffer: SupportedBufferSize,
}

impl Format {
    /// The device's own number of channels, at 48 kHz where it can, in the best samples it has.
    pub(crate) fn choose(info: &SoundDevice, device: &cpal::Device) -> Result<Self, cpal::Error> {
        let direction = info.direction;
        let native = match direction {
            Direction::Microphone => device.default_input_config()?,
            Direction::Loudspeaker => device.default_output_config()?,
        };
        let ranges: Vec<SupportedStreamConfigRange> = match direction {
            Direction::Microphone => device.supported_input_configs()?.collect(),
            Direction::Loudspeaker => device.supported_output_configs()?.collect(),
        };
        // JACK's ports are connected by hand, and a voice is one.
        let mono = info.host == SoundHost::Jack && direction == Direction::Microphone;
        let channels = if mono { 1 } else { native.channels() };
        let fitting = |rate| {
            ranges
                .iter()
                .filter(|range| range.channels() == channels && range.contains_rate(rate))
                .filter(|range| preference(range.sample_format()).is_some())
                .max_by_key(|range| preference(range.sample_format()))
                .map(|range| Self {
                    channels,
                    rate,
                    sample: range.sample_format(),
                    buffer: *range.buffer_size(),
                })
        };
        Ok(fitting(SAMPLE_RATE).or_else(|| fitting(native.sample_rate())).unwrap_or(Self {
            channels,
            rate: native.sample_rate(),
            sample: native.sample_format(),
            buffer: *native.buffer_size(),
        }))
    }

    /// The periods to ask for, the shortest first.
    pub(crate) fn periods(&self, host: SoundHost) -> Vec<BufferSize> {
        // JACK's period is the server's.
        let mut periods = Vec::new();
        if host != SoundHost::Jack {
            let clamp = |period: u32| match self.buffer {
                SupportedBufferSize::Range { min, max } => period.clamp(min, max.max(min)),
                SupportedBufferSize::Unknown => period,
            };
            periods.extend(PERIODS.map(clamp).map(BufferSize::Fixed));
            periods.dedup();
        }
        periods.push(BufferSize::Default);
        periods
    }
}

/// The greater the better; `None` for a format that is not understood.
fn preference(format: SampleFormat) -> Option<u8> {
    match format {
        SampleFormat::F32 => Some(6),
        SampleFormat::I32 => Some(5),
        SampleFormat::I24 => Some(4),
        SampleFormat::I16 => Some(3),
        SampleFormat::F64 => Some(2),
        SampleFormat::U8 => Some(1),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn periods(buffer: SupportedBufferSize, host: SoundHost) -> Vec<BufferSize> {
        Format { channels: 1, rate: SAMPLE_RATE, sample: SampleFormat::F32, buffer }.periods(host)
    }

    #[test]
    fn the_shortest_period_that_the_device_allows_is_asked_for_first() {
        use BufferSize::{Default, Fixed};
        let all = [Fixed(120), Fixed(256), Fixed(480), Fixed(1024), Default];
        assert_eq!(periods(SupportedBufferSize::Unknown, SoundHost::Pulse), all);
        let slow = SupportedBufferSize::Range { min: 441, max: 4096 };
        assert_eq!(periods(slow, SoundHost::Alsa), [Fixed(441), Fixed(480), Fixed(1024), Default]);
        assert_eq!(periods(slow, SoundHost::Jack), [Default]);
    }
}
