//! Video datagrams in any order, of any shape, at any time.

use std::time::Duration;

use hyperzoom_protocol::{Header, PacketType, Reassembler, ReassemblyLimits};

const LIMITS: ReassemblyLimits = ReassemblyLimits { bytes: 4000, frames: 6, age: Duration::from_millis(500) };

/// Each eight bytes are one datagram: how much later than the last, how far its number is from the last, its fragment and their
/// number, its kind and timestamp, its length.
pub(crate) fn run(data: &[u8]) {
    let mut reassembler = Reassembler::new(LIMITS);
    let mut now = Duration::ZERO;
    let mut sequence = 0u64;
    // Behind the first datagram of the last frame that came out.
    let mut end = 0;
    for step in data.as_chunks::<8>().0 {
        let [wait, stride, back, fragment, fragments, kind, timestamp, len] = *step;
        now += Duration::from_millis(wait.into());
        sequence = (sequence + u64::from(stride)).saturating_sub(u64::from(back));
        reassembler.set_round_trip(Duration::from_millis(u64::from(kind >> 1) * 8));
        let header = Header {
            kind: if kind & 1 == 1 { PacketType::VideoKeyframe } else { PacketType::VideoDelta },
            participant: 1,
            sequence: sequence as u16,
            timestamp_ms: u32::from(timestamp) << 24,
            payload_len: len.into(),
            fragment,
            fragments,
            padding: false,
        };
        reassembler.insert(now, &header, sequence, &vec![fragment; len.into()]);
        if let Some(question) = reassembler.question(now) {
            assert!(question.sequences().count() <= 33);
        }
        while let Some(frame) = reassembler.poll(now) {
            assert!(frame.first_sequence >= end, "frames come in order");
            assert!(frame.data.is_sorted(), "fragments come in order");
            assert!(frame.data.len() <= LIMITS.bytes);
            end = frame.first_sequence + 1;
        }
        assert!(reassembler.held_bytes() <= LIMITS.bytes);
        let _ = reassembler.keyframe_would_help();
    }
}
