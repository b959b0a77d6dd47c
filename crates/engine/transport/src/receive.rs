//! The receive thread: stamps, opens, demultiplexes, and keeps the session's timers.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyperzoom_protocol::{MAX_DATAGRAM, PacketType};
use hyperzoom_session::{Event, Session};
use hyperzoom_timing::SharedClock;
use ringbuf::HeapCons;
use ringbuf::traits::{Consumer, Observer};

use crate::events::{EventSink, LinkStats, TransportEvent};
use crate::inbound::Inbound;
use crate::links::Senders;
use crate::sender::LinkCommand;

/// How often the links' statistics are published.
const STATS_INTERVAL: Duration = Duration::from_secs(1);

/// How many datagrams are read before timers and commands are looked at again, so that a flood cannot starve them.
const BATCH: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TransportCommand {
    Leave,
    RequestKeyframe(u8),
    Stop,
}

pub(crate) struct ReceiveThread {
    socket: Arc<UdpSocket>,
    session: Session,
    epoch: Instant,
    clock: SharedClock,
    events: EventSink,
    commands: HeapCons<TransportCommand>,
    senders: Senders,
    inbound: Vec<Inbound>,
    next_stats: Duration,
    ended: bool,
}

impl ReceiveThread {
    pub(crate) fn new(
        socket: Arc<UdpSocket>,
        session: Session,
        epoch: Instant,
        clock: SharedClock,
        events: EventSink,
        commands: HeapCons<TransportCommand>,
        senders: Senders,
    ) -> Self {
        Self {
            socket,
            session,
            epoch,
            clock,
            events,
            commands,
            senders,
            inbound: Vec::new(),
            next_stats: STATS_INTERVAL,
            ended: false,
        }
    }

    pub(crate) fn run(mut self) {
        raise_priority();
        let mut datagram = [0; MAX_DATAGRAM + 1];
        loop {
            if self.take_commands() {
                return;
            }
            for _ in 0..BATCH {
                match self.socket.recv_from(&mut datagram) {
                    Ok((len, from)) => {
                        let now = self.epoch.elapsed();
                        self.receive(now, from, &mut datagram[..len]);
                    }
                    Err(error) if is_no_datagram(&error) => break,
                    Err(error) => {
                        // The network is down, say: the session's timeout tells people; here it must only not spin.
                        tracing::debug!(%error, "the socket cannot be read");
                        std::thread::park_timeout(Duration::from_millis(5));
                        break;
                    }
                }
                self.transmit();
            }
            let now = self.epoch.elapsed();
            if self.session.poll_timeout().is_some_and(|at| at <= now) {
                self.session.handle_timeout(now);
            }
            self.transmit();
            self.take_events();
            self.senders.flush();
            if now >= self.next_stats {
                self.next_stats = now + STATS_INTERVAL;
                self.publish_stats();
            }
        }
    }

    /// Returns true when the thread is to end.
    fn take_commands(&mut self) -> bool {
        while let Some(command) = self.commands.try_pop() {
            let now = self.epoch.elapsed();
            match command {
                TransportCommand::Leave => self.session.leave(now),
                TransportCommand::RequestKeyframe(peer) => self.session.request_keyframe(now, peer),
                TransportCommand::Stop => return true,
            }
        }
        !self.commands.write_is_held()
    }

    fn receive(&mut self, now: Duration, from: SocketAddr, datagram: &mut [u8]) {
        let Some(media) = self.session.handle_datagram(now, from, datagram) else {
            self.take_events();
            return;
        };
        let Some(inbound) = self.inbound.iter_mut().find(|i| i.id() == media.peer) else { return };
        match media.header.kind {
            PacketType::Audio => inbound.audio(now, &media.header, media.sequence, media.payload),
            PacketType::VideoKeyframe | PacketType::VideoDelta => {
                inbound.video(now, &media.header, media.sequence, media.payload);
            }
            PacketType::Control | PacketType::Bye => {}
        }
    }

    fn transmit(&mut self) {
        while let Some(transmit) = self.session.poll_transmit() {
            if let Err(error) = self.socket.send_to(&transmit.datagram, transmit.to) {
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
            Event::PeerConnected { id, name, addr, rejoined, send_key } => {
                let (inbound, inbox) = Inbound::new(id);
                self.inbound.retain(|i| i.id() != id);
                self.inbound.push(inbound);
                // A peer connects only to a session that this process is in.
                let me = self.session.me().unwrap_or_default();
                self.senders.tell(LinkCommand::Add { id, addr, key: send_key, me });
                TransportEvent::PeerConnected { id, name: name.as_str().to_owned(), addr, rejoined, inbox }
            }
            Event::PeerMoved { id, addr } => {
                self.senders.tell(LinkCommand::Move { id, addr });
                return;
            }
            Event::PeerLeft { id, reason } => {
                self.senders.tell(LinkCommand::Remove { id });
                if let Some(stats) = self.stats(id) {
                    self.events.push(TransportEvent::Stats(stats));
                }
                self.inbound.retain(|i| i.id() != id);
                TransportEvent::PeerLeft { id, reason }
            }
            Event::PeerSilent { id } => TransportEvent::PeerSilent { id },
            Event::PeerBack { id } => TransportEvent::PeerBack { id },
            Event::KeyframeRequested { by } => TransportEvent::KeyframeRequested { by },
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
                if !std::mem::replace(&mut self.ended, true) {
                    self.publish_stats();
                }
                TransportEvent::Ended
            }
        };
        self.events.push(event);
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
        Some(stats)
    }
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

/// Arrival stamps are only as good as this thread is quick, so it asks to go before ordinary threads; where the system
/// says no, it runs at normal priority.
fn raise_priority() {
    if let Err(error) = thread_priority::set_current_thread_priority(thread_priority::ThreadPriority::Max) {
        tracing::debug!(?error, "the network thread runs at normal priority");
    }
}
