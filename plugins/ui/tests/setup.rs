//! The first screen: how it looks in each state, and what comes out of it.

mod common;

use std::path::PathBuf;

use common::{LARGE, SMALL, window};
use egui::Vec2;
use egui::accesskit::Role;
use egui_kittest::kittest::Queryable;
use egui_kittest::{Harness, SnapshotResults};
use hyperzoom_ui_plugin::model::{Bleed, Choices, Device, Intent, Loudness, SetupView};
use hyperzoom_ui_plugin::panels::{SetupOut, setup};

struct Screen {
    view: SetupView,
    choices: Choices,
    intents: Vec<Intent>,
    last: SetupOut,
}

fn device(label: &str) -> Device {
    Device { spec: label.to_owned(), label: label.to_owned() }
}

/// All is well, and the headphones were not tested yet.
fn usual() -> Screen {
    let view = SetupView {
        cameras: vec![device("Logitech BRIO"), device("FaceTime HD")],
        microphones: vec![device("Shure MV7"), device("Built-in Audio Analogue Stereo")],
        speakers: vec![device("Sony WH-1000XM5")],
        camera: Some("Logitech BRIO · 1920 × 1080 · 30 fps".to_owned()),
        aspect: Some(16.0 / 9.0),
        level: Some(Loudness { peak_db: -14.0, clipped: false }),
        folder: PathBuf::from("~/HyperZoom/recordings"),
        free: Some(212_000_000_000),
        hour: (8_200_000_000, "1080p".to_owned()),
        ..SetupView::default()
    };
    let choices = Choices {
        name: "Ada".to_owned(),
        session: "Episode 41".to_owned(),
        camera: "Logitech BRIO".to_owned(),
        microphone: "Shure MV7".to_owned(),
        speaker: "Sony WH-1000XM5".to_owned(),
        ..Choices::default()
    };
    Screen { view, choices, intents: Vec::new(), last: SetupOut::default() }
}

fn show<'a>(size: Vec2, light: bool, screen: Screen) -> Harness<'a, Screen> {
    window(size, light, screen, |ui, screen| {
        screen.last = setup(ui, &screen.view, &mut screen.choices);
        screen.intents.extend(screen.last.intents.iter().cloned());
        screen.last.picture.into_iter().collect()
    })
}

/// A picture of a state in dark and light.
fn looks(name: &str, size: Vec2, state: impl Fn(&mut Screen)) {
    let mut results = SnapshotResults::new();
    for (light, theme) in [(false, "dark"), (true, "light")] {
        let mut screen = usual();
        state(&mut screen);
        let mut harness = show(size, light, screen);
        harness.snapshot(format!("setup_{name}_{theme}"));
        results.extend_harness(&mut harness);
    }
}

fn coupled(screen: &mut Screen) {
    screen.view.bleed = Bleed::Coupled(21.0);
}

/// Much went wrong before.
fn troubled(screen: &mut Screen) {
    let view = &mut screen.view;
    view.camera = None;
    view.camera_fault =
        Some("Another program is using Logitech BRIO. Close it there, or choose another camera.".to_owned());
    view.aspect = None;
    view.level = None;
    view.microphone_fault =
        Some("Shure MV7 was unplugged. Plug it in again, or choose another microphone.".to_owned());
    view.free = Some(3_100_000_000);
    view.cut_off = Some(3);
    view.recovered =
        vec!["2026-11-21_20-15-00_Episode-40: all 41 minutes, up to the second it was cut off.".to_owned()];
    view.error = Some("Nobody answered at 203.0.113.7:4747. Ask the host for a new invite.".to_owned());
    screen.choices.open = true;
}

#[test]
fn the_usual_state() {
    looks("usual", LARGE, coupled);
}

#[test]
fn the_usual_state_in_a_small_window() {
    looks("usual_small", SMALL, coupled);
}

#[test]
fn trouble() {
    looks("trouble", LARGE, troubled);
}

#[test]
fn trouble_in_a_small_window() {
    looks("trouble_small", SMALL, troubled);
}

#[test]
fn an_invite_makes_joining_the_thing_to_do() {
    looks("invite", LARGE, |screen| {
        screen.choices.invite = "203.0.113.7:4747#mG3vK9wPq".to_owned();
        screen.view.level = Some(Loudness { peak_db: -1.0, clipped: true });
        screen.view.bleed = Bleed::None;
        // An old camera.
        screen.view.aspect = Some(4.0 / 3.0);
    });
}

#[test]
fn a_window_too_small_for_columns_is_stacked() {
    let screen = usual();
    let mut harness = show(egui::vec2(480.0, 700.0), false, screen);
    harness.snapshot("setup_stacked_dark");
}

#[test]
fn buttons_say_what_is_wanted() {
    let mut screen = usual();
    coupled(&mut screen);
    screen.view.cut_off = Some(1);
    let mut harness = show(LARGE, false, screen);
    let pressed = [
        ("Host a session", Intent::Host),
        ("Test again", Intent::TestHeadphones),
        ("Go on with it", Intent::Resume),
        ("Look for devices again", Intent::LookForDevices),
        ("Choose where recordings go", Intent::ChooseFolder),
    ];
    for (label, intent) in pressed {
        harness.get_by_label(label).click();
        harness.run_ok();
        assert_eq!(std::mem::take(&mut harness.state_mut().intents), [intent], "{label}");
    }
}

#[test]
fn what_is_pasted_where_nobody_writes_is_the_invite() {
    for event in [
        egui::Event::Paste(" 203.0.113.7:4747#key\n".into()),
        egui::Event::Text(" 203.0.113.7:4747#key\n".into()),
    ] {
        let mut harness = show(LARGE, false, usual());
        harness.event(event.clone());
        harness.run_ok();
        assert_eq!(harness.state().choices.invite, "203.0.113.7:4747#key");
        // Enter joins, as it would if it had been pasted into the field.
        harness.key_press(egui::Key::Enter);
        harness.run_ok();
        assert_eq!(harness.state().intents, [Intent::Join], "{event:?}");
    }
    // Where somebody writes it is theirs.
    let mut harness = show(LARGE, false, usual());
    harness.get_by_label("Name").focus();
    harness.run_ok();
    harness.event(egui::Event::Paste("Grace".into()));
    harness.run_ok();
    assert_eq!(harness.state().choices.invite, "");
}

#[test]
fn what_takes_long_can_be_cancelled() {
    let mut screen = usual();
    screen.view.busy = Some("Joining".to_owned());
    let mut harness = show(LARGE, false, screen);
    harness.get_by_label("Cancel").click();
    harness.run_ok();
    assert_eq!(harness.state().intents, [Intent::End]);
}

#[test]
fn joining_needs_an_invite_that_is_one() {
    let mut harness = show(LARGE, false, usual());
    harness.get_by_label("Join").click();
    harness.run_ok();
    assert!(harness.state().intents.is_empty(), "there is nothing to join");

    harness.state_mut().choices.invite = "garbage".to_owned();
    harness.state_mut().view.invite_fault = Some("That is not an invite.".to_owned());
    harness.run_ok();
    harness.get_by_label("Join").click();
    harness.run_ok();
    assert!(harness.state().intents.is_empty(), "that cannot be joined");
    harness.get_by_label("That is not an invite.");

    harness.state_mut().view.invite_fault = None;
    harness.run_ok();
    harness.get_by_label("Join").click();
    harness.run_ok();
    assert_eq!(harness.state().intents, [Intent::Join]);
}

#[test]
fn enter_in_the_invite_joins() {
    let mut harness = show(LARGE, false, usual());
    harness.get_by_label("Paste the invite").click();
    harness.run_ok();
    harness.event(egui::Event::Paste(" 203.0.113.7:4747#key\n".to_owned()));
    harness.run_ok();
    assert_eq!(harness.state().choices.invite, "203.0.113.7:4747#key", "what came along was cut off");
    harness.key_press(egui::Key::Enter);
    harness.run_ok();
    assert_eq!(harness.state().intents, [Intent::Join]);
}

#[test]
fn nothing_is_begun_twice() {
    let mut screen = usual();
    screen.choices.invite = "203.0.113.7:4747#key".to_owned();
    screen.view.busy = Some("Asking the host to let you in".to_owned());
    let mut harness = show(LARGE, false, screen);
    for label in ["Host a session", "Join"] {
        harness.get_by_label(label).click();
        harness.run_steps(3);
    }
    assert!(harness.state().intents.is_empty());
    harness.get_by_label("Asking the host to let you in");
}

#[test]
fn the_keyboard_reaches_all_of_it_from_the_name_on() {
    let mut screen = usual();
    screen.choices.invite = "203.0.113.7:4747#key".to_owned();
    coupled(&mut screen);
    let mut harness = show(LARGE, false, screen);
    let order = [
        "Look for devices again",
        "Name",
        "Camera",
        "Microphone",
        "Headphones",
        "Session",
        "Host a session",
        "Paste the invite",
        "Join",
        "Test again",
        "Settings",
        "Choose where recordings go",
    ];
    for label in order {
        harness.key_press(egui::Key::Tab);
        harness.run_ok();
        let mut named = harness.query_all_by_label(label);
        assert!(named.any(|node| node.is_focused()), "{label} has the focus");
    }
}

#[test]
fn a_device_is_picked_with_the_mouse() {
    let mut harness = show(LARGE, false, usual());
    harness.get_by_label("Camera").click();
    harness.run_ok();
    harness.snapshot("setup_picker_dark");
    harness.get_by_label("FaceTime HD").click();
    harness.run_ok();
    assert_eq!(harness.state().choices.camera, "FaceTime HD");
    assert!(harness.query_by_label("No camera").is_none(), "the list is closed");
}

#[test]
fn a_device_is_picked_with_the_keyboard() {
    let mut harness = show(LARGE, false, usual());
    harness.get_by_role_and_label(Role::ComboBox, "Microphone").focus();
    harness.run_ok();
    harness.key_press(egui::Key::Enter);
    harness.run_ok();
    assert!(harness.get_by_label("Shure MV7").is_focused(), "the list begins at what is chosen");
    harness.key_press(egui::Key::ArrowDown);
    harness.run_ok();
    harness.key_press(egui::Key::Enter);
    harness.run_ok();
    assert_eq!(harness.state().choices.microphone, "Built-in Audio Analogue Stereo");
    assert!(harness.get_by_role_and_label(Role::ComboBox, "Microphone").is_focused(), "where one came from");
}

#[test]
fn a_camera_that_is_gone_stays_chosen() {
    let mut screen = usual();
    screen.choices.camera = "Elgato Facecam".to_owned();
    let harness = show(LARGE, false, screen);
    assert_eq!(harness.get_by_label("Camera").value().as_deref(), Some("Elgato Facecam"));
}

#[test]
fn the_notice_about_headphones_can_be_put_away() {
    let mut harness = show(LARGE, false, usual());
    harness.get_by_label("Dismiss").click();
    harness.run_ok();
    assert!(harness.state().choices.headphones_known);
    harness.get_by_label("Test the headphones").click();
    harness.run_ok();
    assert_eq!(harness.state().intents, [Intent::TestHeadphones]);
}

#[test]
fn settings_are_in_the_menu() {
    let mut harness = show(LARGE, false, usual());
    harness.get_by_label("Settings").click();
    harness.run_ok();
    harness.snapshot("setup_settings_dark");
    harness.get_by_label("Light colours").click();
    harness.run_ok();
    harness.get_by_label("Host without a key").click();
    harness.run_ok();
    let Choices { light, open, .. } = harness.state().choices;
    assert!(light && open);
    harness.get_by_label_contains("anybody who can reach this machine");
}

#[test]
fn the_picture_has_the_cameras_shape_and_lies_within_the_window() {
    for (size, aspect) in [(LARGE, 16.0 / 9.0), (LARGE, 4.0 / 3.0), (LARGE, 9.0 / 16.0), (SMALL, 16.0 / 9.0)]
    {
        let mut screen = usual();
        screen.view.aspect = Some(aspect);
        let harness = show(size, false, screen);
        let picture = harness.state().last.picture.expect("there is a picture");
        assert!(harness.ctx.viewport_rect().contains_rect(picture), "{picture:?} in {size:?}");
        assert!((picture.aspect_ratio() / aspect - 1.0).abs() < 0.02, "{picture:?} for {aspect}");
    }
    let mut screen = usual();
    screen.view.aspect = None;
    assert_eq!(show(LARGE, false, screen).state().last.picture, None);
}
