//! The receive thread's answer to queues, at once and without asking the control plane.

use std::time::Duration;

use hyperzoom_congestion::Brake;
use hyperzoom_protocol::MAX_PARTICIPANTS;

use crate::gate::VideoGate;

/// The brakes on the video to all participants.
#[derive(Debug, Default)]
pub(crate) struct Heed {
    brakes: [Brake; MAX_PARTICIPANTS],
}

impl Heed {
    /// Nothing is known of the way to a participant.
    pub(crate) fn forget(&mut self, gate: &VideoGate, id: u8) {
        self.change(gate, id, |brake| *brake = Brake::default());
    }

    /// So long do packets queue on the way to a participant. Whether the path is full.
    pub(crate) fn report(&mut self, gate: &VideoGate, now: Duration, by: u8, queue: Duration) -> bool {
        self.change(gate, by, |brake| brake.report(now, queue));
        queue >= hyperzoom_congestion::ALARM
    }

    /// So long do packets queue on their way here.
    pub(crate) fn suspect(&mut self, gate: &VideoGate, now: Duration, id: u8, queue: Duration) {
        self.change(gate, id, |brake| brake.suspect(now, queue));
    }

    /// Lets go of what was held back for long enough.
    pub(crate) fn release(&mut self, gate: &VideoGate, now: Duration) {
        for id in 0..MAX_PARTICIPANTS as u8 {
            self.change(gate, id, |brake| brake.release(now));
        }
    }

    fn change(&mut self, gate: &VideoGate, id: u8, change: impl FnOnce(&mut Brake)) {
        let Some(brake) = self.brakes.get_mut(usize::from(id)) else { return };
        let state = |brake: &Brake| (brake.is_held(), brake.is_paused(), brake.is_only_suspected());
        let before = state(brake);
        change(brake);
        let after = state(brake);
        if before != after {
            gate.set_held(id, after.0);
            gate.set_suspected(id, after.2);
            gate.set_paused(id, after.1);
        }
    }
}
