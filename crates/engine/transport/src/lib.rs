//! The one UDP socket of a call, and the thread that reads it.
//!
//! [`bind`] takes the port, and [`Bound::start`] starts the receive thread. That thread stamps each datagram as it arrives, drives
//! the [`Session`](hyperzoom_session::Session), and puts media into one ring for each peer and stream. What it has to
//! say of the call's members comes out of [`TransportEvents`].
//!
//! Outgoing media never crosses a thread: each encoder owns a [`StreamSender`], which seals a payload for every peer
//! and writes it to the socket before its call returns. Audio goes before video, by way of the [`Turn`] that both
//! senders share, and a frame's datagrams leave at the pace that the path takes. A peer whose path is full, as its reports say, gets no
//! video until the queue is gone: the receive thread sees to that by itself, however late the control plane is.
#![deny(missing_docs)]

mod error;
mod events;
mod gate;
mod handle;
mod heed;
mod inbound;
mod links;
mod orders;
mod receive;
mod resend;
mod sender;
mod socket;
mod turn;
mod upnp;

pub use error::TransportError;
pub use events::{LinkStats, PeerInbox, TransportEvent, TransportEvents};
pub use handle::{Bound, Role, Transport, bind};
pub use sender::StreamSender;
pub use socket::{Interface, local_address, local_address_of_both};
pub use turn::Turn;
pub use upnp::{LEASE, NotMapped, PortMapping, RouterEvent};
