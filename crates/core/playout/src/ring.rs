//! The packets of the near future and the fate of the frames just past.

use hyperzoom_media::AudioPacket;

use crate::depth::Arrival;

/// Slots: 320 ms of the shortest frames, so that a callback that stood still for 200 ms finds all that came meanwhile.
pub(crate) const CAPACITY: u64 = 128;

/// What is known of a frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Fate {
    /// Nothing: its packet has not come, or it is too long ago.
    Unknown,
    /// Its packet is held.
    Held,
    /// Its packet came: it was played, or came late and is of no use.
    Done,
    /// Its packet was not there when it was due.
    Missed {
        /// Its place in the sound was this moment, in seconds.
        place: f64,
        /// Whether it was observed when its sound came: in a copy, played or too late.
        observed: bool,
    },
}

/// A packet, and how long its frame is.
#[derive(Clone)]
pub(crate) struct Slot {
    sequence: u64,
    fate: Fate,
    pub(crate) samples: usize,
    pub(crate) packet: AudioPacket,
    /// By how much the device was [behind](crate::device) when it arrived, in seconds.
    pub(crate) behind: f64,
}

impl Slot {
    /// How the packet arrived, when its frame, or the one that it brings a copy of, has its place at `place`.
    pub(crate) fn arrived(&self, place: f64) -> Arrival {
        Arrival { place, at: self.packet.arrived.as_secs_f64(), behind: self.behind }
    }
}

/// Packets by sequence number, in place: what is written goes over what is [`CAPACITY`] older.
pub(crate) struct Ring {
    slots: Box<[Slot]>,
    newest: Option<u64>,
}

impl Ring {
    pub(crate) fn new() -> Self {
        let packet = AudioPacket::new(0, std::time::Duration::ZERO, 0, &[]).expect("nothing fits anywhere");
        let slot = Slot { sequence: 0, fate: Fate::Unknown, samples: 0, packet, behind: 0.0 };
        Self { slots: vec![slot; CAPACITY as usize].into_boxed_slice(), newest: None }
    }

    /// The highest sequence number that came since the last [`clear`](Self::clear).
    pub(crate) fn newest(&self) -> Option<u64> {
        self.newest
    }

    pub(crate) fn clear(&mut self) {
        self.newest = None;
        for slot in &mut self.slots {
            slot.fate = Fate::Unknown;
        }
    }

    pub(crate) fn hold(&mut self, packet: &AudioPacket, samples: usize, behind: f64) {
        self.newest = Some(self.newest.map_or(packet.sequence, |newest| newest.max(packet.sequence)));
        let slot = self.slot_mut(packet.sequence);
        *slot = Slot { sequence: packet.sequence, fate: Fate::Held, samples, packet: *packet, behind };
    }

    pub(crate) fn fate(&self, sequence: u64) -> Fate {
        let slot = &self.slots[index(sequence)];
        if slot.sequence == sequence { slot.fate } else { Fate::Unknown }
    }

    /// The packet of a frame whose fate is [`Fate::Held`].
    pub(crate) fn held(&self, sequence: u64) -> Option<&Slot> {
        (self.fate(sequence) == Fate::Held).then(|| &self.slots[index(sequence)])
    }

    pub(crate) fn mark(&mut self, sequence: u64, fate: Fate) {
        let slot = self.slot_mut(sequence);
        slot.sequence = sequence;
        slot.fate = fate;
    }

    /// The frames back from the newest that was held, whether they are held or not: the number of each, how many
    /// samples its first lies before the first of the newest, and how many it has. One that is missing has as many as
    /// the one after it.
    pub(crate) fn back_from_newest(&self) -> impl Iterator<Item = (u64, usize, usize)> {
        let newest = self.newest;
        let frames = newest.map(|newest| newest.saturating_sub(CAPACITY - 1)..=newest);
        let (mut before, mut samples) = (0, 0);
        frames.into_iter().flatten().rev().map(move |sequence| {
            samples = self.held(sequence).map_or(samples, |slot| slot.samples);
            if Some(sequence) != newest {
                before += samples;
            }
            (sequence, before, samples)
        })
    }

    fn slot_mut(&mut self, sequence: u64) -> &mut Slot {
        &mut self.slots[index(sequence)]
    }
}

fn index(sequence: u64) -> usize {
    (sequence % CAPACITY) as usize
}
