//! Which peers video goes to, and how fast.

use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hyperzoom_congestion::{Pacer, Rung};

/// What is looked at before each datagram of video. The control plane and the receive thread set it.
///
/// The thread that encodes and the one that answers who missed something take turns at one pace: no path cares what fills it.
#[derive(Debug)]
pub(crate) struct VideoGate {
    /// Bit n: participant n is sent no video, until it is told otherwise.
    off: AtomicU8,
    /// Bit n: none for the moment, since the path to participant n is full.
    held: AtomicU8,
    /// Bit n: what is being sent to participant n waits for better news of the path.
    paused: AtomicU8,
    /// Bit n: and that only since what comes from participant n queues.
    suspected: AtomicU8,
    /// Bit n: a frame to participant n was given up for that, so it needs a keyframe.
    lacking: AtomicU8,
    pace_kbps: AtomicU32,
    /// When the next datagram may leave, in nanoseconds since `epoch`.
    free_at_ns: AtomicU64,
    epoch: Instant,
}

impl Default for VideoGate {
    fn default() -> Self {
        let pace_kbps = AtomicU32::new(Rung::Full.pace_kbps());
        Self {
            off: AtomicU8::new(0),
            held: AtomicU8::new(0),
            paused: AtomicU8::new(0),
            suspected: AtomicU8::new(0),
            lacking: AtomicU8::new(0),
            pace_kbps,
            free_at_ns: AtomicU64::new(0),
            epoch: Instant::now(),
        }
    }
}

impl VideoGate {
    pub(crate) fn set_off(&self, peer: u8, off: bool) {
        set(&self.off, peer, off);
    }

    pub(crate) fn set_held(&self, peer: u8, held: bool) {
        set(&self.held, peer, held);
    }

    pub(crate) fn set_paused(&self, peer: u8, paused: bool) {
        set(&self.paused, peer, paused);
    }

    /// Whether video to participant `peer` waits. Somebody else sees to it that this comes to an end.
    pub(crate) fn is_paused(&self, peer: u8) -> bool {
        self.paused.load(Ordering::Relaxed) & bit(peer) != 0
    }

    pub(crate) fn set_suspected(&self, peer: u8, suspected: bool) {
        set(&self.suspected, peer, suspected);
    }

    /// Whether it waits only since what comes from participant `peer` queues.
    pub(crate) fn is_suspected(&self, peer: u8) -> bool {
        self.suspected.load(Ordering::Relaxed) & bit(peer) != 0
    }

    /// A frame to participant `peer` was given up on suspicion, or it has its keyframe since.
    pub(crate) fn set_lacking(&self, peer: u8, lacking: bool) {
        set(&self.lacking, peer, lacking);
    }

    /// Whether participant `peer` needs a keyframe after a suspicion, and can be sent one.
    pub(crate) fn is_due_a_keyframe(&self, peer: u8) -> bool {
        self.lacking.load(Ordering::Relaxed) & bit(peer) != 0 && self.is_open(peer) && !self.is_paused(peer)
    }

    pub(crate) fn set_pace(&self, kbps: u32) {
        self.pace_kbps.store(kbps.max(1), Ordering::Relaxed);
    }

    /// How fast the datagrams of a frame follow one another, in kbit/s.
    pub(crate) fn pace_kbps(&self) -> u32 {
        self.pace_kbps.load(Ordering::Relaxed)
    }

    /// The moment that its times are counted from.
    pub(crate) fn epoch(&self) -> Instant {
        self.epoch
    }

    /// A frame, or an answer, begins `now`: what was not used of the pace since is not saved up.
    pub(crate) fn begin(&self, now: Duration) {
        self.update(|pacer| pacer.begin(now));
    }

    /// Takes the next place for a datagram of so many bytes: how long to wait `now` until it is its turn.
    pub(crate) fn place(&self, now: Duration, bytes: usize) -> Duration {
        let kbps = self.pace_kbps();
        self.update(|pacer| pacer.wait(now, bytes, kbps))
    }

    fn update<T>(&self, change: impl Fn(&mut Pacer) -> T) -> T {
        let mut before = self.free_at_ns.load(Ordering::Relaxed);
        loop {
            let mut pacer = Pacer::free_at(Duration::from_nanos(before));
            let result = change(&mut pacer);
            let after = u64::try_from(pacer.next_at().as_nanos()).unwrap_or(u64::MAX);
            let (set, seen) = (Ordering::Relaxed, Ordering::Relaxed);
            match self.free_at_ns.compare_exchange_weak(before, after, set, seen) {
                Ok(_) => return result,
                Err(other) => before = other,
            }
        }
    }

    /// Whether participant `peer` is sent video now.
    pub(crate) fn is_open(&self, peer: u8) -> bool {
        let shut = self.off.load(Ordering::Relaxed) | self.held.load(Ordering::Relaxed);
        shut & bit(peer) == 0
    }
}

fn set(bits: &AtomicU8, peer: u8, to: bool) {
    if to {
        bits.fetch_or(bit(peer), Ordering::Relaxed);
    } else {
        bits.fetch_and(!bit(peer), Ordering::Relaxed);
    }
}

fn bit(peer: u8) -> u8 {
    1_u8.checked_shl(peer.into()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_who_send_video_take_turns_at_one_pace() {
        let ms = Duration::from_millis;
        let gate = VideoGate::default();
        gate.set_pace(800);
        gate.begin(ms(10));
        let places = [1000, 500, 1000, 1000].map(|bytes| gate.place(ms(10), bytes));
        assert_eq!(places, [0, 10, 15, 25].map(ms));
    }

    #[test]
    fn each_peer_has_its_own_gate_and_both_must_let_it() {
        let gate = VideoGate::default();
        gate.set_off(1, true);
        gate.set_held(2, true);
        gate.set_off(200, true);
        assert_eq!([0, 1, 2, 3].map(|peer| gate.is_open(peer)), [true, false, false, true]);
        gate.set_held(1, true);
        gate.set_off(1, false);
        gate.set_held(2, false);
        assert_eq!([0, 1, 2, 3].map(|peer| gate.is_open(peer)), [true, false, true, true]);
    }
}
