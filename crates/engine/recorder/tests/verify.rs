//! What `verify` says of good takes, cut-off ones and damaged ones.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use hyperzoom_media::{FramePool, I420, mic_tap};
use hyperzoom_recorder::{
    Inputs, METADATA, Participant, RECORDING, RecorderConfig, Verdict, VerifyError, start, verify,
};
use hyperzoom_timing::tick_time_ns;
use ringbuf::HeapRb;
use ringbuf::traits::{Producer, Split};

const SHAPE: I420 = I420 { width: 160, height: 96 };

/// A take of 75 ticks.
fn take(parent: &Path) -> PathBuf {
    let (mut frames, frames_out) = HeapRb::new(100).split();
    let (mut mic, tap) = mic_tap(5.0);
    let pool = FramePool::new(SHAPE, 100);
    let config = RecorderConfig {
        session_id: 7,
        video_bitrate_kbps: 500,
        ..RecorderConfig::new(parent, Participant::new(0, "Alice"))
    };
    let inputs = Inputs { mic: Some(tap), video: Some((SHAPE, frames_out)) };
    let (recorder, _events) = start(config, inputs).unwrap();
    let first = recorder.start_tick();
    recorder.stop_at(Some(tick_time_ns(first + 75)));
    for i in 0..77 {
        let at = Duration::from_nanos(tick_time_ns(first + i) as u64);
        let frame = pool.frame(at, i, |data| data.fill(40 + 2 * i as u8)).unwrap();
        frames.try_push(frame).unwrap();
    }
    for i in 0..260 {
        mic.push(
            &[0.1; 480],
            Duration::from_nanos(tick_time_ns(first) as u64) + Duration::from_millis(i * 10),
        );
    }
    let report = recorder.finish(Duration::from_secs(60));
    assert!(report.complete, "{report:?}");
    report.folder
}

fn failed(verdict: &Verdict) -> Vec<&'static str> {
    verdict.checks.iter().filter(|check| !check.ok).map(|check| check.name).collect()
}

/// Undoes the end of the conversion: the placeholder as it was, and no list of samples at the end.
fn cut_off(folder: &Path) -> Vec<u8> {
    let path = folder.join(RECORDING);
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.windows(4).position(|it| it == b"mdat").unwrap() - 4;
    let span = u64::from_be_bytes(bytes[at + 8..at + 16].try_into().unwrap()) as usize;
    bytes.truncate(at + span);
    bytes[at..at + 16].copy_from_slice(b"\0\0\0\x10free\0\0\0\0\0\0\0\0");
    std::fs::write(path, &bytes).unwrap();
    bytes
}

#[test]
fn a_good_take_passes_every_check() {
    let dir = tempfile::tempdir().unwrap();
    let verdict = verify(&take(dir.path())).unwrap();
    assert!(verdict.ok(), "{:#?}", verdict.checks);
    assert_eq!((verdict.pictures, verdict.seconds, verdict.unfinished), (75, 2.5, false));
    assert!(verdict.checks.len() >= 10);
}

#[test]
fn a_take_that_was_cut_off_is_read_and_said_to_be_unfinished() {
    let dir = tempfile::tempdir().unwrap();
    let folder = take(dir.path());
    let bytes = cut_off(&folder);
    let verdict = verify(&folder).unwrap();
    assert!(verdict.unfinished && verdict.pictures == 75, "{verdict:#?}");
    assert_eq!(failed(&verdict)[0], "finished");
    let advice = &verdict.checks.iter().find(|check| check.name == "finished").unwrap().detail;
    assert!(advice.contains("hyperzoom recover") && advice.contains(folder.to_str().unwrap()), "{advice}");
    // In the middle of the last fragment.
    std::fs::write(folder.join(RECORDING), &bytes[..bytes.len() - 100]).unwrap();
    let verdict = verify(&folder).unwrap();
    assert!(verdict.unfinished && verdict.pictures >= 60, "{verdict:#?}");
}

#[test]
fn metadata_that_claims_something_else_is_found_out() {
    let dir = tempfile::tempdir().unwrap();
    let folder = take(dir.path());
    let path = folder.join(METADATA);
    let original = std::fs::read_to_string(&path).unwrap();
    for (from, to, check) in [
        ("\"duration_seconds\": 2.5", "\"duration_seconds\": 3.5", "metadata agrees"),
        ("\"written\": 75", "\"written\": 74", "metadata agrees"),
        ("\"total_frames_dropped\": 0", "\"total_frames_dropped\": 2", "nothing dropped"),
        ("\"error\": null", "\"error\": \"the disk is full\"", "ended well"),
        ("\"start_tick\": ", "\"start_tick\": 1", "same take"),
        ("\"session_id\": \"0000000000000007\"", "\"session_id\": \"0000000000000008\"", "same take"),
        ("\"start_timecode\": \"00:", "\"start_timecode\": \"01:", "same take"),
    ] {
        assert!(original.contains(from), "{from} is not in {original}");
        std::fs::write(&path, original.replace(from, to)).unwrap();
        assert_eq!(failed(&verify(&folder).unwrap()), [check], "{to}");
    }
    std::fs::write(&path, "{").unwrap();
    assert_eq!(failed(&verify(&folder).unwrap()), ["metadata"]);
}

#[test]
fn pictures_that_are_overwritten_are_found_out() {
    let dir = tempfile::tempdir().unwrap();
    let folder = take(dir.path());
    let path = folder.join(RECORDING);
    let mut bytes = std::fs::read(&path).unwrap();
    // The file's first `mdat` is the one that spans everything, the second has the timecode. The third is the first fragment's: it
    // ends with its pictures, which are small ones.
    let at = bytes.windows(4).enumerate().filter(|(_, it)| it == b"mdat").nth(2).unwrap().0 - 4;
    let end = at + u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    bytes[end - 200..end - 8].fill(0);
    std::fs::write(&path, bytes).unwrap();
    assert_eq!(failed(&verify(&folder).unwrap()), ["picture data"]);
}

/// Where the timecode's sample lies: behind the second `mdat`.
fn timecode_at(bytes: &[u8]) -> usize {
    bytes.windows(4).enumerate().filter(|(_, it)| it == b"mdat").nth(1).unwrap().0 + 4
}

#[test]
fn a_timecode_that_was_changed_is_found_out_in_both_forms() {
    let dir = tempfile::tempdir().unwrap();
    let folder = take(dir.path());
    let path = folder.join(RECORDING);
    let mut plain = std::fs::read(&path).unwrap();
    let at = timecode_at(&plain);
    plain[at + 3] ^= 1;
    std::fs::write(&path, plain).unwrap();
    assert_eq!(failed(&verify(&folder).unwrap()), ["timecode"]);
    cut_off(&folder);
    assert_eq!(failed(&verify(&folder).unwrap()), ["finished", "timecode"]);
}

#[test]
fn a_marker_that_is_no_chapter_is_found_out() {
    let dir = tempfile::tempdir().unwrap();
    let folder = take(dir.path());
    let path = folder.join(METADATA);
    let text = std::fs::read_to_string(&path).unwrap();
    let mut metadata: serde_json::Value = serde_json::from_str(&text).unwrap();
    let start = metadata["start_tick"].as_u64().unwrap();
    for (tick, wrong) in [(30, vec!["chapters"]), (74, vec![]), (75, vec![]), (500, vec![])] {
        // The last tick's and what lies behind the end may be no chapters.
        metadata["markers"] = serde_json::json!([{ "name": "Here", "tick": start + tick, "session_ns": 0 }]);
        std::fs::write(&path, metadata.to_string()).unwrap();
        assert_eq!(failed(&verify(&folder).unwrap()), wrong, "{tick}");
    }
    metadata["markers"] = serde_json::json!("none");
    std::fs::write(&path, metadata.to_string()).unwrap();
    assert_eq!(failed(&verify(&folder).unwrap()), ["metadata"]);
}

#[test]
fn a_fragment_that_claims_millions_of_samples_is_not_believed() {
    let dir = tempfile::tempdir().unwrap();
    let folder = take(dir.path());
    let mut growing = cut_off(&folder);
    let boxed = |kind: &[u8; 4], payload: &[u8]| {
        [&(payload.len() as u32 + 8).to_be_bytes()[..], kind, payload].concat()
    };
    // Samples without fields of their own: 20 bytes are all that they take.
    let run = boxed(b"trun", &[[0; 4], (16_u32 << 20).to_be_bytes()].concat());
    let head = boxed(b"tfhd", &[[0, 2, 0, 0], 1_u32.to_be_bytes()].concat());
    let track = boxed(b"traf", &[head, run.repeat(1000)].concat());
    growing.extend(boxed(b"moof", &[boxed(b"mfhd", &[0, 0, 0, 0, 0, 0, 0, 9]), track].concat()));
    std::fs::write(folder.join(RECORDING), growing).unwrap();
    let error = verify(&folder).unwrap_err().to_string();
    assert!(error.contains("claim"), "{error}");
}

#[test]
fn no_damage_makes_it_panic() {
    let dir = tempfile::tempdir().unwrap();
    let folder = take(dir.path());
    let path = folder.join(RECORDING);
    let plain = std::fs::read(&path).unwrap();
    let growing = cut_off(&folder);
    let mut state = 88_172_645_463_325_252_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as usize
    };
    for original in [&plain, &growing] {
        // Boxes lie at the beginning and at the end.
        for round in 0..300 {
            let mut bytes = original.clone();
            for _ in 0..1 + round % 8 {
                let near = random() % 3000.min(bytes.len());
                let at = if random() % 2 == 0 { near } else { bytes.len() - 1 - near };
                bytes[at] = random() as u8;
            }
            if round % 3 == 0 {
                bytes.truncate(random() % bytes.len());
            }
            std::fs::write(&path, bytes).unwrap();
            drop(verify(&folder));
        }
    }
    std::fs::write(&path, "no MP4 at all").unwrap();
    assert!(matches!(verify(&folder), Err(VerifyError::Damaged { .. })));
    std::fs::write(&path, "").unwrap();
    assert!(matches!(verify(&folder), Err(VerifyError::Damaged { .. })));
    std::fs::remove_file(&path).unwrap();
    let error = verify(&folder).unwrap_err();
    assert!(matches!(error, VerifyError::Read { .. }) && error.to_string().contains(RECORDING));
}
