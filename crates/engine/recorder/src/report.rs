//! What a take came to, while it runs and at its end.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::ledger::{AudioCounts, VideoCounts};
use crate::marker::Marker;
use crate::pressure::{PressureChange, PressureReport};
use crate::sync::SyncCertificate;

/// A running take, as of now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct TakeProgress {
    /// What became of the pictures.
    pub video: VideoCounts,
    /// What the sound consists of.
    pub audio: AudioCounts,
    /// Bytes of the file that are safe on the disk.
    pub bytes: u64,
    /// Fragments that are safe on the disk: one a second.
    pub fragments: u64,
    /// Encoded bytes that wait for the disk.
    pub queued_bytes: u64,
    /// How full the ring of pictures is, in percent.
    pub picture_ring_percent: u64,
    /// How full the ring of samples is, in percent.
    pub sound_ring_percent: u64,
    /// Whether the recording has failed and nothing is being written any more.
    pub failed: bool,
}

/// A take that is over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TakeReport {
    /// The take's folder.
    pub folder: PathBuf,
    /// The recording.
    pub file: PathBuf,
    /// The tick of its first picture.
    pub start_tick: u64,
    /// Its length in ticks of 1/30 s.
    pub ticks: u64,
    /// What became of the pictures.
    pub video: VideoCounts,
    /// What the sound consists of.
    pub audio: AudioCounts,
    /// How much faster the microphone's clock ran than the session's, in parts per million, over the take's last minute. The sound in
    /// the file is free of it: it was resampled to the session's time. `None` where it did not run long enough to tell.
    pub microphone_drift_ppm: Option<f64>,
    /// Samples in `microphone.flac`; `None` where there is no such file, or nobody could close it.
    pub flac_samples: Option<u64>,
    /// The file's size in bytes.
    pub bytes: u64,
    /// The longest that one picture took to encode, in milliseconds.
    pub slowest_picture_ms: f64,
    /// How far the recording was behind, and what was done about it.
    #[serde(default)]
    pub pressure: PressureReport,
    /// How well the take's time holds, looked for in the finished file; `None` where nobody could look.
    #[serde(default)]
    pub certificate: Option<SyncCertificate>,
    /// Whether the take ended well: all of it is there, as a plain MP4.
    pub complete: bool,
    /// What went wrong, where something did.
    pub error: Option<String>,
}

impl TakeReport {
    /// The take's length in seconds.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.ticks as f64 / f64::from(hyperzoom_media::MASTER_FPS)
    }
}

/// What a take tells while it runs.
#[derive(Debug, Clone, PartialEq)]
pub enum RecorderEvent {
    /// It runs.
    Started {
        /// Its folder.
        folder: PathBuf,
        /// The tick of its first picture.
        start_tick: u64,
    },
    /// A marker was set, and a crash does not take it away any more.
    Marked(Marker),
    /// Something a person should know; the recording goes on.
    Warning(String),
    /// The recording falls behind, or recovers; it goes on.
    Pressure(PressureChange),
    /// The recording has ended before its time. What was written stays. It is said once, and [`Finished`](Self::Finished)
    /// follows as soon as the file is closed.
    Failed(String),
    /// The take is over and its file closed.
    Finished(Box<TakeReport>),
}
