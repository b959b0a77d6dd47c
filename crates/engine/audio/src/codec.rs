//! Opus, set for the lowest delay, and the one byte in front of it.
//!
//! A payload of live audio is a format byte and one Opus packet. Bits 0 and 1 of the format byte are the frame's duration
//! ([`FrameSize`]); bits 2 to 7 are 0, and a receiver refuses a payload in which they are not.

use opus::{Application, Bitrate, Channels};

use hyperzoom_media::SAMPLE_RATE;
use hyperzoom_playout::FrameDecoder;

/// How much sound one packet of live audio holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum FrameSize {
    /// 2.5 ms, 400 packets a second: the least delay, for a link that is good.
    Ms2_5,
    /// 5 ms, 200 packets a second.
    #[default]
    Ms5,
    /// 10 ms, 100 packets a second: for a link on which packets are dear.
    Ms10,
}

impl FrameSize {
    /// All of them; the place of each is its code in the format byte.
    pub const ALL: [Self; 3] = [Self::Ms2_5, Self::Ms5, Self::Ms10];

    /// Samples in a frame, at 48 kHz.
    #[must_use]
    pub fn samples(self) -> usize {
        120 << self.code()
    }

    /// The frame's duration in milliseconds.
    #[must_use]
    pub fn millis(self) -> f32 {
        self.samples() as f32 * 1000.0 / SAMPLE_RATE as f32
    }

    /// The one that lasts this many milliseconds.
    #[must_use]
    pub fn from_millis(millis: f32) -> Option<Self> {
        Self::ALL.into_iter().find(|size| (size.millis() - millis).abs() < 1e-3)
    }

    /// The bits of the format byte.
    pub(crate) fn code(self) -> u8 {
        self as u8
    }

    /// The one that a payload's format byte tells; `None` for a format that this version does not know.
    pub(crate) fn of_payload(payload: &[u8]) -> Option<Self> {
        Self::ALL.get(usize::from(*payload.first()?)).copied()
    }
}

/// The longest payload that an encoder makes, in bytes: 10 ms at 510 kbit/s, Opus's highest, and the format byte.
pub const MAX_PAYLOAD: usize = 640;

/// The losses, in percent, that the encoder is told to expect. It then predicts less across frames, so that a decoder is right again
/// from the third frame after a loss, at no cost in bits.
const EXPECTED_LOSS_PERCENT: i32 = 20;

/// One microphone's encoder.
pub struct Encoder {
    opus: opus::Encoder,
    size: FrameSize,
}

impl Encoder {
    /// An encoder of frames of `size` at `bitrate` bits a second: constant, so that packets neither tell what is said
    /// nor come in bursts.
    ///
    /// # Errors
    /// libopus's own, as for a bitrate that it does not know.
    pub fn new(size: FrameSize, bitrate: i32) -> Result<Self, opus::Error> {
        let mut opus = opus::Encoder::new(SAMPLE_RATE, Channels::Mono, Application::LowDelay)?;
        opus.set_bitrate(Bitrate::Bits(bitrate))?;
        opus.set_vbr(false)?;
        opus.set_inband_fec(true)?;
        opus.set_packet_loss_perc(EXPECTED_LOSS_PERCENT)?;
        opus.set_dtx(false)?;
        Ok(Self { opus, size })
    }

    /// Encodes one frame into `payload`; returns its length. Neither allocates nor blocks.
    ///
    /// # Errors
    /// libopus's own, as for a `frame` that is not of the encoder's size.
    pub fn encode(&mut self, frame: &[f32], payload: &mut [u8; MAX_PAYLOAD]) -> Result<usize, opus::Error> {
        let (format, packet) = payload.split_at_mut(1);
        format[0] = self.size.code();
        Ok(1 + self.opus.encode_float(frame, packet)?)
    }

    /// The encoder's share of the delay, in samples.
    #[cfg(test)]
    fn lookahead(&mut self) -> i32 {
        self.opus.get_lookahead().unwrap()
    }
}

/// One peer's decoder, for frames of any of the durations.
pub struct Decoder(opus::Decoder);

impl Decoder {
    /// A decoder that has heard nothing yet.
    ///
    /// # Errors
    /// libopus's own.
    pub fn new() -> Result<Self, opus::Error> {
        Ok(Self(opus::Decoder::new(SAMPLE_RATE, Channels::Mono)?))
    }
}

impl FrameDecoder for Decoder {
    fn decode(&mut self, payload: &[u8], out: &mut [f32]) -> bool {
        if FrameSize::of_payload(payload).map(FrameSize::samples) != Some(out.len()) {
            return false;
        }
        let packet = &payload[1..];
        // An empty packet is libopus's word for a lost one. One with more or less sound than a frame would leave `out` half filled.
        !packet.is_empty()
            && self.0.get_nb_samples(packet).ok() == Some(out.len())
            && self.0.decode_float(packet, out, false).ok() == Some(out.len())
    }

    fn conceal(&mut self, out: &mut [f32]) {
        if self.0.decode_float(&[], out, false).ok() != Some(out.len()) {
            out.fill(0.0);
        }
    }

    fn reset(&mut self) {
        let _ = self.0.reset_state();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sine(frame: usize, size: FrameSize) -> Vec<f32> {
        let step = std::f32::consts::TAU * 500.0 / SAMPLE_RATE as f32;
        (0..size.samples()).map(|n| 0.3 * (step * (frame * size.samples() + n) as f32).sin()).collect()
    }

    #[test]
    fn every_frame_size_comes_back_as_it_went_in_2_5_ms_later() {
        for size in FrameSize::ALL {
            let mut encoder = Encoder::new(size, 64_000).unwrap();
            assert_eq!(encoder.lookahead(), 120, "restricted low delay");
            let mut decoder = Decoder::new().unwrap();
            let (mut spoken, mut heard) = (Vec::new(), Vec::new());
            for n in 0..100 {
                let frame = sine(n, size);
                let mut payload = [0; MAX_PAYLOAD];
                let len = encoder.encode(&frame, &mut payload).unwrap();
                let mut out = vec![0.0; size.samples()];
                assert!(decoder.decode(&payload[..len], &mut out));
                spoken.extend(frame);
                heard.extend(out);
            }
            let from = heard.len() / 2;
            let error: f32 = (from..heard.len()).map(|n| (heard[n] - spoken[n - 120]).powi(2)).sum();
            let power: f32 = (from..heard.len()).map(|n| spoken[n - 120].powi(2)).sum();
            assert!(error < 0.01 * power, "{size:?}: {:.1} dB", 10.0 * (error / power).log10());
        }
    }

    #[test]
    fn five_milliseconds_at_32_kbit_take_20_bytes_and_the_format() {
        let mut encoder = Encoder::new(FrameSize::Ms5, 32_000).unwrap();
        let mut payload = [0; MAX_PAYLOAD];
        for n in 0..50 {
            assert_eq!(encoder.encode(&sine(n, FrameSize::Ms5), &mut payload).unwrap(), 21);
            assert_eq!(payload[0], 1);
        }
    }

    #[test]
    fn a_payload_that_is_not_one_frame_of_the_expected_kind_is_refused() {
        let mut payload = [0; MAX_PAYLOAD];
        let len = Encoder::new(FrameSize::Ms5, 32_000).unwrap().encode(&[0.1; 240], &mut payload).unwrap();
        let mut decoder = Decoder::new().unwrap();
        let mut out = [0.0; 240];
        assert!(!decoder.decode(&[], &mut out));
        assert!(!decoder.decode(&payload[..1], &mut out), "no Opus packet");
        for format in [0, 2, 3, 5, 0x81] {
            payload[0] = format;
            assert!(!decoder.decode(&payload[..len], &mut out), "format {format}");
        }
        payload[0] = 1;
        payload[1] = 0xff; // three frames of 20 ms and more
        assert!(!decoder.decode(&payload[..len], &mut out));
    }

    #[test]
    fn hostile_packets_never_break_the_decoder() {
        let mut decoder = Decoder::new().unwrap();
        let mut out = [0.0; 240];
        let mut random = 0x2545_f491_u32;
        for _ in 0..20_000 {
            let mut payload = [0_u8; 40];
            for byte in &mut payload {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                *byte = (random >> 24) as u8;
            }
            payload[0] = 1;
            let len = 1 + (random >> 8) as usize % 39;
            decoder.decode(&payload[..len], &mut out);
            decoder.conceal(&mut out);
            assert!(out.iter().all(|sample| sample.is_finite()));
        }
    }

    #[test]
    fn the_frame_sizes_are_those_of_the_command_line() {
        assert_eq!(FrameSize::from_millis(2.5), Some(FrameSize::Ms2_5));
        assert_eq!(FrameSize::from_millis(10.0), Some(FrameSize::Ms10));
        assert_eq!(FrameSize::from_millis(20.0), None);
        assert_eq!(FrameSize::ALL.map(FrameSize::samples), [120, 240, 480]);
    }
}
