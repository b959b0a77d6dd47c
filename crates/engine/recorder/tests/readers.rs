//! Takes as the programs of others read them: ffmpeg, GStreamer, the `mp4` crate; and our own `verify`.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use hyperzoom_media::{FramePool, I420, mic_tap};
use hyperzoom_recorder::{
    Inputs, METADATA, Participant, RECORDING, RecorderConfig, SessionMetadata, start, verify,
};
use hyperzoom_testkit::{have, media};
use hyperzoom_timing::{SAMPLES_PER_TICK, tick_time_ns};
use ringbuf::HeapRb;
use ringbuf::traits::{Producer, Split};

const SHAPE: I420 = I420 { width: 160, height: 96 };

/// Ticks of the take: five seconds and a bit, so that the last fragment is a part of one.
const TICKS: u64 = 157;

/// Ticks at which it flashes and clicks: near the start and near the end.
const EVENTS: [u64; 2] = [12, 148];

/// A click: a bump of 1 ms with its peak at 0, in samples.
fn click(from_peak: i64) -> f32 {
    let x = from_peak as f32 / 8.0;
    0.9 * (-x * x).exp()
}

/// A take that is dark and silent, but for a flash and a click at the same moments.
fn take(parent: &Path) -> PathBuf {
    let (mut frames, frames_out) = HeapRb::new(200).split();
    let (mut mic, tap) = mic_tap(8.0);
    let pool = FramePool::new(SHAPE, 200);
    let config = RecorderConfig {
        session_name: Some("Köln".to_owned()),
        session_id: 0xfeed,
        video_bitrate_kbps: 1000,
        ..RecorderConfig::new(parent, Participant::new(2, "Zoë"))
    };
    let inputs = Inputs { mic: Some(tap), video: Some((SHAPE, frames_out)) };
    let (recorder, _events) = start(config, inputs).unwrap();
    let first = recorder.start_tick();
    recorder.stop_at(Some(tick_time_ns(first + TICKS)));
    for tick in 0..TICKS + 2 {
        // The camera is a millisecond ahead of the grid.
        let at = Duration::from_nanos(tick_time_ns(first + tick) as u64) - Duration::from_millis(1);
        let luma = if EVENTS.contains(&tick) { 230 } else { 30 };
        let fill = |data: &mut [u8]| {
            data[..SHAPE.luma_len()].fill(luma);
            data[SHAPE.luma_len()..].fill(128);
        };
        frames.try_push(pool.frame(at, tick, fill).unwrap()).unwrap();
    }
    // The microphone has run for 20 ms when the take begins.
    let begin = Duration::from_nanos(tick_time_ns(first) as u64) - Duration::from_millis(20);
    for block in 0..550_u64 {
        let samples: Vec<f32> = (0..480_u64)
            .map(|sample| {
                let at = (block * 480 + sample) as i64 - 960;
                EVENTS.iter().map(|tick| click(at - (tick * SAMPLES_PER_TICK) as i64)).sum()
            })
            .collect();
        mic.push(&samples, begin + Duration::from_millis(block * 10));
    }
    let report = recorder.finish(Duration::from_secs(60));
    assert!(report.complete && report.ticks == TICKS, "{report:?}");
    report.folder
}

#[test]
fn ffmpeg_finds_the_tracks_the_timecode_and_every_picture_at_its_time() {
    if !have(&["ffprobe", "ffmpeg"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let folder = take(dir.path());
    let file = folder.join(RECORDING);
    let metadata: SessionMetadata =
        serde_json::from_slice(&std::fs::read(folder.join(METADATA)).unwrap()).unwrap();
    let probe = media::ffprobe(&file);
    assert_eq!(probe["format"]["nb_streams"], 3, "{probe:#}");
    let (video, audio) = (media::stream(&probe, "video"), media::stream(&probe, "audio"));
    for (key, value) in [
        ("codec_name", "h264"),
        ("profile", "High"),
        ("r_frame_rate", "30/1"),
        ("avg_frame_rate", "30/1"),
        ("start_time", "0.000000"),
        ("nb_read_packets", "157"),
        ("duration", "5.233333"),
    ] {
        assert_eq!(video[key], value, "{key} of {video:#}");
    }
    assert_eq!(video["level"], 41);
    for (key, value) in
        [("codec_name", "aac"), ("profile", "LC"), ("start_time", "0.000000"), ("duration", "5.233333")]
    {
        assert_eq!(audio[key], value, "{key} of {audio:#}");
    }
    assert_eq!(video["tags"]["timecode"], metadata.start_timecode.as_str());
    let tags = &probe["format"]["tags"];
    assert_eq!((&tags["title"], &tags["recorded_by"]), (&"Köln".into(), &"Zoë".into()));
    assert_eq!(
        (&tags["session_id"], &tags["start_timecode"]),
        (&metadata.session_id.as_str().into(), &metadata.start_timecode.as_str().into())
    );
    assert_eq!(tags["started_at"], metadata.started_at_utc.to_string().as_str());

    let expected: Vec<(i64, i64)> = (0..TICKS as i64).map(|tick| (tick * 1000, tick * 1000)).collect();
    assert_eq!(media::packet_times(&file, "v"), expected);
    let sound = media::packet_times(&file, "a");
    // What the encoder puts in front is before 0.
    assert_eq!(sound[0], (-1024, -1024));
    assert!(sound.windows(2).all(|pair| pair[1].0 - pair[0].0 == 1024 && pair[1].1 > pair[0].1), "{sound:?}");
    assert_eq!(media::decode_errors(&file), "");
}

/// The sample in the middle of the click at `tick`; it fails where there is none within a tenth of a second.
fn peak(sound: &[f32], tick: u64) -> i64 {
    let expected = (tick * SAMPLES_PER_TICK) as usize;
    let around = expected - 4800..expected + 4800;
    let loudest = around.max_by(|a, b| sound[*a].abs().total_cmp(&sound[*b].abs())).unwrap();
    assert!(sound[loudest].abs() > 0.5, "{} at sample {loudest}", sound[loudest]);
    loudest as i64
}

#[test]
fn a_flash_and_a_click_are_at_the_same_moment_at_the_start_and_at_the_end() {
    if !have(&["ffprobe", "ffmpeg"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let file = take(dir.path()).join(RECORDING);
    let bright: Vec<u64> =
        (0..).zip(media::brightness(&file)).filter(|(_, luma)| *luma > 128).map(|(tick, _)| tick).collect();
    assert_eq!(bright, EVENTS, "the pictures that flash");
    // ffmpeg leaves out what the edit list leaves out.
    let heard = media::sound(&file);
    for tick in EVENTS {
        let off = peak(&heard, tick) - (tick * SAMPLES_PER_TICK) as i64;
        assert!(off.abs() < 48, "ffmpeg: the click of tick {tick} is {off} samples from its flash");
    }
    if !have(&media::gstreamer::PROGRAMS) {
        return;
    }
    let decoded = media::gstreamer::decode(&file);
    let ticks: Vec<u64> = decoded.pictures.iter().map(|at| (at * 30).div_ceil(1_000_000_000)).collect();
    assert_eq!(ticks, (0..TICKS).collect::<Vec<_>>(), "GStreamer's pictures");
    assert_eq!(decoded.units[0], 0, "its first access unit is that of the first picture");
    assert!(decoded.units.windows(2).all(|pair| pair[0] < pair[1]));
    let heard: Vec<f32> = decoded.sound.iter().map(|sample| f32::from(*sample) / 32768.0).collect();
    for tick in EVENTS {
        let off = peak(&heard, tick) - (tick * SAMPLES_PER_TICK) as i64;
        assert!(off.abs() < 48, "GStreamer: the click of tick {tick} is {off} samples from its flash");
    }
}

#[test]
fn gstreamer_knows_the_formats_and_the_words() {
    if !have(&media::gstreamer::PROGRAMS) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let told = media::gstreamer::discover(&take(dir.path()).join(RECORDING));
    for words in [
        "Duration: 0:00:05.233333333",
        "title: Köln",
        "level=(string)4.1",
        "Frame rate: 30/1",
        "colorimetry=(string)bt709",
        "base-profile=(string)lc",
        "Sample rate: 48000",
        "Channels: 1",
    ] {
        assert!(told.contains(words), "{words} is not in {told}");
    }
    // High, in a subset of its tools that has a name of its own to GStreamer.
    assert!(
        told.contains("profile=(string)high") || told.contains("profile=(string)constrained-high"),
        "{told}"
    );
}

#[test]
fn the_mp4_crate_reads_every_sample() {
    let dir = tempfile::tempdir().unwrap();
    let file = std::fs::File::open(take(dir.path()).join(RECORDING)).unwrap();
    let len = file.metadata().unwrap().len();
    let mut reader = mp4::Mp4Reader::read_header(std::io::BufReader::new(file), len).unwrap();
    assert!(!reader.is_fragmented());
    assert_eq!(reader.moov.meta.as_ref().map(drop), None, "the words are in the user data");
    let video = &reader.tracks()[&1];
    assert_eq!(video.media_type().unwrap(), mp4::MediaType::H264);
    assert_eq!(video.video_profile().unwrap(), mp4::AvcProfile::AvcHigh);
    assert_eq!((video.width(), video.height(), video.sample_count()), (160, 96, TICKS as u32));
    assert_eq!(reader.tracks()[&2].media_type().unwrap(), mp4::MediaType::AAC);
    for track in [1, 2, 3] {
        let count = reader.sample_count(track).unwrap();
        let mut last = None;
        for id in 1..=count {
            let sample = reader.read_sample(track, id).unwrap().unwrap();
            assert!(last.is_none_or(|last| last < sample.start_time) && !sample.bytes.is_empty());
            last = Some(sample.start_time);
        }
        assert!(last.is_some(), "track {track} is empty");
    }
}

#[test]
fn verify_agrees() {
    let dir = tempfile::tempdir().unwrap();
    let verdict = verify(&take(dir.path())).unwrap();
    assert!(verdict.ok(), "{:#?}", verdict.checks);
    for name in ["timecode", "same take", "chapters"] {
        assert!(verdict.checks.iter().any(|check| check.name == name), "{name} was not looked at");
    }
}
