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

fn insert_at(reassembler: &mut Reassembler, now: Duration, datagram: &Datagram) {
    reassembler.insert(now, &datagram.header, datagram.sequence, &datagram.payload);
}

/// What comes out after a datagram went in: one frame at the most.
fn insert(reassembler: &mut Reassembler, datagram: &Datagram) -> Option<Reassembled> {
    insert_at(reassembler, NOW, datagram);
    let frame = reassembler.poll(NOW);
    assert_eq!(reassembler.poll(NOW), None);
    frame
}

/// All that is due.
fn due(reassembler: &mut Reassembler, now: Duration) -> Vec<Reassembled> {
    std::iter::from_fn(|| reassembler.poll(now)).collect()
}

/// A reassembler whose sender is 40 ms away and back.
fn reassembler() -> Reassembler {
    let mut reassembler = Reassembler::new(ReassemblyLimits::default());
    reassembler.set_round_trip(ms(40));
    reassembler
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
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
fn a_missing_datagram_is_asked_for_and_what_waited_for_it_comes_in_order() {
    let frames = [frame(1, 10), frame(2, 3000), frame(3, 10), frame(4, 10)];
    let mut all = datagrams(0, &frames);
    let lost = all.remove(2);
    let mut reassembler = reassembler();
    for datagram in &all {
        insert_at(&mut reassembler, NOW, datagram);
    }
    assert_eq!(due(&mut reassembler, NOW).len(), 1, "what comes after is of no use without it");
    assert_eq!(reassembler.question(NOW), None, "it may only be late");
    let question = reassembler.question(NOW + ms(4)).unwrap();
    assert_eq!(question.sequences().collect::<Vec<_>>(), [2]);
    insert_at(&mut reassembler, NOW + ms(50), &lost);
    let healed = due(&mut reassembler, NOW + ms(50));
    assert!(healed.iter().all(|frame| frame.contiguous));
    assert_eq!(
        healed.iter().map(|frame| &frame.data).collect::<Vec<_>>(),
        [&frames[1], &frames[2], &frames[3]]
    );
    let stats = reassembler.stats();
    assert_eq!((stats.incomplete, stats.questions, stats.repaired), (0, 1, 1));
    assert_eq!(reassembler.held_bytes(), 0);
}

#[test]
fn what_can_no_longer_come_makes_the_next_frame_not_contiguous() {
    let frames = [frame(1, 10), frame(2, 3000), frame(3, 10), frame(4, 10)];
    let mut reassembler = Reassembler::new(ReassemblyLimits::default());
    // An answer would take longer than a frame may wait.
    reassembler.set_round_trip(ms(600));
    let mut all = datagrams(0, &frames);
    all.remove(2);
    for datagram in &all {
        insert_at(&mut reassembler, NOW, datagram);
    }
    assert_eq!(due(&mut reassembler, NOW).len(), 1);
    assert_eq!(reassembler.question(NOW + ms(10)), None);
    let rest = due(&mut reassembler, NOW + ms(10));
    let contiguous: Vec<_> = rest.iter().map(|frame| frame.contiguous).collect();
    assert_eq!(contiguous, [false, true]);
    assert_eq!(reassembler.stats().incomplete, 1);
    assert_eq!(reassembler.held_bytes(), 0);
}

#[test]
fn nothing_is_waited_for_beyond_its_time() {
    let mut reassembler = reassembler();
    let mut all = datagrams(0, &[frame(1, 10), frame(2, 10), frame(3, 10)]);
    all.remove(1);
    for datagram in &all {
        insert_at(&mut reassembler, NOW, datagram);
    }
    assert_eq!(due(&mut reassembler, NOW).len(), 1);
    let mut waited = ms(0);
    while due(&mut reassembler, NOW + waited).is_empty() {
        reassembler.question(NOW + waited);
        waited += ms(1);
    }
    assert!(waited <= ReassemblyLimits::default().age + ms(1), "{waited:?}");
    assert_eq!(reassembler.stats().questions, 5);
}

#[test]
fn a_keyframe_waits_for_nothing_before_it() {
    let mut reassembler = reassembler();
    let mut all = datagrams(0, &[frame(1, 10), frame(2, 10), frame(3, 3000), frame(4, 10)]);
    for datagram in &mut all[2..5] {
        datagram.header.kind = PacketType::VideoKeyframe;
    }
    let late = all.remove(1);
    let out: Vec<_> = all.iter().filter_map(|d| insert(&mut reassembler, d)).collect();
    assert_eq!(
        out.iter().map(|frame| (frame.keyframe, frame.contiguous)).collect::<Vec<_>>(),
        [(true, true), (true, false), (false, true)]
    );
    assert_eq!(reassembler.question(NOW + ms(10)), None, "what is before it is not wanted any more");
    assert_eq!(insert(&mut reassembler, &late), None, "nor shown late");
}

#[test]
fn a_keyframe_is_not_asked_for_where_one_comes_anyway() {
    let mut reassembler = reassembler();
    assert!(reassembler.keyframe_would_help(), "nothing came yet");
    let header = |kind, sequence: u64, fragment, fragments, timestamp_ms| Header {
        timestamp_ms,
        fragment,
        fragments,
        kind,
        ..Header::control(1, sequence as u16, 1)
    };
    let mut insert = |sequence: u64, header: Header| {
        reassembler.insert(NOW, &header, sequence, b"x");
        due(&mut reassembler, NOW);
        reassembler.keyframe_would_help()
    };
    assert!(!insert(0, header(PacketType::VideoKeyframe, 0, 0, 2, 7000)), "one is arriving");
    assert!(insert(1, header(PacketType::VideoKeyframe, 1, 1, 2, 7000)));
    assert!(insert(2, header(PacketType::VideoDelta, 2, 0, 0, 8959)));
    assert!(
        !insert(3, header(PacketType::VideoDelta, 3, 0, 0, 8960)),
        "the next on schedule is as near as the answer"
    );
    assert!(!insert(4, header(PacketType::VideoDelta, 4, 0, 0, 9084)), "it is on its way");
    assert!(insert(5, header(PacketType::VideoDelta, 5, 0, 0, 9085)), "it was lost");
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
        reassembler.insert(NOW, &header, 1, b"lie");
    }
    reassembler.insert(NOW, &all[1].header, 0, b"before the stream began");
    assert_eq!(reassembler.poll(NOW), None);
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
    insert_at(&mut reassembler, later, &all[3]);
    assert_eq!(reassembler.poll(later), None);
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
    fn frames_come_out_in_order_and_none_is_called_contiguous_that_is_not(
        lens in prop::collection::vec(1usize..4000, 1..30), lost in prop::collection::vec(0u8..10, 128),
    ) {
        let frames: Vec<_> = lens.iter().enumerate().map(|(seed, len)| frame(seed as u8, *len)).collect();
        let all = datagrams(0, &frames);
        let mut reassembler = reassembler();
        let mut now = NOW;
        let mut answers: Vec<(Duration, u16)> = Vec::new();
        let mut out = Vec::new();
        // One datagram a millisecond; of ten, one is lost for good, and one until it is asked for.
        for step in 0..all.len() + 700 {
            now += ms(1);
            if let Some(datagram) = all.get(step).filter(|_| lost[step % 128] > 1) {
                insert_at(&mut reassembler, now, datagram);
            }
            while let Some(at) = answers.iter().position(|(at, _)| *at <= now) {
                let (_, sequence) = answers.remove(at);
                if lost[usize::from(sequence) % 128] == 1 {
                    insert_at(&mut reassembler, now, &all[usize::from(sequence)]);
                }
            }
            if let Some(question) = reassembler.question(now) {
                answers.extend(question.sequences().map(|sequence| (now + ms(40), sequence)));
            }
            out.extend(due(&mut reassembler, now));
        }
        let mut next = 0;
        for whole in out {
            prop_assert_eq!(whole.contiguous, whole.first_sequence == next);
            prop_assert!(whole.first_sequence >= next);
            let number = (whole.timestamp_ms / 41) as usize;
            prop_assert_eq!(&whole.data, &frames[number]);
            next = whole.first_sequence + whole.data.len().div_ceil(MAX_PAYLOAD) as u64;
        }
        prop_assert_eq!(reassembler.held_bytes(), 0);
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
            reassembler.insert(NOW, &header, sequence, &vec![1; len]);
            prop_assert!(reassembler.held_bytes() <= limits.bytes);
            for whole in due(&mut reassembler, NOW) {
                prop_assert!(whole.data.len() <= limits.bytes);
            }
            prop_assert!(reassembler.held_bytes() <= limits.bytes);
        }
    }
}
