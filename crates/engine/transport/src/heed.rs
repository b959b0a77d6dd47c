//! Audio goes first: while the path to a peer is full, no video is put on it.

use std::time::Duration;

use hyperzoom_congestion::{ALARM, CLEAR, NOTICE, PAUSE, WARNING};
use hyperzoom_protocol::MAX_PARTICIPANTS;

use crate::gate::VideoGate;

/// Video that is held back since the path is full leaves again after this where nobody says that the queue is gone.
pub(crate) const HELD: Duration = Duration::from_secs(1);

/// What one participant's reports have brought about.
#[derive(Debug, Clone, Copy, Default)]
struct Path {
    /// Until when it is sent no video.
    held_until: Option<Duration>,
    /// Until when what is being sent to it waits.
    paused_until: Option<Duration>,
    /// There is a queue for which that was already done.
    is_warned: bool,
}

/// The receive thread's answer to reports of queues, at once and without asking the control plane.
///
/// At the first sign of a queue the frame that is on its way waits, for so long that there must be news; it loses nothing by that. Where the
/// queue grows all the same the frame is given up, and there is no video until the queue is gone.
#[derive(Debug, Default)]
pub(crate) struct Heed {
    paths: [Path; MAX_PARTICIPANTS],
}

impl Heed {
    /// Nothing is known of the way to a participant.
    pub(crate) fn forget(&mut self, gate: &VideoGate, id: u8) {
        if let Some(path) = self.paths.get_mut(usize::from(id)) {
            *path = Path::default();
            gate.set_held(id, false);
            gate.set_paused(id, false);
        }
    }

    /// So long do packets queue on the way to a participant. Whether the path is full.
    pub(crate) fn report(&mut self, gate: &VideoGate, now: Duration, by: u8, queue: Duration) -> bool {
        let Some(path) = self.paths.get_mut(usize::from(by)) else { return false };
        if queue < NOTICE {
            path.is_warned = false;
            if path.paused_until.take().is_some() {
                gate.set_paused(by, false);
            }
        } else if queue >= WARNING && !std::mem::replace(&mut path.is_warned, true) {
            path.paused_until = Some(now + PAUSE);
            gate.set_paused(by, true);
        }
        if queue >= ALARM {
            path.held_until = Some(now + HELD);
            gate.set_held(by, true);
            return true;
        }
        if queue < CLEAR && path.held_until.take().is_some() {
            gate.set_held(by, false);
        }
        false
    }

    /// Lets go of what was held back for long enough.
    pub(crate) fn release(&mut self, gate: &VideoGate, now: Duration) {
        for (id, path) in (0..).zip(&mut self.paths) {
            if path.held_until.take_if(|until| *until <= now).is_some() {
                gate.set_held(id, false);
            }
            if path.paused_until.take_if(|until| *until <= now).is_some() {
                gate.set_paused(id, false);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn the_first_sign_of_a_queue_makes_video_wait_and_not_for_long() {
        let (mut heed, gate) = (Heed::default(), VideoGate::default());
        let mut told = |now: u64, queue: u64| {
            heed.release(&gate, ms(now));
            heed.report(&gate, ms(now), 1, ms(queue));
            (gate.is_paused(1), gate.is_open(1))
        };
        assert_eq!(told(0, 7), (false, true), "jitter");
        assert_eq!(told(10, 13), (true, true));
        assert_eq!(told(30, 4), (false, true), "it was nothing");
        assert_eq!(told(40, 13), (true, true));
        assert_eq!(told(95, 13), (false, true), "it neither grows nor goes away");
        assert_eq!(told(145, 13), (false, true), "and that is no news");
        assert_eq!(told(150, 30), (false, false));
        assert_eq!(told(160, 0), (false, true));
        assert_eq!(told(170, 60), (true, false), "all at once");
    }
}
