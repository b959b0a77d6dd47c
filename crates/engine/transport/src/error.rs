//! What can go wrong with the socket.

use std::io;
use std::net::SocketAddr;

/// The socket could not be had.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// Another program has the port.
    #[error("port {port} is taken by another program: choose another one with --port, or leave --port away")]
    PortTaken {
        /// The port that was asked for.
        port: u16,
    },
    /// The address to bind to is not one of this machine's.
    #[error(
        "{addr} is not an address of this machine: give one of its own with --bind, or leave --bind away"
    )]
    NotOurs {
        /// The address that was asked for.
        addr: SocketAddr,
    },
    /// The port is one that ordinary programs may not have.
    #[error("no permission to use port {port}: choose one above 1023 with --port")]
    NotAllowed {
        /// The port that was asked for.
        port: u16,
    },
    /// Anything else that the system says.
    #[error("could not open a UDP socket on {addr}: {source}")]
    Socket {
        /// The address that was asked for.
        addr: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The receive thread could not be started.
    #[error("could not start the network thread: {0}")]
    Thread(io::Error),
}

impl TransportError {
    pub(crate) fn from_bind(addr: SocketAddr, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::AddrInUse => Self::PortTaken { port: addr.port() },
            io::ErrorKind::AddrNotAvailable => Self::NotOurs { addr },
            io::ErrorKind::PermissionDenied => Self::NotAllowed { port: addr.port() },
            _ => Self::Socket { addr, source },
        }
    }
}
