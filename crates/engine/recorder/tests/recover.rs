//! Takes that were cut off, found and made whole.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use hyperzoom_media::{FramePool, I420, MicFeed, mic_tap};
use hyperzoom_recorder::{
    Inputs, JOURNAL, METADATA, MICROPHONE, MICROPHONE_CLOCK, Participant, RECORDING, Recorder,
    RecorderConfig, RecorderEvent, RecoverError, SessionMetadata, TIMECODES, find_unfinished, recover, start,
    verify,
};
use hyperzoom_timing::tick_time_ns;
use ringbuf::HeapRb;
use ringbuf::traits::{Producer, Split};

const SHAPE: I420 = I420 { width: 160, height: 96 };
const LONG: Duration = Duration::from_secs(60);

/// A take that goes on, with two seconds and two markers on the disk.
struct Running {
    folder: tempfile::TempDir,
    recorder: Recorder,
    _mic: MicFeed,
}

fn running() -> Running {
    let folder = tempfile::tempdir().unwrap();
    let (mut frames, frames_out) = HeapRb::new(100).split();
    let (mut mic, tap) = mic_tap(5.0);
    let pool = FramePool::new(SHAPE, 100);
    let config = RecorderConfig {
        session_id: 7,
        video_bitrate_kbps: 500,
        ..RecorderConfig::new(folder.path(), Participant::new(3, "Alice"))
    };
    let inputs = Inputs { mic: Some(tap), video: Some((SHAPE, frames_out)) };
    let (recorder, mut told) = start(config, inputs).unwrap();
    let first = recorder.start_tick();
    let first_ns = Duration::from_nanos(tick_time_ns(first) as u64);
    for i in 0..260 {
        mic.push(&[0.1; 480], first_ns + Duration::from_millis(i * 10));
    }
    // All of it comes at once here, so that the sound would be behind the pictures for once.
    while recorder.progress().audio.written < 115_000 {
        std::thread::yield_now();
    }
    for i in 0..77 {
        let at = Duration::from_nanos(tick_time_ns(first + i) as u64);
        let frame = pool.frame(at, i, |data| data.fill(40 + 2 * i as u8)).unwrap();
        frames.try_push(frame).unwrap();
    }
    recorder.mark_at(tick_time_ns(first + 33), "the good bit");
    recorder.mark_at(tick_time_ns(first + 3000), "");
    let mut marked = 0;
    while marked < 2 {
        marked += u32::from(matches!(told.wait(LONG), Some(RecorderEvent::Marked(_))));
    }
    while recorder.progress().fragments < 2 {
        std::thread::yield_now();
    }
    Running { folder, recorder, _mic: mic }
}

impl Running {
    /// What a crash leaves of it: its files as they are now.
    fn cut_off(&self) -> PathBuf {
        let copy = self.folder.path().join("cut off");
        std::fs::create_dir(&copy).unwrap();
        for entry in std::fs::read_dir(self.recorder.folder()).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), copy.join(entry.file_name())).unwrap();
        }
        copy
    }
}

fn metadata(folder: &Path) -> SessionMetadata {
    serde_json::from_slice(&std::fs::read(folder.join(METADATA)).unwrap()).unwrap()
}

/// The chapters that ffprobe finds: where each begins, in milliseconds, and what it is called.
fn chapters(file: &Path) -> Vec<(u64, String)> {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-show_chapters", "-of", "json"])
        .arg(file)
        .output()
        .expect("ffprobe is installed");
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let chapter = |it: &serde_json::Value| {
        let start: f64 = it["start_time"].as_str().unwrap().parse().unwrap();
        ((start * 1000.0).round() as u64, it["tags"]["title"].as_str().unwrap().to_owned())
    };
    found["chapters"].as_array().unwrap().iter().map(chapter).collect()
}

#[test]
fn a_take_that_was_cut_off_is_found_and_made_whole() {
    let running = running();
    let take = running.cut_off();
    assert_eq!(find_unfinished(running.folder.path()), [running.recorder.folder().to_owned(), take.clone()]);

    let done = recover(&take).unwrap();
    assert!(!done.already_finished && done.warnings.is_empty(), "{done:?}");
    assert!((60..=77).contains(&done.frames), "{done:?}");
    assert_eq!(done.bytes, std::fs::metadata(take.join(RECORDING)).unwrap().len());
    assert_eq!(hyperzoom_testkit::media::decode_errors(&take.join(RECORDING)), "");
    // What was marked behind the last picture is at that.
    let last = (done.frames - 1) * 1000 / 30;
    let found = chapters(&take.join(RECORDING));
    assert_eq!(found[0], (1100, "the good bit".into()));
    assert!(found[1].0.abs_diff(last) <= 1 && found[1].1 == "Marker 1", "{found:?}, {last}");

    let metadata = metadata(&take);
    assert!(metadata.recovered && !metadata.complete, "{metadata:?}");
    assert_eq!((metadata.recorded_by, metadata.recording.container.as_str()), (3, "MP4"));
    assert_eq!(metadata.markers, done.markers);
    assert_eq!(metadata.markers[1].tick, metadata.start_tick + 3000, "it was set then all the same");
    let (video, audio) = (metadata.recording.video, metadata.recording.audio);
    assert_eq!((video.written, video.dropped), (done.frames, 0));
    assert_eq!(video.captured + video.duplicated, video.written + video.decimated + video.dropped);
    assert_eq!(audio.captured + audio.silence, audio.written + audio.late);
    assert!((metadata.duration_seconds - done.frames as f64 / 30.0).abs() < 1e-9);
    let text = std::fs::read_to_string(take.join(TIMECODES)).unwrap();
    assert!(text.contains("Recovered") && text.contains("the good bit"), "{text}");
    let mut left: Vec<_> =
        std::fs::read_dir(&take).unwrap().map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
    left.sort();
    assert_eq!(left, [RECORDING, MICROPHONE, MICROPHONE_CLOCK, METADATA, TIMECODES]);
    let microphone = metadata.recording.microphone_flac.unwrap();
    // Its second second may be on its way still.
    assert!((45_000..=125_000).contains(&microphone.samples), "{microphone:?}");

    let verdict = verify(&take).unwrap();
    let wrong: Vec<_> = verdict.checks.iter().filter(|check| !check.ok).map(|check| check.name).collect();
    assert_eq!(wrong, ["ended well"], "{:#?}", verdict.checks);
}

#[test]
fn a_take_that_is_recorded_right_now_is_left_alone() {
    let running = running();
    let error = recover(running.recorder.folder()).unwrap_err();
    assert!(matches!(error, RecoverError::Running { .. }), "{error}");
    let first = running.recorder.start_tick();
    running.recorder.stop_at(Some(tick_time_ns(first + 75)));
    let report = running.recorder.finish(LONG);
    assert!(report.complete, "{report:?}");
    let before = std::fs::read(&report.file).unwrap();
    assert!(recover(&report.folder).unwrap().already_finished);
    assert_eq!(std::fs::read(&report.file).unwrap(), before);
    assert!(find_unfinished(running.folder.path()).is_empty());
}

#[test]
fn recovered_once_it_is_finished() {
    let running = running();
    let take = running.cut_off();
    let done = recover(&take).unwrap();
    let files = || {
        let read = |name| std::fs::read(take.join(name)).unwrap();
        [read(RECORDING), read(METADATA), read(TIMECODES)]
    };
    let before = files();
    let again = recover(&take.join(RECORDING)).unwrap();
    assert!(again.already_finished);
    assert_eq!((again.frames, again.seconds, again.bytes), (done.frames, done.seconds, done.bytes));
    assert_eq!(again.markers, done.markers);
    assert_eq!(files(), before);
}

#[test]
fn cut_off_before_the_files_beside_it_are_written_it_goes_on_there() {
    let running = running();
    let take = running.cut_off();
    let texts = |folder: &Path| [METADATA, JOURNAL].map(|name| std::fs::read(folder.join(name)).unwrap());
    let [old_metadata, journal] = texts(&take);
    let done = recover(&take).unwrap();
    std::fs::write(take.join(METADATA), old_metadata).unwrap();
    std::fs::write(take.join(JOURNAL), journal).unwrap();
    assert!(find_unfinished(running.folder.path()).contains(&take));
    let again = recover(&take).unwrap();
    assert!(!again.already_finished);
    assert_eq!((again.frames, &again.markers), (done.frames, &done.markers));
    assert!(metadata(&take).recovered && !take.join(JOURNAL).exists());
}

#[test]
fn metadata_that_is_gone_is_made_again_from_the_journal_or_the_recording() {
    let running = running();
    let take = running.cut_off();
    let original = metadata(&take);
    let files = [RECORDING, JOURNAL].map(|name| std::fs::read(take.join(name)).unwrap());
    for (with_journal, damage) in [(true, "{"), (true, ""), (false, "\0\0\0\0")] {
        std::fs::write(take.join(METADATA), damage).unwrap();
        std::fs::write(take.join(RECORDING), &files[0]).unwrap();
        std::fs::write(take.join(JOURNAL), if with_journal { &files[1][..] } else { b"" }).unwrap();
        let done = recover(&take).unwrap();
        assert_eq!(done.markers.len(), if with_journal { 2 } else { 0 });
        let made = metadata(&take);
        assert_eq!(
            (&made.session_id, made.started_at_utc, made.start_tick, &made.start_timecode),
            (&original.session_id, original.started_at_utc, original.start_tick, &original.start_timecode)
        );
        assert_eq!(made.participants[0].name, "Alice");
        assert_eq!(made.recording.video_resolution, original.recording.video_resolution);
        assert_eq!(made.recording.video_codec, original.recording.video_codec);
        assert!(made.recovered);
    }
}
