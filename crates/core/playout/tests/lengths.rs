//! A speaker who changes the length of the frames in the middle of a word.

mod common;

use std::time::Duration;

use common::RATE;
use hyperzoom_media::AudioPacket;
use hyperzoom_playout::{FrameDecoder, Playout, PlayoutConfig, PlayoutStats};

/// A codec whose payload is the first sample's number and the frame's length, and, if it carries a copy, the same of an
/// earlier frame and how far back that is. Its sound is a tone that goes on from frame to frame.
struct Timed;

fn words(payload: &[u8]) -> Vec<u64> {
    payload.chunks_exact(8).map(|word| u64::from_be_bytes(word.try_into().expect("eight bytes"))).collect()
}

fn tone(first: u64, out: &mut [f32]) {
    for (sample, at) in out.iter_mut().zip(first..) {
        *sample = (std::f64::consts::TAU * 440.0 / RATE * at as f64).sin() as f32;
    }
}

impl FrameDecoder for Timed {
    fn decode(&mut self, payload: &[u8], out: &mut [f32]) -> bool {
        let words = words(payload);
        assert_eq!(words[1], out.len() as u64, "each frame is asked for at its own length");
        tone(words[0], out);
        true
    }

    fn conceal(&mut self, out: &mut [f32]) {
        out.fill(0.0);
    }

    fn reset(&mut self) {}

    fn recover(&mut self, later: &[u8], distance: u32, out: &mut [f32]) -> bool {
        let words = words(later);
        let has_it = self.carries(later, distance) && words[3] == out.len() as u64;
        if has_it {
            tone(words[2], out);
        }
        has_it
    }

    fn carries(&self, later: &[u8], distance: u32) -> bool {
        words(later).get(4) == Some(&u64::from(distance))
    }
}

/// A speaker who sends frames of the lengths that `length` says, on time, and what is heard of it in periods of 2.5 ms.
/// A packet comes when its last sample was spoken, or later by what `late` says, or never.
fn hear(
    frames: u64,
    copy_of: Option<u64>,
    length: impl Fn(u64) -> usize,
    late: impl Fn(u64) -> Option<Duration>,
) -> (Vec<f32>, PlayoutStats) {
    let mut all = Vec::new();
    let mut first = 0u64;
    let mut spoken = Vec::new();
    for n in 0..frames {
        let samples = length(n) as u64;
        spoken.push((first, samples));
        first += samples;
        if let Some(late) = late(n) {
            let mut words = vec![spoken[n as usize].0, samples];
            if let Some(back) = copy_of.filter(|back| *back <= n) {
                let copied = spoken[(n - back) as usize];
                words.extend([copied.0, copied.1, back]);
            }
            let payload: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
            let at = Duration::from_secs_f64(first as f64 / RATE) + late;
            all.push((samples as usize, AudioPacket::new(n, at, 0, &payload).expect("forty bytes fit")));
        }
    }
    all.sort_by_key(|(_, packet)| packet.arrived);
    let mut all = all.into_iter().peekable();
    let mut playout = Playout::new(PlayoutConfig::for_frames_of(length(0)));
    let mut sound = Vec::new();
    for n in 0..first / 120 {
        let now = Duration::from_micros(n * 2500);
        while let Some((samples, packet)) = all.next_if(|(_, packet)| packet.arrived <= now) {
            playout.set_frame_samples(samples);
            playout.insert(&packet);
        }
        let mut out = [0.0; 120];
        playout.pull(now, &mut out, &mut Timed);
        sound.extend(out);
    }
    (sound, playout.stats())
}

fn steepest(sound: &[f32]) -> f32 {
    sound.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f32::max)
}

const ON_TIME: Option<Duration> = Some(Duration::ZERO);
/// A tone of 440 Hz moves by 2π · 440 / 48000 a sample at most, and more while the voice fades in or a cut is faded.
const STEEPEST: f32 = 0.058 + 1.0 / 120.0;

#[test]
fn frames_of_another_length_follow_without_a_seam() {
    // Every change there is, again and again.
    let lengths = [120, 240, 480, 240, 120, 480, 120];
    for every in [1, 7, 200] {
        let (sound, stats) = hear(7000, None, |n| lengths[(n / every % 7) as usize], |_| ON_TIME);
        assert_eq!((stats.concealed_frames, stats.lost, stats.late, stats.resets), (0, 0, 0, 0), "{stats:?}");
        assert!(steepest(&sound) < STEEPEST, "every {every}: {}", steepest(&sound));
        let silent = sound[4_800..].chunks(60).filter(|part| part.iter().all(|s| s.abs() < 0.01)).count();
        assert_eq!(silent, 0, "the voice goes on");
    }
}

#[test]
fn packets_that_change_places_across_a_change_of_length_are_played_at_theirs() {
    // Every fifth packet comes 3 ms late, after the one that follows it where frames have 2.5 ms.
    let late = |n: u64| if n.is_multiple_of(5) { Some(Duration::from_millis(3)) } else { ON_TIME };
    let (sound, stats) = hear(4000, None, |n| if (n / 5).is_multiple_of(2) { 120 } else { 240 }, late);
    assert_eq!((stats.concealed_frames, stats.lost, stats.late, stats.resets), (0, 0, 0, 0), "{stats:?}");
    assert!(steepest(&sound) < STEEPEST);
}

#[test]
fn a_frame_that_is_lost_at_a_change_has_the_length_of_the_one_before() {
    let length = |n: u64| if (n / 100).is_multiple_of(2) { 120 } else { 240 };
    // The last one before each change.
    let (_, stats) = hear(4000, None, length, |n| if n % 100 == 99 { None } else { ON_TIME });
    let concealed = stats.concealed_frames - stats.stretched_frames;
    assert_eq!((concealed, stats.lost, stats.late), (39, 39, 0), "{stats:?}");
    assert_eq!(stats.resets, 0);
}

#[test]
fn a_copy_brings_back_a_frame_of_either_length() {
    let length = |n: u64| if (n / 100).is_multiple_of(2) { 120 } else { 240 };
    for copy_of in [1, 2] {
        // The last frame before each change, and one in the midst.
        let late = |n| if n % 100 == 99 || n % 100 == 50 { None } else { ON_TIME };
        let (sound, stats) = hear(4000, Some(copy_of), length, late);
        assert!(stats.repaired > 60, "{stats:?}");
        assert_eq!(
            stats.concealed_frames,
            stats.lost + stats.late - stats.repaired + stats.stretched_frames,
            "{stats:?}"
        );
        // At first the buffer is not as deep as copies need. Two losses in a hundred make it so.
        let at = sound.windows(2).rposition(|pair| (pair[1] - pair[0]).abs() > STEEPEST);
        assert!(at.is_none_or(|at| at < 48_000), "a click at {at:?} of {}: {stats:?}", sound.len());
    }
}

#[test]
fn a_change_after_a_long_calm_costs_what_longer_frames_come_later_and_no_packet() {
    // Ten seconds of one, twenty of the other. The depth is three milliseconds by then, and a longer frame is sent when
    // its last sample was spoken: it cannot be there in time. What is invented meanwhile is played on top.
    for (before, after) in [(120usize, 240usize), (240, 480), (120, 480), (480, 240), (480, 120), (240, 120)]
    {
        let change = 480_000 / before as u64;
        let frames = change + 960_000 / after as u64;
        let (sound, stats) = hear(frames, None, |n| if n < change { before } else { after }, |_| ON_TIME);
        let what = format!("{before} to {after}: {stats:?}");
        let allowed = after.saturating_sub(before).div_ceil(before) as u64;
        assert!(stats.concealed_frames <= allowed && stats.resets == 0, "{what}");
        assert_eq!(
            (stats.lost, stats.late, stats.concealed_frames),
            (0, 0, stats.stretched_frames),
            "{what}"
        );
        assert!(after > before || steepest(&sound[..]) < STEEPEST, "{what}");
        // And then it is as deep as ever.
        assert!(stats.depth < Duration::from_millis(5), "{what}");
    }
}
