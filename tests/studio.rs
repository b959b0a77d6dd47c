//! The studio without a window: what its screens show, and what comes of what is asked for on them.
#![allow(clippy::unwrap_used, reason = "a helper fails as its test does")]

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hyperzoom::call::{CallOptions, Side};
use hyperzoom::console::Console;
use hyperzoom::stop::Stop;
use hyperzoom::studio::{Studio, View};
use hyperzoom_audio::SoundSpec;
use hyperzoom_testkit::{Pulse, have};
use hyperzoom_ui_plugin::model::{
    Bleed, CallView, Choices, Grade, Intent, RecView, SetupView, SummaryView, Tile, TileCamera, TileState,
};
use hyperzoom_video::CameraSpec;
use tempfile::TempDir;

/// How long what must come may take. Nothing waits this long when all is well.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder for recordings, and for what is kept of a call.
fn home() -> TempDir {
    let home = tempfile::tempdir().unwrap();
    // SAFETY: nextest runs each test in a process of its own, and nothing in this one has read the environment yet.
    unsafe { std::env::set_var("XDG_DATA_HOME", home.path().join("data")) };
    home
}

/// A call on this machine alone.
fn base() -> CallOptions {
    CallOptions {
        camera_may_miss: false,
        side: Side::Host { port: Some(0), open: false, resume: false },
        name: "Somebody".into(),
        session: None,
        bind: Some(Ipv4Addr::LOCALHOST.into()),
        length: None,
        mic: SoundSpec::None,
        speaker: SoundSpec::None,
        camera: CameraSpec::None,
        camera_off: false,
        frame: None,
        folder: Some(PathBuf::from("/nowhere")),
        flac: true,
        router_lease: None,
        markers: false,
    }
}

fn choices(name: &str, home: &Path) -> Choices {
    Choices {
        name: name.into(),
        session: "Episode 41".into(),
        camera: "pattern:640x360@30".into(),
        microphone: "tone".into(),
        speaker: "none".into(),
        folder: Some(home.join(name)),
        ..Choices::default()
    }
}

struct Person {
    studio: Studio,
    choices: Choices,
}

impl Person {
    fn new(name: &str, home: &Path) -> Self {
        Self::with(choices(name, home))
    }

    fn with(choices: Choices) -> Self {
        let studio = Studio::start(choices.clone(), base(), Console::new(), Stop::default(), || {});
        Self { studio, choices }
    }

    fn choose(&mut self, change: impl FnOnce(&mut Choices)) {
        change(&mut self.choices);
        self.studio.choose(&self.choices);
    }

    fn until<T>(&self, what: &str, wanted: impl Fn(&View) -> Option<T>) -> T {
        let patience = Instant::now() + PATIENCE;
        loop {
            let view = self.studio.view();
            if let Some(found) = wanted(&view) {
                return found;
            }
            assert!(Instant::now() < patience, "{what} of {}: {view:#?}", self.choices.name);
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn setup(&self, what: &str, wanted: impl Fn(&SetupView) -> bool) -> SetupView {
        let found = |view: &View| match view {
            View::Setup(setup) => wanted(setup).then(|| setup.clone()),
            _ => None,
        };
        self.until(what, found)
    }

    fn call(&self, what: &str, wanted: impl Fn(&CallView) -> bool) -> CallView {
        let found = |view: &View| match view {
            View::Call(call) => wanted(call).then(|| call.clone()),
            _ => None,
        };
        self.until(what, found)
    }

    /// Waits for the tile of the one other.
    fn other(&self, what: &str, wanted: impl Fn(&Tile) -> bool) -> Tile {
        let call = self.call(what, |call| call.tiles.get(1).is_some_and(&wanted));
        call.tiles[1].clone()
    }

    fn summary(&self) -> SummaryView {
        self.until("the summary", |view| match view {
            View::Summary(summary) => Some(summary.clone()),
            _ => None,
        })
    }

    /// Waits until the picture of somebody has changed so often.
    fn sees(&self, id: u8, times: usize) -> (u32, u32) {
        let patience = Instant::now() + PATIENCE;
        let (mut numbers, mut size) = (Vec::new(), (0, 0));
        while numbers.len() < times {
            let pictures = self.studio.pictures();
            if let Some((_, shown)) = pictures.iter().find(|(of, _)| *of == id)
                && numbers.last() != Some(&shown.number())
            {
                numbers.push(shown.number());
                let shape = shown.shape();
                assert_eq!(
                    shown.planes().map(<[u8]>::len),
                    [shape.luma_len(), shape.chroma_len(), shape.chroma_len()]
                );
                size = (shape.width, shape.height);
            }
            assert!(Instant::now() < patience, "{} pictures of {id} at {}", numbers.len(), self.choices.name);
            std::thread::sleep(Duration::from_millis(2));
        }
        size
    }
}

/// Two who talk.
fn meet(home: &Path) -> (Person, Person) {
    let ada = Person::new("Ada", home);
    ada.studio.ask(Intent::Host);
    let call = ada.call("an invite", |call| call.invite.is_some());
    let invite = call.invite.unwrap();
    assert!(call.waiting && ada.studio.is_in_call() && !invite.open);
    assert_eq!(invite.reach, "This computer has no network: only programs on it can join.");
    let mut bob = Person::new("Bob", home);
    bob.choose(|choices| choices.invite = format!(" {} ", invite.line));
    bob.studio.ask(Intent::Join);
    let call = bob.call("the call", |call| !call.waiting);
    assert_eq!(call.invite.unwrap().line, invite.line, "who came by it can hand it on");
    ada.call("the guest", |call| !call.waiting);
    (ada, bob)
}

const OURSELVES: u8 = 255;

#[test]
fn the_first_screen_shows_what_the_devices_give() {
    let home = home();
    let mut ada = Person::new("Ada", home.path());
    let view = ada.setup("all of it", |view| {
        view.level.is_some_and(|level| (-20.0..-10.0).contains(&level.peak_db))
            && view.aspect.is_some()
            && view.free.is_some()
    });
    assert_eq!(view.camera.as_deref(), Some("Test pattern · 640 × 360 · 30 fps"));
    assert_eq!((view.camera_fault, view.microphone_fault, view.busy, view.error), (None, None, None, None));
    assert_eq!((view.folder, view.hour.1.as_str()), (home.path().join("Ada"), "360p"));
    assert!(view.free > Some(1_000_000) && (8.0e9..9.0e9).contains(&(view.hour.0 as f64)));
    assert!(view.cameras.iter().any(|device| device.spec == "pattern:640x360@30"));
    assert_eq!(view.microphones.last().map(|device| device.spec.as_str()), Some("none"));
    assert_eq!(ada.sees(OURSELVES, 5), (640, 360));

    // Another camera, and none.
    ada.choose(|choices| choices.camera = "pattern:320x240@30".into());
    ada.setup("the other camera", |view| view.aspect == Some(320.0 / 240.0));
    ada.choose(|choices| (choices.camera, choices.microphone) = ("none".into(), "none".into()));
    let view = ada.setup("silence", |view| view.level.is_none() && view.aspect.is_none());
    assert_eq!((view.camera_fault, view.microphone_fault, view.hour.1.as_str()), (None, None, ""));
    let patience = Instant::now() + PATIENCE;
    while !ada.studio.pictures().is_empty() {
        assert!(Instant::now() < patience, "the picture stays");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_loudspeaker_that_reaches_the_microphone_is_found_and_a_device_that_goes_is_told() {
    if !have(&["pulseaudio", "pactl"]) {
        return;
    }
    let home = home();
    let pulse = Pulse::start(&[("desk", 2), ("attic", 2)]);
    // SAFETY: as above.
    unsafe { pulse.enter_this_process() };
    let mut ada = Person::with(Choices {
        camera: "none".into(),
        microphone: "pulse:desk.monitor".into(),
        speaker: "pulse:desk".into(),
        ..choices("Ada", home.path())
    });
    let view = ada.setup("the devices", |view| view.level.is_some() && view.speakers.len() > 2);
    assert_eq!((view.bleed, view.microphone_fault, view.speaker_fault), (Bleed::Unknown, None, None));
    let specs: Vec<_> = view.speakers.iter().map(|device| device.spec.as_str()).collect();
    assert_eq!(specs, ["default", "pulse:desk", "pulse:attic", "none"]);
    ada.studio.ask(Intent::TestHeadphones);
    ada.setup("the test", |view| view.bleed == Bleed::Testing);
    // A computer that stands still now and then tears a hole into it.
    let is_close = |bleed: Bleed| matches!(bleed, Bleed::Coupled(db) if (-8.0..1.0).contains(&db));
    ada.setup("what it found", |view| is_close(view.bleed));
    ada.choose(|choices| choices.speaker = "pulse:attic".into());
    ada.setup("other devices", |view| view.bleed == Bleed::Unknown);
    // The next test is of the new loudspeaker.
    std::thread::sleep(Duration::from_secs(1));
    ada.studio.ask(Intent::TestHeadphones);
    ada.setup("silence", |view| view.bleed == Bleed::None);

    // A microphone comes, goes and comes back.
    let plugged_in = pulse.plug_in("usb", 1, 48_000);
    ada.studio.ask(Intent::LookForDevices);
    ada.setup("the newcomer", |view| view.microphones.iter().any(|it| it.spec == "pulse:usb.monitor"));
    ada.choose(|choices| choices.microphone = "pulse:usb.monitor".into());
    std::thread::sleep(Duration::from_secs(1));
    ada.setup("its silence", |view| view.level.is_some());
    pulse.unplug(&plugged_in);
    let gone = ada.setup("its end", |view| view.microphone_fault.is_some());
    assert!(gone.microphone_fault.unwrap().contains("gone"));
    let _again = pulse.plug_in("usb", 1, 48_000);
    ada.setup("its return", |view| view.microphone_fault.is_none() && view.level.is_some());
}

#[test]
fn what_is_missing_is_said_and_what_came_to_nothing_is_told() {
    let home = home();
    let mut ada = Person::with(Choices {
        camera: "file:/nowhere/a.y4m".into(),
        microphone: "file:/nowhere/b.wav".into(),
        ..choices("Ada", home.path())
    });
    let has = |text: &Option<String>, part: &str| text.as_ref().is_some_and(|text| text.contains(part));
    ada.setup("faults", |view| has(&view.camera_fault, "a.y4m") && has(&view.microphone_fault, "b.wav"));
    ada.studio.ask(Intent::Host);
    ada.setup("why there is no call", |view| has(&view.error, "b.wav") && view.busy.is_none());

    ada.choose(|choices| choices.invite = "127.0.0.1".into());
    ada.setup("a damaged invite", |view| has(&view.invite_fault, "port") && view.error.is_none());
    ada.choose(|choices| choices.microphone = "tone".into());
    ada.choose(|choices| choices.camera = "none".into());
    ada.setup("no faults", |view| view.camera_fault.is_none() && view.microphone_fault.is_none());
    ada.studio.ask(Intent::Join);
    ada.setup("the damage", |view| has(&view.error, "port") && view.busy.is_none());

    // Nobody is there.
    ada.choose(|choices| choices.invite = "127.0.0.1:9".into());
    ada.studio.ask(Intent::Join);
    ada.setup("the attempt", |view| has(&view.busy, "Joining"));
    assert!(!ada.studio.is_in_call());
    ada.setup("its end", |view| has(&view.error, "nobody answers") || has(&view.error, "Nobody answers"));
    // Nobody wants to wait so long.
    ada.studio.ask(Intent::Join);
    ada.setup("another attempt", |view| view.busy.is_some());
    ada.studio.ask(Intent::End);
    ada.setup("the way back", |view| view.busy.is_none() && view.error.is_none() && view.level.is_some());

    // A session that nobody came to leaves nothing behind.
    ada.studio.ask(Intent::Host);
    ada.call("the session", |call| call.waiting);
    ada.studio.say("No file manager was found");
    ada.call("a notice", |call| call.notices.last().is_some_and(|it| it.text.contains("file manager")));
    ada.studio.ask(Intent::End);
    ada.setup("the first screen", |view| view.error.is_none() && view.cut_off.is_none());
    let takes = std::fs::read_dir(home.path().join("Ada")).unwrap().count();
    assert_eq!(takes, 0);
}

#[test]
fn two_people_meet_and_read_what_it_came_to() {
    let home = home();
    let (ada, bob) = meet(home.path());
    let tile = ada.other("the guest's picture", |tile| {
        tile.camera == TileCamera::On && tile.aspect.is_some() && tile.ear_ms.is_some() && tile.speaking
    });
    assert_eq!((tile.name.as_str(), tile.is_me, tile.muted, tile.volume), ("Bob", false, false, 1.0));
    let me = bob.call("ourselves", |call| call.tiles[0].aspect.is_some()).tiles[0].clone();
    assert_eq!((me.id, me.is_me, me.name.as_str(), me.camera), (tile.id, true, "Bob", TileCamera::On));
    assert_eq!(bob.sees(OURSELVES, 5), (640, 360));
    ada.sees(tile.id, 5);

    // Mute, camera, volume, marker.
    bob.studio.ask(Intent::ToggleMute);
    let muted = bob.call("silence", |call| call.muted && !call.tiles[0].speaking);
    assert!(muted.tiles[0].muted);
    ada.other("a muted guest", |tile| tile.muted && !tile.speaking);
    bob.studio.ask(Intent::ToggleMute);
    ada.other("a guest who speaks again", |tile| !tile.muted && tile.speaking);
    bob.studio.ask(Intent::ToggleCamera);
    bob.call("a camera that is off", |call| call.camera_on == Some(false) && call.tiles[0].aspect.is_none());
    ada.other("no picture", |tile| tile.camera == TileCamera::Off && tile.aspect.is_none());
    assert!(ada.studio.pictures().iter().all(|(id, _)| *id != tile.id));
    bob.studio.ask(Intent::ToggleCamera);
    ada.other("the picture again", |tile| tile.camera == TileCamera::On && tile.aspect.is_some());
    ada.studio.ask(Intent::Volume { id: tile.id, volume: 0.5 });
    ada.other("a quieter guest", |tile| tile.volume == 0.5);
    ada.studio.ask(Intent::Marker);
    ada.call("the marker", |call| call.markers == 1);

    // Long enough for a sync tone, and some figures.
    let call =
        ada.call("the recording", |call| matches!(call.rec, RecView::On { seconds: 7.., bytes: 1.., .. }));
    let figures = &call.figures[0];
    assert!(figures.name == "Bob" && figures.down_kbps > 50.0 && figures.up_kbps > 50.0, "{figures:?}");
    assert!(figures.round_trip_ms.is_some() && figures.ear_history.len() > 2, "{figures:?}");
    assert!(call.upload_mbps > 0.05 && figures.picture.contains("p, "), "{figures:?}");

    // The guest's device is not lost; the host ends.
    ada.studio.ask(Intent::End);
    let summary = ada.summary();
    assert_eq!(
        (summary.title.as_str(), summary.bad, summary.lost.as_str()),
        ("Episode 41 is safe", false, "nothing")
    );
    assert_eq!((summary.picture.as_deref(), summary.grade), (Some("360p 30"), Grade::Green), "{summary:?}");
    let folder = summary.folder.unwrap();
    assert!(
        folder.starts_with(home.path().join("Ada")) && folder.ends_with_name("_Episode_41"),
        "{folder:?}"
    );
    assert!(summary.seconds >= 7.0 && summary.bytes > 100_000);
    assert_eq!(summary.rows.iter().map(|row| row.name.as_str()).collect::<Vec<_>>(), ["Ada", "Bob"]);
    assert!(ada.studio.pictures().is_empty() && !ada.studio.is_in_call());

    // Who is left alone records on until it ends.
    let alone = bob.call("the leaver", |call| call.tiles.len() == 1);
    assert!(
        alone.notices.last().is_some_and(|it| it.text == "Ada has left. Your recording goes on."),
        "{alone:?}"
    );
    assert!(matches!(alone.rec, RecView::On { .. }));
    bob.studio.ask(Intent::End);
    assert!(!bob.summary().bad);
    bob.studio.ask(Intent::NewSession);
    bob.setup("the first screen", |view| view.level.is_some() && view.error.is_none());
}

trait Named {
    fn ends_with_name(&self, end: &str) -> bool;
}

impl Named for PathBuf {
    fn ends_with_name(&self, end: &str) -> bool {
        self.file_name().is_some_and(|name| name.to_string_lossy().ends_with(end))
    }
}

#[test]
fn a_program_that_is_to_end_ends_its_call_first() {
    let home = home();
    let (ada, bob) = meet(home.path());
    let call = ada.call("a recording", |call| matches!(call.rec, RecView::On { seconds: 2.., .. }));
    assert_ne!(call.tiles[1].state, TileState::Rejoining);
    ada.studio.quit();
    let patience = Instant::now() + PATIENCE;
    while !ada.studio.is_done() {
        assert!(Instant::now() < patience, "it does not end");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(!ada.studio.is_in_call());
    let take = std::fs::read_dir(home.path().join("Ada")).unwrap().next().unwrap().unwrap().path();
    let metadata = std::fs::read(take.join("session_metadata.json")).unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&metadata).unwrap();
    assert_eq!(metadata["complete"], true, "{metadata:#}");
    bob.call("the leaver", |call| call.notices.iter().any(|it| it.text.starts_with("Ada has left")));
    // It ends with what holds it, too.
    drop(bob);
    let take = std::fs::read_dir(home.path().join("Bob")).unwrap().next().unwrap().unwrap().path();
    let verdict = hyperzoom_recorder::verify(&take).unwrap();
    assert!(verdict.checks.iter().all(|check| check.ok), "{:#?}", verdict.checks);
}
