//! Opening what one stream received.

use std::fmt;
use std::ops::Range;

use ring::aead::{Aad, LessSafeKey};

use crate::index::{ReplayWindow, Stale};
use crate::noise::SEALED;
use crate::{HEADER_LEN, Header, HeaderError, SecretKey, Stream, TAG_LEN};

/// Opens the datagrams of one stream from one participant, each at most once. It never allocates.
pub struct StreamOpener {
    cipher: LessSafeKey,
    stream: Stream,
    sender: u8,
    window: ReplayWindow,
}

/// A datagram that is authentic and new.
#[derive(Debug, PartialEq, Eq)]
pub struct Opened<'a> {
    /// Its header.
    pub header: Header,
    /// Its extended sequence number.
    pub sequence: u64,
    /// What was sealed in it.
    pub payload: &'a [u8],
}

/// As [`Opened`], with the payload's place in the datagram instead of the payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenedAt {
    /// Its header.
    pub header: Header,
    /// Its extended sequence number.
    pub sequence: u64,
    /// Whether no later one of the stream has been opened before.
    pub newest: bool,
    /// Where in the datagram the payload is now.
    pub payload: Range<usize>,
}

/// Why a datagram was not opened. The opener is as it was before it then, but for [`OpenError::Padding`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// It is no datagram of ours.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// It is of another stream or sender, or not sealed.
    #[error("not a sealed datagram of this stream")]
    NotOurs,
    /// It has been opened before.
    #[error("received before")]
    Repeated,
    /// It is older than the window reaches back.
    #[error("too old to tell whether it was received before")]
    Old,
    /// It was not sealed with this key, or has been changed since.
    #[error("not authentic")]
    Forged,
    /// It is authentic, and its padding is longer than it is.
    #[error("padding longer than the payload")]
    Padding,
}

impl StreamOpener {
    /// How many sequence numbers below the highest one received are still taken, if they are new.
    pub const WINDOW: u64 = crate::index::WINDOW;

    /// An opener of what a [`StreamSealer`](crate::StreamSealer) of the same key, stream and sender sends.
    #[must_use]
    pub fn new(key: impl Into<SecretKey>, stream: Stream, sender_id: u8) -> Self {
        Self { cipher: key.into().cipher(), stream, sender: sender_id, window: ReplayWindow::new() }
    }

    /// Opens a datagram in place.
    ///
    /// # Errors
    /// [`OpenError`] where it is not authentic, not new, or not of this stream. After [`OpenError::Forged`] the sealed part of the
    /// datagram is lost: who has another key to try needs a copy.
    pub fn open<'a>(&mut self, datagram: &'a mut [u8]) -> Result<Opened<'a>, OpenError> {
        let OpenedAt { header, sequence, payload, .. } = self.open_at(datagram)?;
        Ok(Opened { header, sequence, payload: &datagram[payload] })
    }

    /// As [`open`](Self::open), without keeping the datagram borrowed, so that another opener can be tried after it.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_at(&mut self, datagram: &mut [u8]) -> Result<OpenedAt, OpenError> {
        let (header, _) = Header::parse(datagram)?;
        let clear = self.stream.clear_len();
        if Stream::of(header.kind) != Some(self.stream)
            || header.participant != self.sender
            || datagram.len() < clear + TAG_LEN
            || (clear > HEADER_LEN && datagram[HEADER_LEN] != SEALED)
        {
            return Err(OpenError::NotOurs);
        }
        let index = self.window.estimate(header.sequence);
        self.window.check(index).map_err(|stale| match stale {
            Stale::Seen => OpenError::Repeated,
            Stale::Old => OpenError::Old,
        })?;

        let body_end = datagram.len() - TAG_LEN;
        let (clear_part, sealed) = datagram.split_at_mut(clear);
        self.cipher
            .open_in_place(self.stream.nonce(self.sender, index), Aad::from(clear_part), sealed)
            .map_err(|_| OpenError::Forged)?;
        let newest = self.window.mark(index);

        let mut end = body_end;
        if header.padding {
            let padding = datagram[clear..body_end].last().copied().map_or(0, usize::from);
            if padding == 0 || padding > body_end - clear {
                return Err(OpenError::Padding);
            }
            end -= padding;
        }
        Ok(OpenedAt { header, sequence: index, newest, payload: clear..end })
    }
}

impl fmt::Debug for StreamOpener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamOpener")
            .field("stream", &self.stream)
            .field("sender", &self.sender)
            .finish_non_exhaustive()
    }
}
