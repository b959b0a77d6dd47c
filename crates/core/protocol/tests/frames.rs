//! Video frames come apart into datagrams and together again, and nothing that is sent makes the receiver grow.
#![allow(clippy::unwrap_used, reason = "a helper fails as its test does")]

use std::time::Duration;

use hyperzoom_protocol::{
    FrameTooLong, Header, MAX_PAYLOAD, PacketType, Reassembled, Reassembler, ReassemblyLimits, fragments,
};
use proptest::prelude::*;

const NOW: Duration = Duration::from_secs(1);

struct Datagram {
    header: Header,
    sequence: u64,
    payload: Vec<u8>,
}

/// The datagrams of consecutive frames, the first of them with number `first`.
fn datagrams(first: u64, frames: &[Vec<u8>]) -> Vec<Datagram> {
    let mut sequence = first;
    let mut out = Vec::new();
    for (number, frame) in frames.iter().enumerate() {
        for (fragment, total, part) in fragments(frame).unwrap() {
            let header = Header {
                kind: if number == 0 { PacketType::VideoKeyframe } else { PacketType::VideoDelta },
                participant: 1,
                sequence: sequence as u16,
                timestamp_ms: number as u32 * 41,
                payload_len: part.len() as u16,
                fragment,
                fragments: total,
                padding: false,
            };
            out.push(Datagram { header, sequence, payload: part.to_vec() });
            sequence += 1;
        }
    }
    out
}

fn frame(seed: u8, len: usize) -> Vec<u8> {
    (0..len).map(|at| (at as u8).wrapping_mul(31).wrapping_add(seed)).collect()
}

fn insert(reassembler: &mut Reassembler, datagram: &Datagram) -> Option<Reassembled> {
    reassembler.insert(NOW, &datagram.header, datagram.sequence, &datagram.payload)
}

#[test]
fn a_frame_within_a_datagram_is_not_fragmented() {
    let data = frame(1, MAX_PAYLOAD);
    let parts: Vec<_> = fragments(&data).unwrap().collect();
    assert_eq!(parts, [(0, 0, &data[..])]);
    assert_eq!(fragments(&frame(1, MAX_PAYLOAD + 1)).unwrap().len(), 2);
}

#[test]
fn a_frame_beyond_255_datagrams_is_an_error() {
    assert_eq!(fragments(&frame(1, 255 * MAX_PAYLOAD)).unwrap().len(), 255);
    let too_long = 255 * MAX_PAYLOAD + 1;
    assert_eq!(fragments(&frame(1, too_long)).err(), Some(FrameTooLong(too_long)));
}

#[test]
fn frames_in_order_are_contiguous() {
    let frames = [frame(1, 5000), frame(2, 300), frame(3, 2500)];
    let mut reassembler = Reassembler::new(ReassemblyLimits::default());
    let out: Vec<_> = datagrams(0, &frames).iter().filter_map(|d| insert(&mut reassembler, d)).collect();
    assert_eq!(out.len(), 3);
    for (number, (got, sent)) in out.iter().zip(&frames).enumerate() {
        assert_eq!(&got.data, sent);
        assert_eq!((got.keyframe, got.contiguous), (number == 0, true));
        assert_eq!(got.timestamp_ms, number as u32 * 41);
    }
    assert_eq!(out[1].first_sequence, 5);
    assert_eq!(reassembler.held_bytes(), 0);
}

#[test]
fn a_lost_frame_makes_the_next_one_not_contiguous() {
    let frames = [frame(1, 10), frame(2, 3000), frame(3, 10), frame(4, 10)];
    let mut reassembler = Reassembler::new(ReassemblyLimits::default());
    let mut all = datagrams(0, &frames);
    all.remove(2);
    let out: Vec<_> = all.iter().filter_map(|d| insert(&mut reassembler, d)).collect();
    let contiguous: Vec<_> = out.iter().map(|frame| frame.contiguous).collect();
    assert_eq!(contiguous, [true, false, true]);
    assert_eq!(reassembler.stats().incomplete, 1);
    assert_eq!(reassembler.held_bytes(), 0);
}

#[test]
fn a_frame_that_a_newer_one_overtook_is_not_delivered_late() {
    let mut reassembler = Reassembler::new(ReassemblyLimits::default());
    let all = datagrams(0, &[frame(1, 10), frame(2, 10)]);
    assert!(insert(&mut reassembler, &all[1]).is_some());
    assert!(insert(&mut reassembler, &all[0]).is_none());
}

#[test]
fn fragments_that_contradict_their_frame_are_dropped() {
    let mut reassembler = Reassembler::new(ReassemblyLimits::default());
    let all = datagrams(0, &[frame(1, 3000)]);
    insert(&mut reassembler, &all[0]);
    let liars = [
        Header { fragments: 5, ..all[1].header },
        Header { timestamp_ms: 99, ..all[1].header },
        Header { kind: PacketType::VideoDelta, ..all[1].header },
        Header { kind: PacketType::Audio, ..all[1].header },
    ];
    for header in liars {
        assert_eq!(reassembler.insert(NOW, &header, 1, b"lie"), None);
    }
    assert_eq!(reassembler.insert(NOW, &all[1].header, 0, b"before the stream began"), None);
    assert!(insert(&mut reassembler, &all[0]).is_none(), "a repeated fragment");
    assert_eq!(reassembler.stats().dropped_fragments, 6);
    assert!(insert(&mut reassembler, &all[1]).is_none());
    assert_eq!(insert(&mut reassembler, &all[2]).unwrap().data, frame(1, 3000));
}

#[test]
fn a_frame_that_waits_too_long_is_given_up() {
    let mut reassembler = Reassembler::new(ReassemblyLimits::default());
    let all = datagrams(0, &[frame(1, 3000), frame(2, 3000)]);
    insert(&mut reassembler, &all[0]);
    let later = NOW + ReassemblyLimits::default().age + Duration::from_nanos(1);
    reassembler.insert(later, &all[3].header, all[3].sequence, &all[3].payload);
    assert_eq!(reassembler.stats().incomplete, 1);
    assert_eq!(reassembler.held_bytes(), MAX_PAYLOAD);
}

proptest! {
    #[test]
    fn any_order_within_a_frame_gives_the_frame(
        len in 1usize..20_000, first in 0u64..1 << 40, order in any::<u64>(),
    ) {
        let data = frame(7, len);
        let mut all = datagrams(first, std::slice::from_ref(&data));
        all.sort_by_key(|d| order.rotate_left(d.header.fragment.into()).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let mut reassembler = Reassembler::new(ReassemblyLimits::default());
        let (last, others) = all.split_last().unwrap();
        for datagram in others {
            prop_assert_eq!(insert(&mut reassembler, datagram), None);
        }
        let whole = insert(&mut reassembler, last).unwrap();
        prop_assert_eq!(whole.data, data);
        prop_assert_eq!(whole.first_sequence, first);
    }

    #[test]
    fn whatever_is_sent_the_limits_hold(
        sent in prop::collection::vec((0u64..300, (0u8..6, 0u8..6, any::<bool>(), 0u8..2), 0usize..1172), 1..300),
    ) {
        let limits = ReassemblyLimits { bytes: 20_000, frames: 4, age: Duration::from_millis(500) };
        let mut reassembler = Reassembler::new(limits);
        for (sequence, (fragment, fragments, keyframe, time), len) in sent {
            let header = Header {
                kind: if keyframe { PacketType::VideoKeyframe } else { PacketType::VideoDelta },
                participant: 1,
                sequence: sequence as u16,
                timestamp_ms: time.into(),
                payload_len: len as u16,
                fragment,
                fragments,
                padding: false,
            };
            if let Some(whole) = reassembler.insert(NOW, &header, sequence, &vec![1; len]) {
                prop_assert!(whole.data.len() <= limits.bytes + 1172);
            }
            prop_assert!(reassembler.held_bytes() <= limits.bytes);
        }
    }
}
