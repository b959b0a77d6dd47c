//! Coming back: who was out of reach, or whose program was cut off, is the same participant on the same timeline.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a helper fails as its test does")]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::process::{HyperZoom, command, run};
use serde_json::Value;
use tempfile::TempDir;

/// Fragments of a second each: the sync tone is no later than four seconds after somebody has come.
const PAST_THE_TONE: usize = 7;

struct Person {
    process: HyperZoom,
    folder: PathBuf,
}

impl Person {
    fn start(verb: &[&str], name: &str, home: &Path) -> Self {
        let folder = home.join(name);
        let mut command = command(verb);
        command.args(["--headless", "--json", "--bind", "127.0.0.1", "--name", name, "--mic", "tone"]);
        command.args(["--speaker", "none", "--folder"]).arg(&folder);
        // Where a guest's number is kept.
        command.env("XDG_DATA_HOME", home.join("data"));
        command.env("HZ_LOG", "hyperzoom_recorder=debug,warn");
        Self { process: HyperZoom::spawn(command), folder }
    }

    fn record_past_a_tone(&mut self) {
        for _ in 0..PAST_THE_TONE {
            self.process.wait_for("fragment on disk");
        }
    }

    fn end(self) -> Value {
        self.process.interrupt();
        let ended = self.process.wait();
        assert_eq!(ended.code(), 0, "{}\n{}", ended.stdout, ended.stderr);
        ended.report()
    }

    /// Its takes, in the order in which they began.
    fn takes(&self) -> Vec<PathBuf> {
        takes(&self.folder)
    }
}

/// Two who have recorded a tone together.
struct Call {
    /// The recordings of both, and what is kept for a return.
    home: TempDir,
    host: Person,
    guest: Person,
    invite: String,
}

impl Call {
    fn begin() -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut host = Person::start(&["host", "--port", "0"], "Ada", home.path());
        let invite = host.process.invite();
        let mut guest = Person::start(&["join", &invite], "Bob", home.path());
        guest.process.wait_for("recording into");
        guest.record_past_a_tone();
        Self { home, host, guest, invite }
    }
}

fn takes(folder: &Path) -> Vec<PathBuf> {
    let mut takes: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    takes.sort_by_key(|take| metadata(take)["start_tick"].as_u64().unwrap());
    takes
}

fn metadata(take: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(take.join("session_metadata.json")).unwrap()).unwrap()
}

/// Every take is whole, but that one was cut off, and each of `others` has a sync tone in common with `first`, at the same moment by what is
/// heard.
fn check(first: &Path, others: &[PathBuf]) -> Value {
    let checked = run(["verify", "--json"]
        .map(std::ffi::OsStr::new)
        .into_iter()
        .chain([first.as_os_str()])
        .chain(others.iter().map(|take| take.as_os_str())));
    let found = checked.report_list();
    for check in found.as_array().unwrap().iter().flat_map(|take| take["checks"].as_array().unwrap()) {
        assert!(check["ok"] == true || check["name"] == "ended well", "{check:#}");
    }
    let pairs = found[0]["sync"].as_array().unwrap();
    assert_eq!(pairs.len(), others.len(), "one pair for each of the others: {found:#}");
    for pair in pairs {
        assert_eq!(pair["grade"], "green", "{pair:#}");
        assert!(pair["tones"].as_u64() >= Some(1), "{pair:#}");
    }
    found[0]["sync"].clone()
}

#[test]
fn a_guest_whose_program_was_killed_comes_back_as_itself_with_a_second_take() {
    let Call { home, mut host, mut guest, invite } = Call::begin();
    guest.process.kill();
    drop(guest);

    let mut guest = Person::start(&["join", &invite], "Bob", home.path());
    // What was cut off is recovered beside the call, and may be done before or after the answer.
    guest.process.wait_for_all(&["you come back as yourself", "recovered 0:"]);
    host.process.wait_for("Bob is back");
    guest.record_past_a_tone();
    let takes = guest.takes();
    let (guest, host_takes) = (guest.end(), host.takes());
    let host = host.end();

    assert_eq!(guest["id"], 1);
    assert_eq!(guest["session_id"], host["session_id"]);
    let peers = host["peers"].as_array().unwrap();
    assert_eq!(peers.len(), 1, "one participant, not two: {peers:#?}");
    assert!(peers[0]["audio"]["received"].as_u64() > Some(0));
    assert_eq!((takes.len(), host_takes.len()), (2, 1));
    let (first, second) = (metadata(&takes[0]), metadata(&takes[1]));
    assert_eq!((&first["recovered"], &second["complete"]), (&true.into(), &true.into()));
    for take in [&first, &second] {
        assert_eq!((&take["recorded_by"], &take["session_id"]), (&1.into(), &host["session_id"]));
    }
    let end =
        first["start_tick"].as_u64().unwrap() as f64 + first["duration_seconds"].as_f64().unwrap() * 30.0;
    assert!(second["start_tick"].as_f64().unwrap() >= end, "{first:#}\n{second:#}");
    check(&host_takes[0], &takes);
    let kept = std::fs::read_dir(home.path().join("data/hyperzoom/calls"));
    assert!(
        kept.is_ok_and(|mut files| files.next().is_none()),
        "a call that ended well leaves nothing behind"
    );
}

fn signal(process: &HyperZoom, signal: &str) {
    let status = Command::new("kill").args([signal, &process.id().to_string()]).status();
    assert!(status.is_ok_and(|status| status.success()));
}

#[test]
fn a_guest_that_stood_still_heals_or_rejoins_and_its_take_goes_on() {
    let Call { home: _home, mut host, mut guest, .. } = Call::begin();

    signal(&guest.process, "-STOP");
    host.process.wait_for("Bob: nothing heard for a moment");
    signal(&guest.process, "-CONT");
    host.process.wait_for("Bob: heard again");

    signal(&guest.process, "-STOP");
    host.process.wait_for("Bob: disconnected");
    signal(&guest.process, "-CONT");
    host.process.wait_for("Bob is back");
    guest.record_past_a_tone();
    let (takes, host_takes) = (guest.takes(), host.takes());
    let (guest, host) = (guest.end(), host.end());

    assert_eq!((&guest["id"], host["peers"].as_array().unwrap().len()), (&1.into(), 1));
    assert_eq!((takes.len(), host_takes.len()), (1, 1), "what was recorded goes on in the same file");
    let recording = &guest["recording"];
    assert_eq!((&recording["samples_dropped"], &recording["complete"]), (&0.into(), &true.into()));
    // They have a tone in common from before; nobody is beeped at in mid-sentence for another.
    let pairs = check(&host_takes[0], &takes);
    assert_eq!(pairs[0]["tones"], 1, "{pairs:#}");
}

#[test]
fn a_host_whose_program_was_killed_goes_on_with_its_session() {
    let Call { home, mut host, mut guest, invite } = Call::begin();
    host.process.kill();
    drop(host);
    guest.process.wait_for("Ada: disconnected");

    let mut host = Person::start(&["host", "--resume"], "Ada", home.path());
    assert_eq!(host.process.invite(), invite);
    guest.process.wait_for("Ada is back");
    host.process.wait_for("recovered 0:");
    host.record_past_a_tone();
    let (takes, host_takes) = (guest.takes(), host.takes());
    let (guest, host) = (guest.end(), host.end());

    assert_eq!((&guest["id"], &host["id"]), (&1.into(), &0.into()));
    assert_eq!(guest["session_id"], host["session_id"]);
    assert_eq!((takes.len(), host_takes.len()), (1, 2), "the guest's take has gone on");
    let (first, second) = (metadata(&host_takes[0]), metadata(&host_takes[1]));
    assert_eq!((&first["recovered"], &second["complete"]), (&true.into(), &true.into()));
    let end =
        first["start_tick"].as_u64().unwrap() as f64 + first["duration_seconds"].as_f64().unwrap() * 30.0;
    assert!(second["start_tick"].as_f64().unwrap() >= end, "{first:#}\n{second:#}");
    // Both of the host's takes have a tone in common with the guest's, where their timecodes say.
    check(&takes[0], &host_takes);
    let kept = std::fs::read_dir(home.path().join("data/hyperzoom/calls"));
    assert!(kept.is_ok_and(|mut files| files.next().is_none()), "nothing is left behind");
}
