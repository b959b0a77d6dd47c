//! The peer: GStreamer's `rtpjitterbuffer`, its Opus decoder's concealment, and the same encoder settings as ours.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use hyperzoom_netem::Link;

use crate::proxy::{Proxy, free_port};
use crate::speech::{self, Speech};
use crate::{Failed, Options};

/// What a run needs.
const ELEMENTS: [&str; 12] = [
    "wavparse",
    "audioconvert",
    "opusenc",
    "rtpopuspay",
    "udpsink",
    "udpsrc",
    "rtpjitterbuffer",
    "rtpopusdepay",
    "opusdec",
    "identity",
    "wavenc",
    "filesink",
];

/// The first of its programs or elements that is missing here.
pub(crate) fn missing() -> Option<&'static str> {
    let succeeds = |program: &str, args: &[&str]| {
        let status = Command::new(program).args(args).stdout(Stdio::null()).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    };
    if !succeeds("gst-launch-1.0", &["--version"]) {
        return Some("gst-launch-1.0");
    }
    ELEMENTS.into_iter().find(|element| !succeeds("gst-inspect-1.0", &["--exists", element]))
}

/// What it made of a call.
pub(crate) struct Heard {
    pub(crate) samples: Vec<f32>,
    /// Packets that its jitter buffer did not hand on in time, in percent of those that were sent.
    pub(crate) concealed: f64,
}

/// Speaks through `link` in real time, to a jitter buffer of `latency_ms`. `wav` is the speech, and `out` a file to write.
pub(crate) fn run(
    options: &Options,
    link: Link,
    latency_ms: u32,
    speech: &Speech,
    wav: &Path,
    out: &Path,
) -> Result<Heard, Failed> {
    let port = free_port()?;
    let proxy = Proxy::start(link, port)?;
    let caps = "application/x-rtp,media=audio,encoding-name=OPUS,payload=96,clock-rate=48000";
    let log = out.with_extension("log");
    let listen = format!(
        "-e -v udpsrc address=127.0.0.1 port={port} caps={caps} \
         ! rtpjitterbuffer latency={latency_ms} do-lost=true ! identity name=intime silent=false \
         ! rtpopusdepay ! opusdec plc=true ! audioconvert ! audio/x-raw,format=S16LE,rate=48000,channels=1 \
         ! wavenc ! filesink location={}",
        out.display()
    );
    // Into a file: what it says is more than a pipe holds.
    let listener = gst(&listen, std::fs::File::create(&log)?.into())?;
    // Its socket must be open, or the speech begins with errors.
    std::thread::sleep(Duration::from_secs(1));
    let talk = format!(
        "filesrc location={} ! wavparse ! audioconvert ! opusenc frame-size={} audio-type=restricted-lowdelay \
         bitrate={} bitrate-type=cbr packet-loss-percentage=2 ! rtpopuspay pt=96 \
         ! udpsink host=127.0.0.1 port={} sync=true",
        wav.display(),
        options.frame.millis(),
        options.bitrate,
        proxy.port()
    );
    let talker = gst(&talk, Stdio::null())?.wait_with_output()?;
    if !talker.status.success() {
        return Err(format!("gst-launch-1.0: {}", String::from_utf8_lossy(&talker.stderr)).into());
    }
    std::thread::sleep(Duration::from_millis(500));
    let sent = proxy.stop().sent;
    // On an interrupt it ends the file properly.
    Command::new("kill").args(["-INT", &listener.id().to_string()]).status()?;
    let listener = listener.wait_with_output()?;
    let log = std::fs::read_to_string(&log)?;
    let in_time = log.lines().filter(|line| line.contains("intime: last-message = chain")).count();
    if in_time == 0 {
        return Err(format!("gst-launch-1.0: {}", String::from_utf8_lossy(&listener.stderr)).into());
    }
    let mut samples = speech::read(out)?;
    samples.truncate(speech.samples.len() + 96_000);
    Ok(Heard { samples, concealed: 100.0 * (1.0 - in_time as f64 / sent.max(1) as f64) })
}

fn gst(pipeline: &str, says: Stdio) -> std::io::Result<Child> {
    Command::new("gst-launch-1.0")
        .args(pipeline.split_whitespace())
        .stdin(Stdio::null())
        .stdout(says)
        .stderr(Stdio::piped())
        .spawn()
}
