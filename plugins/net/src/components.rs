//! The call's members as the ECS sees them.

use std::net::SocketAddr;

use bevy_ecs::component::Component;
use bevy_ecs::message::Message;
use bevy_ecs::resource::Resource;
use bevy_platform::cell::SyncCell;
use hyperzoom_protocol::{AudioReport, CameraState, PathReport};
use hyperzoom_session::LeaveReason;
use hyperzoom_transport::{LinkStats, PeerInbox, Transport, TransportEvents};

/// The running transport.
#[derive(Resource)]
pub struct Net {
    transport: SyncCell<Transport>,
    events: SyncCell<TransportEvents>,
}

impl Net {
    /// Takes over what [`hyperzoom_transport::Bound::start`] gave.
    #[must_use]
    pub fn new(transport: Transport, events: TransportEvents) -> Self {
        Self { transport: SyncCell::new(transport), events: SyncCell::new(events) }
    }

    /// The hold on the receive thread.
    pub fn transport(&mut self) -> &mut Transport {
        self.transport.get()
    }

    pub(crate) fn events(&mut self) -> &mut TransportEvents {
        self.events.get()
    }
}

/// This process's own place in the call.
#[derive(Resource, Debug, Default, Clone, PartialEq)]
pub struct Membership {
    /// Our participant id, once we are in.
    pub me: Option<u8>,
    /// The session, once we are in.
    pub session_id: Option<u64>,
    /// Whether the session clock is known.
    pub clock_ready: bool,
    /// Why there is no call, where there is none.
    pub failure: Option<JoinFailure>,
    /// The goodbyes are said.
    pub ended: bool,
}

/// Why joining came to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JoinFailure {
    /// The host said no.
    Refused(String),
    /// Nobody answered.
    Unreachable,
}

/// A member of the call beside this process. It stays after it has left, with what it did until then.
#[derive(Component, Debug, Clone, PartialEq, Eq)]
#[require(Presence, Link, Hearing, PeerCamera, Route)]
pub struct Peer {
    /// Its participant id.
    pub id: u8,
    /// The name it goes by.
    pub name: String,
    /// Where it was last heard from.
    pub addr: SocketAddr,
}

/// Whether a peer is there.
#[derive(Component, Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Presence {
    /// It is heard.
    #[default]
    Here,
    /// Nothing came from it for a while.
    Silent,
    /// It has gone.
    Gone(LeaveReason),
}

/// How what goes between us and a peer gets there.
#[derive(Component, Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Route {
    /// Straight.
    #[default]
    Direct,
    /// By way of the host, since the two of us cannot reach each other: sealed for each other, and twice as long on the way.
    Relayed,
}

impl Route {
    pub(crate) fn relayed(relayed: bool) -> Self {
        if relayed { Self::Relayed } else { Self::Direct }
    }
}

/// What the link to a peer carried, as of the last second.
#[derive(Component, Debug, Clone, Copy, Default, PartialEq)]
pub struct Link(pub LinkStats);

/// How a peer hears us, as it last said; none while it has said nothing.
#[derive(Component, Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Hearing(pub Option<AudioReport>);

/// What became of a peer's pictures, as it last said; none while it has said nothing. Only where it is [`CameraState::On`] is the newest
/// picture worth showing.
#[derive(Component, Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PeerCamera(pub Option<CameraState>);

/// What a newly connected peer sends, until the one who decodes it takes it.
#[derive(Component)]
pub struct Incoming(SyncCell<Option<PeerInbox>>);

impl Incoming {
    pub(crate) fn new(inbox: PeerInbox) -> Self {
        Self(SyncCell::new(Some(inbox)))
    }

    /// The rings, to the first who asks.
    pub fn take(&mut self) -> Option<PeerInbox> {
        self.0.get().take()
    }
}

/// Something that happened to the call, for whoever shows or reacts to it.
#[derive(Message, Debug, Clone, PartialEq, Eq)]
pub enum NetMessage {
    /// We are in.
    Joined,
    /// The session clock is known.
    ClockReady,
    /// A peer is there, for the first time or again.
    PeerConnected {
        /// Its participant id.
        id: u8,
        /// Its name.
        name: String,
        /// It was here before.
        rejoined: bool,
        /// What goes between us goes by way of the host.
        relayed: bool,
    },
    /// What goes between us and a peer takes another way from now on.
    PeerRelayed {
        /// Its participant id.
        id: u8,
        /// Whether by way of the host.
        relayed: bool,
    },
    /// Nothing came from a peer for a while.
    PeerSilent {
        /// Its participant id.
        id: u8,
    },
    /// A silent peer is heard again.
    PeerBack {
        /// Its participant id.
        id: u8,
    },
    /// A peer has gone.
    PeerLeft {
        /// Its participant id.
        id: u8,
        /// Why.
        reason: LeaveReason,
    },
    /// A peer cannot decode our video without a new keyframe.
    KeyframeRequested {
        /// Its participant id.
        by: u8,
    },
    /// So a peer heard our voice in the last second.
    AudioReported {
        /// Its participant id.
        by: u8,
        /// How it was heard.
        report: AudioReport,
    },
    /// Something else than before became of a peer's pictures.
    CameraChanged {
        /// Its participant id.
        id: u8,
        /// What it is now.
        camera: CameraState,
    },
    /// So the path to a peer served what we sent.
    PathReported {
        /// Its participant id.
        by: u8,
        /// How it did.
        report: PathReport,
    },
    /// The sync tone is due: to be played, and to be in the recording.
    SyncTone {
        /// When it begins, session time in nanoseconds.
        at_ns: i64,
    },
    /// Joining came to nothing.
    Failed(JoinFailure),
    /// The goodbyes are said.
    Ended,
}
