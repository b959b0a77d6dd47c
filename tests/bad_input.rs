//! What a person gets wrong is answered with one line that says what to do, and the exit code that scripts rely on.
#![allow(clippy::unwrap_used, reason = "a helper fails as its test does")]

mod common;

use std::net::UdpSocket;

use common::process::{Ended, HyperZoom, command, run};
use hyperzoom_protocol::{Invite, InviteKey};

/// Devices that every machine has.
const NO_DEVICES: [&str; 6] = ["--mic", "none", "--speaker", "none", "--camera", "none"];

fn check(ended: &Ended, code: i32, words: &[&str]) {
    assert_eq!(ended.code(), code, "{}\n{}", ended.stdout, ended.stderr);
    let error = ended.stderr.lines().last().unwrap_or_default();
    assert!(error.starts_with("hyperzoom: "), "{}", ended.stderr);
    for word in words {
        assert!(error.contains(word), "'{word}' is not in: {error}");
    }
}

fn host(args: &[&str]) -> Ended {
    run(["host", "--headless", "--bind", "127.0.0.1"].iter().chain(&NO_DEVICES).chain(args))
}

#[test]
fn a_microphone_without_any_sound_system_says_what_else_there_is_and_exits_with_4() {
    let home = tempfile::tempdir().unwrap();
    let mut command =
        command(["host", "--headless", "--no-record", "--mic", "usb", "--speaker", "none", "--port", "0"]);
    for variable in ["HOME", "XDG_RUNTIME_DIR", "PULSE_RUNTIME_PATH"] {
        command.env(variable, home.path());
    }
    let ended = HyperZoom::spawn(command).wait();
    check(&ended, 4, &["no microphone", "tone"]);
}

#[test]
fn an_unknown_microphone_says_which_there_are_and_exits_with_4() {
    if !hyperzoom_testkit::have(&["pulseaudio"]) {
        return;
    }
    let pulse = hyperzoom_testkit::Pulse::start(&[("studio", 2)]);
    let mut command = command([
        "host",
        "--headless",
        "--no-record",
        "--mic",
        "no such thing",
        "--speaker",
        "none",
        "--port",
        "0",
    ]);
    pulse.enter(&mut command);
    let ended = HyperZoom::spawn(command).wait();
    check(&ended, 4, &["no such thing", "studio.monitor"]);
}

#[test]
fn no_session_to_go_on_with_exits_with_2() {
    let home = tempfile::tempdir().unwrap();
    let mut command = command(["host", "--headless", "--resume", "--no-record"]);
    for variable in ["HOME", "XDG_DATA_HOME", "LOCALAPPDATA"] {
        command.env(variable, home.path());
    }
    let ended = HyperZoom::spawn(command).wait();
    check(&ended, 2, &["no session", "hyperzoom host"]);
}

#[test]
fn a_missing_wav_file_exits_with_4() {
    let ended = run([
        "host",
        "--headless",
        "--no-record",
        "--mic",
        "file:/nowhere/speech.wav",
        "--speaker",
        "none",
        "--port",
        "0",
    ]);
    check(&ended, 4, &["/nowhere/speech.wav"]);
}

#[test]
fn a_missing_y4m_file_exits_with_4() {
    let ended = run([
        "host",
        "--headless",
        "--no-record",
        "--mic",
        "none",
        "--speaker",
        "none",
        "--camera",
        "file:/nowhere/clip.y4m",
        "--port",
        "0",
    ]);
    check(&ended, 4, &["/nowhere/clip.y4m"]);
}

#[test]
fn a_camera_that_is_not_there_exits_with_4() {
    let wanted = "a camera of nobody's";
    let ended = run([
        "host",
        "--headless",
        "--no-record",
        "--mic",
        "none",
        "--speaker",
        "none",
        "--camera",
        wanted,
        "--port",
        "0",
    ]);
    check(&ended, 4, &[wanted, "no such camera"]);
}

#[test]
fn a_folder_that_cannot_be_written_exits_with_4() {
    check(&host(&["--port", "0", "--folder", "/dev/null/takes"]), 4, &["/dev/null/takes", "--folder"]);
}

#[test]
fn a_taken_port_exits_with_3() {
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    check(&host(&["--no-record", "--port", &port]), 3, &[&port, "--port"]);
}

#[test]
fn an_address_of_another_machine_exits_with_3() {
    let ended = run([
        "host",
        "--headless",
        "--bind",
        "192.0.2.7",
        "--no-record",
        "--mic",
        "none",
        "--speaker",
        "none",
    ]);
    check(&ended, 3, &["192.0.2.7", "--bind"]);
}

#[test]
fn a_host_that_does_not_answer_exits_with_3() {
    // Bound and never read: nobody answers.
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let invite = Invite { addr: silent.local_addr().unwrap(), key: Some(InviteKey([3; 32])) }.to_string();
    let ended = run(["join", "--headless", &invite, "--no-record"].iter().chain(&NO_DEVICES));
    check(&ended, 3, &["nobody answers", &silent.local_addr().unwrap().to_string()]);
}

#[test]
fn a_damaged_invite_exits_with_2_and_says_what_is_wrong() {
    let whole = Invite { addr: "127.0.0.1:5000".parse().unwrap(), key: Some(InviteKey([3; 32])) }.to_string();
    for damaged in
        [&whole[..whole.len() - 2], "127.0.0.1", "nonsense", "127.0.0.1:99999#abc", "127.0.0.1:5000#!!!"]
    {
        let ended = run(["join", "--headless", damaged, "--no-record"].iter().chain(&NO_DEVICES));
        check(&ended, 2, &["invite"]);
    }
}

#[test]
fn wrong_usage_exits_with_2() {
    for args in [
        &["dance"][..],
        &["host", "--headless", "--port", "high"],
        &["demo", "--people", "9"],
        &["join"],
        &["verify"],
    ] {
        assert_eq!(run(args).code(), 2, "{args:?}");
    }
}

#[test]
fn a_take_that_is_not_there_exits_with_1() {
    let ended = run(["verify", "/nowhere/take"]);
    assert_eq!(ended.code(), 1, "{}{}", ended.stdout, ended.stderr);
}

#[test]
fn a_host_that_nobody_joined_ends_well_when_asked() {
    let mut host = HyperZoom::spawn({
        let mut command =
            command(["host", "--headless", "--no-record", "--bind", "127.0.0.1", "--port", "0", "--json"]);
        command.args(NO_DEVICES);
        command
    });
    host.invite();
    host.interrupt();
    let ended = host.wait();
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
}
