//! Encoded media between the network and the codecs.

use std::time::Duration;

/// What a payload is. The order is the order of importance: what comes first leaves first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MediaKind {
    /// One frame of live audio.
    Audio,
    /// A video frame that needs no other.
    VideoKeyframe,
    /// A video frame that needs the one before it.
    VideoDelta,
}

/// Where an encoder's thread hands its payloads over: sealed and sent to every peer before the call returns.
///
/// There is one a stream. Its thread owns it, and a call of it allocates nothing. That of audio does not block; that of video may wait between
/// the datagrams of a frame, which leave as the path takes them.
pub trait PacketSink: Send {
    /// Sends one payload to every peer. `timestamp_ms` is session time, in milliseconds.
    fn send(&mut self, kind: MediaKind, timestamp_ms: u32, payload: &[u8]);

    /// Leaves one sequence number out: a frame of audio that was deliberately not sent (muted, or silence).
    fn skip(&mut self);
}

/// One frame of live audio as it came from the network, inline, so that a ring of them allocates nothing.
#[derive(Debug, Clone, Copy)]
pub struct AudioPacket {
    /// The frame's extended sequence number: frames are numbered one by one, sent or not.
    pub sequence: u64,
    /// When its datagram arrived, since the process's epoch, stamped in the receive thread.
    pub arrived: Duration,
    /// The sender's session time, in milliseconds.
    pub timestamp_ms: u32,
    len: u16,
    data: [u8; Self::MAX_LEN],
}

/// A payload is longer than an [`AudioPacket`] holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PacketTooLong;

impl AudioPacket {
    /// The longest payload, in bytes: 10 ms at 64 kbit/s with two copies of earlier frames fits four times over.
    pub const MAX_LEN: usize = 1024;

    /// A packet with a copy of `payload`.
    ///
    /// # Errors
    /// [`PacketTooLong`] where `payload` is longer than [`MAX_LEN`](Self::MAX_LEN).
    pub fn new(
        sequence: u64,
        arrived: Duration,
        timestamp_ms: u32,
        payload: &[u8],
    ) -> Result<Self, PacketTooLong> {
        if payload.len() > Self::MAX_LEN {
            return Err(PacketTooLong);
        }
        let mut data = [0; Self::MAX_LEN];
        data[..payload.len()].copy_from_slice(payload);
        Ok(Self { sequence, arrived, timestamp_ms, len: payload.len() as u16, data })
    }

    /// The payload.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.data[..usize::from(self.len)]
    }
}

/// One encoded video frame, whole again after its fragments arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedFrame {
    /// Whether it decodes without any other.
    pub keyframe: bool,
    /// Whether it follows the last delivered frame without a lost one in between: where it does not, and is no keyframe,
    /// its reference is gone.
    pub contiguous: bool,
    /// The sender's session time at capture, in milliseconds.
    pub timestamp_ms: u32,
    /// When its last fragment arrived, since the process's epoch.
    pub arrived: Duration,
    /// The codec's bytes.
    pub data: Vec<u8>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_comes_back_as_it_went_in() {
        let packet = AudioPacket::new(9, Duration::from_secs(1), 5, &[1, 2, 3]).unwrap();
        assert_eq!(packet.payload(), [1, 2, 3]);
        let too_long = [0; AudioPacket::MAX_LEN + 1];
        assert_eq!(AudioPacket::new(9, Duration::ZERO, 5, &too_long).unwrap_err(), PacketTooLong);
    }
}
