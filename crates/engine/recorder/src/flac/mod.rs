//! `microphone.flac`: the microphone as it came, on its own clock, and the map from its samples to session time beside it.
//!
//! The master's sound is resampled onto the session clock and coded with loss. This file has neither done to it: every sample
//! of the microphone's ring, mono at 48 kHz and 24 bit, one after the other, in the device's own count. That is without loss for
//! devices of 16 and 24 bits, whose samples a 32-bit float holds exactly; a device that delivers floats is rounded to 24 bits.
//! (A device that does not run at 48 kHz, or has several channels, is converted before its samples reach any ring.)
//!
//! ```text
//! microphone.flac   fLaC | STREAMINFO | VORBIS_COMMENT | frame | frame | ...      (RFC 9639)
//! ```
//!
//! While it grows, the totals in STREAMINFO are 0, which says "unknown" (RFC 9639 §8.2). About once a second whole frames are
//! appended and synced; at the end the totals and the MD5 of the samples are filled in. A crash at any instant leaves whole frames
//! and at most one chunk that is torn, which [`recover()`] cuts off.
//!
//! # From samples to session time
//!
//! `microphone_clock.csv` has rows `flac_sample,session_ns,event`, after lines of explanation that begin with `#`:
//!
//! | event | the row says |
//! | --- | --- |
//! | `start` | when the file's first sample was captured |
//! | `tick` | once a second, and where the sound before a hole ends: when this sample was, or would have been, captured |
//! | `resumed` | samples are missing before this one (a full ring lost them, or the device was silent); from here on this holds |
//! | `end` | when the sample after the file's last would have been captured |
//!
//! The session time of a sample between two rows lies between theirs, in proportion (linear interpolation). A `resumed` row begins
//! a new stretch: nothing is interpolated across it. The `tick` before it names the same sample, and the time between the two is
//! what the file does not have. Samples behind the last row of a file that was cut off follow at the pace of its last two rows.
//!
//! To bring a stretch onto the session clock, resample it by `(flac_sample₂ − flac_sample₁) / (session_ns₂ − session_ns₁)` and put
//! its first sample at its row's time.

mod encode;
mod file;
mod frames;
mod head;
mod map;
mod recover;
mod tap;
mod whole;

pub(crate) use file::{FlacFile, Stores};
pub use recover::recover;
pub(crate) use recover::{inspect, samples_match};
pub(crate) use tap::{Chunk, FlacTap};
pub(crate) use whole::{read_whole, whole_file};

/// Bits of a sample.
pub(crate) const BITS: u32 = 24;

/// Samples of a frame; the last one may have fewer. libFLAC's own choice, and within the streamable subset (RFC 9639 §7).
pub(crate) const BLOCK: usize = 4096;

#[cfg(test)]
mod tests;
