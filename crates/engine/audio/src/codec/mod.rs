//! Opus, set for the lowest delay, and what goes in front of it.
//!
//! A payload of live audio is a format byte, up to two copies of earlier frames, and the frame's own Opus packet to the end.
//! Bits 0 and 1 of the format byte are the frame's duration ([`FrameSize`]), bits 2 to 4 how many frames before this one the
//! first copy is of (0: there is none), bits 5 to 7 the same of the second. A copy is a byte with its length and that
//! frame's Opus packet, of the same duration.
//!
//! Copies are what repairs a loss. Opus's own redundancy is SILK's, and frames of 10 ms and less are CELT: it would
//! do nothing. A copy is decoded when its frame is due, so the decoder never knows that the packet was lost.

mod payload;

use opus::{Application, Bitrate, Channels};

use hyperzoom_media::SAMPLE_RATE;
use hyperzoom_playout::{FrameDecoder, FrameSize, Repair};

pub use payload::MAX_PAYLOAD;
use payload::{History, Payload};

/// How long the frame of a payload is; `None` for a format that this version does not know.
pub(crate) fn frame_size(payload: &[u8]) -> Option<FrameSize> {
    FrameSize::from_code(*payload.first()? & 3)
}

/// The longest Opus packet, in bytes: 10 ms at 510 kbit/s, Opus's highest.
const MAX_PACKET: usize = 638;

/// The losses, in percent, that the encoder is told to expect: those that copies leave. Above this libopus predicts less across
/// frames, so that a decoder is right again sooner after a loss. That helps where nothing is repaired, and is heard all the time:
/// with 20, speech in frames of 5 ms at 64 kbit/s scores 3.4 instead of 3.8 where nothing is lost, and where copies mend a loss of
/// one in ten it scores 3.3 instead of 3.65 (`./x bench loss`).
const EXPECTED_LOSS_PERCENT: i32 = 2;

/// How late libopus is, in samples: the lookahead of its low-delay mode (`OPUS_GET_LOOKAHEAD`), 2.5 ms.
pub(crate) const LOOKAHEAD: usize = 120;

/// Of 0 to 10. More costs CPU, and `./x bench loss` hears nothing of it.
const COMPLEXITY: i32 = 5;

/// One microphone's encoder.
pub struct Encoder {
    opus: opus::Encoder,
    size: FrameSize,
    repair: Repair,
    history: History,
    packet: [u8; MAX_PACKET],
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
        opus.set_complexity(COMPLEXITY)?;
        opus.set_packet_loss_perc(EXPECTED_LOSS_PERCENT)?;
        opus.set_dtx(false)?;
        Ok(Self { opus, size, repair: Repair::NONE, history: History::EMPTY, packet: [0; MAX_PACKET] })
    }

    /// The duration of the frames.
    #[must_use]
    pub fn size(&self) -> FrameSize {
        self.size
    }

    /// The next frames are of this `size`, at this `bitrate`. No copy reaches back beyond a change, since a copy is as long as the
    /// frame that carries it. Does nothing where it is the same size as before.
    ///
    /// # Errors
    /// libopus's own, as for a bitrate that it does not know; the size is changed all the same.
    pub fn set_size(&mut self, size: FrameSize, bitrate: i32) -> Result<(), opus::Error> {
        if size == self.size {
            return Ok(());
        }
        self.size = size;
        self.history.clear();
        self.opus.set_bitrate(Bitrate::Bits(bitrate))
    }

    /// Which earlier frames the next ones carry copies of. A copy costs the frame's bitrate once more.
    pub fn set_repair(&mut self, repair: Repair) {
        self.repair = repair;
    }

    /// Encodes one frame into `payload`; returns its length. Neither allocates nor blocks.
    ///
    /// # Errors
    /// libopus's own, as for a `frame` that is not of the encoder's size. Such a frame counts like a
    /// [skipped](Self::skip) one.
    pub fn encode(&mut self, frame: &[f32], payload: &mut [u8; MAX_PAYLOAD]) -> Result<usize, opus::Error> {
        // Another length that Opus has would be encoded, and not be what the format byte says; none at all is an error.
        let frame = if frame.len() == self.size.samples() { frame } else { &[] };
        let len = self.opus.encode_float(frame, &mut self.packet).inspect_err(|_| self.history.push(&[]))?;
        let packet = &self.packet[..len];
        let len = payload::write(self.size, self.repair, &self.history, packet, payload);
        self.history.push(packet);
        Ok(len)
    }

    /// A frame is numbered, but not sent: the distances of copies count it.
    pub fn skip(&mut self) {
        self.history.push(&[]);
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

impl Decoder {
    /// Decodes one Opus packet that must fill `out`.
    fn decode_packet(&mut self, packet: &[u8], out: &mut [f32]) -> bool {
        // An empty packet is libopus's word for a lost one. One with more or less sound than a frame would leave `out` half filled.
        !packet.is_empty()
            && self.0.get_nb_samples(packet).ok() == Some(out.len())
            && self.0.decode_float(packet, out, false).ok() == Some(out.len())
    }
}

impl FrameDecoder for Decoder {
    fn decode(&mut self, payload: &[u8], out: &mut [f32]) -> bool {
        Payload::parse(payload)
            .filter(|payload| payload.size.samples() == out.len())
            .is_some_and(|payload| self.decode_packet(payload.packet, out))
    }

    fn recover(&mut self, later_payload: &[u8], distance: u32, out: &mut [f32]) -> bool {
        Payload::parse(later_payload)
            .filter(|payload| payload.size.samples() == out.len())
            .and_then(|payload| payload.copy(distance))
            .is_some_and(|packet| self.decode_packet(packet, out))
    }

    fn carries(&self, later_payload: &[u8], distance: u32) -> bool {
        Payload::parse(later_payload).is_some_and(|payload| payload.copy(distance).is_some())
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
            assert_eq!(encoder.lookahead(), LOOKAHEAD as i32, "restricted low delay");
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
            let error: f32 = (from..heard.len()).map(|n| (heard[n] - spoken[n - LOOKAHEAD]).powi(2)).sum();
            let power: f32 = (from..heard.len()).map(|n| spoken[n - LOOKAHEAD].powi(2)).sum();
            assert!(error < 0.01 * power, "{size:?}: {:.1} dB", 10.0 * (error / power).log10());
        }
    }

    /// How much of a voice-like sound is noise after it went through the codec, from 0.
    fn noise(size: FrameSize, bitrate: u32) -> f32 {
        let voice: Vec<f32> = (0..SAMPLE_RATE as usize)
            .map(|n| {
                let t = n as f32 / SAMPLE_RATE as f32;
                let pitch = std::f32::consts::TAU * (120.0 * t + 3.0 * (4.0 * t).sin());
                (1..40).map(|k| (pitch * k as f32).sin() / (k * k) as f32).sum::<f32>()
                    * 0.2
                    * (9.0 * t).sin()
            })
            .collect();
        let mut encoder = Encoder::new(size, bitrate as i32).unwrap();
        let mut decoder = Decoder::new().unwrap();
        let mut heard = Vec::new();
        for frame in voice.chunks_exact(size.samples()) {
            let mut payload = [0; MAX_PAYLOAD];
            let len = encoder.encode(frame, &mut payload).unwrap();
            let mut out = vec![0.0; size.samples()];
            assert!(decoder.decode(&payload[..len], &mut out));
            heard.extend(out);
        }
        let power: f32 = voice.iter().map(|x| x * x).sum();
        voice.iter().zip(&heard[LOOKAHEAD..]).map(|(x, y)| (x - y).powi(2)).sum::<f32>() / power
    }

    #[test]
    fn the_shortest_frames_sound_no_worse_at_their_bitrate() {
        let usual = noise(FrameSize::Ms5, FrameSize::Ms5.bitrate(64_000));
        let [short, starved] = [FrameSize::Ms2_5.bitrate(64_000), 64_000].map(|b| noise(FrameSize::Ms2_5, b));
        assert!(short < usual && starved > 1.5 * usual, "{short} {usual} {starved}");
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
    fn a_lost_frame_decoded_out_of_a_copy_is_the_frame_itself() {
        for size in FrameSize::ALL {
            let mut encoder = Encoder::new(size, 32_000).unwrap();
            encoder.set_repair(Repair { distances: [1, 3] });
            let payloads: Vec<Vec<u8>> = (0..40)
                .map(|n| {
                    let mut payload = [0; MAX_PAYLOAD];
                    let len = encoder.encode(&sine(n, size), &mut payload).unwrap();
                    payload[..len].to_vec()
                })
                .collect();
            let (mut whole, mut repaired) = (Decoder::new().unwrap(), Decoder::new().unwrap());
            let [mut wanted, mut out] = [vec![0.0; size.samples()], vec![0.0; size.samples()]];
            for n in 0..payloads.len() - 3 {
                assert!(whole.decode(&payloads[n], &mut wanted));
                // Two in a row are lost, again and again.
                if n % 5 < 3 {
                    assert!(repaired.decode(&payloads[n], &mut out));
                } else {
                    assert!(!repaired.recover(&payloads[n + 2], 2, &mut out), "there is no such copy");
                    let distance = if n % 5 == 3 { 3 } else { 1 };
                    assert!(repaired.recover(&payloads[n + distance], distance as u32, &mut out));
                }
                assert_eq!(out, wanted, "{size:?}, frame {n}");
            }
        }
    }

    #[test]
    fn a_copy_is_as_long_as_the_frame_that_carries_it() {
        let mut encoder = Encoder::new(FrameSize::Ms5, 32_000).unwrap();
        encoder.set_repair(Repair { distances: [1, 2] });
        let mut payload = [0; MAX_PAYLOAD];
        let mut lens = Vec::new();
        for n in 0..3 {
            lens.push(encoder.encode(&sine(n, FrameSize::Ms5), &mut payload).unwrap());
        }
        encoder.set_size(FrameSize::Ms10, 32_000).unwrap();
        for n in 0..3 {
            lens.push(encoder.encode(&sine(n, FrameSize::Ms10), &mut payload).unwrap());
        }
        encoder.skip();
        lens.push(encoder.encode(&sine(3, FrameSize::Ms10), &mut payload).unwrap());
        assert_eq!(lens, [21, 42, 63, 41, 82, 123, 82], "the skipped frame has no copy");
        let mut out = [0.0; 480];
        let mut decoder = Decoder::new().unwrap();
        assert!(decoder.recover(&payload[..82], 2, &mut out));
        assert!(!decoder.recover(&payload[..82], 1, &mut out));
        assert!(!decoder.recover(&payload[..82], 2, &mut out[..240]), "not the listener's frame");
        assert!(encoder.encode(&[0.0; 240], &mut payload).is_err(), "not the encoder's frame");
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
            // Of 5 ms, with and without copies, whose lengths sometimes fit.
            payload[0] = payload[0] & !3 | 1;
            payload[1] %= 40;
            let len = 1 + (random >> 8) as usize % 39;
            decoder.decode(&payload[..len], &mut out);
            decoder.recover(&payload[..len], random >> 29, &mut out);
            decoder.conceal(&mut out);
            assert!(out.iter().all(|sample| sample.is_finite()));
        }
    }
}
