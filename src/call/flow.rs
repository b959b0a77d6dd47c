//! How a call goes: waiting, talking, ending, over.
//!
//! The systems here only begin and end things. They run on the app's thread, which may be late by a frame or stand still
//! for seconds without harm: the take's first and last tick are times on the session clock, not the moment at which a system
//! ran.
#![allow(clippy::needless_pass_by_value, reason = "the ECS hands systems their parameters by value")]

use std::time::{Duration, Instant};

use bevy_ecs::message::MessageReader;
use bevy_ecs::resource::Resource;
use bevy_ecs::schedule::{IntoScheduleConfigs, ScheduleConfigs};
use bevy_ecs::system::{Query, Res, ResMut, ScheduleSystem};
use hyperzoom_audio::SoundSpec;
use hyperzoom_capture_plugin::{CaptureMessage, Pictures, Sound};
use hyperzoom_net_plugin::{JoinFailure, Membership, Net, NetMessage, Peer, Presence};
use hyperzoom_protocol::CameraState;
use hyperzoom_record_plugin::{RecordMessage, Take, TakeState};
use hyperzoom_recorder::{Inputs, Participant, RecorderConfig};
use hyperzoom_session::LeaveReason;
use hyperzoom_timing::{SharedClock, tick_time_ns};

use super::budget::{MIC_RING_SECONDS, picture_ring};
use super::hosted;
use super::markers::{self, Prompt};
use super::router;
use super::setup::CallOptions;
use crate::console::{Console, clock};
use crate::error::CommandError;
use crate::stop::Stop;

/// Ending takes no longer than this; what a recording has on disk by then is safe.
const END_LIMIT: Duration = Duration::from_secs(10);

/// Where the call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Nobody else is here yet.
    Waiting,
    /// The call began then.
    Talking { since: Duration },
    /// Everybody is told goodbye, and the take is being finished.
    Ending { since: Duration },
    /// Nothing is left to do.
    Over,
}

/// What the systems need to know of the call.
#[derive(Resource)]
pub(crate) struct Call {
    pub(crate) options: CallOptions,
    pub(super) epoch: Instant,
    pub(super) clock: SharedClock,
    pub(super) console: Console,
    pub(super) stop: Stop,
    pub(crate) phase: Phase,
    pub(crate) began: Option<Duration>,
    pub(super) ended: Option<Duration>,
    /// Why nothing is recorded, or the recording was not finished, where one was asked for.
    pub(crate) recording_error: Option<String>,
    /// Why the camera has stopped, where it has.
    pub(super) camera_error: Option<String>,
    pub(super) error: Option<CommandError>,
    /// Pictures of our own camera that whoever shows them holds at most.
    pub(super) shown: usize,
}

impl Call {
    pub(super) fn new(
        options: CallOptions,
        epoch: Instant,
        clock: SharedClock,
        console: Console,
        stop: Stop,
    ) -> Self {
        Self {
            options,
            epoch,
            clock,
            console,
            stop,
            phase: Phase::Waiting,
            began: None,
            ended: None,
            recording_error: None,
            camera_error: None,
            error: None,
            shown: 0,
        }
    }

    fn now(&self) -> Duration {
        self.epoch.elapsed()
    }
}

pub(super) fn systems() -> ScheduleConfigs<ScheduleSystem> {
    (
        announce_net,
        router::announce,
        announce_devices,
        announce_recording,
        begin,
        keep_participants,
        plan,
        markers::set,
        hosted::note,
        end,
        leave,
        show,
    )
        .chain()
}

/// Says what happened to the call's members.
fn announce_net(
    mut call: ResMut<'_, Call>,
    mut messages: MessageReader<'_, '_, NetMessage>,
    peers: Query<'_, '_, (&Peer, &Presence)>,
    take: Res<'_, Take>,
) {
    for message in messages.read() {
        let name_of = |id: &u8| {
            // A number is given anew after its first owner has left: the one who is here is meant, or who left last.
            let named = peers.iter().filter(|(p, _)| p.id == *id);
            let found = named.max_by_key(|(_, presence)| !matches!(presence, Presence::Gone(_)));
            found.map_or_else(|| format!("participant {id}"), |(p, _)| p.name.clone())
        };
        let line = match message {
            NetMessage::PeerConnected { name, rejoined, relayed, .. } => {
                let back = if *rejoined { "back" } else { "here" };
                let way =
                    if *relayed { ", by way of the host: you cannot reach each other directly" } else { "" };
                format!("{name} is {back}{way}")
            }
            NetMessage::PeerRelayed { id, relayed: true } => {
                format!("{}: by way of the host from now on, since the direct way has failed", name_of(id))
            }
            NetMessage::PeerRelayed { id, relayed: false } => {
                format!("{}: reached directly now", name_of(id))
            }
            NetMessage::PeerSilent { id } => format!("{}: nothing heard for a moment", name_of(id)),
            NetMessage::PeerBack { id } => format!("{}: heard again", name_of(id)),
            NetMessage::PeerLeft { id, reason: LeaveReason::Bye } => format!("{} has left", name_of(id)),
            NetMessage::PeerLeft { id, reason: LeaveReason::TimedOut } => {
                let recording = matches!(take.state(), TakeState::Starting | TakeState::Recording { .. });
                let goes_on = if recording { "; the recording goes on" } else { "" };
                format!("{}: disconnected (nothing heard for 5 s){goes_on}", name_of(id))
            }
            NetMessage::PeerLeft { id, reason: LeaveReason::HostLeft } => {
                format!(
                    "{}: disconnected (the host, who passed on what you said to each other, has left)",
                    name_of(id)
                )
            }
            NetMessage::Failed(failure) => {
                let why = match failure {
                    JoinFailure::Refused(reason) => format!("the host does not let you in: {reason}"),
                    JoinFailure::Unreachable => unreachable_host(&call.options),
                };
                if call.phase == Phase::Waiting {
                    call.error = Some(CommandError::Connection(why));
                    call.phase = Phase::Over;
                    continue;
                }
                // Coming back failed. The one who records goes on recording, and ends the call when it is time.
                why
            }
            NetMessage::CameraChanged { id, camera } => match camera {
                CameraState::On => format!("{}: camera on", name_of(id)),
                CameraState::Off => format!("{}: camera off", name_of(id)),
                CameraState::Lost => format!("{}: no picture comes from the camera", name_of(id)),
                CameraState::None => continue,
            },
            NetMessage::Joined
            | NetMessage::ClockReady
            | NetMessage::KeyframeRequested { .. }
            | NetMessage::AudioReported { .. }
            | NetMessage::PathReported { .. }
            | NetMessage::SyncTone { .. }
            | NetMessage::Ended => continue,
        };
        call.console.say(line);
    }
}

fn unreachable_host(options: &CallOptions) -> String {
    let addr = match &options.side {
        super::Side::Guest(invite) => invite.addr.to_string(),
        super::Side::Host { .. } => "the host".into(),
    };
    format!(
        "nobody answers at {addr}: check that the invite is whole, that the host is still waiting, and that its firewall \
         and router let UDP in at that port"
    )
}

fn announce_devices(mut call: ResMut<'_, Call>, mut messages: MessageReader<'_, '_, CaptureMessage>) {
    for message in messages.read() {
        if let CaptureMessage::CameraFailed(why) = message {
            call.camera_error = Some(why.clone());
        }
        call.console.say(message.to_string());
    }
}

fn announce_recording(
    call: Res<'_, Call>,
    prompt: Option<Res<'_, Prompt>>,
    mut messages: MessageReader<'_, '_, RecordMessage>,
) {
    for message in messages.read() {
        call.console.say(message.to_string());
        if let (RecordMessage::Started { .. }, Some(prompt)) = (message, &prompt)
            && prompt.is_terminal()
        {
            call.console.say("type a name and press Enter to set a marker");
        }
    }
}

/// The call begins, and with it the recording, when the session clock is known and somebody else is here.
fn begin(
    mut call: ResMut<'_, Call>,
    membership: Res<'_, Membership>,
    peers: Query<'_, '_, (&Peer, &Presence)>,
    mut sound: ResMut<'_, Sound>,
    mut pictures: Option<ResMut<'_, Pictures>>,
    mut take: ResMut<'_, Take>,
) {
    let somebody = peers.iter().any(|(_, presence)| *presence == Presence::Here);
    let (Some(me), Some(session_id)) = (membership.me, membership.session_id) else { return };
    if call.phase != Phase::Waiting || !membership.clock_ready || !somebody {
        return;
    }
    let mic = match (&call.options.folder, &call.options.mic) {
        (None, _) | (_, SoundSpec::None) => None,
        // Where the sound threads cannot take another command right now, the call begins a frame later.
        _ => match sound.engine().record_tap(MIC_RING_SECONDS) {
            Ok(tap) => Some(tap),
            Err(_) => return,
        },
    };
    let now = call.now();
    call.phase = Phase::Talking { since: now };
    call.began = Some(now);
    let Some(folder) = call.options.folder.clone() else { return };
    let config = RecorderConfig {
        epoch: call.epoch,
        clock: call.clock.clone(),
        folder,
        session_name: call.options.session.clone(),
        me: Participant::new(me, call.options.name.clone()),
        session_id,
        video_bitrate_kbps: RecorderConfig::BITRATE_KBPS,
        flac: call.options.flac,
        shedding: pictures.as_mut().map(|p| p.live().shedding().clone()).unwrap_or_default(),
    };
    let inputs = Inputs {
        mic,
        video: pictures.as_mut().map(|p| {
            let shape = p.camera().shape();
            (shape, p.camera().record_tap(picture_ring(shape, call.shown)))
        }),
    };
    match take.start(config, inputs) {
        Ok(()) => take.set_ears(sound.engine().ears()),
        Err(error) => {
            call.console.say(format!("NOT RECORDING: {error}"));
            call.recording_error = Some(error.to_string());
        }
    }
}

/// The take's metadata names everybody who was there.
fn keep_participants(
    call: Res<'_, Call>,
    membership: Res<'_, Membership>,
    mut take: ResMut<'_, Take>,
    mut arrivals: MessageReader<'_, '_, NetMessage>,
    mut starts: MessageReader<'_, '_, RecordMessage>,
    peers: Query<'_, '_, &Peer>,
) {
    let arrived = arrivals.read().filter(|m| matches!(m, NetMessage::PeerConnected { .. })).count() > 0;
    let started = starts.read().filter(|m| matches!(m, RecordMessage::Started { .. })).count() > 0;
    if let (true, Some(me)) = (arrived || started, membership.me) {
        let others = peers.iter().map(|p| Participant::new(p.id, p.name.clone()));
        take.set_participants(
            std::iter::once(Participant::new(me, call.options.name.clone())).chain(others).collect(),
        );
    }
}

/// The take is told its last tick as soon as its first one is known, so that it has its exact length even if this app is late.
fn plan(call: Res<'_, Call>, mut take: ResMut<'_, Take>, mut messages: MessageReader<'_, '_, RecordMessage>) {
    for message in messages.read() {
        if let (RecordMessage::Started { start_tick, .. }, Some(length)) = (message, call.options.length) {
            take.plan_end(tick_time_ns(*start_tick) + length.as_nanos() as i64);
        }
    }
}

/// The call ends when somebody asks for it, or when its time is up.
fn end(mut call: ResMut<'_, Call>, mut net: ResMut<'_, Net>, mut take: ResMut<'_, Take>) {
    let now = call.now();
    let over = match call.phase {
        Phase::Waiting => call.stop.is_asked(),
        Phase::Talking { since } => {
            let time_is_up = call.options.length.is_some_and(|length| match take.state() {
                // A recording ends by its own clock, and the call with it.
                // A disk that hangs must not keep the call from ending.
                TakeState::Starting | TakeState::Recording { .. } => now >= since + length + END_LIMIT,
                TakeState::Idle | TakeState::Ending | TakeState::Done(_) => now >= since + length,
            });
            call.stop.is_asked() || time_is_up
        }
        Phase::Ending { .. } | Phase::Over => false,
    };
    if over {
        take.end();
        net.transport().leave();
        call.ended = Some(now);
        call.phase = Phase::Ending { since: now };
    }
}

/// After the goodbyes are said and the file is closed nothing is left to do.
fn leave(mut call: ResMut<'_, Call>, membership: Res<'_, Membership>, take: Res<'_, Take>) {
    let Phase::Ending { since } = call.phase else { return };
    if membership.ended && take.is_over() {
        call.phase = Phase::Over;
    } else if call.now() >= since + END_LIMIT {
        if !take.is_over() {
            call.recording_error = Some(format!(
                "the recording could not be finished within {} s; what is on the disk plays",
                END_LIMIT.as_secs()
            ));
        }
        call.phase = Phase::Over;
    }
}

/// The line that moves on a terminal.
fn show(call: Res<'_, Call>, mut take: ResMut<'_, Take>, peers: Query<'_, '_, &Presence>) {
    match call.phase {
        Phase::Waiting => call.console.status("waiting for others (Ctrl-C ends)"),
        Phase::Talking { since } => {
            let here = 1 + peers.iter().filter(|p| !matches!(p, Presence::Gone(_))).count();
            let recording = match take.progress() {
                Some(p) if p.failed => "NOT RECORDING".into(),
                Some(p) if p.audio.dropped > 0 => format!("REC, {} samples DROPPED", p.audio.dropped),
                Some(p) if p.video.dropped > 0 => format!("REC, {} frames DROPPED", p.video.dropped),
                Some(p) => format!("REC {:.1} MB", p.bytes as f64 / 1e6),
                None => "not recording".into(),
            };
            let time = clock(call.now().saturating_sub(since));
            call.console.status(format!("{time}  {recording}  {here} people (Ctrl-C ends the call)"));
        }
        Phase::Ending { .. } | Phase::Over => call.console.status("ending"),
    }
}

#[cfg(test)]
mod tests {
    use bevy_app::{App, Update};
    use bevy_ecs::message::Messages;
    use hyperzoom_audio::FrameSize;
    use hyperzoom_protocol::Invite;
    use hyperzoom_video::CameraSpec;

    use super::*;
    use crate::call::Side;

    /// A guest's call in `phase`, that has just heard `message`.
    fn heard(phase: Phase, message: NetMessage) -> App {
        let invite = Invite { addr: ([127, 0, 0, 1], 5000).into(), key: None };
        let options = CallOptions {
            camera_may_miss: false,
            side: Side::Guest(invite),
            name: "Bob".into(),
            session: None,
            bind: None,
            length: None,
            mic: SoundSpec::None,
            speaker: SoundSpec::None,
            camera: CameraSpec::None,
            camera_off: false,
            frame: Some(FrameSize::Ms5),
            folder: None,
            flac: true,
            router_lease: None,
            markers: false,
        };
        let mut call =
            Call::new(options, Instant::now(), SharedClock::new(), Console::new(), Stop::default());
        call.phase = phase;
        let mut app = App::new();
        app.insert_resource(call)
            .init_resource::<Take>()
            .add_message::<NetMessage>()
            .add_systems(Update, announce_net);
        app.world_mut().resource_mut::<Messages<NetMessage>>().write(message);
        app.update();
        app
    }

    fn refused() -> NetMessage {
        NetMessage::Failed(JoinFailure::Refused("the session is full".into()))
    }

    #[test]
    fn a_refused_guest_is_done() {
        let app = heard(Phase::Waiting, refused());
        let call = app.world().resource::<Call>();
        assert_eq!(call.phase, Phase::Over);
        assert!(call.error.as_ref().is_some_and(|e| e.code() == 3));
    }

    #[test]
    fn a_guest_that_is_refused_when_it_wants_to_come_back_goes_on_recording() {
        let talking = Phase::Talking { since: Duration::ZERO };
        let app = heard(talking, refused());
        let call = app.world().resource::<Call>();
        assert_eq!(call.phase, talking);
        assert!(call.error.is_none());
    }
}
