//! What is left out at once, since resampling would take a minute: the surplus of an outage, and that of the beginning.

mod common;

use std::time::Duration;

use common::{Call, Nothing, Tone, ms};
use hyperzoom_netem::Conditions;

const STILL: Conditions = Conditions { delay: Duration::from_millis(10), ..Conditions::PERFECT };
const ROUGH: Conditions = Conditions { jitter: Duration::from_millis(8), ..STILL };

/// Runs for so long, and returns the furthest that the resampler went from 0 meanwhile, in ppm.
fn furthest_ppm(call: &mut Call, seconds: f64) -> f32 {
    let mut furthest = 0.0f32;
    for _ in 0..(seconds / 0.05) as u32 {
        call.run(0.05, &mut Nothing, |_, _| ());
        furthest = furthest.max(call.playout.stats().resample_ppm.abs());
    }
    furthest
}

#[test]
fn what_a_stalled_callback_left_over_is_skipped_at_once() {
    for conditions in [STILL, ROUGH] {
        for frame in [120, 240, 480] {
            for stall in [40.0, 50.0, 100.0, 200.0] {
                let what = format!("{stall} ms, frames of {frame}, {:?} of jitter", conditions.jitter);
                let mut call = Call::new(frame, 120, conditions, 0.0);
                call.run(20.0, &mut Nothing, |_, _| ());
                let before = call.playout.stats();
                call.stall(stall / 1e3);
                call.run(0.2, &mut Nothing, |_, _| ());
                let after = call.playout.stats();
                assert_eq!(after.skips - before.skips, 1, "{what}: {after:?}");
                let skipped = (after.skipped_frames - before.skipped_frames) as f64 * frame as f64 / 48.0;
                assert!((skipped - stall).abs() <= 10.0, "{what}: {skipped} ms");
                let furthest = furthest_ppm(&mut call, 10.0);
                let later = call.playout.stats();
                assert!(
                    (ms(later.depth) - ms(before.depth)).abs() < 0.7,
                    "{what}: {before:?}, then {later:?}"
                );
                assert!(furthest < 200.0, "{what}: {furthest} ppm");
                assert_eq!(later.skips - before.skips, 1, "{what}");
                let rest =
                    |s: hyperzoom_playout::PlayoutStats| (s.lost, s.late, s.concealed_frames, s.resets);
                assert_eq!(rest(later), rest(before), "{what}: nothing else happens");
            }
        }
    }
}

#[test]
fn a_path_that_becomes_longer_is_followed_within_a_few_frames() {
    for frame in [120, 240, 480] {
        for longer in [6, 10, 20] {
            let mut call = Call::new(frame, 120, STILL, 0.0);
            call.run(20.0, &mut Nothing, |_, _| ());
            let before = call.playout.stats();
            call.link
                .set_conditions(Conditions { delay: STILL.delay + Duration::from_millis(longer), ..STILL });
            call.run(2.0, &mut Nothing, |_, _| ());
            let after = call.playout.stats();
            let what = format!("{longer} ms, frames of {frame}: {before:?}, then {after:?}");
            let concealed = (after.concealed_frames - before.concealed_frames) as f64 * frame as f64 / 48.0;
            // What is missing anyway while nothing comes, some to be sure, and the rest of a frame.
            assert!(concealed <= longer as f64 + 15.0 + 2.0 * frame as f64 / 48.0, "{concealed} ms: {what}");
            assert!(ms(after.wait) < 10.0, "{what}");
        }
    }
}

#[test]
fn what_is_no_longer_needed_is_left_out_in_a_pause_and_worked_off_without_one() {
    for is_quiet in [true, false] {
        let mut call = Call::new(240, 120, STILL, 0.0);
        let (mut tone, mut silence) = (Tone::default(), Nothing);
        let decoder: &mut dyn hyperzoom_playout::FrameDecoder =
            if is_quiet { &mut silence } else { &mut tone };
        call.link.set_conditions(Conditions { jitter: Duration::from_millis(20), ..STILL });
        call.run(20.0, decoder, |_, _| ());
        let rough = call.playout.stats();
        call.link.set_conditions(STILL);
        call.run(14.0, decoder, |_, _| ());
        let after = call.playout.stats();
        let what = format!("quiet: {is_quiet}, {rough:?}, then {after:?}");
        assert!(ms(rough.depth) > 15.0, "{what}");
        assert_eq!(after.skips > rough.skips, is_quiet, "{what}");
        assert_eq!(ms(after.depth) < 7.0, is_quiet, "{what}");
        assert_eq!(after.concealed_frames, rough.concealed_frames, "{what}");
    }
}

#[test]
fn a_callback_that_catches_up_with_what_it_missed_changes_nothing() {
    for conditions in [STILL, ROUGH] {
        for frame in [120, 240, 480] {
            for stall in [0.05, 0.1, 0.2] {
                let mut call = Call::new(frame, 120, conditions, 0.0);
                call.run(20.0, &mut Nothing, |_, _| ());
                let before = call.playout.stats();
                call.stall_and_catch_up(stall, &mut Nothing, |_, _| ());
                let furthest = furthest_ppm(&mut call, 10.0);
                let after = call.playout.stats();
                assert_eq!(
                    (after.skips, after.lost, after.late, after.concealed_frames, after.resets),
                    (before.skips, before.lost, before.late, before.concealed_frames, before.resets),
                    "{stall} s, frames of {frame}"
                );
                assert!((ms(after.depth) - ms(before.depth)).abs() < 0.5, "{before:?}, then {after:?}");
                assert!(furthest < 200.0, "{furthest} ppm");
            }
        }
    }
}

#[test]
fn a_sound_server_that_takes_20_ms_at_once_all_the_time_loses_nothing() {
    for conditions in [STILL, ROUGH] {
        for frame in [120, 240, 480] {
            for periods in [4, 8] {
                for ppm in [0.0, 300.0, -300.0] {
                    let what =
                        format!("{periods} periods, frames of {frame}, {ppm} ppm, {:?}", conditions.jitter);
                    let mut call = Call::new(frame, 120, conditions, ppm);
                    call.run_in_bursts(periods, 30.0, &mut Nothing, |_, _| ());
                    let before = call.playout.stats();
                    call.run_in_bursts(periods, 30.0, &mut Nothing, |_, _| ());
                    let after = call.playout.stats();
                    assert_eq!(after.skips, before.skips, "{what}: {after:?}");
                    assert_eq!(after.concealed_frames, before.concealed_frames, "{what}: {after:?}");
                    // Its stalls are outages like anybody's.
                    call.stall(0.1);
                    call.run_in_bursts(periods, 0.2, &mut Nothing, |_, _| ());
                    let stalled = call.playout.stats();
                    assert_eq!(stalled.skips - after.skips, 1, "{what}");
                    assert!(ms(stalled.depth) < 32.5, "{what}: {stalled:?}");
                }
            }
        }
    }
}

#[test]
fn jitter_alone_is_never_skipped() {
    for jitter in [10, 20, 25, 30, 40] {
        for (frame, period) in [(120, 120), (240, 120), (240, 480), (480, 441)] {
            let mut call = Call::new(
                frame,
                period,
                Conditions { jitter: Duration::from_millis(jitter), ..STILL },
                100.0,
            );
            call.run(5.0, &mut Nothing, |_, _| ());
            let before = call.playout.stats();
            call.run(120.0, &mut Nothing, |_, _| ());
            let after = call.playout.stats();
            assert_eq!(after.skips, before.skips, "{jitter} ms, {frame}/{period}: {after:?}");
        }
    }
}

#[test]
fn a_path_that_becomes_much_shorter_leaves_no_latency() {
    let mut call = Call::new(240, 120, Conditions { delay: Duration::from_millis(90), ..STILL }, 0.0);
    call.run(20.0, &mut Nothing, |_, _| ());
    call.link.set_conditions(STILL);
    call.run(0.5, &mut Nothing, |_, _| ());
    let stats = call.playout.stats();
    assert!(ms(stats.depth) < 6.0, "{stats:?}");
    assert!(stats.concealed_frames <= 1, "{stats:?}");
}

#[test]
fn a_skip_does_not_click() {
    for frame in [120, 240, 480] {
        for stall in [0.05, 0.0613, 0.1, 0.2] {
            let mut call = Call::new(frame, 120, STILL, 0.0);
            let mut tone = Tone::default();
            call.run(5.0, &mut tone, |_, _| ());
            let before = call.playout.stats().skips;
            call.stall(stall);
            let mut sound = Vec::new();
            call.run(1.0, &mut tone, |_, block| sound.extend_from_slice(block));
            assert_eq!(call.playout.stats().skips - before, 1);
            let steepest = sound.windows(2).map(|p| (p[1] - p[0]).abs()).fold(0.0, f32::max);
            // The tone's own slope, and at worst from its crest to its trough in 5 ms.
            assert!(steepest < 0.058 + 2.0 / 240.0, "{stall} s, frames of {frame}: {steepest}");
        }
    }
}

#[test]
fn the_start_settles_in_two_seconds_and_the_resampler_stays_where_it_is() {
    // How many frames were sent before the device was opened.
    for queued in [0, 4, 8, 40] {
        for frame in [120, 240, 480] {
            let mut call = Call::new(frame, 120, STILL, 0.0);
            call.stall(f64::from(queued * frame as u32) / 48e3);
            let furthest = furthest_ppm(&mut call, 3.0);
            let stats = call.playout.stats();
            let what = format!("{queued} frames of {frame}: {stats:?}");
            // A millisecond is left to resampling: a second shows less of the path than eight.
            assert!((2.7..4.1).contains(&ms(stats.depth)), "{what}");
            assert!(furthest < 300.0, "{furthest} ppm, {what}");
            assert_eq!((stats.skips, stats.concealed_frames, stats.resets), (1, 0, 0), "{what}");
            assert!(stats.skipped_frames as usize * frame <= 480, "{what}");
        }
    }
}

#[test]
fn first_packets_that_were_held_back_do_not_make_the_start_deep() {
    for back in [20, 60, 150] {
        for (conditions, most) in [(STILL, 5.5), (ROUGH, 14.0)] {
            let mut call = Call::new(240, 120, conditions, 0.0);
            call.link.set_conditions(Conditions { delay: Duration::from_millis(10 + back), ..conditions });
            call.run(0.06 + back as f64 / 1e3, &mut Nothing, |_, _| ());
            call.link.set_conditions(conditions);
            call.run(2.5, &mut Nothing, |_, _| ());
            let furthest = furthest_ppm(&mut call, 10.0);
            let stats = call.playout.stats();
            assert!(ms(stats.depth) < most, "{back} ms: {stats:?}");
            assert!(furthest < 300.0, "{back} ms: {furthest} ppm");
        }
    }
}

#[test]
fn the_start_is_trimmed_in_a_pause_if_there_is_one() {
    let trimmed_by = |decoder: &mut dyn hyperzoom_playout::FrameDecoder| {
        let mut call = Call::new(240, 120, STILL, 0.0);
        while call.playout.stats().skips == 0 {
            call.run(0.01, decoder, |_, _| ());
        }
        call.now().as_secs_f64()
    };
    let (pause, speech) = (trimmed_by(&mut Nothing), trimmed_by(&mut Tone::default()));
    assert!((1.5..1.6).contains(&pause), "{pause} s");
    assert!((2.5..2.6).contains(&speech), "{speech} s");
}

#[test]
fn after_a_silence_the_depth_that_was_needed_before_is_kept() {
    let mut call = Call::new(240, 120, Conditions { jitter: Duration::from_millis(15), ..STILL }, 0.0);
    call.run(20.0, &mut Nothing, |_, _| ());
    call.muted = true;
    call.run(1.0, &mut Nothing, |_, _| ());
    call.muted = false;
    call.run(3.0, &mut Nothing, |_, _| ());
    let stats = call.playout.stats();
    assert_eq!(stats.resets, 1);
    assert!(ms(stats.depth) > 14.0, "{stats:?}");
}
