//! Two guests in one home.
//!
//! The host hears both from the one address of their router, and many routers do not lead back in what somebody within sends to that address
//! ("hairpinning", RFC 4787 §6). So guests tell the host where they are within their own network. It passes that on to those whom it hears from
//! the same address and to nobody else, and they try it beside the public one.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use hyperzoom_protocol::{Control, LocalAddrs, Neighbour};

use crate::config::{INTRODUCTION_HOLDS, REACHABLE_HOLDS};
use crate::peer::Peer;
use crate::session::HOST;
use crate::timers::EVERYBODY;
use crate::{PeerState, Session};

/// The network part of an IPv6 address: all that a home's machines have in common (RFC 4291 §2.5.4).
fn network(ip: Ipv6Addr) -> [u8; 8] {
    let mut network = [0; 8];
    network.copy_from_slice(&ip.octets()[..8]);
    network
}

/// Whether two who are heard from there seem to live behind one router.
fn live_together(one: IpAddr, other: IpAddr) -> bool {
    match (one.to_canonical(), other.to_canonical()) {
        (IpAddr::V4(one), IpAddr::V4(other)) => one == other,
        (IpAddr::V6(one), IpAddr::V6(other)) => network(one) == network(other),
        _ => false,
    }
}

/// Whether an address that a neighbour gave may be one of our own network, where we are `ours`. Others are not tried, or anybody could be pointed
/// at. Link-local IPv6 addresses mean something on one interface only, of which nothing is known here.
fn is_near(addr: SocketAddr, ours: &LocalAddrs) -> bool {
    let is_it = match addr {
        SocketAddr::V4(addr) => addr.ip().is_private() || addr.ip().is_link_local(),
        SocketAddr::V6(addr) => {
            let shares = |own: &std::net::SocketAddrV6| network(*own.ip()) == network(*addr.ip());
            let plain =
                !addr.ip().is_loopback() && !addr.ip().is_multicast() && !addr.ip().is_unicast_link_local();
            plain && (addr.ip().is_unique_local() || ours.v6.as_ref().is_some_and(shares))
        }
    };
    is_it && addr.port() != 0 && ours.iter().all(|own| own != addr)
}

impl Session {
    /// Tells the host where we are within our own network.
    pub(crate) fn tell_local(&mut self, now: Duration) {
        if !self.is_host() && !self.local.is_empty() {
            self.send(now, HOST, &Control::Local(self.local));
        }
    }

    /// A guest says where it is within its own network: its neighbours hear of it at once, since they may just be looking for it, and it of them.
    pub(crate) fn handle_local(&mut self, now: Duration, from: u8, addrs: LocalAddrs) {
        if !self.is_host() {
            self.stats.ignored += 1;
            return;
        }
        let Some(link) = self.peer_mut(from).and_then(Peer::live_mut) else { return };
        let is_new = link.local.is_none_or(|(known, _)| known != addrs);
        // What is passed over is said again with the next heartbeat.
        if is_new && !link.locals_heard.pass(now) {
            return;
        }
        link.local = Some((addrs, now));
        if is_new {
            for other in self.neighbours(from) {
                self.tell_neighbour(now, other, from);
                self.tell_neighbour(now, from, other);
            }
        }
    }

    /// Tells a guest where its neighbours are.
    pub(crate) fn tell_neighbours(&mut self, now: Duration, to: u8) {
        for other in self.neighbours(to) {
            self.tell_neighbour(now, to, other);
        }
    }

    /// The guests whom the host hears from where it hears that one from.
    fn neighbours(&self, id: u8) -> impl Iterator<Item = u8> + use<> {
        let ip_of =
            |id: u8| self.peers[usize::from(id)].as_ref().and_then(Peer::live).map(|link| link.addr.ip());
        let here = ip_of(id);
        let is_one = |other: u8| {
            other != id && here.zip(ip_of(other)).is_some_and(|(one, other)| live_together(one, other))
        };
        EVERYBODY.filter(|other| is_one(*other)).collect::<Vec<u8>>().into_iter()
    }

    fn tell_neighbour(&mut self, now: Duration, to: u8, participant: u8) {
        let local = self.peer_mut(participant).and_then(Peer::live_mut).and_then(|link| link.local);
        if let Some((addrs, at)) = local
            && now.saturating_sub(at) < REACHABLE_HOLDS
        {
            self.send(now, to, &Control::Neighbour(Neighbour { participant, addrs }));
        }
    }

    /// The host says where a neighbour is within our network.
    pub(crate) fn handle_neighbour(&mut self, now: Duration, neighbour: Neighbour) {
        let Neighbour { participant: id, addrs } = neighbour;
        let Some(peer) = self.peer_mut(id).filter(|_| id != HOST) else {
            // Its introduction was overtaken, or lost: both come again.
            self.stats.ignored += 1;
            return;
        };
        let is_new = peer.neighbour.is_none_or(|(known, _)| known != addrs);
        let state = peer.state;
        peer.neighbour = Some((addrs, now));
        if !is_new {
            return;
        }
        let nearest = self.neighbour_addrs(now, id).next();
        if let Some(greeting) = &mut self.greetings[usize::from(id)] {
            greeting.hasten(now);
        } else if state == PeerState::Connecting {
            self.approach(now, id);
        } else if let Some(link) = self.peer_mut(id).and_then(Peer::live_mut)
            && let Some(nearest) = nearest.filter(|_| link.relayed)
        {
            // By its router's address it was not found.
            link.addr = nearest;
        }
    }

    /// Where a neighbour is to be tried beside its public address; nothing for others.
    pub(crate) fn neighbour_addrs(&self, now: Duration, id: u8) -> impl Iterator<Item = SocketAddr> + use<> {
        let said = self.peers.get(usize::from(id)).and_then(Option::as_ref).and_then(|peer| peer.neighbour);
        let ours = self.local;
        said.filter(|(_, at)| now.saturating_sub(*at) <= INTRODUCTION_HOLDS)
            .into_iter()
            .flat_map(|(addrs, _)| addrs.iter())
            .filter(move |addr| is_near(*addr, &ours))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_is_one_address_of_ipv4_or_one_network_of_ipv6() {
        let together = |one: &str, other: &str| {
            live_together(one.parse().expect("an address"), other.parse().expect("an address"))
        };
        assert!(together("198.51.100.7", "198.51.100.7") && together("198.51.100.7", "::ffff:198.51.100.7"));
        assert!(!together("198.51.100.7", "198.51.100.8"));
        assert!(together("2001:db8:1:2::1", "2001:db8:1:2:abcd::9"));
        assert!(!together("2001:db8:1:2::1", "2001:db8:1:3::1") && !together("2001:db8::1", "198.51.100.7"));
    }

    #[test]
    fn nobody_is_pointed_at_what_is_not_in_the_home() {
        let ours = LocalAddrs {
            v4: Some("192.168.1.2:4700".parse().expect("an address")),
            v6: Some("[2001:db8:1:2::2]:4700".parse().expect("an address")),
        };
        let near = |addr: &str| is_near(addr.parse().expect("an address"), &ours);
        for addr in
            ["192.168.1.3:4700", "10.9.8.7:1", "169.254.3.4:9", "[fd00::7]:4700", "[2001:db8:1:2::3]:4700"]
        {
            assert!(near(addr), "{addr}");
        }
        for addr in [
            "203.0.113.5:4700",
            "127.0.0.1:4700",
            "192.168.1.3:0",
            "255.255.255.255:9",
            "[2001:db8:1:3::3]:4700",
            "[fe80::1]:4700",
            "[ff02::1]:4700",
            "[::1]:4700",
        ] {
            assert!(!near(addr), "{addr}");
        }
        assert!(!near("192.168.1.2:4700"), "that is we ourselves");
    }
}
