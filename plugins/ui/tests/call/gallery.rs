//! Every state, as a picture to look at and to compare with.

use hyperzoom_ui_plugin::model::{
    CallView, InviteView, Notice, RecView, Tile, TileCamera, TileState, Weight,
};

use crate::kit::{LARGE, SMALL, Stage, stage};
use crate::people::{alone, four, invite, me, peer, some};

fn with_statistics(view: CallView) -> Stage {
    Stage::with(view, |open| open.statistics = true)
}

/// Everything that can be said of a tile at once.
fn troubled() -> CallView {
    let rejoining = Tile { state: TileState::Rejoining, ear_ms: None, ..peer(1, "Grace", 0.0) };
    let silent = Tile { state: TileState::Silent, volume: 1.4, ..peer(2, "Linus", 0.0) };
    let relayed = Tile {
        state: TileState::Relayed,
        camera: TileCamera::Lost,
        aspect: None,
        ..peer(3, "Barbara", 74.0)
    };
    let fault = "Somebody else uses the camera. Close the other program; it comes back by itself.";
    CallView {
        tiles: vec![
            Tile {
                camera: TileCamera::Lost,
                fault: Some(fault.to_owned()),
                aspect: None,
                muted: true,
                ..me()
            },
            rejoining,
            silent,
            relayed,
        ],
        muted: true,
        rec: RecView::On { seconds: 2477, bytes: 5_600_000_000, repeated: 31, gaps: 1, lost: None },
        ..four()
    }
}

fn notices() -> Vec<Notice> {
    let notice = |id, weight, text: &str| Notice { id, weight, text: text.to_owned() };
    vec![
        notice(1, Weight::Note, "Grace is back. Her own recording went on."),
        notice(
            2,
            Weight::Warning,
            "Your camera gave no picture for 2 s. The last one was repeated; the sound is whole.",
        ),
        notice(
            3,
            Weight::Alarm,
            "The disk is full in 3 minutes. Free some space, or the recording ends then.",
        ),
    ]
}

#[test]
fn waiting_for_the_others() {
    let mut results = egui_kittest::SnapshotResults::new();
    for light in [false, true] {
        let name = if light { "light" } else { "dark" };
        let mut shown = stage(LARGE, light, alone());
        results.add(shown.try_snapshot(format!("call_waiting_{name}")));
        let open = InviteView {
            open: true,
            reach:
                "Your router lets nobody in. Others in your own network can join; from elsewhere they cannot."
                    .to_owned(),
            ..invite()
        };
        let mut shown = stage(SMALL, light, CallView { invite: Some(open), copied: true, ..alone() });
        results.add(shown.try_snapshot(format!("call_waiting_open_small_{name}")));
    }
}

#[test]
fn two_three_and_four_people() {
    let mut results = egui_kittest::SnapshotResults::new();
    for count in 2..=4 {
        let mut shown = stage(LARGE, false, some(count));
        results.add(shown.try_snapshot(format!("call_{count}_dark")));
        let mut shown = stage(SMALL, false, some(count));
        results.add(shown.try_snapshot(format!("call_{count}_small_dark")));
    }
    let mut shown = stage(LARGE, true, four());
    results.add(shown.try_snapshot("call_4_light"));
}

#[test]
fn what_can_be_wrong_with_somebody() {
    let mut results = egui_kittest::SnapshotResults::new();
    for (size, light, name) in [(LARGE, false, "dark"), (LARGE, true, "light"), (SMALL, false, "small_dark")]
    {
        let mut shown = stage(size, light, troubled());
        results.add(shown.try_snapshot(format!("call_troubled_{name}")));
    }
}

#[test]
fn statistics() {
    let mut results = egui_kittest::SnapshotResults::new();
    for (size, light, name) in [(LARGE, false, "dark"), (LARGE, true, "light"), (SMALL, false, "small_dark")]
    {
        let mut shown = stage(size, light, with_statistics(four()));
        results.add(shown.try_snapshot(format!("call_statistics_{name}")));
    }
}

#[test]
fn notices_and_a_loss() {
    let mut results = egui_kittest::SnapshotResults::new();
    let lost = "4 s of your picture are lost: the disk was too slow. The sound is whole.";
    let rec = RecView::On {
        seconds: 3725,
        bytes: 8_400_000_000,
        repeated: 12,
        gaps: 0,
        lost: Some(lost.to_owned()),
    };
    let view = CallView { notices: notices(), rec, copied: true, ..four() };
    for (size, light, name) in [(LARGE, false, "dark"), (LARGE, true, "light"), (SMALL, false, "small_dark")]
    {
        let mut shown = stage(size, light, with_statistics(view.clone()));
        results.add(shown.try_snapshot(format!("call_notices_{name}")));
    }
}

#[test]
fn the_end() {
    let mut results = egui_kittest::SnapshotResults::new();
    for light in [false, true] {
        let name = if light { "light" } else { "dark" };
        let asks = Stage::with(four(), |open| open.asks_to_end = true);
        let mut shown = stage(LARGE, light, asks);
        results.add(shown.try_snapshot(format!("call_asks_to_end_{name}")));
    }
    let why = "The disk is full. What was recorded until 00:41:17 is safe.";
    let failed = CallView { rec: RecView::Failed(why.to_owned()), camera_on: None, ..some(2) };
    results.add(stage(SMALL, false, failed).try_snapshot("call_not_recording_small_dark"));
    let ending = CallView { ending: true, rec: RecView::Finishing, ..some(2) };
    results.add(stage(LARGE, false, ending).try_snapshot("call_ending_dark"));
}
