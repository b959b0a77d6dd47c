//! The packets of the near future and the fate of the frames just past.

use hyperzoom_media::AudioPacket;

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
    /// Its packet was not there when it was due. Its place in the sound was this moment, in seconds.
    Missed(f64),
}

#[derive(Clone)]
struct Slot {
    sequence: u64,
    fate: Fate,
    packet: AudioPacket,
}

/// Packets by sequence number, in place: what is written goes over what is [`CAPACITY`] older.
pub(crate) struct Ring {
    slots: Box<[Slot]>,
    newest: Option<u64>,
}

impl Ring {
    pub(crate) fn new() -> Self {
        let packet = AudioPacket::new(0, std::time::Duration::ZERO, 0, &[]).expect("nothing fits anywhere");
        let slot = Slot { sequence: 0, fate: Fate::Unknown, packet };
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

    pub(crate) fn hold(&mut self, packet: &AudioPacket) {
        self.newest = Some(self.newest.map_or(packet.sequence, |newest| newest.max(packet.sequence)));
        let slot = self.slot_mut(packet.sequence);
        *slot = Slot { sequence: packet.sequence, fate: Fate::Held, packet: *packet };
    }

    pub(crate) fn fate(&self, sequence: u64) -> Fate {
        let slot = &self.slots[index(sequence)];
        if slot.sequence == sequence { slot.fate } else { Fate::Unknown }
    }

    /// The packet of a frame whose fate is [`Fate::Held`].
    pub(crate) fn held(&self, sequence: u64) -> Option<&AudioPacket> {
        (self.fate(sequence) == Fate::Held).then(|| &self.slots[index(sequence)].packet)
    }

    pub(crate) fn mark(&mut self, sequence: u64, fate: Fate) {
        let slot = self.slot_mut(sequence);
        slot.sequence = sequence;
        slot.fate = fate;
    }

    /// The held packets, from the oldest.
    pub(crate) fn all_held(&self) -> impl Iterator<Item = &AudioPacket> {
        let newest = self.newest.unwrap_or(0);
        let range = newest.saturating_sub(CAPACITY - 1)..=newest;
        range.filter_map(|sequence| self.held(sequence))
    }

    fn slot_mut(&mut self, sequence: u64) -> &mut Slot {
        &mut self.slots[index(sequence)]
    }
}

fn index(sequence: u64) -> usize {
    (sequence % CAPACITY) as usize
}
