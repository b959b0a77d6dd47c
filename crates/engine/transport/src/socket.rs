//! The UDP socket: how it is bound, and the address that others reach it at.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};

use crate::TransportError;
use crate::receive::Wire;

/// How long a read waits at most: the receive thread's orders and timers are looked at this often.
const READ_TIMEOUT: Duration = Duration::from_millis(5);

/// A write to a full socket buffer gives up after this; the datagram counts as lost on the way.
const WRITE_TIMEOUT: Duration = Duration::from_millis(1);

/// Room for a burst of four peers' keyframes while the receive thread is not running, in bytes.
const BUFFER: usize = 1 << 20;

pub(crate) fn bind(addr: SocketAddr) -> Result<UdpSocket, TransportError> {
    let refused = |source| TransportError::from_bind(addr, source);
    let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP)).map_err(refused)?;
    // The system may grant less room than asked for: a smaller buffer is no reason not to talk.
    let _ = socket.set_recv_buffer_size(BUFFER);
    let _ = socket.set_send_buffer_size(BUFFER);
    socket.bind(&addr.into()).map_err(refused)?;
    socket.set_read_timeout(Some(READ_TIMEOUT)).map_err(refused)?;
    socket.set_write_timeout(Some(WRITE_TIMEOUT)).map_err(refused)?;
    Ok(socket.into())
}

/// The socket and the machine's clock.
pub(crate) struct SocketWire {
    pub(crate) socket: Arc<UdpSocket>,
    pub(crate) epoch: Instant,
}

impl Wire for SocketWire {
    fn now(&self) -> Duration {
        self.epoch.elapsed()
    }

    fn receive(&mut self, into: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.socket.recv_from(into)
    }

    fn send(&mut self, datagram: &[u8], to: SocketAddr) -> io::Result<()> {
        self.socket.send_to(datagram, to).map(|_| ())
    }

    fn pause(&mut self) {
        std::thread::park_timeout(READ_TIMEOUT);
    }
}

/// Which of this machine's addresses to tell others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interface {
    /// The address of one interface, which the socket is bound to.
    Bound(IpAddr),
    /// The address of the interface that leads out of this machine.
    Outward(IpAddr),
    /// There is no network: only programs on this machine can join.
    LoopbackOnly,
}

/// The address that others reach a socket at which is bound to `bound`.
///
/// Where it is bound to all interfaces, this is the address of the one with the route to the outside. Nothing is sent to
/// find that out: connecting a UDP socket only looks at the routing table.
#[must_use]
pub fn local_address(bound: IpAddr) -> Interface {
    if !bound.is_unspecified() {
        return Interface::Bound(bound);
    }
    // Addresses kept for documentation (RFC 5737, RFC 3849): routed as the internet is, and nobody's.
    let (any, outside): (SocketAddr, SocketAddr) = if bound.is_ipv4() {
        ((Ipv4Addr::UNSPECIFIED, 0).into(), (Ipv4Addr::new(192, 0, 2, 1), 9).into())
    } else {
        ((Ipv6Addr::UNSPECIFIED, 0).into(), (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1), 9).into())
    };
    let found = UdpSocket::bind(any).and_then(|s| s.connect(outside).and_then(|()| s.local_addr()));
    match found {
        Ok(addr) if !addr.ip().is_unspecified() => Interface::Outward(addr.ip()),
        _ => Interface::LoopbackOnly,
    }
}

impl Interface {
    /// The address to write into an invite.
    #[must_use]
    pub fn ip(self) -> IpAddr {
        match self {
            Self::Bound(ip) | Self::Outward(ip) => ip,
            Self::LoopbackOnly => Ipv4Addr::LOCALHOST.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_says_what_to_do() {
        let first = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let addr = first.local_addr().unwrap();
        let error = bind(addr).unwrap_err();
        assert!(matches!(error, TransportError::PortTaken { port } if port == addr.port()), "{error}");
        assert!(error.to_string().contains("--port"));
    }

    #[test]
    fn an_address_of_another_machine_is_refused() {
        let error = bind("192.0.2.7:0".parse().unwrap()).unwrap_err();
        assert!(matches!(error, TransportError::NotOurs { .. }), "{error}");
    }

    #[test]
    fn a_bound_address_is_the_one_to_tell() {
        let ip = IpAddr::from([127, 0, 0, 1]);
        assert_eq!(local_address(ip), Interface::Bound(ip));
        assert!(!local_address(Ipv4Addr::UNSPECIFIED.into()).ip().is_unspecified());
    }
}
