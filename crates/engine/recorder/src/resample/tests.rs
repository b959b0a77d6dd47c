//! How transparent the resampler is, and how exact.

use std::f64::consts::TAU;

use super::*;

const RATE: f64 = 48_000.0;

fn sine(hz: f64, at: f64) -> f64 {
    0.5 * (TAU * hz / RATE * at).sin()
}

/// A second and a half of a tone that a device captures, resampled by `index_at`, from blocks of odd lengths.
fn run(hz: f64, index_at: impl Fn(u64) -> f64 + Copy) -> Vec<f32> {
    let (mut resampler, mut out, mut index) = (Resampler::new(), Vec::new(), 0);
    resampler.begin(0);
    for len in [240_usize, 1, 480, 77, 128].iter().cycle() {
        let block: Vec<f32> = (index..index + len).map(|i| sine(hz, i as f64) as f32).collect();
        index += len;
        resampler.push(&block);
        let made = out.len() as u64;
        resampler.produce(|n| index_at(made + n), &mut out);
        if out.len() > 72_000 {
            return out;
        }
    }
    unreachable!()
}

/// Amplitude, phase in samples, and residual (all that is not the tone) of the sine of `cycles` per sample in `samples`: least squares
/// with an offset.
fn fit(samples: &[f32], cycles: f64) -> (f64, f64, f64) {
    // The normal equations of sine, cosine and one.
    let mut matrix = [[0.0; 4]; 3];
    for (n, sample) in samples.iter().enumerate() {
        let basis = [(TAU * cycles * n as f64).sin(), (TAU * cycles * n as f64).cos(), 1.0];
        for (row, a) in matrix.iter_mut().zip(basis) {
            for (cell, b) in row.iter_mut().zip([basis[0], basis[1], basis[2], f64::from(*sample)]) {
                *cell += a * b;
            }
        }
    }
    for i in 0..3 {
        let pivot = matrix[i];
        for (_, row) in matrix.iter_mut().enumerate().filter(|(j, _)| *j != i) {
            let factor = row[i] / pivot[i];
            row.iter_mut().zip(pivot).for_each(|(cell, p)| *cell -= factor * p);
        }
    }
    let [s, c, dc] = [0, 1, 2].map(|i| matrix[i][3] / matrix[i][i]);
    let power: f64 = samples
        .iter()
        .enumerate()
        .map(|(n, sample)| {
            let angle = TAU * cycles * n as f64;
            (f64::from(*sample) - s * angle.sin() - c * angle.cos() - dc).powi(2)
        })
        .sum();
    (s.hypot(c), c.atan2(s) / (TAU * cycles), (power / samples.len() as f64).sqrt())
}

fn db(ratio: f64) -> f64 {
    20.0 * ratio.log10()
}

#[test]
fn a_tone_comes_out_100_db_above_noise_and_distortion_and_where_it_belongs() {
    for ppm in [-300.0, -37.0, 0.0, 5.0, 300.0] {
        // It starts between two samples.
        let step = 1.0 + ppm * 1e-6;
        let index_at = |n: u64| 1000.3 + n as f64 * step;
        let out = run(1000.0, index_at);
        let (amplitude, phase, residual) = fit(&out[..48_000], 1000.0 * step / RATE);
        let noise = db(residual / (amplitude / 2f64.sqrt()));
        let (period, wanted) = (48.0 / step, 1000.3 / step);
        let off = (phase - wanted + period / 2.0).rem_euclid(period) - period / 2.0;
        println!("{ppm} ppm: THD+N {noise:.1} dB, {off:.1e} samples off");
        assert!(noise < -100.0, "{ppm} ppm: {noise} dB");
        assert!(off.abs() < 1e-5, "{ppm} ppm: {off} samples");
    }
}

#[test]
fn it_is_flat_to_20_khz() {
    for hz in [20.0, 100.0, 1000.0, 5000.0, 10_000.0, 15_000.0, 18_000.0, 19_000.0, 20_000.0, 21_000.0] {
        let out = run(hz, |n| 500.0 + n as f64 * 1.000_1);
        let (amplitude, _, residual) = fit(&out[..48_000], hz * 1.000_1 / RATE);
        let gain = db(amplitude / 0.5);
        println!("{hz} Hz: {gain:+.4} dB, THD+N {:.1} dB", db(residual / amplitude * 2f64.sqrt()));
        assert!(gain.abs() < 0.1 || hz > 20_000.0, "{hz} Hz: {gain} dB");
    }
}

#[test]
fn a_map_that_wanders_is_followed_without_an_error_that_adds_up() {
    // ±400 ppm, back and forth in 0.2 s.
    let index_at = |n: u64| 200.0 + n as f64 + 400e-6 * 1500.0 * (n as f64 / 1500.0).sin();
    let out = run(500.0, index_at);
    let wrong = |(n, sample): (usize, &f32)| (f64::from(*sample) - sine(500.0, index_at(n as u64))).abs();
    let worst = out.iter().enumerate().map(wrong).fold(0.0, f64::max);
    // One sample off would be 0.033; a microsecond 0.0016.
    println!("worst {worst:.2e}");
    assert!(worst < 2e-4, "{worst}");
}

#[test]
fn a_run_is_cut_to_the_sample_and_does_not_ring_into_the_next() {
    let mut resampler = Resampler::new();
    for (first, len, count) in [(7_i64, 3_usize, 3_u64), (90, 1, 1), (1000, 63, 63), (5000, 500, 500)] {
        let mut out = Vec::new();
        resampler.begin(first);
        resampler.push(&vec![1.0; len]);
        let index_at = |n: u64| first as f64 + n as f64;
        let made = resampler.produce(index_at, &mut out);
        resampler.finish(count - made, |n| index_at(made + n), &mut out);
        assert_eq!(out.len() as u64, count);
        // The same samples give the same sound, whatever was before.
        assert!(out.iter().all(|sample| (0.3..1.3).contains(sample)), "{first}: {out:?}");
        assert!((out[0] - out[out.len() - 1]).abs() < 1e-6, "symmetric");
    }
}

#[test]
fn a_run_may_begin_long_before_its_first_output() {
    let mut resampler = Resampler::new();
    resampler.begin(0);
    let mut out = Vec::new();
    let first = 100_000.25;
    for block in 0..600 {
        let samples: Vec<f32> =
            (block * 240..(block + 1) * 240).map(|i| sine(997.0, f64::from(i)) as f32).collect();
        resampler.push(&samples);
        let made = out.len() as u64;
        resampler.produce(|n| first + (made + n) as f64, &mut out);
        assert!(resampler.input.len() < 1000, "nothing is kept that is not needed");
    }
    assert!(out.len() > 40_000);
    let wrong = |(n, sample): (usize, &f32)| (f64::from(*sample) - sine(997.0, first + n as f64)).abs();
    assert!(out.iter().enumerate().map(wrong).fold(0.0, f64::max) < 1e-4);
}

#[test]
fn an_absurd_map_makes_noise_and_no_panic() {
    let mut resampler = Resampler::new();
    resampler.begin(0);
    resampler.push(&vec![0.1; 10_000]);
    let mut out = Vec::new();
    resampler.produce(|n| 1e12 * n as f64, &mut out);
    resampler.begin(0);
    resampler.push(&vec![0.1; 10_000]);
    resampler.produce(|n| -(n as f64), &mut out);
    resampler.finish(100, |_| f64::NAN, &mut out);
    assert!(out.len() >= 100);
}

/// What it costs: `cargo test -p hyperzoom-recorder what_it_costs -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn what_it_costs() {
    let made = std::time::Instant::now();
    let mut resampler = Resampler::new();
    println!("made in {:.1} ms", made.elapsed().as_secs_f64() * 1e3);
    let block: Vec<f32> = (0..240).map(|i| sine(997.0, f64::from(i)) as f32).collect();
    let mut quickest = f64::MAX;
    for _ in 0..30 {
        resampler.begin(0);
        let started = std::time::Instant::now();
        let mut out = Vec::with_capacity(60_000);
        for _ in 0..200 {
            resampler.push(&block);
            let made = out.len() as u64;
            resampler.produce(|n| (made + n) as f64 * 1.000_2, &mut out);
        }
        quickest = quickest.min(started.elapsed().as_secs_f64());
    }
    println!("{:.2} ms a second of sound", quickest * 1e3);
}
