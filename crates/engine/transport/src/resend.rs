//! Video datagrams that were sent, kept for a while for a peer that did not get them.
//!
//! They are sent again just as they were, sealed under their own numbers: whoever got the first copy drops the second. They keep to the
//! pace of all video.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyperzoom_protocol::{MAX_DATAGRAM, VideoNack};
use ringbuf::HeapCons;
use ringbuf::traits::Consumer;

use crate::Turn;
use crate::gate::VideoGate;
use crate::links::MAX_PEERS;

/// Datagrams on their way from the sender's thread to the receive thread, which takes them every few milliseconds: two keyframes
/// for three peers.
pub(crate) const RING: usize = 96;

/// Datagrams that are kept: for three peers, more than half a second, after which nobody asks.
const KEPT: usize = 256;

/// Answers that may wait: a keyframe in short datagrams, and some.
const QUEUE: usize = 128;

/// One byte may be sent again for so many sent: a peer that asks without end gets a third more and not twice as much, and a path
/// that loses since it is full is not filled further.
const PRICE: usize = 3;

/// So many bytes may be sent again at once, times the price: a keyframe, and some.
const CREDIT_MOST: usize = 16 * MAX_DATAGRAM * PRICE;

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
    gate: Arc<VideoGate>,
    /// The moment that [`poll`](Self::poll)'s times are counted from.
    epoch: Instant,
    /// When it is the turn of the next in the queue, once it has its place at the pace.
    due: Option<Duration>,
    /// Nothing was waiting before what waits now.
    is_first: bool,
    credit: [usize; MAX_PEERS + 1],
    resent: [u64; MAX_PEERS + 1],
}

impl Resender {
    pub(crate) fn new(ring: HeapCons<Sent>, turn: Turn, gate: Arc<VideoGate>) -> Self {
        let epoch = gate.epoch();
        Self {
            ring,
            turn,
            gate,
            epoch,
            kept: VecDeque::with_capacity(KEPT),
            queue: VecDeque::with_capacity(QUEUE),
            due: None,
            is_first: true,
            credit: [0; MAX_PEERS + 1],
            resent: [0; MAX_PEERS + 1],
        }
    }

    /// Times are counted from then.
    pub(crate) fn counting_from(self, epoch: Instant) -> Self {
        Self { epoch, ..self }
    }

    /// Takes over what was sent since.
    pub(crate) fn keep(&mut self) {
        for sent in self.ring.pop_iter() {
            if self.kept.len() == KEPT {
                self.kept.pop_front();
            }
            if let Some(credit) = self.credit.get_mut(usize::from(sent.id)) {
                *credit = (*credit + sent.bytes().len()).min(CREDIT_MOST);
            }
            self.kept.push_back(sent);
        }
    }

    /// A peer did not get some of it.
    pub(crate) fn missed(&mut self, by: u8, missed: VideoNack) {
        self.is_first |= self.queue.is_empty();
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
        if self.queue.is_empty() || self.due.is_some_and(|due| now < due) || !self.turn.is_videos() {
            return None;
        }
        self.keep();
        // A path that is full gets no more of it, and takes no place at the pace for that.
        self.queue.retain(|(by, _)| self.gate.is_open(*by));
        // Who waits for news of its path waits alone.
        while let Some(next) = self.queue.iter().position(|(by, _)| !self.gate.is_paused(*by))
            && let Some((by, sequence)) = self.queue.get(next).copied()
        {
            let found = self.kept.iter().rposition(|sent| (sent.id, sent.sequence) == (by, sequence));
            let len = found.and_then(|at| self.kept.get(at)).map_or(0, |sent| sent.bytes().len());
            let credit = self.credit.get(usize::from(by)).filter(|credit| **credit >= len * PRICE);
            let (Some(credit), Some(at)) = (credit.copied(), found) else {
                self.queue.remove(next);
                continue;
            };
            let due = self.due.unwrap_or_else(|| now + self.place(now, len));
            if now < due {
                self.due = Some(due);
                return None;
            }
            self.due = None;
            self.queue.remove(next);
            self.credit[usize::from(by)] = credit - len * PRICE;
            self.resent[usize::from(by)] += 1;
            return self.kept.get(at);
        }
        if self.queue.is_empty() {
            self.due = None;
        }
        None
    }

    /// How long to wait `now` for the next place that the pace has.
    fn place(&mut self, now: Duration, len: usize) -> Duration {
        let now = (self.epoch + now).saturating_duration_since(self.gate.epoch());
        if std::mem::take(&mut self.is_first) {
            self.gate.begin(now);
        }
        self.gate.place(now, len)
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
        resender_of(&[1], count)
    }

    fn resender_of(peers: &[u8], count: u64) -> (Resender, Turn) {
        let (mut feed, ring) = HeapRb::new(RING).split();
        let turn = Turn::default();
        let gate = Arc::new(VideoGate::default());
        // 100 bytes in a millisecond.
        gate.set_pace(800);
        let mut resender = Resender::new(ring, turn.clone(), gate);
        for sequence in 0..count {
            for id in peers {
                feed.try_push(Sent::new(*id, sequence, &[sequence as u8; 100])).ok().unwrap();
            }
            resender.keep();
        }
        (resender, turn)
    }

    fn all(resender: &mut Resender) -> Vec<u8> {
        (0..100).filter_map(|now| resender.poll(ms(now)).map(|sent| sent.bytes()[0])).collect()
    }

    #[test]
    fn what_was_missed_is_sent_as_it_was() {
        let (mut resender, _) = resender(30);
        resender.missed(1, VideoNack { first: 7, following: 0b101 });
        resender.missed(1, VideoNack { first: 8, following: 0 });
        assert_eq!(resender.poll(ms(0)).unwrap().bytes(), [7; 100]);
        assert!(resender.poll(ms(0)).is_none(), "not in a burst");
        assert_eq!(all(&mut resender), [8, 10], "each once");
        assert_eq!(resender.resent(1), 3);
    }

    #[test]
    fn answers_keep_to_the_pace_together_with_all_other_video() {
        let (mut resender, _) = resender(90);
        resender.gate.set_pace(80);
        resender.missed(1, VideoNack { first: 20, following: 0xFF });
        // 100 bytes are 10 ms. In the midst of the answers a frame takes the place of three.
        let mut sent = Vec::new();
        for now in 0..300 {
            if now == 25 {
                resender.gate.place(ms(now), 300);
            }
            sent.extend(resender.poll(ms(now)).map(|_| now));
        }
        assert_eq!(sent, [0, 10, 20, 30, 70, 80, 90, 100, 110]);
        // A turn of the receive thread's that is late is made up for, and a pause is not.
        resender.missed(1, VideoNack { first: 40, following: 0xFF });
        let mut sent = Vec::new();
        for now in (400..600).step_by(14) {
            while resender.poll(ms(now)).is_some() {
                sent.push(now);
            }
        }
        assert_eq!(sent, [400, 414, 428, 442, 442, 456, 470, 470, 484]);
    }

    #[test]
    fn a_whole_keyframe_in_short_datagrams_can_be_asked_for() {
        let (mut resender, _) = resender(250);
        for first in [100, 133, 166] {
            resender.missed(1, VideoNack { first, following: u32::MAX });
        }
        let sent: Vec<u8> =
            (0..300).filter_map(|now| resender.poll(ms(now)).map(|sent| sent.bytes()[0])).collect();
        // For 250 that were sent, 83 are sent again.
        assert_eq!(sent, (100..183).collect::<Vec<u8>>());
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
    fn nothing_is_put_on_a_path_of_which_there_may_be_bad_news() {
        let (mut resender, _) = resender(30);
        resender.missed(1, VideoNack { first: 7, following: 0 });
        resender.gate.set_paused(1, true);
        assert!(all(&mut resender).is_empty());
        resender.gate.set_paused(1, false);
        assert_eq!(all(&mut resender), [7]);
    }

    #[test]
    fn who_waits_for_news_or_gets_nothing_holds_up_nobody_else() {
        let (mut resender, _) = resender_of(&[1, 2, 3], 30);
        resender.gate.set_paused(1, true);
        resender.gate.set_held(2, true);
        for by in [1, 2, 3] {
            resender.missed(by, VideoNack { first: 7, following: 0b11 });
        }
        // 100 bytes are a millisecond: those for the full path took no place.
        let mut sent = Vec::new();
        for now in 0..6 {
            sent.extend(resender.poll(ms(now)).map(|sent| (now, sent.id, sent.bytes()[0])));
        }
        assert_eq!(sent, [(0, 3, 7), (1, 3, 8), (2, 3, 9)]);
        assert_eq!([1, 2, 3].map(|id| resender.resent(id)), [0, 0, 3]);
        resender.gate.set_held(2, false);
        resender.gate.set_paused(1, false);
        let rest: Vec<_> =
            (6..20).filter_map(|now| resender.poll(ms(now)).map(|s| (s.id, s.bytes()[0]))).collect();
        assert_eq!(rest, [(1, 7), (1, 8), (1, 9)], "in their order, and what was given up is");
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
