//! Nothing is allocated or freed after a playout was made: its callers are sound callbacks.

mod common;

use std::time::Duration;

use common::{Tone, packet};
use hyperzoom_playout::{Playout, PlayoutConfig};
use hyperzoom_testkit::{CountingHeap, heap_calls};

#[global_allocator]
static HEAP: CountingHeap = CountingHeap;

#[test]
fn the_counter_counts() {
    assert_eq!(heap_calls(|| drop(std::hint::black_box(vec![0u8; 100]))), 2);
}

#[test]
fn nothing_allocates_or_frees_in_a_call_with_everything_that_can_happen() {
    for frame in [120usize, 240, 480] {
        let mut playout = Playout::new(PlayoutConfig::for_frames_of(frame));
        let mut tone = Tone::default();
        let mut out = [0.0f32; 2000];
        let span = Duration::from_secs_f64(frame as f64 / 48e3);
        let happened = heap_calls(|| {
            for n in 0..4_000u64 {
                let now = span * n as u32;
                let lost = n % 17 == 0 || (1_000..1_100).contains(&n);
                let late = n % 41 == 0;
                if !lost && !late {
                    // A jump in the numbers half-way.
                    playout.insert(&packet(if n > 2_000 { n + 100_000 } else { n }, now));
                }
                if n % 41 == 40 {
                    // It comes too late, and twice.
                    let number = if n > 2_040 { n - 40 + 100_000 } else { n - 40 };
                    playout.insert(&packet(number, now));
                    playout.insert(&packet(number, now));
                }
                if n % 500 != 499 {
                    // Periods of all kinds, that come to a frame's length each on average.
                    let samples = if n % 2 == 0 { frame / 2 + 1 } else { frame + frame / 2 - 1 };
                    playout.pull(now, &mut out[..samples], &mut tone);
                }
                let _ = playout.stats();
            }
            playout.pull(span * 4_000, &mut out, &mut tone);
            playout.set_frame_samples(if frame == 240 { 120 } else { 240 });
            playout.reset();
            playout.pull(span * 4_001, &mut out, &mut tone);
        });
        assert_eq!(happened, 0, "frames of {frame} samples");
        // The call did hold all of it.
        let stats = playout.stats();
        assert!(stats.lost > 0 && stats.late > 0 && stats.duplicates > 0 && stats.resets > 1, "{stats:?}");
        assert!(tone.resets > 1 && tone.conceals > 0);
    }
}

#[test]
fn nothing_allocates_or_frees_where_sound_is_skipped() {
    for frame in [120usize, 240, 480] {
        let mut playout = Playout::new(PlayoutConfig::for_frames_of(frame));
        let mut tone = Tone::default();
        let mut out = [0.0f32; 480];
        let span = Duration::from_secs_f64(frame as f64 / 48e3);
        let happened = heap_calls(|| {
            for n in 0..2_000u64 {
                let now = span * n as u32;
                playout.insert(&packet(n, now));
                if !(1_000..1_020).contains(&n) {
                    playout.pull(now, &mut out[..frame], &mut tone);
                }
            }
        });
        assert_eq!(happened, 0, "frames of {frame} samples");
        assert!(playout.stats().skips > 0 && playout.stats().resets == 0, "{:?}", playout.stats());
    }
}
