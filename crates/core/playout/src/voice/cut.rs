//! Sound that is left out, under a crossfade.

use hyperzoom_media::SAMPLE_RATE;

use super::{Phase, Voice, seconds};
use crate::config::FrameDecoder;
use crate::ring::Fate;

/// How long the sound before a cut fades into the sound after it, in samples: 5 ms.
pub(super) const CROSSFADE: usize = SAMPLE_RATE as usize * 5 / 1000;
/// After a gap a decoder needs so many frames until its sound is right again.
const WARM_UP: u64 = 2;

impl Voice {
    /// Goes on so many `seconds` of sound later, where that is held: from the frame in hand, which was decoded and is
    /// `next`, and fades into what comes then. False where nothing can be left out.
    pub(super) fn leave_out(
        &mut self,
        now: f64,
        next: u64,
        surplus: f64,
        decoder: &mut dyn FrameDecoder,
    ) -> bool {
        let Some(newest) = self.ring.newest() else { return false };
        let (mut to, mut length) = (next, self.length);
        let mut skip = (surplus * f64::from(SAMPLE_RATE)) as usize;
        let mut samples = 0;
        while skip >= length && to < newest {
            skip -= length;
            samples += length;
            to += 1;
            length = self.ring.held(to).map_or(length, |slot| slot.samples);
        }
        let skip = skip.min(length - 1);
        samples += skip;
        if samples == 0 {
            return false;
        }
        self.depth.left_out(now, seconds(samples));
        self.stats.skips += 1;
        self.stats.skipped_frames += to - next + u64::from(skip > 0);
        self.tail_len = self.length.min(CROSSFADE);
        self.tail_taken = 0;
        self.tail[..self.tail_len].copy_from_slice(&self.frame[..self.tail_len]);
        if to == next {
            self.taken = skip;
            self.phase = Phase::Playing { next: next.saturating_add(1), skip: 0 };
            return true;
        }
        for sequence in next + 1..to {
            let is_tail = self.tail_len < CROSSFADE;
            if (is_tail || to - sequence <= WARM_UP)
                && let Some(slot) = self.ring.held(sequence)
            {
                let frame = &mut self.frame[..slot.samples];
                if !decoder.decode(slot.packet.payload(), frame) {
                    self.stats.damaged += 1;
                } else if is_tail {
                    let more = frame.len().min(CROSSFADE - self.tail_len);
                    self.tail[self.tail_len..self.tail_len + more].copy_from_slice(&frame[..more]);
                    self.tail_len += more;
                }
            }
            self.ring.mark(sequence, Fate::Done);
        }
        self.length = length;
        self.taken = length;
        self.phase = Phase::Playing { next: to, skip };
        true
    }
}
