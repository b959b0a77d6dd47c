//! An hour of a take in virtual time: no clock agrees with another, and nothing comes when it should.

use hyperzoom_timing::{ClockEstimator, Exchange, SessionClock, Timecode, tick_time_ns};
use std::time::Duration;

use crate::audio_track::AudioTrack;
use crate::cfr::ConstantRate;
use crate::ledger::PictureLedger;

const SECOND: f64 = 1e9;
/// Samples in a callback of the microphone.
const BLOCK: usize = 480;

/// A computer of the call.
#[derive(Clone, Copy)]
struct Machine {
    /// How much faster the host's clock runs, in parts per million.
    host_ppm: f64,
    /// Its clock when the session began, in nanoseconds.
    start_ns: f64,
    /// The mean of what a time exchange is held up by on its way there and back, in nanoseconds.
    jitter_ns: (f64, f64),
    /// What its chance begins with.
    seed: u64,
}

/// One whose path is quicker one way than the other.
const MACHINE: Machine = Machine { host_ppm: 80.0, start_ns: 345.678e9, jitter_ns: (2e6, 2e6), seed: 3 };

/// A small generator, so that every run is the same.
struct Noise(u64);

impl Noise {
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.unit()).ln()
    }
}

impl Machine {
    /// This machine's moment of a true session time.
    fn local(self, session_ns: f64) -> Duration {
        Duration::from_nanos((self.start_ns + session_ns / (1.0 + self.host_ppm * 1e-6)) as u64)
    }

    /// The true session time of a moment of this machine.
    fn truth(self, local: Duration) -> f64 {
        (local.as_nanos() as f64 - self.start_ns) * (1.0 + self.host_ppm * 1e-6)
    }
}

/// This machine's estimate of the session clock, from exchanges over a path that is quicker one way than the other.
struct Estimate {
    machine: Machine,
    estimator: ClockEstimator,
    noise: Noise,
    next: f64,
}

impl Estimate {
    fn new(machine: Machine) -> Self {
        let noise = Noise(machine.seed);
        let mut it = Self { machine, estimator: ClockEstimator::new(), noise, next: 0.0 };
        for n in 0..8 {
            it.exchange(f64::from(n) * 0.02 * SECOND);
        }
        it.next = 0.36 * SECOND;
        it
    }

    fn exchange(&mut self, session_ns: f64) {
        let there = 4.0e6 + self.noise.exponential(self.machine.jitter_ns.0);
        let back = 3.7e6 + self.noise.exponential(self.machine.jitter_ns.1);
        let t0 = self.machine.local(session_ns);
        let arrived = t0 + Duration::from_nanos(there as u64);
        let left = arrived + Duration::from_micros(40);
        let t3 = left + Duration::from_nanos(back as u64);
        let exchange =
            Exchange { t0, t1: self.machine.truth(arrived) as i64, t2: self.machine.truth(left) as i64, t3 };
        self.estimator.add(&exchange).unwrap();
    }

    /// The clock that is known at a true session time.
    fn at(&mut self, session_ns: f64) -> SessionClock {
        while self.next + 0.05 * SECOND <= session_ns {
            self.exchange(self.next);
            // As sessions ask: often at the start.
            self.next += if self.next < 10.0 * SECOND { 0.2 * SECOND } else { SECOND };
        }
        self.estimator.clock().unwrap()
    }
}

/// When claps (a click and a flash at once) are, in true session time.
fn clap(n: usize) -> f64 {
    (7.0 + 60.0 * n as f64 + 0.013 * (n * 17 % 100) as f64) * SECOND
}

/// A click: a pulse of 0.4 ms, which holds nothing above 5 kHz.
fn click(since_ns: f64) -> f32 {
    (-(since_ns / 200e3).powi(2) / 2.0).exp() as f32
}

/// Where each clap is heard and seen in the file, in nanoseconds of its session time; the truth is [`clap`]'s.
struct Landed {
    heard: Vec<f64>,
    /// The first tick that shows it, and when that picture was captured in truth.
    seen: Vec<(f64, f64)>,
}

/// The true session time of the microphone's sample `index` and of the camera's picture `index`, by the seconds on their own clocks.
fn run(
    machine: Machine,
    seconds: usize,
    first_tick: u64,
    mic: impl Fn(f64) -> f64,
    camera: impl Fn(f64) -> f64,
) -> Landed {
    let start_ns = tick_time_ns(first_tick);
    let (mut estimate, mut noise) = (Estimate::new(machine), Noise(machine.seed + 8));
    let (mut track, mut pictures) = (AudioTrack::new(start_ns), ConstantRate::new(first_tick));
    let (mut ledger, mut worst_clock) = (PictureLedger::default(), 0.0_f64);
    let claps = (seconds - 7).div_ceil(60);
    let mut sums = vec![(0.0, 0.0); claps];
    let mut seen = vec![None; claps];
    let (mut out, mut placed, mut picture, mut stall) = (Vec::new(), 0_u64, 0_u64, 0_usize);
    let (count, mut lost_samples) = (seconds * 48_000 / BLOCK, 0);
    for block in 0..count {
        let first = block * BLOCK;
        let moment = |index: usize| mic(index as f64 / 48_000.0) * SECOND;
        let (at, end) = (moment(first), moment(first + BLOCK));
        let near = (((at / SECOND - 7.0) / 60.0).round().max(0.0) as usize).min(claps - 1);
        let samples: Vec<f32> = if (at - clap(near)).abs() < 0.05 * SECOND {
            (first..first + BLOCK).map(|index| click(moment(index) - clap(near))).collect()
        } else {
            vec![0.0; BLOCK]
        };
        // Every few seconds all blocks of 50 ms come at once, and the others up to 4 ms late.
        if stall == 0 && noise.unit() < 0.002 {
            stall = 5;
        }
        let late = if stall > 0 { stall as f64 * (end - at) } else { 0.0 } + noise.unit() * 4e6;
        stall = stall.saturating_sub(1);
        let clock = estimate.at(at + late);
        // Away from the claps the ring loses seven blocks of eight: that spares time, and makes it no easier.
        let lost = (at - clap(near)).abs() > 2.0 * SECOND && !block.is_multiple_of(8);
        if lost {
            lost_samples += BLOCK;
        } else {
            track.push(first as u64, clock.session_ns(machine.local(at + late)), &samples, &mut out);
        }
        let end_ns = machine.truth(machine.local(end));
        let clock_off = (clock.session_ns(machine.local(end)) as f64 - end_ns) / 1e6;
        worst_clock = worst_clock.max(clock_off.abs());
        for (n, sample) in out.drain(..).enumerate() {
            if sample.abs() > 1e-4 {
                let place = start_ns as f64 + (placed + n as u64) as f64 / 48_000.0 * SECOND;
                let which = (((place / SECOND - 7.0) / 60.0).round().max(0.0) as usize).min(claps - 1);
                sums[which].0 += f64::from(sample);
                sums[which].1 += f64::from(sample) * (place - clap(which));
            }
        }
        placed = track.written();

        // Pictures captured meanwhile, stamped up to 5 ms late.
        while camera(picture as f64 / 30.0) * SECOND <= end {
            let at = camera(picture as f64 / 30.0) * SECOND;
            let stamp = estimate.at(at).session_ns(machine.local(at + noise.unit() * 5e6));
            pictures.push(stamp, 0, picture);
            picture += 1;
        }
        while let Some(tick) = pictures.poll((end - 20e6) as i64) {
            ledger.push(tick.entry);
            let shown = tick.picture.map_or(-1.0, |n| camera(n as f64 / 30.0) * SECOND);
            for (n, seen) in seen.iter_mut().enumerate().filter(|(_, seen)| seen.is_none()) {
                if shown >= clap(n) {
                    *seen = Some((tick_time_ns(tick.tick) as f64, shown));
                }
            }
        }
    }
    let it = track.ledger().counts(u64::MAX);
    assert_eq!((it.gaps, it.late, it.captured), (0, 0, it.written), "{it:?}");
    // What was lost is as long in the file as it was in truth: a few ten-thousandths are the device's rate.
    assert!((it.dropped as f64 / lost_samples as f64 - 1.0).abs() < 5e-4, "{it:?} of {lost_samples}");
    let pictures = ledger.counts(u64::MAX, u64::MAX);
    println!(
        "{} at {} claps, {:?} ppm, {} pictures doubled, {} left out; the session clock's estimate was {worst_clock:.3} ms off at worst",
        Timecode::from_tick(first_tick + pictures.written),
        claps,
        track.drift_ppm(),
        pictures.duplicated,
        pictures.decimated
    );
    let heard = sums.iter().enumerate().map(|(n, (mass, moment))| clap(n) + moment / mass).collect();
    Landed { heard, seen: seen.into_iter().map(Option::unwrap).collect() }
}

fn check(landed: &Landed, what: &str) {
    let (mut worst_heard, mut worst_early, mut worst_late) = (0.0_f64, 0.0_f64, 0.0_f64);
    for (n, (heard, (tick, captured))) in landed.heard.iter().zip(&landed.seen).enumerate() {
        let (heard, late) = ((heard - clap(n)) / 1e6, (tick - captured) / 1e6);
        if n == 0 || n + 1 == landed.heard.len() {
            println!(
                "{what}, clap {n}: heard {heard:+.3} ms off, seen {late:.2} ms after its picture was captured"
            );
        }
        worst_heard = worst_heard.max(heard.abs());
        (worst_early, worst_late) = (worst_early.min(late), worst_late.max(late));
    }
    println!(
        "{what}: sound at worst {worst_heard:.3} ms off, pictures between {worst_early:.2} and {worst_late:.2} ms"
    );
    assert!(worst_heard < 1.0, "{what}: {worst_heard} ms");
    // A picture is shown at the tick next to its fitted moment: half a frame to either side, and what the stamps mislead by.
    let frame = 1000.0 / 30.0;
    assert!(worst_early > -frame && worst_late < frame, "{what}: {worst_early}, {worst_late} ms");
}

#[test]
fn after_an_hour_sound_and_pictures_are_where_they_were_at_the_start() {
    let landed = run(MACHINE, 3600, 31, |t| 0.9 + t / (1.0 + 200e-6), |t| 0.85 + t / (1.0 - 150e-6));
    check(&landed, "an hour");
    assert_eq!(landed.heard.len(), 60);
}

#[test]
fn a_microphone_that_warms_up_stays_in_time() {
    // From 60 to 40 ppm too fast, within minutes.
    let mic = |t: f64| 0.9 + t - 40e-6 * t - 20e-6 * 150.0 * (1.0 - (-t / 150.0).exp());
    check(&run(MACHINE, 600, 31, mic, |t| 0.85 + t), "a crystal that warms up");
}

#[test]
fn four_takes_whose_devices_and_computers_disagree_lie_on_each_other_after_an_hour() {
    // The first is the host, whose clock is the session's; the others' paths hold questions and answers up differently.
    let machine = |n: u32| Machine {
        host_ppm: [0.0, -120.0, 40.0, 90.0][n as usize],
        start_ns: 1e9 * f64::from(1 + 977 * n),
        jitter_ns: [(0.0, 0.0), (5e6, 5e6), (2e6, 6e6), (6e6, 2e6)][n as usize],
        seed: 100 + u64::from(n),
    };
    // For a plot: whose, with or without a correction, seconds, ms off.
    let mut points = String::new();
    let takes = [-300.0, -50.0, 50.0, 300.0].into_iter().zip(0..).map(|(ppm, n)| {
        // Each of them begins to record at another moment.
        let begin = 0.9 + 0.37 * f64::from(n);
        let mic = move |t: f64| begin + t / (1.0 + ppm * 1e-6);
        let first_tick = (begin * 30.0) as u64 + 4;
        let landed = run(machine(n), 3600, first_tick, mic, move |t| begin - 0.05 + t);
        check(&landed, &format!("{ppm:+} ppm"));
        for (n, heard) in landed.heard.iter().enumerate() {
            let at = clap(n) / SECOND;
            // A file of the device's own samples, put where it began.
            let alone = (at - begin) * ppm * 1e-6 * 1e3;
            points += &format!("{ppm:+} ppm,corrected,{at},{}\n", (heard - clap(n)) / 1e6);
            points += &format!("{ppm:+} ppm,alone,{at},{alone}\n");
        }
        landed.heard
    });
    let takes: Vec<_> = takes.collect();
    if let Some(file) = std::env::var_os("HYPERZOOM_DRIFT_POINTS") {
        std::fs::write(file, points).unwrap();
    }
    let mut worst = (0.0_f64, 0);
    for n in 0..takes[0].len() {
        let at = takes.iter().map(|take| (take[n] - clap(n)) / 1e6);
        let (least, most) =
            at.fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), at| (least.min(at), most.max(at)));
        if most - least > worst.0 {
            worst = (most - least, n);
        }
        if n == 0 || n + 1 == takes[0].len() {
            println!("clap {n}: the four lie within {:.3} ms of each other", most - least);
        }
    }
    println!("at worst {:.3} ms, at clap {}", worst.0, worst.1);
    // The promise: any two takes lie within a millisecond of each other, at the end as at the start.
    assert!(worst.0 < 1.0, "{worst:?}");
}
