//! Keeps the membership of a call: who is in it, where they are, under which keys, and what time it is.
//!
//! A [`Session`] is the machine of one participant, host or guest. It owns no socket and no clock. Its driver
//! - gives it each datagram with the moment of its arrival ([`Session::handle_datagram`], which hands audio and video
//!   back opened, in place, and consumes everything else),
//! - calls [`Session::handle_timeout`] when [`Session::poll_timeout`] says so,
//! - and after either sends what [`Session::poll_transmit`] has and reacts to [`Session::poll_event`].
//!
//! Audio and video are sealed by the threads that make them, with [`StreamSealer`](hyperzoom_protocol::StreamSealer)s
//! built from [`Event::PeerConnected`]; the session itself seals control messages only.
//!
//! # How a call comes about
//! A guest says HELLO to the host, in the first message of a Noise handshake, again and again until WELCOME comes. The
//! host tells every member of every other, each second anew; of two guests the one with the higher number greets the
//! other in a handshake of their own, while the other sends probes, so that both their routers open. Guests whom the host hears from one
//! address seem to live behind one router, and are told as well where the other is within their network ([`Session::set_local`]).
//!
//! Two guests who have not met for [`RELAY_AFTER`] shake hands by way of the host, which then passes on what they send each other
//! ([`Session::relay`]), sealed for each other as ever. They go on looking for a direct path, and take it once three questions in a row have
//! come back over it; where one fails that worked, they come back to the host, and wait the longer before the next return.
//!
//! A host whose program was cut off is asked for by its guests as long as they are in the call; one that is started anew with the session's
//! number and key takes them in again ([`Session::resume`]).
//!
//! # Whom it believes
//! Without the invite's key nothing that is sent gets an answer or leaves a trace but a count in [`Stats`]. The
//! first message of a handshake can be recorded and played again, so it is answered once for each ephemeral key, and the one who
//! answered takes the other in only when a datagram sealed with the new keys arrives, which a recording cannot produce.
//! Handshake messages cost more to try than all else, so only so many are looked at in a second: a flood of them keeps
//! newcomers waiting, if it comes from everywhere, and takes nothing from those who talk.
//! In a session without a key a place is promised to those only who have shown that they receive where they say they are, by a cookie; and
//! what was promised to one who does not come is another's, so that nobody holds the places of a call without being in it.
//! Everybody who has the key is trusted not to pose as another participant. That goes for a host that relays as well: it has no key to what
//! it passes on, and could have only by taking each one's place in the other's handshake.
//!
//! Nobody is sent more than came from him before he has shown that he receives where he says he is: answers to handshakes are no longer
//! than their question, and a peer that seems to be elsewhere is asked there before anything goes there.
//!
//! # What others can make grow
//! Strangers: the counts in [`Stats`]. Who has the key, besides: the places of the call (`MAX_PARTICIPANTS`), handshakes that were answered
//! and wait (16), remembered ephemeral keys (1024), answers that wait to be sent (64), and one [`Event::PeerConnected`] every two
//! seconds, of which a driver may remember something each time. Everything else that a peer says has a fixed place in its link.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod admit;
mod budget;
mod claim;
mod clock;
mod config;
mod control;
mod cookie;
mod event;
mod join;
mod link;
mod neighbour;
mod peer;
mod relay;
mod resume;
mod session;
mod timers;
mod tone;

pub use config::{
    BYE_COUNT, BYE_SPACING, Config, HEARTBEAT, KEYFRAME_REQUEST_SPACING, PATH_REPORT_SPACING, RELAY_AFTER,
    RELAY_RATE, REPORT_SPACING, RESUME_WITHIN, SILENT_AFTER, TIMEOUT, TONE_LEAD, UNREACHABLE_AFTER,
};
pub use event::{Event, LeaveReason, Media, Transmit};
pub use link::PeerStats;
pub use peer::{PeerInfo, PeerState};
pub use relay::Relaying;
pub use session::{Session, Stats};
