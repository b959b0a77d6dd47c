//! A disk that is really full: the call goes on, and what was recorded until then plays.
#![allow(clippy::unwrap_used, reason = "a helper fails as its test does")]
#![cfg(target_os = "linux")]

mod common;

use common::disk::{SmallDisk, noise};
use common::process::{HyperZoom, command};
use hyperzoom_testkit::media::{decode_errors, ffprobe, number, only_take, stream};

#[test]
fn a_disk_that_gets_full_ends_the_recording_and_not_the_call() {
    if !hyperzoom_testkit::have(&["ffmpeg", "ffprobe", "mount"]) {
        return;
    }
    let Some(disk) = SmallDisk::mount(6) else {
        return hyperzoom_testkit::forbidden("mounting a small file system is not permitted here");
    };
    let films = tempfile::tempdir().unwrap();
    let film = films.path().join("noise.y4m");
    noise(&film);
    let person = |verb: &[&str], name: &str| {
        let mut command = command(verb);
        command.args(["--headless", "--json", "--bind", "127.0.0.1", "--name", name]);
        command.args(["--mic", "tone", "--speaker", "none"]);
        command.arg("--camera").arg(format!("file:{}", film.display()));
        command
    };
    let mut host = person(&["host", "--port", "0"], "host");
    host.arg("--folder").arg(disk.path());
    let mut host = HyperZoom::spawn(host);
    let mut guest = person(&["join", &host.invite()], "guest");
    guest.arg("--no-record");
    let mut guest = HyperZoom::spawn(guest);
    guest.wait_for("host is here");
    let warned = host.wait_for("DISK IS FILLING UP");
    assert!(warned.contains("there is room for"), "{warned}");
    let failed = host.wait_for("NOT RECORDING ANY MORE");
    assert!(failed.contains("The disk is full") && failed.contains("--folder"), "{failed}");
    host.interrupt();
    let ended = host.wait();
    // The call ended as asked; the recording did not.
    assert_eq!(ended.code(), 4, "{}", ended.stderr);
    assert!(!ended.stderr.contains("disconnected"), "{}", ended.stderr);
    guest.wait_for("host has left");
    guest.interrupt();
    assert_eq!(guest.wait().code(), 0);

    let report = ended.report();
    let recording = &report["recording"];
    let (written, dropped) = (recording["frames_written"].as_u64(), recording["frames_dropped"].as_u64());
    assert!(written > Some(0) && dropped > Some(0), "what is missing is said: {report:#}");
    assert!(report["peers"][0]["audio"]["received"].as_u64() > Some(0), "{report:#}");

    let take = only_take(disk.path());
    let file = take.join("local_recording.mp4");
    assert_eq!(decode_errors(&file), "");
    let packets = number(&stream(&ffprobe(&file), "video")["nb_read_packets"]);
    assert_eq!(Some(packets as u64), written);
    let metadata: serde_json::Value =
        serde_json::from_slice(&std::fs::read(take.join("session_metadata.json")).unwrap()).unwrap();
    assert_eq!(metadata["complete"], false);
    assert!(metadata["error"].as_str().is_some_and(|error| error.contains("full")), "{metadata:#}");
    assert_eq!(metadata["recording"]["container"], "MP4", "there was room for the file's index");
    assert_eq!(metadata["recording"]["total_frames_dropped"].as_u64(), dropped);
    assert!(!take.join(".reserve").exists());
}
