//! What the control plane wants of the receive thread.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

/// Wishes that the receive thread looks at every turn.
///
/// Flags, not a queue: to wish twice is to wish once, so none is ever lost for want of room, and whoever waits for the
/// thread to end waits for a wish that has arrived.
#[derive(Debug, Default)]
pub(crate) struct Orders {
    stop: AtomicBool,
    leave: AtomicBool,
    /// Bit n: participant n is to be asked for a keyframe.
    keyframes: AtomicU8,
}

impl Orders {
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
    }

    pub(crate) fn leave(&self) {
        self.leave.store(true, Ordering::Release);
    }

    pub(crate) fn request_keyframe(&self, peer: u8) {
        if let Some(bit) = 1_u8.checked_shl(peer.into()) {
            self.keyframes.fetch_or(bit, Ordering::Release);
        }
    }

    pub(crate) fn is_to_stop(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// Whether to leave; true once a wish.
    pub(crate) fn take_leave(&self) -> bool {
        self.leave.swap(false, Ordering::AcqRel)
    }

    /// Whom to ask for a keyframe; each once a wish.
    pub(crate) fn take_keyframes(&self) -> impl Iterator<Item = u8> + use<> {
        let bits = self.keyframes.swap(0, Ordering::AcqRel);
        (0..8).filter(move |peer| bits & 1 << peer != 0)
    }
}
