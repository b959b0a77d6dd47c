//! Whole takes, from the rings to the folder.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use hyperzoom_media::{FramePool, FrameRef, I420, MicFeed, MicTap, mic_tap};
use hyperzoom_recorder::{
    Inputs, JOURNAL, METADATA, Participant, RECORDING, RecordError, Recorder, RecorderConfig, RecorderEvent,
    RecorderEvents, SessionMetadata, TIMECODES, start,
};
use hyperzoom_timing::tick_time_ns;
use ringbuf::traits::{Producer, Split};
use ringbuf::{HeapCons, HeapProd, HeapRb};

const SHAPE: I420 = I420 { width: 320, height: 180 };
const LONG: Duration = Duration::from_secs(60);

/// A camera and a microphone whose moments are made up, so that a take of seconds is over as soon as it is encoded.
struct Devices {
    pool: FramePool,
    frames: HeapProd<FrameRef>,
    mic: MicFeed,
    pictures: u64,
    blocks: u64,
}

fn devices(pictures: usize, seconds: f32) -> (Devices, HeapCons<FrameRef>, MicTap) {
    let (frames, frames_out) = HeapRb::new(pictures).split();
    let (mic, tap) = mic_tap(seconds);
    let pool = FramePool::new(SHAPE, pictures + 4);
    (Devices { pool, frames, mic, pictures: 0, blocks: 0 }, frames_out, tap)
}

fn moment(ns: i64) -> Duration {
    Duration::from_nanos(ns as u64)
}

impl Devices {
    /// Pictures at `at_ns`, each of another grey; a full ring loses them.
    fn film(&mut self, at_ns: impl IntoIterator<Item = i64>) {
        for at in at_ns {
            let index = self.pictures;
            self.pictures += 1;
            let fill = |data: &mut [u8]| data.fill((index * 3 % 200) as u8 + 20);
            if let Ok(frame) = self.pool.frame(moment(at), index, fill) {
                drop(self.frames.try_push(frame));
            }
        }
    }

    /// `count` blocks of 10 ms of a 1 kHz tone from `from_ns` on.
    fn talk(&mut self, from_ns: i64, count: u64) {
        for i in 0..count {
            let first = self.blocks * 480;
            let block: Vec<f32> =
                (first..first + 480).map(|n| (n as f32 / 48.0 * std::f32::consts::TAU).sin() * 0.5).collect();
            self.blocks += 1;
            self.mic.push(&block, moment(from_ns + i as i64 * 10_000_000));
        }
    }
}

fn config(folder: &Path) -> RecorderConfig {
    RecorderConfig {
        session_name: Some("Pilot".to_owned()),
        session_id: 0xa1b2_c3d4,
        ..RecorderConfig::new(folder, Participant::new(1, "Bob"))
    }
}

/// Moments of a camera of 30 pictures a second on the beat, `ticks` of them from tick `first` on.
fn beat(first: u64, ticks: u64) -> impl Iterator<Item = i64> {
    (first..first + ticks).map(|tick| tick_time_ns(tick) - 1_000_000)
}

fn probe(file: &Path, stream: &str, entries: &str) -> String {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-count_packets", "-select_streams", stream, "-of", "csv=p=0"])
        .args(["-show_entries", &format!("stream={entries}")])
        .arg(file)
        .output()
        .expect("ffprobe is installed");
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn metadata(folder: &Path) -> SessionMetadata {
    serde_json::from_slice(&std::fs::read(folder.join(METADATA)).unwrap()).unwrap()
}

fn events(events: &mut RecorderEvents) -> Vec<RecorderEvent> {
    std::iter::from_fn(|| events.poll()).collect()
}

fn three_seconds(folder: &Path) -> (Recorder, RecorderEvents) {
    // Room enough that what comes all at once is no pressure.
    let (mut devices, frames, tap) = devices(300, 30.0);
    let inputs = Inputs { mic: Some(tap), video: Some((SHAPE, frames)) };
    let (recorder, told) = start(config(folder), inputs).unwrap();
    let first = recorder.start_tick();
    recorder.stop_at(Some(tick_time_ns(first + 90)));
    devices.film(beat(first, 92));
    devices.talk(tick_time_ns(first) - 20_000_000, 310);
    (recorder, told)
}

#[test]
fn a_take_holds_exactly_the_ticks_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let (recorder, mut told) = three_seconds(dir.path());
    let folder = recorder.folder().to_owned();
    let first = recorder.start_tick();
    let report = recorder.finish(LONG);

    assert!(report.complete && report.error.is_none(), "{report:?}");
    assert_eq!((report.ticks, report.start_tick), (90, first));
    let video = report.video;
    assert_eq!(
        (video.captured, video.written, video.duplicated, video.decimated, video.dropped),
        (90, 90, 0, 0, 0)
    );
    let audio = report.audio;
    assert_eq!((audio.written, audio.silence, audio.dropped), (144_000, 0, 0));
    assert_eq!(std::fs::metadata(folder.join(RECORDING)).unwrap().len(), report.bytes);
    let file = folder.join(RECORDING);
    assert_eq!(
        probe(
            &file,
            "v",
            "codec_name,profile,width,height,r_frame_rate,avg_frame_rate,duration,nb_read_packets"
        ),
        "h264,High,320,180,30/1,30/1,3.000000,90"
    );
    assert_eq!(
        probe(&file, "a", "codec_name,profile,sample_rate,channels,start_time,duration"),
        "aac,LC,48000,1,0.000000,3.000000"
    );

    let told = events(&mut told);
    assert_eq!(told[0], RecorderEvent::Started { folder: folder.clone(), start_tick: first });
    assert_eq!(told.last(), Some(&RecorderEvent::Finished(Box::new(report))));
    assert_eq!(told.len(), 2, "{told:?}");
}

#[test]
fn the_metadata_has_the_fields_of_the_spec() {
    let dir = tempfile::tempdir().unwrap();
    let (recorder, _told) = three_seconds(dir.path());
    let folder = recorder.folder().to_owned();
    let running = metadata(&folder);
    assert!(!running.complete && running.duration_seconds == 0.0);
    let alice = Participant { id: 0, name: "Alice".to_owned(), clock_offset_ms: Some(-12) };
    recorder.set_participants(vec![alice, Participant::new(1, "Bob")]);
    assert!(recorder.finish(LONG).complete);

    let json: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.join(METADATA)).unwrap()).unwrap();
    assert_eq!(json["session_id"], "00000000a1b2c3d4");
    assert_eq!(json["participants"][0]["clock_offset_ms"], -12);
    assert_eq!(json["participants"][1]["name"], "Bob");
    let recording = &json["recording"];
    for (key, value) in [
        ("video_codec", serde_json::json!("H.264 High@4.1")),
        ("video_resolution", "320x180".into()),
        ("video_fps", 30.into()),
        ("video_bitrate_kbps", 18_000.into()),
        ("audio_codec", "AAC-LC".into()),
        ("audio_sample_rate", 48_000.into()),
        ("audio_bitrate_kbps", 192.into()),
        ("container", "MP4".into()),
        ("total_frames_captured", 90.into()),
        ("total_frames_dropped", 0.into()),
    ] {
        assert_eq!(recording[key], value, "{key}");
    }
    let after = metadata(&folder);
    assert!(after.complete && after.duration_seconds == 3.0);
    assert_eq!(after.started_at_utc, running.started_at_utc);
    let text = std::fs::read_to_string(folder.join(TIMECODES)).unwrap();
    assert!(text.contains(&after.start_timecode) && text.contains("(90 frames, 3.000 s)"), "{text}");
    let name = folder.file_name().unwrap().to_str().unwrap();
    assert!(name.ends_with("_Pilot") && name.len() == "2026-02-27_20-15-00_Pilot".len(), "{name}");
    let names: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert_eq!(names.len(), 6, "{names:?}");
}

#[test]
fn a_camera_that_stalls_and_races_still_gives_one_picture_a_tick() {
    let dir = tempfile::tempdir().unwrap();
    let (mut devices, frames, tap) = devices(300, 5.0);
    let inputs = Inputs { mic: Some(tap), video: Some((SHAPE, frames)) };
    let (recorder, _told) = start(config(dir.path()), inputs).unwrap();
    let first = recorder.start_tick();
    recorder.stop_at(Some(tick_time_ns(first + 90)));
    // Half a second of nothing in the middle, then 60 pictures a second.
    devices.film(beat(first, 30));
    devices.film((0..110).map(|i| tick_time_ns(first + 45) - 1_000_000 + i * 16_666_667));
    devices.talk(tick_time_ns(first), 300);
    let report = recorder.finish(LONG);
    let video = report.video;
    assert_eq!((report.ticks, video.written, video.dropped), (90, 90, 0));
    assert!((14..=16).contains(&video.duplicated), "{video:?}");
    assert!((42..=46).contains(&video.decimated), "{video:?}");
    assert_eq!(video.captured + video.duplicated, video.written + video.decimated + video.dropped);
    assert_eq!(probe(&report.file, "v", "avg_frame_rate,nb_read_packets"), "30/1,90");
}

#[test]
fn an_end_that_has_passed_cuts_the_file_and_the_counts() {
    for end in [1, 17, 40, 44, 74] {
        let dir = tempfile::tempdir().unwrap();
        let (mut devices, frames, tap) = devices(300, 5.0);
        let inputs = Inputs { mic: Some(tap), video: Some((SHAPE, frames)) };
        let (recorder, _told) = start(config(dir.path()), inputs).unwrap();
        let first = recorder.start_tick();
        let start = tick_time_ns(first);
        // 20 pictures a second, and 50 from the second second on; the microphone stalls for half a second at 1.2 s.
        devices.film((0..20).map(|i| start + i * 50_000_000));
        devices.film((0..100).map(|i| start + 1_000_000_000 + i * 20_000_000));
        devices.talk(start, 120);
        devices.talk(start + 1_700_000_000, 130);
        while recorder.progress().video.written < 75 || recorder.progress().audio.written < 75 * 1600 {
            std::thread::yield_now();
        }
        recorder.stop_at(Some(tick_time_ns(first + end)));
        let report = recorder.finish(LONG);
        assert!(report.complete && report.ticks == end, "{report:?}");
        let (video, audio) = (report.video, report.audio);
        assert_eq!((video.written, video.dropped), (end, 0));
        assert_eq!(video.captured + video.duplicated, video.written + video.decimated);
        let camera = if end <= 30 { end * 20 / 30 } else { 20 + (end - 30) * 50 / 30 };
        assert!(video.captured.abs_diff(camera) <= 1, "{camera} pictures until tick {end}: {video:?}");
        assert_eq!((audio.written, audio.dropped, audio.late), (end * 1600, 0, 0));
        assert_eq!(audio.silence, (end * 1600).saturating_sub(57_600).min(24_000));
        assert_eq!(audio.captured + audio.silence, audio.written);
        assert_eq!(probe(&report.file, "v", "nb_read_packets"), end.to_string());
        let recording = metadata(&report.folder).recording;
        assert_eq!((recording.video, recording.audio), (video, audio));
    }
}

#[test]
fn sound_alone_is_a_take() {
    let dir = tempfile::tempdir().unwrap();
    let (mut devices, _frames, tap) = devices(1, 5.0);
    let (recorder, _told) = start(config(dir.path()), Inputs { mic: Some(tap), video: None }).unwrap();
    let first = recorder.start_tick();
    recorder.stop_at(Some(tick_time_ns(first + 60)));
    devices.talk(tick_time_ns(first), 210);
    let report = recorder.finish(LONG);
    assert!(report.complete && report.ticks == 60, "{report:?}");
    assert_eq!(probe(&report.file, "a", "codec_name,duration"), "aac,2.000000");
    assert_eq!(probe(&report.file, "v", "codec_name"), "");
    assert_eq!(metadata(&report.folder).recording.video_codec, None);
}

#[test]
fn a_microphone_that_goes_away_leaves_silence_and_a_warning() {
    let dir = tempfile::tempdir().unwrap();
    let (mut devices, frames, tap) = devices(120, 5.0);
    let inputs = Inputs { mic: Some(tap), video: Some((SHAPE, frames)) };
    let (recorder, mut told) = start(config(dir.path()), inputs).unwrap();
    let first = recorder.start_tick();
    devices.talk(tick_time_ns(first), 10);
    drop(devices.mic);
    let warned = std::iter::from_fn(|| told.wait(LONG)).find(|it| matches!(it, RecorderEvent::Warning(_)));
    assert!(
        matches!(&warned, Some(RecorderEvent::Warning(text)) if text.contains("microphone")),
        "{warned:?}"
    );
    recorder.stop_at(Some(tick_time_ns(first + 30)));
    let mut camera = Devices { mic: mic_tap(0.1).0, ..devices };
    camera.film(beat(first, 32));
    let report = recorder.finish(LONG);
    assert!(report.complete, "{report:?}");
    assert_eq!((report.audio.written, report.audio.captured, report.audio.silence), (48_000, 4_800, 43_200));
}

#[test]
fn a_ring_that_overflows_is_counted_as_dropped() {
    let dir = tempfile::tempdir().unwrap();
    // Room for ten pictures, and thirty come at once.
    let (mut devices, frames, tap) = devices(10, 5.0);
    devices.film(0..30);
    let inputs = Inputs { mic: Some(tap), video: Some((SHAPE, frames)) };
    let (recorder, _told) = start(config(dir.path()), inputs).unwrap();
    let first = recorder.start_tick();
    recorder.stop_at(Some(tick_time_ns(first + 5)));
    // The first of these shows the hole of twenty.
    while recorder.progress().picture_ring_percent > 0 || recorder.progress().video.written == 0 {
        std::thread::yield_now();
    }
    devices.film(beat(first + 1, 6));
    let report = recorder.finish(LONG);
    assert_eq!(report.video.dropped, 20, "{report:?}");
    assert_eq!(report.video.written, 5);
}

#[test]
fn a_folder_that_goes_away_fails_the_take_once_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let (mut devices, frames, tap) = devices(400, 12.0);
    let inputs = Inputs { mic: Some(tap), video: Some((SHAPE, frames)) };
    let (recorder, mut told) = start(config(dir.path()), inputs).unwrap();
    let first = recorder.start_tick();
    devices.film(beat(first, 40));
    devices.talk(tick_time_ns(first), 140);
    while recorder.progress().fragments == 0 {
        std::thread::yield_now();
    }
    std::fs::remove_dir_all(recorder.folder()).unwrap();
    devices.film(beat(first + 40, 262));
    devices.talk(tick_time_ns(first) + 1_400_000_000, 860);
    recorder.stop_at(Some(tick_time_ns(first + 300)));
    let report = recorder.finish(LONG);
    assert!(!report.complete, "{report:?}");
    assert!(report.error.as_ref().is_some_and(|error| error.contains("deleted")), "{report:?}");
    assert!(report.video.dropped > 0, "what was not written is said");
    let failures = events(&mut told).into_iter().filter(|it| matches!(it, RecorderEvent::Failed(_))).count();
    assert_eq!(failures, 1);
}

#[test]
fn what_cannot_be_recorded_is_said_at_once_and_leaves_no_folder() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(start(config(dir.path()), Inputs::default()), Err(RecordError::Nothing)));
    let (_, frames, _) = devices(2, 0.1);
    let odd = I420 { width: 321, height: 180 };
    let refused = start(config(dir.path()), Inputs { mic: None, video: Some((odd, frames)) });
    assert!(matches!(refused, Err(RecordError::Shape { width: 321, .. })));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);

    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let (_, _, tap) = devices(2, 0.1);
    let Err(error) = start(config(&file), Inputs { mic: Some(tap), video: None }) else {
        panic!("a file is no folder")
    };
    let text = error.to_string();
    assert!(text.contains("file") && text.contains("--folder") && !text.contains('\n'), "{text}");
}

#[test]
fn a_recorder_that_is_dropped_closes_its_file() {
    let dir = tempfile::tempdir().unwrap();
    let (mut devices, frames, tap) = devices(120, 5.0);
    let inputs = Inputs { mic: Some(tap), video: Some((SHAPE, frames)) };
    let (recorder, _told) = start(config(dir.path()), inputs).unwrap();
    let folder = recorder.folder().to_owned();
    devices.film(beat(recorder.start_tick(), 40));
    devices.talk(tick_time_ns(recorder.start_tick()), 150);
    drop(recorder);
    assert!(metadata(&folder).complete);
    assert!(probe(&folder.join(RECORDING), "v", "avg_frame_rate").starts_with("30/1"));
}

#[test]
fn markers_are_announced_and_stand_in_the_metadata_and_in_the_readable_list() {
    let dir = tempfile::tempdir().unwrap();
    let (mut devices, frames, tap) = devices(120, 5.0);
    let inputs = Inputs { mic: Some(tap), video: Some((SHAPE, frames)) };
    let (recorder, mut told) = start(config(dir.path()), inputs).unwrap();
    let (first, folder) = (recorder.start_tick(), recorder.folder().to_owned());
    assert!(folder.join(JOURNAL).exists());
    recorder.stop_at(Some(tick_time_ns(first + 90)));
    recorder.mark_at(tick_time_ns(first + 45) + 5, "the good bit");
    recorder.mark_at(0, "");
    let late = recorder.mark_at(tick_time_ns(first + 90), "after the end");
    recorder.mark_at(tick_time_ns(first + 89), " ");
    let mut events = std::iter::from_fn(|| told.wait(LONG));
    let mut marked = Vec::new();
    while marked.len() < 3 {
        if let RecorderEvent::Marked(marker) = events.next().unwrap() {
            marked.push((marker.name, marker.tick - first));
        }
    }
    assert_eq!(marked, [("the good bit".into(), 45), ("Marker 1".into(), 0), ("Marker 2".into(), 89)]);
    // They are on the disk before anybody is told.
    let journal = std::fs::read_to_string(folder.join(JOURNAL)).unwrap();
    assert!(journal.contains("the good bit") && !journal.contains(&late.name), "{journal}");

    devices.film(beat(first, 92));
    devices.talk(tick_time_ns(first) - 20_000_000, 310);
    assert!(recorder.finish(LONG).complete);
    let metadata = metadata(&folder);
    let kept: Vec<_> = metadata.markers.into_iter().map(|it| (it.name, it.tick - first)).collect();
    assert_eq!(kept, marked);
    assert!(!metadata.recovered);
    assert!(std::fs::read_to_string(folder.join(TIMECODES)).unwrap().contains("the good bit"));
    assert!(!folder.join(JOURNAL).exists(), "a take that ended well needs no journal");
}
