//! Minutes of a call between two sound cards that differ, with the real codec, in virtual time. The hour is a benchmark:
//! `./x bench loss --hour`.

#[allow(dead_code, reason = "the benchmark uses the rest")]
#[path = "../examples/loss/call.rs"]
mod call;
#[path = "../examples/loss/feedback.rs"]
mod feedback;

use std::time::Duration;

use call::Call;
use hyperzoom_audio::FrameSize;
use hyperzoom_netem::{Conditions, Link};

const TALK_SECONDS: f64 = 600.0;
const RADIO_SECONDS: f64 = 300.0;
/// For so long the playout learns the path and the clocks.
const LEARNING_SECONDS: f64 = 60.0;

/// A voice of a kind: a tone that comes and goes.
fn speak(n: &mut u64) -> impl FnMut(&mut [f32]) + '_ {
    |frame| {
        for sample in frame {
            let t = *n as f64 / 48_000.0;
            let loudness = 0.2 + 0.2 * (std::f64::consts::TAU * 0.7 * t).sin();
            *sample = (loudness * (std::f64::consts::TAU * (220.0 * t).fract()).sin()) as f32;
            *n += 1;
        }
    }
}

#[test]
fn on_a_calm_link_the_depth_stays_at_its_target_while_the_talker_is_slow() {
    depth_stays_at_its_target(-300.0);
}

#[test]
fn on_a_calm_link_the_depth_stays_at_its_target_while_the_talker_is_fast() {
    depth_stays_at_its_target(300.0);
}

fn depth_stays_at_its_target(ppm: f64) {
    let calm = Conditions { delay: Duration::from_millis(20), ..Conditions::PERFECT };
    let mut call =
        Call::new(FrameSize::Ms5, 32_000, Link::new(calm, 1), ppm, 0.3).expect("Opus takes the frames");
    let mut spoken = 0;
    call.run(1.0, speak(&mut spoken), |_, _| ()).expect("Opus takes the frames");
    let first = call.playout.stats();
    call.run(LEARNING_SECONDS - 1.0, speak(&mut spoken), |_, _| ()).expect("Opus takes the frames");
    let mut worst = Duration::ZERO;
    call.run(TALK_SECONDS - LEARNING_SECONDS, speak(&mut spoken), |_, playout| {
        let stats = playout.stats();
        worst = worst.max(stats.depth.abs_diff(stats.target));
    })
    .expect("Opus takes the frames");
    let stats = call.playout.stats();
    println!("{ppm} ppm: the depth is {worst:?} off its target at most, {stats:?}");
    assert_eq!(stats.concealed_frames, first.concealed_frames, "no underrun: {stats:?}");
    assert_eq!((stats.lost, stats.late, stats.damaged, stats.resets), (0, 0, 0, 0), "{stats:?}");
    assert!(worst <= Duration::from_millis(1), "{ppm} ppm: {worst:?}");
    assert!((f64::from(stats.resample_ppm) + ppm).abs() < 30.0, "{ppm} ppm: {stats:?}");
}

#[test]
fn on_a_busy_radio_nothing_is_missing_but_what_was_lost() {
    for ppm in [-300.0, 300.0] {
        let mut call = Call::new(FrameSize::Ms5, 32_000, Link::new(Conditions::WIFI, 2), ppm, 0.7).unwrap();
        let (mut spoken, mut audible) = (0, 0_u64);
        call.run(1.0, speak(&mut spoken), |_, _| ()).unwrap();
        let (first, first_lost) = (call.playout.stats(), call.link.stats().lost);
        call.run(RADIO_SECONDS - 1.0, speak(&mut spoken), |period, playout| {
            assert!(playout.is_playing() && period.iter().all(|sample| sample.is_finite()));
            audible += u64::from(period.iter().any(|sample| *sample != 0.0));
        })
        .unwrap();
        let stats = call.playout.stats();
        let concealed = stats.concealed_frames - first.concealed_frames;
        let lost = call.link.stats().lost - first_lost;
        println!("{ppm} ppm: {concealed} frames concealed, {lost} packets lost, {stats:?}");
        assert!(lost > 300, "the link loses a percent");
        // Beyond what was lost: what came late until the buffer was as deep as it must be, frames that were played on top to make it
        // so, and what was on its way at the ends.
        let allowed = lost + stats.stretched_frames + stats.late + 4;
        assert!(concealed <= allowed, "{concealed} of {allowed}: {stats:?}");
        assert!(stats.stretched_frames + stats.late < 60, "a tenth of a percent: {stats:?}");
        assert!(audible as f64 > 0.98 * (RADIO_SECONDS - 1.0) * 400.0, "{audible} periods have sound");
        assert_eq!(stats.resets, 0, "{stats:?}");
    }
}
