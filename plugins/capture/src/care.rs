//! How the voices get through: each listener tells the speaker how it hears, and the speaker sends accordingly.
#![allow(clippy::needless_pass_by_value, reason = "the ECS hands systems their parameters by value")]

use std::time::{Duration, Instant};

use bevy_ecs::component::Component;
use bevy_ecs::message::MessageReader;
use bevy_ecs::resource::Resource;
use bevy_ecs::system::{Query, Res, ResMut};
use hyperzoom_audio::LiveStats;
use hyperzoom_congestion::{ALARM, Rung};
use hyperzoom_net_plugin::{Link, Net, NetMessage, Peer, Presence};
use hyperzoom_playout::{FramePolicy, FrameSize, Going, ReceiverReport, Repair, RepairPolicy, Reporter};
use hyperzoom_protocol::AudioReport;

use crate::{Sound, VideoCare, Voice};

/// How our voice is sent: the policies that the listeners' reports go to, and what they came to.
#[derive(Resource, Debug)]
pub struct VoiceCare {
    began: Instant,
    next: Duration,
    repair: RepairPolicy,
    /// None where the frame is as the user wants it.
    frames: Option<FramePolicy>,
    before: LiveStats,
    sent: Repair,
}

impl Default for VoiceCare {
    /// Repairs, and leaves the frame as it is.
    fn default() -> Self {
        Self {
            began: Instant::now(),
            next: Reporter::INTERVAL,
            repair: RepairPolicy::new(),
            frames: None,
            before: LiveStats::default(),
            sent: Repair::NONE,
        }
    }
}

impl VoiceCare {
    /// Repairs, and chooses the frame: the engine is to be started with [`FIRST_FRAME`](Self::FIRST_FRAME).
    #[must_use]
    pub fn choosing_frames() -> Self {
        Self { frames: Some(FramePolicy::new()), ..Self::default() }
    }

    /// The frame that a call begins with where it is [chosen](Self::choosing_frames).
    pub const FIRST_FRAME: FrameSize = FramePolicy::FIRST;

    /// Which copies our packets carry now.
    #[must_use]
    pub fn repair(&self) -> Repair {
        self.sent
    }
}

/// A queue that video has left behind is gone after this where the voice alone fits.
const DRAINED: Duration = Duration::from_millis(300);

/// Watches how a peer is heard, to tell it.
#[derive(Component, Debug, Default)]
pub(crate) struct Watch(Reporter);

/// Tells each peer, once a second, how it is heard, and holds the depth that its copies need.
pub(crate) fn report(
    net: Option<ResMut<'_, Net>>,
    sound: Option<ResMut<'_, Sound>>,
    care: Res<'_, VoiceCare>,
    mut peers: Query<'_, '_, (&Peer, &Presence, &Voice, &mut Watch)>,
) {
    let (Some(mut net), Some(mut sound)) = (net, sound) else { return };
    let now = care.began.elapsed();
    for (peer, presence, voice, mut watch) in &mut peers {
        if !matches!(presence, Presence::Gone(_))
            && let Some(report) = watch.0.observe(now, &voice.0)
        {
            net.transport().report_audio(peer.id, to_wire(report));
            sound.engine().hold_depth(peer.id, watch.0.hold());
        }
    }
}

/// Sends as the listeners' reports, the round trips and the machine's own load say.
pub(crate) fn heed(
    sound: Option<ResMut<'_, Sound>>,
    mut care: ResMut<'_, VoiceCare>,
    video: Res<'_, VideoCare>,
    mut messages: MessageReader<'_, '_, NetMessage>,
    links: Query<'_, '_, (&Peer, &Presence, &Link)>,
) {
    let Some(mut sound) = sound else { return };
    let now = care.began.elapsed();
    for message in messages.read() {
        match message {
            NetMessage::AudioReported { by, report } => {
                care.repair.handle_report(now, *by, from_wire(*report));
            }
            NetMessage::PathReported { by, report }
                if Duration::from_micros(report.queue_us.into()) >= ALARM
                    && video.off_for(*by).is_some_and(|span| span >= DRAINED) =>
            {
                if let Some(frames) = &mut care.frames {
                    let size = frames.relieve(now);
                    sound.engine().set_frame_size(size);
                }
            }
            NetMessage::PeerLeft { id, .. } | NetMessage::PeerConnected { id, .. } => {
                care.repair.forget(*id);
                if let Some(frames) = &mut care.frames {
                    frames.forget(*id);
                }
            }
            _ => {}
        }
    }
    // What a full path loses is not to be sent twice: copies would keep it full.
    let congested = video.is_congested();
    if congested && care.sent != Repair::NONE {
        tracing::debug!("no copies in live audio: a path is full");
        sound.engine().set_repair(Repair::NONE);
        care.sent = Repair::NONE;
    }
    if now < care.next {
        return;
    }
    care.next = now + Reporter::INTERVAL;
    let engine = sound.engine();
    let stats = engine.live_stats();
    let mut going = Going {
        lost_permille: care.repair.losses(now),
        busy: stats.busy.saturating_sub(care.before.busy),
        overruns: stats.overruns.saturating_sub(care.before.overruns),
        ..Going::default()
    };
    for (peer, presence, link) in &links {
        if !matches!(presence, Presence::Gone(_))
            && let Some(trip) = going.round_trip.get_mut(usize::from(peer.id))
        {
            *trip = link.0.round_trip;
        }
        if let Some(crowded) = going.crowded.get_mut(usize::from(peer.id)) {
            *crowded = !matches!(video.rung(peer.id), None | Some(Rung::Full));
        }
    }
    care.before = stats;
    if let Some(frames) = &mut care.frames {
        let (before, size) = (engine.frame_size(), frames.observe(now, &going));
        if size != before {
            tracing::info!(
                from = before.millis(),
                to = size.millis(),
                ?going,
                "the frame of live audio changes"
            );
            engine.set_frame_size(size);
        }
    }
    let wanted = care.repair.repair(now, engine.frame_size().duration());
    let repair = if congested { Repair::NONE } else { wanted };
    if repair != care.sent {
        tracing::debug!(distances = ?repair.distances, "the copies in live audio change");
        engine.set_repair(repair);
        care.sent = repair;
    }
}

fn to_wire(report: ReceiverReport) -> AudioReport {
    let ReceiverReport { lost_permille, late_permille, burst_us, depth_us, reach_us } = report;
    AudioReport { lost_permille, late_permille, burst_us, depth_us, reach_us }.clamped()
}

fn from_wire(report: AudioReport) -> ReceiverReport {
    let AudioReport { lost_permille, late_permille, burst_us, depth_us, reach_us } = report;
    ReceiverReport { lost_permille, late_permille, burst_us, depth_us, reach_us }
}

#[cfg(test)]
mod tests;
