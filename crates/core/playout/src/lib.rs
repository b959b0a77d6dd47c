//! Turns packets that arrive when they like into a voice that plays without a seam, as soon as possible.
//!
//! A [`Playout`] is the listener's side of one speaker. Packets go in as they arrive ([`insert`](Playout::insert));
//! the playback callback takes any number of samples out ([`pull`](Playout::pull)). In between:
//!
//! - a **jitter buffer** whose depth follows the network: many depths are simulated side by side, and the smallest wins at
//!   which no more than one packet in two hundred comes too late; quick to grow, slow to shrink;
//! - **decoding at the last moment**, in the callback, so that a packet may come as late as it can;
//! - **repair** of what is lost out of copies in later packets, for which the depth makes room while anything is lost;
//! - **concealment** of what is lost: the decoder's own for a few frames, fading into silence;
//! - **drift correction**: the speaker's sound card and this one differ by up to 300 ppm, so the sound is resampled all the
//!   time, by a ratio that keeps the depth where it should be. A frame is never dropped or repeated to catch up, but
//!   after an outage;
//! - **frames of 2.5, 5 and 10 ms**, changed from one to the next without a seam;
//! - **one cut under a crossfade** where resampling would take a minute: for what a device lost that stood still, when an
//!   outage of the network left more than the greatest depth, and once at the beginning, when the path is known;
//! - a fresh start after **silence or an outage**, at the right place.
//!
//! What was lost can be **repaired** from copies that later packets carry. A [`Reporter`] tells the speaker how it is heard,
//! and the speaker's [`RepairPolicy`] says which copies to send,
//! its [`FramePolicy`] how much sound a packet holds.
//!
//! A [`Playout`] is real-time safe: all memory is allocated in [`Playout::new`]; nothing after it allocates, frees, locks or logs.
//!
//! The parts are kept apart, so that each can be thought about alone: when the device plays what it takes (`device`);
//! what is held (`ring`); how deep it should be (`simulation`), what is too deep for small steps (`surplus`), how to get
//! there by resampling (`steer`), and `depth`, which is made of these three; what a gap sounds like (`fade`); and the
//! resampler (`stretch`). `voice` is the machine made of all but the first and the last.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod config;
mod depth;
mod device;
mod fade;
mod pace;
mod playout;
mod realign;
mod repair;
mod report;
mod ring;
mod simulation;
mod steer;
mod stretch;
mod surplus;
mod voice;

pub use config::{FrameDecoder, PlayoutConfig, PlayoutStats};
pub use pace::{FramePolicy, FrameSize, Going};
pub use playout::Playout;
pub use repair::{FURTHEST_COPY, Repair, RepairPolicy};
pub use report::{ReceiverReport, Reporter};
