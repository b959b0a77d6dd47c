//! The last screen: how it looks, and what comes out of it.

mod common;

use std::path::PathBuf;

use common::{LARGE, SMALL, window};
use egui::Vec2;
use egui_kittest::kittest::Queryable;
use egui_kittest::{Harness, SnapshotResults};
use hyperzoom_ui_plugin::model::{Grade, Intent, SummaryView, SyncRow};
use hyperzoom_ui_plugin::panels::summary;

type Screen = (SummaryView, Vec<Intent>);

fn row(name: &str, offset: f64, drift: f64, repeated: u64, gaps: u64) -> SyncRow {
    SyncRow {
        name: name.to_owned(),
        offset_ms: Some(offset),
        drift_ppm: Some(drift),
        repeated: Some(repeated),
        gaps: Some(gaps),
    }
}

/// Four people, and one gap.
fn safe() -> SummaryView {
    SummaryView {
        title: "Episode 41 is safe".to_owned(),
        bad: false,
        folder: Some(PathBuf::from("~/HyperZoom/recordings/2026-11-21_20-15-00_Episode-41")),
        seconds: 3728.0,
        picture: Some("1080p 30".to_owned()),
        bytes: 8_400_000_000,
        lost: "nothing".to_owned(),
        frames: Some([111_842, 2, 4, 0]),
        grade: Grade::Green,
        sync_title: "In sync to 0.4 ms, start to end".to_owned(),
        sync_text: "Put all four files at zero on the timeline. Residual drift 0.1 ppm; one gap of 12 ms in Linus's microphone at \
                    00:31:05, filled with silence."
            .to_owned(),
        rows: vec![
            row("Ada", 0.0, 0.0, 2, 0),
            row("Grace", 0.2, 0.1, 0, 0),
            row("Linus", -0.4, 0.1, 5, 1),
            row("Barbara", 0.3, -0.1, 1, 0),
        ],
        error: None,
    }
}

/// The disc filled up.
fn cut_short() -> SummaryView {
    SummaryView {
        title: "Episode 41 ended early".to_owned(),
        bad: true,
        seconds: 1902.0,
        bytes: 4_200_000_000,
        lost: "the last 30 minutes".to_owned(),
        frames: Some([111_842, 2, 4, 54_210]),
        grade: Grade::Amber,
        sync_title: "In sync to 3.1 ms, start to end".to_owned(),
        sync_text: "Listen to the end of Linus's file before you cut.".to_owned(),
        rows: vec![SyncRow { name: "Ada".to_owned(), ..SyncRow::default() }, row("Linus", -3.1, 2.4, 5, 0)],
        error: Some(
            "The disc was full after 31 minutes. What was recorded until then is safe and plays everywhere."
                .to_owned(),
        ),
        ..safe()
    }
}

fn unrecorded() -> SummaryView {
    SummaryView { title: "The call has ended".to_owned(), ..SummaryView::default() }
}

fn show<'a>(size: Vec2, light: bool, view: SummaryView) -> Harness<'a, Screen> {
    window(size, light, (view, Vec::new()), |ui, (view, intents)| {
        intents.extend(summary(ui, view));
        Vec::new()
    })
}

fn looks(name: &str, size: Vec2, view: &SummaryView) {
    let mut results = SnapshotResults::new();
    for (light, theme) in [(false, "dark"), (true, "light")] {
        let mut harness = show(size, light, view.clone());
        harness.snapshot(format!("summary_{name}_{theme}"));
        results.extend_harness(&mut harness);
    }
}

#[test]
fn all_is_safe() {
    looks("safe", LARGE, &safe());
}

#[test]
fn all_is_safe_in_a_small_window() {
    looks("safe_small", SMALL, &safe());
}

#[test]
fn the_end_is_missing() {
    looks("cut_short", LARGE, &cut_short());
}

#[test]
fn nothing_was_recorded() {
    show(LARGE, false, unrecorded()).snapshot("summary_unrecorded_dark");
}

#[test]
fn buttons_say_what_is_wanted() {
    let view = safe();
    let folder = view.folder.clone().expect("it was recorded");
    let mut harness = show(LARGE, false, view);
    harness.get_by_label("Open folder").click();
    harness.run_ok();
    harness.get_by_label("New session").click();
    harness.run_ok();
    assert_eq!(harness.state().1, [Intent::OpenFolder(folder), Intent::NewSession]);
}

#[test]
fn without_a_take_there_is_no_folder_to_open() {
    let harness = show(LARGE, false, unrecorded());
    assert!(harness.query_by_label("Open folder").is_none());
    harness.get_by_label("New session");
}

#[test]
fn the_keyboard_begins_anew() {
    let mut harness = show(SMALL, true, safe());
    harness.key_press(egui::Key::Tab);
    harness.key_press(egui::Key::Tab);
    harness.run_ok();
    assert!(harness.get_by_label("New session").is_focused());
    harness.key_press(egui::Key::Enter);
    harness.run_ok();
    assert_eq!(harness.state().1, [Intent::NewSession]);
}
