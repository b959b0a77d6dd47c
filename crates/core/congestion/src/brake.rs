//! Audio goes first: while the path to a peer is full, no video is put on it.

use std::time::Duration;

use crate::{ALARM, CLEAR, NOTICE, PAUSE, WARNING};

/// Video that is held back since the path is full leaves again after this where nobody says that the queue is gone.
const HELD: Duration = Duration::from_secs(1);

/// Where what comes from a peer queues, what goes there may as well, and its report of that queues too. So it is waited for for so long.
const SUSPECTED: Duration = Duration::from_millis(400);

/// What is done at once at a queue on the way to one peer.
///
/// At the first sign of it the frame that is on its way waits, for so long that there must be news; it loses nothing by that. Where
/// the queue grows all the same the frame is given up, and there is no video until the queue is gone.
#[derive(Debug, Clone, Copy, Default)]
pub struct Brake {
    held_until: Option<Duration>,
    paused_until: Option<Duration>,
    /// There is a queue for which that was already done.
    is_warned: bool,
    suspected_until: Option<Duration>,
    is_suspicious: bool,
}

impl Brake {
    /// The peer says that packets to it queue for so long.
    pub fn report(&mut self, now: Duration, queue: Duration) {
        if queue < NOTICE {
            self.is_warned = false;
            self.paused_until = None;
        } else if queue >= WARNING && !std::mem::replace(&mut self.is_warned, true) {
            self.paused_until = Some(now + PAUSE);
        }
        if queue >= ALARM {
            self.held_until = Some(now + HELD);
        } else if queue < CLEAR {
            self.held_until = None;
        }
    }

    /// The peer's own packets queue for so long on their way here. A path that becomes narrow often does so both ways: a radio has one
    /// channel for both.
    pub fn suspect(&mut self, now: Duration, queue: Duration) {
        if queue < NOTICE {
            self.is_suspicious = false;
            self.suspected_until = None;
        } else if queue >= WARNING && !std::mem::replace(&mut self.is_suspicious, true) {
            self.suspected_until = Some(now + SUSPECTED);
        }
    }

    /// Lets go of what was held back for long enough.
    pub fn release(&mut self, now: Duration) {
        for until in [&mut self.held_until, &mut self.paused_until, &mut self.suspected_until] {
            until.take_if(|until| *until <= now);
        }
    }

    /// Whether there is no video to the peer: its path is full.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.held_until.is_some()
    }

    /// Whether what is being sent to the peer waits for news.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.paused_until.is_some() || self.suspected_until.is_some()
    }

    /// Whether it waits only since what comes from the peer queues. That says little of the way to it, so nobody else is to wait for it.
    #[must_use]
    pub fn is_only_suspected(&self) -> bool {
        self.suspected_until.is_some() && self.paused_until.is_none()
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
        let mut brake = Brake::default();
        let mut told = |now: u64, queue: u64| {
            brake.release(ms(now));
            brake.report(ms(now), ms(queue));
            (brake.is_paused(), brake.is_held())
        };
        assert_eq!(told(0, 7), (false, false), "jitter");
        assert_eq!(told(10, 13), (true, false));
        assert_eq!(told(30, 4), (false, false), "it was nothing");
        assert_eq!(told(40, 13), (true, false));
        assert_eq!(told(95, 13), (false, false), "it neither grows nor goes away");
        assert_eq!(told(145, 13), (false, false), "and that is no news");
        assert_eq!(told(150, 30), (false, true));
        assert_eq!(told(160, 0), (false, false));
        assert_eq!(told(170, 60), (true, true), "all at once");
        assert_eq!(told(1170, 15), (false, false), "the report of its end may have been lost");
    }

    #[test]
    fn a_queue_on_the_way_here_makes_video_wait_for_what_the_peer_says() {
        let mut brake = Brake::default();
        brake.suspect(ms(0), ms(13));
        brake.report(ms(10), ms(0));
        assert!(brake.is_paused() && brake.is_only_suspected(), "that was sent before");
        brake.report(ms(20), ms(13));
        assert!(brake.is_paused() && !brake.is_only_suspected(), "it is known now");
        brake.report(ms(30), ms(0));
        brake.suspect(ms(50), ms(30));
        brake.suspect(ms(100), ms(3));
        assert!(!brake.is_paused());
        brake.suspect(ms(200), ms(13));
        for now in (200..1000).step_by(50) {
            brake.suspect(ms(now), ms(40));
            brake.release(ms(now));
            assert_eq!(brake.is_paused(), now < 600, "a queue of the peer's own stands for long");
        }
        assert!(!brake.is_held());
    }
}
