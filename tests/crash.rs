//! A process that is killed in mid-call loses next to nothing, and the other side notices and goes on.
#![allow(clippy::unwrap_used, reason = "a helper fails as its test does")]

mod common;

use std::time::Instant;

use common::process::{HyperZoom, command};
use hyperzoom_testkit::media::{decode_errors, ffprobe, number, only_take, stream};

#[test]
fn a_killed_recording_plays_to_its_last_fragment_and_the_other_side_records_on() {
    if !hyperzoom_testkit::have(&["ffmpeg", "ffprobe"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let person = |verb: &[&str], name: &str| {
        let mut command = command(verb);
        command.args([
            "--headless",
            "--json",
            "--bind",
            "127.0.0.1",
            "--name",
            name,
            "--camera",
            "pattern:1280x720@30",
        ]);
        command.args(["--mic", "tone", "--speaker", "none"]).arg("--folder").arg(folder.path().join(name));
        command.env("HZ_LOG", "hyperzoom_recorder=debug,warn");
        HyperZoom::spawn(command)
    };
    let mut host = person(&["host", "--port", "0"], "host");
    let invite = host.invite();
    let mut guest = person(&["join", &invite], "guest");
    guest.wait_for("recording into");
    let since = Instant::now();
    host.wait_for("recording into");
    // Three whole seconds are on the disk.
    for _ in 0..3 {
        guest.wait_for("fragment on disk");
    }
    guest.kill();
    let lived = since.elapsed().as_secs_f64();
    let guest = guest.wait();
    let fragments = guest.stderr.matches("fragment on disk").count();

    let line = host.wait_for("disconnected");
    assert!(line.contains("guest"), "{line}");
    // It goes on recording after that.
    host.wait_for("fragment on disk");
    host.interrupt();
    let host = host.wait();
    assert_eq!(host.code(), 0, "{}", host.stderr);
    assert_eq!(host.report()["recording"]["frames_dropped"], 0);

    let file = only_take(&folder.path().join("guest")).join("local_recording.mp4");
    assert_eq!(decode_errors(&file), "");
    let probe = ffprobe(&file);
    let frames = number(&stream(&probe, "video")["nb_read_packets"]);
    println!(
        "killed {lived:.2} s after it said that it records; {fragments} fragments on disk; the file plays {:.2} s",
        frames / 30.0
    );
    assert!(frames >= 30.0 * fragments as f64, "{frames} frames in {fragments} fragments");
    assert!(number(&probe["format"]["duration"]) * 30.0 >= frames - 1.0, "{probe:#}");

    let finished = only_take(&folder.path().join("host")).join("local_recording.mp4");
    assert_eq!(decode_errors(&finished), "");
}
