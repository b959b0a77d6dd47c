//! Sealed messages from peers.

use std::time::Duration;

use hyperzoom_protocol::{Control, Nack};
use hyperzoom_timing::Exchange;

use crate::peer::Peer;
use crate::relay::Route;
use crate::session::HOST;
use crate::timers::EVERYBODY;
use crate::{Event, LeaveReason, PeerState, Session};

impl Session {
    pub(crate) fn handle_message(&mut self, now: Duration, route: Route, from: u8, message: Control) {
        match message {
            Control::Heartbeat | Control::Filling(_) => {}
            Control::PeerJoined(entry) if from == HOST => self.introduce(now, &entry),
            Control::TimePing { token } => {
                // To where the peer is known to receive, by the way that the question took, since it may ask whether there is one. The answer is
                // the longer of the two.
                let link = self.peer_mut(from).and_then(|peer| peer.link.as_ref());
                let is_there =
                    route == Route::Relayed || link.is_some_and(|link| route == Route::Direct(link.addr));
                if is_there && self.may_answer() && self.resume_by.is_none() {
                    // It leaves as soon as its driver polls, right after this.
                    let now_ns = self.clock.now.session_ns(now);
                    let pong = Control::TimePong { token, received_ns: now_ns, sent_ns: now_ns };
                    self.send_by(now, from, route, &pong);
                }
            }
            Control::TimePong { token, received_ns, sent_ns } => {
                self.handle_pong(now, route, from, token, received_ns, sent_ns);
            }
            Control::Nack(Nack::Keyframe) => {
                let link = self.peer_mut(from).and_then(Peer::live_mut);
                if link.is_some_and(|link| link.keyframes_heard.pass(now)) {
                    self.event(Event::KeyframeRequested { by: from });
                }
            }
            Control::Nack(Nack::Video(missed)) => {
                let link = self.peer_mut(from).and_then(Peer::live_mut);
                if link.is_some_and(|link| link.video_heard.pass(now)) {
                    self.event(Event::VideoMissed { by: from, missed });
                }
            }
            Control::AudioReport(report) => {
                let link = self.peer_mut(from).and_then(Peer::live_mut);
                if link.is_some_and(|link| link.reports_heard.pass(now)) {
                    self.event(Event::AudioReported { by: from, report });
                }
            }
            Control::Camera(camera) => {
                let Some(link) = self.peer_mut(from).and_then(Peer::live_mut) else { return };
                // What is passed over is said again with the next heartbeat.
                if link.camera != Some(camera) && link.cameras_heard.pass(now) {
                    link.camera = Some(camera);
                    self.event(Event::CameraChanged { id: from, camera });
                }
            }
            Control::PathReport(report) => {
                let link = self.peer_mut(from).and_then(Peer::live_mut);
                if link.is_some_and(|link| link.path_reports_heard.pass(now)) {
                    self.event(Event::PathReported { by: from, report });
                }
            }
            Control::SyncTone { at_ns } => self.handle_tone(now, from, at_ns),
            Control::Reachable(addr) => {
                if let Some(link) = self.peer_mut(from).and_then(Peer::live_mut) {
                    link.reachable = Some((addr, now));
                }
            }
            Control::Local(addrs) => self.handle_local(now, from, addrs),
            Control::Neighbour(neighbour) if from == HOST => self.handle_neighbour(now, neighbour),
            Control::Bye => self.part(now, from, LeaveReason::Bye),
            Control::Gone => self.lose(now, from, LeaveReason::TimedOut),
            Control::Hello(_)
            | Control::Welcome(_)
            | Control::Refused(_)
            | Control::Greet(_)
            | Control::Greeted(_)
            | Control::PeerJoined(_)
            | Control::Neighbour(_) => self.stats.ignored += 1,
        }
    }

    fn handle_pong(
        &mut self,
        now: Duration,
        route: Route,
        from: u8,
        token: u32,
        received_ns: i64,
        sent_ns: i64,
    ) {
        let is_host = self.is_host();
        if self.settle_claim(now, from, token) {
            return;
        }
        let Some(link) = self.peer_mut(from).and_then(Peer::live_mut) else { return };
        let Some(asked) = link.pings.answer(token) else {
            self.stats.ignored += 1;
            return;
        };
        let held = Duration::from_nanos(sent_ns.saturating_sub(received_ns).max(0).unsigned_abs());
        link.round_trip = Some(now.saturating_sub(asked).saturating_sub(held));
        let since = link.pings.started;
        let knows_time = link.knows_time;
        if let Route::Direct(_) = route {
            self.take_direct_path(now, from);
        }
        let exchange = Exchange { t0: asked, t1: received_ns, t2: sent_ns, t3: now };
        if knows_time {
            self.resume_clock(now, Some(&exchange));
        }
        if from == HOST
            && !is_host
            && let Some(event) = self.clock.learn(&exchange, since)
        {
            self.event(event);
        }
    }

    /// A peer is no longer in the call.
    pub(crate) fn part(&mut self, now: Duration, id: u8, reason: LeaveReason) {
        let Some(peer) = self.peer_mut(id) else { return };
        let was_in = peer.is_in();
        // A goodbye after a timeout settles that it does not come back.
        if was_in || reason == LeaveReason::Bye {
            peer.state = PeerState::Left(reason);
            peer.left_at = now;
            peer.sought_since = now;
        }
        if reason == LeaveReason::Bye {
            self.greetings[usize::from(id)] = None;
        }
        if was_in {
            self.event(Event::PeerLeft { id, reason });
        }
        if id == HOST && reason == LeaveReason::Bye {
            for other in EVERYBODY {
                if self.peer_mut(other).and_then(Peer::live_mut).is_some_and(|link| link.relayed) {
                    self.lose(now, other, LeaveReason::HostLeft);
                }
            }
        }
    }

    /// A peer is out of reach: it is given up, and sought anew.
    pub(crate) fn lose(&mut self, now: Duration, id: u8, reason: LeaveReason) {
        let Some(addr) = self.peer_mut(id).filter(|peer| peer.is_in()).map(|peer| peer.addr()) else {
            return;
        };
        self.part(now, id, reason);
        if self.is_host() {
            // Guests find their way back by themselves.
        } else if id == HOST {
            self.greet(now, HOST, addr);
        } else {
            if let Some(peer) = self.peer_mut(id) {
                peer.introduced_addr = addr;
            }
            self.approach(now, id);
        }
    }
}
