//! The 12 bytes that every datagram begins with (spec §5.4).

/// Length of an encoded [`Header`], in bytes.
pub const HEADER_LEN: usize = 12;

/// The participant number of a sender that has not been given one yet.
pub const UNASSIGNED: u8 = 0xFF;

const VERSION: u8 = 1;

/// What a datagram's payload is (spec §5.4, "Type").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum PacketType {
    /// One frame of live audio.
    Audio = 0x01,
    /// A video frame that needs no other, or a fragment of one.
    VideoKeyframe = 0x02,
    /// A video frame that needs the one before it, or a fragment of one.
    VideoDelta = 0x03,
    /// Handshake, heartbeat, NACK, time exchange.
    Control = 0x04,
    /// A goodbye.
    Bye = 0x05,
    /// Another datagram, on its way between two guests by way of the host. The spec has no such type: in its calls such two do not
    /// meet.
    Relayed = 0x06,
}

impl PacketType {
    fn from_wire(bits: u8) -> Option<Self> {
        Some(match bits {
            0x01 => Self::Audio,
            0x02 => Self::VideoKeyframe,
            0x03 => Self::VideoDelta,
            0x04 => Self::Control,
            0x05 => Self::Bye,
            0x06 => Self::Relayed,
            _ => return None,
        })
    }
}

/// A datagram's header: 12 bytes, big-endian (spec §5.4).
///
/// ```text
///  0                   1                   2                   3
///  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |V=1|P|  Type   |  Participant  |       Sequence Number         |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |                         Timestamp (ms)                        |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |         Payload Length        |   Fragment ID |  Fragment Tot |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Header {
    /// What the payload is.
    pub kind: PacketType,
    /// The sender's number, 0 to 3, or [`UNASSIGNED`].
    pub participant: u8,
    /// The datagram's number within its stream, modulo 2^16.
    pub sequence: u16,
    /// Session time at capture, in milliseconds.
    pub timestamp_ms: u32,
    /// Bytes after the header.
    pub payload_len: u16,
    /// Which part of a payload this is, from 0.
    pub fragment: u8,
    /// How many parts the payload came apart into; 0 where it is whole.
    pub fragments: u8,
    /// Whether the end of the payload is padding whose last byte counts it, itself included (as RFC 3550 §5.1).
    pub padding: bool,
}

/// Why some bytes are not a datagram of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// There are fewer bytes than a header has.
    #[error("a datagram of {0} bytes is shorter than a header")]
    Short(usize),
    /// It is of another version of the packet format.
    #[error("packet format version {0} is not ours (1)")]
    Version(u8),
    /// Its type is none that we know.
    #[error("packet type {0:#04x} is not known")]
    Type(u8),
    /// It says another length than it has.
    #[error("the header says {said} bytes of payload, there are {found}")]
    Length {
        /// Bytes that the header promises.
        said: u16,
        /// Bytes that follow it.
        found: usize,
    },
    /// Its fragment number is not below its number of fragments.
    #[error("fragment {fragment} of {fragments} cannot be")]
    Fragment {
        /// The fragment's number.
        fragment: u8,
        /// How many there should be.
        fragments: u8,
    },
}

impl Header {
    /// The header of a whole control datagram, to begin from.
    #[must_use]
    pub fn control(participant: u8, sequence: u16, payload_len: u16) -> Self {
        Self {
            kind: PacketType::Control,
            participant,
            sequence,
            timestamp_ms: 0,
            payload_len,
            fragment: 0,
            fragments: 0,
            padding: false,
        }
    }

    /// The length of the whole datagram, in bytes.
    #[must_use]
    pub fn datagram_len(&self) -> usize {
        HEADER_LEN + usize::from(self.payload_len)
    }

    /// The header as it goes over the wire.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER_LEN] {
        let [s0, s1] = self.sequence.to_be_bytes();
        let [t0, t1, t2, t3] = self.timestamp_ms.to_be_bytes();
        let [l0, l1] = self.payload_len.to_be_bytes();
        let first = VERSION << 6 | u8::from(self.padding) << 5 | self.kind as u8;
        [first, self.participant, s0, s1, t0, t1, t2, t3, l0, l1, self.fragment, self.fragments]
    }

    /// Takes a datagram apart into its header and its payload.
    ///
    /// # Errors
    /// [`HeaderError`] where it is not one of ours, or not as long as it says.
    pub fn parse(datagram: &[u8]) -> Result<(Self, &[u8]), HeaderError> {
        let Some((head, payload)) = datagram.split_first_chunk::<HEADER_LEN>() else {
            return Err(HeaderError::Short(datagram.len()));
        };
        let &[first, participant, s0, s1, t0, t1, t2, t3, l0, l1, fragment, fragments] = head;
        if first >> 6 != VERSION {
            return Err(HeaderError::Version(first >> 6));
        }
        let kind = PacketType::from_wire(first & 0x1F).ok_or(HeaderError::Type(first & 0x1F))?;
        let payload_len = u16::from_be_bytes([l0, l1]);
        if usize::from(payload_len) != payload.len() {
            return Err(HeaderError::Length { said: payload_len, found: payload.len() });
        }
        let whole = fragment == 0 && fragments == 0;
        if !whole && fragment >= fragments {
            return Err(HeaderError::Fragment { fragment, fragments });
        }
        let header = Self {
            kind,
            participant,
            sequence: u16::from_be_bytes([s0, s1]),
            timestamp_ms: u32::from_be_bytes([t0, t1, t2, t3]),
            payload_len,
            fragment,
            fragments,
            padding: first & 0x20 != 0,
        };
        Ok((header, payload))
    }
}
