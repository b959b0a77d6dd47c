//! The receive thread: stamps, opens, demultiplexes, and keeps the session's timers.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyperzoom_protocol::{Filling, MAX_PARTICIPANTS, PacketType, PathReport};
use hyperzoom_realtime::Work;
use hyperzoom_session::{Event, Relaying, Session};
use hyperzoom_timing::SharedClock;

use crate::events::{EventSink, LinkStats, TransportEvent};
use crate::gate::VideoGate;
use crate::heed::Heed;
use crate::inbound::Inbound;
use crate::links::{LinkCommand, Senders};
use crate::orders::Orders;
use crate::resend::Resender;

/// How often the links' statistics are published.
const STATS_INTERVAL: Duration = Duration::from_secs(1);

/// How many datagrams are read before timers and orders are looked at again, so that a flood cannot starve them.
const BATCH: usize = 64;

/// For how long datagrams are read before that: those of an ordinary call come one by one, each just before the read that
/// waits for it would give up.
const TURN: Duration = Duration::from_millis(5);

/// Those whose frames were given up on suspicion get a keyframe no more often than this.
const KEYFRAME_SPACING: Duration = Duration::from_secs(1);

/// So many reads may fail in a row before the socket is taken to be down. An error may be about one datagram, and whoever
/// can cause those must not hold up all others.
const FAILURES: u32 = 16;

/// Room for the longest datagram that UDP has: a shorter one would make Windows call each longer datagram an error.
const LONGEST: usize = 1 << 16;

/// The receive thread's way out: the time, and the network.
pub(crate) trait Wire {
    /// The moment, since the process's epoch.
    fn now(&self) -> Duration;

    /// Waits for a datagram, a few milliseconds at the longest; its length, and who sent it.
    fn receive(&mut self, into: &mut [u8]) -> io::Result<(usize, SocketAddr)>;

    /// Sends a datagram, or gives up within a millisecond or so.
    fn send(&mut self, datagram: &[u8], to: SocketAddr) -> io::Result<()>;

    /// An address in the form in which the socket wants it.
    fn native(&self, addr: SocketAddr) -> SocketAddr {
        addr
    }

    /// Waits for a few milliseconds.
    fn pause(&mut self);
}

pub(crate) struct ReceiveThread<W> {
    wire: W,
    session: Session,
    clock: SharedClock,
    events: EventSink,
    orders: Arc<Orders>,
    senders: Senders,
    resender: Option<Resender>,
    inbound: Vec<Inbound>,
    next_stats: Duration,
    gate: Arc<VideoGate>,
    heed: Heed,
    /// When each participant's next filling is due.
    next_filling: [Duration; MAX_PARTICIPANTS],
    /// When a keyframe may next be made for one whose frame was given up on suspicion.
    next_keyframe: Duration,
    /// Bytes passed on for each participant.
    relayed: [u64; MAX_PARTICIPANTS],
    /// Reads that have failed in a row.
    failures: u32,
}

impl<W: Wire> ReceiveThread<W> {
    pub(crate) fn new(
        wire: W,
        session: Session,
        clock: SharedClock,
        events: EventSink,
        orders: Arc<Orders>,
        senders: Senders,
        gate: Arc<VideoGate>,
    ) -> Self {
        Self {
            wire,
            session,
            clock,
            events,
            orders,
            senders,
            resender: None,
            inbound: Vec::new(),
            next_stats: STATS_INTERVAL,
            gate,
            heed: Heed::default(),
            next_filling: [Duration::ZERO; MAX_PARTICIPANTS],
            next_keyframe: Duration::ZERO,
            relayed: [0; MAX_PARTICIPANTS],
            failures: 0,
        }
    }

    /// Peers that miss some of our video get it once more.
    pub(crate) fn with_resender(self, resender: Resender) -> Self {
        Self { resender: Some(resender), ..self }
    }

    pub(crate) fn run(mut self) {
        raise_priority();
        let mut datagram = vec![0; LONGEST];
        while !self.orders.is_to_stop() {
            self.turn(&mut datagram);
        }
    }

    /// Obeys orders, reads what there is, and does what is due.
    fn turn(&mut self, datagram: &mut [u8]) {
        self.obey();
        self.read(datagram);
        let now = self.wire.now();
        if self.session.poll_timeout().is_some_and(|at| at <= now) {
            self.session.handle_timeout(now);
        }
        self.care();
        for inbound in &mut self.inbound {
            if let Some(report) = inbound.path_report(now) {
                self.session.report_path(now, inbound.id(), report);
                self.heed.suspect(&self.gate, now, inbound.id(), queue(&report));
            }
        }
        self.heed.release(&self.gate, now);
        self.make_good(now);
        self.fill(now);
        self.transmit();
        self.take_events();
        self.resend();
        self.senders.flush();
        if now >= self.next_stats {
            self.next_stats = now + STATS_INTERVAL;
            self.publish_stats();
        }
    }

    fn obey(&mut self) {
        let now = self.wire.now();
        for peer in self.orders.take_keyframes() {
            // Where it does not help, the decoder wishes again with the next frame that it cannot show.
            let inbound = self.inbound.iter_mut().find(|i| i.id() == peer);
            if let Some(inbound) = inbound.filter(|i| i.keyframe_would_help())
                && self.session.request_keyframe(now, peer)
            {
                inbound.note_keyframe_asked();
            }
        }
        for (peer, report) in (0..).zip(self.orders.take_reports()) {
            if let Some(report) = report {
                self.session.report_audio(now, peer, report);
            }
        }
        if let Some(camera) = self.orders.camera() {
            self.session.set_camera(now, camera);
        }
        self.session.set_reachable(self.orders.reachable());
        if self.orders.take_leave() {
            self.session.leave(now);
            self.transmit();
            // Who has left is not to be heard, should nobody have heard the goodbye.
            self.senders.silence();
        }
    }

    /// Hands on the video that is due, and asks for what is missing of it.
    fn care(&mut self) {
        let now = self.wire.now();
        for inbound in &mut self.inbound {
            let id = inbound.id();
            let round_trip = self.session.peers().find(|p| p.id == id).and_then(|p| p.round_trip);
            let wanted = inbound.care(now, round_trip);
            if let Some(missed) = wanted.datagrams {
                self.session.request_video(now, id, missed);
            }
            if wanted.keyframe && self.session.request_keyframe(now, id) {
                inbound.note_keyframe_asked();
            }
        }
    }

    /// Sends again what a peer has missed.
    fn resend(&mut self) {
        let Some(resender) = &mut self.resender else { return };
        resender.keep();
        while let Some(sent) = resender.poll(self.wire.now()) {
            if self.session.send_again(sent.id, sent.bytes()) {
                self.senders.count_resent(sent.id, sent.bytes().len());
            }
        }
        self.transmit();
    }

    fn read(&mut self, datagram: &mut [u8]) {
        let until = self.wire.now() + TURN;
        for _ in 0..BATCH {
            match self.wire.receive(datagram) {
                Ok((len, from)) => {
                    self.failures = 0;
                    let now = self.wire.now();
                    self.receive(now, from, &mut datagram[..len]);
                    self.transmit();
                    self.resend();
                    if now >= until {
                        return;
                    }
                }
                Err(error) if is_no_datagram(&error) => {
                    self.failures = 0;
                    return;
                }
                Err(error) => {
                    tracing::debug!(%error, "the socket cannot be read");
                    self.failures += 1;
                    if self.failures >= FAILURES {
                        // The network is down, say: the session's timeout tells people; here it must only not spin.
                        self.failures = 0;
                        self.wire.pause();
                        return;
                    }
                }
            }
        }
    }

    fn receive(&mut self, now: Duration, from: SocketAddr, datagram: &mut [u8]) {
        // First of all what others wait for.
        match self.session.relay(now, from, datagram) {
            Relaying::NotOurs => {}
            Relaying::Dropped => return self.take_events(),
            Relaying::Onward { to, source } => {
                if let Err(error) = self.wire.send(datagram, to) {
                    tracing::debug!(%error, %to, "a datagram was not passed on");
                } else if let Some(bytes) = self.relayed.get_mut(usize::from(source)) {
                    *bytes += datagram.len() as u64;
                }
                return self.take_events();
            }
        }
        let media = self.session.handle_datagram(now, from, datagram);
        self.take_events();
        let Some(media) = media else { return };
        let Some(inbound) = self.inbound.iter_mut().find(|i| i.id() == media.peer) else { return };
        let mut is_video = false;
        match media.header.kind {
            PacketType::Audio => inbound.audio(now, &media.header, media.sequence, media.payload),
            PacketType::VideoKeyframe | PacketType::VideoDelta => {
                inbound.video(now, &media.header, media.sequence, media.payload);
                is_video = true;
            }
            PacketType::Control | PacketType::Bye | PacketType::Relayed => {}
        }
        if let Some(report) = inbound.path_report(now) {
            self.session.report_path(now, media.peer, report);
            self.heed.suspect(&self.gate, now, media.peer, queue(&report));
        }
        if is_video {
            self.care();
        }
    }

    /// Audio goes first: while the path to a peer is full, no video is put on it, nor anything else.
    fn heed(&mut self, now: Duration, by: u8, report: &PathReport) {
        if self.heed.report(&self.gate, now, by, queue(report)) {
            self.orders.set_filling(by, 0);
        }
    }

    /// Has a keyframe made for one whose frame was given up on suspicion, now that there is none. It goes to all, and so is not made for each time
    /// that somebody's path comes and goes.
    fn make_good(&mut self, now: Duration) {
        let due = (0..MAX_PARTICIPANTS as u8).find(|id| self.gate.is_due_a_keyframe(*id));
        if let Some(by) = due
            && now >= self.next_keyframe
        {
            self.next_keyframe = now + KEYFRAME_SPACING;
            self.gate.set_lacking(by, false);
            self.events.push(TransportEvent::KeyframeRequested { by });
        }
    }

    /// Sends the filling that is due.
    fn fill(&mut self, now: Duration) {
        for (id, next) in (0..).zip(&mut self.next_filling) {
            let kbps = self.orders.filling_kbps(id);
            if kbps == 0 || self.gate.is_paused(id) {
                *next = now;
                continue;
            }
            // What was not sent in the last turns is due; what was not sent for longer is not made up for.
            *next = (*next).max(now.saturating_sub(TURN * 4));
            while *next <= now {
                *next += Duration::from_micros(Filling::DATAGRAM as u64 * 8_000 / u64::from(kbps));
                self.session.fill(now, id);
            }
        }
    }

    fn transmit(&mut self) {
        while let Some(transmit) = self.session.poll_transmit() {
            if let Err(error) = self.wire.send(&transmit.datagram, transmit.to) {
                tracing::debug!(%error, to = %transmit.to, "a control datagram was not sent");
            }
        }
    }

    fn take_events(&mut self) {
        while let Some(event) = self.session.poll_event() {
            self.translate(event);
        }
    }

    fn translate(&mut self, event: Event) {
        let event = match event {
            Event::Joined { me, session_id } => TransportEvent::Joined { me, session_id },
            Event::PeerConnected { id, name, addr, relayed, rejoined, send_key } => {
                let (inbound, inbox) = Inbound::new(id);
                self.inbound.retain(|i| i.id() != id);
                self.inbound.push(inbound);
                self.forget_sent(id);
                // Nothing is known of the way to it yet.
                self.gate.set_off(id, false);
                self.gate.set_lacking(id, false);
                self.heed.forget(&self.gate, id);
                self.orders.set_filling(id, 0);
                // A peer connects only to a session that this process is in.
                let me = self.session.me().unwrap_or_default();
                let to = self.wire.native(addr);
                self.senders.tell(LinkCommand::Add { id, addr: to, key: send_key, me, relayed });
                let name = name.as_str().to_owned();
                TransportEvent::PeerConnected { id, name, addr, relayed, rejoined, inbox }
            }
            Event::PeerMoved { id, addr } => {
                let addr = self.wire.native(addr);
                self.senders.tell(LinkCommand::Move { id, addr });
                return;
            }
            Event::PeerRelayed { id, relayed } => {
                self.senders.tell(LinkCommand::Relay { id, relayed });
                TransportEvent::PeerRelayed { id, relayed }
            }
            Event::PeerLeft { id, reason } => {
                self.senders.tell(LinkCommand::Remove { id });
                if let Some(stats) = self.stats(id) {
                    self.events.push(TransportEvent::Stats(stats));
                }
                self.inbound.retain(|i| i.id() != id);
                self.forget_sent(id);
                TransportEvent::PeerLeft { id, reason }
            }
            Event::PeerSilent { id } => TransportEvent::PeerSilent { id },
            Event::PeerBack { id } => TransportEvent::PeerBack { id },
            Event::VideoMissed { by, missed } => {
                if let Some(resender) = &mut self.resender {
                    resender.missed(by, missed);
                }
                return;
            }
            Event::KeyframeRequested { by } => TransportEvent::KeyframeRequested { by },
            Event::AudioReported { by, report } => TransportEvent::AudioReported { by, report },
            Event::CameraChanged { id, camera } => TransportEvent::CameraChanged { id, camera },
            Event::SyncTone { at_ns } => TransportEvent::SyncTone { at_ns },
            Event::PathReported { by, report } => {
                self.heed(self.wire.now(), by, &report);
                TransportEvent::PathReported { by, report }
            }
            Event::ClockReady => {
                self.clock.set(self.session.clock());
                TransportEvent::ClockReady
            }
            Event::ClockUpdated => {
                self.clock.set(self.session.clock());
                return;
            }
            Event::Refused(refusal) => TransportEvent::Refused { reason: refusal.to_string() },
            Event::Unreachable => TransportEvent::Unreachable,
            Event::Ended => {
                self.publish_stats();
                self.inbound.clear();
                TransportEvent::Ended
            }
        };
        self.events.push(event);
    }

    /// What was sent to a peer under keys that are no more is of no use to it.
    fn forget_sent(&mut self, id: u8) {
        if let Some(resender) = &mut self.resender {
            resender.forget(id);
        }
    }

    fn publish_stats(&mut self) {
        for id in self.inbound.iter().map(Inbound::id).collect::<Vec<_>>() {
            if let Some(stats) = self.stats(id) {
                self.events.push(TransportEvent::Stats(stats));
            }
        }
    }

    fn stats(&self, id: u8) -> Option<LinkStats> {
        let inbound = self.inbound.iter().find(|i| i.id() == id)?;
        let mut stats = LinkStats::default();
        inbound.fill(&mut stats);
        stats.round_trip = self.session.peers().find(|p| p.id == id).and_then(|p| p.round_trip);
        self.senders.fill(id, &mut stats);
        stats.relayed_bytes = self.relayed.get(usize::from(id)).copied().unwrap_or(0);
        stats.video_resent = self.resender.as_ref().map_or(0, |resender| resender.resent(id));
        Some(stats)
    }
}

/// How long packets queue, by a report of it.
fn queue(report: &PathReport) -> Duration {
    Duration::from_micros(report.queue_us.into())
}

/// Whether a read came back only since there was nothing to read, or since an earlier datagram found no one (which
/// Windows reports at the next read).
fn is_no_datagram(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock
            | io::ErrorKind::TimedOut
            | io::ErrorKind::Interrupted
            | io::ErrorKind::ConnectionReset
    )
}

/// Arrival stamps are only as good as this thread is quick, and a voice waits here as it waits anywhere, so it asks to go before
/// ordinary threads. Where the system says no, it runs at normal priority.
fn raise_priority() {
    if let Err(error) = hyperzoom_realtime::raise(Work::Network) {
        tracing::debug!("the network thread runs at normal priority: {error}");
    }
}

#[cfg(test)]
mod tests;
