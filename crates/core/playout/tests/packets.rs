//! Packets one by one: out of order, twice, too late, damaged, from nowhere.

mod common;

use std::time::Duration;

use common::{Nothing, Tone, packet};
use hyperzoom_media::AudioPacket;
use hyperzoom_playout::{Playout, PlayoutConfig};
use proptest::prelude::*;

const FRAME: Duration = Duration::from_millis(5);

fn at(frames: u64) -> Duration {
    Duration::from_secs(1) + FRAME * frames as u32
}

/// Plays frames up to `until`, each packet on time, in blocks of one frame.
fn play(playout: &mut Playout, frames: std::ops::Range<u64>) -> Vec<f32> {
    let mut sound = Vec::new();
    for n in frames {
        playout.insert(&packet(n, at(n)));
        let mut out = [0.0; 240];
        playout.pull(at(n), &mut out, &mut Tone::default());
        sound.extend(out);
    }
    sound
}

#[test]
fn before_the_first_packet_there_is_silence() {
    let mut playout = Playout::new(PlayoutConfig::default());
    let mut out = [1.0; 333];
    playout.pull(at(0), &mut out, &mut Tone::default());
    assert_eq!(out, [0.0; 333]);
    assert_eq!(playout.stats().received, 0);
    playout.pull(at(0), &mut [], &mut Tone::default());
}

#[test]
fn the_first_frame_is_heard_after_the_start_depth_and_no_later() {
    let mut playout = Playout::new(PlayoutConfig::default());
    let sound = play(&mut playout, 0..10);
    let first = sound.iter().position(|s| *s != 0.0).unwrap();
    // 10 ms, and what the resampler holds back.
    assert!((480..500).contains(&first), "{first}");
}

#[test]
fn two_packets_that_changed_places_are_both_played() {
    let mut playout = Playout::new(PlayoutConfig::default());
    for n in [1, 0, 3, 2, 5, 4] {
        playout.insert(&packet(n, at(n)));
    }
    let mut out = [0.0; 240];
    (0..7).for_each(|n| playout.pull(at(n), &mut out, &mut Tone::default()));
    let stats = playout.stats();
    assert_eq!((stats.lost, stats.late, stats.duplicates, stats.concealed_frames), (0, 0, 0, 0), "{stats:?}");
}

#[test]
fn a_packet_that_comes_twice_is_counted_and_played_once() {
    let mut playout = Playout::new(PlayoutConfig::default());
    play(&mut playout, 0..20);
    playout.insert(&packet(19, at(19)));
    playout.insert(&packet(3, at(19)));
    play(&mut playout, 20..40);
    let stats = playout.stats();
    assert_eq!((stats.received, stats.duplicates, stats.late, stats.lost), (42, 2, 0, 0));
}

#[test]
fn a_late_packet_is_late_and_no_longer_lost() {
    let mut playout = Playout::new(PlayoutConfig::default());
    play(&mut playout, 0..20);
    play(&mut playout, 21..30);
    let before = playout.stats();
    assert_eq!((before.lost, before.late, before.concealed_frames), (1, 0, 1));
    playout.insert(&packet(20, at(30)));
    playout.insert(&packet(20, at(30)));
    let after = playout.stats();
    assert_eq!((after.lost, after.late, after.duplicates), (0, 1, 1));
}

#[test]
fn a_damaged_payload_is_concealed() {
    let mut playout = Playout::new(PlayoutConfig::default());
    play(&mut playout, 0..20);
    playout.insert(&AudioPacket::new(20, at(20), 0, &[1, 2, 3]).unwrap());
    play(&mut playout, 21..40);
    let stats = playout.stats();
    assert_eq!((stats.damaged, stats.concealed_frames, stats.lost), (1, 1, 0));
}

#[test]
fn a_speaker_who_begins_anew_is_heard_again() {
    for sequence in [0u64, 5_000, 1 << 40] {
        let mut playout = Playout::new(PlayoutConfig::default());
        let shifted = |n: u64| packet(2_000 + n, at(n));
        let mut out = [0.0; 240];
        for n in 0..50 {
            playout.insert(&shifted(n));
            playout.pull(at(n), &mut out, &mut Tone::default());
        }
        for n in 50..150 {
            playout.insert(&packet(sequence + n - 50, at(n)));
            playout.pull(at(n), &mut out, &mut Tone::default());
        }
        assert!(playout.is_playing());
        let energy: f32 = out.iter().map(|s| s * s).sum();
        assert!(energy > 50.0, "from {sequence}: {energy}");
    }
}

#[test]
fn a_reset_takes_the_next_packet_for_the_first() {
    let mut playout = Playout::new(PlayoutConfig::default());
    play(&mut playout, 1000..1050);
    playout.reset();
    let mut out = [1.0; 240];
    playout.pull(at(1050), &mut out, &mut Tone::default());
    assert_eq!(out, [0.0; 240]);
    play(&mut playout, 900..950);
    assert!(playout.is_playing());
    assert_eq!((playout.stats().late, playout.stats().received), (0, 100));
}

#[test]
fn numbers_up_to_the_last_that_there_is_are_played() {
    // Sequence numbers are extended to 64 bits where packets are opened, and the playout never looks at the 32-bit
    // timestamp. So nothing wraps here; at the last number it ends.
    let first = u64::MAX - 99;
    let mut playout = Playout::new(PlayoutConfig::default());
    let mut out = [0.0; 240];
    for n in 0..100 {
        playout.insert(
            &AudioPacket::new(first + n, at(n), u32::MAX - 50 + n as u32 % 40, &n.to_be_bytes()).unwrap(),
        );
        playout.pull(at(n), &mut out, &mut Tone::default());
    }
    let stats = playout.stats();
    assert_eq!((stats.lost, stats.late, stats.concealed_frames, stats.resets), (0, 0, 0, 0), "{stats:?}");
    assert!(playout.is_playing());
    // Numbers of 16 and of 32 bits go on as well.
    for boundary in [1u64 << 16, 1 << 32] {
        let mut playout = Playout::new(PlayoutConfig::default());
        play_from(&mut playout, boundary - 50, 100);
        let stats = playout.stats();
        assert_eq!((stats.received, stats.lost, stats.late, stats.concealed_frames), (100, 0, 0, 0));
    }
}

/// Plays so many frames, numbered from `first`, each packet on time.
fn play_from(playout: &mut Playout, first: u64, frames: u64) {
    for n in 0..frames {
        playout.insert(&packet(first + n, at(n)));
        playout.pull(at(n), &mut [0.0; 240], &mut Tone::default());
    }
}

#[test]
fn a_late_packet_whose_frame_was_repaired_is_late_and_still_repaired() {
    let mut playout = Playout::new(PlayoutConfig::default());
    let mut tone = Tone { copy_of: Some(1), ..Tone::default() };
    let mut out = [0.0; 240];
    for n in 0..40 {
        if n != 20 {
            playout.insert(&packet(n, at(n)));
        }
        playout.pull(at(n), &mut out, &mut tone);
    }
    let before = playout.stats();
    assert_eq!((before.lost, before.late, before.repaired, before.concealed_frames), (1, 0, 1, 0));
    let target = before.target;
    playout.insert(&packet(20, at(40)));
    let after = playout.stats();
    assert_eq!((after.lost, after.late, after.repaired, after.concealed_frames), (0, 1, 1, 0));
    assert_eq!(after.target, target, "what a copy repaired is no reason to be deeper");
}

#[test]
fn copies_of_the_seventh_frame_back_repair_and_of_the_eighth_do_not() {
    for (distance, repaired) in [(1, 1), (3, 1), (7, 1), (8, 0)] {
        let config = PlayoutConfig {
            start_depth: Duration::from_millis(50),
            max_depth: Duration::from_millis(60),
            ..PlayoutConfig::default()
        };
        let mut playout = Playout::new(config);
        let mut tone = Tone { copy_of: Some(distance), ..Tone::default() };
        for n in 0..60 {
            if n != 20 {
                playout.insert(&packet(n, at(n)));
            }
            playout.pull(at(n), &mut [0.0; 240], &mut tone);
        }
        let stats = playout.stats();
        assert_eq!(
            (stats.repaired, stats.concealed_frames),
            (repaired, 1 - repaired),
            "{distance} back: {stats:?}"
        );
    }
}

proptest! {
    #[test]
    fn no_packets_and_no_moments_panic(
        steps in proptest::collection::vec((any::<u64>(), 0u64..200, 0u64..100_000, 0usize..2000, any::<bool>()), 1..300),
        frame in proptest::sample::select(vec![120usize, 240, 480]),
    ) {
        let mut playout = Playout::new(PlayoutConfig::for_frames_of(frame));
        let mut out = [0.0; 2000];
        let (mut now, mut sequence) = (Duration::ZERO, 0u64);
        for (wild, step, micros, samples, tame) in steps {
            sequence = if tame { sequence.saturating_add(step % 4) } else if step > 190 { wild } else { sequence ^ (step % 64) };
            playout.insert(&packet(sequence, now.saturating_sub(Duration::from_micros(step * 200))));
            // Callbacks do not promise that time runs forward by much, or at all.
            now += Duration::from_micros(micros);
            playout.pull(now, &mut out[..samples], &mut Nothing);
            prop_assert!(out.iter().all(|s| s.is_finite()));
        }
    }
}
