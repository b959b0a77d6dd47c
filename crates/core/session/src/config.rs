//! What a session is told, and the times that it keeps.

use std::time::Duration;

use hyperzoom_protocol::InviteKey;

/// What a participant brings into a session.
#[derive(Debug, Clone)]
pub struct Config {
    /// The participant's name; what cannot be shown of it goes.
    pub name: String,
    /// The invite's key; none for an open session.
    pub key: Option<InviteKey>,
    /// The session's number, drawn at random by the host. A guest's is not used: it learns the host's.
    pub session_id: u64,
    /// A number that this process drew at random at its start, the same for all of its life: who comes back with
    /// it is the same participant.
    pub instance: u128,
    /// How many people the host takes, itself included: 2 to 4.
    pub capacity: u8,
}

/// How often each participant tells each other that it lives (spec §5.4).
pub const HEARTBEAT: Duration = Duration::from_secs(1);
/// A peer that was not heard for so long is called silent: a heartbeat was lost, or media stopped.
pub const SILENT_AFTER: Duration = Duration::from_millis(1500);
/// A peer that was not heard for so long has left (spec §5.4).
pub const TIMEOUT: Duration = Duration::from_secs(5);
/// How many times a goodbye is sent (spec §5.4).
pub const BYE_COUNT: u8 = 3;
/// The time between goodbyes (spec §5.4).
pub const BYE_SPACING: Duration = Duration::from_millis(50);
/// A host that did not answer for so long is unreachable.
pub const UNREACHABLE_AFTER: Duration = Duration::from_secs(10);
/// A peer is asked for a keyframe no more often than this, and followed no more often: a keyframe costs as much as a second of
/// other frames.
pub const KEYFRAME_REQUEST_SPACING: Duration = Duration::from_millis(250);
/// A peer that misses video is listened to so often for long: a [`Reassembler`](hyperzoom_protocol::Reassembler) asks every 5 ms at the
/// most. Looking through what is kept for one question takes some tens of microseconds.
pub(crate) const VIDEO_REQUEST_SPACING: Duration = Duration::from_millis(5);
/// So many more of its questions may come at once, as a network delivers them that has held them back.
pub(crate) const VIDEO_REQUEST_BURST: u32 = 8;
/// A peer is told how it is heard no more often than this, and listened to no more often: half of the second that reports are apart,
/// so that one that was held back is heard as well.
pub const REPORT_SPACING: Duration = Duration::from_millis(500);

/// Of the path to a peer it tells us, and is listened to, no more often than this: at once when a queue grows, and twenty times a second while
/// there is one.
pub const PATH_REPORT_SPACING: Duration = Duration::from_millis(2);
/// The sync tone is no sooner than this after somebody has come: until then the clock is known, the recording runs, and the news of it
/// has arrived even where the network has lost it twice.
pub const TONE_LEAD: Duration = Duration::from_secs(3);

/// Two guests who could not meet for so long are relayed by their host.
pub const RELAY_AFTER: Duration = Duration::from_secs(3);
/// The most that is passed on from one guest to another, in bits a second, IP and UDP headers included: a voice in frames of 2.5 ms with copies
/// (200 kbit/s), video at its fastest pace (2000 kbit/s), and as much again for bursts and what is sent once more.
pub const RELAY_RATE: u64 = 3_000_000;
/// How much may pass at once, as the time that it takes at [`RELAY_RATE`]: two keyframes.
pub(crate) const RELAY_BURST: Duration = Duration::from_millis(250);
/// A direct path on which no question was answered for so long is taken to have failed in one direction: three in a row were lost.
pub(crate) const UNANSWERED_AFTER: Duration = Duration::from_millis(3500);
/// So many questions in a row that were asked straight are to be answered straight before a relayed peer is sent to straight again: where one
/// in three is lost, one answer says little.
pub(crate) const RETURN_ANSWERS: u8 = 3;
/// After a return to the direct path that did not hold the next one is not before this; it doubles each time up to [`RETURN_MOST`].
pub(crate) const RETURN_FIRST: Duration = Duration::from_secs(5);
/// The longest wait for the next return. One that held for so long has not failed.
pub(crate) const RETURN_MOST: Duration = Duration::from_secs(60);
/// For so long after its goodbye to the host a guest's goodbyes to others are passed on.
pub(crate) const BYE_PASSES: Duration = Duration::from_secs(1);
/// IPv6 and UDP headers (RFC 8200 §3, RFC 768), in bytes.
pub(crate) const IP_UDP: usize = 48;

/// The wait before the second attempt of a handshake; it doubles up to [`RETRY_MOST`].
pub(crate) const RETRY_FIRST: Duration = Duration::from_millis(250);
/// The longest wait between two attempts of a handshake.
pub(crate) const RETRY_MOST: Duration = Duration::from_secs(1);
/// So many unanswered attempts of a handshake are kept, since an answer may take longer than the wait between two.
pub(crate) const ATTEMPTS_KEPT: usize = 4;
/// How long an answered handshake waits for the first sealed datagram.
pub(crate) const CONFIRM_WITHIN: Duration = Duration::from_secs(5);
/// So many answered handshakes may wait: all attempts kept by three newcomers, and some.
pub(crate) const PENDING_MOST: usize = 16;
/// So many ephemeral keys of others' handshakes are remembered (32 bytes each).
pub(crate) const EPHEMERALS_MOST: usize = 1024;
/// Time exchanges at the start (spec §5.4), and the time between two of them.
pub(crate) const CLOCK_BURST: u8 = 8;
pub(crate) const CLOCK_BURST_SPACING: Duration = Duration::from_millis(20);
/// After so long the clock is called ready with fewer exchanges than a whole burst.
pub(crate) const CLOCK_PATIENCE: Duration = Duration::from_millis(500);
/// And how long they go on often, and how often: a recording may begin with the first of them, and what the clock is off by then stays in it.
pub(crate) const CLOCK_SETTLES: Duration = Duration::from_secs(10);
pub(crate) const CLOCK_SETTLING_SPACING: Duration = Duration::from_millis(200);
/// How often time exchanges go on after that.
pub(crate) const PING_EVERY: Duration = Duration::from_secs(1);
/// A peer that seems to be elsewhere is asked there, and moves, no more often than this, so that one with two ways out does not flap with
/// every datagram.
pub(crate) const MOVE_SPACING: Duration = Duration::from_millis(250);
/// While a peer is asked at one address it is not asked at another, unless this has passed: longer than any answer takes.
pub(crate) const CLAIM_HOLDS: Duration = Duration::from_secs(2);
/// How often one who was given up is told so while it still sends.
pub(crate) const GONE_SPACING: Duration = Duration::from_millis(250);
/// An introduction that the host has not repeated for so long no longer holds.
pub(crate) const INTRODUCTION_HOLDS: Duration = Duration::from_secs(5);
/// Where a guest's router lets others in is said with each heartbeat; what was not said for so long no longer holds.
pub(crate) const REACHABLE_HOLDS: Duration = Duration::from_secs(5);
/// No answers are queued beyond so many datagrams: a peer that asks faster than they leave gets fewer.
pub(crate) const TRANSMIT_MOST: usize = 64;
