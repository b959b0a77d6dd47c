//! Sealing what one stream sends.

use std::fmt;

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};

use crate::noise::SEALED;
use crate::{HEADER_LEN, Header, MAX_DATAGRAM, PacketType, RELAY_OVERHEAD, TAG_LEN};

/// The key of one direction between two participants.
///
/// All streams of the direction share it: their nonces differ by stream. It is never shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SecretKey([u8; 32]);

impl SecretKey {
    pub(crate) fn cipher(&self) -> LessSafeKey {
        let key = UnboundKey::new(&CHACHA20_POLY1305, &self.0).expect("the cipher's keys have 32 bytes");
        LessSafeKey::new(key)
    }
}

impl From<[u8; 32]> for SecretKey {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(..)")
    }
}

/// A sequence of datagrams with its own numbering.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Stream {
    /// Control messages and goodbyes.
    Control = 0,
    /// Live audio.
    Audio = 1,
    /// Live video, keyframes and others alike.
    Video = 2,
}

impl Stream {
    /// The stream that datagrams of a type belong to; a relayed one to none, but for the one that it holds.
    #[must_use]
    pub fn of(kind: PacketType) -> Option<Self> {
        match kind {
            PacketType::Audio => Some(Self::Audio),
            PacketType::VideoKeyframe | PacketType::VideoDelta => Some(Self::Video),
            PacketType::Control | PacketType::Bye => Some(Self::Control),
            PacketType::Relayed => None,
        }
    }

    /// Bytes in front of the sealed part that are authentic but readable: the header, and the envelope byte of control.
    pub(crate) fn clear_len(self) -> usize {
        match self {
            Self::Control => HEADER_LEN + 1,
            Self::Audio | Self::Video => HEADER_LEN,
        }
    }

    /// The nonce of one datagram: stream, sender, and its extended sequence number. Under one key (one direction of one
    /// pair, one handshake) each is used once, since a sealer numbers its datagrams one by one.
    pub(crate) fn nonce(self, sender: u8, index: u64) -> Nonce {
        let mut nonce = [0; 12];
        nonce[0] = self as u8;
        nonce[1] = sender;
        nonce[4..].copy_from_slice(&index.to_be_bytes());
        Nonce::assume_unique_for_key(nonce)
    }
}

/// How many sequence numbers may be skipped in a row before the receiver must hear of it.
///
/// A receiver extends 16-bit numbers by the nearest to those it knows, so it is lost after 32768 skipped ones. An eighth of
/// that (20 s of 5 ms frames) leaves room for losing seven reminders in a row.
pub const MAX_SILENT_SKIPS: u32 = 4000;

/// Numbers and seals the datagrams of one stream to one participant. It never allocates.
pub struct StreamSealer {
    cipher: LessSafeKey,
    stream: Stream,
    sender: u8,
    next: u64,
    skipped: u32,
}

impl StreamSealer {
    /// A sealer that begins at sequence number 0.
    ///
    /// There must be only one for a key and a stream, ever: a second one would use the nonces of the first.
    #[must_use]
    pub fn new(key: impl Into<SecretKey>, stream: Stream, sender_id: u8) -> Self {
        Self { cipher: key.into().cipher(), stream, sender: sender_id, next: 0, skipped: 0 }
    }

    /// The extended sequence number of the next datagram.
    #[must_use]
    pub fn next_sequence(&self) -> u64 {
        self.next
    }

    /// Leaves one sequence number out: something that was deliberately not sent.
    ///
    /// Returns true when so many have been left out in a row ([`MAX_SILENT_SKIPS`]) that the receiver must be reminded of the
    /// count: seal an empty payload and send it. The receiver's session consumes it; it reaches no decoder.
    pub fn skip(&mut self) -> bool {
        self.next += 1;
        self.skipped += 1;
        self.skipped >= MAX_SILENT_SKIPS
    }

    /// Seals `payload` under the next sequence number into `out`; returns the datagram's length in bytes.
    ///
    /// `fragment` and `fragments` are the header's; 0 and 0 for a whole payload.
    ///
    /// # Panics
    /// Where `kind` is of another stream, `payload` is longer than [`MAX_PAYLOAD`](crate::MAX_PAYLOAD) (control:
    /// [`MAX_CONTROL`](crate::MAX_CONTROL)), or `out` is shorter than the datagram; `out` of [`MAX_DATAGRAM`] bytes always
    /// does.
    pub fn seal(
        &mut self,
        kind: PacketType,
        timestamp_ms: u32,
        fragment: u8,
        fragments: u8,
        payload: &[u8],
        out: &mut [u8],
    ) -> usize {
        assert_eq!(Stream::of(kind), Some(self.stream), "a datagram of another stream");
        let clear = self.stream.clear_len();
        let len = clear + payload.len() + TAG_LEN;
        assert!(
            len <= MAX_DATAGRAM - RELAY_OVERHEAD,
            "a payload of {} bytes does not fit a datagram",
            payload.len()
        );
        let index = self.next;
        self.next += 1;
        self.skipped = 0;
        let header = Header {
            kind,
            participant: self.sender,
            sequence: index as u16,
            timestamp_ms,
            payload_len: (len - HEADER_LEN) as u16,
            fragment,
            fragments,
            padding: false,
        };
        let out = &mut out[..len];
        let (clear_part, sealed) = out.split_at_mut(clear);
        clear_part[..HEADER_LEN].copy_from_slice(&header.encode());
        if let Some(envelope) = clear_part.get_mut(HEADER_LEN) {
            *envelope = SEALED;
        }
        let (body, tag) = sealed.split_at_mut(payload.len());
        body.copy_from_slice(payload);
        let made = self
            .cipher
            .seal_in_place_separate_tag(self.stream.nonce(self.sender, index), Aad::from(clear_part), body)
            .expect("a datagram is far below the cipher's limit of 256 GiB");
        tag.copy_from_slice(made.as_ref());
        len
    }
}

impl fmt::Debug for StreamSealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamSealer")
            .field("stream", &self.stream)
            .field("sender", &self.sender)
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}
