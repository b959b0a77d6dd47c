//! The window as a person meets it: on a screen, with a keyboard and a mouse.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a helper fails as its test does")]

mod common;

use std::path::Path;

use common::process::{HyperZoom, command, run};
use common::screen::{NEEDS, Screen};
use hyperzoom_testkit::have;

/// What the tests need beside a screen.
fn ready() -> bool {
    have(&NEEDS) && have(&["xclip"])
}

fn with_window(screen: &Screen, home: &Path, verb: &[&str], name: &str) -> HyperZoom {
    let mut command = command(verb);
    command.args(["--bind", "127.0.0.1", "--no-upnp", "--name", name, "--mic", "tone", "--speaker", "none"]);
    command.args(["--camera", "pattern:640x360@30", "--folder"]).arg(home.join(name));
    command
        .env("HOME", home)
        .env("XDG_CONFIG_HOME", home.join("config"))
        .env("XDG_DATA_HOME", home.join("data"));
    screen.lend(&mut command);
    HyperZoom::spawn(command)
}

fn without_window(home: &Path, invite: &str, name: &str) -> HyperZoom {
    let mut command = command(["join", invite, "--headless", "--json"]);
    command.args(["--bind", "127.0.0.1", "--no-upnp", "--name", name, "--mic", "tone", "--speaker", "none"]);
    command.args(["--camera", "pattern:640x360@30", "--folder"]).arg(home.join(name));
    command.env("XDG_DATA_HOME", home.join("data"));
    HyperZoom::spawn(command)
}

/// The takes of somebody.
fn take(home: &Path, name: &str) -> std::path::PathBuf {
    let mut takes = std::fs::read_dir(home.join(name)).unwrap();
    let take = takes.next().unwrap().unwrap().path();
    assert!(takes.next().is_none(), "one take");
    take
}

#[test]
fn a_call_in_the_window_is_recorded_like_any_other() {
    if !ready() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let screen = Screen::start(1280, 800);
    let mut host = with_window(&screen, home.path(), &["host", "--port", "0"], "Ada");
    screen.window("HyperZoom");
    // The card with the invite, and our own picture.
    screen.wait_until("a picture of something", |shot| shot.colours() > 40);
    screen.press("i");
    let invite = screen.clipboard();
    let mut guest = without_window(home.path(), &invite, "Grace");
    host.wait_for("recording into");
    guest.wait_for("recording into");
    host.wait_for("Grace is here");
    screen.press("k");
    host.wait_for("marker at");
    screen.press("m");
    screen.press("e");
    screen.press("Return");
    host.wait_for("recorded ");
    guest.interrupt();
    assert_eq!(guest.wait().code(), 0);
    screen.wait_until("the summary", |shot| shot.colours() > 10);
    host.interrupt();
    let ended = host.wait();
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    let checked = run([Path::new("verify"), &take(home.path(), "Ada"), &take(home.path(), "Grace")]);
    assert_eq!(checked.code(), 0, "{}\n{}", checked.stdout, checked.stderr);
}
