//! The machine: what it holds, and its way in and out.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use hyperzoom_protocol::{
    AudioReport, CameraState, Control, Envelope, Filling, HEADER_LEN, Header, LocalAddrs, MAX_DATAGRAM,
    MAX_PARTICIPANTS, Nack, Name, OpenError, PacketType, PathReport, Refusal, Stream, VideoNack,
};
use hyperzoom_timing::SessionClock;

use crate::admit::{Ephemerals, Pending};
use crate::budget::Budgets;
use crate::clock::Clock;
use crate::config::{PENDING_MOST, TRANSMIT_MOST};
use crate::cookie::Cookies;
use crate::join::Greeting;
use crate::link::Link;
use crate::peer::Peer;
use crate::relay::Route;
use crate::timers::EVERYBODY;
use crate::{BYE_COUNT, Config, Event, LeaveReason, Media, PeerInfo, PeerState, Transmit};

/// The host's number.
pub(crate) const HOST: u8 = 0;

/// Datagrams that were not taken, by reason. All that a stranger can make grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Not of our format.
    pub malformed: u64,
    /// Not made with our key, or not by one who is in the call.
    pub unauthenticated: u64,
    /// Seen before, or too old to tell.
    pub replayed: u64,
    /// Authentic, but making no sense here.
    pub ignored: u64,
    /// Handshake messages beyond what is looked at in their time.
    pub flooded: u64,
}

#[derive(Debug)]
pub(crate) enum Phase {
    /// A guest on its way in, since then.
    Joining(Duration),
    In,
    /// So many goodbyes are left to say, the next one then.
    Leaving(u8, Duration),
    Ended,
}

/// One participant's side of a call. See the [crate's page](crate) for how to drive it.
#[derive(Debug)]
pub struct Session {
    pub(crate) config: Config,
    pub(crate) name: Name,
    pub(crate) phase: Phase,
    pub(crate) me: Option<u8>,
    pub(crate) session_id: Option<u64>,
    pub(crate) clock: Clock,
    /// A host that goes on with its session asks its guests for the time until then.
    pub(crate) resume_by: Option<Duration>,
    /// We are a host that went on with its session: it may not know of everybody who is in it.
    pub(crate) was_resumed: bool,
    /// What became of our pictures, once it was said.
    pub(crate) camera: Option<CameraState>,
    /// When the last sync tone was or will be, session time in nanoseconds.
    pub(crate) tone: Option<i64>,
    /// Where our router lets datagrams in.
    pub(crate) reachable: Option<SocketAddr>,
    /// Where we are within our own network.
    pub(crate) local: LocalAddrs,
    /// What joins without a key must bring back.
    pub(crate) cookies: Cookies,
    /// The others by their number.
    pub(crate) peers: [Option<Peer>; MAX_PARTICIPANTS],
    /// Our own handshakes by whom they are for.
    pub(crate) greetings: [Option<Greeting>; MAX_PARTICIPANTS],
    /// Others' handshakes that we answered.
    pub(crate) pending: Vec<Pending>,
    pub(crate) ephemerals: Ephemerals,
    pub(crate) budgets: Budgets,
    pub(crate) stats: Stats,
    transmits: VecDeque<Transmit>,
    events: VecDeque<Event>,
}

impl Session {
    /// A session that begins now, with us as its host.
    #[must_use]
    pub fn host(config: Config, now: Duration) -> Self {
        let mut session = Self::of_host(config, Clock::host(now));
        session.event(Event::ClockReady);
        session
    }

    /// With us as the host, by a clock that may not be known yet.
    pub(crate) fn of_host(mut config: Config, clock: Clock) -> Self {
        config.capacity = config.capacity.clamp(2, MAX_PARTICIPANTS as u8);
        let session_id = config.session_id;
        let mut session = Self::new(config, Phase::In, clock);
        session.me = Some(HOST);
        session.session_id = Some(session_id);
        session.event(Event::Joined { me: HOST, session_id });
        session
    }

    /// A guest that asks the host at `host` to be let in.
    #[must_use]
    pub fn guest(config: Config, host: SocketAddr, now: Duration) -> Self {
        let mut session = Self::new(config, Phase::Joining(now), Clock::guest());
        session.greet(now, HOST, host);
        session
    }

    fn new(config: Config, phase: Phase, clock: Clock) -> Self {
        Self {
            name: Name::clean(&config.name),
            config,
            phase,
            me: None,
            session_id: None,
            clock,
            resume_by: None,
            was_resumed: false,
            camera: None,
            tone: None,
            reachable: None,
            local: LocalAddrs::default(),
            cookies: Cookies::default(),
            peers: Default::default(),
            greetings: Default::default(),
            pending: Vec::with_capacity(PENDING_MOST),
            ephemerals: Ephemerals::default(),
            budgets: Budgets::default(),
            stats: Stats::default(),
            transmits: VecDeque::with_capacity(TRANSMIT_MOST),
            events: VecDeque::with_capacity(TRANSMIT_MOST),
        }
    }

    /// Takes a datagram that arrived `now` from `from`. Audio and video come back, opened in place; everything else is
    /// consumed. Audio and video make it allocate nothing.
    pub fn handle_datagram<'a>(
        &mut self,
        now: Duration,
        from: SocketAddr,
        datagram: &'a mut [u8],
    ) -> Option<Media<'a>> {
        if matches!(self.phase, Phase::Leaving(..) | Phase::Ended) {
            return None;
        }
        let header = match Header::parse(datagram) {
            Ok((header, _)) if datagram.len() <= MAX_DATAGRAM => header,
            _ => {
                self.stats.malformed += 1;
                return None;
            }
        };
        if header.kind != PacketType::Relayed {
            return self.handle_inner(now, Route::Direct(from), header, datagram);
        }
        let (source, inner) = match self.unwrap_relayed(now, from, datagram) {
            Ok(unwrapped) => unwrapped,
            Err(error) => {
                self.refused(error);
                return None;
            }
        };
        let inner = &mut datagram[inner];
        match Header::parse(inner) {
            Ok((header, _)) if header.participant == source => {
                self.handle_inner(now, Route::Relayed, header, inner)
            }
            _ => {
                self.stats.malformed += 1;
                None
            }
        }
    }

    /// Takes a datagram that is in no envelope, or out of it.
    fn handle_inner<'a>(
        &mut self,
        now: Duration,
        route: Route,
        header: Header,
        datagram: &'a mut [u8],
    ) -> Option<Media<'a>> {
        let Some(stream) = Stream::of(header.kind) else {
            // What was relayed once is not relayed again.
            self.stats.malformed += 1;
            return None;
        };
        if stream != Stream::Control {
            return self.handle_media(now, route, stream, header, datagram);
        }
        match Envelope::of(&datagram[HEADER_LEN..]) {
            Some(Envelope::Sealed) => self.handle_control(now, route, header.participant, datagram),
            Some(Envelope::Init(init)) if header.kind == PacketType::Control => {
                self.handle_init(now, route, &header, init);
            }
            Some(Envelope::Response(response)) if header.kind == PacketType::Control => {
                self.handle_response(now, route, &header, response);
            }
            Some(Envelope::Cookie(cookie)) if header.kind == PacketType::Control => {
                self.handle_cookie(now, &header, cookie);
            }
            Some(Envelope::Probe) => {}
            _ => self.stats.malformed += 1,
        }
        None
    }

    fn handle_media<'a>(
        &mut self,
        now: Duration,
        route: Route,
        stream: Stream,
        header: Header,
        datagram: &'a mut [u8],
    ) -> Option<Media<'a>> {
        let id = header.participant;
        let Some(link) = self.peer_mut(id).and_then(|peer| peer.link.as_mut()) else {
            self.stats.unauthenticated += 1;
            return None;
        };
        match link.open(stream, datagram) {
            Ok(opened) => {
                let heard = self.heard(now, route, id, opened.newest);
                let payload = &datagram[opened.payload];
                // An empty one only keeps the count of a stream that is silent.
                (heard && !payload.is_empty()).then_some(Media {
                    peer: id,
                    header,
                    sequence: opened.sequence,
                    payload,
                })
            }
            Err(error) => {
                self.refused(error);
                None
            }
        }
    }

    fn handle_control(&mut self, now: Duration, route: Route, id: u8, datagram: &[u8]) {
        // Opening with a wrong key destroys what it was tried on, so each key has a copy.
        let mut copy = [0; MAX_DATAGRAM];
        let copy = &mut copy[..datagram.len()];
        copy.copy_from_slice(datagram);
        let link = self.peer_mut(id).and_then(|peer| peer.link.as_mut());
        let opened = link.map_or(Err(OpenError::NotOurs), |link| link.open(Stream::Control, copy));
        let opened = match opened {
            Ok(at) => at,
            // Somebody comes in, or back, under new keys.
            Err(error) => match self.confirm(now, route, id, datagram, copy) {
                Some(at) => at,
                None => return self.refused(error),
            },
        };
        let message = Control::decode(&copy[opened.payload]);
        let is_in = self.peer_mut(id).is_some_and(|peer| peer.is_in());
        let is_last_word = match message {
            // A goodbye is no sign of life: neither of one who left, nor of a silent one.
            Ok(Control::Bye) => true,
            // Two who gave each other up would tell each other so without end.
            Ok(Control::Gone) => !is_in,
            _ => false,
        };
        if is_last_word || self.heard(now, route, id, opened.newest) {
            match message {
                Ok(message) => self.handle_message(now, route, id, message),
                Err(_) => self.stats.ignored += 1,
            }
        }
    }

    /// Notes a sign of life from a peer. False where it had been given up.
    pub(crate) fn heard(&mut self, now: Duration, route: Route, id: u8, newest: bool) -> bool {
        let Some(peer) = self.peer_mut(id) else { return false };
        let Some(link) = peer.link.as_mut() else { return false };
        let back = match peer.state {
            PeerState::Left(LeaveReason::TimedOut) => {
                if link.goners.pass(now) {
                    self.send_by(now, id, route, &Control::Gone);
                }
                return false;
            }
            PeerState::Left(LeaveReason::Bye | LeaveReason::HostLeft) => return false,
            PeerState::Silent => {
                peer.state = PeerState::Connected;
                true
            }
            PeerState::Connecting | PeerState::Connected => false,
        };
        link.last_heard = link.last_heard.max(now);
        if back {
            self.event(Event::PeerBack { id });
        }
        self.note_route(now, route, id, newest);
        true
    }

    pub(crate) fn refused(&mut self, error: OpenError) {
        match error {
            OpenError::Header(_) => self.stats.malformed += 1,
            OpenError::NotOurs | OpenError::Forged => self.stats.unauthenticated += 1,
            OpenError::Repeated | OpenError::Old => self.stats.replayed += 1,
            OpenError::Padding => self.stats.ignored += 1,
        }
    }

    /// The next datagram to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Leaves the call: says goodbye to everybody [`BYE_COUNT`] times, [`BYE_SPACING`](crate::BYE_SPACING) apart, and then
    /// [`Event::Ended`] comes.
    pub fn leave(&mut self, now: Duration) {
        if !matches!(self.phase, Phase::Leaving(..) | Phase::Ended) {
            self.greetings = Default::default();
            self.pending.clear();
            self.phase = Phase::Leaving(BYE_COUNT, now);
            self.handle_timeout(now);
        }
    }

    /// Asks a peer for a video keyframe; again only when the answer should have come, two round trips later, and at most once
    /// in [`KEYFRAME_REQUEST_SPACING`](crate::KEYFRAME_REQUEST_SPACING). Whether it was asked.
    pub fn request_keyframe(&mut self, now: Duration, peer: u8) -> bool {
        let Some(link) = self.peer_mut(peer).and_then(Peer::live_mut) else { return false };
        let answer = link.round_trip.unwrap_or_default() * 2;
        let ask = link.keyframes_asked.pass_after(now, answer);
        if ask {
            self.send(now, peer, &Control::Nack(Nack::Keyframe));
        }
        ask
    }

    /// Asks a peer for video datagrams that did not arrive.
    pub fn request_video(&mut self, now: Duration, peer: u8, missed: VideoNack) {
        if self.peer_mut(peer).and_then(Peer::live_mut).is_some() {
            self.send(now, peer, &Control::Nack(Nack::Video(missed)));
        }
    }

    /// Tells a peer how its voice was heard in the last second, at most once in [`REPORT_SPACING`](crate::REPORT_SPACING). What is beyond the
    /// bounds of a report is brought within them.
    pub fn report_audio(&mut self, now: Duration, peer: u8, report: AudioReport) {
        let link = self.peer_mut(peer).and_then(Peer::live_mut);
        if link.is_some_and(|link| link.reports_sent.pass(now)) {
            self.send(now, peer, &Control::AudioReport(report.clamped()));
        }
    }

    /// Tells everybody what has become of our pictures, and whoever comes later.
    pub fn set_camera(&mut self, now: Duration, camera: CameraState) {
        if self.camera.replace(camera) == Some(camera) {
            return;
        }
        for id in EVERYBODY {
            if self.peer_mut(id).is_some_and(|peer| peer.live().is_some()) {
                self.send(now, id, &Control::Camera(camera));
            }
        }
    }

    /// Where our router lets datagrams in, if it does: the host introduces us with that address from the next heartbeat on.
    pub fn set_reachable(&mut self, addr: Option<SocketAddr>) {
        self.reachable = addr;
    }

    /// Where we are within our own network: a host that hears another guest from behind the same router tells that one, from the next heartbeat
    /// on, and nobody else.
    pub fn set_local(&mut self, addrs: LocalAddrs) {
        self.local = addrs;
    }

    /// Tells a peer how the path from it serves what it sends. What is beyond the bounds of a report is brought within them.
    pub fn report_path(&mut self, now: Duration, peer: u8, report: PathReport) {
        if self.peer_mut(peer).and_then(Peer::live_mut).is_some() {
            self.send(now, peer, &Control::PathReport(report.clamped()));
        }
    }

    /// Sends a peer a datagram of [`Filling`]: so many bytes that mean nothing.
    pub fn fill(&mut self, now: Duration, peer: u8) {
        if self.may_answer() && self.peer_mut(peer).and_then(Peer::live_mut).is_some() {
            self.send(now, peer, &Control::Filling(Filling::default()));
        }
    }

    /// Our number, once we are in.
    #[must_use]
    pub fn me(&self) -> Option<u8> {
        self.me
    }

    /// The session's number, once we are in.
    #[must_use]
    pub fn session_id(&self) -> Option<u64> {
        self.session_id
    }

    /// The session's time, as well as it is known: right once [`Event::ClockReady`] has come, refined from then on.
    #[must_use]
    pub fn clock(&self) -> SessionClock {
        self.clock.now
    }

    /// Whether [`clock`](Self::clock) is the session's time.
    #[must_use]
    pub fn clock_is_ready(&self) -> bool {
        self.clock.is_ready()
    }

    /// Everybody else who is or was in the call, by number.
    pub fn peers(&self) -> impl Iterator<Item = PeerInfo<'_>> {
        (0..).zip(&self.peers).filter_map(|(id, peer)| Some(peer.as_ref()?.info(id)))
    }

    /// What was not taken, by reason.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// Whether the session is over: its last event has been queued.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        matches!(self.phase, Phase::Ended)
    }

    pub(crate) fn is_host(&self) -> bool {
        self.me == Some(HOST)
    }

    pub(crate) fn peer_mut(&mut self, id: u8) -> Option<&mut Peer> {
        self.peers.get_mut(usize::from(id))?.as_mut()
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.events.push_back(event);
    }

    pub(crate) fn transmit(&mut self, to: SocketAddr, datagram: Vec<u8>) {
        self.transmits.push_back(Transmit { to, datagram });
    }

    /// Whether answers may be queued: a peer that asks faster than datagrams leave gets fewer.
    pub(crate) fn may_answer(&self) -> bool {
        self.transmits.len() < TRANSMIT_MOST
    }

    /// Seals a message for a peer that has a link.
    pub(crate) fn send(&mut self, now: Duration, id: u8, message: &Control) {
        let route = self.peer_mut(id).and_then(|peer| peer.link.as_ref()).map(Link::route);
        if let Some(route) = route {
            self.send_by(now, id, route, message);
        }
    }

    /// As [`send`](Self::send), by a given way.
    pub(crate) fn send_by(&mut self, now: Duration, id: u8, route: Route, message: &Control) {
        let timestamp_ms = self.clock.now.session_ms(now);
        if let Some(link) = self.peer_mut(id).and_then(|peer| peer.link.as_mut()) {
            let datagram = link.seal(timestamp_ms, message);
            self.transmit_by(id, route, datagram);
        }
    }

    pub(crate) fn refuse(&mut self, refusal: Refusal) {
        if matches!(self.phase, Phase::Joining(_)) {
            self.phase = Phase::Ended;
        }
        self.event(Event::Refused(refusal));
    }
}
