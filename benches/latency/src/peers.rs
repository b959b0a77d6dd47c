//! Other programs that people talk through, measured in the same run.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use hyperzoom_testkit::Pulse;

use crate::Failure;
use crate::jack_server::{Jack, SERVER};
use crate::outcome::Outcome;
use crate::program::{Program, is_installed};
use crate::pulse_server;

/// Jamulus, under whichever of its two names it is installed.
pub(crate) fn jamulus_program() -> Option<&'static str> {
    ["Jamulus", "jamulus"].into_iter().find(|name| is_installed(name))
}

/// Chromium, under whichever of its names it is installed.
pub(crate) fn chromium_program() -> Option<&'static str> {
    ["chromium", "chromium-browser", "google-chrome"].into_iter().find(|name| is_installed(name))
}

/// A Jamulus server and two clients on loopback. Its automatic jitter buffer gets `settle` to find its depth.
pub(crate) fn jamulus(
    program: &str,
    realtime: bool,
    chirps: usize,
    settle: Duration,
) -> Result<Outcome, Failure> {
    let homes = tempfile::tempdir()?;
    let jack = Jack::start(realtime)?;
    let start = |name: &str, args: &[&str]| {
        let mut command = Command::new(program);
        command.args(args).env("QT_QPA_PLATFORM", "offscreen").env("JACK_DEFAULT_SERVER", SERVER);
        let home = homes.path().join(name);
        std::fs::create_dir_all(&home)?;
        command.env("HOME", &home).env("XDG_CONFIG_HOME", &home).env("XDG_RUNTIME_DIR", &home);
        Program::start(program, command)
    };
    let _server = start("server", &["-s", "-n", "-p", "22124"])?;
    let client = |name: &str, port: &str| {
        start(name, &["-n", "-j", "--clientname", name, "-c", "127.0.0.1:22124", "-p", port])
    };
    let _clients = [client("A", "22134")?, client("B", "22144")?];
    let mouths = ["Jamulus A:input left", "Jamulus A:input right"];
    let ear = "Jamulus B:output left";
    for port in [mouths[0], mouths[1], ear] {
        jack.port(port)?;
    }
    let (_jack, outcome) = jack.measure(&mouths, ear, chirps, settle)?;
    Ok(outcome)
}

/// A page that calls itself: the default microphone, without echo cancelling, noise suppression and gain control, through two
/// connections to the default loudspeaker.
const PAGE: &str = "<!doctype html><title>loopback</title><audio id=ear autoplay></audio><script>
(async () => {
  const plain = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
  const stream = await navigator.mediaDevices.getUserMedia({ audio: plain });
  const [a, b] = [new RTCPeerConnection(), new RTCPeerConnection()];
  a.onicecandidate = e => e.candidate && b.addIceCandidate(e.candidate);
  b.onicecandidate = e => e.candidate && a.addIceCandidate(e.candidate);
  b.ontrack = e => { ear.srcObject = e.streams[0]; ear.play(); };
  stream.getTracks().forEach(track => a.addTrack(track, stream));
  await a.setLocalDescription(await a.createOffer());
  await b.setRemoteDescription(a.localDescription);
  await b.setLocalDescription(await b.createAnswer());
  await a.setRemoteDescription(b.localDescription);
})();
</script>";

/// WebRTC in one page of Chromium.
pub(crate) fn chromium(program: &str, chirps: usize, settle: Duration) -> Result<Outcome, Failure> {
    let folder = tempfile::tempdir()?;
    let page = folder.path().join("loopback.html");
    std::fs::write(&page, PAGE)?;
    let pulse = Pulse::start(&[("mic", 1), ("spk", 2)]);
    // Chromium does not show monitors; a source that is made of one it takes for a microphone.
    let control = |args: &[&str]| -> Result<(), Failure> {
        let mut command = Command::new("pactl");
        pulse.enter(&mut command);
        let status = command.args(args).stdout(std::process::Stdio::null()).status()?;
        if status.success() { Ok(()) } else { Err(format!("pactl {} failed", args.join(" ")).into()) }
    };
    control(&["load-module", "module-remap-source", "master=mic.monitor", "source_name=vmic"])?;
    control(&["set-default-source", "vmic"])?;
    control(&["set-default-sink", "spk"])?;
    let mut command = Command::new(program);
    pulse.enter(&mut command);
    command.args(["--headless=new", "--no-sandbox", "--no-first-run", "--disable-gpu"]);
    command.args(["--use-fake-ui-for-media-stream", "--autoplay-policy=no-user-gesture-required"]);
    command
        .args(["--disable-features=WebRtcHideLocalIpsWithMdns,AudioServiceSandbox", "--alsa-output-device="]);
    command.arg(format!("--user-data-dir={}", path(&folder.path().join("profile"))));
    command.arg(format!("file://{}", path(&page)));
    let _browser = Program::start(program, command)?;
    pulse_server::measure(&pulse, "mic", "spk", chirps, settle)
}

fn path(path: &Path) -> String {
    path.display().to_string()
}
