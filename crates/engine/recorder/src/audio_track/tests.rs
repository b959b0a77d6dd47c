//! One thing that a device, a ring or a clock does, and what the track makes of it.

use proptest::prelude::*;

use super::*;
use crate::ledger::{AudioCounts, GapKind};

const BLOCK: usize = 240;
const BLOCK_NS: i64 = 5_000_000;
const START: i64 = 7_000_000_000;
/// Half of the resampler's filter: so far from a hole the sound is what it would be without it.
const REACH: usize = 64;

/// What the device hears at its sample `index`: two tones that do not repeat together.
fn sound(index: f64) -> f32 {
    ((0.031 * index).sin() * 0.5 + (0.004_7 * index).cos() * 0.3) as f32
}

/// Pushes `blocks` blocks from `first` on, captured by `at(block)`.
fn push(track: &mut AudioTrack, first: usize, blocks: usize, at: impl Fn(i64) -> i64) -> Vec<f32> {
    let mut out = Vec::new();
    for block in first..first + blocks {
        let samples: Vec<f32> = (block * BLOCK..(block + 1) * BLOCK).map(|i| sound(i as f64)).collect();
        track.push((block * BLOCK) as u64, at(block as i64), &samples, &mut out);
    }
    out
}

fn finish(track: &mut AudioTrack, mut out: Vec<f32>, total: usize) -> Vec<f32> {
    track.finish(total as u64, &mut out);
    assert_eq!(out.len() as u64, track.written());
    out
}

/// What its caller does until the track has caught up; no call may give out much at once.
fn keep_up(track: &mut AudioTrack, now_ns: i64, out: &mut Vec<f32>) {
    loop {
        let before = out.len();
        track.keep_up(now_ns, out);
        assert!(out.len() - before <= 2 * 48_000, "{}", out.len() - before);
        if out.len() == before {
            return;
        }
    }
}

fn counts(track: &AudioTrack) -> AudioCounts {
    track.ledger().counts(u64::MAX)
}

/// The greatest difference between a run in the file and the device's samples from `first` on, but for its edges.
fn off(run: &[f32], first: f64) -> f32 {
    let wrong = |(n, sample): (usize, &f32)| (sample - sound(first + n as f64)).abs();
    run.iter().enumerate().skip(REACH).take(run.len() - 2 * REACH).map(wrong).fold(0.0, f32::max)
}

fn silent(run: &[f32]) -> bool {
    run.iter().all(|sample| *sample == 0.0)
}

#[test]
fn the_track_starts_at_the_take_and_not_with_the_device() {
    let mut track = AudioTrack::new(START);
    // The device started 12 ms before the take: 576 samples.
    let out = push(&mut track, 0, 10, |block| START - 12_000_000 + block * BLOCK_NS);
    let out = finish(&mut track, out, 10 * BLOCK - 576);
    // The filter hears what was before: there is no edge.
    assert!((out[0] - sound(576.0)).abs() < 1e-4);
    assert!(off(&out, 576.0) < 1e-4);
    assert_eq!((counts(&track).silence, counts(&track).captured), (0, out.len() as u64));
}

#[test]
fn a_device_that_starts_late_is_preceded_by_silence() {
    let mut track = AudioTrack::new(START);
    let out = push(&mut track, 0, 2, |block| START + 10_000_000 + block * BLOCK_NS);
    assert!(out.is_empty(), "its first moment may be a late one");
    let out = finish(&mut track, out, 960);
    assert!(silent(&out[..480]) && out[480] != 0.0 && off(&out[480..], 0.0) < 1e-4);
    let gap = track.ledger().gaps(u64::MAX)[0];
    assert_eq!((gap.start_sample, gap.samples, gap.kind), (0, 480, GapKind::Silent));
}

#[test]
fn a_first_callback_that_is_late_does_not_say_where_the_device_began() {
    let mut track = AudioTrack::new(START);
    let late = |block: i64| if block < 10 { 9_000_000 } else { (block * 7919 % 1000) * 3000 };
    let out = push(&mut track, 0, 400, |block| START + block * BLOCK_NS + late(block));
    let error = track.session_ns_of(48_000).unwrap() - START - 1_000_000_000;
    assert!(error.abs() < 50_000, "{error} ns");
    // A sample off would be 0.017: a tenth of a millisecond, of 9.
    assert!(off(&out, 0.0) < 0.085, "{}", off(&out, 0.0));
    assert_eq!(counts(&track).silence, 0);
}

#[test]
fn what_is_held_back_is_milliseconds() {
    let mut track = AudioTrack::new(START);
    let mut out = push(&mut track, 0, 100, |block| START + block * BLOCK_NS + block % 3 * 1_000_000);
    for block in 100..400 {
        out.extend(push(&mut track, block, 1, |block| START + block * BLOCK_NS + block % 3 * 1_000_000));
        let held = (block + 1) * BLOCK - out.len();
        assert!(held <= 144, "{held} samples: 3 ms");
    }
}

#[test]
fn samples_that_a_full_ring_lost_leave_their_place_silent() {
    let mut track = AudioTrack::new(START);
    let mut out = push(&mut track, 0, 100, |block| START + block * BLOCK_NS);
    out.extend(push(&mut track, 120, 10, |block| START + block * BLOCK_NS));
    let out = finish(&mut track, out, 130 * BLOCK);
    assert!(silent(&out[100 * BLOCK..120 * BLOCK]));
    assert!(out[100 * BLOCK - 1] != 0.0 && out[120 * BLOCK] != 0.0);
    assert!(off(&out[..100 * BLOCK], 0.0) < 1e-4);
    assert!(off(&out[120 * BLOCK..], (120 * BLOCK) as f64) < 1e-4);
    let it = counts(&track);
    assert_eq!((it.dropped, it.silence, it.gaps), (20 * BLOCK as u64, 0, 0));
    let gaps = track.ledger().gaps(u64::MAX);
    assert_eq!((gaps.len(), gaps[0].start_sample, gaps[0].kind), (1, 100 * BLOCK as u64, GapKind::Dropped));
}

#[test]
fn a_loss_that_was_taken_for_a_silent_device_is_a_loss_once_it_is_known() {
    let mut track = AudioTrack::new(START);
    push(&mut track, 0, 200, |block| START + block * BLOCK_NS);
    // Three seconds are lost; two of them have been filled before the next block comes.
    let mut out = Vec::new();
    keep_up(&mut track, START + 4_000_000_000, &mut out);
    let tail = out.len() - 96_000;
    assert!(tail <= 144 && (counts(&track).silence, counts(&track).gaps) == (96_000, 1));
    let out = push(&mut track, 800, 10, |block| START + block * BLOCK_NS);
    let out = finish(&mut track, [vec![0.0; 144_000], out].concat(), 0);
    assert!(silent(&out[144_000..192_000]) && off(&out[192_000..], 192_000.0) < 1e-4);
    let it = counts(&track);
    assert_eq!((it.dropped, it.silence, it.gaps, it.late), (144_000, 0, 0, 0));
}

#[test]
fn a_device_that_stood_still_leaves_a_gap_of_that_length() {
    let mut track = AudioTrack::new(START);
    let mut out = push(&mut track, 0, 200, |block| START + block * BLOCK_NS);
    // 400 ms later it counts on as if nothing had been.
    let stall = 400_000_000;
    out.extend(push(&mut track, 200, 200, |block| START + stall + block * BLOCK_NS));
    let out = finish(&mut track, out, 400 * BLOCK + 19_200);
    let gap = 200 * BLOCK..200 * BLOCK + 19_200;
    assert!(silent(&out[gap.clone()]) && out[gap.start - 1] != 0.0 && out[gap.end] != 0.0);
    assert!(off(&out[..gap.start], 0.0) < 1e-4 && off(&out[gap.end..], gap.start as f64) < 1e-4);
    assert_eq!((counts(&track).silence, counts(&track).gaps), (19_200, 1));
}

#[test]
fn callbacks_that_come_late_and_catch_up_are_no_gap() {
    let mut track = AudioTrack::new(START);
    let mut out = push(&mut track, 0, 200, |block| START + block * BLOCK_NS);
    // 100 ms of blocks all stamped when the machine woke up.
    out.extend(push(&mut track, 200, 20, |_| START + 220 * BLOCK_NS));
    out.extend(push(&mut track, 220, 100, |block| START + block * BLOCK_NS));
    let out = finish(&mut track, out, 320 * BLOCK);
    assert!(off(&out, 0.0) < 1e-4);
    assert_eq!((counts(&track).gaps, counts(&track).captured), (0, 320 * BLOCK as u64));
}

#[test]
fn a_starved_sound_server_that_is_late_for_a_third_of_a_second_is_no_stall() {
    let mut track = AudioTrack::new(START);
    let late = |block: i64| if (200..270).contains(&block) { 40_000_000 } else { 0 };
    let out = push(&mut track, 0, 500, |block| START + block * BLOCK_NS + late(block));
    let out = finish(&mut track, out, 500 * BLOCK);
    assert!(off(&out, 0.0) < 1e-4, "{}", off(&out, 0.0));
    let it = counts(&track);
    assert_eq!((it.gaps, it.late, it.captured), (0, 0, 500 * BLOCK as u64));
}

#[test]
fn an_hour_in_which_the_computer_slept_is_filled_a_second_at_a_time() {
    const HOUR: i64 = 3_600_000_000_000;
    let mut track = AudioTrack::new(START);
    let mut written = push(&mut track, 0, 200, |block| START + block * BLOCK_NS).len();
    let mut last = Vec::new();
    // It counts on where it stopped, a block for each call.
    for block in 200..4200 {
        let mut out = push(&mut track, block, 1, |block| START + HOUR + block * BLOCK_NS);
        track.keep_up(START + HOUR + (block as i64 + 1) * BLOCK_NS, &mut out);
        assert!(out.len() <= 32 * 48_000 + 4000 * BLOCK, "{} at {block}", out.len());
        written += out.len();
        last = if out.is_empty() { last } else { out };
    }
    assert_eq!(written as u64, track.written());
    let it = counts(&track);
    assert_eq!((it.silence, it.gaps, it.late, it.dropped), (3_600 * 48_000, 1, 0, 0));
    assert!(4200 * BLOCK as u64 - (it.captured) < 200, "{it:?}");
    let first = (track.written() - 3_600 * 48_000) as usize - last.len();
    assert!(last.iter().enumerate().all(|(n, it)| (it - sound((first + n) as f64)).abs() < 1e-4));
}

#[test]
fn a_clock_that_drifts_makes_no_gaps_and_no_drift() {
    for ppm in [-300, 0, 300] {
        let mut track = AudioTrack::new(START);
        // A minute and a half, with moments jittering by a millisecond.
        let blocks = 18_000;
        let out = push(&mut track, 0, blocks, |block| {
            START + block * BLOCK_NS - block * 5 * ppm + (block * 7919 % 1000) * 1000
        });
        let expected = blocks as f64 * BLOCK as f64 * (1.0 - ppm as f64 * 1e-6);
        assert!((out.len() as f64 - expected).abs() < 160.0, "{ppm}");
        assert_eq!(counts(&track).gaps, 0);
        let told = track.drift_ppm().unwrap();
        assert!((told - ppm as f64).abs() < 0.5, "{told} for {ppm}");
        // The last second, by the truth; a sample off would be 0.017.
        let last = out.len() - 48_000;
        let wrong = (last..out.len())
            .map(|n| (out[n] - sound(n as f64 / (1.0 - ppm as f64 * 1e-6))).abs())
            .fold(0.0, f32::max);
        println!("{ppm} ppm: told {told:.2}, {wrong} off");
        assert!(wrong < 0.03, "{ppm}: {wrong}");
    }
}

#[test]
fn a_gap_is_no_drift() {
    let mut track = AudioTrack::new(START);
    let moment = |block: i64| START + block * BLOCK_NS - block * 500 + (block * 7919 % 1000) * 1000;
    push(&mut track, 0, 1000, moment);
    assert_eq!(track.drift_ppm(), None, "five seconds tell nothing");
    for stall in 1..9 {
        push(&mut track, 4000 * stall, 4000, |block| moment(block) + stall as i64 * 77_777_777);
    }
    let ppm = track.drift_ppm().unwrap();
    assert!((ppm - 100.0).abs() < 2.0, "a fast device: {ppm}");
}

#[test]
fn a_device_that_says_nothing_is_filled_up_to_the_patience() {
    let mut track = AudioTrack::new(START);
    let mut all = push(&mut track, 0, 200, |block| START + block * BLOCK_NS);
    let mut out = Vec::new();
    track.keep_up(START + 1_900_000_000, &mut out);
    assert!(out.is_empty());
    keep_up(&mut track, START + 4_000_000_000, &mut all);
    assert_eq!(all.len(), 3 * 48_000);
    keep_up(&mut track, START + 4_100_000_000, &mut all);
    assert_eq!((counts(&track).gaps, counts(&track).silence), (1, 100_800));
    // It comes back with what it captured in between: the newest second still has its place.
    all.extend(push(&mut track, 200, 600, |block| START + block * BLOCK_NS));
    let all = finish(&mut track, all, 0);
    assert!(silent(&all[48_000..148_800]) && off(&all[148_800..], 148_800.0) < 1e-4);
    assert_eq!((all.len(), counts(&track).late), (192_000, 100_800));
}

#[test]
fn a_session_clock_that_is_set_a_little_is_followed_smoothly() {
    for by in [-3_000_000_i64, 8_000_000] {
        let mut track = AudioTrack::new(START);
        let at = |block: i64| START + block * BLOCK_NS + if block < 4000 { 0 } else { by };
        let (mut out, mut last, mut fastest) = (Vec::new(), START, 0);
        for block in 0..12_000 {
            out.extend(push(&mut track, block, 1, at));
            if let Some(ns) = track.session_ns_of((block * BLOCK) as u64) {
                if block > 100 {
                    fastest = fastest.max((ns - last - BLOCK_NS).abs());
                }
                last = ns;
            }
        }
        assert!(fastest <= 3_000, "{fastest} ns in a block");
        assert!((last - at(11_999)).abs() < 60_000, "{by}: {} ns", last - at(11_999));
        let it = counts(&track);
        assert_eq!((it.silence, it.late, it.dropped), (0, 0, 0), "{by}");
    }
}

#[test]
fn a_session_clock_that_is_set_far_makes_a_gap_or_an_overlap_and_says_so() {
    let run = |by: i64| {
        let mut track = AudioTrack::new(START);
        let out =
            push(&mut track, 0, 1200, |block| START + block * BLOCK_NS + if block < 600 { 0 } else { by });
        (finish(&mut track, out, 0), counts(&track))
    };
    let (out, it) = run(100_000_000);
    assert_eq!((it.silence, it.gaps, it.late), (4800, 1, 0));
    assert!(off(&out[600 * BLOCK + 4800..], (600 * BLOCK) as f64) < 1e-4);
    let (out, it) = run(-100_000_000);
    assert_eq!((it.silence, it.gaps, it.late), (0, 0, 4800));
    assert_eq!(out.len(), 1200 * BLOCK - 4800);
    assert!(off(&out[600 * BLOCK..], (600 * BLOCK + 4800) as f64) < 1e-4);
    assert_eq!(it.captured, 1200 * BLOCK as u64);
}

#[test]
fn the_end_is_exact() {
    let mut track = AudioTrack::new(START);
    let out = push(&mut track, 0, 10, |block| START + block * BLOCK_NS);
    assert_eq!(finish(&mut track, out, 48_000).len(), 48_000);
    assert_eq!(counts(&track).captured, 10 * BLOCK as u64);
    let mut long = AudioTrack::new(START);
    push(&mut long, 0, 10, |block| START + block * BLOCK_NS);
    long.finish(1600, &mut Vec::new());
    assert_eq!(long.written(), 2400, "what was given out stays");
    assert_eq!(long.ledger().counts(1600).captured, 1600);
}

/// What comes before a block: index lost, nanoseconds that its moment jumps, and its length.
fn blocks() -> impl Strategy<Value = Vec<(u32, i64, usize)>> {
    let lost = prop_oneof![12 => Just(0_u32), 1 => 1..5000_u32];
    let jump = prop_oneof![
        20 => Just(0_i64),
        6 => 0..9_000_000_i64,
        1 => -400_000_000..900_000_000_i64
    ];
    prop::collection::vec((lost, jump, 1_usize..700), 1..150)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_comes_the_counts_add_up(blocks in blocks(), quiet in 0_usize..150, cut in 0.0..1.2) {
        let mut track = AudioTrack::new(START);
        let (mut index, mut at, mut out) = (0_u64, START - 50_000_000, Vec::new());
        for (n, (lost, jump, len)) in blocks.into_iter().enumerate() {
            index += u64::from(lost);
            // Jumps of more than a callback's jitter last.
            let late = if jump.abs() < 9_000_000 { jump } else { 0 };
            at += i64::from(lost) * 62_500 / 3 + jump - late;
            track.push(index, at + late, &vec![0.25; len], &mut out);
            index += len as u64;
            at += len as i64 * 62_500 / 3;
            if n == quiet {
                track.keep_up(at + 1_500_000_000, &mut out);
            }
            prop_assert_eq!(out.len() as u64, track.written());
        }
        track.finish(20_000, &mut out);
        let written = track.written();
        for total in [u64::MAX, written, (written as f64 * cut) as u64] {
            let it = track.ledger().counts(total);
            prop_assert_eq!(it.captured + it.silence, it.written + it.late);
            prop_assert_eq!(it.written, written.min(total));
            let gaps = track.ledger().gaps(total);
            prop_assert_eq!(gaps.iter().map(|gap| gap.samples).sum::<u64>(), it.silence + it.dropped);
            for gap in gaps {
                prop_assert!(silent(&out[gap.start_sample as usize..(gap.start_sample + gap.samples) as usize]));
            }
        }
    }

    #[test]
    fn no_numbers_panic(blocks in prop::collection::vec((0_u64..500_000, any::<i64>(), 0_usize..300), 0..20)) {
        let mut track = AudioTrack::new(0);
        let mut out = Vec::new();
        for (index, at, len) in blocks {
            // A silence is kept as samples, so that hours of it take more memory than a test has.
            track.push(index, at % 10_000_000_000, &vec![0.5; len], &mut out);
        }
        track.finish(100, &mut out);
        let _ = (track.session_ns_of(u64::MAX), track.drift_ppm());
    }
}
