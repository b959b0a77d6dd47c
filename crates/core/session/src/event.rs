//! What a session hands out.

use std::net::SocketAddr;

use hyperzoom_protocol::{AudioReport, CameraState, Header, Name, PathReport, Refusal, SecretKey, VideoNack};

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// This participant is in the session: at once on the host, after WELCOME on a guest. Comes again should the host give a
    /// guest that comes back another number; all peers have left before that.
    Joined {
        /// This participant's number.
        me: u8,
        /// The session's.
        session_id: u64,
    },
    /// A link to a peer is up, for the first time or anew. Media to it is sealed with `send_key`, by sealers that begin at
    /// 0; those of an earlier `PeerConnected` of the same `id` end here, even if no [`PeerLeft`](Self::PeerLeft) came between.
    PeerConnected {
        /// The peer's number.
        id: u8,
        /// Its name.
        name: Name,
        /// Where it is, as far as is known.
        addr: SocketAddr,
        /// Whether what goes to it goes by way of the host: in envelopes, to the host's address.
        relayed: bool,
        /// Whether it is the same participant as one that was connected before: its streams begin anew, its place on the
        /// timeline is the old one.
        rejoined: bool,
        /// Seals what goes to it.
        send_key: SecretKey,
    },
    /// A peer's datagrams come from another address; media goes there from now on.
    PeerMoved {
        /// The peer's number.
        id: u8,
        /// Where it is now.
        addr: SocketAddr,
    },
    /// What goes to a peer takes another way from now on: by the host, or straight.
    PeerRelayed {
        /// The peer's number.
        id: u8,
        /// Whether by the host.
        relayed: bool,
    },
    /// Nothing came from a peer for [`SILENT_AFTER`](crate::SILENT_AFTER).
    PeerSilent {
        /// The peer's number.
        id: u8,
    },
    /// A silent peer is heard again; keys and streams are as they were.
    PeerBack {
        /// The peer's number.
        id: u8,
    },
    /// A peer is no longer in the call. Its sealers end here: it needs new keys to come back.
    PeerLeft {
        /// The peer's number.
        id: u8,
        /// Why.
        reason: LeaveReason,
    },
    /// [`Session::clock`](crate::Session::clock) is the session's time now.
    ClockReady,
    /// [`Session::clock`](crate::Session::clock) has been refined.
    ClockUpdated,
    /// A peer lost its picture: send it a keyframe.
    KeyframeRequested {
        /// The peer's number.
        by: u8,
    },
    /// Video datagrams did not reach a peer: send them once more, as they were.
    VideoMissed {
        /// The peer's number.
        by: u8,
        /// Which.
        missed: VideoNack,
    },
    /// So a peer heard our voice in the last second.
    AudioReported {
        /// The peer's number.
        by: u8,
        /// How it was heard.
        report: AudioReport,
    },
    /// Something else than before became of a peer's pictures.
    CameraChanged {
        /// The peer's number.
        id: u8,
        /// What it is now.
        camera: CameraState,
    },
    /// So the path to a peer served what we sent.
    PathReported {
        /// The peer's number.
        by: u8,
        /// How it did.
        report: PathReport,
    },
    /// The sync tone is due: to be played, and to be in the recording. It lies ahead when this comes.
    SyncTone {
        /// When it begins, session time in nanoseconds.
        at_ns: i64,
    },
    /// The host does not let us in. Where we never were in, this is the last event.
    Refused(Refusal),
    /// The host did not answer for [`UNREACHABLE_AFTER`](crate::UNREACHABLE_AFTER). The last event.
    Unreachable,
    /// We have left. The last event.
    Ended,
}

/// Why a peer is no longer in the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaveReason {
    /// It said goodbye.
    Bye,
    /// It was not heard for [`TIMEOUT`](crate::TIMEOUT).
    TimedOut,
    /// The host relayed it, and has left.
    HostLeft,
}

/// A datagram to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transmit {
    /// Where to.
    pub to: SocketAddr,
    /// Its bytes.
    pub datagram: Vec<u8>,
}

/// An opened audio or video datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Media<'a> {
    /// Who sent it.
    pub peer: u8,
    /// Its header.
    pub header: Header,
    /// Its extended sequence number within its stream.
    pub sequence: u64,
    /// What was sealed in it; never empty.
    pub payload: &'a [u8],
}
