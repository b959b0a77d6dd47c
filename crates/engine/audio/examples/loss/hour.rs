//! An hour of a call between two sound cards that differ.

use std::time::Duration;

use hyperzoom_netem::{Conditions, Link};

use crate::call::Call;
use crate::{Failed, Options};

/// So far apart may two working cards be, in parts per million.
const PPM: f64 = 300.0;
/// For so long the playout learns the path and the clocks.
const LEARNING: f64 = 60.0;
const HOUR: f64 = 3600.0;

/// Prints what becomes of the depth, and of the frames.
pub(crate) fn run(options: &Options) -> Result<(), Failed> {
    let still = Conditions { delay: Duration::from_millis(20), ..Conditions::PERFECT };
    println!(
        "an hour with cards that differ, frames of {} ms, seed {}",
        options.frame.millis(),
        options.seed
    );
    println!(
        "{:<28} {:>5} {:>10} {:>8} {:>6} {:>10} {:>11} {:>13}",
        "network", "ppm", "concealed", "lost", "late", "stretched", "depth ms", "off target ms"
    );
    let networks = [("none", still), ("radio", Conditions::WIFI)];
    for (name, conditions) in networks.into_iter().filter(|(name, _)| options.wants(name)) {
        for ppm in [-PPM, PPM] {
            let link = Link::new(conditions, options.seed);
            let mut call = Call::new(options.frame, options.bitrate, link, ppm, 0.3)?;
            let mut n = 0_u64;
            let mut speak = |frame: &mut [f32]| {
                for sample in frame {
                    *sample =
                        (0.3 * (std::f64::consts::TAU * (n as f64 * 220.0 / 48_000.0).fract()).sin()) as f32;
                    n += 1;
                }
            };
            call.run(1.0, &mut speak, |_, _| ())?;
            let (first, lost_at_first) = (call.playout.stats(), call.link.stats().lost);
            call.run(LEARNING, &mut speak, |_, _| ())?;
            let mut off = Duration::ZERO;
            call.run(HOUR - LEARNING - 1.0, &mut speak, |_, playout| {
                let stats = playout.stats();
                off = off.max(stats.depth.abs_diff(stats.target));
            })?;
            let stats = call.playout.stats();
            println!(
                "{name:<28} {ppm:>+5.0} {:>10} {:>8} {:>6} {:>10} {:>11.2} {:>13.3}",
                stats.concealed_frames - first.concealed_frames,
                call.link.stats().lost - lost_at_first,
                stats.late - first.late,
                stats.stretched_frames - first.stretched_frames,
                call.figures().depth_ms,
                off.as_secs_f64() * 1e3,
            );
        }
    }
    Ok(())
}
