//! A small world in virtual time: sessions, and a path with conditions between each two of them.
#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a helper fails as its test does")]

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::time::Duration;

use hyperzoom_netem::{Conditions, Link};
use hyperzoom_protocol::{
    Envelope, Header, InviteKey, MAX_DATAGRAM, PacketType, RelaySealer, RelayWay, Stream, StreamSealer,
};
use hyperzoom_session::{Config, Event, PeerState, Relaying, Session};

pub(crate) const KEY: InviteKey = InviteKey([42; 32]);
pub(crate) const SESSION: u64 = 0xFEED;

pub(crate) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub(crate) fn addr(party: usize) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, party as u8 + 1], 4700))
}

pub(crate) fn config(party: usize) -> Config {
    Config {
        name: format!("P{party}"),
        key: Some(KEY),
        session_id: SESSION,
        instance: 1000 + party as u128,
        capacity: 4,
    }
}

/// A datagram as it was sent, whether or not it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) at: Duration,
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    pub(crate) datagram: Vec<u8>,
}

impl Sent {
    pub(crate) fn header(&self) -> Header {
        Header::parse(&self.datagram).unwrap().0
    }

    pub(crate) fn is_init(&self) -> bool {
        matches!(Envelope::of(Header::parse(&self.datagram).unwrap().1), Some(Envelope::Init(_)))
    }

    pub(crate) fn is_response(&self) -> bool {
        matches!(Envelope::of(Header::parse(&self.datagram).unwrap().1), Some(Envelope::Response(_)))
    }
}

pub(crate) struct Party {
    pub(crate) session: Session,
    pub(crate) addr: SocketAddr,
    /// As the others see it, where it lives behind a router. Who shares its IP address lives in the same home.
    pub(crate) outside: Option<SocketAddr>,
    pub(crate) events: Vec<(Duration, Event)>,
    /// Media received: from whom, stream sequence number, payload.
    pub(crate) media: Vec<(u8, u64, Vec<u8>)>,
    /// Where and with what media leaves, by peer.
    pub(crate) routes: HashMap<u8, (SocketAddr, StreamSealer)>,
    /// Whose goes by way of the host.
    pub(crate) relayed: HashSet<u8>,
    /// Envelopes for the host.
    pub(crate) relay: Option<RelaySealer>,
    /// Datagrams that it passed on.
    pub(crate) passed_on: usize,
}

impl Party {
    pub(crate) fn saw(&self, wanted: impl Fn(&Event) -> bool) -> usize {
        self.events.iter().filter(|(_, event)| wanted(event)).count()
    }

    pub(crate) fn when(&self, wanted: impl Fn(&Event) -> bool) -> Option<Duration> {
        self.events.iter().find(|(_, event)| wanted(event)).map(|(at, _)| *at)
    }

    pub(crate) fn connected(&self) -> Vec<u8> {
        self.session.peers().filter(|peer| peer.state == PeerState::Connected).map(|peer| peer.id).collect()
    }

    fn set_relayed(&mut self, id: u8, relayed: bool) {
        if relayed {
            self.relayed.insert(id);
        } else {
            self.relayed.remove(&id);
        }
    }

    fn drain_events(&mut self, now: Duration) {
        while let Some(event) = self.session.poll_event() {
            match &event {
                Event::PeerConnected { id, addr, send_key, relayed, .. } => {
                    // Sealers of one key and stream would use the same nonces.
                    let is_new = !self.events.iter().any(|(_, earlier)| {
                        matches!(earlier, Event::PeerConnected { send_key: earlier, .. } if earlier == send_key)
                    });
                    assert!(is_new, "a key is handed out twice");
                    let sealer = StreamSealer::new(*send_key, Stream::Audio, self.session.me().unwrap());
                    self.routes.insert(*id, (*addr, sealer));
                    self.set_relayed(*id, *relayed);
                    if *id == 0 {
                        self.relay = Some(RelaySealer::new(*send_key, self.session.me().unwrap()));
                    }
                }
                Event::PeerRelayed { id, relayed } => self.set_relayed(*id, *relayed),
                Event::PeerMoved { id, addr } => self.routes.get_mut(id).unwrap().0 = *addr,
                Event::PeerLeft { id, .. } => {
                    self.routes.remove(id);
                }
                _ => {}
            }
            self.events.push((now, event));
        }
    }
}

pub(crate) type Censor = Box<dyn FnMut(&Sent) -> bool>;

pub(crate) struct World {
    pub(crate) now: Duration,
    /// What everybody who joins has; none in an open session.
    key: Option<InviteKey>,
    pub(crate) parties: Vec<Party>,
    pub(crate) tape: Vec<Sent>,
    /// Directions in which nothing arrives.
    pub(crate) cut: HashSet<(usize, usize)>,
    /// Drops what it says true of.
    pub(crate) censor: Option<Censor>,
    conditions: Conditions,
    links: HashMap<(usize, usize), Link>,
    senders: HashMap<(usize, usize), SocketAddr>,
    seed: u64,
}

impl World {
    /// A host and no guest yet, with 10 ms between any two.
    pub(crate) fn new() -> Self {
        Self::with(Conditions { delay: ms(10), ..Conditions::PERFECT }, 1)
    }

    pub(crate) fn with(conditions: Conditions, seed: u64) -> Self {
        Self::keyed(conditions, seed, Some(KEY))
    }

    /// As [`new`](Self::new), with a key or without.
    pub(crate) fn of_key(key: Option<InviteKey>) -> Self {
        Self::keyed(Conditions { delay: ms(10), ..Conditions::PERFECT }, 1, key)
    }

    fn keyed(conditions: Conditions, seed: u64, key: Option<InviteKey>) -> Self {
        let mut world = Self {
            now: ms(5000),
            key,
            parties: Vec::new(),
            tape: Vec::new(),
            cut: HashSet::new(),
            censor: None,
            conditions,
            links: HashMap::new(),
            senders: HashMap::new(),
            seed,
        };
        world.add(Session::host(Config { key, ..config(0) }, world.now));
        world
    }

    /// A host and one guest, both in.
    pub(crate) fn pair() -> Self {
        let mut world = Self::new();
        world.join();
        world.run(ms(1000));
        assert_eq!(world.parties[0].connected(), [1]);
        assert_eq!(world.parties[1].connected(), [0]);
        world
    }

    pub(crate) fn add(&mut self, session: Session) -> usize {
        let party = self.parties.len();
        self.parties.push(Party {
            session,
            addr: addr(party),
            outside: None,
            events: Vec::new(),
            media: Vec::new(),
            routes: HashMap::new(),
            relayed: HashSet::new(),
            relay: None,
            passed_on: 0,
        });
        party
    }

    /// One more guest begins to join.
    pub(crate) fn join(&mut self) -> usize {
        let party = self.parties.len();
        let config = Config { key: self.key, ..config(party) };
        self.add(Session::guest(config, self.parties[0].addr, self.now))
    }

    pub(crate) fn run(&mut self, span: Duration) {
        let end = self.now + span;
        loop {
            self.pump();
            let next = self
                .parties
                .iter()
                .filter_map(|party| party.session.poll_timeout())
                .chain(self.links.values().filter_map(Link::next_at))
                .min();
            match next {
                Some(next) if next <= end => self.now = self.now.max(next),
                _ => break,
            }
            self.deliver();
            for party in &mut self.parties {
                party.session.handle_timeout(self.now);
                assert!(
                    party.session.poll_timeout().is_none_or(|next| next > self.now),
                    "a timer that is never done"
                );
            }
        }
        self.now = end;
    }

    /// Sends one audio payload from a party to all its peers, as its live audio thread would.
    pub(crate) fn speak(&mut self, party: usize, payload: &[u8]) {
        let mut out = [0; MAX_DATAGRAM];
        let speaker = &mut self.parties[party];
        let from = speaker.addr;
        let mut datagrams = Vec::new();
        let host = speaker.routes.get(&0).map(|(addr, _)| *addr);
        for (id, (to, sealer)) in &mut speaker.routes {
            let len = sealer.seal(PacketType::Audio, 0, 0, 0, payload, &mut out);
            if speaker.relayed.contains(id) {
                let source = speaker.session.me().unwrap();
                let way = RelayWay { source, target: *id, lane: Stream::Audio };
                let inner = out[..len].to_vec();
                let len = speaker.relay.as_mut().unwrap().wrap(way, &inner, &mut out).unwrap();
                datagrams.push((host.unwrap(), out[..len].to_vec()));
            } else {
                datagrams.push((*to, out[..len].to_vec()));
            }
        }
        for (to, datagram) in datagrams {
            self.send(party, from, to, datagram);
        }
    }

    /// Gives a party a datagram as if from `from`, past all links.
    pub(crate) fn inject(&mut self, to: usize, from: SocketAddr, datagram: &[u8]) {
        let mut datagram = datagram.to_vec();
        let now = self.now;
        let party = &mut self.parties[to];
        match party.session.relay(now, from, &mut datagram) {
            Relaying::NotOurs => {}
            Relaying::Dropped => return party.drain_events(now),
            Relaying::Onward { to: onward, .. } => {
                party.passed_on += 1;
                party.drain_events(now);
                let from = party.addr;
                return self.send(to, from, onward, datagram);
            }
        }
        if let Some(media) = party.session.handle_datagram(now, from, &mut datagram) {
            party.media.push((media.peer, media.sequence, media.payload.to_vec()));
        }
        party.drain_events(now);
    }

    pub(crate) fn pump(&mut self) {
        for index in 0..self.parties.len() {
            self.parties[index].drain_events(self.now);
            while let Some(transmit) = self.parties[index].session.poll_transmit() {
                let from = self.parties[index].addr;
                self.send(index, from, transmit.to, transmit.datagram);
            }
        }
    }

    fn send(&mut self, party: usize, from: SocketAddr, to: SocketAddr, datagram: Vec<u8>) {
        assert!(datagram.len() <= MAX_DATAGRAM);
        let sent = Sent { at: self.now, from, to, datagram: datagram.clone() };
        self.tape.push(sent.clone());
        let Some((target, from)) = self.way(party, from, to) else { return };
        let censored = self.censor.as_mut().is_some_and(|censor| censor(&sent));
        if censored || self.cut.contains(&(party, target)) {
            return;
        }
        self.senders.insert((party, target), from);
        let (conditions, seed) = (self.conditions, self.seed + (party * 8 + target) as u64);
        self.links
            .entry((party, target))
            .or_insert_with(|| Link::new(conditions, seed))
            .send(self.now, datagram);
    }

    /// Whom a datagram reaches, and where it seems to come from. Routers let in what comes from where something went to before, and lead nothing
    /// back in that was sent to themselves from within.
    fn way(&self, party: usize, from: SocketAddr, to: SocketAddr) -> Option<(usize, SocketAddr)> {
        let outside = self.parties[party].outside;
        let is_home =
            |other: &Party| outside.zip(other.outside).is_some_and(|(one, other)| one.ip() == other.ip());
        let reaches = |other: &Party| match other.outside {
            Some(outside) if !is_home(other) => outside == to,
            _ => other.addr == to,
        };
        let target = self.parties.iter().position(reaches)?;
        let seen_as = outside.filter(|_| !is_home(&self.parties[target])).unwrap_or(from);
        Some((target, seen_as))
    }

    fn deliver(&mut self) {
        let mut ways: Vec<_> = self.links.keys().copied().collect();
        ways.sort_unstable();
        for way in ways {
            while let Some(datagram) = self.links.get_mut(&way).unwrap().poll(self.now) {
                self.inject(way.1, self.senders[&way], &datagram);
            }
        }
    }
}
