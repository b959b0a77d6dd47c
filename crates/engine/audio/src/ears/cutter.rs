//! One voice's packets, as they come off the tape, cut into pieces.

use hyperzoom_media::SAMPLE_RATE;
use hyperzoom_playout::FrameSize;
use hyperzoom_timing::SharedClock;

use super::Overheard;
use super::piece::{Piece, Stamped};
use crate::codec::frame_size;

/// Samples of a piece, those with which the decoder warms up included.
const LENGTH: usize = super::piece::WARM_UP + 2 * SAMPLE_RATE as usize;
/// After its last frame a piece waits for stragglers, and for copies of frames that were lost: 40 ms, in samples.
const AFTER: usize = SAMPLE_RATE as usize / 25;
/// A hole of more than this, 50 ms in samples, ends a piece: the speaker was muted, or gone.
const HOLE: u64 = SAMPLE_RATE as u64 / 20;
/// At most one frame in so many may be missing; copies mend some of them.
const MISSING: usize = 10;
/// The most that a piece's packets may hold together, in bytes: twice what 96 kbit/s with two copies of each frame are.
const MOST_BYTES: usize = 160_000;
/// What is quieter than this, −50 dBFS, is nobody's voice, and compares to nothing.
const QUIET: f32 = 1e-5;
/// A stamp that is further than this from its arrival, either way, tells nothing: the clock was corrected, or a machine slept.
const BELIEVED_MS: u32 = 2000;

/// Fills one piece after the other.
#[derive(Debug, Default)]
pub(super) struct Cutter(Option<Filling>);

/// A piece that is not full yet.
#[derive(Debug)]
struct Filling {
    size: FrameSize,
    first: u64,
    newest: u64,
    frames: Vec<Stamped>,
    bytes: usize,
    power: f32,
}

impl Cutter {
    /// Takes the next packet; returns a piece that is full with it, and good.
    pub(super) fn push(&mut self, packet: &Overheard, clock: &SharedClock) -> Option<Piece> {
        let (Some(size), Some(stamp_ns)) = (frame_size(packet.payload()), stamp_ns(packet, clock)) else {
            self.0 = None;
            return None;
        };
        let sequence = packet.sequence;
        let follows = |it: &Filling| {
            let missing = sequence.saturating_sub(it.newest).saturating_sub(1);
            size == it.size && missing.saturating_mul(size.samples() as u64) <= HOLE && it.bytes < MOST_BYTES
        };
        if let Some(filling) = &self.0
            && sequence < filling.first
            && filling.first - sequence < filling.frames.len() as u64
        {
            // A straggler from before.
            return None;
        }
        let fits = self.0.as_ref().is_some_and(|it| sequence >= it.first && follows(it));
        if !fits {
            self.0 = None;
        }
        let filling = self.0.get_or_insert_with(|| Filling {
            size,
            first: sequence,
            newest: sequence,
            frames: Vec::new(),
            bytes: 0,
            power: 0.0,
        });
        filling.take(packet, stamp_ns);
        let samples = (filling.newest - filling.first) as usize * size.samples();
        if samples < LENGTH + AFTER {
            return None;
        }
        self.0.take()?.piece()
    }
}

impl Filling {
    fn take(&mut self, packet: &Overheard, stamp_ns: i64) {
        let at = self.frames.partition_point(|frame| frame.sequence < packet.sequence);
        if self.frames.get(at).is_some_and(|frame| frame.sequence == packet.sequence) {
            return;
        }
        let payload = packet.payload().into();
        self.frames.insert(at, Stamped { sequence: packet.sequence, stamp_ns, payload });
        self.newest = self.newest.max(packet.sequence);
        self.bytes += packet.payload().len();
        self.power += packet.power;
    }

    fn piece(self) -> Option<Piece> {
        let wanted = LENGTH / self.size.samples();
        let end = self.first + wanted as u64;
        let there = self.frames.partition_point(|frame| frame.sequence < end);
        let loud = self.power / self.frames.len() as f32 >= QUIET;
        let whole = wanted - there <= wanted / MISSING;
        if loud && whole { Piece::new(self.size, wanted, self.frames) } else { None }
    }
}

/// The session time that a packet's stamp means, to its millisecond: its upper bits are those of the packet's arrival.
fn stamp_ns(packet: &Overheard, clock: &SharedClock) -> Option<i64> {
    let arrived_ms = clock.known()?.session_ns(packet.arrived).div_euclid(1_000_000);
    let late_ms = (arrived_ms as u32).wrapping_sub(packet.timestamp_ms) as i32;
    let believed = arrived_ms > 0 && late_ms.unsigned_abs() < BELIEVED_MS;
    believed.then_some((arrived_ms - i64::from(late_ms)) * 1_000_000)
}
