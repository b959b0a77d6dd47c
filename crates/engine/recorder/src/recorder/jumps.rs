//! Takes whose session clock jumps under them: a computer slept, and the estimate started anew.

use hyperzoom_media::{FramePool, mic_tap};
use hyperzoom_timing::SessionClock;
use ringbuf::HeapRb;
use ringbuf::traits::{Producer, Split};

use super::*;
use crate::verify::verify;

const SHAPE: I420 = I420 { width: 160, height: 96 };
const PICTURES: u64 = 75;
const TEN_MINUTES: i64 = 600_000_000_000;

/// A take of [`PICTURES`] pictures and as much sound, whose clock jumps by `by_ns` in the midst of it, and which ends where it should or,
/// without `end`, as of now, a second after its start.
fn take(by_ns: i64, end: bool) -> (TakeReport, Vec<String>, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let (mut frames, frames_out) = HeapRb::new(200).split();
    let (mut mic, tap) = mic_tap(10.0);
    let clock = SharedClock::new();
    let epoch = Instant::now();
    let config = RecorderConfig {
        epoch,
        clock: clock.clone(),
        session_id: 1,
        video_bitrate_kbps: 500,
        flac: false,
        ..RecorderConfig::new(folder.path(), Participant::new(0, "Alice"))
    };
    let format = VideoFormat { shape: SHAPE, bitrate_kbps: 500, max_bitrate_kbps: 600 };
    let (recorder, mut told) = begin(
        folder.path(),
        Box::new(FileStore::create(&folder.path().join(RECORDING)).unwrap()),
        None,
        config,
        Some((format, frames_out, Box::new(H264Encoder::new(format, 1).unwrap()))),
        Some((tap, Box::new(AacEncoder::new().unwrap()))),
    )
    .unwrap();
    let first = recorder.start_tick();
    let start = Duration::from_nanos(tick_time_ns(first) as u64);
    let pool = FramePool::new(SHAPE, 100);
    for i in 0..PICTURES + 10 {
        let at = Duration::from_nanos(tick_time_ns(first + i) as u64);
        let frame = pool.frame(at, i, |data| data.fill(40 + 2 * i as u8)).unwrap();
        assert!(frames.try_push(frame).is_ok());
    }
    let mut push = |blocks: std::ops::Range<u64>| {
        for i in blocks {
            assert_eq!(mic.push(&[0.1; 480], start + Duration::from_millis(i * 10)), 0);
        }
    };
    push(0..100);
    let mut warnings = Vec::new();
    let mut until = |pictures: u64, at: Duration| {
        while recorder.progress().video.written < pictures || epoch.elapsed() < at {
            if let Some(RecorderEvent::Warning(text)) = told.wait(Duration::from_millis(10)) {
                warnings.push(text);
            }
        }
    };
    until(20, Duration::ZERO);
    clock.set(SessionClock { offset_ns: by_ns, ..SessionClock::IDENTITY });
    push(100..300);
    if end {
        recorder.stop_at(Some(tick_time_ns(first + PICTURES) + by_ns));
    } else {
        until(PICTURES, start + Duration::from_secs(1));
    }
    let report = recorder.finish(Duration::from_secs(60));
    while let Some(event) = told.poll() {
        if let RecorderEvent::Warning(text) = event {
            warnings.push(text);
        }
    }
    (report, warnings, folder)
}

#[test]
fn a_take_whose_clock_jumps_has_all_its_pictures_and_samples_and_says_so() {
    for by_ns in [-TEN_MINUTES, TEN_MINUTES] {
        let (report, warnings, folder) = take(by_ns, true);
        assert!(report.complete && report.error.is_none(), "{by_ns}: {report:?}");
        assert_eq!(
            (report.ticks, report.video.written, report.video.captured),
            (PICTURES, PICTURES, PICTURES)
        );
        let sound = report.audio;
        assert_eq!((sound.written, sound.silence, sound.late, sound.dropped), (PICTURES * 1600, 0, 0, 0));
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].contains(&format!("jumped by {} s", by_ns / 1_000_000_000)), "{warnings:?}");
        let verdict = verify(folder.path()).unwrap();
        assert!(verdict.ok() && verdict.pictures == PICTURES, "{verdict:#?}");
    }
}

#[test]
fn a_take_that_is_ended_after_its_clock_went_back_keeps_what_was_written() {
    let (report, _, folder) = take(-TEN_MINUTES, false);
    assert!(report.complete && report.ticks >= 30 && report.video.captured >= 30, "{report:?}");
    assert!(verify(folder.path()).unwrap().ok());
}
