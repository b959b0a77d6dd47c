//! Calls over good and bad networks, in virtual time.

mod common;

use std::time::Duration;

use common::{Call, Nothing, RATE, Tone, ms};
use hyperzoom_netem::Conditions;

const STILL: Conditions = Conditions { delay: Duration::from_millis(10), ..Conditions::PERFECT };

#[test]
fn on_a_still_network_every_frame_is_heard_once_and_without_a_click() {
    for (frame, period) in [(120, 128), (240, 120), (240, 441), (480, 64), (240, 1024)] {
        let mut call = Call::new(frame, period, STILL, 0.0);
        let mut sound = Vec::new();
        call.run(20.0, &mut Tone::default(), |_, block| sound.extend_from_slice(block));
        let stats = call.playout.stats();
        assert_eq!(
            (stats.lost, stats.late, stats.concealed_frames, stats.resets),
            (0, 0, 0, 0),
            "{frame}/{period}"
        );
        // A tone of 440 Hz moves by 2π · 440 / 48000 a sample at most; the voice fades in at the start.
        let steepest = sound.windows(2).map(|p| (p[1] - p[0]).abs()).fold(0.0, f32::max);
        assert!(steepest < 0.058 + 1.0 / 120.0, "{frame}/{period}: {steepest}");
        let steady = &sound[sound.len() / 2..];
        let power = steady.iter().map(|s| f64::from(s * s)).sum::<f64>() / steady.len() as f64;
        assert!((power - 0.5).abs() < 0.01, "{frame}/{period}: {power}");
    }
}

#[test]
fn a_still_network_gets_the_least_depth() {
    let mut call = Call::new(240, 120, STILL, 0.0);
    call.run(60.0, &mut Nothing, |_, _| ());
    let depth = ms(call.playout.stats().depth);
    // The device takes 2.5 ms at once, and there is a guard.
    assert!((2.5..3.2).contains(&depth), "{depth} ms");
}

#[test]
fn jitter_makes_the_buffer_as_deep_as_it_must_be_and_calm_makes_it_shallow_again() {
    let jitter = Duration::from_millis(15);
    let mut call = Call::new(240, 120, Conditions { jitter, ..STILL }, 0.0);
    call.run(20.0, &mut Nothing, |_, _| ());
    let early = call.playout.stats();
    call.run(60.0, &mut Nothing, |_, _| ());
    let rough = call.playout.stats();
    assert!((14.0..19.0).contains(&ms(rough.depth)), "{rough:?}");
    let missed = rough.concealed_frames - early.concealed_frames;
    assert!(missed <= 12, "{missed} of 12000 frames were concealed: {rough:?}");

    call.link.set_conditions(STILL);
    call.run(60.0, &mut Nothing, |_, _| ());
    let calm = call.playout.stats();
    assert!((2.5..3.5).contains(&ms(calm.depth)), "{calm:?}");
    assert_eq!(calm.concealed_frames, rough.concealed_frames, "shrinking costs nothing");
}

#[test]
fn growing_takes_a_second_and_not_twenty() {
    let mut call = Call::new(240, 120, STILL, 0.0);
    call.run(30.0, &mut Nothing, |_, _| ());
    call.link.set_conditions(Conditions { jitter: Duration::from_millis(20), ..STILL });
    call.run(2.0, &mut Nothing, |_, _| ());
    let stats = call.playout.stats();
    assert!(ms(stats.depth) > 15.0, "{stats:?}");
}

#[test]
fn a_network_that_is_worse_than_the_greatest_depth_costs_packets_and_not_latency() {
    let mut call = Call::new(240, 120, Conditions { jitter: Duration::from_millis(60), ..STILL }, 0.0);
    call.run(20.0, &mut Nothing, |_, _| ());
    let mut sum = 0.0;
    for _ in 0..600 {
        call.run(0.1, &mut Nothing, |_, _| ());
        let stats = call.playout.stats();
        // The device's period is on top.
        assert!(ms(stats.target) <= 30.0 + 2.5 + 1e-6, "{stats:?}");
        sum += ms(stats.depth);
    }
    let mean = sum / 600.0;
    // What the quickest packet is shows only in hindsight on such a network, so the depth goes about the target.
    assert!((25.0..40.0).contains(&mean), "{mean} ms");
    assert!(call.playout.stats().late > 100, "{:?}", call.playout.stats());
}

#[test]
fn an_hour_at_200_ppm_with_5_percent_loss_neither_creeps_nor_starves() {
    let conditions = Conditions { loss: 0.05, jitter: Duration::from_millis(4), ..STILL };
    let mut call = Call::new(480, 480, conditions, 200.0);
    call.run(300.0, &mut Nothing, |_, _| ());
    let before = call.playout.stats();
    let (mut least, mut most) = (f64::INFINITY, 0.0f64);
    for _ in 0..330 {
        call.run(10.0, &mut Nothing, |_, _| ());
        let depth = ms(call.playout.stats().depth);
        (least, most) = (least.min(depth), most.max(depth));
    }
    let stats = call.playout.stats();
    assert!(most - least < 2.0, "the depth went from {least} to {most} ms");
    assert!((stats.resample_ppm + 200.0).abs() < 60.0, "{stats:?}");
    assert_eq!(stats.resets, 0);
    let share = stats.lost as f64 / call.sent as f64;
    assert!((0.045..0.055).contains(&share), "{share}");
    let late = stats.late - before.late;
    assert!(late < 30, "{late} of 330000 came late");
    // All that is concealed is what was lost or late, and what was played on top.
    assert_eq!(stats.concealed_frames, stats.lost + stats.late + stats.stretched_frames, "{stats:?}");
    assert!(stats.stretched_frames < 30, "{stats:?}");
    println!("depth {least:.2} to {most:.2} ms, {stats:?}");
}

#[test]
fn the_card_that_is_300_ppm_off_is_learnt_in_minutes() {
    for ppm in [300.0, -300.0] {
        let mut call = Call::new(240, 120, STILL, ppm);
        call.run(240.0, &mut Nothing, |_, _| ());
        let stats = call.playout.stats();
        assert!((stats.resample_ppm + ppm as f32).abs() < 30.0, "{stats:?}");
        assert!((2.5..3.5).contains(&ms(stats.depth)), "{stats:?}");
        assert_eq!((stats.concealed_frames, stats.late), (0, 0), "{stats:?}");
    }
}

#[test]
fn a_drifting_voice_keeps_its_pitch_to_a_fraction_of_a_cent() {
    let mut call = Call::new(240, 240, STILL, 100.0);
    call.run(120.0, &mut Tone::default(), |_, _| ());
    let mut sound = Vec::new();
    call.run(20.0, &mut Tone::default(), |_, block| sound.extend_from_slice(block));
    let rises = sound.windows(2).filter(|p| p[0] < 0.0 && p[1] >= 0.0).count();
    let hz = rises as f64 / (sound.len() as f64 / RATE);
    assert!((hz / (440.0 * 1.0001) - 1.0).abs() < 200e-6, "{hz} Hz");
}

#[test]
fn a_muted_stretch_is_silence_and_the_voice_begins_again_at_its_place() {
    let mut call = Call::new(240, 120, STILL, 0.0);
    let mut tone = Tone::default();
    call.run(5.0, &mut tone, |_, _| ());
    call.muted = true;
    call.run(3.0, &mut tone, |_, _| ());
    assert!(!call.playout.is_playing());
    let mut silence = true;
    call.run(1.0, &mut tone, |_, block| silence &= block.iter().all(|s| *s == 0.0));
    assert!(silence);
    let before = call.playout.stats();
    call.muted = false;
    call.run(5.0, &mut tone, |_, _| ());
    let after = call.playout.stats();
    assert!(call.playout.is_playing());
    assert_eq!((after.resets - before.resets, tone.resets), (1, 1));
    assert_eq!((after.lost, after.late), (0, 0), "frames that were not sent are not lost: {after:?}");
    assert_eq!(after.concealed_frames, before.concealed_frames, "the new start is clean");
}

#[test]
fn what_a_stalled_network_held_back_is_not_played_late() {
    let mut call = Call::new(240, 120, STILL, 0.0);
    call.run(10.0, &mut Nothing, |_, _| ());
    // For a second nothing comes; then all of it at once.
    call.link.set_conditions(Conditions { delay: Duration::from_secs(1), ..STILL });
    call.run(0.5, &mut Nothing, |_, _| ());
    call.link.set_conditions(STILL);
    call.run(1.5, &mut Nothing, |_, _| ());
    call.run(3.0, &mut Nothing, |_, _| ());
    let stats = call.playout.stats();
    assert!(call.playout.is_playing());
    assert!(ms(stats.depth) < 12.0, "no latency is left over: {stats:?}");
}

#[test]
fn a_playback_callback_that_did_not_run_for_a_second_leaves_no_latency() {
    for seconds in [0.15, 1.0, 10.0] {
        let mut call = Call::new(240, 120, STILL, 0.0);
        call.run(10.0, &mut Nothing, |_, _| ());
        call.stall(seconds);
        call.run(2.0, &mut Nothing, |_, _| ());
        let stats = call.playout.stats();
        assert!(call.playout.is_playing());
        assert!(ms(stats.depth) < 12.0, "{seconds} s: {stats:?}");
    }
}

#[test]
fn a_path_that_becomes_longer_is_followed() {
    for longer in [8, 25, 60, 300] {
        let mut call = Call::new(240, 120, STILL, 0.0);
        call.run(20.0, &mut Nothing, |_, _| ());
        call.link.set_conditions(Conditions { delay: Duration::from_millis(10 + longer), ..STILL });
        call.run(3.0, &mut Nothing, |_, _| ());
        let then = call.playout.stats();
        call.run(30.0, &mut Nothing, |_, _| ());
        let stats = call.playout.stats();
        assert_eq!(stats.concealed_frames, then.concealed_frames, "+{longer} ms: {stats:?}");
        assert!(ms(stats.depth) < 12.0, "+{longer} ms: {stats:?}");
        call.run(60.0, &mut Nothing, |_, _| ());
        let ppm = call.playout.stats().resample_ppm;
        assert!(ppm.abs() < 30.0, "+{longer} ms: another path is not another clock, but {ppm} ppm");
    }
}

#[test]
fn bursts_of_loss_are_concealed_and_nothing_else_is() {
    let conditions = Conditions { loss: 0.03, burst_mean: Duration::from_millis(10), ..STILL };
    let mut call = Call::new(240, 120, conditions, 50.0);
    let mut tone = Tone::default();
    call.run(120.0, &mut tone, |_, _| ());
    let stats = call.playout.stats();
    assert_eq!((stats.late, stats.duplicates, stats.resets), (0, 0, 0), "{stats:?}");
    let lost = call.link.stats().lost;
    assert!(stats.lost.abs_diff(lost) <= 4, "{} of {lost}: {stats:?}", stats.lost);
    assert_eq!(stats.concealed_frames, stats.lost + stats.stretched_frames);
}

#[test]
fn copies_in_later_packets_repair_what_the_depth_allows() {
    // With 10 ms of depth the packet after next is there when a frame is due.
    let conditions = Conditions { loss: 0.05, jitter: Duration::from_millis(9), ..STILL };
    let repaired = |copy_of| {
        let mut call = Call::new(240, 120, conditions, 0.0);
        call.run(60.0, &mut Tone { copy_of, ..Tone::default() }, |_, _| ());
        let stats = call.playout.stats();
        stats.repaired as f64 / stats.lost as f64
    };
    assert_eq!(repaired(None), 0.0);
    assert!(repaired(Some(1)) > 0.5, "{}", repaired(Some(1)));
}

#[test]
fn copies_make_the_buffer_as_deep_as_they_need_while_something_is_lost() {
    // One lost in twenty, each for itself.
    let conditions = Conditions { loss: 0.05, ..STILL };
    let run = |copy_of, conditions| {
        let mut call = Call::new(240, 120, conditions, 0.0);
        let mut tone = Tone { copy_of, ..Tone::default() };
        call.run(20.0, &mut tone, |_, _| ());
        let before = call.playout.stats();
        call.run(60.0, &mut tone, |_, _| ());
        (before, call.playout.stats())
    };
    let (_, none) = run(None, conditions);
    assert!(ms(none.depth) < 4.0 && none.repaired == 0, "no depth brings back what nobody sends: {none:?}");
    for distance in [1, 3] {
        let (before, with) = run(Some(distance), conditions);
        let needed = 5.0 * f64::from(distance) + 2.5;
        assert!((needed..needed + 1.5).contains(&ms(with.depth)), "{distance} back: {with:?}");
        let (lost, repaired) = (with.lost - before.lost, with.repaired - before.repaired);
        assert!(repaired * 100 > lost * 90, "{repaired} of {lost}: {with:?}");
        let (_, calm) = run(Some(distance), STILL);
        assert!(ms(calm.depth) < 4.0, "where nothing is lost, nothing waits: {calm:?}");
    }
}

#[test]
fn a_talk_spurt_begins_at_the_right_depth_and_its_gap_is_no_loss() {
    // Frames that are not sent, as in a pause with discontinuous transmission: two seconds, and a tenth.
    for (pause, resets) in [(2.0, 10), (0.1, 0)] {
        for jitter in [0, 8] {
            let jitter = Duration::from_millis(jitter);
            let mut call = Call::new(240, 120, Conditions { jitter, ..STILL }, 200.0);
            call.run(30.0, &mut Nothing, |_, _| ());
            let before = call.playout.stats();
            for _ in 0..10 {
                call.muted = true;
                call.run(pause, &mut Nothing, |_, _| ());
                call.muted = false;
                call.run(0.2, &mut Nothing, |_, _| ());
                let stats = call.playout.stats();
                let off = (ms(stats.depth) - ms(before.target)).abs();
                assert!(off < jitter.as_secs_f64() * 500.0 + 1.0, "{off} ms off after {pause} s: {stats:?}");
                call.run(1.8, &mut Nothing, |_, _| ());
            }
            let after = call.playout.stats();
            assert_eq!(after.resets - before.resets, resets, "{after:?}");
            if pause > 0.12 {
                assert_eq!(after.lost, before.lost, "frames that were not sent are not lost: {after:?}");
                assert!(after.late - before.late <= 3, "{after:?}");
            }
        }
    }
}

#[test]
fn an_outage_of_two_seconds_ends_where_it_began() {
    for jitter in [0, 8] {
        let conditions = Conditions { jitter: Duration::from_millis(jitter), ..STILL };
        let mut call = Call::new(240, 120, conditions, 0.0);
        call.run(30.0, &mut Nothing, |_, _| ());
        let before = call.playout.stats();
        call.link.set_conditions(Conditions { loss: 1.0, ..conditions });
        call.run(2.0, &mut Nothing, |_, _| ());
        assert!(!call.playout.is_playing());
        call.link.set_conditions(conditions);
        call.run(20.0, &mut Nothing, |_, _| ());
        let after = call.playout.stats();
        assert!((ms(after.depth) - ms(before.depth)).abs() < 1.0, "{before:?}, then {after:?}");
        assert_eq!((after.resets - before.resets, after.lost), (1, 0), "{after:?}");
        assert!(after.late - before.late <= 2, "{after:?}");
    }
}

#[test]
fn duplicates_and_reordering_within_the_depth_change_nothing() {
    let conditions =
        Conditions { duplicate: 0.1, reorder: 0.1, reorder_by: Duration::from_millis(12), ..STILL };
    let mut call = Call::new(240, 120, conditions, 100.0);
    call.run(10.0, &mut Nothing, |_, _| ());
    let before = call.playout.stats();
    call.run(120.0, &mut Nothing, |_, _| ());
    let after = call.playout.stats();
    assert_eq!(
        (after.lost, after.late, after.concealed_frames),
        (before.lost, before.late, before.concealed_frames)
    );
    assert!(after.duplicates - before.duplicates > 2000 && after.skips == before.skips, "{after:?}");
    assert!((14.5..16.5).contains(&ms(after.depth)), "{after:?}");
}
