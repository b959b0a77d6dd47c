//! Takes whose microphones run too fast or too slow lie as their timecode says, by what is heard in them; one that does not is found out.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::Path;
use std::time::Duration;

use hyperzoom_media::mic_tap;
use hyperzoom_recorder::{
    CERTIFICATE, Grade, Inputs, Participant, RECORDING, RecorderConfig, SyncCertificate, TIMECODES,
    TakeReport, compare, listen, start,
};
use hyperzoom_timing::{SessionClock, SharedClock, Timecode, tick_at_or_after, tick_time_ns};

/// Numbers from −1 to 1 that look random (Marsaglia's xorshift, 2003), each a little like the one before, as a voice's samples are.
fn murmur(seed: u64) -> impl Iterator<Item = f32> {
    let (mut state, mut low) = (seed, 0.0_f32);
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        low += 0.2 * ((state >> 40) as f32 / (1 << 23) as f32 - 1.0 - low);
        0.2 * low
    })
}

/// A take of `seconds` by a microphone that is `ppm` too fast, with sync tones at whole seconds of session time after its start.
fn take(parent: &Path, seconds: u64, ppm: f64, tones: &[u64]) -> TakeReport {
    take_by(SessionClock::IDENTITY, parent, seconds, ppm, tones)
}

/// As [`take`], by that clock, whose session begins at the anchor of its line or later.
fn take_by(clock: SessionClock, parent: &Path, seconds: u64, ppm: f64, tones: &[u64]) -> TakeReport {
    let (mut mic, tap) = mic_tap(seconds as f32 + 3.0);
    let config = RecorderConfig {
        session_id: 7,
        clock: SharedClock::of(clock),
        ..RecorderConfig::new(parent, Participant::new(0, "Alice"))
    };
    let (recorder, _events) = start(config, Inputs { mic: Some(tap), video: None }).unwrap();
    let first = recorder.start_tick();
    recorder.stop_at(Some(tick_time_ns(first + 30 * seconds)));
    for second in tones {
        recorder.tone_at((tick_time_ns(first) / 1_000_000_000 + *second as i64) * 1_000_000_000);
    }
    let mut sound = murmur(ppm.to_bits() | 1);
    let blocks = (seconds + 1) * 100;
    for n in 0..blocks {
        let block: Vec<f32> = sound.by_ref().take(480).collect();
        let at = tick_time_ns(first) as f64 + n as f64 * 1e7 / (1.0 + ppm * 1e-6);
        mic.push(&block, clock.local_at(at as i64).unwrap());
    }
    let report = recorder.finish(Duration::from_secs(60));
    assert!(report.complete, "{report:?}");
    report
}

#[test]
fn microphones_apart_by_600_ppm_have_their_tones_within_a_twentieth_of_a_millisecond() {
    let dir = tempfile::tempdir().unwrap();
    let takes = [-300.0, 300.0].map(|ppm| take(dir.path(), 20, ppm, &[3, 18]));
    for take in &takes {
        let certificate = take.certificate.as_ref().unwrap();
        assert_eq!(certificate.grade, Grade::Green, "{certificate:#?}");
        assert_eq!((certificate.tones.len(), certificate.points.len()), (2, 3), "{certificate:#?}");
        assert!(certificate.offset_ms.unwrap().abs() < 0.05, "{certificate:#?}");
        assert!(certificate.residual_drift_ppm.unwrap().abs() < 1.0, "{certificate:#?}");
        let written = std::fs::read(take.folder.join(CERTIFICATE)).unwrap();
        assert_eq!(&serde_json::from_slice::<SyncCertificate>(&written).unwrap(), certificate);
        let text = std::fs::read_to_string(take.folder.join(TIMECODES)).unwrap();
        assert!(text.contains("Sync certificate        GREEN"), "{text}");
        let second = tick_time_ns(take.start_tick) / 1_000_000_000 + 3;
        let timecode = Timecode::from_tick(tick_at_or_after(second * 1_000_000_000)).to_string();
        assert!(text.lines().any(|line| line.starts_with(&timecode) && line.contains("1 kHz")), "{text}");
    }
    let heard = takes.each_ref().map(|take| listen(&take.folder).unwrap());
    // Their tones are at the same seconds after their own starts, which may be one apart.
    let apart = (takes[1].start_tick / 30).abs_diff(takes[0].start_tick / 30) * 1000;
    let pair = compare(&heard[0], &heard[1]);
    assert_eq!(pair.tones, 2, "{pair:?}");
    assert!((pair.offset_ms.unwrap().abs() - apart as f64).abs() < 0.05, "{pair:?}");
    assert!(pair.residual_drift_ppm.unwrap().abs() < 1.0, "{pair:?}");
}

#[test]
fn a_timecode_that_was_changed_is_found_out_by_the_tone() {
    let dir = tempfile::tempdir().unwrap();
    let report = take(dir.path(), 5, 50.0, &[2]);
    let good = listen(&report.folder).unwrap();
    assert_eq!(compare(&good, &good).grade, Some(Grade::Green));
    let path = report.folder.join(RECORDING);
    let mut bytes = std::fs::read(&path).unwrap();
    let at = timecode_at(&bytes);
    bytes[at + 3] ^= 2;
    std::fs::write(&path, bytes).unwrap();
    let pair = compare(&good, &listen(&report.folder).unwrap());
    assert_eq!(pair.grade, Some(Grade::Red), "{pair:?}");
    assert!((pair.offset_ms.unwrap().abs() - 200.0 / 3.0).abs() < 0.01, "{pair:?}");
}

#[test]
fn a_take_without_a_tone_is_amber_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let certificate = take(dir.path(), 5, 0.0, &[]).certificate.unwrap();
    assert_eq!(certificate.grade, Grade::Amber);
    assert!(certificate.reasons[0].contains("no sync tone"), "{certificate:?}");
}

#[test]
fn a_take_that_outlives_its_host_is_amber_and_its_clock_less_certain() {
    // The host was heard last when this computer's clock said 0, and the session begins later: so long ago is it at the take.
    for (seconds, words) in [(30, None), (100, Some("last 105 seconds")), (900, Some("last 15 minutes"))] {
        let dir = tempfile::tempdir().unwrap();
        let offset_ns = -1_000_000_000 * seconds;
        let clock = SessionClock { offset_ns, bound_ns: 100_000, ..SessionClock::IDENTITY };
        let certificate = take_by(clock, dir.path(), 5, 0.0, &[2]).certificate.unwrap();
        let grade = if words.is_some() { Grade::Amber } else { Grade::Green };
        assert_eq!(certificate.grade, grade, "{certificate:#?}");
        assert!(words.is_none_or(|words| certificate.reasons[0].contains(words)), "{certificate:#?}");
        // A microsecond each second after the first.
        let ms = 0.1 + (seconds + 4) as f64 / 1e3;
        assert!((ms - 0.01..ms + 1.0).contains(&certificate.clock_bound_ms), "{certificate:#?}");
    }
}

#[test]
fn no_damage_to_a_file_makes_listening_panic() {
    let dir = tempfile::tempdir().unwrap();
    let report = take(dir.path(), 2, 0.0, &[]);
    let path = report.folder.join(RECORDING);
    let whole = std::fs::read(&path).unwrap();
    for n in 0..200_usize {
        let mut bytes = whole.clone();
        let at = n * 7919 % bytes.len();
        bytes[at] ^= 1 << (n % 8);
        if n % 5 == 0 {
            bytes.truncate(at);
        }
        std::fs::write(&path, bytes).unwrap();
        let _ = listen(&report.folder);
    }
}

/// Where the timecode track's only sample is: in the second of the boxes of media that a finished file has.
fn timecode_at(bytes: &[u8]) -> usize {
    bytes.windows(4).enumerate().filter(|(_, it)| it == b"mdat").nth(1).unwrap().0 + 4
}
