//! The live picture's way out: newest frame only, scaled down, VP8, sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::thread::{JoinHandle, park_timeout};
use std::time::{Duration, Instant};

use hyperzoom_media::{Downscale, Frame, FrameRef, I420, MediaKind, PacketSink, Shedding};
use hyperzoom_timing::SharedClock;
use ringbuf::HeapCons;
use ringbuf::traits::{Consumer, Observer};

use crate::scale::MakeScaler;
use crate::spec::{FrameRate, check_shape};
use crate::thread::Precedence;
use crate::vp8::{Encoder, EncoderConfig};
use crate::{VideoError, thread};

/// A keyframe comes at least this often (spec §4.2.3), so that a receiver without one waits no longer.
const KEYFRAME_EVERY: Duration = Duration::from_secs(2);

/// Requests bring keyframes no oftener than this: each costs as much as ten other frames, and several peers that lose
/// the same frame ask for one keyframe, not for one each.
const KEYFRAME_GAP: Duration = Duration::from_millis(250);

/// How often the thread looks for a new picture. The ring it reads wakes nobody.
const POLL: Duration = Duration::from_millis(4);

/// How to send the live picture.
#[derive(Debug, Clone)]
pub struct LiveConfig {
    /// The moment that [`Frame::captured_at`] is counted from.
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
    /// Time spent on scaling and encoding, all frames together.
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
struct Stage {
    shared: Arc<Shared>,
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
    fn new(config: LiveConfig, shared: Arc<Shared>, sink: Box<dyn PacketSink>) -> Result<Self, VideoError> {
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
    fn note_shedding(&mut self) {
        let now = self.epoch.elapsed();
        if let Some(until) = self.shed_until.replace(now) {
            self.shared.shed_us.fetch_add(now.saturating_sub(until).as_micros() as u64, Relaxed);
        }
        if !self.shedding.is_on() {
            self.shed_until = None;
        }
    }

    fn frame(&mut self, frame: &Frame) {
        let is_seen = self.shared.sending.load(Relaxed) && self.shared.wanted.load(Relaxed);
        if !is_seen || self.shedding.is_on() {
            self.want_keyframe = true;
            return;
        }
        self.follow_fps();
        if !self.pacer.admit(frame.captured_at) {
            return;
        }
        let began = Instant::now();
        if let Err(error) = self.encode_and_send(frame) {
            // The rest of the call does not depend on this frame; the next one tries again.
            if self.shared.failed.fetch_add(1, Relaxed) == 0 {
                tracing::warn!(%error, "a live picture was lost");
            }
            self.want_keyframe = true;
        }
        self.shared.busy_us.fetch_add(began.elapsed().as_micros() as u64, Relaxed);
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
        self.follow()?;
        let since_keyframe = self.last_keyframe.map(|last| captured_at.saturating_sub(last));
        let may_ask = since_keyframe.is_none_or(|since| since >= KEYFRAME_GAP);
        if may_ask && self.shared.keyframe.swap(false, Relaxed) {
            self.want_keyframe = true;
        }
        self.want_keyframe |= since_keyframe.is_none_or(|since| since >= KEYFRAME_EVERY);

        let picture = self.scaler.scale(frame.shape, frame.data());
        let Some(packet) =
            self.encoder.encode(picture, captured_at.as_millis() as i64, self.want_keyframe)?
        else {
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
mod tests {
    use super::*;
    use crate::source::pattern::Pattern;
    use hyperzoom_media::FramePool;
    use hyperzoom_timing::SessionClock;
    use ringbuf::HeapRb;
    use ringbuf::traits::{Producer, Split};
    use std::sync::Mutex;

    const SHAPE: I420 = I420 { width: 320, height: 180 };

    #[derive(Clone, Default)]
    struct Sent(Arc<Mutex<Vec<(MediaKind, u32)>>>);

    impl PacketSink for Sent {
        fn send(&mut self, kind: MediaKind, timestamp_ms: u32, payload: &[u8]) {
            assert!(!payload.is_empty());
            self.0.lock().unwrap().push((kind, timestamp_ms));
        }

        fn skip(&mut self) {}
    }

    struct Bench {
        stage: Stage,
        sent: Sent,
        pool: FramePool,
        pattern: Pattern,
        next: u64,
    }

    impl Bench {
        fn new() -> Self {
            let clock = SharedClock::of(SessionClock { offset_ns: 5_000_000_000, ..SessionClock::IDENTITY });
            let config = LiveConfig { width: 320, height: 180, ..LiveConfig::new(Instant::now(), clock) };
            let sent = Sent::default();
            let shared = Arc::new(Shared::default());
            shared.sending.store(true, Relaxed);
            shared.wanted.store(true, Relaxed);
            Self {
                stage: Stage::new(config, shared, Box::new(sent.clone())).unwrap(),
                sent,
                pool: FramePool::new(SHAPE, 4),
                pattern: Pattern::new(SHAPE, FrameRate::THIRTY),
                next: 0,
            }
        }

        /// Feeds this many pictures of a 30 fps camera; returns what was sent for them.
        fn feed(&mut self, frames: u64) -> Vec<(MediaKind, u32)> {
            self.sent.0.lock().unwrap().clear();
            for n in self.next..self.next + frames {
                let at = FrameRate::THIRTY.due(n);
                let frame = self.pool.frame(at, n, |data| self.pattern.draw(n, at, data)).unwrap();
                self.stage.frame(&frame);
            }
            self.next += frames;
            self.sent.0.lock().unwrap().clone()
        }
    }

    fn keyframes(sent: &[(MediaKind, u32)]) -> Vec<u32> {
        sent.iter().filter(|(kind, _)| *kind == MediaKind::VideoKeyframe).map(|(_, time)| *time).collect()
    }

    #[test]
    fn thirty_frames_a_second_become_twenty_four_evenly() {
        let mut pacer = Pacer::new(FrameRate::new(24, 1).unwrap());
        let start = Duration::from_millis(77);
        let taken: Vec<u64> = (0..300).filter(|&n| pacer.admit(start + FrameRate::THIRTY.due(n))).collect();
        assert!((239..=241).contains(&taken.len()), "{} of 300", taken.len());
        let gaps: Vec<u64> = taken.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(gaps.iter().all(|gap| (1..=2).contains(gap)), "{gaps:?}");
        assert!(gaps.windows(2).all(|pair| pair != [2, 2]), "{gaps:?}");
    }

    #[test]
    fn a_pause_is_not_followed_by_a_burst() {
        let mut pacer = Pacer::new(FrameRate::new(24, 1).unwrap());
        assert!(pacer.admit(Duration::from_secs(1)));
        assert!(pacer.admit(Duration::from_secs(9)));
        assert!(!pacer.admit(Duration::from_secs(9) + Duration::from_millis(10)));
    }

    #[test]
    fn slower_cameras_lose_no_frame() {
        for fps in [15, 20, 24] {
            let rate = FrameRate::new(fps, 1).unwrap();
            let mut pacer = Pacer::new(FrameRate::new(24, 1).unwrap());
            assert!((0..200).all(|n| pacer.admit(rate.due(n))), "{fps} fps");
        }
    }

    #[test]
    fn timestamps_are_session_time() {
        let sent = Bench::new().feed(1);
        assert_eq!(sent, [(MediaKind::VideoKeyframe, 5_000)]);
    }

    #[test]
    fn a_keyframe_comes_every_two_seconds() {
        let sent = Bench::new().feed(30 * 7);
        let times = keyframes(&sent);
        assert_eq!(times[0], 5_000);
        assert!(times.windows(2).all(|pair| pair[1] - pair[0] <= 2_100), "{times:?}");
        assert!((4..=5).contains(&times.len()), "{times:?}");
    }

    #[test]
    fn a_requested_keyframe_comes_at_once_and_requests_do_not_add_up() {
        let mut bench = Bench::new();
        bench.feed(15);
        bench.stage.shared.keyframe.store(true, Relaxed);
        assert_eq!(keyframes(&bench.feed(3)).len(), 1);
        let mut more = 0;
        for _ in 0..30 {
            bench.stage.shared.keyframe.store(true, Relaxed);
            more += keyframes(&bench.feed(1)).len();
        }
        assert!((3..=4).contains(&more), "{more} keyframes in a second of requests");
    }

    #[test]
    fn nothing_is_encoded_while_the_recording_needs_the_computer_and_a_keyframe_follows() {
        let mut bench = Bench::new();
        bench.feed(10);
        let shedding = bench.stage.shedding.clone();
        shedding.set(true);
        bench.stage.note_shedding();
        let busy = bench.stage.shared.busy_us.load(Relaxed);
        assert!(bench.feed(30).is_empty());
        assert_eq!(bench.stage.shared.busy_us.load(Relaxed), busy, "no work was done");
        bench.stage.note_shedding();
        assert!(bench.stage.shared.shed_us.load(Relaxed) > 0);
        shedding.set(false);
        bench.stage.note_shedding();
        let shed = bench.stage.shared.shed_us.load(Relaxed);
        assert_eq!(bench.feed(2)[0].0, MediaKind::VideoKeyframe);
        bench.stage.note_shedding();
        assert_eq!(bench.stage.shared.shed_us.load(Relaxed), shed, "what comes after it is not counted");
    }

    #[test]
    fn sending_begins_with_a_keyframe_after_a_pause() {
        let mut bench = Bench::new();
        bench.feed(10);
        bench.stage.shared.sending.store(false, Relaxed);
        assert!(bench.feed(10).is_empty());
        bench.stage.shared.sending.store(true, Relaxed);
        assert_eq!(bench.feed(3)[0].0, MediaKind::VideoKeyframe);
    }

    #[test]
    fn nothing_is_encoded_while_nobody_would_see_it() {
        let mut bench = Bench::new();
        bench.feed(10);
        bench.stage.shared.wanted.store(false, Relaxed);
        assert!(bench.feed(10).is_empty());
        bench.stage.shared.wanted.store(true, Relaxed);
        assert_eq!(bench.feed(3)[0].0, MediaKind::VideoKeyframe);
    }

    #[test]
    fn fewer_frames_and_smaller_ones_are_sent_from_the_next_on() {
        let mut bench = Bench::new();
        assert_eq!(bench.feed(60).len(), 48);
        bench.stage.shared.fps.store(15, Relaxed);
        let sent = bench.feed(60);
        assert!((29..=31).contains(&sent.len()), "{} of 60", sent.len());
        bench.stage.shared.size.store(pack_size(160, 90).unwrap(), Relaxed);
        let sent = bench.feed(4);
        assert_eq!(sent[0].0, MediaKind::VideoKeyframe);
        assert_eq!(
            (bench.stage.shape, bench.stage.shared.failed.load(Relaxed)),
            (I420 { width: 160, height: 90 }, 0)
        );
        assert_eq!(bench.feed(10).iter().filter(|(kind, _)| *kind == MediaKind::VideoKeyframe).count(), 0);
    }

    #[test]
    fn only_the_newest_of_several_pictures_is_taken() {
        let pool = FramePool::new(SHAPE, 4);
        let (mut feed, mut tap) = HeapRb::new(4).split();
        for n in 0..3 {
            feed.try_push(pool.frame(Duration::ZERO, n, |_| ()).unwrap()).unwrap();
        }
        let shared = Shared::default();
        assert_eq!(newest(&mut tap, &shared).unwrap().index, 2);
        assert!(newest(&mut tap, &shared).is_none());
        assert_eq!(shared.skipped.load(Relaxed), 2);
    }

    #[test]
    fn a_rate_of_zero_is_an_error() {
        let config = LiveConfig { fps: 0, ..LiveConfig::new(Instant::now(), SharedClock::new()) };
        let tap = HeapRb::new(2).split().1;
        let error = start_live(config, tap, Box::new(Sent::default())).err().unwrap().to_string();
        assert!(error.contains("0 frames a second"), "{error}");
    }
}
