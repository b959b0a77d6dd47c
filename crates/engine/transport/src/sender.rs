//! One outgoing stream: sealed for every peer, written by the thread that made it.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyperzoom_congestion::fragment_len;
use hyperzoom_media::{MediaKind, PacketSink};
use hyperzoom_protocol::{
    HEADER_LEN, MAX_DATAGRAM, MAX_PAYLOAD, PacketType, RelaySealer, RelayWay, Stream, StreamSealer, TAG_LEN,
    fragments_of,
};
use ringbuf::traits::{Consumer, Observer, Producer, Split};
use ringbuf::{HeapCons, HeapProd, HeapRb};

use crate::gate::VideoGate;
use crate::links::{LinkCommand, MAX_PEERS, SenderLink, SentCounters};
use crate::resend::Sent;
use crate::{Turn, resend};

/// Bytes of a datagram that are no payload.
const OVERHEAD: usize = HEADER_LEN + TAG_LEN;

/// The host's number.
const HOST: u8 = 0;

/// How often it is looked whether there is better news of a path.
const NEWS: Duration = Duration::from_millis(1);

/// For how long at most all wait for news of one path, in a frame: the receive thread lets go a little sooner. The others' picture is late
/// by that.
const PATIENCE: Duration = Duration::from_millis(60);

/// And where nobody's path is clear, and no queue is known but on the ways here: waiting costs nobody anything then, and keeps the voice free of
/// what a path that has become narrow both ways would have to carry.
const SUSPENSE: Duration = Duration::from_millis(400);

/// Which fragment, of how many, and its bytes.
type Part<'a> = (u8, u8, &'a [u8]);

struct Link {
    id: u8,
    addr: SocketAddr,
    sealer: StreamSealer,
    /// What goes to it goes to the host, in an envelope.
    relayed: bool,
    /// It is sent all parts of the frame that is being sent.
    gets_frame: bool,
    /// It was not sent all frames since the last keyframe: no other is of use to it.
    lacks_keyframe: bool,
}

/// Sends one stream, audio or video, to every peer.
///
/// It belongs to the thread that encodes the stream. Sending is a seal and a system call a peer: it takes no lock and
/// allocates nothing. Audio's never waits. Video's waits between the datagrams of a frame, as the path takes them: the thread
/// that encodes video has nothing better to do, and takes the newest picture afterwards.
pub struct StreamSender {
    socket: Arc<UdpSocket>,
    stream: Stream,
    turn: Turn,
    links: [Option<Link>; MAX_PEERS],
    commands: HeapCons<LinkCommand>,
    counters: Arc<SentCounters>,
    gate: Arc<VideoGate>,
    datagram: [u8; MAX_DATAGRAM],
    /// Envelopes for the host, under our number: as long as the link to it has its key.
    relay: Option<(RelaySealer, u8)>,
    /// Where copies of what was sent go, for peers that miss some of it.
    kept: Option<HeapProd<Sent>>,
}

impl StreamSender {
    pub(crate) fn new(
        socket: Arc<UdpSocket>,
        stream: Stream,
        turn: Turn,
        gate: Arc<VideoGate>,
    ) -> (Self, SenderLink) {
        let (commands_in, commands) = HeapRb::new(64).split();
        let counters = Arc::new(SentCounters::default());
        let sender = Self {
            socket,
            stream,
            turn,
            links: [const { None }; MAX_PEERS],
            commands,
            counters: counters.clone(),
            gate,
            datagram: [0; MAX_DATAGRAM],
            relay: None,
            kept: None,
        };
        (sender, SenderLink::new(commands_in, counters))
    }

    /// Copies of what is sent from now on. What finds no room is not kept.
    pub(crate) fn keep_sent(&mut self) -> HeapCons<Sent> {
        let (kept, out) = HeapRb::new(resend::RING).split();
        self.kept = Some(kept);
        out
    }

    fn apply_commands(&mut self) {
        while let Some(command) = self.commands.try_pop() {
            match command {
                LinkCommand::Add { id, addr, key, me, relayed } => {
                    let sealer = StreamSealer::new(key, self.stream, me);
                    if id == HOST {
                        self.relay = Some((RelaySealer::new(key, me), me));
                    }
                    let link = Link { id, addr, sealer, relayed, gets_frame: false, lacks_keyframe: true };
                    let same = self.links.iter().position(|l| l.as_ref().is_some_and(|l| l.id == id));
                    let free = || self.links.iter().position(Option::is_none);
                    if let Some(place) = same.or_else(free) {
                        self.links[place] = Some(link);
                    }
                }
                LinkCommand::Move { id, addr } => {
                    if let Some(link) = self.links.iter_mut().flatten().find(|l| l.id == id) {
                        link.addr = addr;
                    }
                }
                LinkCommand::Relay { id, relayed } => {
                    if let Some(link) = self.links.iter_mut().flatten().find(|l| l.id == id) {
                        link.relayed = relayed;
                    }
                }
                LinkCommand::Remove { id } => {
                    for place in &mut self.links {
                        if place.as_ref().is_some_and(|l| l.id == id) {
                            *place = None;
                        }
                    }
                }
            }
        }
        if !self.commands.write_is_held() {
            // The receive thread has ended: nobody would say who leaves.
            self.links = [const { None }; MAX_PEERS];
        }
    }

    fn write(
        &mut self,
        place: usize,
        kind: PacketType,
        timestamp_ms: u32,
        (fragment, fragments, part): Part<'_>,
    ) {
        let Some(link) = &mut self.links[place] else { return };
        let sequence = link.sealer.next_sequence();
        let len = link.sealer.seal(kind, timestamp_ms, fragment, fragments, part, &mut self.datagram);
        let (id, addr, relayed) = (link.id, link.addr, link.relayed);
        let taken =
            if relayed { self.write_relayed(id, len) } else { self.write_to(addr, len).then_some(len) };
        self.counters.count(id, taken.unwrap_or(0), taken.is_some());
        if let Some(kept) = &mut self.kept {
            let _ = kept.try_push(Sent::new(id, sequence, &self.datagram[..len]));
        }
    }

    fn write_to(&self, addr: SocketAddr, len: usize) -> bool {
        self.socket.send_to(&self.datagram[..len], addr).is_ok()
    }

    /// Sends the datagram for `target` to the host, in an envelope; the length of all.
    fn write_relayed(&mut self, target: u8, len: usize) -> Option<usize> {
        let host = self.links.iter().flatten().find(|link| link.id == HOST)?.addr;
        let (sealer, me) = self.relay.as_mut()?;
        let way = RelayWay { source: *me, target, lane: self.stream };
        let mut envelope = [0; MAX_DATAGRAM];
        let len = sealer.wrap(way, &self.datagram[..len], &mut envelope)?;
        self.socket.send_to(&envelope[..len], host).ok().map(|_| len)
    }

    /// Waits while a path that gets the frame may have become narrow. All wait for one: it is not for long, and each is sent the same. One that
    /// is only suspected of it is not waited for while another is clear: the frame is given up for it. `waited` is for how long the
    /// frame has waited so far.
    fn wait_for_news(&mut self, waited: &mut Duration) {
        loop {
            let gate = &self.gate;
            let getting =
                || self.links.iter().flatten().filter(move |link| link.gets_frame && gate.is_open(link.id));
            let is_suspected = getting().any(|link| gate.is_suspected(link.id));
            let is_paused = getting().any(|link| gate.is_paused(link.id) && !gate.is_suspected(link.id));
            if is_suspected && getting().any(|link| !gate.is_paused(link.id)) {
                self.give_up_suspected();
                continue;
            }
            let limit = match (is_paused, is_suspected) {
                (true, _) => PATIENCE,
                (false, true) => SUSPENSE,
                (false, false) => return,
            };
            if *waited >= limit {
                return;
            }
            let since = Instant::now();
            std::thread::sleep(NEWS);
            *waited += since.elapsed();
            self.apply_commands();
        }
    }

    fn give_up_suspected(&mut self) {
        for link in self.links.iter_mut().flatten() {
            if link.gets_frame && self.gate.is_suspected(link.id) {
                link.gets_frame = false;
                link.lacks_keyframe = true;
                // The receive thread has one made when the suspicion is gone: the peer cannot see that it misses anything.
                self.gate.set_lacking(link.id, true);
            }
        }
    }

    /// Sends a frame of video to everybody whose path is not full, at the pace.
    fn send_frame(&mut self, kind: PacketType, timestamp_ms: u32, payload: &[u8]) {
        let is_keyframe = kind == PacketType::VideoKeyframe;
        let mut anybody = false;
        for link in self.links.iter_mut().flatten() {
            link.gets_frame = self.gate.is_open(link.id) && (is_keyframe || !link.lacks_keyframe);
            link.lacks_keyframe = !link.gets_frame;
            if link.gets_frame && is_keyframe {
                self.gate.set_lacking(link.id, false);
            }
            anybody |= link.gets_frame;
        }
        if !anybody {
            return;
        }
        let len = fragment_len(self.gate.pace_kbps(), payload.len(), MAX_PAYLOAD);
        // A frame that no number of fragments holds is none that a working encoder makes; it is lost like any other.
        let Ok(parts) = fragments_of(payload, len) else { return };
        let epoch = self.gate.epoch();
        self.gate.begin(epoch.elapsed());
        let mut waited = Duration::ZERO;
        for part in parts {
            let wait = self.gate.place(epoch.elapsed(), part.2.len() + OVERHEAD);
            if wait > Duration::ZERO {
                std::thread::sleep(wait);
                self.apply_commands();
            }
            self.wait_for_news(&mut waited);
            for place in 0..self.links.len() {
                let Some(link) = self.links[place].as_mut().filter(|link| link.gets_frame) else { continue };
                if self.gate.is_open(link.id) {
                    self.turn.wait_for_audio();
                    self.write(place, kind, timestamp_ms, part);
                } else {
                    // Its path has become full. What was begun is of no use any more.
                    link.gets_frame = false;
                    link.lacks_keyframe = true;
                }
            }
            if !self.links.iter().flatten().any(|link| link.gets_frame) {
                return;
            }
        }
    }
}

impl PacketSink for StreamSender {
    fn send(&mut self, kind: MediaKind, timestamp_ms: u32, payload: &[u8]) {
        self.apply_commands();
        let kind = match kind {
            MediaKind::Audio => PacketType::Audio,
            MediaKind::VideoKeyframe => PacketType::VideoKeyframe,
            MediaKind::VideoDelta => PacketType::VideoDelta,
        };
        if self.stream != Stream::Audio {
            self.send_frame(kind, timestamp_ms, payload);
        } else if payload.len() <= MAX_PAYLOAD {
            let turn = self.turn.clone();
            let _turn = turn.audio();
            for place in 0..self.links.len() {
                self.write(place, kind, timestamp_ms, (0, 0, payload));
            }
        }
    }

    fn skip(&mut self) {
        self.apply_commands();
        for place in 0..self.links.len() {
            let Some(link) = &mut self.links[place] else { continue };
            // The receiver is told now and then, or it would lose count of the 16-bit numbers.
            if link.sealer.skip() && self.stream == Stream::Audio {
                let len = link.sealer.seal(PacketType::Audio, 0, 0, 0, &[], &mut self.datagram);
                let (id, addr, relayed) = (link.id, link.addr, link.relayed);
                let _ =
                    if relayed { self.write_relayed(id, len).is_some() } else { self.write_to(addr, len) };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::atomic::Ordering;
    use std::sync::mpsc;

    use super::*;
    use crate::events::LinkStats;
    use crate::links::Senders;
    use hyperzoom_protocol::{Header, StreamOpener};

    const KEY: [u8; 32] = [7; 32];

    fn socket() -> Arc<UdpSocket> {
        Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap())
    }

    /// An audio and a video sender whose peer 1 is `to`, and the receive thread's hold on them.
    fn senders(turn: &Turn, to: &UdpSocket) -> (StreamSender, StreamSender, Senders) {
        let gate = Arc::new(VideoGate::default());
        let (audio, audio_link) = StreamSender::new(socket(), Stream::Audio, turn.clone(), gate.clone());
        let (video, video_link) = StreamSender::new(socket(), Stream::Video, turn.clone(), gate);
        let mut links = Senders::new(audio_link, video_link);
        let addr = to.local_addr().unwrap();
        links.tell(LinkCommand::Add { id: 1, addr, key: KEY.into(), me: 0, relayed: false });
        (audio, video, links)
    }

    fn sent(links: &Senders) -> (u64, u64) {
        let mut stats = LinkStats::default();
        links.fill(1, &mut stats);
        (stats.audio_sent, stats.video_sent)
    }

    fn next_header(socket: &UdpSocket) -> Header {
        let mut datagram = [0; MAX_DATAGRAM];
        let (len, _) = socket.recv_from(&mut datagram).unwrap();
        Header::parse(&datagram[..len]).unwrap().0
    }

    #[test]
    fn a_payload_arrives_sealed_and_numbered() {
        let ear = socket();
        let (mut sender, _video, links) = senders(&Turn::default(), &ear);
        sender.send(MediaKind::Audio, 40, b"one");
        sender.skip();
        sender.send(MediaKind::Audio, 45, b"two");
        let mut opener = StreamOpener::new(KEY, Stream::Audio, 0);
        let mut datagram = [0; MAX_DATAGRAM];
        for (sequence, payload) in [(0, b"one"), (2, b"two")] {
            let (len, _) = ear.recv_from(&mut datagram).unwrap();
            let opened = opener.open(&mut datagram[..len]).unwrap();
            assert_eq!((opened.sequence, opened.payload), (sequence, &payload[..]));
        }
        assert_eq!(sent(&links), (2, 0));
    }

    #[test]
    fn a_long_frame_leaves_in_fragments() {
        let ear = socket();
        let (_audio, mut sender, _links) = senders(&Turn::default(), &ear);
        sender.gate.set_pace(10_000);
        sender.send(MediaKind::VideoKeyframe, 0, &[5; 3 * MAX_PAYLOAD]);
        for fragment in 0..3 {
            let header = next_header(&ear);
            assert_eq!(
                (header.fragment, header.fragments, header.sequence),
                (fragment, 3, u16::from(fragment))
            );
        }
    }

    /// The kinds and fragments of what has come.
    fn come(socket: &UdpSocket) -> Vec<(PacketType, u8, u8)> {
        socket.set_nonblocking(true).unwrap();
        let mut datagram = [0; MAX_DATAGRAM];
        let mut all = Vec::new();
        while let Ok((len, _)) = socket.recv_from(&mut datagram) {
            let header = Header::parse(&datagram[..len]).unwrap().0;
            all.push((header.kind, header.fragment, header.fragments));
        }
        all
    }

    #[test]
    fn a_slow_path_gets_short_fragments() {
        let ear = socket();
        let (_audio, mut sender, _links) = senders(&Turn::default(), &ear);
        sender.gate.set_pace(800);
        sender.send(MediaKind::VideoKeyframe, 0, &[5; 1100]);
        assert_eq!(come(&ear), [0, 1, 2].map(|n| (PacketType::VideoKeyframe, n, 3)));
    }

    #[test]
    fn a_peer_whose_gate_was_shut_gets_video_again_from_a_keyframe_on() {
        let ear = socket();
        let (mut audio, mut video, _links) = senders(&Turn::default(), &ear);
        video.send(MediaKind::VideoDelta, 0, b"of no use without its keyframe");
        assert_eq!(come(&ear), []);
        video.send(MediaKind::VideoKeyframe, 0, b"one");
        video.send(MediaKind::VideoDelta, 0, b"two");
        assert_eq!(come(&ear).len(), 2);
        video.gate.set_held(1, true);
        video.send(MediaKind::VideoDelta, 0, b"three");
        video.send(MediaKind::VideoKeyframe, 0, b"four");
        audio.send(MediaKind::Audio, 0, b"heard all the same");
        assert_eq!(come(&ear), [(PacketType::Audio, 0, 0)]);
        video.gate.set_held(1, false);
        video.send(MediaKind::VideoDelta, 0, b"five");
        assert_eq!(come(&ear), []);
        video.send(MediaKind::VideoKeyframe, 0, b"six");
        video.send(MediaKind::VideoDelta, 0, b"seven");
        assert_eq!(come(&ear).len(), 2);
    }

    #[test]
    fn what_goes_to_a_relayed_peer_goes_to_the_host_in_an_envelope() {
        let (ear, host) = (socket(), socket());
        let (mut sender, _video, mut links) = senders(&Turn::default(), &ear);
        links.tell(LinkCommand::Relay { id: 1, relayed: true });
        // Without a host it goes nowhere, and is counted as such.
        sender.send(MediaKind::Audio, 0, b"lost");
        assert_eq!(sent(&links), (0, 0));
        let host_key = [8; 32];
        let addr = host.local_addr().unwrap();
        links.tell(LinkCommand::Add { id: 0, addr, key: host_key.into(), me: 2, relayed: false });
        sender.send(MediaKind::Audio, 0, b"by the host");
        let mut opener =
            hyperzoom_protocol::RelayOpener::new(host_key, 2, hyperzoom_protocol::RelaySide::Host);
        let mut inner = StreamOpener::new(KEY, Stream::Audio, 0);
        let mut datagram = [0; MAX_DATAGRAM];
        let mut found = Vec::new();
        for _ in 0..2 {
            let (len, _) = host.recv_from(&mut datagram).unwrap();
            if let Ok((way, at)) = opener.open(&mut datagram[..len]) {
                assert_eq!(way, RelayWay { source: 2, target: 1, lane: Stream::Audio });
                found.push(inner.open(&mut datagram[at]).unwrap().payload.to_vec());
            }
        }
        assert_eq!(found, [b"by the host".to_vec()]);
        assert_eq!(come(&ear), [], "nothing straight");
        // And straight again, under the numbers that go on.
        links.tell(LinkCommand::Relay { id: 1, relayed: false });
        sender.send(MediaKind::Audio, 0, b"straight");
        let (len, _) = {
            ear.set_nonblocking(false).unwrap();
            ear.recv_from(&mut datagram).unwrap()
        };
        assert_eq!(inner.open(&mut datagram[..len]).unwrap().payload, b"straight");
    }

    #[test]
    fn a_frame_waits_for_news_of_a_path_and_leaves_all_the_same_where_there_is_none() {
        let ear = socket();
        let (mut audio, mut video, _links) = senders(&Turn::default(), &ear);
        video.gate.set_paused(1, true);
        audio.send(MediaKind::Audio, 0, b"the voice waits for nothing");
        assert_eq!(come(&ear).len(), 1);
        video.send(MediaKind::VideoKeyframe, 0, b"nobody says that it goes on");
        assert_eq!(come(&ear), [(PacketType::VideoKeyframe, 0, 0)]);
    }

    #[test]
    fn who_is_only_suspected_holds_up_nobody_else() {
        let ears = [socket(), socket(), socket()];
        let (_audio, mut video, mut links) = senders(&Turn::default(), &ears[0]);
        for (id, ear) in (2..).zip(&ears[1..]) {
            let addr = ear.local_addr().unwrap();
            links.tell(LinkCommand::Add { id, addr, key: KEY.into(), me: 0, relayed: false });
        }
        let gate = video.gate.clone();
        let suspect = |id, suspected| {
            gate.set_suspected(id, suspected);
            gate.set_paused(id, suspected);
        };
        let come = || ears.each_ref().map(|ear| come(ear).len());
        video.send(MediaKind::VideoKeyframe, 0, b"for all");
        assert_eq!(come(), [1, 1, 1]);
        // The path from one comes and goes.
        for toggle in 0..6 {
            suspect(2, toggle % 2 == 0);
            video.send(MediaKind::VideoDelta, 0, b"for the others");
            assert_eq!(come(), [1, 0, 1]);
            assert_eq!(gate.is_due_a_keyframe(2), toggle % 2 == 1, "once the suspicion is gone");
            assert!(!gate.is_due_a_keyframe(1));
        }
        video.send(MediaKind::VideoKeyframe, 0, b"and for all again");
        assert_eq!(come(), [1, 1, 1]);
        assert!(!gate.is_due_a_keyframe(2));
        video.send(MediaKind::VideoDelta, 0, b"on it goes");
        assert_eq!(come(), [1, 1, 1]);
        // Where all are suspected there is nobody to hold up, and nobody is given up.
        (1..4).for_each(|id| suspect(id, true));
        video.send(MediaKind::VideoDelta, 0, b"late");
        assert_eq!(come(), [1, 1, 1]);
    }

    #[test]
    fn a_frame_waits_for_news_once_and_not_with_each_datagram() {
        let ear = socket();
        let (_audio, mut video, _links) = senders(&Turn::default(), &ear);
        video.send(MediaKind::VideoKeyframe, 0, b"one");
        video.gate.set_paused(1, true);
        video.links[0].as_mut().unwrap().gets_frame = true;
        let mut waited = Duration::ZERO;
        video.wait_for_news(&mut waited);
        let first = waited;
        assert!(first >= PATIENCE);
        video.wait_for_news(&mut waited);
        assert_eq!(waited, first);
    }

    #[test]
    fn a_removed_peer_gets_nothing_more() {
        let ear = socket();
        let (mut sender, _video, mut links) = senders(&Turn::default(), &ear);
        links.tell(LinkCommand::Remove { id: 1 });
        sender.send(MediaKind::Audio, 0, b"late");
        assert_eq!(sent(&links), (0, 0));
    }

    #[test]
    fn nothing_is_sent_once_the_receive_thread_has_gone() {
        let ear = socket();
        let (mut sender, _video, links) = senders(&Turn::default(), &ear);
        sender.send(MediaKind::Audio, 0, b"one");
        drop(links);
        sender.send(MediaKind::Audio, 0, b"two");
        sender.skip();
        assert_eq!(sender.counters.datagrams[1].load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_sender_that_sends_nothing_is_told_no_more_than_it_must_know() {
        let ear = socket();
        let (mut sender, _video, mut links) = senders(&Turn::default(), &ear);
        let elsewhere = "127.0.0.1:9".parse().unwrap();
        for _ in 0..1000 {
            for id in 1..=3 {
                links.tell(LinkCommand::Remove { id });
                links.tell(LinkCommand::Add { id, addr: elsewhere, key: KEY.into(), me: 0, relayed: false });
                links.tell(LinkCommand::Move { id, addr: elsewhere });
            }
        }
        assert!(links.waiting() <= 12, "{} commands wait", links.waiting());
        // What it is told last holds.
        links.tell(LinkCommand::Remove { id: 2 });
        links.tell(LinkCommand::Move { id: 1, addr: ear.local_addr().unwrap() });
        for _ in 0..2 {
            sender.skip();
            links.flush();
        }
        sender.send(MediaKind::Audio, 0, b"here");
        assert_eq!(next_header(&ear).kind, PacketType::Audio);
        assert_eq!(sender.links.iter().flatten().map(|link| link.id).collect::<Vec<_>>(), [1, 3]);
    }

    #[test]
    fn audio_that_is_ready_leaves_before_the_rest_of_a_picture() {
        let ear = socket();
        let turn = Turn::new(std::time::Duration::from_secs(3600));
        let (mut audio, mut video, _links) = senders(&turn, &ear);
        let held = turn.audio();
        let (ready, is_ready) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            ready.send(()).unwrap();
            video.send(MediaKind::VideoKeyframe, 0, &[5; 3 * MAX_PAYLOAD]);
        });
        is_ready.recv().unwrap();
        // Both are ready now, and audio has said so first.
        audio.send(MediaKind::Audio, 0, b"first");
        drop(held);
        thread.join().unwrap();
        assert_eq!(next_header(&ear).kind, PacketType::Audio);
        assert_eq!(next_header(&ear).kind, PacketType::VideoKeyframe);
    }
}
