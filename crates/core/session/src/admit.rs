//! Letting others in: the answering side of handshakes.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hyperzoom_protocol::{
    Capabilities, Control, Greet, Greeted, HEADER_LEN, HandshakeError, Header, Hello, MAX_PARTICIPANTS, Name,
    OpenedAt, PROTOCOL_VERSION, PairKeys, PeerEntry, Refusal, Responder, Stream, Welcome,
};

use crate::config::{ATTEMPTS_KEPT, CONFIRM_WITHIN, EPHEMERALS_MOST, PENDING_MOST};
use crate::link::Link;
use crate::peer::Peer;
use crate::relay::Route;
use crate::{Event, PeerState, Session};

/// A handshake that we answered, whose other side has yet to show that it is there and not a recording.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) id: u8,
    pub(crate) instance: u128,
    pub(crate) name: Name,
    /// Whether it says that it was in this session before, and lost it: a program that was started anew does not know.
    pub(crate) comes_back: bool,
    pub(crate) expires: Duration,
    pub(crate) link: Link,
}

/// The ephemeral keys of others' handshakes. Only who has the invite's key adds to them.
#[derive(Debug, Default)]
pub(crate) struct Ephemerals(VecDeque<[u8; 32]>);

impl Ephemerals {
    /// Whether `key` is new; it is not from then on.
    ///
    /// A key that fell out of the memory counts as new again. Its handshake would be answered, and lead to nothing:
    /// the answer needs a secret that only its first sender had.
    fn insert(&mut self, key: [u8; 32]) -> bool {
        if self.0.contains(&key) {
            return false;
        }
        if self.0.len() == EPHEMERALS_MOST {
            self.0.pop_front();
        }
        self.0.push_back(key);
        true
    }
}

/// Where the first message of a handshake came from.
#[derive(Debug, Clone, Copy)]
struct Question {
    route: Route,
    /// The length of its datagram.
    len: usize,
}

impl Session {
    pub(crate) fn handle_init(&mut self, now: Duration, route: Route, header: &Header, init: &[u8]) {
        // Before we are in there is nobody to let in.
        let Some(me) = self.me else { return };
        let from = match route {
            Route::Direct(from) => Some(from.ip()),
            Route::Relayed => None,
        };
        if !self.budgets.inits.pass(now, from) {
            self.stats.flooded += 1;
            return;
        }
        let Ok(received) = Responder::receive(self.config.key.as_ref(), header, init) else {
            self.stats.unauthenticated += 1;
            return;
        };
        let question = Question { route, len: HEADER_LEN + 1 + init.len() };
        // Before anything is remembered, or costs an exchange of keys.
        if let (Ok(Control::Hello(hello)), Route::Direct(from)) = (&received.message, route)
            && self.asks_for_cookie(now, from, header, hello, question.len)
        {
            return;
        }
        if !self.ephemerals.insert(received.ephemeral) {
            self.stats.replayed += 1;
            return;
        }
        if !self.budgets.answers.pass(now) {
            self.stats.flooded += 1;
            return;
        }
        match received.message {
            Ok(Control::Hello(hello)) if self.is_host() => match self.judge(&hello) {
                Ok(id) => {
                    let Route::Direct(from) = route else { return };
                    let welcome = Control::Welcome(self.welcome(now, id, &hello, from));
                    let comes_back = hello.session_id.is_some();
                    let Hello { instance, name, .. } = hello;
                    let responder = received.responder;
                    self.answer(now, question, responder, &welcome, id, instance, name, comes_back);
                }
                Err(refusal) => self.answer_refusal(question, received.responder, refusal),
            },
            Err(HandshakeError::NotUnderstood { version: Some(version) })
                if self.is_host() && version != PROTOCOL_VERSION =>
            {
                let refusal = Refusal::Version { host: PROTOCOL_VERSION };
                self.answer_refusal(question, received.responder, refusal);
            }
            Ok(Control::Greet(greet))
                if !self.is_host()
                    && self.is_introduced(&greet)
                    && header.participant == greet.participant =>
            {
                let greeted = Control::Greeted(Greeted { participant: me, instance: self.config.instance });
                let id = greet.participant;
                let name = self.peer_mut(id).map_or_else(|| Name::clean(""), |peer| peer.name.clone());
                self.answer(now, question, received.responder, &greeted, id, greet.instance, name, true);
            }
            _ => self.stats.ignored += 1,
        }
    }

    /// The number under which a guest comes in.
    fn judge(&mut self, hello: &Hello) -> Result<u8, Refusal> {
        if hello.version != PROTOCOL_VERSION {
            return Err(Refusal::Version { host: PROTOCOL_VERSION });
        }
        if !hello.capabilities.contains(Capabilities::OPUS) {
            return Err(Refusal::Codecs);
        }
        if hello.session_id.is_some_and(|id| Some(id) != self.session_id) {
            return Err(Refusal::OtherSession);
        }
        self.place_for(hello.instance, hello.participant)
            .ok_or(Refusal::Full { capacity: self.config.capacity })
    }

    /// The number of one that is known, or was answered before; else the one that it had, as it says; else a free one; else that of who
    /// left longest ago; else the one that was promised first to somebody who has not come: whoever comes first has it.
    fn place_for(&mut self, instance: u128, had: Option<u8>) -> Option<u8> {
        if let Some((id, _)) = self.known(instance) {
            // Its place may have been promised to somebody while it was away.
            self.pending.retain(|pending| pending.id != id || pending.instance == instance);
            return Some(id);
        }
        if let Some(pending) = self.pending.iter().find(|pending| pending.instance == instance) {
            return Some(pending.id);
        }
        let unpromised =
            || (1..self.config.capacity).filter(|id| !self.pending.iter().any(|pending| pending.id == *id));
        let peer = |id: u8| self.peers[usize::from(id)].as_ref();
        let free = || unpromised().filter(|id| peer(*id).is_none());
        // Others may yet come back to the lower ones.
        let some = || if self.was_resumed { free().next_back() } else { free().next() };
        free().find(|id| Some(*id) == had).or_else(some).or_else(|| {
            unpromised()
                .filter_map(|id| peer(id).filter(|peer| !peer.is_in()).map(|peer| (peer.left_at, id)))
                .min()
                .map(|(_, id)| id)
                .or_else(|| {
                    let promised = self.pending.iter().map(|pending| pending.id);
                    promised.into_iter().find(|id| peer(*id).is_none_or(|peer| !peer.is_in()))
                })
        })
    }

    fn known(&self, instance: u128) -> Option<(u8, &Peer)> {
        (0..)
            .zip(&self.peers)
            .filter_map(|(id, peer)| Some((id, peer.as_ref()?)))
            .find(|(_, peer)| peer.instance == instance)
    }

    fn welcome(&self, now: Duration, participant: u8, hello: &Hello, from: SocketAddr) -> Welcome {
        let mut others = self.introductions(now, participant, from.ip());
        Welcome {
            session_id: self.config.session_id,
            participant,
            your_addr: from,
            host_name: self.name.clone(),
            capabilities: Capabilities(Capabilities::OURS.0 & hello.capabilities.0),
            peers: std::array::from_fn(|_| others.next()),
        }
    }

    /// The host's introductions of everybody who is in, but for participant `to`, who is heard from `seen_by`.
    pub(crate) fn introductions(
        &self,
        now: Duration,
        to: u8,
        seen_by: IpAddr,
    ) -> impl Iterator<Item = PeerEntry> {
        let ours = self.reachable.map(|addr| addr.ip());
        (0..).zip(&self.peers).filter(move |(id, _)| *id != to).filter_map(move |(participant, peer)| {
            let peer = peer.as_ref().filter(|peer| peer.is_in())?;
            Some(PeerEntry {
                participant,
                instance: peer.instance,
                name: peer.name.clone(),
                addr: peer.introduction(now, seen_by, ours),
            })
        })
    }

    /// Whether a greeting is from one whom the host introduced, and who is to begin: of two guests, the higher number.
    fn is_introduced(&self, greet: &Greet) -> bool {
        Some(greet.session_id) == self.session_id
            && Some(greet.to) == self.me
            && greet.participant > greet.to
            && usize::from(greet.participant) < MAX_PARTICIPANTS
            && self.peers[usize::from(greet.participant)]
                .as_ref()
                .is_some_and(|peer| peer.instance == greet.instance)
    }

    fn answer_refusal(&mut self, question: Question, responder: Responder, refusal: Refusal) {
        if let (Some(me), Route::Direct(from)) = (self.me, question.route)
            && let Ok((_, datagram)) = responder.respond(me, &Control::Refused(refusal))
            && datagram.len() <= question.len
        {
            self.transmit(from, datagram);
        }
    }

    #[expect(clippy::too_many_arguments, reason = "all of what a handshake brought together")]
    fn answer(
        &mut self,
        now: Duration,
        question: Question,
        responder: Responder,
        message: &Control,
        id: u8,
        instance: u128,
        name: Name,
        comes_back: bool,
    ) {
        let Some(me) = self.me else { return };
        let Ok((keys, datagram)) = responder.respond(me, message) else { return };
        // Who asks has not shown yet that he receives where he says he is: he may mean another to be flooded.
        if datagram.len() > question.len {
            self.stats.ignored += 1;
            return;
        }
        let route = question.route;
        self.transmit_by(id, route, datagram);
        // Several attempts of one guest wait side by side, since it may take the answer to any of its last ones.
        let of_same = |pending: &Pending| pending.instance == instance;
        if self.pending.iter().filter(|pending| of_same(pending)).count() >= ATTEMPTS_KEPT
            && let Some(oldest) = self.pending.iter().position(of_same)
        {
            self.pending.remove(oldest);
        } else if self.pending.len() >= PENDING_MOST {
            self.pending.remove(self.most_crowded());
        }
        let link = self.new_link(now, me, id, &keys, route);
        self.pending.push(Pending { id, instance, name, comes_back, expires: now + CONFIRM_WITHIN, link });
    }

    /// The oldest answered handshake of the address that has the most of them, so that nobody crowds out others.
    fn most_crowded(&self) -> usize {
        let ip = |at: usize| self.pending[at].link.addr.ip();
        let count = |at: usize| (0..self.pending.len()).filter(|other| ip(*other) == ip(at)).count();
        (0..self.pending.len()).rev().max_by_key(|at| count(*at)).unwrap_or(0)
    }

    /// Tries a sealed datagram with the keys of handshakes that we answered. Where it opens, its sender is no recording, and
    /// is in, and what it sent is in `copy`.
    pub(crate) fn confirm(
        &mut self,
        now: Duration,
        route: Route,
        id: u8,
        datagram: &[u8],
        copy: &mut [u8],
    ) -> Option<OpenedAt> {
        let (at, opened) = self
            .pending
            .iter_mut()
            .enumerate()
            .filter(|(_, pending)| pending.id == id && pending.expires > now)
            .find_map(|(at, pending)| {
                copy.copy_from_slice(datagram);
                Some((at, pending.link.open(Stream::Control, copy).ok()?))
            })?;
        // It tries again with whatever it sends next.
        if !self.budgets.arrivals.pass(now) {
            self.stats.flooded += 1;
            return None;
        }
        let mut pending = self.pending.remove(at);
        self.pending.retain(|other| other.instance != pending.instance && other.id != id);
        // Where the answer went it was received. Whether the peer is also where this comes from is asked like any other claim.
        match route {
            Route::Relayed => pending.link.relayed = true,
            Route::Direct(_) => pending.link.last_direct = now,
        }
        pending.link.last_heard = now;
        pending.link.knows_time = pending.comes_back;
        let needs_tone = !pending.comes_back || self.may_lack_tone(id, pending.instance);
        self.connect(now, id, pending.instance, &pending.name, pending.link);
        if self.is_host() {
            self.introduce_newcomer(now, id);
            if needs_tone && self.clock.is_ready() {
                self.schedule_tone(now, id);
            }
        }
        Some(opened)
    }

    /// Tells the others of one who has come, and it of those who have come since its WELCOME.
    fn introduce_newcomer(&mut self, now: Duration, id: u8) {
        if let Some(seen_by) = self.peer_mut(id).map(|peer| peer.addr().ip()) {
            let others: Vec<_> = self.introductions(now, id, seen_by).collect();
            for entry in others {
                self.send(now, id, &Control::PeerJoined(entry));
            }
        }
        for other in (1..MAX_PARTICIPANTS as u8).filter(|other| *other != id) {
            let Some(seen_by) = self.peer_mut(other).filter(|peer| peer.is_in()).map(|peer| peer.addr().ip())
            else {
                continue;
            };
            let entry = self.introductions(now, other, seen_by).find(|entry| entry.participant == id);
            if let Some(entry) = entry {
                self.send(now, other, &Control::PeerJoined(entry));
            }
        }
    }

    /// The link that a handshake over `route` made.
    pub(crate) fn new_link(&self, now: Duration, me: u8, id: u8, keys: &PairKeys, route: Route) -> Link {
        match route {
            Route::Direct(from) => Link::new(now, me, id, keys, from),
            Route::Relayed => {
                // Only guests that were introduced are spoken to by way of the host.
                let known = self.peers[usize::from(id)].as_ref().map(|peer| peer.introduced_addr);
                let addr = known.unwrap_or_else(|| (std::net::Ipv4Addr::UNSPECIFIED, 0).into());
                let mut link = Link::new(now, me, id, keys, addr);
                link.relayed = true;
                link
            }
        }
    }

    /// A link to a peer is up.
    pub(crate) fn connect(&mut self, now: Duration, id: u8, instance: u128, name: &Name, link: Link) {
        let slot = &mut self.peers[usize::from(id)];
        let peer = match slot {
            Some(peer) if peer.instance == instance => peer,
            _ => slot.insert(Peer::new(now, instance, name.clone(), link.addr)),
        };
        peer.name = name.clone();
        let event = Event::PeerConnected {
            id,
            name: name.clone(),
            addr: link.addr,
            relayed: link.relayed,
            rejoined: peer.was_connected,
            send_key: link.send_key,
        };
        peer.state = PeerState::Connected;
        peer.was_connected = true;
        peer.sought_since = now;
        peer.link = Some(link);
        self.greetings[usize::from(id)] = None;
        self.event(event);
    }
}
