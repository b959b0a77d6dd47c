//! One outgoing stream: sealed for every peer, written by the thread that made it.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;

use hyperzoom_media::{MediaKind, PacketSink};
use hyperzoom_protocol::{
    MAX_DATAGRAM, MAX_PAYLOAD, PacketType, RelaySealer, RelayWay, Stream, StreamSealer,
};
use ringbuf::traits::{Consumer, Observer, Producer, Split};
use ringbuf::{HeapCons, HeapProd, HeapRb};

use crate::gate::VideoGate;
use crate::links::{LinkCommand, MAX_PEERS, SenderLink, SentCounters};
use crate::resend::Sent;
use crate::{Turn, resend};

mod frame;

/// The host's number.
const HOST: u8 = 0;

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
mod tests;
