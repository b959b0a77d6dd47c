//! What is sealed is opened once, by whom it is for, and by nobody else.
#![allow(clippy::unwrap_used, reason = "a helper fails as its test does")]

use hyperzoom_protocol::{
    HEADER_LEN, Header, MAX_CONTROL, MAX_DATAGRAM, MAX_PAYLOAD, MAX_SILENT_SKIPS, OpenError, PacketType,
    RELAY_OVERHEAD, Stream, StreamOpener, StreamSealer, TAG_LEN,
};
use proptest::prelude::*;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};

const KEY: [u8; 32] = [7; 32];

fn pair(stream: Stream) -> (StreamSealer, StreamOpener) {
    (StreamSealer::new(KEY, stream, 1), StreamOpener::new(KEY, stream, 1))
}

fn seal(sealer: &mut StreamSealer, kind: PacketType, payload: &[u8]) -> Vec<u8> {
    let mut out = [0; MAX_DATAGRAM];
    let len = sealer.seal(kind, 5, 0, 0, payload, &mut out);
    out[..len].to_vec()
}

#[test]
fn a_sealed_payload_is_opened_in_place() {
    let (mut sealer, mut opener) = pair(Stream::Audio);
    let mut datagram = seal(&mut sealer, PacketType::Audio, b"hello");
    assert_eq!(datagram.len(), HEADER_LEN + 5 + TAG_LEN);
    assert!(!datagram.windows(5).any(|part| part == b"hello"), "it is readable");
    let opened = opener.open(&mut datagram).unwrap();
    assert_eq!((opened.sequence, opened.payload, opened.header.timestamp_ms), (0, &b"hello"[..], 5));
}

#[test]
fn a_payload_of_the_greatest_length_fits_a_datagram() {
    for (stream, kind, len) in [
        (Stream::Video, PacketType::VideoDelta, MAX_PAYLOAD),
        (Stream::Control, PacketType::Bye, MAX_CONTROL),
    ] {
        let (mut sealer, mut opener) = pair(stream);
        let mut datagram = seal(&mut sealer, kind, &vec![9; len]);
        assert_eq!(datagram.len(), MAX_DATAGRAM - RELAY_OVERHEAD);
        assert_eq!(opener.open(&mut datagram).unwrap().payload.len(), len);
    }
}

#[test]
fn the_same_datagram_is_not_opened_twice() {
    let (mut sealer, mut opener) = pair(Stream::Audio);
    let datagram = seal(&mut sealer, PacketType::Audio, b"once");
    assert!(opener.open(&mut datagram.clone()).is_ok());
    assert_eq!(opener.open(&mut datagram.clone()), Err(OpenError::Repeated));
}

#[test]
fn datagrams_out_of_order_are_opened_within_the_window() {
    let (mut sealer, mut opener) = pair(Stream::Audio);
    let mut sent: Vec<_> =
        (0..=StreamOpener::WINDOW).map(|_| seal(&mut sealer, PacketType::Audio, b"x")).collect();
    assert!(opener.open(sent.last_mut().unwrap()).is_ok());
    assert_eq!(opener.open(&mut sent[0]), Err(OpenError::Old));
    assert_eq!(opener.open(&mut sent[1]).unwrap().sequence, 1);
    assert_eq!(opener.open(&mut sent[2]).unwrap().sequence, 2);
}

/// A datagram with the padding flag, as another implementation may send it: `body` is payload and padding.
fn padded(stream: Stream, kind: PacketType, sequence: u16, body: &[u8]) -> Vec<u8> {
    let envelope: &[u8] = if stream == Stream::Control { &[3] } else { &[] };
    let header = Header {
        kind,
        participant: 1,
        sequence,
        timestamp_ms: 0,
        payload_len: (envelope.len() + body.len() + TAG_LEN) as u16,
        fragment: 0,
        fragments: 0,
        padding: true,
    };
    let clear = [&header.encode()[..], envelope].concat();
    let mut nonce = [0; 12];
    nonce[0] = stream as u8;
    nonce[1] = 1;
    nonce[10..].copy_from_slice(&sequence.to_be_bytes());
    let key = LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, &KEY).unwrap());
    let mut sealed = body.to_vec();
    let nonce = Nonce::assume_unique_for_key(nonce);
    key.seal_in_place_append_tag(nonce, Aad::from(&clear), &mut sealed).unwrap();
    [clear, sealed].concat()
}

#[test]
fn padding_is_taken_off_what_is_opened() {
    for (stream, kind) in [(Stream::Audio, PacketType::Audio), (Stream::Control, PacketType::Control)] {
        let mut opener = StreamOpener::new(KEY, stream, 1);
        for (sequence, (body, payload)) in
            [(&b"voice\0\0\x03"[..], &b"voice"[..]), (b"voice\x01", b"voice"), (b"\0\x02", b"")]
                .into_iter()
                .enumerate()
        {
            let mut datagram = padded(stream, kind, sequence as u16, body);
            let opened = opener.open(&mut datagram).unwrap();
            assert_eq!((opened.payload, opened.header.padding), (payload, true));
        }
    }
}

#[test]
fn padding_longer_than_what_it_pads_is_refused_even_from_one_who_has_the_key() {
    for (stream, kind) in [(Stream::Video, PacketType::VideoDelta), (Stream::Control, PacketType::Bye)] {
        let mut opener = StreamOpener::new(KEY, stream, 1);
        for (sequence, body) in [&b""[..], b"\0", b"voice\0", b"voice\x07", b"\xFF"].into_iter().enumerate() {
            let mut datagram = padded(stream, kind, sequence as u16, body);
            assert_eq!(opener.open(&mut datagram), Err(OpenError::Padding), "{body:?}");
        }
    }
}

#[test]
fn a_window_of_at_least_1024_is_kept() {
    const { assert!(StreamOpener::WINDOW >= 1024) };
}

#[test]
fn a_forged_datagram_neither_opens_nor_moves_the_window() {
    let (mut sealer, mut opener) = pair(Stream::Audio);
    let good = seal(&mut sealer, PacketType::Audio, b"first");
    // Claims to be far ahead: if it moved the window, the good one would be too old.
    let (mut header, _) = Header::parse(&good).unwrap();
    header.sequence = 0x7000;
    let mut forged = good.clone();
    forged[..HEADER_LEN].copy_from_slice(&header.encode());
    assert_eq!(opener.open(&mut forged), Err(OpenError::Forged));
    assert!(opener.open(&mut good.clone()).is_ok());
}

#[test]
fn sequence_numbers_wrap_without_losing_a_datagram() {
    let (mut sealer, mut opener) = pair(Stream::Audio);
    for expected in 0..200_000_u64 {
        let mut datagram = seal(&mut sealer, PacketType::Audio, &[]);
        // All arrive but for one in nine.
        if expected % 9 != 0 {
            assert_eq!(opener.open(&mut datagram).unwrap().sequence, expected);
        }
    }
}

#[test]
fn a_datagram_from_the_turn_before_is_not_taken_for_one_of_this() {
    let (mut sealer, mut opener) = pair(Stream::Audio);
    let mut early = seal(&mut sealer, PacketType::Audio, b"early");
    for _ in 1..=u16::MAX {
        sealer.skip();
    }
    let same_number = seal(&mut sealer, PacketType::Audio, b"early");
    assert_ne!(early, same_number, "the nonce repeats after a turn");
    for index in [30_000, 60_000, 65_536] {
        let mut other = StreamSealer::new(KEY, Stream::Audio, 1);
        for _ in 0..index {
            other.skip();
        }
        assert_eq!(
            opener.open(&mut seal(&mut other, PacketType::Audio, b"")).unwrap().sequence,
            index,
            "the opener follows"
        );
    }
    assert!(opener.open(&mut early).is_err());
}

#[test]
fn an_hour_of_silence_does_not_lose_the_receiver() {
    let (mut sealer, mut opener) = pair(Stream::Audio);
    let mut reminders = 0;
    for _ in 0..720_000 {
        if sealer.skip() {
            let mut datagram = seal(&mut sealer, PacketType::Audio, &[]);
            reminders += 1;
            // Seven in a row may be lost.
            if reminders % 8 == 0 {
                assert!(opener.open(&mut datagram).is_ok());
            }
        }
    }
    assert_eq!(reminders, 720_000 / MAX_SILENT_SKIPS);
    let next = sealer.next_sequence();
    assert_eq!(opener.open(&mut seal(&mut sealer, PacketType::Audio, b"back")).unwrap().sequence, next);
}

#[test]
fn keyframes_and_deltas_share_one_numbering() {
    let (mut sealer, mut opener) = pair(Stream::Video);
    let mut key = seal(&mut sealer, PacketType::VideoKeyframe, b"a");
    let mut delta = seal(&mut sealer, PacketType::VideoDelta, b"a");
    assert_eq!(opener.open(&mut key).unwrap().sequence, 0);
    assert_eq!(opener.open(&mut delta).unwrap().sequence, 1);
}

#[test]
fn no_two_streams_or_senders_share_a_keystream() {
    let mut bodies = std::collections::HashSet::new();
    let cases = [
        (Stream::Control, PacketType::Control),
        (Stream::Audio, PacketType::Audio),
        (Stream::Video, PacketType::VideoDelta),
    ];
    for (stream, kind) in cases {
        for sender in 0..4 {
            let mut sealer = StreamSealer::new(KEY, stream, sender);
            for _ in 0..2 {
                let datagram = seal(&mut sealer, kind, &[0; 32]);
                // Sealed zeros are the keystream itself.
                let end = datagram.len() - TAG_LEN;
                assert!(bodies.insert(datagram[end - 32..end].to_vec()), "a keystream is used twice");
            }
        }
    }
    assert_eq!(bodies.len(), 24);
}

#[test]
fn another_stream_sender_or_key_does_not_open_it() {
    let datagram = seal(&mut StreamSealer::new(KEY, Stream::Audio, 1), PacketType::Audio, b"secret");
    for (mut opener, error) in [
        (StreamOpener::new(KEY, Stream::Video, 1), OpenError::NotOurs),
        (StreamOpener::new(KEY, Stream::Audio, 2), OpenError::NotOurs),
        (StreamOpener::new([8; 32], Stream::Audio, 1), OpenError::Forged),
    ] {
        assert_eq!(opener.open(&mut datagram.clone()), Err(error));
    }
}

#[test]
#[should_panic(expected = "does not fit a datagram")]
fn a_payload_beyond_a_datagram_is_a_bug_of_the_caller() {
    let mut out = [0; 2 * MAX_DATAGRAM];
    StreamSealer::new(KEY, Stream::Audio, 1).seal(
        PacketType::Audio,
        0,
        0,
        0,
        &[0; MAX_PAYLOAD + 1],
        &mut out,
    );
}

proptest! {
    #[test]
    fn changing_any_bit_is_noticed(payload in prop::collection::vec(any::<u8>(), 0..80), at: prop::sample::Index, bit in 0u8..8) {
        for (stream, kind) in [(Stream::Audio, PacketType::Audio), (Stream::Control, PacketType::Control)] {
            let (mut sealer, mut opener) = pair(stream);
            let mut good = seal(&mut sealer, kind, &payload);
            let mut bad = good.clone();
            bad[at.index(good.len())] ^= 1u8 << bit;
            prop_assert!(opener.open(&mut bad).is_err());
            prop_assert_eq!(opener.open(&mut good).unwrap().payload, &payload[..]);
        }
    }

    #[test]
    fn no_bytes_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..100), first in 0x41u8..0x46) {
        if let Some(byte) = bytes.first_mut() {
            *byte = first;
        }
        let len = (bytes.len().max(12) - 12) as u16;
        if bytes.len() >= 12 {
            bytes[8..10].copy_from_slice(&len.to_be_bytes());
        }
        for stream in [Stream::Control, Stream::Audio, Stream::Video] {
            prop_assert!(StreamOpener::new(KEY, stream, 1).open(&mut bytes).is_err());
        }
    }
}
