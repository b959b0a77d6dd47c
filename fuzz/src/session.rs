//! A call with somebody in it, or at its door, who sends whatever he likes, whenever he likes.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use hyperzoom_protocol::{
    AudioReport, CameraState, Control, Cookie, Envelope, Header, Initiator, InviteKey, MAX_CONTROL,
    MAX_DATAGRAM, MAX_PARTICIPANTS, MAX_PAYLOAD, PacketType, PathReport, RelaySealer, RelayWay, SecretKey,
    Stream, StreamSealer,
};
use hyperzoom_session::{Config, Event, Relaying, Session};

const KEY: InviteKey = InviteKey([42; 32]);
/// A session queues no answers beyond so many, and each of its peers may be due a few datagrams more.
const TRANSMITS_MOST: usize = 64 + 8 * MAX_PARTICIPANTS;
/// The insider's number.
const INSIDER: usize = 2;
/// Datagrams that are kept to be sent again.
const TAPE_MOST: usize = 256;

/// What is left of the input. It goes on in zeros, so that each input means something.
struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn number(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    /// A byte of length, which counts in twenties from 200 on, and so many bytes.
    fn bytes(&mut self, most: usize) -> &'a [u8] {
        let len = usize::from(self.byte());
        let len = (len + len.saturating_sub(200) * 19).min(most).min(self.0.len());
        let (bytes, rest) = self.0.split_at(len);
        self.0 = rest;
        bytes
    }

    fn kind(&mut self) -> PacketType {
        let kinds = [
            PacketType::Audio,
            PacketType::VideoKeyframe,
            PacketType::VideoDelta,
            PacketType::Control,
            PacketType::Bye,
            PacketType::Relayed,
        ];
        kinds[usize::from(self.byte()) % kinds.len()]
    }
}

fn addr(party: usize) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, party as u8 + 1], 4700))
}

fn config(party: usize, key: Option<InviteKey>) -> Config {
    Config { name: format!("P{party}"), key, session_id: 7, instance: 1000 + party as u128, capacity: 4 }
}

/// The sealers of one who came in as people do.
struct Insider {
    control: StreamSealer,
    audio: StreamSealer,
    video: StreamSealer,
    relay: RelaySealer,
}

/// A host, a guest, and perhaps an insider's place, which is played by the input.
struct Call {
    now: Duration,
    parties: Vec<Session>,
    /// Addresses that are not of the call: bytes that came from them, and that were sent to them.
    strangers: HashMap<SocketAddr, (usize, usize)>,
    tape: Vec<Vec<u8>>,
    /// The last cookie that each of them was given.
    cookies: HashMap<SocketAddr, Cookie>,
    /// What the one who became the insider seals with, by who receives it.
    keys: HashMap<u8, SecretKey>,
}

impl Call {
    fn new(key: Option<InviteKey>, guests: usize) -> Self {
        let now = Duration::from_secs(5);
        let mut call = Self {
            now,
            parties: vec![Session::host(config(0, key), now)],
            strangers: HashMap::new(),
            tape: Vec::new(),
            cookies: HashMap::new(),
            keys: HashMap::new(),
        };
        for guest in 1..=guests {
            call.parties.push(Session::guest(config(guest, key), addr(0), now));
            call.settle();
            // A greeting that was sooner there than its introduction is said again.
            call.wait(Duration::from_secs(1));
            assert_eq!(call.parties[guest].me(), Some(guest as u8), "an honest guest gets in");
        }
        call
    }

    /// Everything that was sent arrives, and what that leads to.
    fn settle(&mut self) {
        for _ in 0..64 {
            let mut sent = Vec::new();
            for (party, session) in self.parties.iter_mut().enumerate() {
                let mut count = 0;
                while let Some(transmit) = session.poll_transmit() {
                    assert!(transmit.datagram.len() <= MAX_DATAGRAM);
                    sent.push((party, transmit));
                    count += 1;
                }
                assert!(count <= TRANSMITS_MOST, "{count} datagrams at once");
                while let Some(event) = session.poll_event() {
                    if let (INSIDER, Event::PeerConnected { id, send_key, .. }) = (party, event) {
                        self.keys.insert(id, send_key);
                    }
                }
                assert!(session.peers().count() < MAX_PARTICIPANTS);
            }
            if sent.is_empty() {
                return;
            }
            for (party, transmit) in sent {
                if self.tape.len() < TAPE_MOST {
                    self.tape.push(transmit.datagram.clone());
                }
                match (0..self.parties.len()).find(|party| addr(*party) == transmit.to) {
                    Some(to) => self.deliver(to, addr(party), transmit.datagram),
                    None => self.leave_call(transmit.to, &transmit.datagram),
                }
            }
        }
    }

    /// Something was sent to an address that is not of the call.
    fn leave_call(&mut self, to: SocketAddr, datagram: &[u8]) {
        self.strangers.entry(to).or_default().1 += datagram.len();
        if let Ok((_, payload)) = Header::parse(datagram)
            && let Some(Envelope::Cookie(cookie)) = Envelope::of(payload)
            && let Ok(cookie) = cookie.try_into()
        {
            self.cookies.insert(to, Cookie(cookie));
        }
    }

    fn deliver(&mut self, to: usize, from: SocketAddr, mut datagram: Vec<u8>) {
        match self.parties[to].relay(self.now, from, &mut datagram) {
            Relaying::Onward { to: onward, .. } => {
                assert_eq!(to, 0, "only the host passes on");
                match (1..self.parties.len()).find(|party| addr(*party) == onward) {
                    Some(target) => self.deliver(target, addr(to), datagram),
                    None => self.strangers.entry(onward).or_default().1 += datagram.len(),
                }
                return;
            }
            Relaying::Dropped => return,
            Relaying::NotOurs => {}
        }
        if let Some(media) = self.parties[to].handle_datagram(self.now, from, &mut datagram) {
            assert!(!media.payload.is_empty() && media.payload.len() <= MAX_PAYLOAD);
        }
    }

    fn wait(&mut self, span: Duration) {
        self.now += span;
        for session in &mut self.parties {
            session.handle_timeout(self.now);
            let next = session.poll_timeout();
            assert!(next.is_none_or(|next| next > self.now), "a timer that is never done");
        }
        self.settle();
    }
}

/// The first byte says who is attacked, whether there is a key, and whether the attacker is in; each step after it begins with a
/// byte that says what it is.
pub(crate) fn run(data: &[u8]) {
    let mut script = Script(data);
    let mode = script.byte();
    let (victim, key) = (usize::from(mode & 1), (mode & 2 == 0).then_some(KEY));
    let inside = mode & 4 == 0;
    let mut call = Call::new(key, if inside { 2 } else { 1 });
    let mut insider = inside.then(|| {
        // What the one who came in has sealed itself so far must not be sealed again.
        call.parties.pop();
        let secret = call.keys[&(victim as u8)];
        let mut control = StreamSealer::new(secret, Stream::Control, 2);
        for _ in 0..256 {
            control.skip();
        }
        Insider {
            control,
            audio: StreamSealer::new(secret, Stream::Audio, 2),
            video: StreamSealer::new(secret, Stream::Video, 2),
            relay: RelaySealer::new(call.keys[&0], 2),
        }
    });
    let own_key = if inside || key.is_none() { key } else { Some(InviteKey([9; 32])) };
    let mut out = [0; MAX_DATAGRAM];
    while !script.0.is_empty() {
        let step = script.byte();
        let from = match script.byte() {
            // The insider's own address, somebody else's of the call, one that is nobody's.
            byte if byte & 1 == 0 && inside => addr(2),
            byte if byte & 3 == 1 => addr(1 - victim),
            byte => SocketAddr::from(([192, 0, 2, byte >> 5], 4700)),
        };
        let mut to = victim;
        let datagram = match (step % 11, insider.as_mut()) {
            (0, _) => script.bytes(1500).to_vec(),
            (1, _) => {
                let (kind, participant, sequence) = (script.kind(), script.byte() % 6, script.number());
                let payload = script.bytes(1500);
                let header = Header { kind, ..Header::control(participant, sequence, payload.len() as u16) };
                [&header.encode()[..], payload].concat()
            }
            (2, Some(insider)) => {
                let kind = if script.byte() & 1 == 1 { PacketType::Bye } else { PacketType::Control };
                let len = insider.control.seal(kind, u32::MAX, 0, 0, script.bytes(MAX_CONTROL), &mut out);
                out[..len].to_vec()
            }
            (3, Some(insider)) => {
                let kind = script.kind();
                let sealer = match Stream::of(kind) {
                    Some(Stream::Audio) => &mut insider.audio,
                    Some(Stream::Video) => &mut insider.video,
                    Some(Stream::Control) => &mut insider.control,
                    None => continue,
                };
                let (fragment, fragments) = (script.byte(), script.byte());
                let payload = script.bytes(MAX_CONTROL);
                let len = sealer.seal(kind, 0, fragment, fragments, payload, &mut out);
                out[..len].to_vec()
            }
            (4 | 5, _) => {
                let (sender, sequence) = (script.byte(), script.number());
                let Ok(mut message) = Control::decode(script.bytes(MAX_CONTROL)) else { continue };
                if let Control::Hello(hello) = &mut message {
                    hello.cookie = call.cookies.get(&from).copied();
                }
                Initiator::start(own_key.as_ref(), sender, sequence, &message).expect("random numbers").1
            }
            (6, _) => {
                call.wait(Duration::from_millis(u64::from(script.byte()) * 20));
                continue;
            }
            (7, _) => {
                let at = usize::from(script.byte());
                let Some(datagram) = call.tape.get(at) else { continue };
                datagram.clone()
            }
            (8, Some(insider)) => {
                for _ in 0..script.number() {
                    insider.audio.skip();
                }
                continue;
            }
            (9, Some(insider)) => {
                let lanes = [Stream::Control, Stream::Audio, Stream::Video];
                let way = RelayWay {
                    source: INSIDER as u8,
                    target: script.byte() % 5,
                    lane: lanes[usize::from(script.byte()) % lanes.len()],
                };
                let mut inner = [0; MAX_DATAGRAM];
                let len = if script.byte() & 1 == 1 {
                    insider.control.seal(PacketType::Control, 0, 0, 0, script.bytes(MAX_CONTROL), &mut inner)
                } else {
                    let bytes = script.bytes(MAX_DATAGRAM);
                    inner[..bytes.len()].copy_from_slice(bytes);
                    bytes.len()
                };
                let Some(len) = insider.relay.wrap(way, &inner[..len], &mut out) else { continue };
                to = 0;
                out[..len].to_vec()
            }
            (8 | 9 | 2 | 3, None) => continue,
            (_, _) => {
                let (now, peer) = (call.now, script.byte() % 5);
                let session = &mut call.parties[victim];
                match script.byte() % 6 {
                    0 => session.fill(now, peer),
                    1 => session.set_camera(now, CameraState::Lost),
                    2 => session.report_path(
                        now,
                        peer,
                        PathReport { queue_us: u32::MAX, ..PathReport::default() },
                    ),
                    3 => session.report_audio(now, peer, AudioReport::default()),
                    4 => {
                        session.request_keyframe(now, peer);
                    }
                    _ => session.leave(now),
                }
                call.settle();
                continue;
            }
        };
        if ![addr(0), addr(1), addr(2)].contains(&from) {
            call.strangers.entry(from).or_default().0 += datagram.len();
        }
        call.deliver(to, from, datagram);
        call.settle();
        for (address, (came, went)) in &call.strangers {
            // Who is in may say where he is.
            assert!(inside || went <= came, "{address} was sent {went} bytes for {came}");
            assert!(inside || key.is_none() || *went == 0, "{address} was answered without the key");
        }
    }
    for _ in 0..10 {
        call.wait(Duration::from_secs(1));
    }
}
