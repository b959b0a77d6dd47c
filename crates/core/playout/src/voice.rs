//! The machine: which frame is due, whether it is there, and what is played if it is not.

use std::time::Duration;

use hyperzoom_media::{AudioPacket, SAMPLE_RATE};

use crate::config::{FrameDecoder, PlayoutConfig, PlayoutStats};
use crate::depth::DepthPolicy;
use crate::fade::Fade;
use crate::ring::{CAPACITY, Fate, Ring};

/// After so long without a packet the speaker is silent or gone, and playing begins anew with the next.
const OUTAGE_SAMPLES: usize = SAMPLE_RATE as usize * 120 / 1000;
/// A packet that waited so much longer than the greatest depth was kept by a callback that did not run, and that will
/// not catch up either: begin anew.
const STALLED: f64 = 0.5;
/// How long the sound before a cut fades into the sound after it, in samples: 5 ms.
const CROSSFADE: usize = SAMPLE_RATE as usize * 5 / 1000;
/// After a gap a decoder needs so many frames until its sound is right again.
const WARM_UP: u64 = 2;
/// A frame that stays below this, -40 dBFS, may be cut into.
const QUIET: f32 = 0.01;
/// While nothing plays, a sequence number so far back is no straggler but a speaker who began anew.
const STRAGGLER: u64 = 1000;
/// The mean wait is one over so many packets.
const WAITS: f64 = 100.0;
/// A missing frame is looked for in so many packets after it.
const FURTHEST_COPY: u32 = 4;

/// One speaker's frames, in the order and at the rate that the resampler takes them.
pub(crate) struct Voice {
    frame_samples: usize,
    ring: Ring,
    depth: DepthPolicy,
    fade: Fade,
    phase: Phase,
    /// The frame that is being played, and how much of it was.
    frame: [f32; PlayoutConfig::MAX_FRAME_SAMPLES],
    taken: usize,
    /// What would have followed had nothing been left out, and how much of it has faded.
    tail: [f32; CROSSFADE],
    tail_len: usize,
    tail_taken: usize,
    /// Frames that are missing right now: lost only if playing goes on after them.
    missing: u64,
    /// One of them came after all: it is the buffer that is too shallow.
    some_came_late: bool,
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
            frame_samples: config.frame_samples,
            ring: Ring::new(),
            depth: DepthPolicy::new(config),
            fade: Fade::default(),
            phase: Phase::Fresh,
            frame: [0.0; PlayoutConfig::MAX_FRAME_SAMPLES],
            taken: config.frame_samples,
            tail: [0.0; CROSSFADE],
            tail_len: 0,
            tail_taken: 0,
            missing: 0,
            some_came_late: false,
            stats: PlayoutStats::default(),
        }
    }

    pub(crate) fn frame_samples(&self) -> usize {
        self.frame_samples
    }

    pub(crate) fn set_frame_samples(&mut self, frame_samples: usize) {
        assert_frame(frame_samples);
        self.frame_samples = frame_samples;
        self.reset();
    }

    pub(crate) fn reset(&mut self) {
        self.ring.clear();
        self.depth.forget();
        self.phase = Phase::Fresh;
        self.taken = self.frame_samples;
        self.tail_len = 0;
        self.missing = 0;
        self.some_came_late = false;
    }

    pub(crate) fn is_playing(&self) -> bool {
        matches!(self.phase, Phase::Playing { .. })
    }

    pub(crate) fn stats(&self) -> PlayoutStats {
        let seconds = |s: f64| Duration::try_from_secs_f64(s).unwrap_or(Duration::ZERO);
        PlayoutStats {
            depth: seconds(self.depth.depth()),
            target: seconds(self.depth.target()),
            resample_ppm: (self.depth.stretch() * 1e6) as f32,
            ..self.stats
        }
    }

    /// How much the next `samples` of sound are to be stretched.
    pub(crate) fn steer(&mut self, samples: usize) -> f64 {
        if self.is_playing() { self.depth.steer(seconds(samples)) } else { 0.0 }
    }

    pub(crate) fn insert(&mut self, packet: &AudioPacket) {
        self.stats.received += 1;
        let sequence = packet.sequence;
        match self.phase {
            Phase::Waiting { next } if sequence < next && next - sequence > STRAGGLER => {
                self.jump_to(sequence);
            }
            Phase::Waiting { next } | Phase::Playing { next, .. } if sequence < next => {
                self.insert_past(packet);
                return;
            }
            Phase::Playing { next, .. } if sequence - next >= CAPACITY => self.jump_to(sequence),
            _ => {}
        }
        if self.ring.fate(sequence) == Fate::Held {
            self.stats.duplicates += 1;
        } else if self.ring.newest().is_none_or(|newest| newest.saturating_sub(sequence) < CAPACITY) {
            self.ring.hold(packet);
        } else {
            // Nothing plays, and far newer ones are held: it would take the place of one of them.
            self.stats.late += 1;
        }
    }

    /// A packet whose frame was due already.
    fn insert_past(&mut self, packet: &AudioPacket) {
        match self.ring.fate(packet.sequence) {
            Fate::Missed(place) => {
                self.ring.mark(packet.sequence, Fate::Done);
                self.stats.late += 1;
                if self.missing > 0 {
                    self.missing -= 1;
                    self.some_came_late = true;
                } else {
                    self.stats.lost = self.stats.lost.saturating_sub(1);
                }
                let arrived = packet.arrived.as_secs_f64();
                self.depth.observe(arrived, arrived, place - arrived);
            }
            Fate::Unknown => self.stats.late += 1,
            Fate::Held | Fate::Done => self.stats.duplicates += 1,
        }
    }

    /// The numbers jumped: what is held belongs to another time.
    fn jump_to(&mut self, sequence: u64) {
        self.ring.clear();
        self.wait_for(sequence);
    }

    fn wait_for(&mut self, next: u64) {
        self.phase = Phase::Waiting { next };
        self.taken = self.frame_samples;
        self.tail_len = 0;
        self.missing = 0;
        self.some_came_late = false;
    }

    /// Begins to play, if nothing plays and the packets held are as old as they should be.
    ///
    /// `ahead` is how much sound the device took before at the same moment, and `at_once` how much it takes all told.
    pub(crate) fn begin_if_due(
        &mut self,
        now: f64,
        ahead: usize,
        at_once: usize,
        decoder: &mut dyn FrameDecoder,
    ) {
        self.depth.takes_at_once(now, seconds(at_once));
        let place_now = now + seconds(ahead);
        let next = match self.phase {
            Phase::Fresh => 0,
            Phase::Waiting { next } => next,
            Phase::Playing { .. } => return,
        };
        let Some(newest) = self.ring.newest() else { return };
        let frame = seconds(self.frame_samples);
        // Places are counted in frames from the newest packet's, so that an f64 holds them however long the call was.
        let place = |sequence: u64| -((newest - sequence) as f64);
        let (mut first, mut quickest) = (None, f64::INFINITY);
        for packet in self.ring.all_held().filter(|packet| packet.sequence >= next) {
            first = first.or(Some(packet.sequence));
            quickest = quickest.min(packet.arrived.as_secs_f64() - place(packet.sequence) * frame);
        }
        let Some(first) = first else { return };
        // What should be heard now: what a packet that met no queue brought `target` ago.
        let due = (place_now - self.depth.target() - quickest) / frame;
        if due < place(first) {
            return;
        }
        if due >= 1.0 {
            // All that is held is old: the callback did not run for a while.
            self.jump_to(newest.saturating_add(1));
            return;
        }
        let whole = due.floor().min(0.0);
        if self.phase != Phase::Fresh {
            decoder.reset();
            self.stats.resets += 1;
        }
        self.depth.restart(now, self.phase != Phase::Fresh);
        self.fade = Fade::default();
        let skip = ((due - whole) * self.frame_samples as f64) as usize;
        self.phase =
            Phase::Playing { next: newest - (-whole) as u64, skip: skip.min(self.frame_samples - 1) };
    }

    /// Writes the next samples, before they are stretched.
    ///
    /// `ahead` is how much sound the device takes before them in this callback.
    pub(crate) fn fill(&mut self, now: f64, ahead: usize, out: &mut [f32], decoder: &mut dyn FrameDecoder) {
        let mut written = 0;
        while written < out.len() {
            if self.taken == self.frame_samples {
                self.next_frame(now, now + seconds(ahead + written), decoder);
            }
            if !self.is_playing() {
                out[written..].fill(0.0);
                return;
            }
            let count = (self.frame_samples - self.taken).min(out.len() - written);
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
        let enough = if self.some_came_late { 0.0 } else { seconds(self.frame_samples) / 2.0 };
        self.depth.error() > enough
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
        let stretch = self.should_stretch();
        let frame = &mut self.frame[..self.frame_samples];
        let mut after = next.saturating_add(1);
        if let Some(packet) = self.ring.held(next) {
            let arrived = packet.arrived.as_secs_f64();
            let wait = place - arrived;
            if wait > self.depth.most() + STALLED {
                self.wait_for(next);
                return;
            }
            self.depth.observe(now, place, wait);
            let mean = self.stats.wait.as_secs_f64();
            let mean = if mean == 0.0 { wait } else { mean + (wait - mean) / WAITS };
            self.stats.wait = Duration::try_from_secs_f64(mean).unwrap_or(Duration::ZERO);
            self.stats.lost += std::mem::take(&mut self.missing);
            self.some_came_late = false;
            let is_right = decoder.decode(packet.payload(), frame);
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
        } else if stretch {
            // The buffer should be deeper, and here is where nobody hears the seam: play an invented frame on top and
            // wait for this one yet.
            self.stats.concealed_frames += 1;
            self.stats.stretched_frames += 1;
            conceal(&mut self.fade, frame, skip, decoder);
            self.depth.stretched_by(seconds(self.frame_samples));
            after = next;
        } else {
            self.ring.mark(next, Fate::Missed(place));
            self.missing += 1;
            let copy = (1..=FURTHEST_COPY).any(|distance| {
                let later = next.checked_add(u64::from(distance)).and_then(|later| self.ring.held(later));
                later.is_some_and(|packet| decoder.recover(packet.payload(), distance, frame))
            });
            if copy {
                self.stats.repaired += 1;
                self.fade.real(&mut frame[skip..]);
            } else {
                self.stats.concealed_frames += 1;
                conceal(&mut self.fade, frame, skip, decoder);
            }
        }
        self.taken = skip;
        self.phase = Phase::Playing { next: after, skip: 0 };
    }

    /// Goes on so many `seconds` of sound later, where that is held: from the frame in hand, which was decoded and is
    /// `next`, and fades into what comes then. False where nothing can be left out.
    fn leave_out(&mut self, now: f64, next: u64, surplus: f64, decoder: &mut dyn FrameDecoder) -> bool {
        let length = self.frame_samples;
        let Some(newest) = self.ring.newest() else { return false };
        let samples = (surplus * f64::from(SAMPLE_RATE)) as usize;
        let samples = samples.min(newest.saturating_sub(next) as usize * length + length - 1);
        let (frames, skip) = ((samples / length) as u64, samples % length);
        if samples == 0 {
            return false;
        }
        self.depth.left_out(now, seconds(samples));
        self.stats.skips += 1;
        self.stats.skipped_frames += frames + u64::from(skip > 0);
        let to = next + frames;
        self.tail_len = length.min(CROSSFADE);
        self.tail_taken = 0;
        self.tail[..self.tail_len].copy_from_slice(&self.frame[..self.tail_len]);
        if frames == 0 {
            self.taken = skip;
            self.phase = Phase::Playing { next: next + 1, skip: 0 };
            return true;
        }
        for sequence in next + 1..to {
            let is_tail = self.tail_len < CROSSFADE;
            if (is_tail || to - sequence <= WARM_UP)
                && let Some(packet) = self.ring.held(sequence)
            {
                let frame = &mut self.frame[..length];
                if !decoder.decode(packet.payload(), frame) {
                    self.stats.damaged += 1;
                } else if is_tail {
                    let more = length.min(CROSSFADE - self.tail_len);
                    self.tail[self.tail_len..self.tail_len + more].copy_from_slice(&frame[..more]);
                    self.tail_len += more;
                }
            }
            self.ring.mark(sequence, Fate::Done);
        }
        self.taken = length;
        self.phase = Phase::Playing { next: to, skip };
        true
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

fn seconds(samples: usize) -> f64 {
    samples as f64 / f64::from(SAMPLE_RATE)
}

fn assert_frame(frame_samples: usize) {
    assert!(
        (1..=PlayoutConfig::MAX_FRAME_SAMPLES).contains(&frame_samples),
        "a frame has between 1 and {} samples, not {frame_samples}",
        PlayoutConfig::MAX_FRAME_SAMPLES
    );
}
