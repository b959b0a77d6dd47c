//! The receive thread's hold on the two media senders: who they send to, and what they counted.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hyperzoom_protocol::SecretKey;
use ringbuf::HeapProd;
use ringbuf::traits::{Observer, Producer};

use crate::events::LinkStats;

/// How many members a call has beside this one.
pub(crate) const MAX_PEERS: usize = 3;

/// What the receive thread tells a sender of its peers. Small and `Copy`, so that nothing is freed where audio is sent.
#[derive(Clone, Copy)]
pub(crate) enum LinkCommand {
    /// Send to this peer from now on, under this key; a peer of the same id is replaced.
    Add { id: u8, addr: SocketAddr, key: SecretKey, me: u8, relayed: bool },
    /// The peer has another address now.
    Move { id: u8, addr: SocketAddr },
    /// What goes to the peer goes by way of the host, or no longer.
    Relay { id: u8, relayed: bool },
    /// The peer has left.
    Remove { id: u8 },
}

impl LinkCommand {
    /// Whether a sender that is told this one need not be told `earlier` before it.
    pub(crate) fn supersedes(&self, earlier: &Self) -> bool {
        match (self, earlier) {
            (Self::Move { id, .. }, Self::Move { id: earlier, .. })
            | (Self::Relay { id, .. }, Self::Relay { id: earlier, .. }) => id == earlier,
            (Self::Move { .. } | Self::Relay { .. }, _) => false,
            (Self::Add { id, .. } | Self::Remove { id }, _) => *id == earlier.id(),
        }
    }

    fn id(&self) -> u8 {
        match self {
            Self::Add { id, .. } | Self::Move { id, .. } | Self::Relay { id, .. } | Self::Remove { id } => {
                *id
            }
        }
    }
}

/// What was sent to each participant, by id; written by a sender, read by the receive thread.
#[derive(Debug, Default)]
pub(crate) struct SentCounters {
    pub(crate) datagrams: [AtomicU64; MAX_PEERS + 1],
    pub(crate) bytes: [AtomicU64; MAX_PEERS + 1],
    /// Datagrams that the system did not take.
    pub(crate) refused: [AtomicU64; MAX_PEERS + 1],
}

impl SentCounters {
    pub(crate) fn count(&self, id: u8, len: usize, taken: bool) {
        let id = usize::from(id);
        if id > MAX_PEERS {
            return;
        }
        if taken {
            self.datagrams[id].fetch_add(1, Ordering::Relaxed);
            self.bytes[id].fetch_add(len as u64, Ordering::Relaxed);
        } else {
            self.refused[id].fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// One sender's commands, kept here while its ring is full.
pub(crate) struct SenderLink {
    ring: HeapProd<LinkCommand>,
    waiting: VecDeque<LinkCommand>,
    counters: Arc<SentCounters>,
}

impl SenderLink {
    pub(crate) fn new(ring: HeapProd<LinkCommand>, counters: Arc<SentCounters>) -> Self {
        Self { ring, waiting: VecDeque::new(), counters }
    }

    fn tell(&mut self, command: LinkCommand) {
        // What waits is at most what a sender must know of each peer, however long it sends nothing.
        self.waiting.retain(|earlier| !command.supersedes(earlier));
        self.waiting.push_back(command);
    }

    fn flush(&mut self) {
        if !self.ring.read_is_held() {
            // The encoder has ended, and its peers with it.
            self.waiting.clear();
        }
        while let Some(command) = self.waiting.pop_front() {
            if let Err(command) = self.ring.try_push(command) {
                self.waiting.push_front(command);
                return;
            }
        }
    }
}

/// Both senders.
pub(crate) struct Senders {
    audio: SenderLink,
    video: SenderLink,
}

impl Senders {
    pub(crate) fn new(audio: SenderLink, video: SenderLink) -> Self {
        Self { audio, video }
    }

    /// Tells both; what their rings have no room for waits for the next [`flush`](Self::flush).
    pub(crate) fn tell(&mut self, command: LinkCommand) {
        self.audio.tell(command);
        self.video.tell(command);
        self.flush();
    }

    /// Nothing is sent to anybody from now on.
    pub(crate) fn silence(&mut self) {
        for id in 0..=MAX_PEERS as u8 {
            self.tell(LinkCommand::Remove { id });
        }
    }

    pub(crate) fn flush(&mut self) {
        self.audio.flush();
        self.video.flush();
    }

    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        self.audio.waiting.len().max(self.video.waiting.len())
    }

    /// Counts a datagram of video that was sent once more: its bytes only.
    pub(crate) fn count_resent(&self, id: u8, len: usize) {
        if let Some(bytes) = self.video.counters.bytes.get(usize::from(id)) {
            bytes.fetch_add(len as u64, Ordering::Relaxed);
        }
    }

    /// Adds what was sent to participant `id` to its statistics.
    pub(crate) fn fill(&self, id: u8, stats: &mut LinkStats) {
        let of =
            |counter: &[AtomicU64]| counter.get(usize::from(id)).map_or(0, |c| c.load(Ordering::Relaxed));
        let (audio, video) = (&self.audio.counters, &self.video.counters);
        stats.audio_sent = of(&audio.datagrams);
        stats.video_sent = of(&video.datagrams);
        stats.bytes_sent = of(&audio.bytes) + of(&video.bytes);
        stats.send_refused = of(&audio.refused) + of(&video.refused);
    }
}
