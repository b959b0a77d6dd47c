//! What a call came to: for a script as JSON, for a person as text.

use std::path::PathBuf;

use hyperzoom_recorder::{PressureReport, SyncCertificate};
use serde::Serialize;

use crate::error::CommandError;

mod collect;
mod text;

pub(super) use collect::collect;

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
    /// Bytes that this machine, the host, passed on from it to other guests.
    pub relayed_bytes: u64,
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
