//! The window as people meet it: on a screen, with a keyboard and a mouse.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a helper fails as its test does")]

mod common;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::process::{Ended, HyperZoom, run};
use common::screen::{NEEDS, Screen, Shot};
use common::sitting::{Chosen, Sitting, beside, prepare};
use hyperzoom_testkit::have;
use hyperzoom_testkit::media::{only_take, speech};
use tempfile::TempDir;

/// The middles of round buttons, whose looks tell what is on.
const MUTE: (usize, usize) = (496, 756);
const CAMERA: (usize, usize) = (568, 756);
const STATISTICS: (usize, usize) = (712, 756);

fn ready() -> bool {
    have(&NEEDS) && have(&["xclip", "ffmpeg"])
}

/// Every take given is whole, and in time with the others.
fn verify(takes: &[&Path]) {
    let args = ["verify".as_ref()].into_iter().chain(takes.iter().map(|take| take.as_os_str()));
    let checked = run(args);
    assert_eq!(checked.code(), 0, "{}\n{}", checked.stdout, checked.stderr);
}

/// Ends a program that has nothing left to do.
fn end(program: HyperZoom) -> Ended {
    program.interrupt();
    let ended = program.wait();
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    ended
}

#[test]
fn two_people_meet_talk_and_end_in_their_windows() {
    if !ready() || !have(&["espeak-ng"]) {
        return;
    }
    let homes = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let voice = |home: &Path, text: &str| {
        // As loud as the first screen asks people to speak.
        let file = home.join("voice.wav");
        let made = Command::new("ffmpeg")
            .args(["-v", "error", "-i"])
            .arg(speech(home, text))
            .args(["-af", "volume=-14dB"])
            .arg(&file)
            .status();
        assert!(made.is_ok_and(|status| status.success()), "ffmpeg");
        Chosen { microphone: format!("file:{}", file.display()), ..Chosen::default() }
    };
    // The system's file manager: one that notes what it is asked to show.
    let tools = homes[0].path().join("tools");
    std::fs::create_dir(&tools).unwrap();
    let opened = homes[0].path().join("opened");
    let script = tools.join("xdg-open");
    std::fs::write(
        &script,
        format!("#!/bin/sh\necho \"$1\" > {0}.new && mv {0}.new {0}\n", opened.display()),
    )
    .unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap());

    let ada =
        voice(homes[0].path(), "Good evening, and welcome to the programme. Tonight we talk about windows.");
    let mut ada = Sitting::with("Ada", homes[0].path(), &ada, &[], |command| {
        command.env("PATH", path);
    });
    let grace =
        voice(homes[1].path(), "Thank you. It is good to be here, and I can hear you very well indeed.");
    let mut grace = Sitting::down("Grace", homes[1].path(), &grace);
    ada.screen.wait_until("the first screen", |shot| shot.primary().is_some());
    ada.keep("setup");

    let invite = ada.host();
    ada.keep("invite");
    grace.join(&invite);
    ada.program.wait_for_all(&["Grace is here", "recording into"]);
    grace.program.wait_for_all(&["Ada is here", "recording into"]);
    // The card is gone, and the picture of the other has come.
    ada.screen.wait_until("the call", |shot| shot.primary().is_none() && shot.colours() > 60);
    ada.keep("call-2");

    for (key, button, picture) in
        [("m", MUTE, "muted"), ("c", CAMERA, "camera-off"), ("s", STATISTICS, "statistics")]
    {
        let before = ada.screen.look().patch(button);
        ada.screen.press(key);
        ada.screen.wait_until(picture, |shot| shot.patch(button) != before);
        ada.keep(picture);
        ada.screen.press(key);
        ada.screen.wait_until(picture, |shot| shot.patch(button) == before);
    }
    grace.program.wait_for("Ada: camera off");
    grace.program.wait_for("Ada: camera on");
    ada.screen.press("k");
    ada.program.wait_for("Marker 1");
    let is_dark = |shot: &Shot| shot.at(200, 440).iter().all(|value| *value < 0x40);
    assert!(!is_dark(&ada.screen.look()), "the picture is there");
    ada.screen.press("F3");
    ada.screen.wait_until("the inspector", is_dark);
    ada.keep("inspector");
    ada.screen.press("F3");
    ada.screen.wait_until("the picture", |shot| !is_dark(shot));

    ada.screen.press("e");
    ada.screen.wait_until("whether to end", Shot::has_question);
    ada.keep("end");
    ada.screen.press("Return");
    ada.program.wait_for("recorded ");
    grace.program.wait_for("Ada has left");
    ada.screen.wait_until("the summary", |shot| shot.primary().is_some());
    ada.keep("summary");
    ada.screen.click_primary("the summary", |_| true);
    let shown =
        ada.screen.wait_for("the folder in the file manager", || std::fs::read_to_string(&opened).ok());
    assert_eq!(Path::new(shown.trim()), ada.take());

    // Who stays ends as well, by closing the window: it asks first, and then again.
    let window = grace.screen.window("HyperZoom");
    grace.screen.ask_to_close(&window);
    grace.screen.wait_until("whether to end", Shot::has_question);
    grace.screen.ask_to_close(&window);
    let ended = grace.program.wait();
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    let window = ada.screen.window("HyperZoom");
    ada.screen.ask_to_close(&window);
    let (adas, graces) = (ada.take(), only_take(&homes[1].path().join("takes")));
    let ended = ada.program.wait();
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    verify(&[&adas, &graces]);
}

/// A call that is recorded on both sides, which the guest ends by itself after ten seconds; and the file that says what becomes of the window.
fn on_trial(homes: &[TempDir; 2]) -> (Sitting, HyperZoom, PathBuf) {
    let trial = homes[0].path().join("trial");
    let mut ada = Sitting::with("Ada", homes[0].path(), &Chosen::default(), &[], |command| {
        command.env("HZ_WINDOW_TRIAL", &trial);
    });
    let invite = ada.host();
    let mut guest = beside("Grace", homes[1].path(), &invite, &["--for", "10"]);
    ada.program.wait_for("recording into");
    guest.wait_for("recording into");
    (ada, guest, trial)
}

/// A call in which the window is out of action for ten seconds: `out` does that, and `is_out` looks at it at the end.
fn without_the_window(out: impl FnOnce(&Sitting, &Path), is_out: impl FnOnce(&Sitting)) {
    if !ready() {
        return;
    }
    let homes = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let (mut ada, guest, trial) = on_trial(&homes);
    out(&ada, &trial);
    let guest = guest.wait();
    assert_eq!(guest.code(), 0, "{}", guest.stderr);
    ada.program.wait_for("Grace has left");
    is_out(&ada);
    let take = ada.take();
    end(ada.program);
    let heard = &guest.report()["peers"][0]["audio"];
    let (received, lost) = (heard["received"].as_u64().unwrap(), heard["lost"].as_u64().unwrap());
    assert!(received > 800 && lost * 100 <= received, "the voice went on: {heard:#}");
    let theirs = only_take(&homes[1].path().join("Grace"));
    verify(&[&take, &theirs]);
    nothing_is_missing(&take);
}

fn nothing_is_missing(take: &Path) {
    let text = std::fs::read(take.join("sync_certificate.json")).unwrap();
    let certificate: serde_json::Value = serde_json::from_slice(&text).unwrap();
    assert_eq!((&certificate["gaps"], &certificate["dropped"]), (&0.into(), &0.into()), "{certificate:#}");
}

#[test]
fn a_window_that_stands_still_stops_neither_voice_nor_recording_nor_the_end() {
    without_the_window(
        |_, trial| std::fs::write(trial, "stand still").unwrap(),
        // It goes on doing so until its end: the camera's picture, which counts, is always the same.
        |ada| {
            let seen = ada.screen.look();
            assert!((0..3).all(|_| ada.screen.look().rgb == seen.rgb), "it stands still");
        },
    );
}

#[test]
fn a_window_that_is_put_away_stops_neither_voice_nor_recording() {
    without_the_window(
        |ada, _| {
            let window = ada.screen.window("HyperZoom");
            ada.screen.hide(&window);
        },
        |ada| assert!(ada.screen.look().colours() < 4, "there is no window"),
    );
}

/// A call whose window ends in the midst of it.
fn loses_the_window(how: &str) {
    if !ready() {
        return;
    }
    let homes = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let (mut ada, guest, trial) = on_trial(&homes);
    std::fs::write(&trial, how).unwrap();
    let failed = "THE WINDOW HAS FAILED. The call and the recording go on: press Ctrl-C";
    ada.program.wait_for_all(&[failed, "Grace has left"]);
    assert_eq!(guest.wait().code(), 0);
    ada.screen.wait_until("that no dead window stays", |shot| shot.colours() < 4);
    let take = ada.take();
    ada.program.interrupt();
    let ended = ada.program.wait();
    assert_eq!(ended.code(), 4, "{}", ended.stderr);
    verify(&[&take, &only_take(&homes[1].path().join("Grace"))]);
    nothing_is_missing(&take);
}

#[test]
fn a_lost_graphics_card_costs_the_window_and_not_the_take() {
    loses_the_window("lose the graphics card");
}

#[test]
fn a_window_that_fails_costs_the_window_and_not_the_take() {
    loses_the_window("fail");
}

#[test]
fn a_display_that_goes_as_at_logging_out_ends_the_call_as_it_should_end() {
    if !ready() {
        return;
    }
    let homes = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let (mut ada, mut guest, _) = on_trial(&homes);
    ada.screen.wait_until("the call", |shot| shot.primary().is_none() && shot.colours() > 60);
    ada.screen.break_down();
    ada.program.wait_for_all(&["the display is gone", "recorded "]);
    guest.wait_for("Ada has left");
    let take = ada.take();
    let ended = ada.program.wait();
    assert_eq!(ended.code(), 4, "{}", ended.stderr);
    assert_eq!(guest.wait().code(), 0);
    verify(&[&take, &only_take(&homes[1].path().join("Grace"))]);
    nothing_is_missing(&take);
}

#[test]
fn without_anything_to_draw_with_it_is_said_what_to_do() {
    if !ready() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let screen = Screen::start(640, 480);
    let attempt = |change: &dyn Fn(&mut Command)| {
        let mut command = prepare("Ada", home.path(), &Chosen::default(), &[]);
        screen.lend(&mut command);
        change(&mut command);
        let ended = HyperZoom::spawn(command).wait();
        assert_eq!(ended.code(), 4, "{}", ended.stderr);
        assert!(ended.stderr.contains("--headless"), "{}", ended.stderr);
        assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
        ended.stderr
    };
    let said = attempt(&|command| {
        command.env("VK_DRIVER_FILES", "/nonexistent.json").env("VK_ICD_FILENAMES", "/nonexistent.json");
    });
    assert!(said.contains("Vulkan driver"), "{said}");
    let said = attempt(&|command| {
        command.env_remove("DISPLAY");
    });
    assert!(said.contains("no display"), "{said}");
    assert!(!home.path().join("takes").exists(), "no take was begun");
}
