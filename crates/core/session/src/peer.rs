//! One other participant.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hyperzoom_protocol::{LocalAddrs, Name};

use crate::config::REACHABLE_HOLDS;
use crate::link::Link;
use crate::{LeaveReason, PeerStats, SILENT_AFTER, TIMEOUT};

/// How a peer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerState {
    /// The host has introduced it; the link to it is not up yet.
    Connecting,
    /// It is heard.
    Connected,
    /// It has not been heard for [`SILENT_AFTER`].
    Silent,
    /// It is no longer in the call.
    Left(LeaveReason),
}

/// A peer as others see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerInfo<'a> {
    /// Its number.
    pub id: u8,
    /// Its name.
    pub name: &'a Name,
    /// Where it is, or was last.
    pub addr: SocketAddr,
    /// How it stands.
    pub state: PeerState,
    /// The last measured round trip to it.
    pub round_trip: Option<Duration>,
    /// Whether what goes to it goes by way of the host.
    pub relayed: bool,
    /// What came from it over its present link.
    pub stats: PeerStats,
}

/// Whether an address is of use within its own network only: private (RFC 1918), link-local (RFC 3927), unique local (RFC 4193), or of
/// this machine.
fn is_local(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.is_private() || ip.is_link_local() || ip.is_loopback(),
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unicast_link_local() || ip.is_loopback(),
    }
}

#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) instance: u128,
    pub(crate) name: Name,
    /// Where the host says it is; a link knows better.
    pub(crate) introduced_addr: SocketAddr,
    pub(crate) introduced_at: Duration,
    /// Where it is within our own network, as the host says, and when it last did.
    pub(crate) neighbour: Option<(LocalAddrs, Duration)>,
    /// Since when a link to it is sought, or was found.
    pub(crate) sought_since: Duration,
    pub(crate) state: PeerState,
    pub(crate) left_at: Duration,
    pub(crate) was_connected: bool,
    /// Kept while it has left, to tell it so: it may still be sending.
    pub(crate) link: Option<Link>,
}

impl Peer {
    pub(crate) fn new(now: Duration, instance: u128, name: Name, addr: SocketAddr) -> Self {
        Self {
            instance,
            name,
            introduced_addr: addr,
            introduced_at: now,
            neighbour: None,
            sought_since: now,
            state: PeerState::Connecting,
            left_at: now,
            was_connected: false,
            link: None,
        }
    }

    pub(crate) fn is_in(&self) -> bool {
        matches!(self.state, PeerState::Connected | PeerState::Silent)
    }

    /// Its link, while it is in the call.
    pub(crate) fn live(&self) -> Option<&Link> {
        self.link.as_ref().filter(|_| self.is_in())
    }

    pub(crate) fn live_mut(&mut self) -> Option<&mut Link> {
        let is_in = self.is_in();
        self.link.as_mut().filter(|_| is_in)
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.link.as_ref().map_or(self.introduced_addr, |link| link.addr)
    }

    /// Where one who is heard from `seen_by` is to look for it: where its router lets others in, if that is where we hear it from, or else
    /// anybody could be pointed at.
    ///
    /// One who lives with us, the host, is heard from an address that nobody outside can use. For them it is at our own public address
    /// `ours`, if it has a port there; for others of this network it is where it is.
    pub(crate) fn introduction(&self, now: Duration, seen_by: IpAddr, ours: Option<IpAddr>) -> SocketAddr {
        let said = self.link.as_ref().and_then(|link| link.reachable);
        // A router that was restarted has forgotten it.
        let reachable =
            said.filter(|(_, at)| now.saturating_sub(*at) < REACHABLE_HOLDS).map(|(addr, _)| addr);
        let at = self.addr();
        let is_of_ours = |ip| Some(ip) == ours && is_local(at.ip()) && !is_local(seen_by);
        let is_its = |addr: &SocketAddr| addr.port() != 0 && (addr.ip() == at.ip() || is_of_ours(addr.ip()));
        reachable.filter(is_its).unwrap_or(at)
    }

    /// When its silence must be looked at next.
    pub(crate) fn silence_due(&self) -> Option<Duration> {
        let link = self.link.as_ref()?;
        match self.state {
            PeerState::Connected => Some(link.last_heard + SILENT_AFTER),
            PeerState::Silent => Some(link.last_heard + TIMEOUT),
            PeerState::Connecting | PeerState::Left(_) => None,
        }
    }

    pub(crate) fn info(&self, id: u8) -> PeerInfo<'_> {
        PeerInfo {
            id,
            name: &self.name,
            addr: self.addr(),
            state: self.state,
            round_trip: self.link.as_ref().and_then(|link| link.round_trip),
            relayed: self.live().is_some_and(|link| link.relayed),
            stats: self.link.as_ref().map(|link| link.stats).unwrap_or_default(),
        }
    }
}
