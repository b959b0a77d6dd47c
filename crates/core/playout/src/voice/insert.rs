//! Packets that arrive: ahead of their turn, late, twice.

use hyperzoom_media::AudioPacket;

use super::{Phase, Voice, seconds};
use crate::depth::Arrival;
use crate::ring::{CAPACITY, Fate};

/// While nothing plays, a sequence number so far back is no straggler but a speaker who began anew.
const STRAGGLER: u64 = 1000;
/// The shortest frames in the longest.
const MOST_BACK: u64 = 4;

impl Voice {
    /// Takes a packet that arrived while the device was so many seconds [`behind`](crate::device). The sample that is taken next
    /// has its place at `place`.
    pub(crate) fn insert(&mut self, packet: &AudioPacket, place: f64, behind: f64) {
        self.stats.received += 1;
        let sequence = packet.sequence;
        if self.incoming > self.inserted && self.is_playing() {
            let longer = seconds(self.incoming - self.inserted);
            self.depth.frames_are_longer(packet.arrived.as_secs_f64(), longer);
        }
        self.inserted = self.incoming;
        match self.phase {
            Phase::Waiting { next } if sequence < next && next - sequence > STRAGGLER => {
                self.jump_to(sequence);
            }
            Phase::Waiting { next } | Phase::Playing { next, .. } if sequence < next => {
                self.note_wait(packet, place);
                if !self.go_back_to(packet, behind) {
                    self.insert_past(packet, behind);
                }
                return;
            }
            Phase::Playing { next, .. } if sequence - next >= CAPACITY => self.jump_to(sequence),
            _ => {}
        }
        if self.ring.fate(sequence) == Fate::Held {
            self.stats.duplicates += 1;
        } else if self.ring.newest().is_none_or(|newest| newest.saturating_sub(sequence) < CAPACITY) {
            self.note_wait(packet, place);
            self.ring.hold(packet, self.incoming, behind);
        } else {
            // Nothing plays, and far newer ones are held: it would take the place of one of them.
            self.stats.late += 1;
        }
    }

    /// A packet whose frame was due already, but would not have been, had it been known that frames are longer now: what
    /// was invented in its place, for a shorter frame, was played on top, and this one is next after all. False where
    /// that is not so.
    fn go_back_to(&mut self, packet: &AudioPacket, behind: f64) -> bool {
        let Phase::Playing { next, skip: 0 } = self.phase else { return false };
        let (sequence, missed) = (packet.sequence, next - packet.sequence);
        let is_missed = |sequence| matches!(self.ring.fate(sequence), Fate::Missed { observed: false, .. });
        if self.incoming <= self.length
            || missed > self.missing.min(MOST_BACK)
            || !(sequence..next).all(is_missed)
        {
            return false;
        }
        (sequence..next).for_each(|sequence| self.ring.mark(sequence, Fate::Unknown));
        self.ring.hold(packet, self.incoming, behind);
        self.missing -= missed;
        self.stats.stretched_frames += missed;
        self.depth.stretched_by(seconds(self.length) * missed as f64);
        self.phase = Phase::Playing { next: sequence, skip: 0 };
        true
    }

    /// A packet whose frame was due already.
    fn insert_past(&mut self, packet: &AudioPacket, behind: f64) {
        match self.ring.fate(packet.sequence) {
            Fate::Missed { place, observed } => {
                self.ring.mark(packet.sequence, Fate::Done);
                self.stats.late += 1;
                if self.missing > 0 {
                    self.missing -= 1;
                    if !observed {
                        self.came_late = self.came_late.max(Some(packet.sequence));
                    }
                } else {
                    self.stats.lost = self.stats.lost.saturating_sub(1);
                }
                // Where a copy came before it, that is what counts.
                if !observed {
                    let arrived = packet.arrived.as_secs_f64();
                    self.depth.observe(arrived, Arrival { place, at: arrived, behind });
                }
            }
            Fate::Unknown => self.stats.late += 1,
            Fate::Held | Fate::Done => self.stats.duplicates += 1,
        }
    }

    /// What the packet will have waited when its frame is played, as far as is known when the next sample has its place at `place`.
    fn note_wait(&mut self, packet: &AudioPacket, place: f64) {
        if let Phase::Playing { next, skip } = self.phase {
            let next_frame = place + seconds(self.length - self.taken) - seconds(skip);
            let length = |sequence| self.ring.held(sequence).map_or(self.incoming, |slot| slot.samples);
            let between: usize = (next..packet.sequence).map(length).sum();
            let passed = next.saturating_sub(packet.sequence).min(CAPACITY) as usize * self.incoming;
            let arrived = packet.arrived.as_secs_f64();
            self.depth.arrives(arrived, next_frame + seconds(between) - seconds(passed) - arrived);
        }
    }
}
