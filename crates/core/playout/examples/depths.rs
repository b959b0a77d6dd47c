//! Prints what the jitter buffer makes of networks and devices of many kinds, in virtual time.
//!
//! `cargo run --release -p hyperzoom-playout --example depths`
//!
//! - `mean`: from a packet's arrival on the quickest path to the moment at which its first sample is played, in
//!   milliseconds, on average over four minutes. It is measured on the sound itself. A device that catches up plays
//!   without a gap, so its samples are counted at the moments at which they are played, and not at those at which it
//!   asked for them.
//! - `conceal` and `skip`: frames that were invented, and frames that were left out, in percent of those sent.
//! - `silent`: periods of silence, in percent: those of no voice, and those that were all invented, since this decoder
//!   invents silence.
//! - `start`: frames concealed in the first 20 seconds, which the figures before it leave out.
//! - `settled`: when the depth was last more than 1 ms off what it is at the end of the first minute, in seconds.

#[path = "../tests/common/mod.rs"]
mod common;

use std::time::Duration;

use common::{Call, Device, RATE, ms};
use hyperzoom_netem::Conditions;
use hyperzoom_playout::FrameDecoder;

const DELAY: Duration = Duration::from_millis(10);
const STILL: Conditions = Conditions { delay: DELAY, ..Conditions::PERFECT };

/// A codec whose sound is a ramp that says when it was spoken: 1 is a second, after which it begins at 0 again.
struct Ramp;

impl FrameDecoder for Ramp {
    fn decode(&mut self, payload: &[u8], out: &mut [f32]) -> bool {
        let Ok(number) = payload.try_into().map(u64::from_be_bytes) else { return false };
        for (i, sample) in (number * out.len() as u64..).zip(out) {
            *sample = ((i % 48_000) as f64 / RATE) as f32;
        }
        true
    }

    fn conceal(&mut self, out: &mut [f32]) {
        out.fill(0.0);
    }

    fn reset(&mut self) {}
}

fn main() {
    let jitter = |ms| Conditions { jitter: Duration::from_millis(ms), ..STILL };
    let stragglers = |share| Conditions { reorder: share, reorder_by: Duration::from_millis(25), ..STILL };
    let lossy = |loss| Conditions { loss, burst_mean: DELAY, jitter: Duration::from_millis(2), ..STILL };
    let networks = [
        ("nothing", STILL),
        ("5 ms of jitter", jitter(5)),
        ("10 ms of jitter", jitter(10)),
        ("20 ms of jitter", jitter(20)),
        ("1 % stragglers of 25 ms", stragglers(0.01)),
        ("0.3 % stragglers of 25 ms", stragglers(0.003)),
        ("5 % loss in 10 ms bursts, 2 ms of jitter", lossy(0.05)),
    ];
    println!(
        "{:<42} {:>5} {:>6}  {:<16} {:>6} {:>8} {:>7} {:>7} {:>6} {:>8}",
        "network", "frame", "period", "device", "mean", "conceal", "skip", "silent", "start", "settled"
    );
    for (name, conditions) in networks {
        for (frame, period) in [(120, 120), (120, 128), (240, 120), (240, 480), (480, 120)] {
            measure(name, conditions, frame, period, Device::Steady);
        }
    }
    for device in
        [Device::Bursts(4), Device::CatchesUp(20), Device::CatchesUp(40), Device::Loses(20), Device::Loses(5)]
    {
        for (name, conditions) in [("nothing", STILL), ("5 ms of jitter", jitter(5))] {
            for frame in [120, 240] {
                measure(name, conditions, frame, 120, device);
            }
        }
    }
}

fn measure(name: &str, conditions: Conditions, frame: usize, period: usize, device: Device) {
    let mut call = Call::new(frame, period, conditions, 0.0);
    let mut depths = Vec::new();
    while call.now() < Duration::from_secs(60) {
        call.run_on(device, 0.1, &mut Ramp, |_, _| ());
        depths.push(ms(call.playout.stats().depth));
        if depths.len() == 200 {
            // What the first 20 seconds cost is told apart.
            depths.push(call.playout.stats().concealed_frames as f64);
        }
    }
    let start = depths.remove(200);
    let last = depths[depths.len() - 20..].iter().sum::<f64>() / 20.0;
    let settled = depths.iter().rposition(|depth| (depth - last).abs() > 1.0).map_or(0, |n| n + 1);

    let before = (call.playout.stats(), call.sent);
    let (mut sum, mut count, mut silent, mut blocks) = (0.0, 0u32, 0u32, 0u32);
    call.run_on(device, 240.0, &mut Ramp, |at, block| {
        blocks += 1;
        let spoken = f64::from(block[0]);
        silent += u32::from(block.iter().all(|sample| *sample == 0.0));
        // A seam or an invented frame says nothing.
        if block.len() > 1
            && (f64::from(block[block.len() - 1] - block[0]) * RATE / (block.len() - 1) as f64 - 1.0).abs()
                < 0.1
        {
            let after = (at.as_secs_f64() - spoken).rem_euclid(1.0);
            if after < 0.5 {
                sum += after;
                count += 1;
            }
        }
    });
    let after = call.playout.stats();
    let sent = (call.sent - before.1) as f64;
    let percent = |frames: u64| frames as f64 / sent * 100.0;
    let mean = sum / f64::from(count) * 1e3 - ms(DELAY) - frame as f64 / 48.0;
    println!(
        "{name:<42} {:>5} {:>6.2}  {:<16} {mean:>6.2} {:>8.3} {:>7.3} {:>7.3} {start:>6.0} {:>8.1}",
        frame as f64 / 48.0,
        period as f64 / 48.0,
        format!("{device:?}"),
        percent(after.concealed_frames - before.0.concealed_frames),
        percent(after.skipped_frames - before.0.skipped_frames),
        f64::from(silent) / f64::from(blocks) * 100.0,
        settled as f64 / 10.0,
    );
}
