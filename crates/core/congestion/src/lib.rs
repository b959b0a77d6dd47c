//! How much video a path holds, so that audio never has to wait for it.
//!
//! The receiver of a voice sees a queue grow by how much later its packets come than the earliest of them did: a [`QueueMeter`] makes a
//! [`PathReport`] of that, once a second and at once when there is a queue. The sender puts the reports into a [`Ladder`], which
//! says how large the video is that everybody gets, who gets none, how fast a frame's datagrams may follow one another ([`Pacer`]),
//! and how much filling is to be sent to find out whether a path holds more.
//!
//! All times are durations since an epoch of the caller's.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod brake;
mod ladder;
mod pacer;
mod peer;
mod queue;
mod rung;
mod wire;

pub use brake::Brake;
pub use ladder::{Ladder, PEERS, UPLOAD_KBPS};
pub use pacer::{Pacer, fragment_len};
pub use peer::PeerLadder;
pub use queue::{ALARM, CLEAR, NOTICE, PAUSE, PathReport, QueueMeter, WARNING};
pub use rung::Rung;
