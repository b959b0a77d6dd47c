//! What a call came to: for a script as JSON, for a person as text.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use bevy_ecs::world::World;
use hyperzoom_audio::{Latency, SendLatency, SoundHost, StreamShape};
use hyperzoom_capture_plugin::{MouthToEar, MouthToNetwork, Picture, Pictures, Sound, Voice};
use hyperzoom_net_plugin::{Link, Membership, Peer, Presence, Route};
use hyperzoom_record_plugin::{Take, TakeState};
use hyperzoom_recorder::{PressureReport, SyncCertificate, TakeReport};
use hyperzoom_session::LeaveReason;
use serde::Serialize;

use super::flow::Call;
use super::router::Router;
use crate::error::CommandError;

/// The report of one participant's call.
#[derive(Debug, Clone, Serialize)]
pub struct CallReport {
    /// The participant's name.
    pub name: String,
    /// Its participant id, where it got one.
    pub id: Option<u8>,
    /// The session, in hexadecimal.
    pub session_id: Option<String>,
    /// How long the call was, in seconds.
    pub duration_seconds: f64,
    /// Where the router lets others in; none where it was not asked, or does not.
    pub external_address: Option<String>,
    /// Its microphone and loudspeaker.
    pub sound: SoundReport,
    /// Everybody else who was there.
    pub peers: Vec<PeerReport>,
    /// What became of the live picture; none without a camera.
    pub live_video: Option<LiveVideoReport>,
    /// The recording, where there was one.
    pub recording: Option<RecordingReport>,
    /// Why there was none, or why it was not finished, where one was asked for.
    pub recording_error: Option<String>,
    /// Why the camera stopped before the end, where it did.
    pub camera_error: Option<String>,
}

/// A call's devices.
#[derive(Debug, Clone, Serialize)]
pub struct SoundReport {
    /// The microphone; none while it is lost.
    pub mic: Option<DeviceReport>,
    /// The loudspeaker; none while it is lost.
    pub speaker: Option<DeviceReport>,
    /// Frames of live audio that were encoded and sent.
    pub frames_sent: u64,
    /// Microphone samples that the live path lost.
    pub live_samples_lost: u64,
    /// What this computer added to the way from its microphone to the others: the mean of the call.
    pub latency: SendLatencyReport,
}

/// What the speaker's computer adds to a frame of live audio, in milliseconds.
#[derive(Debug, Clone, Serialize)]
pub struct SendLatencyReport {
    /// The age of its first sample when it is taken: its own length, what of the device's period comes after it, and waking up.
    pub capture_ms: f64,
    /// Opus.
    pub encode_ms: f64,
    /// Sealing, and handing the datagram to the system.
    pub send_ms: f64,
}

impl From<SendLatency> for SendLatencyReport {
    fn from(it: SendLatency) -> Self {
        Self { capture_ms: ms(it.capture), encode_ms: ms(it.encode), send_ms: ms(it.send) }
    }
}

/// The way from a peer's mouth to this ear, in milliseconds.
#[derive(Debug, Clone, Serialize)]
pub struct LatencyReport {
    /// All of it.
    pub mouth_to_ear_ms: f64,
    /// From the capture of a frame's first sample to the arrival here: what the peer's computer adds, and the network.
    pub transit_ms: f64,
    /// How far the session clock may be off, and `transit_ms` with it.
    pub clock_bound_ms: f64,
    /// From the arrival to the place in the sound that the loudspeaker's callback takes.
    pub jitter_buffer_ms: f64,
    /// Opus's lookahead.
    pub codec_ms: f64,
    /// Resampling.
    pub resampler_ms: f64,
    /// What the loudspeaker plays before, as the sound system says.
    pub device_ms: f64,
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

/// The live picture that the others see.
#[derive(Debug, Clone, Serialize)]
pub struct LiveVideoReport {
    /// Pictures that were sent.
    pub sent: u64,
    /// Pictures that the rate control left out, or that could not be encoded.
    pub left_out: u64,
    /// How long it was given up since the recording needed the computer, in seconds: the others saw it stand still.
    pub shed_seconds: f64,
}

/// One device.
#[derive(Debug, Clone, Serialize)]
pub struct DeviceReport {
    /// Its name.
    pub name: String,
    /// The sound system that owns it: none for a file, a tone or nothing.
    pub system: Option<&'static str>,
    /// Samples a second.
    pub sample_rate: u32,
    /// Channels.
    pub channels: u16,
    /// Samples of a period, where the system says.
    pub period: Option<u32>,
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

/// One peer.
#[derive(Debug, Clone, Serialize)]
pub struct PeerReport {
    /// Its participant id.
    pub id: u8,
    /// Its name.
    pub name: String,
    /// `here`, `silent`, `left` or `disconnected`, at the end.
    pub state: &'static str,
    /// Whether what went between the two went by way of the host at the end.
    pub relayed: bool,
    /// The smoothed round trip, in milliseconds.
    pub round_trip_ms: Option<f64>,
    /// How long a datagram takes one way: half the round trip, in milliseconds.
    pub one_way_ms: Option<f64>,
    /// How long its voice was on its way from its mouth to this ear, the mean of the call; none where it was not heard.
    pub latency: Option<LatencyReport>,
    /// What was sent to it.
    pub sent: SentReport,
    /// What it said.
    pub audio: AudioReport,
    /// What it showed.
    pub video: VideoReport,
}

/// What was sent to a peer.
#[derive(Debug, Clone, Serialize)]
pub struct SentReport {
    /// Datagrams of audio.
    pub audio: u64,
    /// Datagrams of video.
    pub video: u64,
    /// Datagrams of video that were sent once more, since they had not arrived.
    pub video_again: u64,
    /// Bytes, without IP and UDP.
    pub bytes: u64,
}

/// A peer's voice.
#[derive(Debug, Clone, Serialize)]
pub struct AudioReport {
    /// Datagrams received.
    pub received: u64,
    /// Frames whose datagram never came; those of a muted microphone were not sent, and do not count.
    pub lost: u64,
    /// Frames that came too late to be played.
    pub late: u64,
    /// Frames that a copy in a later datagram replaced.
    pub repaired: u64,
    /// Frames that were made up.
    pub concealed: u64,
    /// The jitter buffer's depth, in milliseconds.
    pub jitter_buffer_ms: f64,
    /// How much faster than its own clock the voice is played, in parts per million.
    pub resample_ppm: f32,
}

/// A peer's picture.
#[derive(Debug, Clone, Serialize)]
pub struct VideoReport {
    /// Datagrams received.
    pub received: u64,
    /// Datagrams that never came.
    pub lost: u64,
    /// Datagrams that came after they had been asked for.
    pub repaired: u64,
    /// How often a keyframe was asked for, since something was lost for good.
    pub keyframes_asked: u64,
    /// Frames that became whole.
    pub frames: u64,
    /// Pictures decoded.
    pub decoded: u64,
    /// Frames left out since their reference was missing.
    pub skipped: u64,
    /// Frames that would not decode.
    pub failed: u64,
}

/// The recording.
#[derive(Debug, Clone, Serialize)]
pub struct RecordingReport {
    /// The take's folder.
    pub folder: PathBuf,
    /// The length of the file, in seconds.
    pub duration_seconds: f64,
    /// Size of the file.
    pub bytes: u64,
    /// Whether the file is whole and a plain MP4.
    pub complete: bool,
    /// What went wrong.
    pub error: Option<String>,
    /// Pictures that the camera captured.
    pub frames_captured: u64,
    /// Pictures in the file.
    pub frames_written: u64,
    /// Of these, repetitions.
    pub frames_duplicated: u64,
    /// Of the repetitions, those that are black: the camera had not delivered anything yet, or nothing for two seconds.
    pub frames_black: u64,
    /// Pictures left out since the camera is faster than the file.
    pub frames_decimated: u64,
    /// Pictures lost.
    pub frames_dropped: u64,
    /// Samples in the file.
    pub samples_written: u64,
    /// Samples lost.
    pub samples_dropped: u64,
    /// Samples of silence where the device had a gap.
    pub samples_silent: u64,
    /// How many such gaps there were.
    pub gaps: u64,
    /// Samples in the microphone's own file; none where there is no such file.
    pub flac_samples: Option<u64>,
    /// How far the recording was behind, and what was done about it.
    pub pressure: PressureReport,
    /// The longest that one picture took to encode, in milliseconds.
    pub slowest_picture_ms: f64,
    /// How much faster than the session clock the microphone ran, in parts per million; none for a short take.
    pub microphone_drift_ppm: Option<f64>,
    /// How well the take's time holds; none where nobody could look.
    pub certificate: Option<SyncCertificate>,
}

impl CallReport {
    /// What was not as it was asked for, where anything was not: a device or the disk failed, or the recording lost something.
    #[must_use]
    pub fn failure(&self) -> Option<CommandError> {
        if let Some(error) = &self.recording_error {
            return Some(CommandError::Device(format!("not recorded as asked for: {error}")));
        }
        if let Some(error) = &self.camera_error {
            return Some(CommandError::Device(error.clone()));
        }
        let recording = self.recording.as_ref()?;
        if let Some(error) = &recording.error {
            return Some(CommandError::Device(format!("the recording ended before its time: {error}")));
        }
        if recording.frames_dropped > 0 || recording.samples_dropped > 0 {
            return Some(CommandError::Failed(format!(
                "the recording lost {} frames and {} samples: close other programs, or record on a faster disk",
                recording.frames_dropped, recording.samples_dropped
            )));
        }
        let unfinished =
            || CommandError::Failed("the recording was not finished; what is on the disk plays".into());
        (!recording.complete).then(unfinished)
    }
}

impl fmt::Display for CallReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "call      {:.1} s", self.duration_seconds)?;
        for peer in &self.peers {
            let trip = peer.round_trip_ms.map_or_else(|| "?".into(), |ms| format!("{ms:.1}"));
            writeln!(
                f,
                "{:<9} {}{}; round trip {trip} ms, jitter buffer {:.1} ms; audio: {} received, {} lost, {} concealed; video: {} pictures",
                peer.name,
                peer.state,
                if peer.relayed { ", by way of the host" } else { "" },
                peer.audio.jitter_buffer_ms,
                peer.audio.received,
                peer.audio.lost,
                peer.audio.concealed,
                peer.video.decoded,
            )?;
            if let Some(it) = &peer.latency {
                writeln!(
                    f,
                    "          mouth to ear {:.1} ms: microphone to network and here {:.1}, jitter buffer {:.1}, codec {:.1}, resampling {:.1}, loudspeaker {:.1}",
                    it.mouth_to_ear_ms,
                    it.transit_ms,
                    it.jitter_buffer_ms,
                    it.codec_ms,
                    it.resampler_ms,
                    it.device_ms,
                )?;
            }
        }
        if let Some(live) = self.live_video.as_ref().filter(|live| live.shed_seconds > 0.0) {
            writeln!(
                f,
                "live      paused for {:.1} s: the recording needed the computer",
                live.shed_seconds
            )?;
        }
        match &self.recording {
            None => writeln!(f, "recording none"),
            Some(r) => {
                writeln!(
                    f,
                    "recording {:.1} s, {:.1} MB: {}",
                    r.duration_seconds,
                    r.bytes as f64 / 1e6,
                    r.folder.display()
                )?;
                if let Some(certificate) = &r.certificate {
                    writeln!(f, "sync      {}", certificate.line())?;
                }
                if r.frames_captured + r.frames_written == 0 {
                    return Ok(());
                }
                writeln!(
                    f,
                    "frames    {} captured, {} written, {} duplicated ({} black), {} decimated, {} dropped",
                    r.frames_captured,
                    r.frames_written,
                    r.frames_duplicated,
                    r.frames_black,
                    r.frames_decimated,
                    r.frames_dropped
                )
            }
        }
    }
}

/// Reads the report out of the app when the call is over.
pub(super) fn collect(world: &mut World) -> CallReport {
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
