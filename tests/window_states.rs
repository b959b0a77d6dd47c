//! What the window shows when there are more people, and when something goes wrong: a person has to see it, and to see what to do.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a helper fails as its test does")]

mod common;

use std::path::Path;

use common::disk::{SmallDisk, noise};
use common::process::{HyperZoom, command};
use common::screen::{NEEDS, Shot};
use common::sitting::{Chosen, Sitting, beside};
use hyperzoom_testkit::have;
use hyperzoom_ui_plugin::theme::Palette;

fn ready() -> bool {
    have(&NEEDS) && have(&["xclip"])
}

/// Somebody who only takes up a place.
fn quiet(verb: &[&str], name: &str) -> HyperZoom {
    let mut command = command(verb);
    command.args(["--headless", "--bind", "127.0.0.1", "--no-upnp", "--no-record", "--name", name]);
    command.args(["--mic", "tone", "--speaker", "none", "--camera", "none"]);
    HyperZoom::spawn(command)
}

#[test]
fn three_and_four_people_have_their_places_and_one_who_is_cut_off_keeps_his() {
    if !ready() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let others = tempfile::tempdir().unwrap();
    let mut ada = Sitting::down("Ada", home.path(), &Chosen::default());
    let invite = ada.host();
    let _grace = beside("Grace", others.path(), &invite, &[]);
    ada.program.wait_for_all(&["Grace is here", "recording into"]);
    let _linus = beside("Linus", others.path(), &invite, &["--camera-off"]);
    ada.program.wait_for("Linus is here");
    // Whoever has no picture has a card with a letter on it: the colour of cards.
    let card = Palette::new(false).raised;
    ada.screen.wait_until("the third", |shot| shot.has_area_of(card) && shot.colours() > 60);
    ada.keep("call-3");
    let mut barbara = beside("Barbara", others.path(), &invite, &[]);
    ada.program.wait_for("Barbara is here");
    ada.program.wait_for("Barbara: camera on");
    // Her picture is in the last place.
    ada.screen
        .wait_until("the fourth", |shot| shot.at(1100, 420) != shot.at(1270, 420) && shot.colours() > 60);
    ada.keep("call-4");
    barbara.kill();
    ada.program.wait_for("Barbara: disconnected");
    // A dark chip below the letter that stands for her.
    ada.screen
        .wait_until("that she is expected back", |shot| shot.at(954, 612).iter().all(|value| *value < 0x0c));
    ada.keep("rejoining");
    ada.program.interrupt();
    assert_eq!(ada.program.wait().code(), 0);
}

#[test]
fn what_keeps_a_guest_out_is_said_where_the_invite_was_pasted() {
    if !ready() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let palette = Palette::new(false);
    let grace = Sitting::down("Grace", home.path(), &Chosen::default());
    grace.screen.wait_until("the first screen", |shot| shot.primary().is_some());
    grace.screen.paste("https://example.org/meeting");
    grace.screen.wait_until("what is wrong with it", |shot| shot.has(palette.warn));
    grace.keep("wrong-invite");

    // A full call: the fifth is told so.
    let mut host = quiet(&["host", "--port", "0"], "Ada");
    let invite = host.invite();
    let guests = ["Linus", "Barbara", "Alan"].map(|name| {
        let mut guest = quiet(&["join", &invite], name);
        guest.wait_for("Ada is here");
        guest
    });
    grace.screen.clear_field();
    grace.join(&invite);
    grace.screen.wait_until("that there is no place left", |shot| shot.has(palette.live));
    grace.keep("full-call");

    // And nobody is there any more.
    drop(guests);
    host.kill();
    grace.screen.click_primary("the button that joins", |(x, _)| x > 1150);
    grace.screen.wait_until("that it is tried", |shot| !shot.has(palette.live));
    grace.keep("joining");
    grace.screen.wait_until("that nobody answers", |shot| shot.has(palette.live));
    grace.keep("unreachable");
    assert_nothing_was_recorded(home.path());
}

#[test]
fn devices_and_folders_that_do_not_work_are_named_on_the_first_screen() {
    if !ready() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let palette = Palette::new(false);
    let occupied = home.path().join("a-file");
    std::fs::write(&occupied, "not a folder").unwrap();
    let chosen = Chosen {
        camera: "/dev/video97".into(),
        microphone: "alsa:no such microphone".into(),
        folder: Some(occupied.join("takes")),
    };
    let ada = Sitting::down("Ada", home.path(), &chosen);
    ada.screen.wait_until("both faults", |shot| shot.has(palette.warn) && shot.primary().is_some());
    ada.keep("missing-devices");
    ada.screen.click_primary("the first screen", |_| true);
    ada.screen.wait_until("why nothing was opened", |shot| shot.has(palette.live));
    ada.keep("cannot-begin");
    assert_nothing_was_recorded(home.path());
}

#[test]
fn a_full_disk_is_an_alarm_that_stays() {
    if !ready() || !have(&["mount"]) {
        return;
    }
    let Some(disk) = SmallDisk::mount(6) else {
        return hyperzoom_testkit::forbidden("mounting a small file system is not permitted here");
    };
    let home = tempfile::tempdir().unwrap();
    let film = home.path().join("noise.y4m");
    noise(&film);
    let chosen = Chosen {
        camera: format!("file:{}", film.display()),
        folder: Some(disk.path().to_owned()),
        ..Chosen::default()
    };
    let mut ada = Sitting::down("Ada", home.path(), &chosen);
    let invite = ada.host();
    let mut guest = quiet(&["join", &invite], "Grace");
    guest.wait_for("Ada is here");
    ada.program.wait_for("NOT RECORDING ANY MORE");
    let alarm = Palette::new(false).live_tint.0;
    ada.screen.wait_until("the alarm", |shot| shot.has_area_of(alarm));
    ada.keep("disk-full");
    // The call goes on, and ends as it should.
    ada.screen.press("e");
    ada.screen.wait_until("whether to end", Shot::has_question);
    ada.screen.press("Return");
    guest.wait_for("Ada has left");
    ada.screen.wait_until("what is left of it", |shot| shot.primary().is_some());
    ada.keep("cut-short");
}

fn assert_nothing_was_recorded(home: &Path) {
    let takes = std::fs::read_dir(home.join("takes")).map_or(0, Iterator::count);
    assert_eq!(takes, 0, "no take was begun");
}
