//! The bytes of a payload: a format byte, copies of earlier frames, and the frame itself.

use hyperzoom_media::AudioPacket;
use hyperzoom_playout::{FURTHEST_COPY, FrameSize, Repair};

use super::frame_size;

/// The longest payload that an encoder makes, in bytes: what an [`AudioPacket`] holds.
pub const MAX_PAYLOAD: usize = AudioPacket::MAX_LEN;

/// The longest Opus packet that is copied: its length is told in a byte. 10 ms at 64 kbit/s are 80 bytes.
const MAX_COPY: usize = u8::MAX as usize;

/// A payload, cut into its parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Payload<'a> {
    pub(super) size: FrameSize,
    /// How many frames ago, and that frame's Opus packet. A distance of 0 is no copy.
    copies: [(u8, &'a [u8]); 2],
    /// The frame's own Opus packet.
    pub(super) packet: &'a [u8],
}

impl<'a> Payload<'a> {
    /// Cuts `payload`; `None` for one that is cut off, or of a format that this version does not know. No part is empty.
    pub(super) fn parse(payload: &'a [u8]) -> Option<Self> {
        let size = frame_size(payload)?;
        let (format, mut rest) = payload.split_first()?;
        let mut copies: [(u8, &[u8]); 2] = [((format >> 2) & 7, &[]), (format >> 5, &[])];
        for (distance, packet) in &mut copies {
            if *distance > 0 {
                let (len, after) = rest.split_first()?;
                (*packet, rest) = after.split_at_checked(usize::from(*len))?;
                if packet.is_empty() {
                    return None;
                }
            }
        }
        (!rest.is_empty()).then_some(Self { size, copies, packet: rest })
    }

    /// The Opus packet of the frame `distance` before this one, where there is a copy of it.
    pub(super) fn copy(&self, distance: u32) -> Option<&'a [u8]> {
        let wanted = |(of, _): &&(u8, &[u8])| *of > 0 && u32::from(*of) == distance;
        self.copies.iter().find(wanted).map(|(_, packet)| *packet)
    }
}

/// The Opus packets of the last frames, in place.
#[derive(Debug, Clone)]
pub(super) struct History {
    /// A length of 0 is a frame that was not sent, or too long to be copied.
    slots: [(u8, [u8; MAX_COPY]); FURTHEST_COPY as usize],
    /// Where the next goes; the oldest is there.
    next: usize,
}

impl History {
    pub(super) const EMPTY: Self = Self { slots: [(0, [0; MAX_COPY]); FURTHEST_COPY as usize], next: 0 };

    /// One frame more; an empty packet for one that is not sent.
    pub(super) fn push(&mut self, packet: &[u8]) {
        let (len, data) = &mut self.slots[self.next];
        *len = 0;
        if let (Ok(short), Some(room)) = (u8::try_from(packet.len()), data.get_mut(..packet.len())) {
            room.copy_from_slice(packet);
            *len = short;
        }
        self.next = (self.next + 1) % self.slots.len();
    }

    /// None is known any more.
    pub(super) fn clear(&mut self) {
        for (len, _) in &mut self.slots {
            *len = 0;
        }
    }

    /// The packet pushed so many pushes ago, the last one 1 ago; `None` where there is nothing to copy.
    fn back(&self, distance: u8) -> Option<&[u8]> {
        let distance = usize::from(distance);
        if !(1..=self.slots.len()).contains(&distance) {
            return None;
        }
        let (len, data) = &self.slots[(self.next + self.slots.len() - distance) % self.slots.len()];
        (*len > 0).then(|| &data[..usize::from(*len)])
    }
}

/// Writes the payload of `packet`, with those of the copies that `repair` wants for which there is a frame and room. Returns
/// its length.
pub(super) fn write(
    size: FrameSize,
    repair: Repair,
    history: &History,
    packet: &[u8],
    payload: &mut [u8; MAX_PAYLOAD],
) -> usize {
    payload[0] = size.code();
    let mut len = 1;
    for (distance, shift) in repair.distances.into_iter().zip([2, 5]) {
        let Some(copy) = history.back(distance) else { continue };
        let end = len + 1 + copy.len();
        if end + packet.len() > payload.len() {
            continue;
        }
        payload[0] |= distance << shift;
        payload[len] = copy.len() as u8;
        payload[len + 1..end].copy_from_slice(copy);
        len = end;
    }
    payload[len..len + packet.len()].copy_from_slice(packet);
    len + packet.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(repair: [u8; 2], history: &History, packet: &[u8]) -> Vec<u8> {
        let mut payload = [0; MAX_PAYLOAD];
        let len = write(FrameSize::Ms5, Repair { distances: repair }, history, packet, &mut payload);
        payload[..len].to_vec()
    }

    #[test]
    fn without_copies_a_payload_is_the_format_and_the_packet() {
        assert_eq!(written([0, 0], &History::EMPTY, b"now"), b"\x01now");
        assert_eq!(written([1, 3], &History::EMPTY, b"now"), b"\x01now", "there is nothing to copy yet");
    }

    #[test]
    fn copies_are_found_at_their_distances() {
        let mut history = History::EMPTY;
        for packet in [b"7", b"6", b"5", b"4", b"3", b"2", b"1"] {
            history.push(packet);
        }
        for (near, far) in [(1, 3), (2, 7), (7, 1), (4, 0), (0, 5)] {
            let payload = written([near, far], &history, b"now");
            let parsed = Payload::parse(&payload).unwrap();
            assert_eq!((parsed.size, parsed.packet), (FrameSize::Ms5, &b"now"[..]));
            for distance in 0..9 {
                let wanted = distance > 0 && (distance == near || distance == far);
                let text = distance.to_string();
                assert_eq!(parsed.copy(distance.into()), wanted.then_some(text.as_bytes()), "{near} {far}");
            }
        }
    }

    #[test]
    fn frames_that_were_not_sent_keep_their_place() {
        let mut history = History::EMPTY;
        history.push(b"three ago");
        history.push(b"");
        history.push(&[1; MAX_COPY + 1]);
        let payload = written([3, 2], &history, b"now");
        let parsed = Payload::parse(&payload).unwrap();
        assert_eq!(parsed.copy(3), Some(&b"three ago"[..]));
        assert_eq!((parsed.copy(2), parsed.copy(1)), (None, None), "not sent, and too long");
        history.clear();
        assert_eq!(written([3, 1], &history, b"now"), b"\x01now");
    }

    #[test]
    fn a_copy_that_has_no_room_is_left_out() {
        let mut history = History::EMPTY;
        history.push(&[2; MAX_COPY]);
        history.push(&[1; 100]);
        let longest = [9; 638];
        let payload = written([2, 1], &history, &longest);
        assert_eq!(payload.len(), 1 + 1 + MAX_COPY + 1 + 100 + 638);
        history.push(&[3; MAX_COPY]);
        let payload = written([1, 3], &history, &longest);
        let parsed = Payload::parse(&payload).unwrap();
        assert_eq!(payload.len(), 1 + 1 + MAX_COPY + 638, "both would be 1151 bytes");
        assert_eq!(
            (parsed.copy(1).map(<[u8]>::len), parsed.copy(3), parsed.packet),
            (Some(MAX_COPY), None, &longest[..])
        );
    }

    #[test]
    fn what_is_cut_off_is_refused() {
        let mut history = History::EMPTY;
        history.push(b"last");
        let payload = written([1, 0], &history, b"now");
        // Up to the last byte of the frame's own packet something is left of it.
        for len in 0..payload.len() - 2 {
            assert_eq!(Payload::parse(&payload[..len]), None, "{len} bytes");
        }
        assert_eq!(Payload::parse(&[0b101, 0, 9, 9]), None, "a copy of no length");
        assert_eq!(Payload::parse(&[0b11, 9, 9]), None, "a frame length that nobody knows");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_read_beyond_them(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            if let Some(parsed) = Payload::parse(&bytes) {
                let copies: usize = parsed.copies.iter().filter(|(d, _)| *d > 0).map(|(_, p)| 1 + p.len()).sum();
                prop_assert_eq!(1 + copies + parsed.packet.len(), bytes.len());
            }
        }

        #[test]
        fn what_was_written_is_what_is_read(
            packets in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..12),
            own in prop::collection::vec(any::<u8>(), 1..639),
            distances in (0u8..=9, 0u8..=9),
        ) {
            let mut history = History::EMPTY;
            for packet in &packets {
                history.push(packet);
            }
            let payload = written([distances.0, distances.1], &history, &own);
            let parsed = Payload::parse(&payload).unwrap();
            prop_assert_eq!(parsed.packet, &own[..]);
            for distance in 1..=7_u32 {
                if let Some(copy) = parsed.copy(distance) {
                    prop_assert_eq!(copy, &packets[packets.len() - distance as usize][..]);
                }
            }
        }
    }
}
