//! The file as other people's programs see it, and after every possible crash.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use hyperzoom_media::I420;

use super::tracks::TICK_DURATION;
use super::*;
use crate::encode::{AacEncoder, AudioEncoder, H264Encoder, VideoEncoder, VideoFormat};

mod head;

const SHAPE: I420 = I420 { width: 320, height: 180 };

/// 26:03:04:05, past midnight.
const START_TICK: u64 = ((26 * 60 + 3) * 60 + 4) * 30 + 5;

fn about() -> About {
    About {
        session_id: "00000000a1b2c3d4".to_owned(),
        session_name: Some("Köln & 東京".to_owned()),
        name: "Bob".to_owned(),
        started_at: "2026-02-27T19:15:00.123Z".to_owned(),
    }
}

/// One call of a [`Store`].
#[derive(Debug, Clone, PartialEq)]
enum Call {
    Write(u64, Vec<u8>),
    Sync,
    Truncate(u64),
}

/// Notes every call; from call `fails_from` on it answers that the disk is full.
#[derive(Clone)]
struct Notebook {
    calls: Arc<Mutex<Vec<Call>>>,
    fails_from: usize,
    until: usize,
}

impl Notebook {
    fn new() -> Self {
        Self { calls: Arc::default(), fails_from: usize::MAX, until: usize::MAX }
    }

    fn note(&self, call: Call) -> io::Result<()> {
        let mut calls = self.calls.lock().unwrap();
        let number = calls.len();
        if (self.fails_from..self.until).contains(&number) {
            // A full disk takes the first half of what it cannot take whole.
            if let Call::Write(at, data) = call {
                calls.push(Call::Write(at, data[..data.len() / 2].to_vec()));
            } else {
                calls.push(call);
            }
            return Err(io::ErrorKind::StorageFull.into());
        }
        calls.push(call);
        Ok(())
    }
}

impl Store for Notebook {
    fn write_at(&mut self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.note(Call::Write(offset, data.to_vec()))
    }

    fn sync(&mut self) -> io::Result<()> {
        self.note(Call::Sync)
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.note(Call::Truncate(len))
    }
}

/// The file that `calls` leave.
fn replay(calls: &[Call]) -> Vec<u8> {
    let mut file = Vec::new();
    for call in calls {
        match call {
            Call::Write(at, data) => {
                let at = *at as usize;
                if file.len() < at + data.len() {
                    file.resize(at + data.len(), 0);
                }
                file[at..at + data.len()].copy_from_slice(data);
            }
            Call::Truncate(len) => file.resize(*len as usize, 0),
            Call::Sync => (),
        }
    }
    file
}

/// The picture of a tick: a smooth pattern that moves, one step a tick.
fn source_picture(tick: u64) -> Vec<u8> {
    let wave = |x: u64| ((x % 128).abs_diff(64) * 2 + 50) as u8;
    (0..SHAPE.len() as u64)
        .map(|i| wave(i % u64::from(SHAPE.width) + i / u64::from(SHAPE.width) + tick * 9))
        .collect()
}

/// A take of `ticks` ticks, finished or not, with a 440 Hz tone and a picture that changes.
fn take(store: impl Store + 'static, ticks: u64, video: bool, audio: bool) -> (Muxer, io::Result<()>) {
    let format = VideoFormat { shape: SHAPE, bitrate_kbps: 400, max_bitrate_kbps: 500 };
    let mut h264 = H264Encoder::new(format, 1).unwrap();
    let mut aac = AacEncoder::new().unwrap();
    let movie = Movie {
        created: std::time::Duration::from_secs(1_772_223_300),
        start_tick: START_TICK,
        about: about(),
        video: video.then(|| VideoConfig::new(SHAPE, h264.parameter_sets()).unwrap()),
        audio: audio.then(|| AudioConfig::new(aac.config(), aac.delay()).unwrap()),
    };
    let mut muxer = Muxer::create(Box::new(store), movie).unwrap();
    let mut units = Vec::new();
    let result = (|| {
        for tick in 0..ticks {
            if video {
                let picture = source_picture(tick);
                h264.submit(tick, &picture).unwrap();
                while let Some(picture) = h264.poll().unwrap() {
                    muxer.picture(picture)?;
                }
            }
            if audio {
                let samples: Vec<f32> = (tick * 1600..(tick + 1) * 1600)
                    .map(|i| (i as f32 * 440.0 / 48_000.0 * std::f32::consts::TAU).sin() * 0.5)
                    .collect();
                aac.encode(&samples, &mut |unit| units.push(unit)).unwrap();
                for unit in units.drain(..) {
                    muxer.unit(unit)?;
                }
            }
        }
        if audio {
            aac.finish(&mut |unit| units.push(unit)).unwrap();
            for unit in units.drain(..) {
                muxer.unit(unit)?;
            }
        }
        Ok(())
    })();
    (muxer, result)
}

fn finished(ticks: u64, video: bool, audio: bool) -> Vec<Call> {
    with_chapters(ticks, video, audio, &[])
}

fn with_chapters(ticks: u64, video: bool, audio: bool, chapters: &[Chapter]) -> Vec<Call> {
    let notebook = Notebook::new();
    let (mut muxer, result) = take(notebook.clone(), ticks, video, audio);
    result.unwrap();
    muxer.finish(ticks, chapters).unwrap();
    notebook.calls.lock().unwrap().clone()
}

struct Scratch(tempfile::TempDir);

impl Scratch {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, bytes: &[u8]) -> PathBuf {
        let path = self.0.path().join("take.mp4");
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

/// What ffprobe says of one stream, in the order of `entries`, and of the file's duration in seconds.
fn probe(path: &Path, stream: &str, entries: &str) -> Vec<String> {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-count_packets", "-select_streams", stream, "-of", "default=nw=1"])
        .args(["-show_entries", &format!("stream={entries}")])
        .arg(path)
        .output()
        .expect("ffprobe is installed");
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// Decodes all of the file and returns the pictures and the samples of sound that came out; fails on any complaint.
fn decode(path: &Path) -> (usize, usize) {
    let run = |args: &[&str]| {
        let output = Command::new("ffmpeg")
            .args(["-v", "error", "-xerror", "-err_detect", "explode", "-copyts", "-i"])
            .arg(path)
            .args(args)
            .args(["-"])
            .output()
            .expect("ffmpeg is installed");
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && complaint.is_empty(), "ffmpeg: {complaint}");
        output.stdout
    };
    let has = |kind| !probe(path, kind, "index").is_empty();
    let pictures = if has("v") {
        run(&["-map", "0:v", "-vsync", "passthrough", "-f", "rawvideo"]).len() / SHAPE.len()
    } else {
        0
    };
    let samples =
        if has("a") { run(&["-map", "0:a", "-af", "atrim=start=0", "-f", "s16le"]).len() / 2 } else { 0 };
    (pictures, samples)
}

fn check_streams(path: &Path, ticks: u64) {
    check_video(path, ticks);
    check_audio(path, "0.000000");
}

fn check_video(path: &Path, ticks: u64) {
    let video = probe(
        path,
        "v",
        "codec_name,profile,width,height,r_frame_rate,avg_frame_rate,duration,nb_read_packets,pix_fmt,color_space,level,start_time",
    );
    for line in [
        "codec_name=h264",
        "profile=High",
        "level=41",
        "width=320",
        "height=180",
        "pix_fmt=yuv420p",
        "color_space=bt709",
        "r_frame_rate=30/1",
        "avg_frame_rate=30/1",
        "start_time=0.000000",
        &format!("nb_read_packets={ticks}"),
        &format!("duration={:.6}", ticks as f64 / 30.0),
    ] {
        assert!(video.iter().any(|it| it == line), "{line} is not in {video:#?}");
    }
}

fn check_audio(path: &Path, start: &str) {
    let audio = probe(path, "a", "codec_name,profile,sample_rate,channels,start_time");
    let start = format!("start_time={start}");
    for line in ["codec_name=aac", "profile=LC", "sample_rate=48000", "channels=1", &start] {
        assert!(audio.iter().any(|it| it == line), "{line} is not in {audio:#?}");
    }
}

/// The duration of the first stream of this kind.
fn duration(path: &Path, stream: &str) -> f64 {
    let lines = probe(path, stream, "duration");
    lines[0].strip_prefix("duration=").unwrap().parse().unwrap()
}

#[test]
fn a_finished_take_is_what_editors_expect() {
    let scratch = Scratch::new();
    // 5.7 s: the last fragment is a part of one.
    let file = scratch.file(&replay(&finished(171, true, true)));
    check_streams(&file, 171);
    assert!((duration(&file, "a") - 5.7).abs() < 1e-5, "{}", duration(&file, "a"));
    let (pictures, samples) = decode(&file);
    assert_eq!(pictures, 171);
    assert!((273_600..273_600 + AAC_FRAME).contains(&samples), "{samples}");
}

#[test]
fn each_tick_shows_its_own_picture() {
    let scratch = Scratch::new();
    let file = scratch.file(&replay(&finished(95, true, true)));
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(&file)
        .args(["-map", "0:v", "-vsync", "passthrough", "-f", "rawvideo", "-"])
        .output()
        .unwrap();
    let shown: Vec<&[u8]> = output.stdout.chunks_exact(SHAPE.len()).collect();
    assert_eq!(shown.len(), 95);
    let distance = |a: &[u8], b: &[u8]| {
        let sum: f64 = a.iter().zip(b).map(|(a, b)| f64::from(a.abs_diff(*b))).sum();
        sum / SHAPE.luma_len() as f64
    };
    for (tick, picture) in (0..).zip(shown) {
        let off = distance(&picture[..SHAPE.luma_len()], &source_picture(tick)[..SHAPE.luma_len()]);
        let next = distance(&picture[..SHAPE.luma_len()], &source_picture(tick + 1)[..SHAPE.luma_len()]);
        assert!(off < 4.0 && next > 10.0, "tick {tick}: {off} from its own picture, {next} from the next");
    }
}

#[test]
fn a_finished_take_is_read_by_an_independent_reader() {
    let bytes = replay(&finished(95, true, true));
    let len = bytes.len() as u64;
    let mut reader = ::mp4::Mp4Reader::read_header(std::io::Cursor::new(bytes), len).unwrap();
    assert!(!reader.is_fragmented());
    let tracks: Vec<_> = reader
        .tracks()
        .values()
        .map(|track| (track.track_id(), track.media_type().unwrap(), track.sample_count()))
        .collect();
    assert!(tracks.contains(&(1, ::mp4::MediaType::H264, 95)), "{tracks:?}");
    assert_eq!(reader.tracks()[&1].video_profile().unwrap(), ::mp4::AvcProfile::AvcHigh);
    assert_eq!(reader.tracks()[&2].audio_profile().unwrap(), ::mp4::AudioObjectType::AacLowComplexity);
    for id in 1..=95 {
        let sample = reader.read_sample(1, id).unwrap().unwrap();
        assert_eq!(sample.start_time, u64::from(id - 1) * u64::from(TICK_DURATION));
        assert_eq!(sample.is_sync, (id - 1) % 30 == 0);
        let first = u32::from_be_bytes(sample.bytes[..4].try_into().unwrap()) as usize;
        assert!(first + 4 <= sample.bytes.len(), "sample {id} does not begin with a NAL unit");
    }
}

#[test]
fn sound_alone_and_pictures_alone_are_takes_too() {
    let scratch = Scratch::new();
    let file = scratch.file(&replay(&finished(75, false, true)));
    assert!((duration(&file, "a") - 2.5).abs() < 1e-5);
    assert!((120_000..121_024).contains(&decode(&file).1));
    let file = scratch.file(&replay(&finished(75, true, false)));
    assert_eq!((duration(&file, "v"), decode(&file)), (2.5, (75, 0)));
}

#[test]
fn an_end_before_what_was_encoded_cuts_to_the_tick() {
    let notebook = Notebook::new();
    let (mut muxer, _) = take(notebook.clone(), 100, true, true);
    muxer.finish(77, &[]).unwrap();
    let scratch = Scratch::new();
    let file = scratch.file(&replay(&notebook.calls.lock().unwrap()));
    check_streams(&file, 77);
    assert_eq!(decode(&file).0, 77);
}

#[test]
fn pictures_and_sound_are_in_time() {
    // Silence, and a step to a loud tone at tick 40.
    let notebook = Notebook::new();
    let mut aac = AacEncoder::new().unwrap();
    let movie = Movie {
        created: std::time::Duration::ZERO,
        start_tick: 0,
        about: About::default(),
        video: None,
        audio: Some(AudioConfig::new(aac.config(), aac.delay()).unwrap()),
    };
    let mut muxer = Muxer::create(Box::new(notebook.clone()), movie).unwrap();
    let samples: Vec<f32> =
        (0..96_000).map(|i| if i < 64_000 { 0.0 } else { (i as f32 * 0.4).sin() * 0.7 }).collect();
    let mut units = Vec::new();
    aac.encode(&samples, &mut |unit| units.push(unit)).unwrap();
    aac.finish(&mut |unit| units.push(unit)).unwrap();
    for unit in units {
        muxer.unit(unit).unwrap();
    }
    muxer.finish(60, &[]).unwrap();
    let calls = notebook.calls.lock().unwrap();
    let scratch = Scratch::new();
    // In the finished file and in the one that a crash left: the sound begins where it did.
    for prefix in [calls.len(), calls.len() - 4] {
        let file = scratch.file(&replay(&calls[..prefix]));
        let output = Command::new("ffmpeg")
            .args(["-v", "error", "-copyts", "-i"])
            .arg(&file)
            .args(["-af", "atrim=start=0", "-f", "s16le", "-"])
            .output()
            .unwrap();
        let decoded: Vec<i16> =
            output.stdout.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
        let onset = decoded.iter().position(|sample| sample.unsigned_abs() > 8000).unwrap();
        assert!(onset.abs_diff(64_000) < 48, "the tone begins at sample {onset}, not 64000");
    }
}

#[test]
fn cut_at_any_fragment_the_growing_file_decodes_without_complaint() {
    let calls = finished(171, true, true);
    let scratch = Scratch::new();
    let fragments: Vec<usize> = (2..calls.len() - 4).filter(|i| calls[*i] == Call::Sync).collect();
    assert_eq!(fragments.len(), 6);
    for (index, call) in fragments.into_iter().enumerate() {
        let file = scratch.file(&replay(&calls[..=call]));
        let ticks = if index == 5 { 171 } else { (index as u64 + 1) * 30 };
        check_video(&file, ticks);
        // The samples that the encoder puts in front lie before 0, where a reader leaves them out.
        check_audio(&file, "-0.021333");
        let (pictures, samples) = decode(&file);
        assert_eq!(pictures as u64, ticks);
        let expected = ticks as usize * 1600;
        assert!((expected - AAC_FRAME..expected + AAC_FRAME).contains(&samples), "{samples} of {expected}");
        // The encoder's delay is in there; and, after the last fragment of a take that ends well, the rest of a unit.
        let limit = if index == 5 { 2.0 * AAC_FRAME as f64 / 48_000.0 } else { 1.0 / 30.0 };
        let beyond = duration(&file, "a") - ticks as f64 / 30.0;
        assert!((0.0..limit).contains(&beyond), "{beyond} s too long");
    }
}

#[test]
fn a_crash_at_any_call_of_the_conversion_and_within_it_leaves_a_file_that_plays() {
    let calls = finished(65, true, true);
    let scratch = Scratch::new();
    let conversion = calls.len() - 4;
    assert!(
        matches!(&calls[conversion + 2], Call::Write(at, data) if *at < 496 && data.len() == 16),
        "{:?}",
        calls[conversion + 2]
    );
    for whole in conversion..=calls.len() {
        let file = scratch.file(&replay(&calls[..whole]));
        assert_eq!(decode(&file).0, 65, "{whole} calls of {}", calls.len());
    }
    // The moov is torn at any place.
    let Call::Write(at, moov) = &calls[conversion] else { panic!("the conversion begins with the moov") };
    for torn in [1, 4, 7, 8, 9, 100, moov.len() / 2, moov.len() - 1] {
        let mut calls = calls[..conversion].to_vec();
        calls.push(Call::Write(*at, moov[..torn].to_vec()));
        let file = scratch.file(&replay(&calls));
        assert_eq!(decode(&file).0, 65, "{torn} bytes of {}", moov.len());
    }
}

#[test]
fn a_torn_fragment_loses_only_itself() {
    let calls = finished(95, true, true);
    let scratch = Scratch::new();
    let third =
        (2..).filter(|i| matches!(&calls[*i], Call::Write(_, data) if data.len() > 4)).nth(2).unwrap();
    let Call::Write(at, fragment) = &calls[third] else { unreachable!() };
    assert_eq!(&calls[third + 1], &Call::Write(at + 4, b"moof".to_vec()));
    for torn in [1, 4, 7, 8, 40, 700, fragment.len() / 2, fragment.len() - 1, fragment.len()] {
        let mut calls = calls[..third].to_vec();
        calls.push(Call::Write(*at, fragment[..torn].to_vec()));
        let file = scratch.file(&replay(&calls));
        assert_eq!(decode(&file).0, 60, "{torn} bytes of the third fragment");
    }
}

#[test]
fn a_disk_that_fills_up_keeps_what_it_took_and_the_file_is_converted_where_it_can_be() {
    let scratch = Scratch::new();
    // Calls 0 and 1 are the head; each fragment is three: the bytes, its type, the sync.
    for (fails_from, until, whole) in [
        (8, usize::MAX, 60),
        (9, usize::MAX, 60),
        (10, usize::MAX, 60),
        (8, 9, 60),
        (13, 14, 90),
        (3, usize::MAX, 0),
    ] {
        let notebook = Notebook { fails_from, until, ..Notebook::new() };
        let (mut muxer, result) = take(notebook.clone(), 171, true, true);
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::StorageFull);
        let converted = muxer.salvage(&[]).is_ok();
        let file = replay(&notebook.calls.lock().unwrap());
        assert_eq!(converted, until != usize::MAX);
        let path = scratch.file(&file);
        if whole > 0 {
            assert_eq!(decode(&path).0, whole, "failing from call {fails_from}");
        }
        // The four bytes after the placeholder's size say which form it is.
        let at = 4 + file.windows(4).position(|it| it == b"free" || it == b"mdat").unwrap() - 4;
        assert_eq!(&file[at..at + 4], if converted { b"mdat" } else { b"free" });
    }
}
