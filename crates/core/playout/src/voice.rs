//! The machine: which frame is due, whether it is there, and what is played if it is not.

mod begin;
mod cut;
mod insert;

use std::time::Duration;

use hyperzoom_media::SAMPLE_RATE;

use crate::config::{FrameDecoder, PlayoutConfig, PlayoutStats};
use crate::depth::{Arrival, DepthPolicy};
use crate::fade::Fade;
use crate::repair::FURTHEST_COPY;
use crate::ring::{Fate, Ring};
use cut::CROSSFADE;

/// After so long without a packet the speaker is silent or gone, and playing begins anew with the next.
const OUTAGE_SAMPLES: usize = SAMPLE_RATE as usize * 120 / 1000;
/// A packet that waited so much longer than the greatest depth was kept by a callback that did not run, and that will
/// not catch up either: begin anew.
const STALLED: f64 = 0.5;
/// A frame that stays below this, -40 dBFS, may be cut into.
const QUIET: f32 = 0.01;
/// After so much that was invented in one go, packets that come too late are not late for their jitter.
const LATE_FOR_LONG: usize = SAMPLE_RATE as usize * 10 / 1000;
/// The mean wait is one over so many packets.
const WAITS: f64 = 100.0;

/// One speaker's frames, in the order and at the rate that the resampler takes them.
pub(crate) struct Voice {
    /// Samples of the packets that are inserted next, and of the one that was inserted last.
    incoming: usize,
    inserted: usize,
    ring: Ring,
    depth: DepthPolicy,
    fade: Fade,
    phase: Phase,
    /// The frame that is being played, how long it is, and how much of it was played.
    frame: [f32; PlayoutConfig::MAX_FRAME_SAMPLES],
    length: usize,
    taken: usize,
    /// What would have followed had nothing been left out, and how much of it has faded.
    tail: [f32; CROSSFADE],
    tail_len: usize,
    tail_taken: usize,
    /// Frames that are missing right now: lost only if playing goes on after them.
    missing: u64,
    /// The newest of them that came after all: it is the buffer that is too shallow.
    came_late: Option<u64>,
    stats: PlayoutStats,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Phase {
    /// Nothing was ever played of this speaker.
    Fresh,
    /// Silence; frames before `next` were played or are given up.
    Waiting { next: u64 },
    /// `next` is due when the frame in hand is used up; of that frame, the first `skip` samples are left out.
    Playing { next: u64, skip: usize },
}

impl Voice {
    pub(crate) fn new(config: &PlayoutConfig) -> Self {
        assert_frame(config.frame_samples);
        Self {
            incoming: config.frame_samples,
            inserted: config.frame_samples,
            ring: Ring::new(),
            depth: DepthPolicy::new(config),
            fade: Fade::default(),
            phase: Phase::Fresh,
            frame: [0.0; PlayoutConfig::MAX_FRAME_SAMPLES],
            length: config.frame_samples,
            taken: config.frame_samples,
            tail: [0.0; CROSSFADE],
            tail_len: 0,
            tail_taken: 0,
            missing: 0,
            came_late: None,
            stats: PlayoutStats::default(),
        }
    }

    pub(crate) fn frame_samples(&self) -> usize {
        self.incoming
    }

    pub(crate) fn set_frame_samples(&mut self, frame_samples: usize) {
        assert_frame(frame_samples);
        self.incoming = frame_samples;
    }

    pub(crate) fn reset(&mut self) {
        self.ring.clear();
        self.depth.forget();
        self.phase = Phase::Fresh;
        self.taken = self.length;
        self.tail_len = 0;
        self.missing = 0;
        self.came_late = None;
    }

    pub(crate) fn hold(&mut self, seconds: f64) {
        self.depth.hold(seconds);
    }

    pub(crate) fn is_playing(&self) -> bool {
        matches!(self.phase, Phase::Playing { .. })
    }

    pub(crate) fn stats(&self) -> PlayoutStats {
        let seconds = |s: f64| Duration::try_from_secs_f64(s).unwrap_or(Duration::ZERO);
        PlayoutStats {
            depth: seconds(self.depth.told_depth()),
            target: seconds(self.depth.told_target()),
            resample_ppm: (self.depth.stretch() * 1e6) as f32,
            frame: seconds(self::seconds(self.frame_samples())),
            wait: self.stats.wait + seconds(if self.stats.wait.is_zero() { 0.0 } else { self.depth.take() }),
            ..self.stats
        }
    }

    /// How much the next `samples` of sound are to be stretched.
    pub(crate) fn steer(&mut self, samples: usize) -> f64 {
        if self.is_playing() { self.depth.steer(seconds(samples)) } else { 0.0 }
    }

    /// The numbers jumped: what is held belongs to another time.
    fn jump_to(&mut self, sequence: u64) {
        self.ring.clear();
        self.wait_for(sequence);
    }

    fn wait_for(&mut self, next: u64) {
        self.phase = Phase::Waiting { next };
        self.taken = self.length;
        self.tail_len = 0;
        self.missing = 0;
        self.came_late = None;
    }

    /// What the device usually takes at once, in seconds, and by how much its places moved.
    pub(crate) fn device(&mut self, take: f64, moved: f64, stood_still_until: Option<f64>) {
        self.depth.device(take, moved, stood_still_until);
        if moved > STALLED
            && let Phase::Playing { next, .. } = self.phase
        {
            self.wait_for(next);
        }
    }

    /// Writes the next samples, before they are stretched. `place` is that of the first.
    pub(crate) fn fill(&mut self, now: f64, place: f64, out: &mut [f32], decoder: &mut dyn FrameDecoder) {
        let mut written = 0;
        while written < out.len() {
            if self.taken == self.length {
                self.next_frame(now, place + seconds(written), decoder);
            }
            if !self.is_playing() {
                out[written..].fill(0.0);
                return;
            }
            let count = (self.length - self.taken).min(out.len() - written);
            let part = &mut out[written..written + count];
            part.copy_from_slice(&self.frame[self.taken..self.taken + count]);
            for (sample, old) in
                part.iter_mut().zip(&self.tail[self.tail_taken.min(self.tail_len)..self.tail_len])
            {
                self.tail_taken += 1;
                let gain = self.tail_taken as f32 / (self.tail_len + 1) as f32;
                *sample = old + (*sample - old) * gain;
            }
            written += count;
            self.taken += count;
        }
    }

    /// Whether a missing frame should be waited for: the depth is too small by half a frame, or by anything at all
    /// where packets keep coming just too late.
    fn should_stretch(&self) -> bool {
        let enough = if self.came_late.is_some() { 0.0 } else { seconds(self.length) / 2.0 };
        self.depth.error() > enough
    }

    /// Everything comes too late right now: the last that came was late, and neither `next` nor anything newer is there.
    /// Whatever the policy has learnt, at this depth nothing would ever be in time. Returns the frame that should come
    /// next.
    fn runs_late(&self, next: u64) -> Option<u64> {
        let due = self.came_late?.saturating_add(1);
        let more = seconds(self.length) * (next.checked_sub(due)? + 1) as f64;
        let is_long = self.fade.concealed() >= LATE_FOR_LONG && self.depth.has_room_for(more);
        let is_missed = |sequence| matches!(self.ring.fate(sequence), Fate::Missed { observed: false, .. });
        let is_empty = self.ring.newest().is_none_or(|newest| newest < next);
        ((is_long || self.depth.is_unsure()) && is_empty && (due..next).all(is_missed)).then_some(due)
    }

    /// `place` is the moment of the next sample, and `now` the callback's.
    fn next_frame(&mut self, now: f64, place: f64, decoder: &mut dyn FrameDecoder) {
        let Phase::Playing { next, skip } = self.phase else { return };
        // Where the frame's first sample is, or would be.
        let place = place - seconds(skip);
        if self.fade.concealed() >= OUTAGE_SAMPLES {
            self.wait_for(next);
            return;
        }
        let mut after = next.saturating_add(1);
        if let Some(slot) = self.ring.held(next) {
            let wait = place - slot.packet.arrived.as_secs_f64();
            if wait > self.depth.most() + STALLED {
                self.wait_for(next);
                return;
            }
            self.depth.observe(now, slot.arrived(place));
            self.stats.lost_runs += u64::from(self.missing > 0);
            self.observe_late_copies(now, next, decoder);
            let mean = self.stats.wait.as_secs_f64();
            let mean = if mean == 0.0 { wait } else { mean + (wait - mean) / WAITS };
            self.stats.wait = Duration::try_from_secs_f64(mean).unwrap_or(Duration::ZERO);
            self.stats.lost += std::mem::take(&mut self.missing);
            self.stats.played_frames += 1;
            self.stats.ahead_frames += self.ring.newest().map_or(0, |newest| newest.saturating_sub(next));
            self.came_late = None;
            let Some(slot) = self.ring.held(next) else { return };
            self.length = slot.samples;
            let skip = skip.min(self.length - 1);
            let frame = &mut self.frame[..self.length];
            let is_right = decoder.decode(slot.packet.payload(), frame);
            self.ring.mark(next, Fate::Done);
            if is_right {
                self.fade.real(&mut frame[skip..]);
                let is_quiet = frame.iter().all(|sample| sample.abs() < QUIET);
                if skip == 0
                    && let Some(surplus) = self.depth.surplus(now, is_quiet)
                    && self.leave_out(now, next, surplus, decoder)
                {
                    return;
                }
            } else {
                self.stats.damaged += 1;
                self.stats.concealed_frames += 1;
                conceal(&mut self.fade, frame, skip, decoder);
            }
        } else if let Some(arrival) = self.recover(next, place, decoder) {
            self.ring.mark(next, Fate::Missed { place, observed: true });
            self.depth.observe(now, arrival);
            self.missing += 1;
            self.stats.repaired += 1;
            let skip = skip.min(self.length - 1);
            self.fade.real(&mut self.frame[skip..self.length]);
        } else {
            // How long it is shows only when it comes, if it does: as long as the one before.
            self.stats.concealed_frames += 1;
            let runs_late = self.runs_late(next);
            if let Some(due) = runs_late.or_else(|| self.should_stretch().then_some(next)) {
                // The buffer should be deeper, and here is where nobody hears the seam: what was invented is played on top,
                // and this one is waited for yet.
                (due..next).for_each(|sequence| self.ring.mark(sequence, Fate::Unknown));
                self.missing = self.missing.saturating_sub(next - due);
                let on_top = next - due + 1;
                self.stats.stretched_frames += on_top;
                let on_top = seconds(self.length) * on_top as f64;
                if runs_late.is_some() {
                    // The next step on top takes another late packet, so that there is no more of it than they are late.
                    self.came_late = None;
                    self.depth.ran_empty(now, on_top);
                } else {
                    self.depth.stretched_by(on_top);
                }
                after = due;
            } else {
                self.ring.mark(next, Fate::Missed { place, observed: false });
                self.missing += 1;
            }
            conceal(&mut self.fade, &mut self.frame[..self.length], skip.min(self.length - 1), decoder);
        }
        self.taken = skip.min(self.length - 1);
        self.phase = Phase::Playing { next: after, skip: 0 };
    }

    /// `sequence` is held, and may carry copies of frames that were missed: then they came, but too late. At a greater
    /// depth they would have been repaired.
    fn observe_late_copies(&mut self, now: f64, sequence: u64, decoder: &mut dyn FrameDecoder) {
        for distance in 1..=FURTHEST_COPY {
            let Some(earlier) = sequence.checked_sub(u64::from(distance)) else { return };
            if let Fate::Missed { place, observed: false } = self.ring.fate(earlier)
                && let Some(slot) = self.ring.held(sequence)
                && decoder.carries(slot.packet.payload(), distance)
            {
                self.depth.observe(now, slot.arrived(place));
                self.ring.mark(earlier, Fate::Missed { place, observed: true });
            }
        }
    }

    /// Decodes a missing frame with its place at `place` out of a copy, if one is held. Returns how that arrived.
    fn recover(&mut self, missing: u64, place: f64, decoder: &mut dyn FrameDecoder) -> Option<Arrival> {
        for distance in 1..=FURTHEST_COPY {
            let later = missing.checked_add(u64::from(distance)).and_then(|later| self.ring.held(later));
            let Some(later) = later else { continue };
            // It has the length of the one before, or, where that changed meanwhile, of the one that brings it.
            for length in [self.length, later.samples] {
                if decoder.recover(later.packet.payload(), distance, &mut self.frame[..length]) {
                    self.length = length;
                    return Some(later.arrived(place));
                }
                if length == later.samples {
                    break;
                }
            }
        }
        None
    }
}

/// Invents a frame of which the first `skip` samples will not be heard.
fn conceal(fade: &mut Fade, frame: &mut [f32], skip: usize, decoder: &mut dyn FrameDecoder) {
    if fade.is_silent() {
        frame.fill(0.0);
    } else {
        decoder.conceal(frame);
    }
    fade.concealed_frame(&mut frame[skip..]);
}

/// How long so many samples last.
pub(crate) fn seconds(samples: usize) -> f64 {
    samples as f64 / f64::from(SAMPLE_RATE)
}

fn assert_frame(frame_samples: usize) {
    assert!(
        (1..=PlayoutConfig::MAX_FRAME_SAMPLES).contains(&frame_samples),
        "a frame has between 1 and {} samples, not {frame_samples}",
        PlayoutConfig::MAX_FRAME_SAMPLES
    );
}
