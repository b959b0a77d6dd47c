//! Takes as other people's programs see them.

pub mod gstreamer;

use std::path::{Path, PathBuf};
use std::process::Command;

/// What ffprobe says of a file's streams and its format, packets counted.
///
/// # Panics
/// Where ffprobe fails, or complains.
#[must_use]
pub fn ffprobe(file: &Path) -> serde_json::Value {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-count_packets", "-show_streams", "-show_format", "-of", "json"])
        .arg(file)
        .output()
        .expect("ffprobe");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "ffprobe {}: {errors}", file.display());
    serde_json::from_slice(&output.stdout).expect("ffprobe prints JSON")
}

/// One stream of ffprobe's answer, by its kind: `video` or `audio`.
///
/// # Panics
/// Where there is none.
#[must_use]
pub fn stream<'a>(probe: &'a serde_json::Value, kind: &str) -> &'a serde_json::Value {
    let streams = probe["streams"].as_array().expect("a list");
    streams.iter().find(|s| s["codec_type"] == kind).unwrap_or_else(|| panic!("no {kind} in {probe:#}"))
}

/// A number that ffprobe writes as text.
///
/// # Panics
/// Where it is none.
#[must_use]
pub fn number(value: &serde_json::Value) -> f64 {
    value.as_str().and_then(|s| s.parse().ok()).unwrap_or_else(|| panic!("not a number: {value}"))
}

/// The packets of one stream (`v` or `a`), each by its presentation and its decoding time in units of the stream.
///
/// # Panics
/// Where ffprobe fails, or complains, or a packet has no times.
#[must_use]
pub fn packet_times(file: &Path, stream: &str) -> Vec<(i64, i64)> {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", stream, "-show_entries", "packet=pts,dts", "-of", "csv=p=0"])
        .arg(file)
        .output()
        .expect("ffprobe");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "ffprobe {}: {errors}", file.display());
    let text = String::from_utf8_lossy(&output.stdout);
    let times = |line: &str| {
        let (pts, dts) = line.trim_end_matches(',').split_once(',')?;
        Some((pts.parse().ok()?, dts.split(',').next()?.parse().ok()?))
    };
    let lines = text.lines().filter(|line| !line.is_empty());
    lines.map(|line| times(line).unwrap_or_else(|| panic!("a packet without times: {line}"))).collect()
}

/// The luma of every picture, on average over the picture.
///
/// # Panics
/// Where ffmpeg fails.
#[must_use]
pub fn brightness(file: &Path) -> Vec<u8> {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(file)
        .args(["-map", "0:v", "-vsync", "passthrough", "-vf", "scale=1:1:flags=area,format=gray"])
        .args(["-f", "rawvideo", "-"])
        .output()
        .expect("ffmpeg");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// A chapter as ffprobe tells it.
#[derive(Debug, Clone, PartialEq)]
pub struct Chapter {
    /// Where it begins, in units of the time base.
    pub start: u64,
    /// Where it ends.
    pub end: u64,
    /// The time base, as a fraction of a second.
    pub base: (u64, u64),
    /// What it is called; empty where it has no title.
    pub title: String,
}

impl Chapter {
    /// A moment of the chapter's time base in samples at 48 kHz.
    ///
    /// # Panics
    /// Where it lies between two samples.
    #[must_use]
    pub fn samples(&self, moment: u64) -> u64 {
        let (numerator, denominator) = (moment * self.base.0 * 48_000, self.base.1);
        assert!(numerator.is_multiple_of(denominator), "{moment} of {self:?} is between two samples");
        numerator / denominator
    }
}

/// The chapters that ffprobe finds in a file.
///
/// # Panics
/// Where ffprobe fails, or complains.
#[must_use]
pub fn chapters(file: &Path) -> Vec<Chapter> {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-show_chapters", "-of", "json"])
        .arg(file)
        .output()
        .expect("ffprobe");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "ffprobe {}: {errors}", file.display());
    let probe: serde_json::Value = serde_json::from_slice(&output.stdout).expect("ffprobe prints JSON");
    let chapter = |it: &serde_json::Value| {
        let base = it["time_base"].as_str().and_then(|base| base.split_once('/')).expect("a fraction");
        Chapter {
            start: it["start"].as_u64().expect("a number"),
            end: it["end"].as_u64().expect("a number"),
            base: (base.0.parse().expect("a number"), base.1.parse().expect("a number")),
            title: it["tags"]["title"].as_str().unwrap_or("").to_owned(),
        }
    };
    probe["chapters"].as_array().expect("a list").iter().map(chapter).collect()
}

/// Lets ffmpeg decode the whole file, and returns what it complained about.
///
/// # Panics
/// Where ffmpeg cannot be started.
#[must_use]
pub fn decode_errors(file: &Path) -> String {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-xerror", "-err_detect", "explode", "-i"])
        .arg(file)
        // The timecode is data, which has no decoder.
        .args(["-map", "0:v?", "-map", "0:a?", "-f", "null", "-"])
        .output()
        .expect("ffmpeg");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { text } else { format!("ffmpeg failed: {text}") }
}

/// The sound of a file, mono at 48 kHz.
///
/// # Panics
/// Where ffmpeg fails.
#[must_use]
pub fn sound(file: &Path) -> Vec<f32> {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(file)
        .args(["-vn", "-f", "f32le", "-ac", "1", "-ar", "48000", "-"])
        .output()
        .expect("ffmpeg");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}

/// The samples of a mono file of 24 bits, exactly as ffmpeg decodes them.
///
/// # Panics
/// Where ffmpeg fails, or complains.
#[must_use]
pub fn samples_of_24_bits(file: &Path) -> Vec<i32> {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-xerror", "-err_detect", "explode", "-i"])
        .arg(file)
        .args(["-f", "s24le", "-c:a", "pcm_s24le", "-"])
        .output()
        .expect("ffmpeg");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && complaint.is_empty(), "{}: {complaint}", file.display());
    // The highest three bytes of a number of 32 bits, shifted down with their sign.
    output.stdout.chunks_exact(3).map(|b| i32::from_le_bytes([0, b[0], b[1], b[2]]) >> 8).collect()
}

/// Speech as a 48 kHz mono WAV file in `folder`.
///
/// # Panics
/// Where espeak-ng or ffmpeg fails.
#[must_use]
pub fn speech(folder: &Path, text: &str) -> PathBuf {
    let spoken = folder.join("spoken.wav");
    let file = folder.join("speech.wav");
    let status =
        Command::new("espeak-ng").args(["-s", "150", "-a", "160", "-w"]).arg(&spoken).arg(text).status();
    assert!(status.is_ok_and(|s| s.success()), "espeak-ng");
    let status = Command::new("ffmpeg")
        .args(["-v", "error", "-y", "-i"])
        .arg(&spoken)
        .args(["-ar", "48000", "-ac", "1", "-c:a", "pcm_s16le"])
        .arg(&file)
        .status();
    assert!(status.is_ok_and(|s| s.success()), "ffmpeg");
    file
}

/// The one take in a recordings folder.
///
/// # Panics
/// Where there is none, or more than one.
#[must_use]
pub fn only_take(folder: &Path) -> PathBuf {
    let mut takes: Vec<_> =
        std::fs::read_dir(folder).expect("readable").map(|e| e.expect("entry").path()).collect();
    assert_eq!(takes.len(), 1, "{takes:?}");
    takes.remove(0)
}
