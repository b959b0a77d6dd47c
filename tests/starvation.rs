//! A computer that others keep busy: the recording loses nothing, and the live picture, which goes both ways, gives way.
//!
//! One machine of a call records, since a machine that is shared by two recordings says nothing of either. The other side is
//! here too, without a recording of its own.
#![allow(clippy::unwrap_used, reason = "a helper fails as its test does")]

mod common;

use std::process::{Child, Command, Stdio};

use common::process::{HyperZoom, command};
use serde_json::Value;

/// Processes at normal priority that never rest. They end with it.
struct Hogs(Vec<Child>);

impl Hogs {
    fn start(count: usize) -> Self {
        let hog = || Command::new("sh").args(["-c", "while :; do :; done"]).stdin(Stdio::null()).spawn();
        Self((0..count).map(|_| hog().unwrap()).collect())
    }
}

impl Drop for Hogs {
    fn drop(&mut self) {
        for hog in &mut self.0 {
            let _ = hog.kill();
            let _ = hog.wait();
        }
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from)
}

/// A call of `seconds` in which the host records `camera` while `hogs` keep the computer busy; the host's report.
fn starve(seconds: u32, camera: &str, hogs: usize) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let person = |verb: &[&str], name: &str, camera: &str| {
        let mut command = command(verb);
        command.args(["--headless", "--json", "--bind", "127.0.0.1", "--name", name, "--camera", camera]);
        command.args(["--mic", "tone", "--speaker", "none"]);
        command
    };
    let mut host = person(&["host", "--port", "0"], "host", camera);
    host.args(["--for", &seconds.to_string(), "--folder"]).arg(folder.path());
    host.env("HZ_LOG", "warn,hyperzoom_video=debug");
    let mut host = HyperZoom::spawn(host);
    let mut guest = person(&["join", &host.invite()], "guest", "pattern:854x480@24");
    guest.arg("--no-record");
    let guest = HyperZoom::spawn(guest);
    // The call is there as a whole, with pictures both ways, before it is starved.
    host.wait_for("the first picture of a peer is decoded");
    let hogs = Hogs::start(hogs);
    let ended = host.wait();
    drop(hogs);
    guest.interrupt();
    let report = ended.report();
    assert_eq!(ended.code(), 0, "{}\n{report:#}", ended.stderr);
    report
}

/// Nothing is lost, and every picture is accounted for.
fn check(report: &Value, seconds: u32) {
    let recording = &report["recording"];
    let count = |key: &str| recording[key].as_u64().unwrap_or_else(|| panic!("{key}: {recording:#}"));
    assert_eq!((count("frames_dropped"), count("samples_dropped")), (0, 0), "{report:#}");
    assert_eq!(count("frames_written"), u64::from(seconds) * 30, "{report:#}");
    assert_eq!(count("samples_written"), u64::from(seconds) * 48_000, "{report:#}");
    assert_eq!(
        count("frames_captured") + count("frames_duplicated"),
        count("frames_written") + count("frames_decimated"),
        "{report:#}"
    );
    assert_eq!(recording["complete"], true, "{report:#}");
    // Pictures were encoded, sent, received and decoded beside it, or it was no load as a call is.
    let pictures = [&report["live_video"]["sent"], &report["peers"][0]["video"]["decoded"]];
    assert!(pictures.iter().all(|count| count.as_u64() > Some(0)), "{report:#}");
    assert!(recording["pressure"]["picture_ring_peak_percent"].as_u64().is_some_and(|peak| peak < 100));
}

#[test]
fn a_busy_computer_costs_the_recording_nothing() {
    // Short enough that the ring takes in what a slow computer cannot encode meanwhile.
    check(&starve(4, "pattern:640x360@30", 2 * cores()), 4);
}

#[test]
#[ignore = "a benchmark: ./x bench starve"]
fn a_minute_of_1080p_on_a_busy_computer() {
    for hogs in [0, 1, 2] {
        let report = starve(60, "pattern:1920x1080@30", hogs * cores());
        let (recording, live) = (&report["recording"], &report["live_video"]);
        let pressure = &recording["pressure"];
        println!(
            "{} busy processes on {} cores: {} frames written, {} dropped, {} duplicated (the synthetic camera is starved as well), \
             {} samples dropped, {} silent; picture ring at most {} %, sound ring {} %; live video: {} sent, {} of the other's decoded, paused {} s; \
             encoder hurried {} s; slowest picture {} ms, slowest sync {} ms",
            hogs * cores(),
            cores(),
            recording["frames_written"],
            recording["frames_dropped"],
            recording["frames_duplicated"],
            recording["samples_dropped"],
            recording["samples_silent"],
            pressure["picture_ring_peak_percent"],
            pressure["sound_ring_peak_percent"],
            live["sent"],
            report["peers"][0]["video"]["decoded"],
            live["shed_seconds"],
            pressure["encoder_hurried_seconds"],
            recording["slowest_picture_ms"],
            pressure["slowest_sync_ms"],
        );
        check(&report, 60);
    }
}
