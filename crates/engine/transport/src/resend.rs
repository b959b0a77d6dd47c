//! Video datagrams that were sent, kept for a while for a peer that did not get them.
//!
//! They are sent again just as they were, sealed under their own numbers: whoever got the first copy drops the second.

use std::collections::VecDeque;
use std::time::Duration;

use hyperzoom_protocol::{MAX_DATAGRAM, VideoNack};
use ringbuf::HeapCons;
use ringbuf::traits::Consumer;

use crate::Turn;
use crate::links::MAX_PEERS;

/// Datagrams on their way from the sender's thread to the receive thread, which takes them every few milliseconds: two keyframes
/// for three peers.
pub(crate) const RING: usize = 96;

/// Datagrams that are kept: for three peers, more than half a second, after which nobody asks.
const KEPT: usize = 256;

/// Answers that may wait.
const QUEUE: usize = 64;

/// One datagram may be sent again for so many sent: a peer that asks without end gets a third more and not twice as much, and a path
/// that loses since it is full is not filled further.
const PRICE: u32 = 3;

/// So many may be sent again at once: a keyframe, and some.
const CREDIT_MOST: u32 = 16 * PRICE;

/// The time between two of them.
const SPACING: Duration = Duration::from_millis(1);

/// A video datagram as it was sent.
#[derive(Clone, Copy)]
pub(crate) struct Sent {
    pub(crate) id: u8,
    sequence: u16,
    len: u16,
    datagram: [u8; MAX_DATAGRAM],
}

impl Sent {
    /// A copy of a datagram to a peer, numbered `sequence` within its stream.
    pub(crate) fn new(id: u8, sequence: u64, datagram: &[u8]) -> Self {
        let mut copy = [0; MAX_DATAGRAM];
        copy[..datagram.len()].copy_from_slice(datagram);
        Self { id, sequence: sequence as u16, len: datagram.len() as u16, datagram: copy }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.datagram[..usize::from(self.len)]
    }
}

/// The receive thread's memory of what the video sender sent.
pub(crate) struct Resender {
    ring: HeapCons<Sent>,
    turn: Turn,
    kept: VecDeque<Sent>,
    /// Whom to send what again.
    queue: VecDeque<(u8, u16)>,
    next: Duration,
    credit: [u32; MAX_PEERS + 1],
    resent: [u64; MAX_PEERS + 1],
}

impl Resender {
    pub(crate) fn new(ring: HeapCons<Sent>, turn: Turn) -> Self {
        Self {
            ring,
            turn,
            kept: VecDeque::with_capacity(KEPT),
            queue: VecDeque::with_capacity(QUEUE),
            next: Duration::ZERO,
            credit: [0; MAX_PEERS + 1],
            resent: [0; MAX_PEERS + 1],
        }
    }

    /// Takes over what was sent since.
    pub(crate) fn keep(&mut self) {
        for sent in self.ring.pop_iter() {
            if self.kept.len() == KEPT {
                self.kept.pop_front();
            }
            if let Some(credit) = self.credit.get_mut(usize::from(sent.id)) {
                *credit = (*credit + 1).min(CREDIT_MOST);
            }
            self.kept.push_back(sent);
        }
    }

    /// A peer did not get some of it.
    pub(crate) fn missed(&mut self, by: u8, missed: VideoNack) {
        for sequence in missed.sequences() {
            if self.queue.len() < QUEUE && !self.queue.contains(&(by, sequence)) {
                self.queue.push_back((by, sequence));
            }
        }
    }

    /// A peer has left, or has new keys.
    pub(crate) fn forget(&mut self, id: u8) {
        self.keep();
        self.kept.retain(|sent| sent.id != id);
        self.queue.retain(|(by, _)| *by != id);
        if let Some(credit) = self.credit.get_mut(usize::from(id)) {
            *credit = 0;
        }
    }

    /// A datagram to send again now, where it is not audio's turn.
    pub(crate) fn poll(&mut self, now: Duration) -> Option<&Sent> {
        if self.queue.is_empty() || now < self.next || !self.turn.is_videos() {
            return None;
        }
        self.keep();
        while let Some((by, sequence)) = self.queue.pop_front() {
            let credit = self.credit.get_mut(usize::from(by)).filter(|credit| **credit >= PRICE);
            let found = self.kept.iter().rposition(|sent| (sent.id, sent.sequence) == (by, sequence));
            if let (Some(credit), Some(at)) = (credit, found) {
                *credit -= PRICE;
                self.resent[usize::from(by)] += 1;
                self.next = now + SPACING;
                return self.kept.get(at);
            }
        }
        None
    }

    /// Datagrams that were sent again to a peer.
    pub(crate) fn resent(&self, id: u8) -> u64 {
        self.resent.get(usize::from(id)).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringbuf::HeapRb;
    use ringbuf::traits::{Producer, Split};

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// A resender that knows of datagrams 0 to `count` to peer 1, and its turn.
    fn resender(count: u64) -> (Resender, Turn) {
        let (mut feed, ring) = HeapRb::new(RING).split();
        let turn = Turn::default();
        let mut resender = Resender::new(ring, turn.clone());
        for sequence in 0..count {
            feed.try_push(Sent::new(1, sequence, &[sequence as u8; 100])).ok().unwrap();
            resender.keep();
        }
        (resender, turn)
    }

    fn all(resender: &mut Resender) -> Vec<u8> {
        (0..100).filter_map(|now| resender.poll(ms(now)).map(|sent| sent.bytes()[0])).collect()
    }

    #[test]
    fn what_was_missed_is_sent_as_it_was_one_a_millisecond() {
        let (mut resender, _) = resender(30);
        resender.missed(1, VideoNack { first: 7, following: 0b101 });
        resender.missed(1, VideoNack { first: 8, following: 0 });
        assert_eq!(resender.poll(ms(0)).unwrap().bytes(), [7; 100]);
        assert!(resender.poll(ms(0)).is_none(), "not in a burst");
        assert_eq!(all(&mut resender), [8, 10], "each once");
        assert_eq!(resender.resent(1), 3);
    }

    #[test]
    fn audio_goes_first() {
        let (mut resender, turn) = resender(30);
        resender.missed(1, VideoNack { first: 7, following: 0 });
        let audio = turn.audio();
        assert!(resender.poll(ms(0)).is_none());
        drop(audio);
        assert!(resender.poll(ms(0)).is_some());
    }

    #[test]
    fn nobody_gets_more_than_a_third_of_what_was_sent_to_it_again() {
        let (mut resender, _) = resender(12);
        for first in [0, 1, 2] {
            resender.missed(1, VideoNack { first, following: u32::MAX });
        }
        assert_eq!(all(&mut resender), [0, 1, 2, 3]);
        resender.missed(2, VideoNack { first: 0, following: u32::MAX });
        resender.missed(200, VideoNack { first: 0, following: u32::MAX });
        assert!(all(&mut resender).is_empty(), "it was sent nothing");
    }

    #[test]
    fn what_is_not_known_any_more_is_passed_over() {
        let (mut resender, _) = resender(KEPT as u64 + 2);
        resender.missed(1, VideoNack { first: 1, following: 0b1 });
        assert_eq!(all(&mut resender), [2]);
        resender.missed(1, VideoNack { first: 3, following: 0 });
        resender.forget(1);
        assert!(all(&mut resender).is_empty());
    }
}
