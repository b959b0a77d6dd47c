//! What the receive thread has to say to the control plane.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hyperzoom_media::{AudioPacket, EncodedFrame};
use hyperzoom_protocol::{AudioReport, CameraState, PathReport};
use hyperzoom_session::LeaveReason;
use ringbuf::traits::{Consumer, Observer, Producer, Split};
use ringbuf::{HeapCons, HeapProd, HeapRb};

/// Events that the ring holds.
const EVENTS: usize = 256;

/// As many of them are kept for joins, leaves and the like, of which each is told once: an app that is frozen for a minute
/// or two still learns of all of them.
const RESERVED: usize = 192;

/// A peer's media as it arrives, for the threads that decode it.
pub struct PeerInbox {
    /// Frames of live audio, in order of arrival.
    pub audio: HeapCons<AudioPacket>,
    /// Whole video frames, in order of completion.
    pub video: HeapCons<EncodedFrame>,
}

/// What one link has carried so far.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct LinkStats {
    /// The peer.
    pub id: u8,
    /// The smoothed round trip, once a ping has come back.
    pub round_trip: Option<Duration>,
    /// Datagrams of audio sent to the peer.
    pub audio_sent: u64,
    /// Datagrams of video sent to the peer.
    pub video_sent: u64,
    /// Bytes of media sent to the peer, headers and seals included, IP and UDP not.
    pub bytes_sent: u64,
    /// Datagrams that this machine's network did not take.
    pub send_refused: u64,
    /// Datagrams of audio received.
    pub audio_received: u64,
    /// Datagrams of audio that the peer numbered and that never arrived.
    pub audio_lost: u64,
    /// Datagrams of video received.
    pub video_received: u64,
    /// Datagrams of video that never arrived, however often they were asked for.
    pub video_lost: u64,
    /// Datagrams of video received that had been asked for: the network lost these as well.
    pub video_repaired: u64,
    /// How often the peer was asked for datagrams of video.
    pub video_asked: u64,
    /// How often the peer was asked for a keyframe.
    pub keyframes_asked: u64,
    /// Datagrams of video sent to the peer once more.
    pub video_resent: u64,
    /// Video frames that became whole.
    pub video_frames: u64,
    /// Bytes of media received.
    pub bytes_received: u64,
    /// Packets and frames thrown away since nobody took them out of their ring in time.
    pub overflowed: u64,
}

/// Something that happened to the call.
pub enum TransportEvent {
    /// This process is in the session now.
    Joined {
        /// Its participant id.
        me: u8,
        /// The session.
        session_id: u64,
    },
    /// A peer can be heard and spoken to.
    PeerConnected {
        /// The peer's participant id.
        id: u8,
        /// The name it goes by.
        name: String,
        /// Where it is.
        addr: SocketAddr,
        /// What goes between the two of us goes by way of the host.
        relayed: bool,
        /// It was in this session before.
        rejoined: bool,
        /// What it sends.
        inbox: PeerInbox,
    },
    /// What goes to a peer goes by way of the host from now on, or no longer.
    PeerRelayed {
        /// The peer.
        id: u8,
        /// Whether by the host.
        relayed: bool,
    },
    /// Nothing has come from the peer for a while; it may come back.
    PeerSilent {
        /// The peer.
        id: u8,
    },
    /// The peer is heard again.
    PeerBack {
        /// The peer.
        id: u8,
    },
    /// The peer is gone.
    PeerLeft {
        /// The peer.
        id: u8,
        /// Why.
        reason: LeaveReason,
    },
    /// The session clock is known.
    ClockReady,
    /// A peer cannot decode our video without a new keyframe.
    KeyframeRequested {
        /// The peer.
        by: u8,
    },
    /// So a peer heard our voice in the last second.
    AudioReported {
        /// The peer.
        by: u8,
        /// How it was heard.
        report: AudioReport,
    },
    /// Something else than before became of a peer's pictures.
    CameraChanged {
        /// The peer.
        id: u8,
        /// What it is now.
        camera: CameraState,
    },
    /// So the path to a peer served what we sent.
    PathReported {
        /// The peer.
        by: u8,
        /// How it did.
        report: PathReport,
    },
    /// The sync tone is due: to be played, and to be in the recording.
    SyncTone {
        /// When it begins, session time in nanoseconds.
        at_ns: i64,
    },
    /// What the link to one peer carried, once a second and at its end.
    Stats(LinkStats),
    /// The host does not let us in.
    Refused {
        /// Why, in words for a person.
        reason: String,
    },
    /// Nobody answers at the host's address.
    Unreachable,
    /// The goodbyes are said: nothing comes after this.
    Ended,
}

/// The control plane's end of the events.
pub struct TransportEvents {
    ring: HeapCons<TransportEvent>,
    dropped: Arc<AtomicU64>,
}

impl TransportEvents {
    /// The oldest event that was not taken yet.
    pub fn poll(&mut self) -> Option<TransportEvent> {
        self.ring.try_pop()
    }

    /// How many events were lost to a full ring.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

/// The receive thread's end.
pub(crate) struct EventSink {
    ring: HeapProd<TransportEvent>,
    dropped: Arc<AtomicU64>,
}

impl EventSink {
    pub(crate) fn push(&mut self, event: TransportEvent) {
        // What comes again anyway leaves room for what does not.
        let comes_again = matches!(
            event,
            TransportEvent::Stats(_)
                | TransportEvent::KeyframeRequested { .. }
                | TransportEvent::AudioReported { .. }
                | TransportEvent::PathReported { .. }
        );
        let no_room = comes_again && self.ring.vacant_len() <= RESERVED;
        if no_room || self.ring.try_push(event).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

pub(crate) fn channel() -> (EventSink, TransportEvents) {
    let (ring_in, ring) = HeapRb::new(EVENTS).split();
    let dropped = Arc::new(AtomicU64::new(0));
    (EventSink { ring: ring_in, dropped: dropped.clone() }, TransportEvents { ring, dropped })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_that_was_frozen_for_long_learns_who_left_meanwhile() {
        let (mut sink, mut events) = channel();
        for _ in 0..1000 {
            sink.push(TransportEvent::Stats(LinkStats::default()));
            sink.push(TransportEvent::KeyframeRequested { by: 1 });
        }
        sink.push(TransportEvent::PeerLeft { id: 1, reason: LeaveReason::TimedOut });
        sink.push(TransportEvent::Ended);
        assert!(events.dropped() > 0);
        let all: Vec<_> = std::iter::from_fn(|| events.poll()).collect();
        assert!(matches!(all[..], [.., TransportEvent::PeerLeft { id: 1, .. }, TransportEvent::Ended]));
    }
}
