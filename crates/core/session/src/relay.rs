//! Two guests who cannot reach each other: what they send goes by way of the host.

use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

use hyperzoom_protocol::{
    Control, MAX_DATAGRAM, MAX_PARTICIPANTS, OpenError, PairKeys, RelayOpener, RelaySealer, RelaySide,
    RelayWay, Stream,
};

use crate::budget::Allowance;
use crate::config::{BYE_PASSES, IP_UDP, RELAY_BURST};
use crate::peer::Peer;
use crate::session::{HOST, Phase};
use crate::{Event, LeaveReason, PeerState, RELAY_AFTER, RELAY_RATE, Session};

/// What became of a datagram that may be one to pass on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relaying {
    /// It is none that goes by way of us, and is unchanged: it is for [`Session::handle_datagram`].
    NotOurs,
    /// It was to be passed on, and is not. It is in [`Stats`](crate::Stats).
    Dropped,
    /// It has a new envelope about it, and goes on.
    Onward {
        /// Where to.
        to: SocketAddr,
        /// Whose it is.
        source: u8,
    },
}

impl Relaying {
    /// Where it goes on to, if it does.
    #[must_use]
    pub fn onward(self) -> Option<SocketAddr> {
        match self {
            Self::Onward { to, .. } => Some(to),
            Self::NotOurs | Self::Dropped => None,
        }
    }
}

/// The way that a datagram takes, or took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    /// Straight, to or from this address.
    Direct(SocketAddr),
    /// By way of the host.
    Relayed,
}

/// Envelopes in both directions of the link between the host and a guest.
#[derive(Debug)]
pub(crate) struct Relays {
    sealer: RelaySealer,
    opener: RelayOpener,
    /// What each other guest may still send to this one. The host's.
    allowances: [Allowance; MAX_PARTICIPANTS],
}

impl Relays {
    pub(crate) fn new(keys: &PairKeys, guest: u8, side: RelaySide) -> Self {
        Self {
            sealer: RelaySealer::new(keys.send, guest),
            opener: RelayOpener::new(keys.receive, guest, side),
            allowances: Default::default(),
        }
    }
}

impl Session {
    /// Passes a datagram on, where we are the host and it is one that a guest sends to another by way of us: puts a new envelope about it,
    /// in place, and returns the address that its driver is to send it to. It allocates nothing.
    pub fn relay(&mut self, now: Duration, from: SocketAddr, datagram: &mut [u8]) -> Relaying {
        if !self.is_host() || !matches!(self.phase, Phase::In) || datagram.len() > MAX_DATAGRAM {
            return Relaying::NotOurs;
        }
        let Some(said) = RelayWay::of(datagram) else { return Relaying::NotOurs };
        match self.pass_on(now, from, said, datagram) {
            Some((to, source)) => Relaying::Onward { to, source },
            None => Relaying::Dropped,
        }
    }

    /// Passes on what says that it goes this way.
    fn pass_on(
        &mut self,
        now: Duration,
        from: SocketAddr,
        said: RelayWay,
        datagram: &mut [u8],
    ) -> Option<(SocketAddr, u8)> {
        // Who was never in, or is no longer, sends nothing through us; who has just left still tells the others.
        let source = self.peer_mut(said.source);
        let leaving = source.as_ref().is_some_and(|peer| {
            peer.state == PeerState::Left(LeaveReason::Bye) && now.saturating_sub(peer.left_at) < BYE_PASSES
        });
        let link = source.filter(|peer| leaving || peer.is_in()).and_then(|peer| peer.link.as_mut());
        let Some(relays) = link.and_then(|link| link.relays.as_deref_mut()) else {
            self.stats.unauthenticated += 1;
            return None;
        };
        let way = match relays.opener.open(datagram) {
            Ok((way, inner)) => {
                // What was relayed once is not relayed again.
                if RelayWay::of(&datagram[inner]).is_some() {
                    self.stats.ignored += 1;
                    return None;
                }
                way
            }
            Err(error) => {
                self.refused(error);
                return None;
            }
        };
        if !leaving && !self.heard(now, Route::Direct(from), way.source, false) {
            return None;
        }
        let link = self.peer_mut(way.target).and_then(Peer::live_mut);
        let Some((to, relays)) = link.and_then(|link| Some((link.addr, link.relays.as_mut()?))) else {
            self.stats.ignored += 1;
            return None;
        };
        let allowance = &mut relays.allowances[usize::from(way.source)];
        if !allowance.pass(now, datagram.len() + IP_UDP, RELAY_RATE, RELAY_BURST) {
            self.stats.flooded += 1;
            return None;
        }
        relays.sealer.rewrap(way, datagram).then_some((to, way.source))
    }

    /// Sends a datagram that was sealed for a peer before once more, as it was. Whether it left.
    pub fn send_again(&mut self, peer: u8, datagram: &[u8]) -> bool {
        let route = self.peer_mut(peer).and_then(Peer::live_mut).map(|link| link.route());
        route.is_some_and(|route| self.transmit_by(peer, route, datagram.to_vec()))
    }

    /// The inner datagram of an envelope that the host passed on to us, and whose it is.
    pub(crate) fn unwrap_relayed(
        &mut self,
        now: Duration,
        from: SocketAddr,
        datagram: &mut [u8],
    ) -> Result<(u8, Range<usize>), OpenError> {
        // The host's own come to `relay`.
        let relays = if self.is_host() { None } else { self.relays_mut(HOST) };
        let (way, inner) = relays.ok_or(OpenError::NotOurs)?.opener.open(datagram)?;
        if self.heard(now, Route::Direct(from), HOST, false) {
            Ok((way.source, inner))
        } else {
            Err(OpenError::NotOurs)
        }
    }

    /// Queues a datagram for a peer. False where it cannot go that way.
    pub(crate) fn transmit_by(&mut self, id: u8, route: Route, datagram: Vec<u8>) -> bool {
        match route {
            Route::Direct(addr) => self.transmit(addr, datagram),
            Route::Relayed => {
                let Some(source) = self.me else { return false };
                let way = RelayWay { source, target: id, lane: Stream::Control };
                let link = self.peer_mut(HOST).and_then(Peer::live_mut);
                let Some((to, relays)) = link.and_then(|link| Some((link.addr, link.relays.as_mut()?)))
                else {
                    return false;
                };
                let mut out = [0; MAX_DATAGRAM];
                let Some(len) = relays.sealer.wrap(way, &datagram, &mut out) else { return false };
                self.transmit(to, out[..len].to_vec());
            }
        }
        true
    }

    /// Whether a guest can be sought by way of the host: direct ways were tried for long enough, and the host has both.
    pub(crate) fn may_be_relayed(&self, now: Duration, id: u8) -> bool {
        let host_is_here = self.peers[usize::from(HOST)].as_ref().is_some_and(Peer::is_in);
        let sought = |peer: &Peer| now.saturating_sub(peer.sought_since) >= RELAY_AFTER;
        id != HOST
            && !self.is_host()
            && host_is_here
            && !self.introduction_is_stale(now, id)
            && self.peers[usize::from(id)].as_ref().is_some_and(sought)
    }

    /// Notes the way by which something came from a guest.
    pub(crate) fn note_route(&mut self, now: Duration, route: Route, id: u8, newest: bool) {
        let Some(link) = self.peer_mut(id).and_then(|peer| peer.link.as_mut()) else { return };
        match route {
            Route::Direct(from) => {
                link.last_direct = link.last_direct.max(now);
                // Only the newest datagram of its stream shows where a peer is: older ones may have been held back.
                if link.addr != from && newest {
                    self.consider_claim(now, id, from);
                }
            }
            Route::Relayed => {
                // It lives, and what one of the two sends straight does not arrive.
                if !link.relayed && link.direct_is_doubtful(now) {
                    link.relayed = true;
                    link.return_path.fail(now);
                    self.event(Event::PeerRelayed { id, relayed: true });
                }
            }
        }
    }

    /// A question that was asked straight has been answered straight: that way is open in both directions. Where that is so time and again the host is
    /// not needed.
    pub(crate) fn take_direct_path(&mut self, now: Duration, id: u8) {
        let Some(link) = self.peer_mut(id).and_then(Peer::live_mut) else { return };
        link.last_answered = link.last_answered.max(now);
        if !link.relayed || !link.return_path.answer(now) {
            return;
        }
        link.relayed = false;
        let addr = link.addr;
        self.event(Event::PeerMoved { id, addr });
        self.event(Event::PeerRelayed { id, relayed: false });
    }

    /// With each heartbeat: a relayed peer is asked straight, in case that way opens; another by way of the host, once the direct way seems
    /// to have failed. Answers take the way of their question.
    pub(crate) fn try_other_route(&mut self, now: Duration, id: u8) {
        let may_be_relayed = self.may_be_relayed(now, id);
        let Some(link) = self.peer_mut(id).and_then(Peer::live_mut) else { return };
        if link.relayed {
            link.return_path.ask();
            let (token, route) = (link.pings.token(now), Route::Direct(link.addr));
            return self.send_by(now, id, route, &Control::TimePing { token });
        }
        if may_be_relayed && link.direct_is_doubtful(now) {
            let token = link.pings.token(now);
            self.send_by(now, id, Route::Relayed, &Control::TimePing { token });
        }
    }

    fn relays_mut(&mut self, id: u8) -> Option<&mut Relays> {
        self.peer_mut(id).and_then(Peer::live_mut)?.relays.as_deref_mut()
    }
}
