//! A voice's payloads on their way through copies, jitter buffer and decoder.

use std::time::Duration;

use hyperzoom_audio::{Decoder, FrameSize};
use hyperzoom_media::AudioPacket;
use hyperzoom_playout::{Playout, PlayoutConfig};

/// How much is played at once, in samples.
const PERIOD: usize = 120;

/// Four bytes before each payload: its length, how far its number is from the last, and how often is played before it.
pub(crate) fn run(mut data: &[u8]) {
    let mut decoder = Decoder::new().expect("libopus is there");
    let mut playout = Playout::new(PlayoutConfig::for_frames_of(FrameSize::Ms5.samples()));
    let (mut now, mut period, mut sequence) = (Duration::ZERO, [0.0; PERIOD], 0_u64);
    while let Some(([len, stride, back, pulls], rest)) =
        data.split_first_chunk().map(|(head, rest)| (*head, rest))
    {
        let (payload, rest) = rest.split_at(rest.len().min(usize::from(len)));
        data = rest;
        sequence = (sequence + u64::from(stride)).saturating_sub(u64::from(back));
        for _ in 0..pulls % 8 {
            playout.pull(now, &mut period, &mut decoder);
            assert!(period.iter().all(|sample| sample.is_finite()), "a sample that no loudspeaker can play");
            now += Duration::from_micros(2500);
        }
        // The playout follows the length that the packet claims, as the mixer has it do.
        let claimed = payload.first().and_then(|format| FrameSize::ALL.get(usize::from(format & 3)));
        if let Some(size) = claimed {
            playout.set_frame_samples(size.samples());
        }
        if let Ok(packet) = AudioPacket::new(sequence, now, 0, payload) {
            playout.insert(&packet);
        }
    }
}
