//! AAC-LC through fdk-aac: 48 kHz, mono, 192 kbit/s constant (spec §4.3.2).

use fdk_aac::enc::{AudioObjectType, BitRate, ChannelMode, Encoder, EncoderError, EncoderParams, Transport};
use hyperzoom_media::SAMPLE_RATE;

use super::AudioEncoder;
use crate::error::EncodeError;

/// Samples an access unit covers (ISO/IEC 14496-3: AAC-LC's frame).
pub(crate) const FRAME: usize = 1024;

/// Bits a second.
pub(crate) const BITRATE: u32 = 192_000;

/// The largest access unit of one channel, in bytes (ISO/IEC 14496-3 §4.5.1.1: 6144 bits).
pub(crate) const MAX_UNIT: usize = 768;

/// Turns samples into access units of 1024 samples.
///
/// What is decoded lags by [`delay`](AudioEncoder::delay) samples, which the file's edit list skips.
///
/// fdk-aac's own delay is two frames. Its first unit is left out: it holds no sample that was given, and the second needs it only
/// for samples that are skipped as well.
pub(crate) struct AacEncoder {
    raw: Encoder,
    delay: u32,
    lead_in: usize,
    config: Vec<u8>,
    waiting: Vec<i16>,
}

fn failed(step: &'static str) -> impl FnOnce(EncoderError) -> EncodeError {
    // The wrapper keeps the code to itself; the message is in the log.
    move |error| {
        tracing::error!("fdk-aac, {step}: {error}");
        EncodeError { encoder: "AAC (fdk-aac)", step, code: -1 }
    }
}

impl AacEncoder {
    /// Starts an encoder.
    pub(crate) fn new() -> Result<Self, EncodeError> {
        let params = EncoderParams {
            bit_rate: BitRate::Cbr(BITRATE),
            sample_rate: SAMPLE_RATE,
            transport: Transport::Raw,
            channels: ChannelMode::Mono,
            audio_object_type: AudioObjectType::Mpeg4LowComplexity,
        };
        let raw = Encoder::new(params).map_err(failed("initialisation"))?;
        let info = raw.info().map_err(failed("reading its settings"))?;
        let lead_in = (info.nDelay as usize / FRAME).saturating_sub(1);
        if info.frameLength as usize != FRAME {
            return Err(EncodeError {
                encoder: "AAC (fdk-aac)",
                step: "checking its frame",
                code: info.frameLength.into(),
            });
        }
        let delay = info.nDelay - (lead_in * FRAME) as u32;
        let config = info.confBuf[..(info.confSize as usize).min(info.confBuf.len())].to_vec();
        Ok(Self { raw, delay, lead_in, config, waiting: Vec::with_capacity(2 * FRAME) })
    }

    fn frame(&mut self, unit: &mut dyn FnMut(Vec<u8>)) -> Result<(), EncodeError> {
        let mut buffer = [0; MAX_UNIT * 2];
        let encoded = self.raw.encode(&self.waiting, &mut buffer).map_err(failed("encoding"))?;
        if encoded.input_consumed != FRAME || encoded.output_size == 0 {
            return Err(EncodeError {
                encoder: "AAC (fdk-aac)",
                step: "encoding: a frame went in and no unit came out",
                code: encoded.output_size as i64,
            });
        }
        self.waiting.clear();
        if self.lead_in > 0 {
            self.lead_in -= 1;
            return Ok(());
        }
        unit(buffer[..encoded.output_size].to_vec());
        Ok(())
    }
}

impl AudioEncoder for AacEncoder {
    fn delay(&self) -> u32 {
        self.delay
    }

    fn config(&self) -> &[u8] {
        &self.config
    }

    fn encode(&mut self, samples: &[f32], unit: &mut dyn FnMut(Vec<u8>)) -> Result<(), EncodeError> {
        for &sample in samples {
            // NaN becomes 0: a cast saturates.
            self.waiting.push((sample * 32768.0).round() as i16);
            if self.waiting.len() == FRAME {
                self.frame(unit)?;
            }
        }
        Ok(())
    }

    fn finish(&mut self, unit: &mut dyn FnMut(Vec<u8>)) -> Result<(), EncodeError> {
        let silence = self.delay as usize + FRAME;
        let total = (self.waiting.len() + silence).next_multiple_of(FRAME);
        for _ in 0..total - self.waiting.len() {
            self.waiting.push(0);
            if self.waiting.len() == FRAME {
                self.frame(unit)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shiguredo_mp4::bitstream::aac::parse_audio_specific_config;

    #[test]
    fn the_config_says_lc_48000_mono() {
        let encoder = AacEncoder::new().unwrap();
        // 2 (LC) in 5 bits, 3 (48 kHz) in 4, 1 (mono) in 4, three flags of 0.
        assert_eq!(encoder.config(), [0b0001_0001, 0b1000_1000]);
        let parsed = parse_audio_specific_config(encoder.config()).unwrap();
        assert_eq!(parsed.sampling_frequency.hz(), 48_000);
        assert_eq!(encoder.delay(), 1024);
    }

    #[test]
    fn each_frame_makes_a_unit_and_the_mean_is_192_kbit() {
        let mut encoder = AacEncoder::new().unwrap();
        let mut units = Vec::new();
        let second: Vec<f32> =
            (0..48_000).map(|i| (i as f32 * 0.05).sin() * 0.4 + (i as f32 * 0.731).sin() * 0.2).collect();
        for _ in 0..10 {
            encoder.encode(&second, &mut |unit| units.push(unit.len())).unwrap();
        }
        assert_eq!(units.len(), 480_000 / FRAME - 1, "the first unit is left out");
        encoder.finish(&mut |unit| units.push(unit.len())).unwrap();
        assert!(units.len() * FRAME >= 480_000 + encoder.delay() as usize);
        let kbps = units.iter().sum::<usize>() as f64 * 8.0 / (units.len() * FRAME) as f64 * 48.0;
        assert!((185.0..=195.0).contains(&kbps), "{kbps} kbit/s");
    }

    #[test]
    fn samples_beyond_full_scale_clip_and_nan_is_silence() {
        let mut encoder = AacEncoder::new().unwrap();
        let mut count = 0;
        encoder.encode(&[f32::NAN, 5.0, -5.0, f32::INFINITY].repeat(512), &mut |_| count += 1).unwrap();
        assert_eq!(count, 1);
    }
}
