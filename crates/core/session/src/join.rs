//! Getting in: the asking side of handshakes.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use hyperzoom_protocol::{
    Capabilities, Control, Greet, Header, Hello, Initiator, MAX_PARTICIPANTS, PROTOCOL_VERSION, PairKeys,
    PeerEntry, UNASSIGNED, Welcome, probe,
};

use crate::config::{ATTEMPTS_KEPT, INTRODUCTION_HOLDS, RETRY_FIRST, RETRY_MOST};
use crate::cookie::Brought;
use crate::link::Link;
use crate::peer::Peer;
use crate::relay::Route;
use crate::session::{HOST, Phase};
use crate::{Event, LeaveReason, PeerState, Session};

/// A handshake of ours with one peer, tried until it is answered.
#[derive(Debug)]
pub(crate) struct Greeting {
    pub(crate) addr: SocketAddr,
    pub(crate) next_at: Duration,
    wait: Duration,
    /// How often it was tried.
    rounds: u32,
    next_sequence: u16,
    /// The last attempts and the ways that they took, each with an ephemeral key of its own: whichever is answered first counts.
    attempts: VecDeque<(Initiator, Route)>,
    pub(crate) brought: Brought,
}

impl Greeting {
    /// Whether an attempt of that number may still be answered.
    pub(crate) fn is_attempt(&self, sequence: u16) -> bool {
        self.attempts.iter().any(|(attempt, _)| attempt.sequence() == sequence)
    }

    /// There is another address to try: not only when its time would have come.
    pub(crate) fn hasten(&mut self, now: Duration) {
        self.wait = RETRY_FIRST;
        self.next_at = self.next_at.min(now + RETRY_FIRST);
    }
}

impl Session {
    /// Begins a handshake with a peer, unless one is under way.
    pub(crate) fn greet(&mut self, now: Duration, id: u8, addr: SocketAddr) {
        let slot = &mut self.greetings[usize::from(id)];
        if let Some(greeting) = slot {
            greeting.addr = addr;
            return;
        }
        *slot = Some(Greeting {
            addr,
            next_at: now,
            wait: RETRY_FIRST,
            rounds: 0,
            next_sequence: 0,
            attempts: VecDeque::with_capacity(ATTEMPTS_KEPT),
            brought: Brought::default(),
        });
        self.retry(now, id);
    }

    /// Sends the next attempt of a handshake whose time has come.
    pub(crate) fn retry(&mut self, now: Duration, id: u8) {
        if id != HOST && self.introduction_is_stale(now, id) {
            self.greetings[usize::from(id)] = None;
            return;
        }
        let message = self.greeting_message(id);
        let sender = self.me.unwrap_or(UNASSIGNED);
        let may_be_relayed = self.may_be_relayed(now, id);
        let neighbour = self.neighbour_addrs(now, id);
        let Some(greeting) = &mut self.greetings[usize::from(id)] else { return };
        let longest = if may_be_relayed { RETRY_MOST / 2 } else { RETRY_MOST };
        greeting.wait = greeting.wait.min(longest);
        greeting.next_at = now + greeting.wait;
        greeting.wait *= 2;
        // Each other round: one attempt that arrived by both ways would be answered by the quicker one alone. For the same reason each
        // address has an attempt of its own.
        let relayed = may_be_relayed && greeting.rounds % 2 == 1;
        greeting.rounds = greeting.rounds.wrapping_add(1);
        let addr = greeting.addr;
        let routes: Vec<Route> = if relayed {
            vec![Route::Relayed]
        } else {
            // The nearest first.
            neighbour.filter(|near| *near != addr).chain([addr]).map(Route::Direct).collect()
        };
        let kept = ATTEMPTS_KEPT * routes.len();
        let mut datagrams = Vec::with_capacity(routes.len());
        for route in routes {
            let sequence = greeting.next_sequence;
            greeting.next_sequence = sequence.wrapping_add(1);
            // Without randomness there is no safe attempt; there may be some by the next one.
            if let Ok((initiator, datagram)) =
                Initiator::start(self.config.key.as_ref(), sender, sequence, &message)
            {
                while greeting.attempts.len() >= kept {
                    greeting.attempts.pop_front();
                }
                greeting.attempts.push_back((initiator, route));
                datagrams.push((route, datagram));
            }
        }
        for (route, datagram) in datagrams {
            self.transmit_by(id, route, datagram);
        }
    }

    fn greeting_message(&self, to: u8) -> Control {
        match (self.me, self.session_id) {
            (Some(me), Some(session_id)) if to != HOST => {
                Control::Greet(Greet { session_id, participant: me, instance: self.config.instance, to })
            }
            _ => Control::Hello(Hello {
                version: PROTOCOL_VERSION,
                instance: self.config.instance,
                name: self.name.clone(),
                capabilities: Capabilities::OURS,
                session_id: self.session_id,
                participant: self.me,
                cookie: self.greetings[usize::from(HOST)].as_ref().and_then(Greeting::cookie),
            }),
        }
    }

    /// Whether the host is there and no longer speaks of a peer.
    pub(crate) fn introduction_is_stale(&self, now: Duration, id: u8) -> bool {
        let host_is_here = self.peers[usize::from(HOST)].as_ref().is_some_and(Peer::is_in);
        let peer = self.peers[usize::from(id)].as_ref();
        peer.is_none_or(|peer| host_is_here && now.saturating_sub(peer.introduced_at) > INTRODUCTION_HOLDS)
    }

    pub(crate) fn handle_response(&mut self, now: Duration, route: Route, header: &Header, response: &[u8]) {
        // The header is not authentic; it only tells which attempt is worth trying.
        let id = header.participant;
        let attempt = self.greetings.get_mut(usize::from(id)).and_then(Option::as_mut).and_then(|greeting| {
            greeting.attempts.iter_mut().find(|(attempt, _)| attempt.sequence() == header.sequence)
        });
        let Some((attempt, greeted)) = attempt else {
            self.stats.unauthenticated += 1;
            return;
        };
        let budgets = &mut self.budgets;
        let is_expected = route == *greeted || route == Route::Relayed;
        let budget = if is_expected { &mut budgets.expected } else { &mut budgets.unexpected };
        if !budget.pass(now) {
            self.stats.flooded += 1;
            return;
        }
        let Ok((keys, message)) = attempt.finish(response) else {
            self.stats.unauthenticated += 1;
            return;
        };
        // Where it was asked it received that. Whether it is also where the answer came from remains to be seen.
        let route = if route == Route::Relayed { route } else { *greeted };
        match message {
            Control::Welcome(welcome) if id == HOST => {
                if let Route::Direct(from) = route {
                    self.enter(now, from, &keys, &welcome);
                }
            }
            Control::Refused(refusal) if id == HOST => {
                self.greetings[usize::from(HOST)] = None;
                self.refuse(refusal);
            }
            Control::Greeted(greeted) if id != HOST && greeted.participant == id => {
                let name = self.peer_mut(id).filter(|peer| peer.instance == greeted.instance);
                if let (Some(name), Some(me)) = (name.map(|peer| peer.name.clone()), self.me) {
                    let link = self.new_link(now, me, id, &keys, route);
                    self.connect(now, id, greeted.instance, &name, link);
                    self.service_link(now, id);
                }
            }
            _ => self.stats.ignored += 1,
        }
    }

    /// The host has let us in, or in again.
    fn enter(&mut self, now: Duration, from: SocketAddr, keys: &PairKeys, welcome: &Welcome) {
        let me = welcome.participant;
        let fits = (1..MAX_PARTICIPANTS as u8).contains(&me)
            && self.session_id.is_none_or(|session_id| session_id == welcome.session_id);
        if !fits {
            self.stats.ignored += 1;
            return;
        }
        if self.me != Some(me) {
            // Links are bound to our number: under another one they begin anew.
            for id in 0..MAX_PARTICIPANTS as u8 {
                self.part(now, id, LeaveReason::TimedOut);
            }
            self.greetings = Default::default();
            self.pending.clear();
            self.peers[usize::from(me)] = None;
            self.me = Some(me);
            self.session_id = Some(welcome.session_id);
            self.event(Event::Joined { me, session_id: welcome.session_id });
        }
        self.phase = Phase::In;
        let link = Link::new(now, me, HOST, keys, from);
        // The host has no instance that we know; its session is what it is known by.
        self.connect(now, HOST, welcome.session_id.into(), &welcome.host_name, link);
        // The first sealed datagram is what lets the host believe in us.
        self.service_link(now, HOST);
        self.tell_local(now);
        for entry in welcome.peers.iter().flatten() {
            self.introduce(now, entry);
        }
    }

    /// The host speaks of another guest.
    pub(crate) fn introduce(&mut self, now: Duration, entry: &PeerEntry) {
        let id = entry.participant;
        let ip = entry.addr.ip();
        let usable = (1..MAX_PARTICIPANTS as u8).contains(&id)
            && self.me.is_some_and(|me| me != id)
            && entry.addr.port() != 0
            && !ip.is_unspecified()
            && !ip.is_multicast();
        if !usable {
            self.stats.ignored += 1;
            return;
        }
        if self.peer_mut(id).is_some_and(|peer| peer.instance != entry.instance) {
            self.part(now, id, LeaveReason::TimedOut);
            self.peers[usize::from(id)] = None;
            self.greetings[usize::from(id)] = None;
            self.pending.retain(|pending| pending.id != id);
        }
        let nearest = self.neighbour_addrs(now, id).next().unwrap_or(entry.addr);
        let peer = self.peers[usize::from(id)]
            .get_or_insert_with(|| Peer::new(now, entry.instance, entry.name.clone(), entry.addr));
        peer.introduced_at = now;
        if peer.introduced_addr != entry.addr {
            peer.introduced_addr = entry.addr;
            // It is not heard from where it was, so it is sought where it is.
            if let Some(link) = peer.live_mut().filter(|link| link.relayed) {
                link.addr = nearest;
            }
        }
        // One that is not heard where it was, and that the host hears from elsewhere, was started anew: it is not waited for until it has
        // timed out.
        let is_elsewhere = peer.state == PeerState::Silent
            && peer.live().is_some_and(|link| !link.relayed && link.addr != entry.addr);
        if peer.is_in() && !is_elsewhere {
            return;
        }
        if let PeerState::Left(LeaveReason::Bye) = peer.state {
            // The host may not have heard the goodbye yet; a returning peer is introduced on and on.
            if now.saturating_sub(peer.left_at) < INTRODUCTION_HOLDS {
                return;
            }
        }
        self.approach(now, id);
    }

    /// Seeks a link to a guest that the host introduced: by greeting it if our number is the higher one, else by probes that open
    /// our router for its greeting.
    pub(crate) fn approach(&mut self, now: Duration, id: u8) {
        let (Some(me), Some(peer)) = (self.me, self.peers[usize::from(id)].as_ref()) else { return };
        let addr = peer.introduced_addr;
        if me > id {
            self.greet(now, id, addr);
        } else {
            let near: Vec<SocketAddr> = self.neighbour_addrs(now, id).filter(|near| *near != addr).collect();
            for addr in near.into_iter().chain([addr]) {
                self.transmit(addr, probe(me));
            }
        }
    }
}
