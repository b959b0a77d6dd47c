//! Control messages, in `postcard`'s compact binary form.

use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};

use serde::{Deserialize, Serialize};

use crate::{Cookie, HEADER_LEN, MAX_CONTROL, Name, TAG_LEN, VideoNack};

/// The version of the control messages. Participants of different versions do not understand each other.
pub const PROTOCOL_VERSION: u16 = 6;

/// The most participants of a session, the host included (spec §4.1).
pub const MAX_PARTICIPANTS: usize = 4;

/// What a program can receive, as a set of bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities(pub u32);

impl Capabilities {
    /// Opus, 48 kHz, mono.
    pub const OPUS: Self = Self(1);
    /// VP8.
    pub const VP8: Self = Self(1 << 1);
    /// All that this version has.
    pub const OURS: Self = Self(Self::OPUS.0 | Self::VP8.0);

    /// Whether all of `other` is in it.
    #[must_use]
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// A message between two participants.
///
/// `Hello` and `Greet` travel in the first message of a handshake, `Welcome`, `Refused` and `Greeted` in the second, all
/// others in sealed control datagrams.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
// A message lives for one datagram; boxing the larger ones would allocate in the receive thread.
#[allow(clippy::large_enum_variant)]
pub enum Control {
    /// A guest asks the host to be let in.
    Hello(Hello),
    /// The host lets it in.
    Welcome(Welcome),
    /// The host does not let it in.
    Refused(Refusal),
    /// One guest opens its link to another, whom the host introduced.
    Greet(Greet),
    /// The answer to it.
    Greeted(Greeted),
    /// The host introduces a participant. Repeated every second, so that a lost one does not matter.
    PeerJoined(PeerEntry),
    /// The sender is alive.
    Heartbeat,
    /// Something that was lost is wanted again.
    Nack(Nack),
    /// The sender leaves the call.
    Bye,
    /// What time is it?
    TimePing {
        /// Comes back in the answer.
        token: u32,
    },
    /// It is so late.
    TimePong {
        /// The question's.
        token: u32,
        /// When the question arrived, session time in nanoseconds.
        received_ns: i64,
        /// When this answer left, session time in nanoseconds.
        sent_ns: i64,
    },
    /// The sender had taken the receiver for lost: only a new handshake brings it back.
    Gone,
    /// So the receiver's voice was heard in the last second.
    AudioReport(AudioReport),
    /// What has become of the sender's pictures. Said when it changes, and again with every heartbeat, so that a lost one does not
    /// matter.
    Camera(CameraState),
    /// So the path to the sender served what the receiver sent.
    PathReport(PathReport),
    /// Nothing: it takes as much of the path as some video would, to find out whether the path holds it.
    Filling(Filling),
    /// Everybody plays the sync tone, and has it in the recording, from this session time on. Said by the host, and again with every
    /// heartbeat until then, so that a lost one does not matter.
    SyncTone {
        /// When it begins, session time in nanoseconds.
        at_ns: i64,
    },
    /// The sender's router lets datagrams in at this address: where it is to be introduced, rather than where it is heard from. Said with every
    /// heartbeat.
    Reachable(SocketAddr),
    /// Where the sender, a guest, is within its own network, for those who live there as well. Said with every heartbeat.
    Local(LocalAddrs),
    /// The host has heard a participant from where it hears the receiver from: they seem to live behind one router, which may not lead back in
    /// what comes from within. Said with every heartbeat.
    Neighbour(Neighbour),
}

/// Where a participant is within its own network.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalAddrs {
    /// Its IPv4 address, if it has one.
    pub v4: Option<SocketAddrV4>,
    /// Its IPv6 address, if it has one.
    pub v6: Option<SocketAddrV6>,
}

impl LocalAddrs {
    /// The addresses that there are.
    pub fn iter(self) -> impl Iterator<Item = SocketAddr> {
        self.v4.map(SocketAddr::V4).into_iter().chain(self.v6.map(SocketAddr::V6))
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.v4.is_none() && self.v6.is_none()
    }
}

/// Somebody who lives in the same network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Neighbour {
    /// Its number.
    pub participant: u8,
    /// Where it is there, as it says.
    pub addrs: LocalAddrs,
}

/// What has become of a participant's pictures, so that others know what to show in their place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CameraState {
    /// They come.
    On,
    /// Its camera is off for others: it sends none.
    Off,
    /// Its camera delivers none: it was unplugged, or stands still.
    Lost,
    /// It has no camera.
    None,
}

/// What a [`Control::Filling`] is filled with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filling([[u8; 32]; 2]);

impl Filling {
    /// A sealed datagram of filling, in bytes: short, so that no packet of a voice waits long behind it.
    pub const DATAGRAM: usize = HEADER_LEN + 1 + 1 + 64 + TAG_LEN;
}

/// Who wants to come in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// [`PROTOCOL_VERSION`]. First, so that it can be read whatever else changes.
    pub version: u16,
    /// A number that the guest's process drew at random. Who comes back with it is the same participant.
    pub instance: u128,
    /// The guest's name.
    pub name: Name,
    /// What the guest can receive.
    pub capabilities: Capabilities,
    /// The session that the guest was in before, if it comes back.
    pub session_id: Option<u64>,
    /// The number that it had there: a host that was started anew does not know it.
    pub participant: Option<u8>,
    /// What a host without a key has answered to the attempt before: a proof that the guest receives where it says it is.
    pub cookie: Option<Cookie>,
}

/// What a new participant must know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The session.
    pub session_id: u64,
    /// The newcomer's number, 1 to 3.
    pub participant: u8,
    /// The newcomer's address as the host sees it.
    pub your_addr: SocketAddr,
    /// The host's name.
    pub host_name: Name,
    /// What the host can receive.
    pub capabilities: Capabilities,
    /// The other participants.
    // An array, not a `Vec`: nothing is allocated by a length in the message.
    pub peers: [Option<PeerEntry>; MAX_PARTICIPANTS - 2],
}

/// One participant as the host introduces it to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerEntry {
    /// Its number.
    pub participant: u8,
    /// The number that its process drew.
    pub instance: u128,
    /// Its name.
    pub name: Name,
    /// Where the host hears it from.
    pub addr: SocketAddr,
}

/// Why a host does not let somebody in who has the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// All places are taken.
    #[error("the session is full ({capacity} people); somebody must leave first")]
    Full {
        /// How many people it takes, the host included.
        capacity: u8,
    },
    /// The two programs are of different versions.
    #[error(
        "the host's HyperZoom speaks version {host} of the protocol, not ours; update the older of the two"
    )]
    Version {
        /// The host's [`PROTOCOL_VERSION`].
        host: u16,
    },
    /// There is no codec that both know.
    #[error("the host's HyperZoom shares no audio codec with ours; update the older of the two")]
    Codecs,
    /// The session that the guest was in is not this one.
    #[error("the host has begun another session since; join again")]
    OtherSession,
}

/// Who opens a link to another guest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Greet {
    /// The session that both are in.
    pub session_id: u64,
    /// The sender's number.
    pub participant: u8,
    /// The number that the sender's process drew.
    pub instance: u128,
    /// Whom it is for: somebody else may have that address by now.
    pub to: u8,
}

/// The answer to a [`Greet`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Greeted {
    /// The sender's number.
    pub participant: u8,
    /// The number that the sender's process drew.
    pub instance: u128,
}

/// What is wanted again: video only, since a voice does not wait (spec §4.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Nack {
    /// A new video keyframe.
    Keyframe,
    /// Video datagrams, just as they were.
    Video(VideoNack),
}

/// How a voice was heard in the last second, by the one who hears it.
///
/// All that it can bring about is which copies of earlier frames its receiver sends, and how long its frames are: a lie costs
/// some bandwidth.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "AudioReportFields")]
pub struct AudioReport {
    /// The share of frames whose packet never came, in permille: at most 1000.
    pub lost_permille: u16,
    /// The share of frames whose packet came after the frame was due, in permille: at most 1000.
    pub late_permille: u16,
    /// How long a run of lost frames lasted on average, in microseconds of sound; 0 where none was lost.
    pub burst_us: u32,
    /// The depth of the jitter buffer, in microseconds.
    pub depth_us: u32,
    /// How much later than a frame's own packet another may be sent and yet be at hand when the frame is due, in microseconds.
    pub reach_us: u32,
}

impl AudioReport {
    /// No duration in a report is longer, in microseconds: no jitter buffer is deeper than ten seconds.
    pub const MAX_US: u32 = 10_000_000;

    /// The report with everything that is beyond its bounds at them.
    #[must_use]
    pub fn clamped(self) -> Self {
        Self {
            lost_permille: self.lost_permille.min(1000),
            late_permille: self.late_permille.min(1000),
            burst_us: self.burst_us.min(Self::MAX_US),
            depth_us: self.depth_us.min(Self::MAX_US),
            reach_us: self.reach_us.min(Self::MAX_US),
        }
    }
}

/// An [`AudioReport`] as it is on the wire, of any values.
#[derive(Deserialize)]
struct AudioReportFields {
    lost_permille: u16,
    late_permille: u16,
    burst_us: u32,
    depth_us: u32,
    reach_us: u32,
}

impl TryFrom<AudioReportFields> for AudioReport {
    type Error = ControlError;

    fn try_from(fields: AudioReportFields) -> Result<Self, ControlError> {
        let AudioReportFields { lost_permille, late_permille, burst_us, depth_us, reach_us } = fields;
        let report = Self { lost_permille, late_permille, burst_us, depth_us, reach_us };
        if report == report.clamped() { Ok(report) } else { Err(ControlError) }
    }
}

/// How a path served a stream of datagrams since the last report, by the one at its end.
///
/// All that it can bring about is how much video its receiver sends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "PathReportFields")]
pub struct PathReport {
    /// How long packets queue now, in microseconds.
    pub queue_us: u32,
    /// The longest that they queued since the last report, in microseconds.
    pub most_queue_us: u32,
    /// What the path lets through, in kbit/s, where it was full; 0 where it was not.
    pub rate_kbps: u32,
    /// What the voice takes of it, in kbit/s.
    pub audio_kbps: u32,
    /// Datagrams of voice and video that should have come since the last report.
    pub expected: u32,
    /// How many of them never came; no more than that.
    pub lost: u32,
}

impl PathReport {
    /// No queue in a report is longer, in microseconds.
    pub const MAX_US: u32 = AudioReport::MAX_US;
    /// No path in a report is faster, in kbit/s: 10 Gbit/s.
    pub const MAX_KBPS: u32 = 10_000_000;
    /// No more datagrams are counted in a report.
    pub const MAX_DATAGRAMS: u32 = 1_000_000;

    /// The report with everything that is beyond its bounds at them.
    #[must_use]
    pub fn clamped(self) -> Self {
        let expected = self.expected.min(Self::MAX_DATAGRAMS);
        Self {
            queue_us: self.queue_us.min(Self::MAX_US),
            most_queue_us: self.most_queue_us.min(Self::MAX_US),
            rate_kbps: self.rate_kbps.min(Self::MAX_KBPS),
            audio_kbps: self.audio_kbps.min(Self::MAX_KBPS),
            expected,
            lost: self.lost.min(expected),
        }
    }
}

/// A [`PathReport`] as it is on the wire, of any values.
#[derive(Deserialize)]
struct PathReportFields {
    queue_us: u32,
    most_queue_us: u32,
    rate_kbps: u32,
    audio_kbps: u32,
    expected: u32,
    lost: u32,
}

impl TryFrom<PathReportFields> for PathReport {
    type Error = ControlError;

    fn try_from(fields: PathReportFields) -> Result<Self, ControlError> {
        let PathReportFields { queue_us, most_queue_us, rate_kbps, audio_kbps, expected, lost } = fields;
        let report = Self { queue_us, most_queue_us, rate_kbps, audio_kbps, expected, lost };
        if report == report.clamped() { Ok(report) } else { Err(ControlError) }
    }
}

/// Bytes are not a control message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a control message")]
pub struct ControlError;

impl Control {
    /// Writes the message into `out`; returns the part of it that was used.
    ///
    /// Every message fits [`MAX_CONTROL`] bytes: names are bounded, and nothing else has a length.
    #[must_use]
    pub fn encode<'a>(&self, out: &'a mut [u8; MAX_CONTROL]) -> &'a [u8] {
        postcard::to_slice(self, out).expect("control messages have bounded lengths below the buffer's")
    }

    /// Reads a message that fills `bytes` to the end.
    ///
    /// # Errors
    /// [`ControlError`] where it is none.
    pub fn decode(bytes: &[u8]) -> Result<Self, ControlError> {
        match postcard::take_from_bytes(bytes) {
            Ok((message, [])) => Ok(message),
            _ => Err(ControlError),
        }
    }

    /// As [`decode`](Self::decode), of a message that zeros may follow.
    pub(crate) fn decode_padded(bytes: &[u8]) -> Result<Self, ControlError> {
        match postcard::take_from_bytes(bytes) {
            Ok((message, padding)) if padding.iter().all(|byte| *byte == 0) => Ok(message),
            _ => Err(ControlError),
        }
    }

    /// The version in a [`Hello`] whose remainder this version may be unable to read.
    #[must_use]
    pub fn hello_version(bytes: &[u8]) -> Option<u16> {
        let (tag, rest) = bytes.split_first()?;
        // `Hello` is the first variant, in every version.
        (*tag == 0).then(|| postcard::take_from_bytes(rest).ok().map(|(version, _)| version))?
    }
}
