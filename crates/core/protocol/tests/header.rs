//! The header is the spec's, bit for bit, and no bytes make it panic.

use hyperzoom_protocol::{Header, HeaderError, PacketType};
use proptest::prelude::*;

const HEADER: Header = Header {
    kind: PacketType::VideoKeyframe,
    participant: 3,
    sequence: 0xABCD,
    timestamp_ms: 0x0102_0304,
    payload_len: 2,
    fragment: 7,
    fragments: 9,
    padding: true,
};

#[test]
fn the_header_is_the_specs_twelve_bytes() {
    // V=1 (01), P=1, type 2 (00010): 0b0110_0010.
    let expected = [0x62, 0x03, 0xAB, 0xCD, 0x01, 0x02, 0x03, 0x04, 0x00, 0x02, 0x07, 0x09];
    assert_eq!(HEADER.encode(), expected);
}

#[test]
fn a_datagram_of_another_version_is_refused() {
    let mut datagram = datagram(&[1, 2]);
    datagram[0] = 0x82;
    assert_eq!(Header::parse(&datagram), Err(HeaderError::Version(2)));
}

#[test]
fn types_that_nobody_has_are_refused() {
    let mut datagram = datagram(&[1, 2]);
    for bits in (0..32).filter(|bits| !(1..=6).contains(bits)) {
        datagram[0] = 0x40 | bits;
        assert_eq!(Header::parse(&datagram), Err(HeaderError::Type(bits)));
    }
}

#[test]
fn a_datagram_that_is_cut_off_or_goes_on_is_refused() {
    let mut datagram = datagram(&[1, 2]);
    assert_eq!(Header::parse(&datagram[..13]), Err(HeaderError::Length { said: 2, found: 1 }));
    assert_eq!(Header::parse(&datagram[..11]), Err(HeaderError::Short(11)));
    datagram.push(0);
    assert_eq!(Header::parse(&datagram), Err(HeaderError::Length { said: 2, found: 3 }));
}

#[test]
fn a_fragment_beyond_the_last_is_refused() {
    let mut datagram = datagram(&[1, 2]);
    datagram[10] = 9;
    assert_eq!(Header::parse(&datagram), Err(HeaderError::Fragment { fragment: 9, fragments: 9 }));
    datagram[10..12].copy_from_slice(&[1, 0]);
    assert_eq!(Header::parse(&datagram), Err(HeaderError::Fragment { fragment: 1, fragments: 0 }));
    datagram[10..12].copy_from_slice(&[0, 0]);
    assert!(Header::parse(&datagram).is_ok(), "0/0 is a whole payload");
}

fn datagram(payload: &[u8]) -> Vec<u8> {
    [&HEADER.encode()[..], payload].concat()
}

fn any_header() -> impl Strategy<Value = Header> {
    let kinds = [
        PacketType::Audio,
        PacketType::VideoKeyframe,
        PacketType::VideoDelta,
        PacketType::Control,
        PacketType::Bye,
        PacketType::Relayed,
    ];
    (prop::sample::select(kinds.to_vec()), any::<(u8, u16, u32, bool)>(), 0u16..1188, any::<(u8, u8)>())
        .prop_map(|(kind, (participant, sequence, timestamp_ms, padding), payload_len, (a, b))| Header {
            kind,
            participant,
            sequence,
            timestamp_ms,
            payload_len,
            fragment: if a == b { 0 } else { a.min(b) },
            fragments: if a == b { 0 } else { a.max(b) },
            padding,
        })
}

proptest! {
    #[test]
    fn every_header_comes_back(header in any_header()) {
        let payload = vec![0x5A; usize::from(header.payload_len)];
        let bytes = [&header.encode()[..], &payload].concat();
        prop_assert_eq!(Header::parse(&bytes), Ok((header, &payload[..])));
    }

    #[test]
    fn no_bytes_panic_and_what_is_parsed_encodes_to_the_same_bytes(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        if let Ok((header, payload)) = Header::parse(&bytes) {
            prop_assert_eq!([&header.encode()[..], payload].concat(), bytes);
        }
    }

    #[test]
    fn no_length_but_the_datagrams_own_is_believed(said: u16, found in 0usize..1200) {
        let mut bytes = HEADER.encode().to_vec();
        bytes[8..10].copy_from_slice(&said.to_be_bytes());
        bytes.resize(12 + found, 0);
        prop_assert_eq!(Header::parse(&bytes).is_ok(), usize::from(said) == found);
    }
}
