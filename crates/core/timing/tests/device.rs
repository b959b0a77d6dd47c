//! The clock of a sound device against crystals and callbacks whose truth is known, in virtual time.

use hyperzoom_timing::DeviceClock;
use proptest::prelude::*;

const BLOCK: i64 = 240;
const BASE: i64 = 77_000_000_000;

/// A small generator, so that lateness is the same in every run.
struct Noise(u64);

impl Noise {
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// What the map was like, once it had settled, in nanoseconds.
#[derive(Debug, Default)]
struct Seen {
    /// The greatest distance from the truth.
    error: i64,
    /// The most that it moved against the truth from one mark to the next.
    slew: i64,
    rate_ppb: i64,
}

/// Runs a device for `seconds` whose samples are captured `at(seconds by its own count)` seconds, with callbacks `late` by
/// nanoseconds; `settled` says from which second on the map is looked at.
fn run(seconds: i64, settled: i64, at: impl Fn(f64) -> f64, mut late: impl FnMut(i64) -> f64) -> Seen {
    let (mut clock, mut seen, mut last) = (DeviceClock::new(48_000), Seen::default(), 0);
    let (mut before, mut map_before) = (0, 0);
    for block in 0..seconds * 48_000 / BLOCK {
        let index = block * BLOCK;
        let truth = BASE + (at(index as f64 / 48_000.0) * 1e9) as i64;
        clock.mark(index, truth + late(block) as i64);
        let map = clock.session_ns_of(index).expect("marked");
        let error = map - truth;
        // What was said of the samples before does not change any more.
        assert!(block == 0 || (clock.session_ns_of(before).expect("marked") - map_before).abs() <= 1);
        let back = clock.index_at(map as f64).expect("marked");
        assert!((back - index as f64).abs() < 1e-4, "there and back");
        if index > settled * 48_000 {
            seen.error = seen.error.max(error.abs());
            seen.slew = seen.slew.max((error - last).abs());
        }
        (last, before, map_before) = (error, index, map);
    }
    seen.rate_ppb = clock.rate_ppb().expect("long enough");
    seen
}

/// Up to 4 ms late, and every 5 s or so all of 50 ms come at their end.
fn bursts(seed: u64) -> impl FnMut(i64) -> f64 {
    let mut noise = Noise(seed);
    move |block| {
        let phase = (block + 500) % 1013;
        let stall = if phase < 10 { (10 - phase) as f64 * 5e6 } else { 0.0 };
        stall + noise.unit() * 4e6
    }
}

#[test]
fn devices_of_any_rate_are_followed_to_a_fraction_of_a_ppm_and_a_tenth_of_a_millisecond() {
    for ppm in [-500, -200, 0, 3, 80, 300] {
        let seen = run(180, 20, |t| t / (1.0 + f64::from(ppm) * 1e-6), bursts(1 + ppm as u64));
        println!("{ppm} ppm: {seen:?}");
        assert!(seen.error < 60_000 && seen.slew < 100, "{ppm} ppm: {seen:?}");
        assert!((seen.rate_ppb - i64::from(ppm) * 1000).abs() < 1500, "{ppm} ppm: {seen:?}");
    }
}

#[test]
fn the_rate_of_a_new_device_is_found_before_it_matters() {
    // The first half second waits for the least late of its marks, as takes do; then the map is used at once.
    let mut worst = (0, 0, 0);
    for (ppm, seed) in [-300, -100, 50, 300].into_iter().flat_map(|ppm| (1..=25).map(move |seed| (ppm, seed)))
    {
        let at = |t: f64| t / (1.0 + f64::from(ppm) * 1e-6);
        let mut late = bursts(seed);
        let marks: Vec<(i64, i64, i64)> = (0..20 * 48_000 / BLOCK)
            .map(|block| {
                let truth = BASE + (at((block * BLOCK) as f64 / 48_000.0) * 1e9) as i64;
                (block * BLOCK, truth, truth + late(block) as i64)
            })
            .collect();
        let mut clock = DeviceClock::new(48_000);
        // The name-plate time since the first sample taken back.
        let beginning = marks.iter().take(100).map(|mark| mark.2 - mark.0 * 1_000_000 / 48).min();
        clock.mark(0, beginning.expect("there are marks"));
        for (index, truth, marked) in &marks {
            clock.mark(*index, *marked);
            let error = (clock.session_ns_of(*index).expect("marked") - truth).abs();
            if error > worst.0 {
                worst = (error, ppm, index / 48);
            }
        }
    }
    println!("{} ns off at worst: {} ppm, after {} ms", worst.0, worst.1, worst.2);
    // Two takes that are off to either side stay within a millisecond of each other.
    assert!(worst.0 < 450_000, "{worst:?}");
}

#[test]
fn callbacks_without_jitter_give_the_truth() {
    let seen = run(120, 0, |t| t, |_| 0.0);
    assert!(seen.error <= 1 && seen.slew <= 2 && seen.rate_ppb == 0, "{seen:?}");
}

#[test]
fn a_crystal_that_warms_up_is_followed() {
    // From +50 to +30 ppm, with a time constant of 200 s.
    let warm = |t: f64| t - 30e-6 * t - 20e-6 * 200.0 * (1.0 - (-t / 200.0).exp());
    let seen = run(600, 20, warm, bursts(9));
    println!("{seen:?}");
    assert!(seen.error < 60_000 && seen.slew < 100, "{seen:?}");
    assert!((seen.rate_ppb - 31_000).abs() < 1500, "{seen:?}");
}

#[test]
fn a_starved_minute_of_late_callbacks_moves_little() {
    let mut bursts = bursts(4);
    // From the 60th to the 62nd second nothing comes less than 10 ms late.
    let late = |block: i64| bursts(block) + if (12_000..12_400).contains(&block) { 10e6 } else { 0.0 };
    let seen = run(180, 20, |t| t, late);
    println!("{seen:?}");
    assert!(seen.error < 60_000, "{seen:?}");
}

/// Places on a grid of samples are where sound is asked for, and the one nearest to a step may lie before it.
#[test]
fn the_place_nearest_to_a_step_is_behind_it() {
    const SAMPLE_NS: f64 = 1e9 / 48_000.0;
    for stall_ns in (0..200).map(|n| 845_000_000 + n * 1_003) {
        let mut clock = DeviceClock::new(48_000);
        for index in (0..96_000).step_by(BLOCK as usize) {
            clock.mark(index, BASE + (index as f64 * SAMPLE_NS) as i64);
        }
        clock.step(96_000, stall_ns);
        let begins = (clock.session_ns_of(96_000).expect("marked") - BASE) as f64;
        let nearest = BASE as f64 + (begins / SAMPLE_NS).round() * SAMPLE_NS;
        let index = clock.index_at(nearest).expect("marked");
        assert!((index - 96_000.0).abs() < 0.6, "{stall_ns} ns: {index}");
    }
}

#[test]
fn a_step_moves_what_comes_after_it_and_nothing_before() {
    let mut clock = DeviceClock::new(48_000);
    assert_eq!((clock.session_ns_of(0), clock.index_at(0.0), clock.rate_ppb()), (None, None, None));
    for block in 0..4000 {
        clock.mark(block * BLOCK, BASE + block * 5_001_000);
    }
    let (index, stall) = (4000 * BLOCK, 700_000_000);
    let before = clock.session_ns_of(index - 1).unwrap();
    let expected = clock.session_ns_of(index).unwrap() + stall;
    clock.step(index, stall);
    assert_eq!(clock.session_ns_of(index - 1), Some(before));
    assert_eq!(clock.session_ns_of(index), Some(expected));
    let rate = clock.rate_ppb().unwrap();
    assert!((rate + 200_000).abs() < 2000, "{rate}");
    for block in 4000..8000 {
        clock.mark(block * BLOCK, BASE + block * 5_001_000 + stall);
    }
    assert!((clock.rate_ppb().unwrap() + 200_000).abs() < 500);
    let end = 8000 * BLOCK;
    assert!((clock.session_ns_of(end).unwrap() - (BASE + 8000 * 5_001_000 + stall)).abs() < 20_000);
}

proptest! {
    #[test]
    fn no_marks_panic(marks in prop::collection::vec((any::<i64>(), any::<i64>(), any::<bool>()), 0..50)) {
        let mut clock = DeviceClock::new(48_000);
        for (index, ns, step) in marks {
            if step {
                clock.step(index, ns);
            } else {
                clock.mark(index, ns);
            }
            let _ = (clock.session_ns_of(index), clock.index_at(ns as f64), clock.rate_ppb());
        }
    }
}
