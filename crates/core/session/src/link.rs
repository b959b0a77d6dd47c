//! The sealed way to one peer.

use std::net::SocketAddr;
use std::time::Duration;

use hyperzoom_protocol::{
    CameraState, Control, MAX_CONTROL, MAX_DATAGRAM, OpenError, OpenedAt, PacketType, PairKeys, RelaySide,
    SecretKey, Stream, StreamOpener, StreamSealer,
};

use crate::budget::Budget;
use crate::claim::Claim;
use crate::config::{
    CLOCK_BURST, CLOCK_BURST_SPACING, CLOCK_SETTLES, CLOCK_SETTLING_SPACING, GONE_SPACING, HEARTBEAT,
    KEYFRAME_REQUEST_SPACING, MOVE_SPACING, PATH_REPORT_SPACING, PING_EVERY, REPORT_SPACING, RETURN_ANSWERS,
    RETURN_FIRST, RETURN_MOST, SILENT_AFTER, UNANSWERED_AFTER, VIDEO_REQUEST_BURST, VIDEO_REQUEST_SPACING,
};
use crate::relay::{Relays, Route};
use crate::session::HOST;

/// What came from a peer over its present link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PeerStats {
    /// Audio datagrams.
    pub audio: u64,
    /// Video datagrams.
    pub video: u64,
    /// Control datagrams.
    pub control: u64,
    /// Bytes of all of them.
    pub bytes: u64,
    /// Datagrams that were not authentic, came twice or came too late to tell.
    pub dropped: u64,
}

/// Keys, counters and timers of one handshake's outcome. Coming back after a timeout makes a new one.
#[derive(Debug)]
pub(crate) struct Link {
    /// Where the peer is, as far as we know; datagrams go there unless they are relayed.
    pub(crate) addr: SocketAddr,
    /// Where its router lets datagrams in, as it said, and when it last did.
    pub(crate) reachable: Option<(SocketAddr, Duration)>,
    /// Datagrams go by way of the host.
    pub(crate) relayed: bool,
    /// When something last came straight from the peer.
    pub(crate) last_direct: Duration,
    /// When a question that was asked straight was last answered straight.
    pub(crate) last_answered: Duration,
    /// When and whether to leave the relay.
    pub(crate) return_path: Return,
    /// Envelopes on the link between the host and a guest.
    pub(crate) relays: Option<Box<Relays>>,
    pub(crate) send_key: SecretKey,
    pub(crate) last_heard: Duration,
    pub(crate) next_heartbeat: Duration,
    pub(crate) pings: Pings,
    pub(crate) round_trip: Option<Duration>,
    pub(crate) stats: PeerStats,
    /// Where else it may be.
    pub(crate) claim: Option<Claim>,
    pub(crate) moves: Limiter,
    pub(crate) goners: Limiter,
    pub(crate) keyframes_asked: Limiter,
    pub(crate) keyframes_heard: Limiter,
    pub(crate) video_heard: Budget,
    pub(crate) reports_sent: Limiter,
    pub(crate) reports_heard: Limiter,
    pub(crate) cameras_heard: Limiter,
    /// What became of its pictures, as it last said.
    pub(crate) camera: Option<CameraState>,
    pub(crate) path_reports_heard: Limiter,
    sealer: StreamSealer,
    control: StreamOpener,
    audio: StreamOpener,
    video: StreamOpener,
}

impl Link {
    pub(crate) fn new(now: Duration, me: u8, peer: u8, keys: &PairKeys, addr: SocketAddr) -> Self {
        let relays = match (me, peer) {
            (HOST, guest) => Some(Box::new(Relays::new(keys, guest, RelaySide::Host))),
            (guest, HOST) => Some(Box::new(Relays::new(keys, guest, RelaySide::Guest))),
            _ => None,
        };
        Self {
            addr,
            reachable: None,
            relayed: false,
            last_direct: now,
            last_answered: now,
            return_path: Return::default(),
            relays,
            send_key: keys.send,
            last_heard: now,
            // Between two time questions, so that one burst of loss does not take both.
            next_heartbeat: now + HEARTBEAT / 2,
            pings: Pings::new(now),
            round_trip: None,
            stats: PeerStats::default(),
            claim: None,
            moves: Limiter::new(MOVE_SPACING),
            goners: Limiter::new(GONE_SPACING),
            keyframes_asked: Limiter::new(KEYFRAME_REQUEST_SPACING),
            keyframes_heard: Limiter::new(KEYFRAME_REQUEST_SPACING),
            video_heard: Budget::new(VIDEO_REQUEST_SPACING, VIDEO_REQUEST_BURST),
            reports_sent: Limiter::new(REPORT_SPACING),
            reports_heard: Limiter::new(REPORT_SPACING),
            cameras_heard: Limiter::new(KEYFRAME_REQUEST_SPACING),
            camera: None,
            path_reports_heard: Limiter::new(PATH_REPORT_SPACING),
            sealer: StreamSealer::new(keys.send, Stream::Control, me),
            control: StreamOpener::new(keys.receive, Stream::Control, peer),
            audio: StreamOpener::new(keys.receive, Stream::Audio, peer),
            video: StreamOpener::new(keys.receive, Stream::Video, peer),
        }
    }

    /// The way that datagrams take to the peer.
    pub(crate) fn route(&self) -> Route {
        if self.relayed { Route::Relayed } else { Route::Direct(self.addr) }
    }

    /// Whether the direct way seems to have failed, in one direction at least.
    pub(crate) fn direct_is_doubtful(&self, now: Duration) -> bool {
        now.saturating_sub(self.last_direct) >= SILENT_AFTER
            || now.saturating_sub(self.last_answered) >= UNANSWERED_AFTER
    }

    pub(crate) fn open(&mut self, stream: Stream, datagram: &mut [u8]) -> Result<OpenedAt, OpenError> {
        let opener = match stream {
            Stream::Control => &mut self.control,
            Stream::Audio => &mut self.audio,
            Stream::Video => &mut self.video,
        };
        let opened = opener.open_at(datagram);
        if opened.is_ok() {
            let count = match stream {
                Stream::Control => &mut self.stats.control,
                Stream::Audio => &mut self.stats.audio,
                Stream::Video => &mut self.stats.video,
            };
            *count += 1;
            self.stats.bytes += datagram.len() as u64;
        } else {
            self.stats.dropped += 1;
        }
        opened
    }

    pub(crate) fn seal(&mut self, timestamp_ms: u32, message: &Control) -> Vec<u8> {
        let kind = if *message == Control::Bye { PacketType::Bye } else { PacketType::Control };
        let mut buffer = [0; MAX_CONTROL];
        let payload = message.encode(&mut buffer);
        let mut datagram = vec![0; MAX_DATAGRAM];
        let len = self.sealer.seal(kind, timestamp_ms, 0, 0, payload, &mut datagram);
        datagram.truncate(len);
        datagram
    }
}

/// A relayed peer's way back to the direct path.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Return {
    /// The last question that was asked straight waits for its answer.
    is_asked: bool,
    /// So many were answered in a row.
    answers: u8,
    /// When the direct path was last returned to.
    last: Option<Duration>,
    not_before: Duration,
    wait: Duration,
}

impl Return {
    /// The peer is asked straight.
    pub(crate) fn ask(&mut self) {
        if std::mem::replace(&mut self.is_asked, true) {
            self.answers = 0;
        }
    }

    /// And has answered straight. Whether to return to the direct path.
    pub(crate) fn answer(&mut self, now: Duration) -> bool {
        self.is_asked = false;
        self.answers = self.answers.saturating_add(1);
        let is_due = self.answers >= RETURN_ANSWERS && now >= self.not_before;
        if is_due {
            self.last = Some(now);
        }
        is_due
    }

    /// The direct path has failed.
    pub(crate) fn fail(&mut self, now: Duration) {
        let held = self.last.is_none_or(|last| now.saturating_sub(last) >= RETURN_MOST);
        self.wait = if held { Duration::ZERO } else { (self.wait * 2).clamp(RETURN_FIRST, RETURN_MOST) };
        self.not_before = now + self.wait;
        self.is_asked = false;
        self.answers = 0;
    }
}

/// Lets something happen once in a while.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limiter {
    spacing: Duration,
    last: Option<Duration>,
}

impl Limiter {
    fn new(spacing: Duration) -> Self {
        Self { spacing, last: None }
    }

    pub(crate) fn pass(&mut self, now: Duration) -> bool {
        self.pass_after(now, Duration::ZERO)
    }

    /// As [`pass`](Self::pass), and not before `wait` is over.
    pub(crate) fn pass_after(&mut self, now: Duration, wait: Duration) -> bool {
        let spacing = self.spacing.max(wait);
        let pass = self.last.is_none_or(|last| now.saturating_sub(last) >= spacing);
        if pass {
            self.last = Some(now);
        }
        pass
    }
}

/// Questions about the time that wait for their answers.
#[derive(Debug)]
pub(crate) struct Pings {
    pub(crate) started: Duration,
    pub(crate) next_at: Duration,
    burst_left: u8,
    next_token: u32,
    /// When the last questions were asked, by their token modulo the length.
    asked: [Option<(u32, Duration)>; 16],
}

impl Pings {
    fn new(now: Duration) -> Self {
        Self { started: now, next_at: now, burst_left: CLOCK_BURST - 1, next_token: 0, asked: [None; 16] }
    }

    /// The token of a new question, asked now. `burst`: whether the first ones follow one another more closely, since the clock goes by them.
    pub(crate) fn ask(&mut self, now: Duration, burst: bool) -> u32 {
        let token = self.token(now);
        self.next_at = now
            + if burst && self.burst_left > 0 {
                self.burst_left -= 1;
                CLOCK_BURST_SPACING
            } else if burst && now < self.started + CLOCK_SETTLES {
                CLOCK_SETTLING_SPACING
            } else {
                PING_EVERY
            };
        token
    }

    /// The token of a question that is asked now, beside those that are asked regularly.
    pub(crate) fn token(&mut self, now: Duration) -> u32 {
        let token = self.next_token;
        self.next_token = token.wrapping_add(1);
        self.asked[token as usize % self.asked.len()] = Some((token, now));
        token
    }

    /// When the question of `token` was asked; once.
    pub(crate) fn answer(&mut self, token: u32) -> Option<Duration> {
        self.asked[token as usize % self.asked.len()].take_if(|(asked, _)| *asked == token).map(|(_, at)| at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_fails_again_and_again_is_returned_to_ever_less_often() {
        let mut path = Return::default();
        let mut now = Duration::ZERO;
        let mut waits = Vec::new();
        // It answers each question, and fails a second after it was taken.
        for _ in 0..8 {
            path.fail(now);
            let since = now;
            loop {
                now += HEARTBEAT;
                path.ask();
                if path.answer(now) {
                    break;
                }
            }
            waits.push((now - since).as_secs());
            now += HEARTBEAT;
        }
        assert_eq!(waits, [3, 5, 10, 20, 40, 60, 60, 60]);
        // Once it has held, it is as good as new.
        now += RETURN_MOST;
        path.fail(now);
        let returned: Vec<bool> = (0..3)
            .map(|_| {
                path.ask();
                path.answer(now)
            })
            .collect();
        assert_eq!(returned, [false, false, true]);
    }

    #[test]
    fn answers_count_in_a_row() {
        let mut path = Return::default();
        let now = Duration::from_secs(1);
        for answered in [true, true, false, true, true, false, true, true] {
            path.ask();
            assert!(!answered || !path.answer(now));
        }
        path.ask();
        assert!(path.answer(now));
    }
}
