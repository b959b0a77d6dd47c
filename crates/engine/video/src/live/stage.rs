//! What becomes of a picture on the live thread: chosen, scaled down, encoded, sent.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use hyperzoom_media::{Downscale, Frame, I420, MediaKind, PacketSink, Shedding};
use hyperzoom_timing::SharedClock;

use super::{LiveConfig, Shared, pack_size};
use crate::VideoError;
use crate::scale::MakeScaler;
use crate::spec::{FrameRate, check_shape};
use crate::vp8::{Encoder, EncoderConfig};

/// A keyframe comes at least this often (spec §4.2.3), so that a receiver without one waits no longer.
const KEYFRAME_EVERY: Duration = Duration::from_secs(2);

/// Requests bring keyframes no oftener than this: each costs as much as ten other frames, and several peers that lose
/// the same frame ask for one keyframe, not for one each.
const KEYFRAME_GAP: Duration = Duration::from_millis(250);

/// Chooses pictures by their own time, so that 30 a second become 24 evenly.
#[derive(Debug)]
struct Pacer {
    rate: FrameRate,
    start: Duration,
    next: u64,
}

impl Pacer {
    fn new(rate: FrameRate) -> Self {
        Self { rate, start: Duration::ZERO, next: 0 }
    }

    /// Whether the picture captured then is one of those to send.
    fn admit(&mut self, captured_at: Duration) -> bool {
        // A camera stamps to a millisecond at best; a picture that is early by less is on time.
        const TOLERANCE: Duration = Duration::from_millis(1);
        let elapsed = (captured_at + TOLERANCE).saturating_sub(self.start);
        if elapsed < self.rate.due(self.next) {
            return false;
        }
        // What was due meanwhile is over, so a pause is not followed by a burst.
        self.next = self.rate.latest_due(elapsed) + 1;
        true
    }
}

/// What the thread does with a picture.
pub(super) struct Stage {
    pub(super) shared: Arc<Shared>,
    sink: Box<dyn PacketSink>,
    epoch: Instant,
    clock: SharedClock,
    pacer: Pacer,
    scaler: Box<dyn Downscale>,
    make_scaler: MakeScaler,
    encoder: Encoder,
    bitrate_kbps: u32,
    fps: u32,
    shape: I420,
    /// The next frame must be a keyframe; it stays so until one went out.
    want_keyframe: bool,
    last_keyframe: Option<Duration>,
    shedding: Shedding,
    /// Up to when the time of shedding is counted, while it lasts.
    shed_until: Option<Duration>,
}

impl Stage {
    pub(super) fn new(
        config: LiveConfig,
        shared: Arc<Shared>,
        sink: Box<dyn PacketSink>,
    ) -> Result<Self, VideoError> {
        let LiveConfig { epoch, clock, width, height, fps, bitrate_kbps, shedding, scaler } = config;
        let shape = I420 { width, height };
        check_shape(shape)?;
        let rate = FrameRate::new(fps, 1).ok_or_else(|| VideoError::Vpx {
            action: "start an encoder",
            detail: format!("{fps} frames a second is not between 1 and 120"),
        })?;
        shared.bitrate_kbps.store(bitrate_kbps, Relaxed);
        shared.fps.store(fps, Relaxed);
        shared.size.store(pack_size(width, height).unwrap_or(0), Relaxed);
        Ok(Self {
            shared,
            sink,
            epoch,
            clock,
            pacer: Pacer::new(rate),
            scaler: scaler.make(shape),
            make_scaler: scaler,
            encoder: Encoder::new(EncoderConfig { shape, fps, bitrate_kbps })?,
            bitrate_kbps,
            fps,
            shape,
            want_keyframe: true,
            last_keyframe: None,
            shedding,
            shed_until: None,
        })
    }

    /// Counts the time of shedding.
    pub(super) fn note_shedding(&mut self) {
        let now = self.epoch.elapsed();
        if let Some(until) = self.shed_until.replace(now) {
            self.shared.shed_us.fetch_add(now.saturating_sub(until).as_micros() as u64, Relaxed);
        }
        if !self.shedding.is_on() {
            self.shed_until = None;
        }
    }

    pub(super) fn frame(&mut self, frame: &Frame) {
        let is_seen = self.shared.sending.load(Relaxed) && self.shared.wanted.load(Relaxed);
        if !is_seen || self.shedding.is_on() {
            self.want_keyframe = true;
            return;
        }
        self.follow_fps();
        if !self.pacer.admit(frame.captured_at) {
            return;
        }
        if let Err(error) = self.encode_and_send(frame) {
            // The rest of the call does not depend on this frame; the next one tries again.
            if self.shared.failed.fetch_add(1, Relaxed) == 0 {
                tracing::warn!(%error, "a live picture was lost");
            }
            self.want_keyframe = true;
        }
        let delay = self.epoch.elapsed().saturating_sub(frame.captured_at);
        self.shared.delay_us.store(delay.as_micros() as u64, Relaxed);
    }

    fn follow_fps(&mut self) {
        let fps = self.shared.fps.load(Relaxed);
        if fps != self.fps
            && let Some(rate) = FrameRate::new(fps, 1)
        {
            self.fps = fps;
            self.pacer.rate = rate;
            self.pacer.next = 0;
            if let Err(error) = self.encoder.set_fps(fps) {
                tracing::warn!(%error, fps, "the rate control counts on another frame rate");
            }
        }
    }

    /// Encodes as it was last asked for.
    fn follow(&mut self) -> Result<(), VideoError> {
        let bitrate_kbps = self.shared.bitrate_kbps.load(Relaxed);
        let size = self.shared.size.load(Relaxed);
        let shape = I420 { width: size >> 16, height: size & 0xFFFF };
        if shape != self.shape && !shape.is_empty() {
            // A decoder takes another size from a keyframe on.
            self.encoder = Encoder::new(EncoderConfig { shape, fps: self.fps, bitrate_kbps })?;
            self.scaler = self.make_scaler.make(shape);
            (self.shape, self.bitrate_kbps) = (shape, bitrate_kbps);
            self.want_keyframe = true;
        }
        if bitrate_kbps != self.bitrate_kbps {
            self.encoder.set_bitrate(bitrate_kbps)?;
            self.bitrate_kbps = bitrate_kbps;
        }
        Ok(())
    }

    fn encode_and_send(&mut self, frame: &Frame) -> Result<(), VideoError> {
        let captured_at = frame.captured_at;
        let began = Instant::now();
        self.follow()?;
        let since_keyframe = self.last_keyframe.map(|last| captured_at.saturating_sub(last));
        let may_ask = since_keyframe.is_none_or(|since| since >= KEYFRAME_GAP);
        if may_ask && self.shared.keyframe.swap(false, Relaxed) {
            self.want_keyframe = true;
        }
        self.want_keyframe |= since_keyframe.is_none_or(|since| since >= KEYFRAME_EVERY);

        let picture = self.scaler.scale(frame.shape, frame.data());
        let encoded = self.encoder.encode(picture, captured_at.as_millis() as i64, self.want_keyframe);
        self.shared.busy_us.fetch_add(began.elapsed().as_micros() as u64, Relaxed);
        let Some(packet) = encoded? else {
            self.shared.left_out.fetch_add(1, Relaxed);
            return Ok(());
        };
        let kind = if packet.keyframe {
            self.want_keyframe = false;
            self.last_keyframe = Some(captured_at);
            self.shared.keyframes.fetch_add(1, Relaxed);
            MediaKind::VideoKeyframe
        } else {
            MediaKind::VideoDelta
        };
        self.sink.send(kind, self.clock.get().session_ms(captured_at), packet.data);
        self.shared.sent.fetch_add(1, Relaxed);
        self.shared.bytes.fetch_add(packet.data.len() as u64, Relaxed);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
