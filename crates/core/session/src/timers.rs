//! What happens because time passes.

use std::time::Duration;

use hyperzoom_protocol::{Control, MAX_PARTICIPANTS};

use crate::peer::Peer;
use crate::session::{HOST, Phase};
use crate::{BYE_SPACING, Event, HEARTBEAT, LeaveReason, PeerState, Session, TIMEOUT, UNREACHABLE_AFTER};

pub(crate) const EVERYBODY: std::ops::Range<u8> = 0..MAX_PARTICIPANTS as u8;

impl Session {
    /// When [`handle_timeout`](Self::handle_timeout) must be called next; none when the session has ended.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        let joining = match self.phase {
            Phase::Ended => return None,
            Phase::Leaving(_, next) => return Some(next),
            Phase::Joining(since) => Some(since + UNREACHABLE_AFTER),
            Phase::In => None,
        };
        let greetings = self.greetings.iter().flatten().map(|greeting| greeting.next_at);
        let pending = self.pending.iter().map(|pending| pending.expires);
        let peers = self.peers.iter().flatten().flat_map(|peer| {
            let link = peer.live();
            let service = link.map(|link| link.next_heartbeat.min(link.pings.next_at));
            [service, peer.silence_due()].into_iter().flatten()
        });
        joining.into_iter().chain(self.resume_by).chain(greetings).chain(pending).chain(peers).min()
    }

    /// Does what is due by `now`. Calling it early or late is harmless.
    pub fn handle_timeout(&mut self, now: Duration) {
        match self.phase {
            Phase::Ended => return,
            Phase::Leaving(left, next) => {
                if next <= now {
                    self.say_goodbye(now, left);
                }
                return;
            }
            Phase::Joining(since) if since + UNREACHABLE_AFTER <= now => {
                self.phase = Phase::Ended;
                self.event(Event::Unreachable);
                return;
            }
            Phase::Joining(_) | Phase::In => {}
        }
        if self.resume_by.is_some_and(|at| at <= now) {
            self.resume_clock(now, None);
        }
        for id in EVERYBODY {
            self.watch(now, id);
            self.service_link(now, id);
            if self.greetings[usize::from(id)].as_ref().is_some_and(|greeting| greeting.next_at <= now) {
                self.retry(now, id);
            }
        }
        self.pending.retain(|pending| pending.expires > now);
    }

    /// Looks at how long a peer has been silent.
    fn watch(&mut self, now: Duration, id: u8) {
        let Some(peer) = self.peer_mut(id) else { return };
        let Some(link) = peer.live() else { return };
        let silence = now.saturating_sub(link.last_heard);
        let due = peer.silence_due().is_some_and(|due| due <= now);
        if due && peer.state == PeerState::Connected {
            peer.state = PeerState::Silent;
            self.event(Event::PeerSilent { id });
        }
        if silence >= TIMEOUT {
            self.lose(now, id, LeaveReason::TimedOut);
        }
    }

    /// Sends a peer the heartbeat, the introductions and the time question that are due.
    pub(crate) fn service_link(&mut self, now: Duration, id: u8) {
        // Whom we ask for the time is asked several times at once.
        let clock_source = id == HOST || self.resume_by.is_some();
        let Some(link) = self.peer_mut(id).and_then(Peer::live_mut) else { return };
        let ping = (link.pings.next_at <= now).then(|| link.pings.ask(now, clock_source));
        let heartbeat = link.next_heartbeat <= now;
        if heartbeat {
            link.next_heartbeat = now + HEARTBEAT;
        }
        if let Some(token) = ping {
            self.send(now, id, &Control::TimePing { token });
        }
        if heartbeat {
            self.send(now, id, &Control::Heartbeat);
            self.try_other_route(now, id);
            if let (HOST, Some(addr)) = (id, self.reachable) {
                self.send(now, id, &Control::Reachable(addr));
            }
            if id == HOST {
                self.tell_local(now);
            }
            if let Some(camera) = self.camera {
                self.send(now, id, &Control::Camera(camera));
            }
            self.tell_tone(now, id);
            if self.is_host()
                && let Some(seen_by) = self.peer_mut(id).map(|peer| peer.addr().ip())
            {
                let introductions: Vec<_> = self.introductions(now, id, seen_by).collect();
                for entry in introductions {
                    self.send(now, id, &Control::PeerJoined(entry));
                }
                self.tell_neighbours(now, id);
            }
        }
    }

    fn say_goodbye(&mut self, now: Duration, left: u8) {
        let mut anybody = false;
        for id in EVERYBODY {
            if self.peer_mut(id).is_some_and(|peer| peer.is_in()) {
                anybody = true;
                self.send(now, id, &Control::Bye);
            }
        }
        if anybody && left > 1 {
            self.phase = Phase::Leaving(left - 1, now + BYE_SPACING);
        } else {
            self.phase = Phase::Ended;
            self.event(Event::Ended);
        }
    }
}
