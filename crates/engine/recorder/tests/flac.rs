//! `microphone.flac` of whole takes, as ffmpeg reads it: every sample that the device gave, and when.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hyperzoom_media::mic_tap;
use hyperzoom_recorder::{
    Inputs, METADATA, MICROPHONE, MICROPHONE_CLOCK, Participant, RecorderConfig, SessionMetadata, TakeReport,
    flac, start, verify,
};
use hyperzoom_testkit::media::{decode_errors, ffprobe, samples_of_24_bits, stream};
use hyperzoom_timing::tick_time_ns;

/// Samples that the device captures before the take begins.
const BEFORE: i64 = 24_000;

/// What a device of 24 bits captures: two tones, noise in the lowest bits, and no stretch like another.
fn captured(n: u64) -> i32 {
    let t = n as f64 / 48_000.0 * std::f64::consts::TAU;
    let tones = 2e6 * (t * 311.0).sin() + 9e5 * (t * 1777.3).sin();
    let noise =
        (n.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407) >> 50) as i32;
    tones as i32 + noise - 8192
}

/// A take of `ticks` ticks of a microphone that was on before and stays on after it.
fn take(parent: &Path, ticks: u64, flac: bool) -> TakeReport {
    let (mut mic, tap) = mic_tap(20.0);
    let config = RecorderConfig {
        // The device is on before the take begins, but not before the epoch.
        epoch: Instant::now().checked_sub(Duration::from_secs(1)).unwrap(),
        session_name: Some("Pilot".to_owned()),
        session_id: 0xbeef,
        video_bitrate_kbps: 500,
        flac,
        ..RecorderConfig::new(parent, Participant::new(3, "Ada"))
    };
    let (recorder, _told) = start(config, Inputs { mic: Some(tap), video: None }).unwrap();
    let first = recorder.start_tick();
    recorder.stop_at(Some(tick_time_ns(first + ticks)));
    let blocks = (BEFORE as u64 + ticks * 1600 + 48_000) / 480;
    for block in 0..blocks {
        let samples: Vec<f32> =
            (block * 480..(block + 1) * 480).map(|n| captured(n) as f32 / 8_388_608.0).collect();
        let at = tick_time_ns(first) + (block as i64 * 480 - BEFORE) * 62_500 / 3;
        assert_eq!(mic.push(&samples, Duration::from_nanos(at as u64)), 0);
    }
    recorder.finish(Duration::from_secs(60))
}

fn rows(folder: &Path) -> Vec<(u64, i64, String)> {
    let text = std::fs::read_to_string(folder.join(MICROPHONE_CLOCK)).unwrap();
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .skip(1)
        .map(|line| {
            let fields: Vec<_> = line.split(',').collect();
            (fields[0].parse().unwrap(), fields[1].parse().unwrap(), fields[2].to_owned())
        })
        .collect()
}

fn metadata(folder: &Path) -> SessionMetadata {
    serde_json::from_slice(&std::fs::read(folder.join(METADATA)).unwrap()).unwrap()
}

#[test]
fn ffmpeg_decodes_exactly_what_the_device_gave() {
    let dir = tempfile::tempdir().unwrap();
    let report = take(dir.path(), 150, true);
    assert!(report.complete, "{report:?}");
    let path = report.folder.join(MICROPHONE);
    assert_eq!(decode_errors(&path), "");
    let probe = ffprobe(&path);
    let audio = stream(&probe, "audio");
    assert_eq!(
        (&audio["codec_name"], &audio["sample_rate"], &audio["channels"]),
        (&"flac".into(), &"48000".into(), &1.into())
    );
    assert_eq!(audio["bits_per_raw_sample"], "24");
    let tags = &probe["format"]["tags"];
    assert_eq!((&tags["ARTIST"], &tags["SESSION_ID"]), (&"Ada".into(), &"000000000000beef".into()));
    assert_eq!(
        tags["timecode"].as_str().or(tags["TIMECODE"].as_str()),
        Some(&*metadata(&report.folder).start_timecode)
    );

    let samples = samples_of_24_bits(&path);
    assert_eq!(report.flac_samples, Some(samples.len() as u64));
    assert_eq!(audio["duration_ts"], samples.len());
    let first = (0..BEFORE as u64).find(|n| (0..64).all(|i| samples[i as usize] == captured(n + i))).unwrap();
    let wrong = (first..).zip(&samples).find(|(n, sample)| captured(*n) != **sample);
    assert_eq!(wrong, None, "the first sample that is not the device's");
    // Nothing of the take is missing, and little more than that is there.
    let end = first + samples.len() as u64;
    assert!((BEFORE - 960..=BEFORE).contains(&(first as i64)), "{first}");
    assert!((end as i64 - BEFORE - 150 * 1600).abs() <= 1, "{end}");

    let rows = rows(&report.folder);
    assert_eq!((rows[0].0, rows[0].2.as_str()), (0, "start"));
    assert_eq!((rows[rows.len() - 1].0, rows[rows.len() - 1].2.as_str()), (samples.len() as u64, "end"));
    assert_eq!(rows.len(), 2 + 5, "{rows:?}");
    for (sample, ns, event) in rows {
        let truth = tick_time_ns(report.start_tick) + ((first + sample) as i64 - BEFORE) * 62_500 / 3;
        assert!((ns - truth).abs() < 100_000, "{event} at {sample}: off by {} ns", ns - truth);
    }
    let verdict = verify(&report.folder).unwrap();
    assert!(verdict.ok(), "{:#?}", verdict.checks);
    let claimed = metadata(&report.folder).recording.microphone_flac.unwrap();
    assert_eq!(
        (claimed.file.as_str(), claimed.bits_per_sample, claimed.samples),
        (MICROPHONE, 24, samples.len() as u64)
    );
}

#[test]
fn a_take_that_wants_none_has_none() {
    let dir = tempfile::tempdir().unwrap();
    let report = take(dir.path(), 15, false);
    assert!(report.complete && report.flac_samples.is_none());
    assert!(!report.folder.join(MICROPHONE).exists() && !report.folder.join(MICROPHONE_CLOCK).exists());
    assert_eq!(metadata(&report.folder).recording.microphone_flac, None);
    assert!(verify(&report.folder).unwrap().ok());
}

/// What `verify` says of the file, where it finds fault with it and with nothing else.
fn fault(folder: &Path) -> String {
    let verdict = verify(folder).unwrap();
    let bad: Vec<_> = verdict.checks.into_iter().filter(|check| !check.ok).collect();
    assert!(bad.len() == 1 && bad[0].name == "microphone flac", "{bad:?}");
    bad[0].detail.clone()
}

#[test]
fn verify_finds_a_file_that_is_missing_cut_off_or_not_the_one() {
    let dir = tempfile::tempdir().unwrap();
    let folder: PathBuf = take(dir.path(), 60, true).folder;
    let path = folder.join(MICROPHONE);
    let bytes = std::fs::read(&path).unwrap();

    std::fs::write(&path, &bytes[..bytes.len() - 5]).unwrap();
    assert!(fault(&folder).contains("cut off after"));
    // Mended, it is whole, but no longer as long as the metadata says.
    let samples = flac::recover(&path).unwrap();
    assert!(samples > 0 && fault(&folder).contains(&format!("it has {samples} samples")));
    assert_eq!(samples_of_24_bits(&path).len() as u64, samples);

    let mut damaged = bytes.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    std::fs::write(&path, damaged).unwrap();
    assert!(fault(&folder).contains("1 frames"));

    // The last byte of STREAMINFO is one of the MD5's.
    let mut other = bytes.clone();
    other[41] ^= 1;
    std::fs::write(&path, other).unwrap();
    assert!(fault(&folder).contains("MD5"));

    std::fs::write(&path, "RIFF").unwrap();
    assert!(fault(&folder).contains("is no FLAC file"));
    std::fs::remove_file(&path).unwrap();
    assert!(fault(&folder).contains("missing"));
    std::fs::write(&path, bytes).unwrap();
    assert!(verify(&folder).unwrap().ok());
}
