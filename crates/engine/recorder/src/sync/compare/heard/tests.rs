use super::*;

/// Noise that looks random (Marsaglia's xorshift, 2003), with most of its energy in a voice's band, that swells as syllables do.
fn voice(seed: u64, seconds: f64) -> Vec<f32> {
    let (mut state, mut low, mut lower) = (seed, 0.0_f32, 0.0_f32);
    (0..(seconds * f64::from(SAMPLE_RATE)) as usize)
        .map(|n| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            low += 0.15 * ((state >> 40) as f32 / (1 << 23) as f32 - 1.0 - low);
            lower += 0.02 * (low - lower);
            0.5 * (low - lower) * (0.6 + 0.4 * (n as f32 / 48_000.0 * 4.0 * std::f32::consts::TAU).sin())
        })
        .collect()
}

/// What a codec makes of a sound: noise 10 dB below it.
fn coded(sound: &[f32]) -> Vec<f32> {
    let noise = voice(99, sound.len() as f64 / 48_000.0 + 0.1);
    sound.iter().zip(noise).map(|(sound, noise)| sound + 0.3 * noise).collect()
}

fn sure(wanted: &[f32], there: &[f32], expected: usize) -> Option<f64> {
    locate(wanted, there, expected).filter(Place::is_sure).map(|it| it.offset / 48.0)
}

#[test]
fn a_piece_is_found_wherever_it_is_within_two_seconds() {
    let master = voice(1, 6.0);
    for ms in [0.0, 5.0, -5.0, 0.25, 333.3, -1990.0, 1990.0] {
        let at = 96_000.0 + ms * 48.0;
        let piece = coded(&master[at as usize..][..96_000]);
        let found = sure(&piece, &master, 96_000).unwrap();
        assert!((found - ms).abs() < 0.02, "{found} ms instead of {ms}");
    }
}

#[test]
fn a_take_that_moves_by_half_a_millisecond_meanwhile_is_the_same_sound() {
    let master = voice(1, 6.0);
    let piece = coded(&master[96_000..192_000]);
    // It begins 0.7 ms late and is right by the end, as one does whose first blocks came late.
    let late = |n: f64| 33.6 * (-(n - 96_000.0).max(0.0) / 60_000.0).exp();
    let moved: Vec<f32> = (0..287_900)
        .map(|n| {
            let at = (f64::from(n) - late(f64::from(n))).max(0.0);
            let (index, part) = (at as usize, at.fract() as f32);
            master[index] * (1.0 - part) + master[index + 1] * part
        })
        .collect();
    let found = locate(&piece, &moved, 96_000).unwrap();
    assert!(found.is_sure() && found.correlation > 0.7, "{found:?}");
    assert!((0.25..0.5).contains(&(found.offset / 48.0)), "{found:?}");
}

#[test]
fn another_sound_silence_a_tone_and_a_beat_say_nothing() {
    let master = voice(1, 6.0);
    assert_eq!(sure(&voice(2, 2.0), &master, 96_000), None);
    assert_eq!(sure(&[0.0; 96_000], &master, 96_000), None);
    assert_eq!(sure(&voice(1, 2.0), &[0.0; 288_000], 96_000), None);
    assert_eq!(sure(&[], &master, 96_000), None);
    assert_eq!(sure(&master[..96_000], &[], 96_000), None);
    let tone: Vec<f32> =
        (0..288_000).map(|n| 0.2 * (n as f32 * 440.0 / 48_000.0 * 6.283_185_5).sin()).collect();
    assert_eq!(sure(&coded(&tone[240..96_240]), &tone, 96_000), None);
    // A bar over and over, wherever it is cut.
    for (bar, cut) in [(0.75, 0), (0.5, 0), (0.5, 1600), (0.5, 23_000), (1.9, 0), (0.1, 77)] {
        let bar = voice(3, bar);
        let beat: Vec<f32> = bar.iter().cycle().skip(cut).take(288_000).copied().collect();
        assert_eq!(sure(&coded(&beat[96_240..192_240]), &beat, 96_000), None, "{} samples", bar.len());
    }
    // Two who speak at once, of whom the other heard the one.
    let both: Vec<f32> = master.iter().zip(voice(4, 6.0)).map(|(a, b)| a + 3.0 * b).collect();
    assert_eq!(sure(&coded(&master[96_240..192_240]), &both, 96_000), None);
}

#[test]
fn the_sync_tone_in_the_take_is_not_held_against_the_piece() {
    let mut master = voice(1, 6.0);
    let piece = coded(&master[96_240..192_240]);
    master.iter_mut().zip(-120_000_i64..).for_each(|(sample, n)| *sample += tone_sample(n));
    let tone = hyperzoom_timing::FoundTone { at: 1_120_000.0, level: 1.0, correlation: 0.9, margin: 500.0 };
    let take = Listened {
        folder: PathBuf::new(),
        session_id: String::new(),
        start: 0.0,
        len: 2_000_000,
        tones: vec![tone],
        certified: false,
        participant: Some(1),
        heard: Vec::new(),
        heard_error: None,
    };
    let before = locate(&piece, &master, 96_000).unwrap().correlation;
    silence_tones(&take, 1_000_000, &mut master);
    let after = locate(&piece, &master, 96_000).unwrap();
    assert!((after.offset / 48.0 - 5.0).abs() < 0.02, "{after:?}");
    assert!(after.correlation > before + 0.1, "{before} and {after:?}");
}

fn bearing(ms: &[f64]) -> Bearing {
    Bearing { points: ms.iter().enumerate().map(|(n, ms)| (n as f64 * 700.0, *ms)).collect() }
}

#[test]
fn only_what_all_pieces_agree_in_is_proven() {
    assert_eq!(bearing(&[5.0, 5.1, 4.9]).proven(), Some(4.9));
    assert_eq!(bearing(&[-5.0, -1.1]).proven(), Some(-1.1));
    for innocent in [&[][..], &[5.0, 0.2, 5.0], &[5.0, -5.0], &[0.9, 0.9], &[2.9]] {
        assert_eq!(bearing(innocent).proven(), None, "{innocent:?}");
    }
    assert_eq!(bearing(&[5.0]).proven(), Some(5.0));
    assert_eq!(bearing(&[0.0, 0.7, 1.4]).drift_ppm(600.0).map(f64::round), Some(1.0));
    assert_eq!(bearing(&[0.0, 0.7]).drift_ppm(701.0), None);
    assert_eq!(bearing(&[0.3, -0.7]).worst(), -0.7);
}
