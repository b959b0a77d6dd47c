//! What the host passes on between two guests who cannot reach each other.
//!
//! A relayed datagram holds another one, whole and as its sender sealed it for its receiver, in an envelope that the host can
//! check: the host learns who sends how much to whom, and nothing of what is said.
//!
//! ```text
//! header (type 0x06, participant: the source, number) | target and lane | the datagram | tag
//! ```
//!
//! The tag is Poly1305 over all that comes before it (RFC 8439 with an empty plaintext), under the key of the link that the envelope
//! travels on: from the source to the host, and a new one from the host to the target.

use std::fmt;
use std::ops::Range;

use ring::aead::{Aad, LessSafeKey, Nonce};

use crate::index::{ReplayWindow, Stale};
use crate::{
    HEADER_LEN, Header, MAX_DATAGRAM, MAX_PARTICIPANTS, OpenError, PacketType, SecretKey, Stream, TAG_LEN,
};

/// Bytes that a relay's envelope adds to a datagram: a header, a byte for target and lane, a tag.
pub const RELAY_OVERHEAD: usize = CLEAR_LEN + TAG_LEN;

/// Bytes in front of the inner datagram.
const CLEAR_LEN: usize = HEADER_LEN + 1;

/// Sets the nonces of envelopes apart from those of the streams under the same key.
const NONCE_MARK: u8 = 0x10;

const LANES: usize = 3;

/// From whom to whom a relayed datagram goes, and in which row of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RelayWay {
    /// The guest that sent it.
    pub source: u8,
    /// The guest that it is for.
    pub target: u8,
    /// Each thread that sends numbers its own lane: that of audio, that of video, and for all else that of control.
    pub lane: Stream,
}

impl RelayWay {
    /// What a datagram says of itself. Not to be believed before a [`RelayOpener`] has opened it. None where it is no relayed
    /// datagram of two guests.
    #[must_use]
    pub fn of(datagram: &[u8]) -> Option<Self> {
        let (header, payload) = Header::parse(datagram).ok()?;
        let (&byte, rest) = payload.split_first()?;
        let lane = match byte & 0x0F {
            0 => Stream::Control,
            1 => Stream::Audio,
            2 => Stream::Video,
            _ => return None,
        };
        let way = Self { source: header.participant, target: byte >> 4, lane };
        let guests = 1..MAX_PARTICIPANTS as u8;
        let usable = header.kind == PacketType::Relayed
            && !header.padding
            && header.fragments == 0
            && rest.len() >= HEADER_LEN + TAG_LEN
            && guests.contains(&way.source)
            && guests.contains(&way.target)
            && way.source != way.target;
        usable.then_some(way)
    }

    fn byte(self) -> u8 {
        self.target << 4 | self.lane as u8
    }

    fn nonce(self, index: u64) -> Nonce {
        let mut nonce = [0; 12];
        nonce[0] = NONCE_MARK | self.lane as u8;
        nonce[1] = self.source;
        nonce[2] = self.target;
        nonce[4..].copy_from_slice(&index.to_be_bytes());
        Nonce::assume_unique_for_key(nonce)
    }

    /// The one of the two who is not `guest`.
    fn other(self, guest: u8) -> Option<usize> {
        let other = match guest {
            _ if self.source == guest => self.target,
            _ if self.target == guest => self.source,
            _ => return None,
        };
        Some(usize::from(other)).filter(|other| *other < MAX_PARTICIPANTS)
    }
}

/// Puts datagrams into envelopes, for one direction of the link between the host and a guest. It never allocates.
///
/// There must be only one for a key, way and lane, ever: a second one would use the nonces of the first.
pub struct RelaySealer {
    cipher: LessSafeKey,
    guest: u8,
    next: [[u64; LANES]; MAX_PARTICIPANTS],
}

impl RelaySealer {
    /// A sealer for the link of `guest` with the host, under the key that seals what its owner sends over that link.
    #[must_use]
    pub fn new(key: impl Into<SecretKey>, guest: u8) -> Self {
        Self { cipher: key.into().cipher(), guest, next: [[0; LANES]; MAX_PARTICIPANTS] }
    }

    /// Puts `inner` into an envelope, in `out`; returns the length of the whole. None where `inner` is too long for one, or the way is not one
    /// of this link.
    pub fn wrap(&mut self, way: RelayWay, inner: &[u8], out: &mut [u8; MAX_DATAGRAM]) -> Option<usize> {
        let end = CLEAR_LEN + inner.len();
        let len = end + TAG_LEN;
        out.get_mut(CLEAR_LEN..end)?.copy_from_slice(inner);
        self.seal(way, out.get_mut(..len)?).then_some(len)
    }

    /// Puts another envelope in the place of the one that `datagram` came in. False where the way is not one of this link.
    pub fn rewrap(&mut self, way: RelayWay, datagram: &mut [u8]) -> bool {
        datagram.len() >= RELAY_OVERHEAD && self.seal(way, datagram)
    }

    fn seal(&mut self, way: RelayWay, datagram: &mut [u8]) -> bool {
        let Some(other) = way.other(self.guest) else { return false };
        let next = &mut self.next[other][way.lane as usize];
        let index = *next;
        *next += 1;
        let header = Header {
            kind: PacketType::Relayed,
            ..Header::control(way.source, index as u16, (datagram.len() - HEADER_LEN) as u16)
        };
        datagram[..HEADER_LEN].copy_from_slice(&header.encode());
        datagram[HEADER_LEN] = way.byte();
        let (clear, tag) = datagram.split_at_mut(datagram.len() - TAG_LEN);
        let made = self
            .cipher
            .seal_in_place_separate_tag(way.nonce(index), Aad::from(clear), &mut [])
            .expect("a datagram is far below the cipher's limit of 256 GiB");
        tag.copy_from_slice(made.as_ref());
        true
    }
}

impl fmt::Debug for RelaySealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RelaySealer").field("guest", &self.guest).finish_non_exhaustive()
    }
}

/// Whose envelopes a [`RelayOpener`] takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RelaySide {
    /// The host's: what comes from the guest, for others.
    Host,
    /// The guest's: what comes from others, for it.
    Guest,
}

/// Checks envelopes, each at most once, of one direction of the link between the host and a guest. It never allocates.
pub struct RelayOpener {
    cipher: LessSafeKey,
    guest: u8,
    side: RelaySide,
    windows: [[ReplayWindow; LANES]; MAX_PARTICIPANTS],
}

impl RelayOpener {
    /// An opener for the link of `guest` with the host, on the side of either of them.
    #[must_use]
    pub fn new(key: impl Into<SecretKey>, guest: u8, side: RelaySide) -> Self {
        let windows = std::array::from_fn(|_| std::array::from_fn(|_| ReplayWindow::new()));
        Self { cipher: key.into().cipher(), guest, side, windows }
    }

    /// Checks an envelope; its way, and where in it the inner datagram lies.
    ///
    /// # Errors
    /// [`OpenError`] where it is not authentic, not new, or not of this link. The inner datagram is as it came, and of what it holds
    /// nothing is known.
    pub fn open(&mut self, datagram: &mut [u8]) -> Result<(RelayWay, Range<usize>), OpenError> {
        let way = RelayWay::of(datagram).ok_or(OpenError::NotOurs)?;
        let of_link = match self.side {
            RelaySide::Host => way.source == self.guest,
            RelaySide::Guest => way.target == self.guest,
        };
        let other = way.other(self.guest).filter(|_| of_link).ok_or(OpenError::NotOurs)?;
        let window = &mut self.windows[other][way.lane as usize];
        let (header, _) = Header::parse(datagram)?;
        let index = window.estimate(header.sequence);
        window.check(index).map_err(|stale| match stale {
            Stale::Seen => OpenError::Repeated,
            Stale::Old => OpenError::Old,
        })?;
        let end = datagram.len() - TAG_LEN;
        let (clear, tag) = datagram.split_at_mut(end);
        self.cipher.open_in_place(way.nonce(index), Aad::from(clear), tag).map_err(|_| OpenError::Forged)?;
        window.mark(index);
        Ok((way, CLEAR_LEN..end))
    }
}

impl fmt::Debug for RelayOpener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RelayOpener")
            .field("guest", &self.guest)
            .field("side", &self.side)
            .finish_non_exhaustive()
    }
}
