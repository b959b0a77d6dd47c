//! Whatever comes as a voice's packets, the listener's side goes on and makes sound of it, or none.

use std::time::Duration;

use hyperzoom_audio::{Decoder, Encoder, FrameSize, MAX_PAYLOAD};
use hyperzoom_media::AudioPacket;
use hyperzoom_playout::{Playout, PlayoutConfig, Repair};
use proptest::prelude::*;

/// What is done to a good payload.
#[derive(Debug, Clone)]
enum Attack {
    None,
    /// One byte is another.
    Flip(prop::sample::Index, u8),
    /// The end is missing.
    Cut(prop::sample::Index),
    /// Something follows it.
    Append(Vec<u8>),
    /// The format byte is another, so that copies are where there are none, or the frame has another length.
    Format(u8),
    /// Nothing of it is left.
    Replace(Vec<u8>),
}

impl Attack {
    fn on(&self, payload: &[u8]) -> Vec<u8> {
        let mut bytes = payload.to_vec();
        match self {
            Self::None => {}
            Self::Flip(at, with) => *at.get_mut(&mut bytes) ^= with,
            Self::Cut(at) => bytes.truncate(at.index(bytes.len())),
            Self::Append(more) => bytes.extend(more),
            Self::Format(format) => bytes[0] = *format,
            Self::Replace(with) => bytes.clone_from(with),
        }
        bytes
    }
}

fn attack() -> impl Strategy<Value = Attack> {
    let bytes = |most| proptest::collection::vec(any::<u8>(), 0..=most);
    prop_oneof![
        4 => Just(Attack::None),
        2 => (any::<prop::sample::Index>(), 1..=255_u8).prop_map(|(at, with)| Attack::Flip(at, with)),
        1 => any::<prop::sample::Index>().prop_map(Attack::Cut),
        1 => bytes(64).prop_map(Attack::Append),
        1 => any::<u8>().prop_map(Attack::Format),
        1 => bytes(AudioPacket::MAX_LEN).prop_map(Attack::Replace),
    ]
}

/// A frame's number as it is told: mostly the next, sometimes any.
fn step() -> impl Strategy<Value = u64> {
    prop_oneof![8 => Just(0), 2 => 0..300_u64, 1 => any::<u64>()]
}

fn voice(n: usize, samples: usize) -> Vec<f32> {
    (0..samples).map(|i| 0.3 * (0.05 * (n * samples + i) as f32).sin()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_packet_breaks_the_listener_and_it_recovers(
        packets in proptest::collection::vec((attack(), step(), 0..4_usize, any::<[u8; 2]>()), 1..200),
        size in proptest::sample::select(FrameSize::ALL.to_vec()),
    ) {
        let mut encoder = Encoder::new(size, 32_000).unwrap();
        let mut decoder = Decoder::new().unwrap();
        let mut playout = Playout::new(PlayoutConfig::for_frames_of(size.samples()));
        let (mut now, mut period) = (Duration::ZERO, [0.0; 120]);
        let mut payload = [0; MAX_PAYLOAD];
        for (n, (attack, wild, pulls, [near, far])) in packets.iter().enumerate() {
            encoder.set_repair(Repair { distances: [near % 8, far % 8] });
            let len = encoder.encode(&voice(n, size.samples()), &mut payload).unwrap();
            let bytes = attack.on(&payload[..len]);
            if let Ok(packet) = AudioPacket::new(n as u64 ^ wild, now, 0, &bytes) {
                // The playout follows the length that the packet claims, as the mixer has it do.
                let claimed = bytes.first().and_then(|format| FrameSize::ALL.get(usize::from(format & 3)));
                if let Some(size) = claimed {
                    playout.set_frame_samples(size.samples());
                }
                playout.insert(&packet);
            }
            for _ in 0..*pulls {
                playout.pull(now, &mut period, &mut decoder);
                prop_assert!(period.iter().all(|sample| sample.is_finite()));
                now += Duration::from_micros(2500);
            }
        }
        // The speaker begins anew, with a key and numbers of its own.
        playout.reset();
        playout.set_frame_samples(size.samples());
        let mut encoder = Encoder::new(size, 32_000).unwrap();
        let mut loudest = 0.0_f32;
        for n in 0..400_usize {
            if (n * 120).is_multiple_of(size.samples()) {
                let frame = n * 120 / size.samples();
                let len = encoder.encode(&voice(frame, size.samples()), &mut payload).unwrap();
                playout.insert(&AudioPacket::new(frame as u64, now, 0, &payload[..len]).unwrap());
            }
            playout.pull(now, &mut period, &mut decoder);
            now += Duration::from_micros(2500);
            if n >= 200 {
                loudest = period.iter().fold(loudest, |loudest, sample| loudest.max(sample.abs()));
            }
        }
        prop_assert!((0.2..0.5).contains(&loudest), "{loudest}");
    }
}
