//! The file as other people's programs see it, and after every possible crash.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use hyperzoom_media::I420;

use super::tracks::TICK_DURATION;
use super::*;
use crate::encode::{AacEncoder, AudioEncoder, H264Encoder, VideoEncoder, VideoFormat};
use crate::verify::reader;

mod chapters;
mod crash;
mod form;
mod head;
mod large;
mod power;

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

/// A take of `ticks` ticks, not finished, with a 440 Hz tone and a picture that changes.
fn take(store: impl Store + 'static, ticks: u64, video: bool, audio: bool) -> (Muxer, io::Result<()>) {
    take_until(store, ticks, video, audio, |_, _| ())
}

/// Such a take; `before` is called before each tick.
fn take_until(
    store: impl Store + 'static,
    ticks: u64,
    video: bool,
    audio: bool,
    mut before: impl FnMut(&mut Muxer, u64),
) -> (Muxer, io::Result<()>) {
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
            before(&mut muxer, tick);
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

/// Pictures in the fragments that are whole after these calls of a take of `ticks` ticks.
fn whole(calls: &[Call], ticks: usize) -> usize {
    let fragments =
        calls.iter().filter(|call| matches!(call, Call::Write(_, data) if data == b"moof")).count();
    (fragments * FRAGMENT_PICTURES).min(ticks)
}

/// A file that a crash left, what was done to it, and the pictures that it must have.
struct Left {
    file: Vec<u8>,
    pictures: usize,
    how: String,
}

/// Whether our own reader finds in `file` what it must have; returns what is wrong.
fn read(file: &[u8], pictures: std::ops::RangeInclusive<usize>) -> Result<(), String> {
    let recording =
        reader::read(&mut std::io::Cursor::new(file)).map_err(|problem| format!("{problem:?}"))?;
    let video = recording.tracks.iter().find(|track| &track.handler == b"vide").ok_or("no pictures")?;
    let found = video.samples.len();
    if !pictures.contains(&found) {
        return Err(format!("{found} pictures, not {pictures:?}"));
    }
    video.nal.clone()?;
    if recording.timecode != Some(START_TICK as u32) || recording.movie?.start_tick != START_TICK {
        return Err("another timecode".to_owned());
    }
    Ok(())
}

/// Lets ffmpeg decode every different one of these files that has pictures, several at a time; fails on any complaint.
fn play(left: &[Left]) {
    let mut seen = std::collections::HashSet::new();
    let different: Vec<_> = left.iter().filter(|it| it.pictures > 0 && seen.insert(&it.file)).collect();
    let next = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                let scratch = Scratch::new();
                while let Some(left) = different.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
                {
                    let path = scratch.file(&left.file);
                    let output = Command::new("ffmpeg")
                        .args(["-v", "error", "-xerror", "-err_detect", "explode", "-i"])
                        .arg(&path)
                        .args(["-map", "0:v", "-vsync", "passthrough", "-f", "rawvideo", "-"])
                        .args(["-map", "0:a", "-f", "null", "-"])
                        .output()
                        .expect("ffmpeg is installed");
                    let complaint = String::from_utf8_lossy(&output.stderr);
                    let pictures = output.stdout.len() / SHAPE.len();
                    assert!(
                        output.status.success() && complaint.is_empty() && pictures == left.pictures,
                        "{}: {pictures} pictures of {}; ffmpeg: {complaint}",
                        left.how,
                        left.pictures
                    );
                }
            });
        }
    });
}
