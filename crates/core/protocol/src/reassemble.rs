//! Putting video frames together again.

use std::ops::Range;
use std::time::Duration;

use crate::{Header, PacketType};

/// How much a [`Reassembler`] holds at most, whatever it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReassemblyLimits {
    /// Bytes of fragments of unfinished frames.
    pub bytes: usize,
    /// Unfinished frames.
    pub frames: usize,
    /// How long a frame may wait for its last fragment.
    pub age: Duration,
}

impl Default for ReassemblyLimits {
    /// Twice the largest frame that 255 datagrams carry, a third of a second of frames at 24 a second, and half a second.
    fn default() -> Self {
        Self { bytes: 600 * 1024, frames: 8, age: Duration::from_millis(500) }
    }
}

/// What a [`Reassembler`] did so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReassemblyStats {
    /// Frames delivered.
    pub delivered: u64,
    /// Frames of which something arrived, given up.
    pub incomplete: u64,
    /// Fragments that belonged to no frame that could still be delivered, or contradicted their frame.
    pub dropped_fragments: u64,
}

/// A whole frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reassembled {
    /// Whether it decodes without any other.
    pub keyframe: bool,
    /// The extended sequence number of its first fragment.
    pub first_sequence: u64,
    /// Whether it follows the last delivered frame with no datagram missing in between. True for the very first datagram
    /// of a stream.
    pub contiguous: bool,
    /// The sender's session time at capture, in milliseconds.
    pub timestamp_ms: u32,
    /// The frame's bytes.
    pub data: Vec<u8>,
}

/// Collects one participant's video fragments and delivers frames in order.
///
/// A frame that is complete gives up those before it that are not: live video waits for nobody.
#[derive(Debug)]
pub struct Reassembler {
    limits: ReassemblyLimits,
    /// Unfinished frames by their first sequence number, ascending.
    partial: Vec<Partial>,
    bytes: usize,
    /// The sequence number after the last delivered frame.
    next: u64,
    stats: ReassemblyStats,
}

#[derive(Debug)]
struct Partial {
    first_sequence: u64,
    keyframe: bool,
    timestamp_ms: u32,
    since: Duration,
    missing: u8,
    /// Where in `data` each fragment is.
    places: Vec<Option<Range<usize>>>,
    data: Vec<u8>,
}

impl Reassembler {
    /// An empty one.
    #[must_use]
    pub fn new(limits: ReassemblyLimits) -> Self {
        Self { limits, partial: Vec::new(), bytes: 0, next: 0, stats: ReassemblyStats::default() }
    }

    /// What it did so far.
    #[must_use]
    pub fn stats(&self) -> ReassemblyStats {
        self.stats
    }

    /// Bytes that it holds now.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.bytes
    }

    /// Takes one opened video datagram with its extended sequence number; returns the frame that it completes.
    pub fn insert(
        &mut self,
        now: Duration,
        header: &Header,
        sequence: u64,
        payload: &[u8],
    ) -> Option<Reassembled> {
        self.drop_aged(now);
        let keyframe = match header.kind {
            PacketType::VideoKeyframe => true,
            PacketType::VideoDelta => false,
            PacketType::Audio | PacketType::Control | PacketType::Bye => return self.refuse(),
        };
        let first_sequence = match sequence.checked_sub(u64::from(header.fragment)) {
            Some(first) if first >= self.next => first,
            _ => return self.refuse(),
        };
        if header.fragment > 0 && header.fragment >= header.fragments {
            return self.refuse();
        }
        if header.fragments <= 1 {
            let frame = Partial {
                first_sequence,
                keyframe,
                timestamp_ms: header.timestamp_ms,
                since: now,
                missing: 0,
                places: Vec::new(),
                data: payload.to_vec(),
            };
            return Some(self.deliver(frame, 1));
        }

        let Ok(at) = self.place(now, header, first_sequence, keyframe) else { return self.refuse() };
        let frame = &mut self.partial[at];
        let slot = &mut frame.places[usize::from(header.fragment)];
        if slot.is_some() {
            return self.refuse();
        }
        *slot = Some(frame.data.len()..frame.data.len() + payload.len());
        frame.data.extend_from_slice(payload);
        frame.missing -= 1;
        self.bytes += payload.len();
        if frame.missing > 0 {
            self.make_room();
            return None;
        }
        let frame = self.partial.remove(at);
        self.bytes -= frame.data.len();
        Some(self.deliver(frame, u64::from(header.fragments)))
    }

    /// The unfinished frame that a fragment belongs to, made if it is the first of it.
    fn place(
        &mut self,
        now: Duration,
        header: &Header,
        first_sequence: u64,
        keyframe: bool,
    ) -> Result<usize, ()> {
        let fragments = usize::from(header.fragments);
        match self.partial.binary_search_by_key(&first_sequence, |frame| frame.first_sequence) {
            Ok(at) => {
                let frame = &self.partial[at];
                let same = frame.places.len() == fragments
                    && frame.keyframe == keyframe
                    && frame.timestamp_ms == header.timestamp_ms;
                same.then_some(at).ok_or(())
            }
            Err(at) => {
                let frame = Partial {
                    first_sequence,
                    keyframe,
                    timestamp_ms: header.timestamp_ms,
                    since: now,
                    missing: header.fragments,
                    places: vec![None; fragments],
                    data: Vec::new(),
                };
                self.partial.insert(at, frame);
                if self.partial.len() <= self.limits.frames {
                    return Ok(at);
                }
                // The oldest goes, which may be this one.
                self.give_up_first();
                at.checked_sub(1).ok_or(())
            }
        }
    }

    fn deliver(&mut self, frame: Partial, datagrams: u64) -> Reassembled {
        let contiguous = frame.first_sequence == self.next;
        self.next = frame.first_sequence + datagrams;
        while self.partial.first().is_some_and(|older| older.first_sequence < self.next) {
            self.give_up_first();
        }
        self.stats.delivered += 1;
        Reassembled {
            keyframe: frame.keyframe,
            first_sequence: frame.first_sequence,
            contiguous,
            timestamp_ms: frame.timestamp_ms,
            data: in_order(&frame.places, frame.data),
        }
    }

    fn drop_aged(&mut self, now: Duration) {
        let before = self.partial.len();
        let limit = self.limits.age;
        self.partial.retain(|frame| {
            let keep = now.saturating_sub(frame.since) <= limit;
            if !keep {
                self.bytes -= frame.data.len();
            }
            keep
        });
        self.stats.incomplete += (before - self.partial.len()) as u64;
    }

    fn make_room(&mut self) {
        while self.bytes > self.limits.bytes {
            self.give_up_first();
        }
    }

    fn give_up_first(&mut self) {
        if !self.partial.is_empty() {
            self.bytes -= self.partial.remove(0).data.len();
            self.stats.incomplete += 1;
        }
    }

    fn refuse(&mut self) -> Option<Reassembled> {
        self.stats.dropped_fragments += 1;
        None
    }
}

/// The fragments' bytes in the order of their numbers; as they are where they arrived in it.
fn in_order(places: &[Option<Range<usize>>], data: Vec<u8>) -> Vec<u8> {
    let places = || places.iter().flatten();
    if places().is_sorted_by_key(|place| place.start) {
        return data;
    }
    let mut ordered = Vec::with_capacity(data.len());
    for place in places() {
        ordered.extend_from_slice(&data[place.clone()]);
    }
    ordered
}
