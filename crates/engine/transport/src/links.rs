//! The receive thread's hold on the two media senders: who they send to, and what they counted.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ringbuf::HeapProd;
use ringbuf::traits::{Observer, Producer};

use crate::events::LinkStats;
use crate::sender::{LinkCommand, MAX_PEERS, SentCounters};

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
