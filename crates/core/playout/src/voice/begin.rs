//! The beginning of a voice: the first talk, and each after a silence.

use hyperzoom_media::SAMPLE_RATE;

use super::{Phase, Voice, seconds};
use crate::config::FrameDecoder;
use crate::fade::Fade;

impl Voice {
    /// Begins to play, if nothing plays and the packets held are as old as they should be. `place` is that of the
    /// next sample.
    pub(crate) fn begin_if_due(&mut self, now: f64, place: f64, decoder: &mut dyn FrameDecoder) {
        let next = match self.phase {
            Phase::Fresh => 0,
            Phase::Waiting { next } => next,
            Phase::Playing { .. } => return,
        };
        let Some(newest) = self.ring.newest() else { return };
        // Moments are counted from the newest packet's first sample, so that an f64 holds them however long the call was.
        let (mut first, mut quickest) = (None, f64::INFINITY);
        for (sequence, before, _) in
            self.ring.back_from_newest().take_while(|(sequence, ..)| *sequence >= next)
        {
            if let Some(slot) = self.ring.held(sequence) {
                first = Some(sequence);
                quickest = quickest.min(slot.packet.arrived.as_secs_f64() + seconds(before));
            }
        }
        let Some(first) = first else { return };
        // What should be heard now: what a packet that met no queue brought `target` ago.
        let due = place - self.depth.target() - quickest;
        // The frame in which that is, if it is one of those: its number, when it begins, and its length.
        let found = self.ring.back_from_newest().take_while(|(sequence, ..)| *sequence >= first);
        let Some((next, before, length)) = found.into_iter().find(|(_, before, _)| due >= -seconds(*before))
        else {
            return;
        };
        if next == newest && due >= seconds(length) {
            // All that is held is old: the callback did not run for a while.
            self.jump_to(newest.saturating_add(1));
            return;
        }
        if self.phase != Phase::Fresh {
            decoder.reset();
            self.stats.resets += 1;
        }
        self.depth.restart(now, self.phase != Phase::Fresh);
        self.fade = Fade::default();
        let skip = ((due + seconds(before)) * f64::from(SAMPLE_RATE)) as usize;
        self.length = length;
        self.taken = length;
        self.phase = Phase::Playing { next, skip: skip.min(length - 1) };
    }
}
