//! What is kept of the others' voices while a take is recorded, so that their own recordings can be held against it.
//!
//! The playback callback copies each packet onto a [`Tape`], a ring; the owner thread takes them off and cuts them into pieces of two
//! seconds ([`cutter`]). Of these a few are kept, as packets; they are decoded when the take is over. A piece is as it was sent: what the jitter
//! buffer waits for, stretches or leaves out is not in it, and its time is what the speaker's packets say.

mod cutter;
mod piece;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hyperzoom_media::{AudioPacket, Ears, HeardPiece};
use hyperzoom_timing::{SharedClock, Spread};
use ringbuf::traits::{Consumer, Producer, Split};
use ringbuf::{HeapCons, HeapProd, HeapRb};

use crate::mixer::MAX_VOICES;
use cutter::Cutter;
use piece::Piece;

/// The longest payload that goes onto a tape, in bytes: 10 ms at 64 kbit/s with two copies of earlier frames have 244.
const MOST_BYTES: usize = 256;

/// Packets that a tape holds: 1.28 s of the shortest frames. The owner thread takes them every 200 ms unless a device hangs.
const TAPE: usize = 512;

/// A packet as it was heard.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Overheard {
    sequence: u64,
    arrived: std::time::Duration,
    timestamp_ms: u32,
    /// The mean square of what was played of the voice when it came: what it holds is played some milliseconds later.
    power: f32,
    len: u16,
    data: [u8; MOST_BYTES],
}

impl Overheard {
    fn payload(&self) -> &[u8] {
        &self.data[..usize::from(self.len)]
    }
}

/// The playback callback's end of a tape.
pub(crate) struct Tape {
    packets: HeapProd<Overheard>,
    is_wanted: Arc<AtomicBool>,
}

impl Tape {
    /// Whether anybody listens: until a take begins, nothing is to be copied.
    pub(crate) fn is_wanted(&self) -> bool {
        self.is_wanted.load(Ordering::Relaxed)
    }

    /// Takes a copy of a packet where one [is wanted](Self::is_wanted); one that is too long, or that finds the tape full, leaves a hole.
    /// Never blocks, allocates or frees.
    pub(crate) fn note(&mut self, packet: &AudioPacket, power: f32) {
        if !self.is_wanted() {
            return;
        }
        let payload = packet.payload();
        let mut data = [0; MOST_BYTES];
        let Some(room) = data.get_mut(..payload.len()) else { return };
        room.copy_from_slice(payload);
        let AudioPacket { sequence, arrived, timestamp_ms, .. } = *packet;
        let overheard = Overheard { sequence, arrived, timestamp_ms, power, len: payload.len() as u16, data };
        let _ = self.packets.try_push(overheard);
    }
}

/// The other end of a tape.
pub(crate) struct Reel(HeapCons<Overheard>);

/// All that is kept of the others' voices; a clone is the same.
#[derive(Clone)]
pub(crate) struct VoiceEars(Arc<Inner>);

struct Inner {
    clock: SharedClock,
    /// Whether anybody wants what is heard: every tape asks before it copies.
    is_wanted: Arc<AtomicBool>,
    heard: Mutex<Heard>,
}

#[derive(Default)]
struct Heard {
    voices: BTreeMap<u8, Listening>,
}

/// One voice.
struct Listening {
    reel: Reel,
    cutter: Cutter,
    pieces: Spread<Piece>,
}

impl VoiceEars {
    /// Ears that do not listen yet. Packets are stamped by `clock`.
    pub(crate) fn new(clock: SharedClock) -> Self {
        Self(Arc::new(Inner { clock, is_wanted: Arc::default(), heard: Mutex::default() }))
    }

    /// A new tape, on which nothing is put before a take [begins](Self::begin).
    pub(crate) fn tape(&self) -> (Tape, Reel) {
        let (packets, reel) = HeapRb::new(TAPE).split();
        (Tape { packets, is_wanted: self.0.is_wanted.clone() }, Reel(reel))
    }

    /// From now on what comes off `reel` is the voice of peer `id`. What was kept of that number stays.
    pub(crate) fn follow(&self, id: u8, reel: Reel) {
        let mut heard = self.lock();
        if let Some(voice) = heard.voices.get_mut(&id) {
            (voice.reel, voice.cutter) = (reel, Cutter::default());
        } else if heard.voices.len() < MAX_VOICES {
            heard.voices.insert(id, Listening { reel, cutter: Cutter::default(), pieces: Spread::new() });
        }
    }

    /// A take begins: what was kept before is forgotten, and what comes is kept.
    pub(crate) fn begin(&self) {
        let mut heard = self.lock();
        for voice in heard.voices.values_mut() {
            voice.reel.0.clear();
            (voice.cutter, voice.pieces) = (Cutter::default(), Spread::new());
        }
        self.0.is_wanted.store(true, Ordering::Relaxed);
    }

    /// Takes what is on the tapes. To be called a few times a second.
    pub(crate) fn listen(&self) {
        if !self.0.is_wanted.load(Ordering::Relaxed) {
            return;
        }
        let mut heard = self.lock();
        for voice in heard.voices.values_mut() {
            while let Some(packet) = voice.reel.0.try_pop() {
                if let Some(piece) = voice.cutter.push(&packet, &self.0.clock) {
                    voice.pieces.push(piece.times().0, piece);
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Heard> {
        self.0.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ears for VoiceEars {
    fn heard(&self, start_ns: i64, end_ns: i64) -> Vec<HeardPiece> {
        self.listen();
        let chosen: Vec<(u8, &'static str, Piece)> = {
            let heard = self.lock();
            let inside = |_, piece: &Piece| piece.times().0 >= start_ns && piece.times().1 < end_ns;
            let of = |(id, voice): (&u8, &Listening)| {
                let chosen = voice.pieces.chosen(inside).into_iter();
                chosen.map(|(place, piece)| (*id, place, piece.clone())).collect::<Vec<_>>()
            };
            heard.voices.iter().flat_map(of).collect()
        };
        let decoded = |(speaker, place, piece): (u8, &'static str, Piece)| {
            let (from_ns, to_ns) = piece.times();
            Some(HeardPiece { speaker, place, samples: piece.decode()?, from_ns, to_ns })
        };
        chosen.into_iter().filter_map(decoded).collect()
    }
}

#[cfg(test)]
mod tests;
