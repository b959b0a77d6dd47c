//! Which peers video goes to, and how fast.

use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};

use hyperzoom_congestion::Rung;

/// What the video's sender looks at before each datagram. The control plane and the receive thread set it.
#[derive(Debug)]
pub(crate) struct VideoGate {
    /// Bit n: participant n is sent no video, until it is told otherwise.
    off: AtomicU8,
    /// Bit n: none for the moment, since the path to participant n is full.
    held: AtomicU8,
    pace_kbps: AtomicU32,
}

impl Default for VideoGate {
    fn default() -> Self {
        let pace_kbps = AtomicU32::new(Rung::Full.pace_kbps());
        Self { off: AtomicU8::new(0), held: AtomicU8::new(0), pace_kbps }
    }
}

impl VideoGate {
    pub(crate) fn set_off(&self, peer: u8, off: bool) {
        set(&self.off, peer, off);
    }

    pub(crate) fn set_held(&self, peer: u8, held: bool) {
        set(&self.held, peer, held);
    }

    pub(crate) fn set_pace(&self, kbps: u32) {
        self.pace_kbps.store(kbps.max(1), Ordering::Relaxed);
    }

    /// How fast the datagrams of a frame follow one another, in kbit/s.
    pub(crate) fn pace_kbps(&self) -> u32 {
        self.pace_kbps.load(Ordering::Relaxed)
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
