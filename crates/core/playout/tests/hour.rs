//! An hour between sound cards that are 300 ppm apart, and what the resampler makes of a tone meanwhile.

mod common;

use std::f64::consts::TAU;
use std::time::Duration;

use common::{Call, Nothing, RATE, Tone, ms};
use hyperzoom_netem::Conditions;

const STILL: Conditions = Conditions { delay: Duration::from_millis(10), ..Conditions::PERFECT };

/// An hour; the depth stays at its target, and nothing is late after the first second, nor skipped after the third.
fn hour(frame: usize, jitter: u64, ppm: f64) {
    let jitter = Duration::from_millis(jitter);
    let mut call = Call::new(frame, 128, Conditions { jitter, ..STILL }, ppm);
    let what = format!("frames of {frame}, {jitter:?} of jitter, {ppm} ppm");
    call.run(1.0, &mut Nothing, |_, _| ());
    let first = call.playout.stats();
    call.run(2.0, &mut Nothing, |_, _| ());
    let settled = call.playout.stats();
    let mut furthest = 0.0f64;
    for n in 0..3597 {
        call.run(1.0, &mut Nothing, |_, _| ());
        let stats = call.playout.stats();
        if n >= 60 {
            furthest = furthest.max((ms(stats.depth) - ms(stats.target)).abs());
        }
    }
    let stats = call.playout.stats();
    assert!(furthest < 1.0, "{what}: the depth was {furthest} ms off its target: {stats:?}");
    assert_eq!(
        (stats.concealed_frames, stats.late, stats.lost, stats.resets),
        (first.concealed_frames, first.late, 0, 0),
        "{what}: {stats:?}"
    );
    assert!(settled.skips <= 1 && stats.skips == settled.skips, "{what}: {stats:?}");
    assert!((f64::from(stats.resample_ppm) + ppm).abs() < 100.0, "{what}: {stats:?}");
    // No frame was dropped or repeated: all that was sent was played, but for what is under way.
    let span = frame as f64 / RATE * 1e3;
    assert!((call.sent - stats.received) as f64 * span < 10.0 + 2.0 * span + jitter.as_secs_f64() * 1e3);
    println!("{what}: at most {furthest:.3} ms off, {stats:?}");
}

#[test]
fn an_hour_with_a_slow_card_stays_at_its_target_and_starves_nothing() {
    hour(240, 0, -300.0);
    hour(240, 4, -300.0);
}

#[test]
fn an_hour_with_a_quick_card_stays_at_its_target_and_starves_nothing() {
    hour(240, 0, 300.0);
    hour(240, 4, 300.0);
}

#[test]
fn an_hour_of_the_shortest_frames_stays_at_its_target_and_starves_nothing() {
    hour(120, 2, -300.0);
}

/// The energy of what is not the tone, against the tone's, in decibels: its harmonics and noise (THD+N), after the tone
/// was fitted over parts of a fifth of a second, since its frequency goes with the stretch.
fn distortion_db(sound: &[f32], hz: f64) -> f64 {
    let (mut signal, mut rest) = (0.0, 0.0);
    for part in sound.chunks_exact(9600) {
        // The frequency is looked for, about where it should be, by the phase's advance from the first half to the second.
        let phasor = |samples: &[f32], from: usize, hz: f64| {
            let (mut re, mut im) = (0.0, 0.0);
            for (i, sample) in samples.iter().enumerate() {
                let window = 0.5 - 0.5 * (TAU * i as f64 / samples.len() as f64).cos();
                let (sin, cos) = (TAU * hz / RATE * (from + i) as f64).sin_cos();
                re += window * f64::from(*sample) * cos;
                im -= window * f64::from(*sample) * sin;
            }
            im.atan2(re)
        };
        let half = part.len() / 2;
        let mut tone = hz;
        for _ in 0..3 {
            let advance = phasor(&part[half..], half, tone) - phasor(&part[..half], 0, tone);
            let advance = (advance + TAU / 2.0).rem_euclid(TAU) - TAU / 2.0;
            tone += advance / TAU * RATE / half as f64;
        }
        // Least squares on sine, cosine and, since the stretch moves slowly, both times the time: normal equations.
        let basis = |i: usize| {
            let (sin, cos) = (TAU * tone / RATE * i as f64).sin_cos();
            let t = i as f64 / part.len() as f64 - 0.5;
            [sin, cos, t * sin, t * cos, t * t * sin, t * t * cos]
        };
        let mut matrix = [[0.0f64; 7]; 6];
        for (i, sample) in part.iter().enumerate() {
            let row = basis(i);
            for (line, a) in matrix.iter_mut().zip(row) {
                for (cell, b) in line.iter_mut().zip(row) {
                    *cell += a * b;
                }
                line[6] += a * f64::from(*sample);
            }
        }
        for pivot in 0..6 {
            let upper = matrix[pivot];
            for (n, line) in matrix.iter_mut().enumerate() {
                if n != pivot {
                    let factor = line[pivot] / upper[pivot];
                    line.iter_mut().zip(upper).for_each(|(cell, up)| *cell -= factor * up);
                }
            }
        }
        for (i, sample) in part.iter().enumerate() {
            let fitted: f64 = basis(i).iter().enumerate().map(|(n, b)| b * matrix[n][6] / matrix[n][n]).sum();
            signal += fitted * fitted;
            rest += (f64::from(*sample) - fitted).powi(2);
        }
    }
    10.0 * (rest / signal).log10()
}

#[test]
fn the_resampled_tone_is_80_db_above_its_distortion() {
    for ppm in [300.0, -300.0, 0.0] {
        for (frame, period) in [(120, 128), (240, 441)] {
            let mut call = Call::new(frame, period, STILL, ppm);
            let mut tone = Tone { hz: 1000.0, ..Tone::default() };
            call.run(120.0, &mut tone, |_, _| ());
            let mut sound = Vec::new();
            call.run(10.0, &mut tone, |_, block| sound.extend_from_slice(block));
            let distortion = distortion_db(&sound, 1000.0);
            println!("{ppm} ppm, {frame}/{period}: {distortion:.1} dB");
            assert!(distortion < -80.0, "{ppm} ppm, {frame}/{period}: {distortion} dB");
        }
    }
}

#[test]
fn the_meter_of_distortion_sees_what_it_should() {
    for db in [-60.0, -90.0] {
        let share = 10.0f64.powf(db / 20.0);
        let sound: Vec<f32> = (0..96_000)
            .map(|i| {
                let phase = TAU * 1000.2 / RATE * f64::from(i);
                (phase.sin() + share * (3.0 * phase).sin()) as f32
            })
            .collect();
        assert!((distortion_db(&sound, 1000.0) - db).abs() < 0.5, "{}", distortion_db(&sound, 1000.0));
    }
}
