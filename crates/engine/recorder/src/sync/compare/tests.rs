use super::*;

fn take(start_s: f64, tones_ms: &[f64]) -> Listened {
    let tone = |ms: &f64| FoundTone { at: ms * 48.0, level: 1.0, correlation: 1.0, margin: 500.0 };
    Listened {
        folder: PathBuf::from("take"),
        session_id: "1".into(),
        start: start_s * 48_000.0,
        len: 60 * 48_000,
        tones: tones_ms.iter().map(tone).collect(),
        certified: false,
        participant: None,
        heard: Vec::new(),
        heard_error: None,
    }
}

#[test]
fn takes_that_lie_as_their_timecode_says_are_green() {
    let it = compare(&take(1.0, &[3000.0, 9000.0, 30_000.0]), &take(2.0, &[8000.02, 29_000.01]));
    assert_eq!((it.grade, it.tones), (Some(Grade::Green), 2));
    assert!((it.offset_ms.unwrap() - 0.015).abs() < 1e-6 && (it.worst_ms.unwrap() - 0.02).abs() < 1e-6);
    assert!((it.residual_drift_ppm.unwrap() + 0.476).abs() < 0.01, "{it:?}");
}

#[test]
fn of_a_long_take_with_tones_at_its_beginning_alone_the_certificates_decide_and_it_is_said() {
    let long = |tones_ms: &[f64], certified| {
        let mut it = take(2.0, tones_ms);
        (it.len, it.certified) = (3 * 3600 * 48_000, certified);
        it
    };
    for (a, b, grade) in
        [(true, true, Grade::Green), (true, false, Grade::Amber), (false, false, Grade::Amber)]
    {
        let it = compare(&long(&[4000.0], a), &long(&[4000.0], b));
        assert_eq!(it.grade, Some(grade), "{}", it.reason);
        assert!(it.reason.contains("seen at 0:04 of 3:00:00 alone"), "{}", it.reason);
    }
    let it = compare(&long(&[4000.0, 75_000.0], true), &long(&[4000.0, 75_000.0], true));
    assert!(it.reason.contains("seen at 0:04 to 1:15 of 3:00:00 alone"), "{}", it.reason);
    // One that is heard near the end needs nobody's word.
    let tones = [4000.0, 6_000_000.0];
    let it = compare(&long(&tones, false), &long(&tones, false));
    assert_eq!((it.grade, it.reason.contains("alone")), (Some(Grade::Green), false), "{}", it.reason);
}

#[test]
fn takes_full_of_tones_are_laid_beside_each_other() {
    // Twenty thousand each, at distances that do not repeat, and both begin with some that the other lacks.
    let mut state = 1_u64;
    let mut moments = vec![1000.0];
    for n in 0..20_000 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        moments.push(moments[n] + 200.0 + (state >> 54) as f64);
    }
    let later: Vec<f64> = moments[5..].iter().map(|ms| ms + 70.0).collect();
    let it = compare(&take(1.0, &moments[..19_990]), &take(1.0, &later));
    assert_eq!((it.grade, it.tones, it.offset_ms), (Some(Grade::Red), 19_985, Some(70.0)), "{}", it.reason);
}

#[test]
fn a_wrong_timecode_is_red_however_wrong() {
    for off in [1.5, -40.0, 4000.0, -90_000.0] {
        let it = compare(&take(1.0, &[3000.0, 9000.0]), &take(1.0, &[3000.0 + off, 9000.0 + off]));
        assert_eq!((it.grade, it.tones), (Some(Grade::Red), 2), "{it:?}");
        assert!((it.offset_ms.unwrap() - off).abs() < 1e-6);
    }
}

#[test]
fn a_tone_that_was_talked_over_is_no_proof_of_whole_milliseconds() {
    let talked_over = |tones_ms: &[f64], n: usize| {
        let mut it = take(1.0, tones_ms);
        it.tones[n].margin = 3.0;
        it
    };
    // Another tone says how they lie.
    let it = compare(&take(1.0, &[3000.0, 9000.0]), &talked_over(&[3000.01, 9003.02], 1));
    assert_eq!((it.grade, it.worst_ms), (Some(Grade::Green), Some(0.02)), "{it:?}");
    let it = compare(&take(1.0, &[3000.0, 9000.0]), &talked_over(&[3003.01, 9000.0], 1));
    assert_eq!((it.grade, it.worst_ms), (Some(Grade::Red), Some(3.01)), "{it:?}");
    // And it is found where it lies further from where it should than others of the same may.
    let it = compare(&take(1.0, &[3000.0, 9000.0]), &talked_over(&[3003.01, 8997.0], 1));
    assert_eq!((it.grade, it.worst_ms, it.tones), (Some(Grade::Red), Some(3.01), 2), "{it:?}");
    let it = compare(&take(1.0, &[3000.0]), &talked_over(&[13_000.0], 0));
    assert_eq!((it.grade, it.worst_ms), (Some(Grade::Red), Some(10_000.0)), "{it:?}");
    // Nothing does.
    let it = compare(&take(1.0, &[3000.0]), &talked_over(&[3006.02], 0));
    assert_eq!((it.grade, it.worst_ms), (Some(Grade::Amber), Some(0.02)), "{it:?}");
    assert!(it.reason.contains("talked too loudly"), "{}", it.reason);
}

#[test]
fn drift_is_told_and_what_says_nothing_is_said() {
    let it = compare(&take(1.0, &[3000.0, 33_000.0]), &take(1.0, &[3000.0, 33_000.3]));
    assert_eq!((it.grade, it.residual_drift_ppm), (Some(Grade::Amber), Some(10.0)));
    let it = compare(&take(1.0, &[]), &take(1.0, &[3000.0]));
    assert_eq!((it.grade, it.offset_ms), (Some(Grade::Amber), None));
    let it = compare(&take(1.0, &[]), &take(100.0, &[3000.0]));
    assert_eq!(it.grade, None);
}

#[test]
fn takes_that_had_no_tone_at_the_same_time_are_not_held_to_one() {
    // Of one who was cut off and came back: each take has a tone of its own.
    let it = compare(&take(1.0, &[3000.0]), &take(70.0, &[3000.0]));
    assert_eq!((it.grade, it.tones, it.offset_ms), (None, 0, None), "{it:?}");
    // They overlap, and the second one's tone came when the first had ended.
    let it = compare(&take(1.0, &[3000.0]), &take(50.0, &[15_000.0]));
    assert_eq!((it.grade, it.offset_ms), (Some(Grade::Amber), None), "{it:?}");
    // One tone that both should have is off.
    let it = compare(&take(1.0, &[3000.0]), &take(1.0, &[3040.0]));
    assert_eq!(it.grade, Some(Grade::Red), "{it:?}");
}
