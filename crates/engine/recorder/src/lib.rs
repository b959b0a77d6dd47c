//! Records one person's camera and microphone for good: a master that is always in time and that no crash can take away.
//!
//! [`start`] takes the rings that camera and microphone fill, and from then on three threads run: one settles one picture a tick
//! and encodes it (H.264), one lays the samples on the timeline and encodes them (AAC), one writes the file. The first two never
//! wait for the third, and none of them for the network, the window or the GPU.
//!
//! The file is a fragmented MP4 while it grows, each second of it synced to the disk, and becomes a plain MP4 in place when the
//! take ends. A crash, a full disk or a pulled plug at any instant leaves a file that plays up to its last second.
//! [`verify()`] reads a take back and says whether it holds what it claims.

mod audio_track;
mod cfr;
mod encode;
mod error;
mod folder;
mod ledger;
mod metadata;
mod mux;
mod pressure;
mod priority;
mod recorder;
mod report;
mod shared;
mod space;
mod threads;
mod verify;

pub use encode::{Effort, EncodedPicture, H264Encoder, ParameterSets, VideoEncoder, VideoFormat};
pub use error::{EncodeError, RecordError};
pub use folder::{METADATA, RECORDING, TIMECODES};
pub use ledger::{AudioCounts, VideoCounts};
pub use metadata::{Participant, RecordingMetadata, SessionMetadata};
pub use pressure::{PressureChange, PressureReport, PressureSource, PressureStage};
pub use recorder::{Inputs, Recorder, RecorderConfig, RecorderEvents, start};
pub use report::{RecorderEvent, TakeProgress, TakeReport};
pub use shared::DISK_QUEUE_BYTES;
pub use verify::{Check, Verdict, VerifyError, verify};
