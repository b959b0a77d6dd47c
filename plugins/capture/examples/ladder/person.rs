//! One engine: microphone, camera, network, and the app that turns them.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bevy_app::App;
use hyperzoom_audio::{AudioConfig, FrameSize, SoundSpec};
use hyperzoom_capture_plugin::{CapturePlugin, Pictures, Sound, VideoCare, Voice};
use hyperzoom_congestion::Rung;
use hyperzoom_net_plugin::{Net, NetPlugin};
use hyperzoom_playout::PlayoutStats;
use hyperzoom_protocol::InviteKey;
use hyperzoom_session::Config;
use hyperzoom_timing::SharedClock;
use hyperzoom_transport::{Role, bind};
use hyperzoom_video::{CameraConfig, LiveConfig};

use crate::Failed;

/// How often the app turns, as the program's does.
const FRAME: Duration = Duration::from_millis(10);

/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(100);

pub(crate) struct Person {
    pub(crate) addr: SocketAddr,
    net: Net,
    sound: Sound,
    pictures: Pictures,
}

/// How an engine stands.
pub(crate) struct Sample {
    pub(crate) at: Instant,
    /// What it sends to the other.
    pub(crate) rung: Rung,
    /// How it hears the other.
    pub(crate) voice: PlayoutStats,
}

impl Person {
    pub(crate) fn start(name: &str, role: Role, instance: u128) -> Result<Self, Failed> {
        let (epoch, clock) = (Instant::now(), SharedClock::new());
        let (bound, audio, video) = bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        let addr = bound.local_addr();
        let config = AudioConfig {
            epoch,
            mic: SoundSpec::Tone(440.0),
            speaker: SoundSpec::None,
            frame: FrameSize::Ms5,
            bitrate: 64_000,
            clock: clock.clone(),
        };
        let sound = hyperzoom_audio::start(config, Box::new(audio))?;
        let spec = "pattern:854x480@30".parse()?;
        let (camera, camera_events) = hyperzoom_video::start_camera(CameraConfig { epoch, spec })?;
        let live = LiveConfig::new(epoch, clock.clone());
        let live = hyperzoom_video::start_live(live, camera.live_tap(), Box::new(video))?;
        let key = Some(InviteKey([5; 32]));
        let session = Config { name: name.into(), key, session_id: 77, instance, capacity: 4 };
        let (transport, events) = bound.start(role, session, epoch, clock)?;
        let pictures = Pictures::new(camera, camera_events, live);
        Ok(Self { addr, net: Net::new(transport, events), sound: Sound::new(sound.0, sound.1), pictures })
    }

    /// Turns until it is over.
    pub(crate) fn run(self, over: &AtomicBool) -> Vec<Sample> {
        // An app stays in its thread.
        let mut app = App::new();
        app.add_plugins((NetPlugin, CapturePlugin))
            .insert_resource(self.net)
            .insert_resource(self.sound)
            .insert_resource(self.pictures);
        app.finish();
        app.cleanup();
        let mut samples = Vec::new();
        let mut next = Instant::now();
        while !over.load(Ordering::Relaxed) {
            app.update();
            let now = Instant::now();
            if now >= next {
                next = now + LOOK;
                samples.extend(look(&mut app, now));
            }
            std::thread::sleep(FRAME);
        }
        samples
    }
}

fn look(app: &mut App, at: Instant) -> Option<Sample> {
    let world = app.world_mut();
    let voice = world.query::<&Voice>().iter(world).next()?.0;
    let rung = world.resource::<VideoCare>().encoded();
    Some(Sample { at, rung, voice })
}
