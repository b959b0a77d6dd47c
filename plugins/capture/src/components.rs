//! Devices and streams as the ECS sees them.

use std::fmt;

use bevy_ecs::component::Component;
use bevy_ecs::message::Message;
use bevy_ecs::resource::Resource;
use bevy_platform::cell::SyncCell;
use hyperzoom_audio::{AudioEngine, AudioEvent, AudioEvents, Latency, SendLatency};
use hyperzoom_playout::PlayoutStats;
use hyperzoom_protocol::CameraState;
use hyperzoom_video::{Camera, CameraEvents, CameraHealth, DecoderStats, LiveVideo, VideoDecoder};

/// The running microphone and loudspeaker.
#[derive(Resource)]
pub struct Sound {
    engine: SyncCell<AudioEngine>,
    events: SyncCell<AudioEvents>,
}

impl Sound {
    /// Takes over what [`hyperzoom_audio::start`] gave.
    #[must_use]
    pub fn new(engine: AudioEngine, events: AudioEvents) -> Self {
        Self { engine: SyncCell::new(engine), events: SyncCell::new(events) }
    }

    /// The engine.
    pub fn engine(&mut self) -> &mut AudioEngine {
        self.engine.get()
    }

    pub(crate) fn events(&mut self) -> &mut AudioEvents {
        self.events.get()
    }
}

/// The running camera and the encoder of its live pictures.
#[derive(Resource)]
pub struct Pictures {
    camera: SyncCell<Camera>,
    events: SyncCell<CameraEvents>,
    live: SyncCell<LiveVideo>,
    on: bool,
    state: CameraState,
    fault: Option<String>,
}

impl Pictures {
    /// Takes over what [`hyperzoom_video::start_camera`] and [`hyperzoom_video::start_live`] gave.
    #[must_use]
    pub fn new(camera: Camera, events: CameraEvents, live: LiveVideo) -> Self {
        Self {
            camera: SyncCell::new(camera),
            events: SyncCell::new(events),
            live: SyncCell::new(live),
            on: true,
            state: CameraState::On,
            fault: None,
        }
    }

    /// Turns the camera on or off for the others: off, they are sent nothing, and are told so. It goes on capturing, and the recording with
    /// it.
    pub fn set_on(&mut self, on: bool) {
        self.on = on;
        self.live.get().set_sending(on);
    }

    /// Whether the camera is on for the others.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.on
    }

    /// What the others are told about our pictures, as of the last frame of the app.
    #[must_use]
    pub fn state(&self) -> CameraState {
        self.state
    }

    /// Why no pictures come from the camera, in words for a person; `None` while they come. For the place where the preview is.
    #[must_use]
    pub fn fault(&self) -> Option<&str> {
        self.fault.as_deref()
    }

    pub(crate) fn set_fault(&mut self, fault: Option<String>) {
        self.fault = fault;
    }

    /// Looks at the camera anew; what it is now.
    pub(crate) fn look(&mut self) -> (CameraHealth, CameraState) {
        let health = self.camera.get().health();
        self.state = match health {
            _ if !self.on => CameraState::Off,
            CameraHealth::Delivering => CameraState::On,
            CameraHealth::Silent | CameraHealth::Lost => CameraState::Lost,
        };
        (health, self.state)
    }

    /// The camera.
    pub fn camera(&mut self) -> &mut Camera {
        self.camera.get()
    }

    /// The live encoder.
    pub fn live(&mut self) -> &mut LiveVideo {
        self.live.get()
    }

    pub(crate) fn events(&mut self) -> &mut CameraEvents {
        self.events.get()
    }
}

/// How a peer is heard: its playout's counts, as of the last frame of the app.
#[derive(Component, Debug, Clone, Copy, Default)]
pub struct Voice(pub PlayoutStats);

/// How long it takes from a peer's mouth to this ear.
#[derive(Component, Debug, Clone, Copy, Default)]
pub struct MouthToEar {
    /// As of the last frame of the app; `None` while it is not known.
    pub now: Option<Latency>,
    sum: Latency,
    count: u32,
}

impl MouthToEar {
    pub(crate) fn note(&mut self, now: Option<Latency>) {
        self.now = now;
        if let Some(latency) = now {
            self.sum = self.sum.plus(&latency);
            self.count += 1;
        }
    }

    /// The mean of the call so far; `None` where it never was known.
    #[must_use]
    pub fn mean(&self) -> Option<Latency> {
        (self.count > 0).then(|| self.sum.over(self.count))
    }
}

/// What this machine adds to the way from its microphone to the others, as long as there was somebody else.
#[derive(Resource, Debug, Clone, Copy, Default)]
pub struct MouthToNetwork {
    sum: SendLatency,
    count: u32,
}

impl MouthToNetwork {
    pub(crate) fn note(&mut self, now: &SendLatency) {
        self.sum = self.sum.plus(now);
        self.count += 1;
    }

    /// The mean of the call so far; nothing where nobody was there.
    #[must_use]
    pub fn mean(&self) -> SendLatency {
        self.sum.over(self.count.max(1))
    }
}

/// How a peer is seen.
#[derive(Component)]
pub struct Picture {
    /// The decoder's counts, as of the last frame of the app; they stay when the peer has gone.
    pub stats: DecoderStats,
    decoder: SyncCell<Option<VideoDecoder>>,
}

impl Picture {
    pub(crate) fn new(decoder: Option<VideoDecoder>) -> Self {
        Self { stats: DecoderStats::default(), decoder: SyncCell::new(decoder) }
    }

    /// The decoder, while the peer is here.
    pub fn decoder(&mut self) -> Option<&mut VideoDecoder> {
        self.decoder.get().as_mut()
    }

    pub(crate) fn end(&mut self) {
        *self.decoder.get() = None;
    }
}

/// The newest picture of a peer, ready to be drawn: [three planes](hyperzoom_video::Picture::planes). None before the first one,
/// while its camera is off or gives no pictures ([`PeerCamera`](hyperzoom_net_plugin::PeerCamera) says which), and when the peer has gone.
///
/// It is changed when there is a newer one, and not else. The pixels are shared with the decoder: whoever draws them may keep a clone
/// for a frame or two, and copies nothing.
#[derive(Component, Debug, Clone, Default)]
pub struct NewestPicture(pub Option<hyperzoom_video::Picture>);

/// Something that happened to a device. Its text is for a person.
#[derive(Message, Debug, Clone, PartialEq, Eq)]
pub enum CaptureMessage {
    /// About the microphone or the loudspeaker.
    Sound(AudioEvent),
    /// About the camera.
    Camera(String),
    /// No more pictures come from the camera.
    CameraFailed(String),
    /// A peer's stream could not be taken on.
    Stream(String),
}

impl fmt::Display for CaptureMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sound(event) => event.fmt(f),
            Self::Camera(text) | Self::CameraFailed(text) | Self::Stream(text) => f.write_str(text),
        }
    }
}
