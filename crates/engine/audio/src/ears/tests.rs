use std::time::Duration;

use hyperzoom_media::SAMPLE_RATE;
use hyperzoom_playout::{FrameSize, Repair};
use hyperzoom_timing::{SessionClock, align};

use super::*;
use crate::codec::{Encoder, MAX_PAYLOAD};
use crate::latency::dither;

/// Noise that swells and fades as syllables do, with most of its energy in a voice's band (Marsaglia's xorshift, 2003).
fn speech(seconds: usize) -> Vec<f32> {
    let (mut state, mut low, mut lower) = (0x2545_f491_4f6c_dd1d_u64, 0.0_f32, 0.0_f32);
    (0..seconds * SAMPLE_RATE as usize)
        .map(|n| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            low += 0.15 * ((state >> 40) as f32 / (1 << 23) as f32 - 1.0 - low);
            lower += 0.02 * (low - lower);
            let syllable = (n as f32 / SAMPLE_RATE as f32 * 4.0 * std::f32::consts::TAU).sin();
            0.6 * (low - lower) * (0.6 + 0.4 * syllable)
        })
        .collect()
}

/// A speaker whose device is `ppm` too fast, and the ears of one who hears it.
struct Rig {
    ears: VoiceEars,
    tape: Tape,
    encoder: Encoder,
    size: FrameSize,
    ppm: f64,
    sent: u64,
    clock: SessionClock,
    power: f32,
}

/// The local moment at which the speaker's first sample is captured; it is so much session time as well.
const BEGIN: Duration = Duration::from_micros(12_345_678);

impl Rig {
    fn new(size: FrameSize, ppm: f64) -> Self {
        let clock = SessionClock::IDENTITY;
        let ears = VoiceEars::new(SharedClock::of(clock));
        let (tape, reel) = ears.tape();
        ears.follow(2, reel);
        ears.begin();
        let encoder = Encoder::new(size, size.bitrate(64_000) as i32).unwrap();
        Self { ears, tape, encoder, size, ppm, sent: 0, clock, power: 0.01 }
    }

    /// When the speaker's sample is captured, in seconds after the beginning.
    fn captured(&self, sample: u64) -> f64 {
        sample as f64 / f64::from(SAMPLE_RATE) / (1.0 + self.ppm * 1e-6)
    }

    /// Says all of `samples`; of the frames that `lost` names the packet does not come.
    fn say(&mut self, samples: &[f32], lost: impl Fn(u64) -> bool) {
        for frame in samples.chunks_exact(self.size.samples()) {
            let mut payload = [0; MAX_PAYLOAD];
            let len = self.encoder.encode(frame, &mut payload).unwrap();
            let at = Duration::from_secs_f64(self.captured(self.sent * self.size.samples() as u64));
            let at = BEGIN + at;
            let stamp = self.clock.session_ms(at + dither(self.sent));
            let packet =
                AudioPacket::new(self.sent, at + Duration::from_millis(30), stamp, &payload[..len]).unwrap();
            if !lost(self.sent) {
                self.tape.note(&packet, self.power);
                self.ears.listen();
            }
            self.sent += 1;
        }
    }

    fn heard(&self) -> Vec<HeardPiece> {
        self.ears.heard(0, i64::MAX)
    }

    /// How much later the piece has the sound than it says, in milliseconds; its ends are held against the speaker's samples.
    fn offset_ms(&self, piece: &HeardPiece, said: &[f32]) -> f64 {
        let index = |ns: i64| {
            let seconds = (ns - BEGIN.as_nanos() as i64) as f64 / 1e9;
            seconds * f64::from(SAMPLE_RATE) * (1.0 + self.ppm * 1e-6)
        };
        let length = piece.samples.len();
        let ends = [(0, index(piece.from_ns)), (length - 24_000, index(piece.to_ns) - 23_999.0)];
        let offsets = ends.map(|(from, at)| {
            let there = &said[at as usize - 480..][..24_960];
            let found = align(&piece.samples[from..from + 24_000], there, SAMPLE_RATE, 960).unwrap();
            assert!(found.correlation > 0.7 && found.rival < 0.7, "{found:?}");
            (480.0 + at.fract() - found.lag) / 48.0
        });
        offsets[if offsets[0].abs() > offsets[1].abs() { 0 } else { 1 }]
    }
}

#[test]
fn a_piece_lies_where_it_was_said_whatever_the_frames_the_crystal_and_the_losses() {
    let said = speech(10);
    for size in FrameSize::ALL {
        for ppm in [0.0, -300.0, 300.0] {
            // None, one in twelve that copies mend, and one in twenty that nothing mends.
            for (copies, every) in
                [(Repair::NONE, u64::MAX), (Repair { distances: [1, 3] }, 12), (Repair::NONE, 20)]
            {
                let mut rig = Rig::new(size, ppm);
                rig.encoder.set_repair(copies);
                rig.say(&said, |n| n % every == 7);
                let pieces = rig.heard();
                assert_eq!(pieces.iter().map(|it| it.place).collect::<Vec<_>>(), ["start", "middle", "end"]);
                for piece in &pieces {
                    assert_eq!((piece.speaker, piece.samples.len()), (2, 96_000));
                    let length = (piece.to_ns - piece.from_ns) as f64 / 1e9 * (1.0 + ppm * 1e-6);
                    assert!((length - 95_999.0 / 48_000.0).abs() < 1e-4, "{length} s");
                    let off = rig.offset_ms(piece, &said);
                    assert!(off.abs() < 0.05, "{off:.4} ms: {size:?}, {ppm} ppm, one lost of {every}");
                }
            }
        }
    }
}

#[test]
fn silence_a_mute_and_a_hole_are_in_no_piece() {
    let said = speech(5);
    let mut rig = Rig::new(FrameSize::Ms5, 0.0);
    rig.power = 1e-7;
    rig.say(&said, |_| false);
    assert!(rig.heard().is_empty());
    // Muted for a tenth of each second and a half.
    let mut rig = Rig::new(FrameSize::Ms5, 0.0);
    rig.say(&said, |n| n % 300 >= 280);
    assert!(rig.heard().is_empty());
    // One of five lost for good.
    rig.say(&said, |n| n % 5 == 0);
    assert!(rig.heard().is_empty());
    // After all that it is heard again.
    let offset = rig.sent as usize * 240;
    rig.say(&said, |_| false);
    let pieces = rig.heard();
    let all = [vec![0.0; offset], said].concat();
    assert!(!pieces.is_empty() && pieces.iter().all(|piece| rig.offset_ms(piece, &all).abs() < 0.05));
}

#[test]
fn stamps_of_another_time_are_not_believed() {
    let said = speech(5);
    let mut rig = Rig::new(FrameSize::Ms5, 0.0);
    rig.clock.offset_ns = 5_000_000_000;
    rig.say(&said, |_| false);
    assert!(rig.heard().is_empty());
    // The speaker's clock is corrected by 20 ms in the middle of each piece.
    let mut rig = Rig::new(FrameSize::Ms5, 0.0);
    for second in said.chunks(48_000) {
        rig.clock.offset_ns += 20_000_000;
        rig.say(second, |_| false);
    }
    assert!(rig.heard().is_empty());
    // Nobody knows the session's clock.
    let mut rig = Rig::new(FrameSize::Ms5, 0.0);
    rig.ears = VoiceEars::new(SharedClock::new());
    let (tape, reel) = rig.ears.tape();
    rig.ears.follow(2, reel);
    rig.ears.begin();
    rig.tape = tape;
    rig.say(&said, |_| false);
    assert!(rig.heard().is_empty());
}

#[test]
fn stamps_that_wrap_go_on() {
    let mut rig = Rig::new(FrameSize::Ms5, 0.0);
    // The stamps pass 2^32 ms in the second second.
    let offset_ns = ((1_i64 << 32) - 13_500) * 1_000_000;
    rig.clock.offset_ns = offset_ns;
    let ears = VoiceEars::new(SharedClock::of(rig.clock));
    let (tape, reel) = ears.tape();
    ears.follow(2, reel);
    ears.begin();
    (rig.ears, rig.tape) = (ears, tape);
    let said = speech(3);
    rig.say(&said, |_| false);
    let mut pieces = rig.heard();
    assert_eq!(pieces.len(), 1);
    (pieces[0].from_ns, pieces[0].to_ns) = (pieces[0].from_ns - offset_ns, pieces[0].to_ns - offset_ns);
    assert!(rig.offset_ms(&pieces[0], &said).abs() < 0.05);
}

#[test]
fn a_take_begins_with_nothing_and_a_voice_that_comes_back_goes_on() {
    let said = speech(5);
    let mut rig = Rig::new(FrameSize::Ms10, 0.0);
    rig.say(&said, |_| false);
    assert_eq!(rig.heard().len(), 2);
    assert!(rig.ears.heard(0, 1_000_000_000).is_empty(), "before it was said");
    let (tape, reel) = rig.ears.tape();
    rig.ears.follow(2, reel);
    rig.tape = tape;
    rig.say(&said, |_| false);
    assert_eq!(rig.heard().len(), 3);
    let ears: std::sync::Arc<dyn Ears> = std::sync::Arc::new(rig.ears.clone());
    rig.ears.begin();
    assert!(ears.heard(0, i64::MAX).is_empty());
}

#[test]
fn nothing_that_is_sent_takes_more_than_its_share_of_memory() {
    let mut rig = Rig::new(FrameSize::Ms2_5, 0.0);
    let mut state = 1_u64;
    for n in 0..300_000_u64 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mut payload = [0; AudioPacket::MAX_LEN];
        payload[0] = (state >> 62) as u8;
        // As long as it can be, and now and then longer; numbers go on, jump, or come again.
        let len = if state >> 40 & 0xff == 0 { 1000 } else { MOST_BYTES };
        let sequence = match state >> 50 & 0x1f {
            0 => state,
            1 => n / 2,
            _ => n,
        };
        if n % 100_000 > 50_000 {
            payload[0] = 0;
        }
        let at = BEGIN + Duration::from_micros(2500) * n as u32;
        let stamp = rig.clock.session_ms(at);
        rig.tape.note(&AudioPacket::new(sequence, at, stamp, &payload[..len]).unwrap(), 1.0);
        rig.ears.listen();
    }
    let kept = rig.ears.lock().voices[&2].pieces.iter().count();
    assert!(kept <= 10);
    for piece in rig.heard() {
        assert_eq!(piece.samples.len(), 96_000);
        assert!(piece.samples.iter().all(|sample| sample.is_finite()));
    }
    // Nobody takes them: the tape is full, and that is all.
    for n in 0..2 * TAPE as u64 {
        rig.tape.note(&AudioPacket::new(n, BEGIN, 0, &[0; 20]).unwrap(), 1.0);
    }
}

#[test]
fn before_a_take_nothing_is_copied() {
    let ears = VoiceEars::new(SharedClock::of(SessionClock::IDENTITY));
    let (mut tape, mut reel) = ears.tape();
    let packet = AudioPacket::new(1, BEGIN, 0, &[0; 20]).unwrap();
    tape.note(&packet, 1.0);
    assert!(reel.0.try_pop().is_none());
    ears.begin();
    tape.note(&packet, 1.0);
    assert!(reel.0.try_pop().is_some());
}
