//! Media as it crosses between threads: samples, frames and packets, and the rings that carry them.
//!
//! The crates that own devices (`hyperzoom-audio`, `hyperzoom-video`, `hyperzoom-recorder`, `hyperzoom-transport`)
//! do not know each other; they meet in these types. Nothing here owns a thread, a device or a clock: a moment is
//! a [`Duration`](std::time::Duration) since the process's epoch, an `Instant` that the program chose at its start.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod frame;
mod heard;
mod mic;
mod packet;
mod scale;
mod shedding;

pub use frame::{Frame, FramePool, FrameRef, I420, PoolEmpty};
pub use heard::{Ears, HeardPiece};
pub use mic::{CaptureMark, MicFeed, MicTap, mic_tap};
pub use packet::{AudioPacket, EncodedFrame, MediaKind, PacketSink, PacketTooLong};
pub use scale::{BLACK, Downscale, Fit};
pub use shedding::Shedding;

/// The rate of all sound inside the program, in samples a second.
pub const SAMPLE_RATE: u32 = 48_000;

/// The rate of every master recording, in frames a second (spec §4.3.1).
pub const MASTER_FPS: u32 = 30;
