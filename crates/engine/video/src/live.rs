//! The live picture's way out: newest frame only, scaled down, VP8, sent.

mod stage;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::thread::{JoinHandle, park_timeout};
use std::time::{Duration, Instant};

use hyperzoom_media::{FrameRef, I420, PacketSink, Shedding};
use hyperzoom_timing::SharedClock;
use ringbuf::HeapCons;
use ringbuf::traits::{Consumer, Observer};

use self::stage::Stage;
use crate::scale::MakeScaler;
use crate::spec::check_shape;
use crate::thread::Precedence;
use crate::{VideoError, thread};

/// How often the thread looks for a new picture. The ring it reads wakes nobody.
const POLL: Duration = Duration::from_millis(4);

/// How to send the live picture.
#[derive(Debug, Clone)]
pub struct LiveConfig {
    /// The moment that [`Frame::captured_at`](hyperzoom_media::Frame::captured_at) is counted from.
    pub epoch: Instant,
    /// The session clock, for the timestamps.
    pub clock: SharedClock,
    /// Width of the picture that is sent, even.
    pub width: u32,
    /// Height of the picture that is sent, even.
    pub height: u32,
    /// Frames a second at most.
    pub fps: u32,
    /// Bit rate of the video in kbit/s.
    pub bitrate_kbps: u32,
    /// While it is on nothing is scaled, encoded or sent, and others see the last picture.
    pub shedding: Shedding,
    /// What scales the pictures.
    pub scaler: MakeScaler,
}

impl LiveConfig {
    /// As the product sends it: 854x480 at 24 frames a second and 400 kbit/s (spec §4.2.3).
    #[must_use]
    pub fn new(epoch: Instant, clock: SharedClock) -> Self {
        let (shedding, scaler) = Default::default();
        Self { epoch, clock, width: 854, height: 480, fps: 24, bitrate_kbps: 400, shedding, scaler }
    }
}

/// What the live path did so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LiveStats {
    /// Frames that were sent.
    pub sent: u64,
    /// How many of them were keyframes.
    pub keyframes: u64,
    /// Bytes of video in them.
    pub bytes: u64,
    /// Pictures that were passed over because a newer one was there.
    pub skipped: u64,
    /// Pictures that the rate control left out to hold the bit rate.
    pub left_out: u64,
    /// Pictures that could not be encoded.
    pub failed: u64,
    /// From capture until the last frame was sent.
    pub delay: Duration,
    /// Time spent on scaling and encoding, all frames together. Sending is not in it: that waits for its turn.
    pub busy: Duration,
    /// How long the picture was given up for the recording's sake.
    pub shed: Duration,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    sending: AtomicBool,
    keyframe: AtomicBool,
    bitrate_kbps: AtomicU32,
    fps: AtomicU32,
    /// Width in the upper half, height in the lower.
    size: AtomicU32,
    /// Somebody would see the picture.
    wanted: AtomicBool,
    sent: AtomicU64,
    keyframes: AtomicU64,
    bytes: AtomicU64,
    skipped: AtomicU64,
    left_out: AtomicU64,
    failed: AtomicU64,
    delay_us: AtomicU64,
    busy_us: AtomicU64,
    shed_us: AtomicU64,
}

/// The running live path. Dropping it ends it.
pub struct LiveVideo {
    shared: Arc<Shared>,
    shedding: Shedding,
    thread: Option<JoinHandle<()>>,
}

/// Starts to send the pictures of `frames`, a [live tap](crate::Camera::live_tap).
///
/// # Errors
/// Where the shape, the rate or the bit rate is not one that VP8 can be set up for.
pub fn start_live(
    config: LiveConfig,
    frames: HeapCons<FrameRef>,
    sink: Box<dyn PacketSink>,
) -> Result<LiveVideo, VideoError> {
    let shared = Arc::new(Shared::default());
    shared.sending.store(true, Relaxed);
    shared.wanted.store(true, Relaxed);
    let shedding = config.shedding.clone();
    let mut stage = Stage::new(config, shared.clone(), sink)?;
    let mut frames = frames;
    let thread = thread::spawn("live video", Precedence::Low, move || {
        while !stage.shared.stop.load(Relaxed) {
            stage.note_shedding();
            let closed = !frames.write_is_held();
            match newest(&mut frames, &stage.shared) {
                Some(frame) => stage.frame(&frame),
                None if closed => return,
                None => park_timeout(POLL),
            }
        }
    })?;
    Ok(LiveVideo { shared, shedding, thread: Some(thread) })
}

/// Empties the ring and keeps the last picture.
fn newest(frames: &mut HeapCons<FrameRef>, shared: &Shared) -> Option<FrameRef> {
    let mut newest = frames.try_pop()?;
    while let Some(newer) = frames.try_pop() {
        newest = newer;
        shared.skipped.fetch_add(1, Relaxed);
    }
    Some(newest)
}

impl LiveVideo {
    /// Makes one of the next frames a keyframe: a peer has lost one, or is new.
    pub fn request_keyframe(&self) {
        self.shared.keyframe.store(true, Relaxed);
    }

    /// Sends, or does not. It begins with a keyframe when it sends again.
    pub fn set_sending(&self, sending: bool) {
        self.shared.sending.store(sending, Relaxed);
    }

    /// What gives the picture up, for others that show it.
    #[must_use]
    pub fn shedding(&self) -> &Shedding {
        &self.shedding
    }

    /// Aims at another bit rate from the next frame on.
    pub fn set_bitrate(&self, kbps: u32) {
        self.shared.bitrate_kbps.store(kbps.clamp(50, 10_000), Relaxed);
    }

    /// Sends at most so many frames a second from the next frame on.
    pub fn set_fps(&self, fps: u32) {
        self.shared.fps.store(fps.clamp(1, 120), Relaxed);
    }

    /// Sends pictures of this size from the next frame on, which is a keyframe. A size that is odd or too large is not taken.
    pub fn set_size(&self, width: u32, height: u32) {
        if check_shape(I420 { width, height }).is_ok()
            && let Some(size) = pack_size(width, height)
        {
            self.shared.size.store(size, Relaxed);
        }
    }

    /// Whether anybody would see the picture: where not, nothing is encoded. It begins with a keyframe when somebody does again. This is
    /// about the network, [`set_sending`](Self::set_sending) about what the user wants; both must hold.
    pub fn set_wanted(&self, wanted: bool) {
        self.shared.wanted.store(wanted, Relaxed);
    }

    /// What was done so far.
    #[must_use]
    pub fn stats(&self) -> LiveStats {
        let shared = &*self.shared;
        let micros = |value: &AtomicU64| Duration::from_micros(value.load(Relaxed));
        LiveStats {
            sent: shared.sent.load(Relaxed),
            keyframes: shared.keyframes.load(Relaxed),
            bytes: shared.bytes.load(Relaxed),
            skipped: shared.skipped.load(Relaxed),
            left_out: shared.left_out.load(Relaxed),
            failed: shared.failed.load(Relaxed),
            delay: micros(&shared.delay_us),
            busy: micros(&shared.busy_us),
            shed: micros(&shared.shed_us),
        }
    }
}

/// Both sides in one number; `None` where one does not fit.
fn pack_size(width: u32, height: u32) -> Option<u32> {
    Some(u32::from(u16::try_from(width).ok()?) << 16 | u32::from(u16::try_from(height).ok()?))
}

impl Drop for LiveVideo {
    fn drop(&mut self) {
        self.shared.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}
