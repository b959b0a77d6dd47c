//! Takes as GStreamer sees them, through `qtdemux`.

use std::path::Path;
use std::process::Command;

/// The programs that everything here needs.
pub const PROGRAMS: [&str; 2] = ["gst-launch-1.0", "gst-discoverer-1.0"];

/// What `gst-discoverer-1.0` says of a file: streams, formats, tags.
///
/// # Panics
/// Where it fails.
#[must_use]
pub fn discover(file: &Path) -> String {
    let output = Command::new("gst-discoverer-1.0").arg("-v").arg(file).output().expect("gst-discoverer-1.0");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && !text.contains("ERROR"), "{text}");
    text
}

/// What came out of a file with pictures and sound.
#[derive(Debug, Clone, Default)]
pub struct Decoded {
    /// When each picture is shown, in nanoseconds of the presentation.
    pub pictures: Vec<u64>,
    /// When each access unit is played: an edit list counts here.
    pub units: Vec<u64>,
    /// The sound from there on, mono.
    pub sound: Vec<i16>,
}

/// Decodes the first video and the first audio track of a file.
///
/// # Panics
/// Where GStreamer reports an error, or cannot be started.
#[must_use]
pub fn decode(file: &Path) -> Decoded {
    let sound = tempfile::NamedTempFile::new().expect("a temporary file");
    let log = tempfile::NamedTempFile::new().expect("a temporary file");
    let fake = "fakesink sync=false";
    let output = Command::new("gst-launch-1.0")
        // The sinks' log has the times of every buffer; what `-v` prints of them leaves some out.
        .envs([("GST_DEBUG", "basesink:5"), ("GST_DEBUG_NO_COLOR", "1")])
        .env("GST_DEBUG_FILE", log.path())
        .args(["-q", "filesrc"])
        .arg(format!("location={}", file.display()))
        .args("! qtdemux name=demux demux.video_0 ! queue ! h264parse ! avdec_h264 !".split(' '))
        .args(fake.split(' '))
        .args("name=pictures demux.audio_0 ! queue ! aacparse ! tee name=units ! queue !".split(' '))
        .args(fake.split(' '))
        .args("name=times units. ! queue ! avdec_aac ! audioconvert !".split(' '))
        .args(["audio/x-raw,format=S16LE,channels=1", "!", "filesink"])
        .arg(format!("location={}", sound.path().display()))
        .output()
        .expect("gst-launch-1.0");
    let log = String::from_utf8_lossy(&std::fs::read(log.path()).expect("GStreamer's log")).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.trim().is_empty(), "GStreamer, {}: {errors}", file.display());
    let sound = std::fs::read(sound.path()).expect("what GStreamer wrote");
    Decoded {
        pictures: moments(&log, "pictures"),
        units: moments(&log, "times"),
        sound: sound.chunks_exact(2).map(|b| i16::from_le_bytes([b[0], b[1]])).collect(),
    }
}

/// When each buffer that a sink got is due: its timestamp less where its segment begins.
fn moments(log: &str, sink: &str) -> Vec<u64> {
    let (segment, times) = (
        format!("<{sink}> configured segment time segment start="),
        format!("gst_base_sink_get_sync_times:<{sink}> got times start: "),
    );
    let (mut start, mut moments) = (0, Vec::new());
    for line in log.lines() {
        if let Some((_, stamp)) = line.split_once(&segment) {
            start = nanoseconds(stamp);
        } else if let Some((_, stamp)) = line.split_once(&times) {
            moments.push(nanoseconds(stamp).saturating_sub(start));
        }
    }
    moments
}

/// `H:MM:SS.nnnnnnnnn`, up to a comma, in nanoseconds.
fn nanoseconds(stamp: &str) -> u64 {
    let stamp = stamp.split(',').next().unwrap_or(stamp);
    let (clock, fraction) = stamp.split_once('.').unwrap_or_else(|| panic!("{stamp} is no time"));
    let number = |text: &str| text.parse::<u64>().unwrap_or_else(|_| panic!("{stamp} is no time"));
    let seconds = clock.split(':').fold(0, |sum, part| sum * 60 + number(part));
    seconds * 1_000_000_000 + number(fraction)
}
