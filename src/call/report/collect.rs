//! Reads the report out of the app.

use std::time::Duration;

use bevy_ecs::world::World;
use hyperzoom_audio::{Latency, SendLatency, SoundHost, StreamShape};
use hyperzoom_capture_plugin::{MouthToEar, MouthToNetwork, Picture, Pictures, Sound, Voice};
use hyperzoom_net_plugin::{Link, Membership, Peer, Presence, Route};
use hyperzoom_record_plugin::{Take, TakeState};
use hyperzoom_recorder::TakeReport;
use hyperzoom_session::LeaveReason;

use super::{
    AudioReport, CallReport, DeviceReport, LatencyReport, LiveVideoReport, PeerReport, RecordingReport,
    SendLatencyReport, SentReport, SoundReport, VideoReport,
};
use crate::call::flow::Call;
use crate::call::router::Router;

/// Reads the report out of the app when the call is over.
pub(in crate::call) fn collect(world: &mut World) -> CallReport {
    let mut peers = Vec::new();
    let mut query = world.query::<(
        &Peer,
        &Presence,
        &Route,
        &Link,
        Option<&Voice>,
        Option<&MouthToEar>,
        Option<&Picture>,
    )>();
    for (peer, presence, route, link, voice, latency, picture) in query.iter(world) {
        let latency = latency.and_then(MouthToEar::mean);
        let report = peer_report(peer, *presence, link, voice, latency, picture);
        peers.push(PeerReport { relayed: *route == Route::Relayed, ..report });
    }
    peers.sort_by_key(|p| p.id);
    let membership = world.resource::<Membership>().clone();
    let recording = match world.resource::<Take>().state() {
        TakeState::Done(report) => Some(RecordingReport::from(report.as_ref())),
        TakeState::Idle | TakeState::Starting | TakeState::Recording { .. } | TakeState::Ending => None,
    };
    let mouth_to_network = world.resource::<MouthToNetwork>().mean();
    let mut sound = world.resource_mut::<Sound>();
    let (shape, live) = (sound.engine().describe(), sound.engine().live_stats());
    let sound = SoundReport {
        mic: shape.mic.map(DeviceReport::from),
        speaker: shape.speaker.map(DeviceReport::from),
        frames_sent: live.sent_frames,
        live_samples_lost: live.lost_live_samples,
        latency: mouth_to_network.into(),
    };
    let live_video = world.get_resource_mut::<Pictures>().map(|mut pictures| {
        let live = pictures.live().stats();
        LiveVideoReport {
            sent: live.sent,
            left_out: live.left_out + live.failed,
            shed_seconds: round(live.shed.as_secs_f64()),
        }
    });
    let call = world.resource::<Call>();
    let duration = call.began.zip(call.ended).map_or(0.0, |(began, ended)| (ended - began).as_secs_f64());
    CallReport {
        name: call.options.name.clone(),
        id: membership.me,
        session_id: membership.session_id.map(|id| format!("{id:016x}")),
        external_address: world.resource::<Router>().reported().map(|addr| addr.to_string()),
        duration_seconds: round(duration),
        sound,
        peers,
        live_video,
        recording,
        recording_error: call.recording_error.clone(),
        camera_error: call.camera_error.clone(),
    }
}

fn peer_report(
    peer: &Peer,
    presence: Presence,
    link: &Link,
    voice: Option<&Voice>,
    latency: Option<Latency>,
    picture: Option<&Picture>,
) -> PeerReport {
    let link = link.0;
    let voice = voice.map(|v| v.0).unwrap_or_default();
    let picture = picture.map(|p| p.stats).unwrap_or_default();
    let round_trip_ms = link.round_trip.map(|t| t.as_secs_f64() * 1e3);
    PeerReport {
        id: peer.id,
        name: peer.name.clone(),
        state: match presence {
            Presence::Here => "here",
            Presence::Silent => "silent",
            Presence::Gone(LeaveReason::Bye) => "left",
            Presence::Gone(LeaveReason::TimedOut | LeaveReason::HostLeft) => "disconnected",
        },
        relayed: false,
        relayed_bytes: link.relayed_bytes,
        round_trip_ms: round_trip_ms.map(round),
        one_way_ms: round_trip_ms.map(|ms| round(ms / 2.0)),
        latency: latency.map(LatencyReport::from),
        sent: SentReport {
            audio: link.audio_sent,
            video: link.video_sent,
            video_again: link.video_resent,
            bytes: link.bytes_sent,
        },
        audio: AudioReport {
            received: link.audio_received,
            lost: voice.lost,
            late: voice.late,
            repaired: voice.repaired,
            concealed: voice.concealed_frames,
            jitter_buffer_ms: round(voice.depth.as_secs_f64() * 1e3),
            resample_ppm: voice.resample_ppm,
        },
        video: VideoReport {
            received: link.video_received,
            lost: link.video_lost,
            repaired: link.video_repaired,
            keyframes_asked: link.keyframes_asked,
            frames: link.video_frames,
            decoded: picture.decoded,
            skipped: picture.skipped,
            failed: picture.failed,
        },
    }
}

impl From<SendLatency> for SendLatencyReport {
    fn from(it: SendLatency) -> Self {
        Self { capture_ms: ms(it.capture), encode_ms: ms(it.encode), send_ms: ms(it.send) }
    }
}

impl From<Latency> for LatencyReport {
    fn from(it: Latency) -> Self {
        Self {
            mouth_to_ear_ms: ms(it.total()),
            transit_ms: ms(it.transit),
            clock_bound_ms: ms(it.clock_bound),
            jitter_buffer_ms: ms(it.jitter_buffer),
            codec_ms: ms(it.codec),
            resampler_ms: ms(it.resampler),
            device_ms: ms(it.device),
        }
    }
}

impl From<StreamShape> for DeviceReport {
    fn from(shape: StreamShape) -> Self {
        Self {
            name: shape.device,
            system: shape.host.map(SoundHost::prefix),
            sample_rate: shape.rate,
            channels: shape.channels,
            period: shape.period,
        }
    }
}

impl From<&TakeReport> for RecordingReport {
    fn from(take: &TakeReport) -> Self {
        Self {
            folder: take.folder.clone(),
            duration_seconds: round(take.seconds()),
            bytes: take.bytes,
            complete: take.complete,
            error: take.error.clone(),
            frames_captured: take.video.captured,
            frames_written: take.video.written,
            frames_duplicated: take.video.duplicated,
            frames_black: take.video.black,
            frames_decimated: take.video.decimated,
            frames_dropped: take.video.dropped,
            samples_written: take.audio.written,
            samples_dropped: take.audio.dropped,
            samples_silent: take.audio.silence,
            gaps: take.audio.gaps,
            flac_samples: take.flac_samples,
            pressure: take.pressure,
            slowest_picture_ms: round(take.slowest_picture_ms),
            microphone_drift_ppm: take.microphone_drift_ppm.map(round),
            certificate: take.certificate.clone(),
        }
    }
}

fn ms(time: Duration) -> f64 {
    round(time.as_secs_f64() * 1e3)
}

/// To a thousandth: what these machines can measure, and no more.
fn round(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}
