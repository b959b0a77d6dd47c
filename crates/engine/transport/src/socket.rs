//! The UDP socket: how it is bound, and the address that others reach it at.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyperzoom_protocol::LocalAddrs;
use socket2::{Domain, Protocol, Socket, Type};

use crate::TransportError;
use crate::receive::Wire;

/// How long a read waits at most: the receive thread's orders and timers are looked at this often.
const READ_TIMEOUT: Duration = Duration::from_millis(5);

/// A write to a full socket buffer gives up after this; the datagram counts as lost on the way.
const WRITE_TIMEOUT: Duration = Duration::from_millis(1);

/// Room for what arrives while the receive thread is not running, in bytes: many times a burst of four peers' keyframes, since what a stranger
/// sends goes in there too, and a full buffer drops the voices with it. 50 000 of his datagrams a second fill a megabyte in some 10 ms.
const RECEIVE_BUFFER: usize = 4 << 20;

/// Room for a burst of keyframes on its way out, in bytes.
const SEND_BUFFER: usize = 1 << 20;

/// Binds to `addr`. `[::]` takes IPv4 as well, where the system can do that; where it has no IPv6 at all, IPv4 alone.
pub(crate) fn bind(addr: SocketAddr) -> Result<UdpSocket, TransportError> {
    let refused = |source| TransportError::from_bind(addr, source);
    let every = addr.is_ipv6() && addr.ip().is_unspecified();
    let socket = match Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP)) {
        Ok(socket) => socket,
        Err(_) if every => return bind((Ipv4Addr::UNSPECIFIED, addr.port()).into()),
        Err(error) => return Err(refused(error)),
    };
    if every && socket.set_only_v6(false).is_err() {
        return bind((Ipv4Addr::UNSPECIFIED, addr.port()).into());
    }
    // The system may grant less room than asked for: a smaller buffer is no reason not to talk.
    let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
    let _ = socket.set_send_buffer_size(SEND_BUFFER);
    match socket.bind(&addr.into()) {
        // IPv6 is compiled in and turned off.
        Err(error) if every && error.kind() == io::ErrorKind::AddrNotAvailable => {
            return bind((Ipv4Addr::UNSPECIFIED, addr.port()).into());
        }
        bound => bound.map_err(refused)?,
    }
    socket.set_read_timeout(Some(READ_TIMEOUT)).map_err(refused)?;
    socket.set_write_timeout(Some(WRITE_TIMEOUT)).map_err(refused)?;
    Ok(socket.into())
}

/// The socket and the machine's clock.
pub(crate) struct SocketWire {
    socket: Arc<UdpSocket>,
    epoch: Instant,
    /// It is an IPv6 socket, which knows IPv4 addresses by their mapped form only.
    is_v6: bool,
}

impl SocketWire {
    pub(crate) fn new(socket: Arc<UdpSocket>, epoch: Instant, local: SocketAddr) -> Self {
        Self { socket, epoch, is_v6: local.is_ipv6() }
    }
}

/// An address without its IPv6 clothing (RFC 4291 §2.5.5.2): the session knows each peer by one form only, which others can use as well.
fn plain(addr: SocketAddr) -> SocketAddr {
    match addr.ip().to_canonical() {
        ip @ IpAddr::V4(_) => SocketAddr::new(ip, addr.port()),
        IpAddr::V6(_) => addr,
    }
}

impl Wire for SocketWire {
    fn now(&self) -> Duration {
        self.epoch.elapsed()
    }

    fn receive(&mut self, into: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.socket.recv_from(into).map(|(len, from)| (len, plain(from)))
    }

    fn send(&mut self, datagram: &[u8], to: SocketAddr) -> io::Result<()> {
        self.socket.send_to(datagram, self.native(to)).map(|_| ())
    }

    fn native(&self, addr: SocketAddr) -> SocketAddr {
        match addr {
            SocketAddr::V4(v4) if self.is_v6 => SocketAddr::new(v4.ip().to_ipv6_mapped().into(), v4.port()),
            other => other,
        }
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

/// The same for a socket that takes both families: the IPv4 address where there is one, since that is the one that everybody can use.
#[must_use]
pub fn local_address_of_both() -> Interface {
    match local_address(Ipv4Addr::UNSPECIFIED.into()) {
        Interface::LoopbackOnly => local_address(Ipv6Addr::UNSPECIFIED.into()),
        found => found,
    }
}

/// Where a socket that is bound to `bound` is within this machine's own network, for others who live there: by the interface that leads out of the
/// machine, one address of each family. Nothing where that is this machine alone.
pub(crate) fn local_addrs(bound: SocketAddr) -> LocalAddrs {
    let outward = |ip: IpAddr| match local_address(ip) {
        Interface::Bound(ip) | Interface::Outward(ip) if !ip.is_loopback() => Some(ip),
        _ => None,
    };
    let found = match bound.ip() {
        every @ IpAddr::V6(ip) if ip.is_unspecified() => {
            [outward(Ipv4Addr::UNSPECIFIED.into()), outward(every)]
        }
        ip => [outward(ip), None],
    };
    let mut addrs = LocalAddrs::default();
    for ip in found.into_iter().flatten() {
        match ip {
            IpAddr::V4(ip) => addrs.v4 = Some(SocketAddrV4::new(ip, bound.port())),
            IpAddr::V6(ip) => addrs.v6 = Some(SocketAddrV6::new(ip, bound.port(), 0, 0)),
        }
    }
    addrs
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
    fn a_socket_for_all_addresses_takes_both_families() {
        let socket = Arc::new(bind((Ipv6Addr::UNSPECIFIED, 0).into()).unwrap());
        let local = socket.local_addr().unwrap();
        let mut wire = SocketWire::new(socket, Instant::now(), local);
        // Where the system has no IPv6 the socket is one for IPv4, and still takes that.
        let families: &[IpAddr] = if local.is_ipv6() {
            &[IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)]
        } else {
            &[IpAddr::V4(Ipv4Addr::LOCALHOST)]
        };
        for ip in families {
            let other = UdpSocket::bind((*ip, 0)).unwrap();
            other.send_to(b"hello", (*ip, local.port())).unwrap();
            let mut into = [0; 16];
            let (len, from) =
                std::iter::repeat_with(|| wire.receive(&mut into)).find_map(Result::ok).unwrap();
            assert_eq!((len, from), (5, other.local_addr().unwrap()), "known by its plain address");
            wire.send(b"and back", from).unwrap();
            let (len, _) = other.recv_from(&mut into).unwrap();
            assert_eq!(&into[..len], b"and back");
        }
    }

    #[test]
    fn a_bound_address_is_the_one_to_tell() {
        let ip = IpAddr::from([127, 0, 0, 1]);
        assert_eq!(local_address(ip), Interface::Bound(ip));
        assert!(!local_address(Ipv4Addr::UNSPECIFIED.into()).ip().is_unspecified());
    }

    #[test]
    fn neighbours_are_told_of_no_address_of_this_machine_alone() {
        assert!(local_addrs("127.0.0.1:4700".parse().unwrap()).is_empty());
        assert!(local_addrs("[::1]:4700".parse().unwrap()).is_empty());
        let bound = local_addrs("192.168.1.2:4700".parse().unwrap());
        assert_eq!(bound.iter().collect::<Vec<_>>(), ["192.168.1.2:4700".parse().unwrap()]);
        let all = local_addrs((Ipv6Addr::UNSPECIFIED, 4700).into());
        assert!(all.iter().all(|addr| !addr.ip().is_loopback() && !addr.ip().is_unspecified()), "{all:?}");
        assert!(all.iter().all(|addr| addr.port() == 4700), "{all:?}");
    }
}
