//! A call made up for a test.

use hyperzoom_ui_plugin::model::{CallView, InviteView, PeerFigures, RecView, Tile, TileCamera, TileState};

pub(crate) fn me() -> Tile {
    Tile {
        id: 0,
        name: "Ada".to_owned(),
        is_me: true,
        camera: TileCamera::On,
        volume: 1.0,
        aspect: Some(16.0 / 9.0),
        ..Tile::default()
    }
}

/// Somebody who is seen and heard.
pub(crate) fn peer(id: u8, name: &str, ear_ms: f32) -> Tile {
    Tile {
        id,
        name: name.to_owned(),
        is_me: false,
        camera: TileCamera::On,
        ear_ms: Some(ear_ms),
        volume: 1.0,
        aspect: Some(16.0 / 9.0),
        ..Tile::default()
    }
}

pub(crate) fn recording() -> RecView {
    RecView::On { seconds: 2477, bytes: 5_600_000_000, repeated: 0, gaps: 0, lost: None }
}

pub(crate) fn invite() -> InviteView {
    InviteView {
        line: "hyperzoom:203.0.113.17:47600,192.168.1.20:47600#k7Qm2VfYx9TnB4hRw8cJ5sLpZ3aDgE6uKoNiMq1HtXy"
            .to_owned(),
        reach: "Your router lets them in.".to_owned(),
        open: false,
    }
}

fn figures(name: &str, ear: f32, round_trip: f32, lost: f32, down: f32) -> PeerFigures {
    let wave = |n: i32, high: f32| (n as f32 * 0.37).sin().abs() * high;
    PeerFigures {
        name: name.to_owned(),
        weak: lost > 1.0,
        ear_ms: Some(ear),
        round_trip_ms: Some(round_trip),
        lost,
        repaired: lost * 0.9,
        jitter_ms: ear * 0.4,
        down_kbps: down,
        up_kbps: 412.0,
        picture: if lost > 1.0 { "none".to_owned() } else { "480p, 24 fps".to_owned() },
        ear_history: (0..60).map(|n| ear + wave(n, ear * 0.5)).collect(),
        lost_history: (0..60).map(|n| wave(n, lost)).collect(),
    }
}

/// Four people, as in the sketch: one speaks, one is muted without a camera, one has a weak network.
pub(crate) fn four() -> CallView {
    let linus = Tile {
        muted: true,
        camera: TileCamera::Off,
        ear_ms: Some(24.0),
        aspect: None,
        ..peer(2, "Linus", 24.0)
    };
    CallView {
        invite: Some(invite()),
        tiles: vec![
            Tile { speaking: true, ..me() },
            peer(1, "Grace", 18.0),
            linus,
            Tile { state: TileState::Weak, ..peer(3, "Barbara", 61.0) },
        ],
        camera_on: Some(true),
        rec: recording(),
        markers: 2,
        figures: vec![
            figures("Grace", 18.0, 9.0, 0.0, 462.0),
            figures("Linus", 24.0, 21.0, 0.2, 64.0),
            figures("Barbara", 61.0, 88.0, 3.1, 212.0),
        ],
        upload_mbps: 1.3,
        ..CallView::default()
    }
}

/// The first so many of [`four`].
pub(crate) fn some(count: usize) -> CallView {
    let mut view = four();
    view.tiles.truncate(count);
    view.figures.truncate(count - 1);
    view
}

/// Nobody else is here.
pub(crate) fn alone() -> CallView {
    CallView {
        waiting: true,
        invite: Some(invite()),
        tiles: vec![me()],
        camera_on: Some(true),
        rec: RecView::Waiting,
        ..CallView::default()
    }
}
