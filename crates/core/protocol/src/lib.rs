//! What the datagrams of a call look like, and how they are kept secret and authentic.
//!
//! Every datagram is a 12-byte [`Header`] (spec §5.4) and a payload, at most [`MAX_DATAGRAM`] bytes together. There are
//! three [`Stream`]s, each with its own sequence numbers: control, audio and video. A pair of participants first runs a
//! Noise handshake keyed by the invite ([`Initiator`], [`Responder`]), in control datagrams whose payload begins with
//! an [`Envelope`] byte; from then on all of their datagrams are sealed ([`StreamSealer`], [`StreamOpener`]).
//!
//! Every byte from the network is taken as hostile: parsers return errors, never panic, and allocate nothing by a
//! length that they were told.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod control;
mod cookie;
mod fragment;
mod header;
mod index;
mod invite;
mod missing;
mod name;
mod noise;
mod open;
mod reassemble;
mod relay;
mod seal;

pub use control::{
    AudioReport, CameraState, Capabilities, Control, ControlError, Filling, Greet, Greeted, Hello,
    LocalAddrs, MAX_PARTICIPANTS, Nack, Neighbour, PROTOCOL_VERSION, PathReport, PeerEntry, Refusal, Welcome,
};
pub use cookie::{COOKIE_LEN, Cookie, CookieKey, cookie_datagram};
pub use fragment::{FrameTooLong, fragments, fragments_of};
pub use header::{HEADER_LEN, Header, HeaderError, PacketType, UNASSIGNED};
pub use invite::{Invite, InviteError, InviteKey};
pub use missing::VideoNack;
pub use name::{Name, NameError};
pub use noise::{
    Envelope, HELLO_LEN, HandshakeError, Initiator, PairKeys, Received, Responder, probe, unguessable,
};
pub use open::{OpenError, Opened, OpenedAt, StreamOpener};
pub use reassemble::{Reassembled, Reassembler, ReassemblyLimits, ReassemblyStats};
pub use relay::{RELAY_OVERHEAD, RelayOpener, RelaySealer, RelaySide, RelayWay};
pub use seal::{MAX_SILENT_SKIPS, SecretKey, Stream, StreamSealer};

/// The longest datagram, in bytes of UDP payload: with IPv6 and UDP headers it stays under the 1280 bytes that every
/// IPv6 link carries (RFC 8200 §5), so no router fragments it.
pub const MAX_DATAGRAM: usize = 1200;

/// Bytes that sealing adds to a payload: the Poly1305 tag (RFC 8439 §2.8).
pub const TAG_LEN: usize = 16;

/// The longest payload of an audio or video datagram, in bytes. With the envelope of a relay the datagram is [`MAX_DATAGRAM`] bytes long:
/// whatever is sealed for a peer can take either way to it, also when it is sent once more.
pub const MAX_PAYLOAD: usize = MAX_DATAGRAM - HEADER_LEN - TAG_LEN - RELAY_OVERHEAD;

/// The longest payload of a sealed control datagram, in bytes: one less than [`MAX_PAYLOAD`], for the
/// [`Envelope`] byte.
pub const MAX_CONTROL: usize = MAX_PAYLOAD - 1;
