//! The receive thread on a network in virtual time.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::net::UdpSocket;
use std::rc::Rc;

use hyperzoom_media::{MediaKind, PacketSink};
use hyperzoom_protocol::{
    InviteKey, MAX_DATAGRAM, RelaySealer, RelayWay, SecretKey, Stream, StreamSealer, VideoNack,
};
use hyperzoom_session::{Config, LeaveReason};
use ringbuf::traits::{Consumer, Observer};

use super::*;
use crate::events::{PeerInbox, TransportEvents, channel};
use crate::{StreamSender, Turn};

const HOST: u8 = 0;
const GUEST: u8 = 1;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A network in virtual time.
#[derive(Default)]
struct Net {
    now: Cell<Duration>,
    /// What waits to be read.
    arrived: RefCell<VecDeque<Vec<u8>>>,
    sent: RefCell<Vec<(Duration, Vec<u8>)>>,
    /// A stranger's datagram comes this long after the one before, without end.
    garbage_every: Cell<Option<Duration>>,
    /// Reads fail so often before one does not.
    failures: Cell<u32>,
}

#[derive(Clone)]
struct NetWire {
    net: Rc<Net>,
    peer: SocketAddr,
}

impl NetWire {
    fn pass(&self, span: Duration) {
        self.net.now.set(self.net.now.get() + span);
    }

    /// Hands the datagrams sent so far to whoever asks.
    fn take_sent(&self) -> Vec<Vec<u8>> {
        self.net.sent.borrow_mut().drain(..).map(|(_, datagram)| datagram).collect()
    }
}

impl Wire for NetWire {
    fn now(&self) -> Duration {
        self.net.now.get()
    }

    fn receive(&mut self, into: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        if self.net.failures.get() > 0 {
            self.net.failures.set(self.net.failures.get() - 1);
            return Err(io::Error::other("too long"));
        }
        if let Some(datagram) = self.net.arrived.borrow_mut().pop_front() {
            into[..datagram.len()].copy_from_slice(&datagram);
            return Ok((datagram.len(), self.peer));
        }
        match self.net.garbage_every.get() {
            Some(span) => {
                self.pass(span);
                into[..40].fill(0x5A);
                Ok((40, SocketAddr::from(([192, 0, 2, 66], 6666))))
            }
            None => {
                self.pass(ms(5));
                Err(io::ErrorKind::WouldBlock.into())
            }
        }
    }

    fn send(&mut self, datagram: &[u8], _to: SocketAddr) -> io::Result<()> {
        self.net.sent.borrow_mut().push((self.now(), datagram.to_vec()));
        Ok(())
    }

    fn pause(&mut self) {
        self.pass(ms(5));
    }
}

fn config(instance: u128) -> Config {
    Config { name: "P".into(), key: Some(InviteKey([5; 32])), session_id: 7, instance, capacity: 4 }
}

/// A receive thread on a network in virtual time, and all that it talks to.
struct Bench {
    thread: ReceiveThread<NetWire>,
    wire: NetWire,
    orders: Arc<Orders>,
    events: TransportEvents,
    audio: StreamSender,
    video: StreamSender,
    /// What the peer's address is: media that is sent arrives here.
    ear: UdpSocket,
    buffer: Vec<u8>,
}

impl Bench {
    fn new(session: impl FnOnce(SocketAddr) -> Session) -> Self {
        let socket = || Arc::new(UdpSocket::bind(("127.0.0.1", 0)).unwrap());
        let ear = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
        let wire = NetWire { net: Rc::default(), peer: ear.local_addr().unwrap() };
        let gate = Arc::new(VideoGate::default());
        let (audio, audio_link) = StreamSender::new(socket(), Stream::Audio, Turn::default(), gate.clone());
        let (mut video, video_link) =
            StreamSender::new(socket(), Stream::Video, Turn::default(), gate.clone());
        let resender = Resender::new(video.keep_sent(), Turn::default(), gate.clone());
        let orders = Arc::new(Orders::default());
        let (events_in, events) = channel();
        let thread = ReceiveThread::new(
            wire.clone(),
            session(wire.peer),
            SharedClock::new(),
            events_in,
            orders.clone(),
            Senders::new(audio_link, video_link),
            gate,
        )
        .with_resender(resender);
        Self { thread, wire, orders, events, audio, video, ear, buffer: vec![0; LONGEST] }
    }

    fn turn(&mut self) {
        self.thread.turn(&mut self.buffer);
    }

    fn events(&mut self) -> Vec<TransportEvent> {
        std::iter::from_fn(|| self.events.poll()).collect()
    }

    /// A host with a guest, who is driven by hand, and the guest's key for its media.
    fn with_guest() -> (Self, Session, hyperzoom_protocol::SecretKey, PeerInbox) {
        let mut host = Self::new(|_| Session::host(config(1), Duration::ZERO));
        let mut guest = Session::guest(config(2), SocketAddr::from(([10, 0, 0, 1], 1)), Duration::ZERO);
        for _ in 0..4 {
            exchange(&mut host, &mut guest);
        }
        let key = std::iter::from_fn(|| guest.poll_event()).find_map(|event| match event {
            Event::PeerConnected { id: HOST, send_key, .. } => Some(send_key),
            _ => None,
        });
        let inbox = host.events().into_iter().find_map(|event| match event {
            TransportEvent::PeerConnected { id: GUEST, inbox, .. } => Some(inbox),
            _ => None,
        });
        (host, guest, key.unwrap(), inbox.unwrap())
    }
}

fn exchange(host: &mut Bench, guest: &mut Session) {
    let now = host.wire.now();
    guest.handle_timeout(now);
    while let Some(transmit) = guest.poll_transmit() {
        host.wire.net.arrived.borrow_mut().push_back(transmit.datagram);
    }
    host.turn();
    for mut datagram in host.wire.take_sent() {
        guest.handle_datagram(host.wire.now(), host.wire.peer, &mut datagram);
    }
}

#[test]
fn no_flood_and_no_trickle_of_garbage_delays_a_timer() {
    // 50 000 a second, and one just before each read would give up, as a peer's audio comes.
    for every in [Duration::from_micros(20), Duration::from_micros(4_900)] {
        let mut bench = Bench::new(|host| Session::guest(config(1), host, Duration::ZERO));
        bench.wire.net.garbage_every.set(Some(every));
        while bench.wire.now() < ms(3_000) {
            bench.turn();
        }
        let hellos: Vec<_> = bench.wire.net.sent.borrow().iter().map(|(at, _)| *at).collect();
        let waits: Vec<_> = hellos.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert_eq!(waits.len(), 4);
        for (wait, due) in waits.into_iter().zip([250, 500, 1000, 1000].map(ms)) {
            assert!(wait.abs_diff(due) <= ms(12), "{wait:?} for {due:?}, one every {every:?}");
        }
    }
}

#[test]
fn an_order_is_obeyed_at_once_whatever_arrives() {
    for every in [Duration::from_micros(20), Duration::from_micros(4_900)] {
        let mut bench = Bench::new(|host| Session::guest(config(1), host, Duration::ZERO));
        bench.wire.net.garbage_every.set(Some(every));
        bench.turn();
        let ordered = bench.wire.now();
        bench.orders.leave();
        bench.turn();
        assert!(matches!(bench.events()[..], [TransportEvent::Ended]));
        assert!(bench.wire.now() - ordered <= ms(12), "a turn of {:?}", bench.wire.now() - ordered);
    }
}

#[test]
fn a_datagram_that_cannot_be_read_does_not_hold_up_the_next() {
    let (mut host, _guest, key, mut inbox) = Bench::with_guest();
    let mut sealer = StreamSealer::new(key, Stream::Audio, GUEST);
    let before = host.wire.now();
    for word in 0..10 {
        let mut out = [0; MAX_DATAGRAM];
        let len = sealer.seal(PacketType::Audio, 0, 0, 0, &[word], &mut out);
        host.wire.net.arrived.borrow_mut().push_back(out[..len].to_vec());
    }
    host.wire.net.failures.set(10);
    host.turn();
    let heard: Vec<_> = std::iter::from_fn(|| inbox.audio.try_pop()).collect();
    assert_eq!(heard.len(), 10);
    assert!(heard.iter().all(|packet| packet.arrived == before), "none waited");
}

#[test]
fn a_socket_that_is_down_is_not_asked_without_a_pause() {
    let mut bench = Bench::new(|_| Session::host(config(1), Duration::ZERO));
    bench.wire.net.failures.set(10_000);
    while bench.wire.net.failures.get() > 0 {
        bench.turn();
    }
    assert!(bench.wire.now() >= ms(500), "only {:?}", bench.wire.now());
}

#[test]
fn goodbyes_are_50_ms_apart_while_the_others_talk_on() {
    let (mut host, _guest, _key, _inbox) = Bench::with_guest();
    host.wire.net.garbage_every.set(Some(Duration::from_micros(4_900)));
    host.orders.leave();
    let start = host.wire.now();
    while !host.events().iter().any(|event| matches!(event, TransportEvent::Ended)) {
        host.turn();
    }
    let at: Vec<_> = host.wire.net.sent.borrow().iter().map(|(at, _)| *at).collect();
    assert_eq!((at.len(), at[0]), (3, start));
    for pair in at.windows(2) {
        let wait = pair[1] - pair[0];
        assert!(wait >= ms(50) && wait <= ms(62), "{wait:?} between two goodbyes");
    }
}

#[test]
fn who_has_left_is_not_heard_any_more_and_has_nothing_more_to_say() {
    let (mut host, _guest, _key, inbox) = Bench::with_guest();
    let mut datagram = [0; MAX_DATAGRAM];
    host.audio.send(MediaKind::Audio, 0, b"goodbye");
    assert!(host.ear.recv_from(&mut datagram).is_ok());
    host.orders.leave();
    host.turn();
    // Not even if all goodbyes are lost.
    host.ear.set_nonblocking(true).unwrap();
    host.audio.send(MediaKind::Audio, 0, b"is this thing still on?");
    assert!(host.ear.recv_from(&mut datagram).is_err());
    while host.wire.now() < ms(10_000) {
        host.turn();
    }
    let events = host.events();
    assert!(matches!(events.last(), Some(TransportEvent::Ended)), "something came after the end");
    let last = events.iter().rev().find_map(|event| match event {
        TransportEvent::Stats(stats) => Some(*stats),
        _ => None,
    });
    assert_eq!(last.map(|stats| (stats.id, stats.audio_sent)), Some((GUEST, 1)));
    assert!(!inbox.audio.write_is_held(), "its rings are closed");
}

#[test]
fn a_peer_that_says_goodbye_is_gone_before_its_next_datagram() {
    let (mut host, mut guest, key, inbox) = Bench::with_guest();
    let mut sealer = StreamSealer::new(key, Stream::Audio, GUEST);
    guest.leave(host.wire.now());
    while let Some(transmit) = guest.poll_transmit() {
        host.wire.net.arrived.borrow_mut().push_back(transmit.datagram);
    }
    let mut out = [0; MAX_DATAGRAM];
    let len = sealer.seal(PacketType::Audio, 0, 0, 0, b"late", &mut out);
    host.wire.net.arrived.borrow_mut().push_back(out[..len].to_vec());
    host.turn();
    assert!(inbox.audio.is_empty());
    let left = |event: &TransportEvent| {
        matches!(event, TransportEvent::PeerLeft { id: GUEST, reason: LeaveReason::Bye })
    };
    assert_eq!(host.events().iter().filter(|event| left(event)).count(), 1);
}

/// What the guest was asked for meanwhile.
fn asked(guest: &mut Session) -> (Vec<u16>, usize) {
    let (mut missed_all, mut keyframes) = (Vec::new(), 0);
    while let Some(event) = guest.poll_event() {
        match event {
            Event::VideoMissed { by: HOST, missed } => missed_all.extend(missed.sequences()),
            Event::KeyframeRequested { by: HOST } => keyframes += 1,
            _ => {}
        }
    }
    (missed_all, keyframes)
}

#[test]
fn video_that_does_not_arrive_is_asked_for_and_a_keyframe_only_where_that_does_not_help() {
    let (mut host, mut guest, key, mut inbox) = Bench::with_guest();
    let mut sealer = StreamSealer::new(key, Stream::Video, GUEST);
    let mut datagrams: Vec<Vec<u8>> = (0..4u32)
        .map(|frame| {
            let kind = if frame == 0 { PacketType::VideoKeyframe } else { PacketType::VideoDelta };
            let mut out = [0; MAX_DATAGRAM];
            let len = sealer.seal(kind, frame * 41, 0, 0, &[frame as u8], &mut out);
            out[..len].to_vec()
        })
        .collect();
    let lost = datagrams.remove(1);
    host.wire.net.arrived.borrow_mut().extend(datagrams);
    exchange(&mut host, &mut guest);
    exchange(&mut host, &mut guest);
    assert_eq!(asked(&mut guest), (vec![1], 0));
    assert_eq!(
        std::iter::from_fn(|| inbox.video.try_pop()).map(|frame| frame.data).collect::<Vec<_>>(),
        [[0]]
    );
    host.wire.net.arrived.borrow_mut().push_back(lost);
    exchange(&mut host, &mut guest);
    let healed: Vec<_> = std::iter::from_fn(|| inbox.video.try_pop()).collect();
    assert_eq!(
        healed.iter().map(|frame| (frame.data[0], frame.contiguous)).collect::<Vec<_>>(),
        [(1, true), (2, true), (3, true)]
    );

    // This one does not come, however often it is asked for.
    let mut out = [0; MAX_DATAGRAM];
    sealer.skip();
    let len = sealer.seal(PacketType::VideoDelta, 205, 0, 0, &[5], &mut out);
    host.wire.net.arrived.borrow_mut().push_back(out[..len].to_vec());
    let until = host.wire.now() + ms(600);
    while host.wire.now() < until {
        exchange(&mut host, &mut guest);
    }
    let (missed, keyframes) = asked(&mut guest);
    assert!((4..=5).contains(&missed.len()) && missed.iter().all(|sequence| *sequence == 4), "{missed:?}");
    assert_eq!(keyframes, 1);
    assert_eq!(inbox.video.try_pop().map(|frame| frame.contiguous), Some(false));
    host.wire.pass(ms(1000));
    host.turn();
    let stats = host.events().into_iter().rev().find_map(|event| match event {
        TransportEvent::Stats(stats) => Some(stats),
        _ => None,
    });
    let stats = stats.unwrap();
    assert_eq!(
        (stats.video_repaired, stats.video_asked, stats.keyframes_asked, stats.video_lost),
        (1, 1 + missed.len() as u64, 1, 1)
    );
}

#[test]
fn video_that_a_peer_missed_is_sent_to_it_once_more_as_it_was() {
    let (mut host, mut guest, _key, _inbox) = Bench::with_guest();
    let mut datagram = [0; MAX_DATAGRAM];
    let first: Vec<_> = (0..6u8)
        .map(|frame| {
            // A peer is sent nothing before its first keyframe.
            let kind = if frame == 0 { MediaKind::VideoKeyframe } else { MediaKind::VideoDelta };
            host.video.send(kind, 0, &[frame]);
            let (len, _) = host.ear.recv_from(&mut datagram).unwrap();
            datagram[..len].to_vec()
        })
        .collect();
    exchange(&mut host, &mut guest);
    host.wire.take_sent();
    guest.request_video(host.wire.now(), HOST, VideoNack { first: 2, following: 0b10 });
    while let Some(transmit) = guest.poll_transmit() {
        host.wire.net.arrived.borrow_mut().push_back(transmit.datagram);
    }
    for _ in 0..20 {
        host.turn();
    }
    let mut again = host.wire.take_sent();
    again.retain(|datagram| matches!(hyperzoom_protocol::Header::parse(datagram), Ok((header, _)) if header.kind == PacketType::VideoDelta));
    assert_eq!(again, [first[2].clone(), first[4].clone()]);
}

#[test]
fn video_to_a_peer_stops_while_its_path_is_full_and_not_for_longer() {
    let (mut host, mut guest, _, _inbox) = Bench::with_guest();
    let report = |host: &mut Bench, guest: &mut Session, queue_us| {
        guest.report_path(host.wire.now(), HOST, PathReport { queue_us, ..PathReport::default() });
        exchange(host, guest);
        host.thread.gate.is_open(GUEST)
    };
    host.orders.set_filling(GUEST, 100);
    assert!(report(&mut host, &mut guest, 15_000), "no more than a hiccup");
    assert!(host.thread.gate.is_paused(GUEST), "but what is on its way waits");
    assert!(!report(&mut host, &mut guest, 40_000));
    assert_eq!(host.orders.filling_kbps(GUEST), 0, "nor is anything else put on it");
    assert!(!report(&mut host, &mut guest, 15_000), "it drains");
    assert!(report(&mut host, &mut guest, 3_000));
    assert!(!report(&mut host, &mut guest, 40_000));
    let until = host.wire.now() + ms(1000);
    while host.wire.now() <= until {
        host.turn();
    }
    assert!(host.thread.gate.is_open(GUEST), "the report of its end may have been lost");
    assert!(!host.thread.gate.is_paused(GUEST));
    let reported = host.events().iter().filter(|e| matches!(e, TransportEvent::PathReported { .. })).count();
    assert_eq!(reported, 5);
}

#[test]
fn who_was_given_up_on_suspicion_gets_a_keyframe_when_it_is_gone_and_not_at_every_turn() {
    let (mut host, _guest, _, _inbox) = Bench::with_guest();
    let asked = |host: &mut Bench| {
        let events = host.events();
        events.iter().filter(|e| matches!(e, TransportEvent::KeyframeRequested { by: GUEST })).count()
    };
    let mut all = 0;
    let until = host.wire.now() + ms(3000);
    while host.wire.now() < until {
        let now = host.wire.now();
        let gate = host.thread.gate.clone();
        host.thread.heed.suspect(&gate, now, GUEST, ms(20));
        gate.set_lacking(GUEST, true);
        host.turn();
        assert_eq!(asked(&mut host), 0, "not while there may be a queue");
        host.thread.heed.suspect(&gate, now, GUEST, ms(0));
        host.turn();
        all += asked(&mut host);
    }
    assert!((3..=4).contains(&all), "{all} keyframes in three seconds");
}

#[test]
fn what_is_passed_on_is_counted_for_whose_it_is_and_what_is_refused_once() {
    let (mut host, _guest, key, _inbox) = Bench::with_guest();
    let mut other = Session::guest(config(3), SocketAddr::from(([10, 0, 0, 1], 1)), host.wire.now());
    for _ in 0..4 {
        exchange(&mut host, &mut other);
    }
    host.wire.take_sent();
    let way = RelayWay { source: GUEST, target: 2, lane: Stream::Audio };
    let envelope = |key: SecretKey, index: usize| {
        let mut out = [0; MAX_DATAGRAM];
        let mut sealer = RelaySealer::new(key, GUEST);
        let len = (0..=index).map(|_| sealer.wrap(way, &[1; 300], &mut out).unwrap()).last().unwrap();
        host.wire.net.arrived.borrow_mut().push_back(out[..len].to_vec());
        len
    };
    let len = envelope(key, 0);
    envelope([9; 32].into(), 1);
    let refused = host.thread.session.stats().unauthenticated;
    host.turn();
    assert_eq!(host.wire.take_sent().iter().filter(|sent| sent.len() == len).count(), 1);
    assert_eq!(host.thread.session.stats().unauthenticated, refused + 1);
    let relayed = [GUEST, 2].map(|id| host.thread.stats(id).map(|stats| stats.relayed_bytes));
    assert_eq!(relayed, [Some(len as u64), Some(0)]);
}

#[test]
fn filling_is_sent_at_its_rate_and_ends_when_told() {
    let (mut host, mut guest, _, _inbox) = Bench::with_guest();
    let mut run = |host: &mut Bench, span: Duration| {
        let until = host.wire.now() + span;
        let mut filling = 0;
        while host.wire.now() < until {
            exchange(host, &mut guest);
            host.turn();
            filling += host.wire.take_sent().iter().filter(|sent| sent.len() == Filling::DATAGRAM).count();
        }
        filling
    };
    run(&mut host, ms(500));
    host.orders.set_filling(GUEST, 80);
    host.wire.take_sent();
    let sent = run(&mut host, ms(2000));
    // `exchange` hands on what its own turn has sent, which is half of it.
    let kbps = 2 * sent * Filling::DATAGRAM * 8 / 2000;
    assert!((70..=90).contains(&kbps), "{kbps} kbit/s");
    host.orders.set_filling(GUEST, 0);
    run(&mut host, ms(50));
    assert_eq!(run(&mut host, ms(500)), 0);
}
