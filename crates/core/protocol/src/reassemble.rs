//! Putting video frames together again.

use std::ops::Range;
use std::time::Duration;

use crate::missing::Gaps;
use crate::{Header, PacketType, VideoNack};

/// How much a [`Reassembler`] holds at most, whatever it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReassemblyLimits {
    /// Bytes of fragments.
    pub bytes: usize,
    /// Frames that are unfinished, or wait for those before them.
    pub frames: usize,
    /// How long a frame may wait for its last fragment, and a missing datagram be waited for.
    pub age: Duration,
}

impl Default for ReassemblyLimits {
    /// Twice the largest frame that 255 datagrams carry, two thirds of a second of frames at 24 a second, and half a second.
    fn default() -> Self {
        Self { bytes: 600 * 1024, frames: 16, age: Duration::from_millis(500) }
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
    /// Questions for missing datagrams.
    pub questions: u64,
    /// Datagrams that came after they had been asked for.
    pub repaired: u64,
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
/// A frame whose predecessor is not whole waits for it as long as what is missing can still come: without it, it could not be
/// decoded anyway. A keyframe waits for nothing. What is missing is asked for ([`question`](Self::question)), which costs a
/// datagram where a new keyframe costs a dozen.
#[derive(Debug)]
pub struct Reassembler {
    limits: ReassemblyLimits,
    /// Frames that wait for their fragments or for those before them, by their first sequence number, ascending.
    frames: Vec<Partial>,
    bytes: usize,
    /// The sequence number after the last delivered frame.
    next: u64,
    gaps: Gaps,
    /// The timestamps of the newest frame and of the newest keyframe of which anything came.
    newest_ms: Option<u32>,
    keyframe_ms: Option<u32>,
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

impl Partial {
    fn new(now: Duration, header: &Header, first_sequence: u64, keyframe: bool) -> Self {
        let fragments = header.fragments.max(1);
        Self {
            first_sequence,
            keyframe,
            timestamp_ms: header.timestamp_ms,
            since: now,
            missing: fragments,
            places: vec![None; usize::from(fragments)],
            data: Vec::new(),
        }
    }

    fn is_whole(&self) -> bool {
        self.missing == 0
    }

    /// The sequence number after its last fragment.
    fn end(&self) -> u64 {
        self.first_sequence + self.places.len() as u64
    }
}

/// A keyframe comes by itself so often (spec §4.2.3), in milliseconds.
const KEYFRAME_EVERY_MS: u32 = 2000;

/// A keyframe that comes by itself is waited for so much beyond its time, in milliseconds: two frames.
const KEYFRAME_LATE_MS: u32 = 84;

impl Reassembler {
    /// An empty one.
    #[must_use]
    pub fn new(limits: ReassemblyLimits) -> Self {
        Self {
            limits,
            frames: Vec::new(),
            bytes: 0,
            next: 0,
            gaps: Gaps::new(limits.age),
            newest_ms: None,
            keyframe_ms: None,
            stats: ReassemblyStats::default(),
        }
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

    /// Tells it the round trip to the sender, by which it knows what can still come in time.
    pub fn set_round_trip(&mut self, round_trip: Duration) {
        self.gaps.set_round_trip(round_trip);
    }

    /// Takes one opened video datagram with its extended sequence number. What it completes comes out of
    /// [`poll`](Self::poll).
    pub fn insert(&mut self, now: Duration, header: &Header, sequence: u64, payload: &[u8]) {
        let keyframe = match header.kind {
            PacketType::VideoKeyframe => true,
            PacketType::VideoDelta => false,
            PacketType::Audio | PacketType::Control | PacketType::Bye | PacketType::Relayed => {
                return self.refuse();
            }
        };
        let Some(first_sequence) = sequence.checked_sub(u64::from(header.fragment)) else {
            return self.refuse();
        };
        self.stats.repaired += u64::from(self.gaps.received(now, sequence, first_sequence));
        if first_sequence < self.next {
            return self.refuse();
        }
        if header.fragment > 0 && header.fragment >= header.fragments {
            return self.refuse();
        }
        self.note_time(header.timestamp_ms, keyframe);
        let Ok(at) = self.place(now, header, first_sequence, keyframe) else { return self.refuse() };
        let frame = &mut self.frames[at];
        let slot = &mut frame.places[usize::from(header.fragment)];
        if slot.is_some() {
            return self.refuse();
        }
        *slot = Some(frame.data.len()..frame.data.len() + payload.len());
        frame.data.extend_from_slice(payload);
        frame.missing -= 1;
        self.bytes += payload.len();
        while self.bytes > self.limits.bytes {
            self.give_up_first();
        }
    }

    /// The next frame to decode. To be called until there is none, after each [`insert`](Self::insert) and every few milliseconds.
    pub fn poll(&mut self, now: Duration) -> Option<Reassembled> {
        self.gaps.expire(now);
        self.drop_aged(now);
        loop {
            let first = self.frames.first()?;
            if first.is_whole() && first.first_sequence == self.next {
                return Some(self.deliver(0));
            }
            if let Some(at) = self.frames.iter().position(|frame| frame.keyframe && frame.is_whole()) {
                return Some(self.deliver(at));
            }
            if first.is_whole() {
                // Where nothing before it can come any more, whoever decodes must know that its reference is lost.
                let waits = self.gaps.hope_below(first.first_sequence);
                return (!waits).then(|| self.deliver(0));
            }
            if self.gaps.hope_below(first.end()) || self.gaps.end() < first.end() {
                return None;
            }
            self.give_up_first();
        }
    }

    /// The missing datagrams that the sender is to be asked for now. To be called every few milliseconds.
    pub fn question(&mut self, now: Duration) -> Option<VideoNack> {
        let question = self.gaps.question(now);
        self.stats.questions += u64::from(question.is_some());
        question
    }

    /// Whether a keyframe that is asked for now would come sooner than one that comes anyway: one is arriving, or is next on the
    /// sender's schedule.
    #[must_use]
    pub fn keyframe_would_help(&self) -> bool {
        if self.frames.iter().any(|frame| frame.keyframe) {
            return false;
        }
        let (Some(newest), Some(last)) = (self.newest_ms, self.keyframe_ms) else { return true };
        let since = newest.wrapping_sub(last);
        let round_trip = u32::try_from(self.gaps.round_trip().as_millis()).unwrap_or(u32::MAX);
        let is_next = since.saturating_add(round_trip) >= KEYFRAME_EVERY_MS;
        let is_overdue = since > KEYFRAME_EVERY_MS + KEYFRAME_LATE_MS;
        !is_next || is_overdue
    }

    fn note_time(&mut self, timestamp_ms: u32, keyframe: bool) {
        let is_newer =
            |than: Option<u32>| than.is_none_or(|than| (timestamp_ms.wrapping_sub(than) as i32) >= 0);
        if is_newer(self.newest_ms) {
            self.newest_ms = Some(timestamp_ms);
        }
        if keyframe && is_newer(self.keyframe_ms) {
            self.keyframe_ms = Some(timestamp_ms);
        }
    }

    /// The frame that a fragment belongs to, made if it is the first of it.
    fn place(
        &mut self,
        now: Duration,
        header: &Header,
        first_sequence: u64,
        keyframe: bool,
    ) -> Result<usize, ()> {
        match self.frames.binary_search_by_key(&first_sequence, |frame| frame.first_sequence) {
            Ok(at) => {
                let frame = &self.frames[at];
                let same = frame.places.len() == usize::from(header.fragments.max(1))
                    && frame.keyframe == keyframe
                    && frame.timestamp_ms == header.timestamp_ms;
                same.then_some(at).ok_or(())
            }
            Err(at) => {
                self.frames.insert(at, Partial::new(now, header, first_sequence, keyframe));
                if self.frames.len() <= self.limits.frames {
                    return Ok(at);
                }
                // The oldest goes, which may be this one.
                self.give_up_first();
                at.checked_sub(1).ok_or(())
            }
        }
    }

    /// Takes out a whole frame, and gives up those before it.
    fn deliver(&mut self, at: usize) -> Reassembled {
        for _ in 0..at {
            self.give_up_first();
        }
        let frame = self.frames.remove(0);
        self.bytes -= frame.data.len();
        let contiguous = frame.first_sequence == self.next;
        self.next = frame.end();
        self.gaps.forget_below(self.next);
        // What lies within a frame that was delivered contradicts it.
        while self.frames.first().is_some_and(|older| older.first_sequence < self.next) {
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

    /// Unfinished frames that waited too long. Whole ones wait for what is missing, which is given up in its own time.
    fn drop_aged(&mut self, now: Duration) {
        let before = self.frames.len();
        let limit = self.limits.age;
        self.frames.retain(|frame| {
            let keep = frame.is_whole() || now.saturating_sub(frame.since) <= limit;
            if !keep {
                self.bytes -= frame.data.len();
            }
            keep
        });
        self.stats.incomplete += (before - self.frames.len()) as u64;
    }

    fn give_up_first(&mut self) {
        if !self.frames.is_empty() {
            self.bytes -= self.frames.remove(0).data.len();
            self.stats.incomplete += 1;
        }
    }

    fn refuse(&mut self) {
        self.stats.dropped_fragments += 1;
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
