//! What peers, streams and engines do, as plain components: for who looks inside of a running call.
//!
//! They are on entities of their own ([`Mirror`]), which follow the call's: the window's app is another one, on another thread, and what
//! is changed from outside changes nothing in the call.

use std::collections::HashMap;

use bevy::prelude::{Component, Name, Reflect, ReflectComponent};
use bevy_app::App;
use bevy_ecs::entity::Entity;
use bevy_ecs::world::World;
use hyperzoom_audio::StreamShape;
use hyperzoom_capture_plugin::{Pictures, Sound};
use hyperzoom_record_plugin::Take;
use hyperzoom_sync_plugin::Clock;

use super::on_air::Person;

/// Somebody else in the call.
#[derive(Component, Reflect, Debug, Clone, PartialEq, Default)]
#[reflect(Component)]
#[type_path = "hyperzoom"]
pub struct Participant {
    /// Its participant id.
    pub id: u8,
    /// Here, silent, or gone and why.
    pub presence: String,
    /// Directly, or by way of the host.
    pub route: String,
    /// What it says of its camera.
    pub camera: String,
}

/// The voice that comes from somebody.
#[derive(Component, Reflect, Debug, Clone, PartialEq, Default)]
#[reflect(Component)]
#[type_path = "hyperzoom"]
pub struct VoiceStream {
    /// Packets.
    pub received: u64,
    /// Packets that never came, those among them that copies made good included.
    pub lost: u64,
    /// Packets that copies made good.
    pub repaired: u64,
    /// Frames that had to be made up.
    pub concealed_frames: u64,
    /// How deep the jitter buffer is, in ms.
    pub buffer_ms: f32,
    /// How deep it wants to be, in ms.
    pub target_ms: f32,
    /// How much faster than it came it is played, in parts per million.
    pub resample_ppm: f32,
    /// From mouth to ear, in ms.
    pub mouth_to_ear_ms: Option<f32>,
}

/// The pictures that come from somebody, and go there.
#[derive(Component, Reflect, Debug, Clone, PartialEq, Default)]
#[reflect(Component)]
#[type_path = "hyperzoom"]
pub struct PictureStream {
    /// Width and height of the newest one.
    pub size: Option<(u32, u32)>,
    /// Frames that became whole.
    pub frames: u64,
    /// Datagrams that never arrived.
    pub lost_datagrams: u64,
    /// What is sent there: height, and pictures a second. `Some(None)`: none.
    pub sent: Option<Option<(u32, u32)>>,
}

/// The way to somebody and back.
#[derive(Component, Reflect, Debug, Clone, PartialEq, Default)]
#[reflect(Component)]
#[type_path = "hyperzoom"]
pub struct NetworkLink {
    /// There and back, in ms.
    pub round_trip_ms: Option<f32>,
    /// Bytes of media.
    pub bytes_sent: u64,
    /// Bytes of media.
    pub bytes_received: u64,
    /// Datagrams that this machine's network did not take.
    pub refused: u64,
    /// Packets thrown away, since nobody took them out of their ring in time.
    pub overflowed: u64,
}

/// A microphone or a loudspeaker.
#[derive(Component, Reflect, Debug, Clone, PartialEq, Default)]
#[reflect(Component)]
#[type_path = "hyperzoom"]
pub struct SoundDevice {
    /// Its name.
    pub device: String,
    /// Samples a second.
    pub rate: u32,
    /// Channels.
    pub channels: u16,
    /// Samples of a period.
    pub period: Option<u32>,
}

/// The thread that encodes and sends the voice.
#[derive(Component, Reflect, Debug, Clone, PartialEq, Default)]
#[reflect(Component)]
#[type_path = "hyperzoom"]
pub struct VoiceEncoder {
    /// We are not heard.
    pub muted: bool,
    /// The length of a frame, in ms.
    pub frame_ms: f32,
    /// Frames that went out.
    pub sent_frames: u64,
    /// Samples that this path lost.
    pub lost_samples: u64,
    /// The longest that encoding, sealing and sending a frame took, in ms.
    pub slowest_ms: f32,
}

/// The camera.
#[derive(Component, Reflect, Debug, Clone, PartialEq, Default)]
#[reflect(Component)]
#[type_path = "hyperzoom"]
pub struct CameraEngine {
    /// What it is, and its mode.
    pub device: String,
    /// The others see it.
    pub on: bool,
    /// How it is.
    pub state: String,
    /// Why it gives no pictures.
    pub fault: Option<String>,
}

/// The recorder.
#[derive(Component, Reflect, Debug, Clone, PartialEq, Default)]
#[reflect(Component)]
#[type_path = "hyperzoom"]
pub struct RecorderEngine {
    /// Pictures in the file.
    pub pictures_written: u64,
    /// Pictures repeated, since the camera was late.
    pub pictures_repeated: u64,
    /// Pictures lost.
    pub pictures_dropped: u64,
    /// Samples in the file.
    pub samples_written: u64,
    /// Samples lost.
    pub samples_dropped: u64,
    /// Bytes that are safe on the disk.
    pub bytes: u64,
    /// How full its rings are, in percent: pictures, sound.
    pub rings_percent: (u64, u64),
}

/// The session's clock.
#[derive(Component, Reflect, Debug, Clone, PartialEq, Default)]
#[reflect(Component)]
#[type_path = "hyperzoom"]
pub struct SessionTime {
    /// It is known.
    pub known: bool,
    /// How far it may be off, in ms.
    pub bound_ms: Option<f32>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "each says what it is")]
pub enum Part {
    Participant(Participant),
    VoiceStream(VoiceStream),
    PictureStream(PictureStream),
    NetworkLink(NetworkLink),
    SoundDevice(SoundDevice),
    VoiceEncoder(VoiceEncoder),
    CameraEngine(CameraEngine),
    RecorderEngine(RecorderEngine),
    SessionTime(SessionTime),
}

/// An entity: its name, and what it is made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Readout {
    /// As it is shown. Never the same for two of them.
    pub name: String,
    /// Never two of a kind.
    pub parts: Vec<Part>,
}

/// Makes the components known to who asks for them by their names.
pub(crate) fn register(app: &mut App) {
    app.register_type::<Name>()
        .register_type::<Participant>()
        .register_type::<VoiceStream>()
        .register_type::<PictureStream>()
        .register_type::<NetworkLink>()
        .register_type::<SoundDevice>()
        .register_type::<VoiceEncoder>()
        .register_type::<CameraEngine>()
        .register_type::<RecorderEngine>()
        .register_type::<SessionTime>();
}

/// An entity that stands for one of the call's.
#[derive(Component)]
pub(crate) struct Mirrored;

/// Entities that do as those of a call did last, by their names.
#[derive(Default)]
pub(crate) struct Mirror(HashMap<String, Entity>);

impl Mirror {
    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Brings `world` to what was read out: who is gone goes, who is new comes, and everybody's components are as they are now.
    pub(crate) fn follow(&mut self, world: &mut World, readouts: Vec<Readout>) {
        self.0.retain(|name, entity| {
            let is_there = readouts.iter().any(|readout| readout.name == *name);
            if !is_there {
                world.despawn(*entity);
            }
            is_there
        });
        for Readout { name, parts } in readouts {
            let spawn = || world.spawn((Mirrored, Name::new(name.clone()))).id();
            let entity = *self.0.entry(name.clone()).or_insert_with(spawn);
            let Ok(mut entity) = world.get_entity_mut(entity) else { continue };
            for part in parts {
                match part {
                    Part::Participant(part) => entity.insert(part),
                    Part::VoiceStream(part) => entity.insert(part),
                    Part::PictureStream(part) => entity.insert(part),
                    Part::NetworkLink(part) => entity.insert(part),
                    Part::SoundDevice(part) => entity.insert(part),
                    Part::VoiceEncoder(part) => entity.insert(part),
                    Part::CameraEngine(part) => entity.insert(part),
                    Part::RecorderEngine(part) => entity.insert(part),
                    Part::SessionTime(part) => entity.insert(part),
                };
            }
        }
    }
}

/// Everybody and everything in a call.
pub(super) fn all(world: &mut World, people: &[Person]) -> Vec<Readout> {
    let mut all: Vec<Readout> = people.iter().map(of_person).collect();
    all.extend(of_engines(world));
    all
}

fn of_person(person: &Person) -> Readout {
    let (voice, link) = (person.voice.unwrap_or_default().0, &person.link.0);
    let ms = |time: std::time::Duration| time.as_secs_f32() * 1e3;
    let participant = Participant {
        id: person.id,
        presence: format!("{:?}", person.presence),
        route: format!("{:?}", person.route),
        camera: person.camera.map_or_else(String::new, |camera| format!("{camera:?}")),
    };
    let voice = VoiceStream {
        received: voice.received,
        lost: voice.lost,
        repaired: voice.repaired,
        concealed_frames: voice.concealed_frames,
        buffer_ms: ms(voice.depth),
        target_ms: ms(voice.target),
        resample_ppm: voice.resample_ppm,
        mouth_to_ear_ms: person.ear_ms(),
    };
    let pictures = PictureStream {
        size: person.picture.as_ref().map(|picture| (picture.shape().width, picture.shape().height)),
        frames: link.video_frames,
        lost_datagrams: link.video_lost,
        sent: person.sent,
    };
    let network = NetworkLink {
        round_trip_ms: link.round_trip.map(ms),
        bytes_sent: link.bytes_sent,
        bytes_received: link.bytes_received,
        refused: link.send_refused,
        overflowed: link.overflowed,
    };
    Readout {
        name: format!("{} ({})", person.name, person.id),
        parts: vec![
            Part::Participant(participant),
            Part::VoiceStream(voice),
            Part::PictureStream(pictures),
            Part::NetworkLink(network),
        ],
    }
}

fn of_engines(world: &mut World) -> Vec<Readout> {
    let one = |name: &str, parts: Vec<Part>| Readout { name: name.into(), parts };
    let mut all = Vec::new();
    let mut sound = world.resource_mut::<Sound>();
    let engine = sound.engine();
    let (live, devices) = (engine.live_stats(), engine.describe());
    let encoder = VoiceEncoder {
        muted: engine.is_muted(),
        frame_ms: engine.frame_size().duration().as_secs_f32() * 1e3,
        sent_frames: live.sent_frames,
        lost_samples: live.lost_live_samples,
        slowest_ms: live.slowest_frame.as_secs_f32() * 1e3,
    };
    let device = |shape: StreamShape| {
        Part::SoundDevice(SoundDevice {
            device: shape.device,
            rate: shape.rate,
            channels: shape.channels,
            period: shape.period,
        })
    };
    let microphone = devices.mic.map(device).into_iter().chain([Part::VoiceEncoder(encoder)]);
    all.push(one("Microphone", microphone.collect()));
    all.extend(devices.speaker.map(|shape| one("Loudspeaker", vec![device(shape)])));
    if let Some(mut pictures) = world.get_resource_mut::<Pictures>() {
        let camera = CameraEngine {
            device: pictures.camera().describe().to_owned(),
            on: pictures.is_on(),
            state: format!("{:?}", pictures.state()),
            fault: pictures.fault().map(str::to_owned),
        };
        all.push(one("Camera", vec![Part::CameraEngine(camera)]));
    }
    if let Some(take) = world.resource_mut::<Take>().progress() {
        let recorder = RecorderEngine {
            pictures_written: take.video.written,
            pictures_repeated: take.video.duplicated,
            pictures_dropped: take.video.dropped,
            samples_written: take.audio.written,
            samples_dropped: take.audio.dropped,
            bytes: take.bytes,
            rings_percent: (take.picture_ring_percent, take.sound_ring_percent),
        };
        all.push(one("Recorder", vec![Part::RecorderEngine(recorder)]));
    }
    let clock = world.resource::<Clock>();
    let time = SessionTime {
        known: clock.known().is_some(),
        bound_ms: clock.bound().map(|bound| bound.as_secs_f32() * 1e3),
    };
    all.push(one("Session clock", vec![Part::SessionTime(time)]));
    all
}
