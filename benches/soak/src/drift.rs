//! Microphones whose clocks are off, and whether their masters know nothing of it.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use hyperzoom_testkit::media::sound;
use hyperzoom_timing::{Drift, tick_time_ns};
use serde_json::Value;

use crate::person::{self, PEOPLE, Setting};
use crate::plot::{Panel, draw};
use crate::{DriftOptions, Failure, pips};

/// Any two masters lie within this of each other, in milliseconds.
const PROMISE_MS: f64 = 1.0;

/// What one person's take says of the pips.
struct Heard {
    name: String,
    /// In the master: the whole second of session time that each is next to, and the session time at which it lies, in seconds.
    master: Vec<f64>,
    /// In the microphone's own file, in seconds of its own samples.
    microphone: Vec<f64>,
    told_ppm: Value,
}

pub(crate) fn run(program: &Path, options: &DriftOptions) -> Result<(), Failure> {
    if !(2..=PEOPLE.len()).contains(&options.ppm.len()) {
        return Err("give the --ppm of two to four people".into());
    }
    let temporary = tempfile::tempdir()?;
    let folder = options.call.folder.as_deref().unwrap_or(temporary.path());
    let setting = Setting { program, camera: &options.call.camera, folder };
    let mics: Vec<String> = options.ppm.iter().map(|ppm| format!("pips@{ppm}")).collect();
    let (people, _) = person::gather(&setting, &mics)?;
    let until = Instant::now() + Duration::from_secs_f64(options.minutes * 60.0);
    std::thread::sleep(until.saturating_duration_since(Instant::now()));
    let ended = person::end(people)?;

    let mut heard = Vec::new();
    for ((name, report, _), ppm) in ended.iter().zip(&options.ppm) {
        heard.push(listen(format!("{name} {ppm:+} ppm"), report)?);
    }
    let masters = offsets(&heard);
    let alone: Vec<Vec<(f64, f64)>> = heard.iter().map(|it| slide(&it.microphone)).collect();
    println!("{} minutes, {} people who hear the same pips", options.minutes, heard.len());
    println!(
        "{:<22} {:>6} {:>12} {:>12} {:>12} {:>12} {:>14}",
        "", "pips", "at start ms", "at end ms", "drift ppm", "alone ms", "measured ppm"
    );
    for ((it, master), alone) in heard.iter().zip(&masters).zip(&alone) {
        let (Some(first), Some(last)) = (master.first(), master.last()) else {
            return Err(format!("{}: there are no pips in the master", it.name).into());
        };
        let drift = Drift::of(master).map_or(f64::NAN, |drift| drift.ppm);
        let slid = alone.last().map_or(f64::NAN, |point| point.1);
        println!(
            "{:<22} {:>6} {:>+12.3} {:>+12.3} {:>+12.3} {:>+12.3} {:>14}",
            it.name,
            master.len(),
            first.1,
            last.1,
            drift,
            slid,
            it.told_ppm.to_string()
        );
    }
    println!(
        "alone: how far the microphone's own file has slid by the end, as it would without a correction"
    );
    let spread = spread(&masters);
    let ((Some(first), Some(last)), worst) = (
        (spread.first(), spread.last()),
        spread
            .iter()
            .copied()
            .fold((0.0, 0.0), |worst: (f64, f64), it| if it.1 > worst.1 { it } else { worst }),
    ) else {
        return Err("no second has a pip in all masters".into());
    };
    println!(
        "the masters lie within {:.3} ms of each other at the start, {:.3} ms at the end, {:.3} ms at worst (at {:.0} s)",
        first.1, last.1, worst.1, worst.0
    );
    if let Some(out) = &options.call.plot {
        let lines = |of: Vec<Vec<(f64, f64)>>| heard.iter().map(|it| it.name.clone()).zip(of).collect();
        draw(
            out,
            &[
                Panel {
                    title: "masters: where each pip lies, ms from their mean at the start",
                    lines: lines(masters),
                },
                Panel {
                    title: "microphones alone: where each pip lies, ms from where it should",
                    lines: lines(alone),
                },
            ],
        )?;
        println!("plot: {}", out.display());
    }
    if worst.1 > PROMISE_MS { Err(format!("masters lie {:.3} ms apart", worst.1).into()) } else { Ok(()) }
}

/// Finds the pips in a person's take.
fn listen(name: String, report: &Value) -> Result<Heard, Failure> {
    let take = report["recording"]["folder"].as_str().ok_or_else(|| format!("{name} recorded nothing"))?;
    let take = Path::new(take);
    let metadata: Value = serde_json::from_slice(&std::fs::read(take.join("session_metadata.json"))?)?;
    let tick = metadata["start_tick"].as_u64().ok_or("the take has no start")?;
    let start = tick_time_ns(tick) as f64 * 1e-9;
    let master =
        pips::find(&sound(&take.join("local_recording.mp4"))).into_iter().map(|at| start + at).collect();
    let microphone = pips::find(&sound(&take.join("microphone.flac")));
    Ok(Heard { name, master, microphone, told_ppm: report["recording"]["microphone_drift_ppm"].clone() })
}

/// How much later than the pips of the session each lies, in milliseconds, over session time in seconds. That these have a second between
/// them is all that is known of them: they begin where the people's first ones lie in the mean.
fn offsets(heard: &[Heard]) -> Vec<Vec<(f64, f64)>> {
    let firsts: Vec<f64> = heard.iter().filter_map(|it| it.master.first().copied()).collect();
    let Some(any) = firsts.first() else { return heard.iter().map(|_| Vec::new()).collect() };
    let off = |at: f64, from: f64| (at - from) - (at - from).round();
    let origin = any + firsts.iter().map(|at| off(*at, *any)).sum::<f64>() / firsts.len() as f64;
    let of = |it: &Heard| it.master.iter().map(|at| (*at, off(*at, origin) * 1000.0)).collect();
    heard.iter().map(of).collect()
}

/// How far pips slide from where they would be if the file had its 48000 samples a second: seconds, milliseconds.
fn slide(pips: &[f64]) -> Vec<(f64, f64)> {
    let Some(first) = pips.first() else { return Vec::new() };
    pips.iter().map(|at| (at - first, ((at - first) - (at - first).round()) * 1000.0)).collect()
}

/// Of each second in which everybody has a pip, how far the earliest and the latest lie apart: seconds, milliseconds.
fn spread(masters: &[Vec<(f64, f64)>]) -> Vec<(f64, f64)> {
    let mut seconds: BTreeMap<i64, Vec<f64>> = BTreeMap::new();
    for (at, off) in masters.iter().flatten() {
        // The pip's own second, wherever in it the take has it.
        seconds.entry(((at - off / 1000.0) * 10.0).round() as i64).or_default().push(*off);
    }
    let of = |(at, offs): (i64, Vec<f64>)| {
        let least = offs.iter().copied().fold(f64::INFINITY, f64::min);
        let most = offs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        (offs.len() == masters.len()).then_some((at as f64 / 10.0, most - least))
    };
    seconds.into_iter().filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(master: &[f64]) -> Heard {
        Heard { name: "Ada".into(), master: master.to_vec(), microphone: Vec::new(), told_ppm: Value::Null }
    }

    #[test]
    fn masters_that_slide_apart_are_seen_to() {
        let even: Vec<f64> = (0..100).map(|n| 7.2 + f64::from(n)).collect();
        let slow: Vec<f64> = (2..100).map(|n| 7.2 + f64::from(n) * (1.0 + 20e-6)).collect();
        let masters = offsets(&[heard(&even), heard(&slow)]);
        let spread = spread(&masters);
        assert_eq!(spread.len(), 98);
        assert!((spread[0].1 - 0.04).abs() < 1e-6, "{:?}", spread[0]);
        assert!((spread[97].1 - 1.98).abs() < 1e-6, "{:?}", spread[97]);
        let drift = Drift::of(&masters[1]).unwrap().ppm;
        assert!((drift - 20.0).abs() < 0.01, "{drift}");
    }

    #[test]
    fn a_file_on_its_own_clock_slides() {
        let pips: Vec<f64> = (0..300).map(|n| 0.3 + f64::from(n) * (1.0 - 300e-6)).collect();
        let slid = slide(&pips);
        assert!((slid[299].1 + 89.7).abs() < 1e-6 && slid[0].1 == 0.0);
        assert!(slide(&[]).is_empty());
    }
}
