//! Records one person's camera and microphone for good: a master that is always in time and that no crash can take away.
//!
//! [`start`] takes the rings that camera and microphone fill, and from then on three threads run: one settles one picture a tick
//! and encodes it (H.264), one resamples the sound to the session's time and encodes it (AAC), one writes the file. The first two never
//! wait for the third, and none of them for the network, the window or the GPU.
//!
//! The file is a fragmented MP4 while it grows, each second of it synced to the disk, and becomes a plain MP4 in place when the
//! take ends. A crash, a full disk or a pulled plug at any instant leaves a file that plays up to its last second.
//! Sync tones are mixed into its sound ([`Recorder::tone_at`]), and at its end the take is held against itself: its [`SyncCertificate`].
//! Some of what was heard of the others is kept beside it ([`Recorder::set_ears`]), so that [`compare`] can look for it in theirs.
//! [`verify()`] reads a take back and says whether it holds what it claims.

mod audio_track;
mod cfr;
#[cfg(test)]
mod drift;
mod encode;
mod error;
pub mod flac;
mod folder;
mod journal;
mod ledger;
mod marker;
mod metadata;
mod mux;
mod pressure;
mod priority;
mod recorder;
mod recover;
mod report;
mod resample;
mod shared;
mod space;
mod steady;
mod sync;
mod threads;
mod tone;
mod verify;

pub use encode::{Effort, EncodedPicture, H264Encoder, ParameterSets, VideoEncoder, VideoFormat};
pub use error::{EncodeError, RecordError};
pub use folder::{
    CERTIFICATE, HEARD, HEARD_INDEX, METADATA, MICROPHONE, MICROPHONE_CLOCK, RECORDING, TIMECODES,
};
pub use journal::JOURNAL;
pub use ledger::{AudioCounts, Gap, GapKind, PictureGap, VideoCounts};
pub use marker::Marker;
pub use metadata::{MicrophoneFlac, Participant, RecordingMetadata, SessionMetadata};
pub use pressure::{PressureChange, PressureReport, PressureSource, PressureStage};
pub use recorder::{Inputs, Recorder, RecorderConfig, RecorderEvents, start};
pub use recover::{RecoverError, Recovered, find_unfinished, recover};
pub use report::{RecorderEvent, TakeProgress, TakeReport};
pub use shared::DISK_QUEUE_BYTES;
pub use sync::{
    CertifiedPoint, CertifiedTone, Comparison, Grade, HeardOffset, HeardVoice, Listened, SyncCertificate,
    compare, listen,
};
pub use tone::SyncTone;
pub use verify::{Check, Verdict, VerifyError, verify};
