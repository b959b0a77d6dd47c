//! Devices that stand still, again and again, and sound servers that take much at once.

mod common;

use std::time::Duration;

use common::{Call, Device, Nothing, Tone, ms};
use hyperzoom_netem::Conditions;

const STILL: Conditions = Conditions { delay: Duration::from_millis(10), ..Conditions::PERFECT };
const ROUGH: Conditions = Conditions { jitter: Duration::from_millis(5), ..STILL };

#[test]
fn a_device_that_stands_still_and_catches_up_costs_nothing_and_needs_no_depth() {
    for conditions in [STILL, ROUGH] {
        for frame in [120, 240, 480] {
            for stall in [10, 20, 40, 60] {
                let mut steady = Call::new(frame, 120, conditions, 0.0);
                steady.run_on(Device::Steady, 60.0, &mut Nothing, |_, _| ());
                let mut call = Call::new(frame, 120, conditions, 0.0);
                call.run_on(Device::CatchesUp(stall), 20.0, &mut Nothing, |_, _| ());
                let before = call.playout.stats();
                call.run_on(Device::CatchesUp(stall), 40.0, &mut Nothing, |_, _| ());
                let stats = call.playout.stats();
                let what = format!("{stall} ms, frames of {frame}, {:?}: {stats:?}", conditions.jitter);
                assert_eq!(
                    (stats.concealed_frames, stats.lost, stats.late, stats.resets),
                    (0, 0, 0, 0),
                    "{what}"
                );
                assert_eq!(stats.skips, before.skips, "{what}");
                assert!(stats.skips <= 1, "{what}");
                let usual = ms(steady.playout.stats().depth);
                assert!((ms(stats.depth) - usual).abs() < 1.0, "{usual} ms usually; {what}");
            }
        }
    }
}

#[test]
fn a_device_that_loses_what_it_missed_skips_that_and_no_more() {
    for conditions in [STILL, ROUGH] {
        for frame in [120, 240] {
            for (stall, most) in [(5, 14.0), (20, 30.0), (40, 45.0)] {
                let mut call = Call::new(frame, 120, conditions, 0.0);
                call.run_on(Device::Loses(stall), 20.0, &mut Tone::default(), |_, _| ());
                let (before, sent) = (call.playout.stats(), call.sent);
                let (mut sum, mut silent) = (0.0, 0);
                for _ in 0..200 {
                    call.run_on(Device::Loses(stall), 0.1, &mut Tone::default(), |_, block| {
                        silent += u32::from(block.iter().all(|sample| *sample == 0.0));
                    });
                    sum += ms(call.playout.stats().depth);
                }
                let stats = call.playout.stats();
                let what = format!("{stall} ms, frames of {frame}, {:?}: {stats:?}", conditions.jitter);
                let share = |frames: u64| frames as f64 / (call.sent - sent) as f64;
                // A cut counts a frame that it left out in part. So it may count one more.
                let skipped = share(stats.skipped_frames - before.skipped_frames);
                let lost = f64::from(stall) / 100.0;
                assert!((lost - 0.01..lost + 0.06).contains(&skipped), "{skipped}: {what}");
                assert!(stats.skips - before.skips <= 201, "one cut for each standstill: {what}");
                assert!(share(stats.concealed_frames - before.concealed_frames) < 0.005, "{what}");
                assert_eq!((silent, stats.resets), (0, 0), "{what}");
                assert!(sum / 200.0 < most, "{} ms: {what}", sum / 200.0);
            }
        }
    }
}

#[test]
fn devices_that_stand_still_together_need_no_depth() {
    for conditions in [STILL, ROUGH] {
        for frame in [120, 240, 480] {
            for stall in [0.01, 0.02, 0.06] {
                let mut call = Call::new(frame, 120, conditions, 0.0);
                call.run(20.0, &mut Nothing, |_, _| ());
                let before = call.playout.stats();
                for _ in 0..20 {
                    call.stall_both(stall);
                    call.run(0.5, &mut Nothing, |_, _| ());
                }
                let after = call.playout.stats();
                let what = format!("{stall} s, frames of {frame}: {before:?}, then {after:?}");
                assert!(ms(after.target) - ms(before.target) < 2.5, "{what}");
                assert!(ms(after.depth) - ms(before.depth) < 2.5, "{what}");
                // What was on its way when they stood still is not heard twice.
                assert!(after.skips - before.skips <= 20, "{what}");
                assert!(after.concealed_frames - before.concealed_frames <= 20, "{what}");
            }
        }
    }
}

#[test]
fn one_standstill_is_no_reason_to_be_deeper() {
    for stall in [0.01, 0.02, 0.03, 0.06] {
        for catches_up in [true, false] {
            let mut call = Call::new(240, 120, STILL, 0.0);
            call.run(40.0, &mut Nothing, |_, _| ());
            let before = call.playout.stats();
            if catches_up {
                call.stall_and_catch_up(stall, &mut Nothing, |_, _| ());
            } else {
                call.stall(stall);
            }
            for _ in 0..100 {
                call.run(0.1, &mut Nothing, |_, _| ());
                let stats = call.playout.stats();
                assert!((ms(stats.target) - ms(before.target)).abs() < 0.3, "{before:?}, then {stats:?}");
                assert!(stats.concealed_frames == before.concealed_frames, "{stats:?}");
            }
            let after = call.playout.stats();
            assert!((ms(after.depth) - ms(before.depth)).abs() < 0.3, "{before:?}, then {after:?}");
            assert_eq!(after.skips - before.skips, u64::from(!catches_up), "{after:?}");
        }
    }
}

#[test]
fn a_server_that_begins_with_much_at_once_is_followed() {
    // It fills 40 ms first, and goes on as its buffer empties.
    let mut call = Call::new(240, 120, STILL, 0.0);
    call.run_in_bursts(16, 0.01, &mut Nothing, |_, _| ());
    call.run(30.0, &mut Nothing, |_, _| ());
    let stats = call.playout.stats();
    assert!(ms(stats.depth) < 4.0, "{stats:?}");
    assert_eq!((stats.concealed_frames, stats.resets), (0, 0), "{stats:?}");
}

#[test]
fn a_network_that_holds_back_once_is_no_reason_to_be_deep() {
    let mut call = Call::new(240, 120, STILL, 0.0);
    call.run(40.0, &mut Nothing, |_, _| ());
    let before = call.playout.stats();
    call.link.set_conditions(Conditions { delay: Duration::from_millis(30), ..STILL });
    call.run(0.02, &mut Nothing, |_, _| ());
    call.link.set_conditions(STILL);
    for _ in 0..50 {
        call.run(0.1, &mut Nothing, |_, _| ());
        let stats = call.playout.stats();
        assert!(ms(stats.target) - ms(before.target) < 1.0, "{before:?}, then {stats:?}");
    }
}
