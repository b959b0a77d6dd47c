//! What every tick and every sample of the file consists of, kept for the whole take, so that the counts are exact wherever it ends.
//!
//! An end may be given after it has passed, and a disk may fail: what was settled beyond the end is then no part of the counts.

mod pictures;
mod sound;

pub use pictures::{PictureGap, VideoCounts};
pub(crate) use pictures::{PictureLedger, TickEntry};
pub use sound::{AudioCounts, Gap, GapKind};
pub(crate) use sound::{Filling, SoundLedger};
