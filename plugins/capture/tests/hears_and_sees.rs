//! Two apps in one process call each other over loopback, with a tone and a test pattern: each hears and sees the other.
#![allow(clippy::unwrap_used, reason = "a helper fails as its test does")]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bevy_app::App;
use hyperzoom_audio::{AudioConfig, FrameSize, SoundSpec};
use hyperzoom_capture_plugin::{CapturePlugin, NewestPicture, Picture, Pictures, Sound, Voice, VoiceCare};
use hyperzoom_net_plugin::{Hearing, Net, NetMessage, NetPlugin, Peer, PeerCamera, Presence};
use hyperzoom_playout::Repair;
use hyperzoom_protocol::{AudioReport, CameraState, InviteKey};
use hyperzoom_session::Config;
use hyperzoom_timing::SharedClock;
use hyperzoom_transport::{Role, bind};
use hyperzoom_video::{CameraConfig, LiveConfig, read_counter};

/// How long something that must come may take before the test fails; nothing takes this long when all is well.
const PATIENCE: Duration = Duration::from_secs(30);

fn person(name: &str, role: Role, instance: u128) -> (App, SocketAddr) {
    let (epoch, clock) = (Instant::now(), SharedClock::new());
    let (bound, audio, video) = bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let addr = bound.local_addr();
    let config = AudioConfig {
        epoch,
        mic: SoundSpec::Tone(440.0),
        speaker: SoundSpec::None,
        frame: FrameSize::Ms5,
        bitrate: 32_000,
        clock: clock.clone(),
    };
    let sound = hyperzoom_audio::start(config, Box::new(audio)).unwrap();
    let spec = "pattern:640x360@30".parse().unwrap();
    let (camera, camera_events) = hyperzoom_video::start_camera(CameraConfig { epoch, spec }).unwrap();
    let live = LiveConfig::new(epoch, clock.clone());
    let live = hyperzoom_video::start_live(live, camera.live_tap(), Box::new(video)).unwrap();
    let session =
        Config { name: name.into(), key: Some(InviteKey([5; 32])), session_id: 77, instance, capacity: 4 };
    let (transport, events) = bound.start(role, session, epoch, clock).unwrap();
    let mut app = App::new();
    app.add_plugins((NetPlugin, CapturePlugin))
        .insert_resource(Net::new(transport, events))
        .insert_resource(Sound::new(sound.0, sound.1))
        .insert_resource(Pictures::new(camera, camera_events, live));
    app.finish();
    app.cleanup();
    (app, addr)
}

fn hears_and_sees(app: &mut App) -> bool {
    let world = app.world_mut();
    let mut query = world.query::<(&Peer, &Voice, &Picture, &Hearing)>();
    query.iter(world).any(|(_, voice, picture, hearing)| {
        voice.0.received > 50 && picture.stats.decoded > 5 && hearing.0.is_some()
    })
}

/// The counter of the picture that is there to be drawn.
fn drawn(app: &mut App) -> Option<u64> {
    let world = app.world_mut();
    let newest = world.query::<&NewestPicture>().single(world).unwrap().0.as_ref()?;
    let [luma, u, v] = newest.planes();
    // A busy machine's path may look narrow, and the picture be smaller for it.
    let shape = newest.shape();
    assert!([(854, 480), (640, 360)].contains(&(shape.width, shape.height)), "{shape:?}");
    assert_eq!((luma.len(), u.len(), v.len()), (shape.luma_len(), luma.len() / 4, luma.len() / 4));
    Some(read_counter(newest.shape(), luma).expect("the pattern can be read"))
}

#[test]
fn a_peer_is_heard_and_seen_until_it_leaves() {
    let (mut host, addr) = person("Ada", Role::Host, 1);
    let (mut guest, _) = person("Bob", Role::Guest(addr), 2);
    let deadline = Instant::now() + PATIENCE;
    while !(hears_and_sees(&mut host) && hears_and_sees(&mut guest)) {
        host.update();
        guest.update();
        std::thread::yield_now();
        assert!(Instant::now() < deadline, "they do not hear and see each other");
    }

    let first = drawn(&mut guest).unwrap();
    while drawn(&mut guest).unwrap() <= first + 5 {
        host.update();
        guest.update();
        std::thread::yield_now();
        assert!(Instant::now() < deadline, "the picture stands still");
    }

    // The host would lose packets.
    let report =
        AudioReport { lost_permille: 50, burst_us: 10_000, reach_us: 10_000, ..AudioReport::default() };
    while guest.world().resource::<VoiceCare>().repair() == Repair::NONE {
        guest.world_mut().write_message(NetMessage::AudioReported { by: 0, report });
        host.update();
        guest.update();
        std::thread::yield_now();
        assert!(Instant::now() < deadline, "nothing is done about it");
    }

    // A camera that is off sends nothing and goes on capturing, and the other is told.
    let seen_as = |app: &mut App, camera| {
        let world = app.world_mut();
        let mut query = world.query::<&PeerCamera>();
        query.iter(world).all(|it| *it == PeerCamera(Some(camera)))
    };
    for (on, camera) in [(false, CameraState::Off), (true, CameraState::On)] {
        let counts = |app: &mut App| {
            let mut pictures = app.world_mut().resource_mut::<Pictures>();
            (pictures.live().stats().sent, pictures.camera().counts().captured)
        };
        guest.world_mut().resource_mut::<Pictures>().set_on(on);
        while !seen_as(&mut host, camera) {
            host.update();
            guest.update();
            std::thread::yield_now();
            assert!(Instant::now() < deadline, "the host is not told {camera:?}");
        }
        // A placeholder is drawn instead, until there is a picture again.
        assert!(on || drawn(&mut host).is_none());
        while on && drawn(&mut host).is_none() {
            host.update();
            guest.update();
            std::thread::yield_now();
            assert!(Instant::now() < deadline, "the host sees nothing");
        }
        // Those that are on their way when the camera goes off are still sent; then none is while ten more are captured.
        let mut before = counts(&mut guest);
        loop {
            let now = counts(&mut guest);
            let is_so = if on { now.0 > before.0 } else { now.0 == before.0 && now.1 > before.1 + 10 };
            if is_so {
                break;
            }
            if !on && now.0 > before.0 {
                before = now;
            }
            host.update();
            guest.update();
            std::thread::yield_now();
            assert!(on || drawn(&mut host).is_none(), "a picture that came late is not drawn");
            assert!(Instant::now() < deadline, "{camera:?}: {before:?}, then {now:?}");
        }
    }

    guest.world_mut().resource_mut::<Net>().transport().leave();
    let gone = |app: &mut App| {
        let world = app.world_mut();
        let mut query = world.query::<(&Presence, &mut Picture)>();
        query.iter_mut(world).all(|(presence, mut picture)| {
            matches!(presence, Presence::Gone(_)) && picture.decoder().is_none()
        })
    };
    while !gone(&mut host) {
        host.update();
        guest.update();
        std::thread::yield_now();
        assert!(Instant::now() < deadline, "the host did not notice");
    }
    assert_eq!(drawn(&mut host), None);
    // What it was is still there to be reported.
    assert!(hears_and_sees(&mut host));
}
