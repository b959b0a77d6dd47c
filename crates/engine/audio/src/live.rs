//! The live path's thread: one frame of the microphone at a time, encoded, sealed and sent without a hop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU16, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hyperzoom_media::{CaptureMark, MediaKind, MicTap, PacketSink, SAMPLE_RATE};
use hyperzoom_playout::{FrameSize, PlayoutConfig, Repair};
use hyperzoom_timing::SharedClock;

use crate::codec::{Encoder, MAX_PAYLOAD};
use crate::latency::{SendMeans, dither};
use crate::priority::{self, Refusal};

/// Seconds of microphone that may wait for the live thread. It normally waits for a frame; after a stall it catches up at once.
pub(crate) const LIVE_RING_SECONDS: f32 = 0.5;

/// How the live thread is told, and what it tells.
#[derive(Debug, Default)]
pub(crate) struct LiveShared {
    /// The microphone is not to be heard by the others.
    pub(crate) muted: AtomicBool,
    /// Nothing is to be sent at all.
    pub(crate) paused: AtomicBool,
    /// The thread is to end.
    pub(crate) stop: AtomicBool,
    /// Frames that were encoded and sent.
    pub(crate) sent: AtomicU64,
    /// Frames that were deliberately not sent.
    pub(crate) skipped: AtomicU64,
    /// Frames that libopus refused. Not one is expected.
    pub(crate) failed: AtomicU64,
    /// The longest that encoding and sending a frame took, in nanoseconds.
    pub(crate) slowest_ns: AtomicU64,
    /// How long encoding and sending took, all frames together, in nanoseconds.
    pub(crate) busy_ns: AtomicU64,
    /// Frames for which that was longer than they last.
    pub(crate) overruns: AtomicU64,
    /// The [`Repair`] of the next frames: its distances, a byte each.
    repair: AtomicU16,
    /// The [`FrameSize::code`] of the next frames.
    size: AtomicU8,
    /// What the thread adds to the way from mouth to ear.
    pub(crate) means: SendMeans,
}

impl LiveShared {
    pub(crate) fn set_repair(&self, repair: Repair) {
        self.repair.store(u16::from_le_bytes(repair.distances), Ordering::Relaxed);
    }

    pub(crate) fn set_size(&self, size: FrameSize) {
        self.size.store(size.code(), Ordering::Relaxed);
    }

    pub(crate) fn size(&self) -> FrameSize {
        FrameSize::from_code(self.size.load(Ordering::Relaxed)).unwrap_or_default()
    }

    fn repair(&self) -> Repair {
        Repair { distances: self.repair.load(Ordering::Relaxed).to_le_bytes() }
    }
}

/// The live thread's state.
pub(crate) struct Live {
    pub(crate) tap: MicTap,
    pub(crate) encoder: Encoder,
    /// The bitrate of frames of 5 ms.
    pub(crate) bitrate: u32,
    pub(crate) sink: Box<dyn PacketSink>,
    pub(crate) clock: SharedClock,
    /// The process's epoch, since which moments are told.
    pub(crate) epoch: Instant,
    pub(crate) shared: Arc<LiveShared>,
}

impl Live {
    /// Starts the thread. It sleeps until it is unparked.
    pub(crate) fn spawn(self, refusal: Refusal) -> std::io::Result<JoinHandle<()>> {
        std::thread::Builder::new().name("audio-live".into()).spawn(move || {
            priority::make_real_time(&refusal);
            let shared = self.shared.clone();
            let mut frames = Frames::new(self);
            while !shared.stop.load(Ordering::Relaxed) {
                if !frames.send_one() {
                    std::thread::park();
                }
            }
        })
    }
}

/// Cuts the microphone into frames and sends them.
pub(crate) struct Frames {
    live: Live,
    /// As much as the longest frame has.
    frame: [f32; PlayoutConfig::MAX_FRAME_SAMPLES],
    payload: [u8; MAX_PAYLOAD],
    /// The block that the last sample taken belongs to.
    mark: CaptureMark,
    /// The next sample, counted from the mark's first; from the block's length on it belongs to a later block.
    next: u32,
    gate: Gate,
    /// Frames so far.
    count: u64,
}

/// Whether the others hear the microphone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gate {
    Open,
    /// It has been muted, and the end of the last frame is still in the encoder, which is 2.5 ms late.
    Draining,
    Shut,
}

impl Frames {
    pub(crate) fn new(live: Live) -> Self {
        let frame = [0.0; PlayoutConfig::MAX_FRAME_SAMPLES];
        let mark = CaptureMark { sample_index: 0, len: 0, at: Duration::ZERO };
        Self { live, frame, payload: [0; MAX_PAYLOAD], mark, next: 0, gate: Gate::Shut, count: 0 }
    }

    /// Sends the next frame; false where there is none yet.
    pub(crate) fn send_one(&mut self) -> bool {
        let size = self.live.shared.size();
        if self.live.tap.available() < size.samples() {
            return false;
        }
        let began = Instant::now();
        let at = self.captured_at();
        let age = self.live.epoch.elapsed().saturating_sub(at);
        self.count += 1;
        let frame = &mut self.frame[..size.samples()];
        self.next += self.live.tap.read(frame) as u32;
        let shared = &*self.live.shared;
        let open = !shared.muted.load(Ordering::Relaxed) && !shared.paused.load(Ordering::Relaxed);
        // The frames at which the microphone is muted and opened are faded, so that it does not click.
        let gate = match (self.gate, open) {
            (Gate::Open, true) => Gate::Open,
            (_, true) => {
                fade(frame, |x| x);
                Gate::Open
            }
            (Gate::Open, false) => {
                fade(frame, |x| 1.0 - x);
                Gate::Draining
            }
            (Gate::Draining | Gate::Shut, false) => {
                frame.fill(0.0);
                Gate::Shut
            }
        };
        if (std::mem::replace(&mut self.gate, gate), gate) == (Gate::Shut, Gate::Shut) {
            self.live.encoder.skip();
            self.live.sink.skip();
            shared.skipped.fetch_add(1, Ordering::Relaxed);
            return true;
        }
        self.live.encoder.set_repair(shared.repair());
        let bitrate = i32::try_from(size.bitrate(self.live.bitrate)).unwrap_or(i32::MAX);
        let set = self.live.encoder.set_size(size, bitrate);
        match set.and_then(|()| self.live.encoder.encode(frame, &mut self.payload)) {
            Ok(len) => {
                let encoded = began.elapsed();
                let timestamp_ms = self.live.clock.get().session_ms(at + dither(self.count));
                self.live.sink.send(MediaKind::Audio, timestamp_ms, &self.payload[..len]);
                shared.means.capture.note_time(age);
                shared.means.encode.note_time(encoded);
                shared.means.send.note_time(began.elapsed().saturating_sub(encoded));
                shared.sent.fetch_add(1, Ordering::Relaxed);
            }
            Err(_) => {
                self.live.sink.skip();
                shared.failed.fetch_add(1, Ordering::Relaxed);
            }
        }
        let took = began.elapsed();
        shared.slowest_ns.fetch_max(took.as_nanos() as u64, Ordering::Relaxed);
        shared.busy_ns.fetch_add(took.as_nanos() as u64, Ordering::Relaxed);
        shared.overruns.fetch_add(u64::from(took > size.duration()), Ordering::Relaxed);
        true
    }

    /// When the next sample of the tap was captured.
    fn captured_at(&mut self) -> Duration {
        while self.next >= self.mark.len
            && let Some(mark) = self.live.tap.next_mark()
        {
            self.next -= self.mark.len;
            self.mark = mark;
        }
        let since = u64::from(self.next);
        self.mark.at + Duration::from_nanos(since * 1_000_000_000 / u64::from(SAMPLE_RATE))
    }
}

/// Multiplies the frame with a gain that is a function of the place in it, from 0 to 1.
fn fade(frame: &mut [f32], gain: impl Fn(f32) -> f32) {
    let len = frame.len() as f32;
    for (n, sample) in frame.iter_mut().enumerate() {
        *sample *= gain(n as f32 / len);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use hyperzoom_media::{MicFeed, mic_tap};
    use hyperzoom_playout::FrameDecoder;
    use hyperzoom_timing::SessionClock;

    use super::*;

    use crate::codec::Decoder;

    #[derive(Debug, Clone, PartialEq)]
    enum Sent {
        Packet(u32, Vec<u8>),
        Skipped,
    }

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<Sent>>>);

    impl PacketSink for Log {
        fn send(&mut self, kind: MediaKind, timestamp_ms: u32, payload: &[u8]) {
            assert_eq!(kind, MediaKind::Audio);
            self.0.lock().unwrap().push(Sent::Packet(timestamp_ms, payload.to_vec()));
        }

        fn skip(&mut self) {
            self.0.lock().unwrap().push(Sent::Skipped);
        }
    }

    struct Rig {
        frames: Frames,
        feed: MicFeed,
        log: Log,
        shared: Arc<LiveShared>,
    }

    fn rig(seconds: f32) -> Rig {
        let (feed, tap) = mic_tap(seconds);
        let (log, shared) = (Log::default(), Arc::new(LiveShared::default()));
        shared.set_size(FrameSize::Ms5);
        let frames = Frames::new(Live {
            tap,
            encoder: Encoder::new(FrameSize::Ms5, 32_000).unwrap(),
            bitrate: 32_000,
            sink: Box::new(log.clone()),
            clock: SharedClock::of(SessionClock::host(Duration::from_secs(1))),
            epoch: Instant::now(),
            shared: shared.clone(),
        });
        Rig { frames, feed, log, shared }
    }

    impl Rig {
        fn sent(&mut self) -> Vec<Sent> {
            while self.frames.send_one() {}
            std::mem::take(&mut *self.log.0.lock().unwrap())
        }
    }

    fn timestamps(sent: &[Sent]) -> Vec<u32> {
        sent.iter().filter_map(|sent| if let Sent::Packet(at, _) = sent { Some(*at) } else { None }).collect()
    }

    #[test]
    fn frames_carry_the_session_time_of_their_capture_whatever_the_devices_period() {
        let mut rig = rig(1.0);
        for period in 0..10_u64 {
            let at =
                Duration::from_millis(3000) + Duration::from_nanos(period * 441 * 1_000_000_000 / 48_000);
            assert_eq!(rig.feed.push(&[0.1; 441], at), 0);
        }
        let sent = rig.sent();
        let wanted: Vec<u32> = (0..18).map(|frame| 2000 + frame * 5).collect();
        assert_eq!(timestamps(&sent), wanted, "ten periods of 441 samples are 18 whole frames");
    }

    #[test]
    fn a_muted_microphone_fades_out_then_sends_nothing_and_keeps_counting() {
        let mut rig = rig(1.0);
        rig.feed.push(&[0.1; 480], Duration::from_secs(2));
        assert_eq!(timestamps(&rig.sent()).len(), 2);
        rig.shared.muted.store(true, Ordering::Relaxed);
        rig.feed.push(&[0.1; 960], Duration::from_secs(3));
        let sent = rig.sent();
        assert_eq!(timestamps(&sent), [2000, 2005], "the frame in which it fades, and the codec's tail");
        assert_eq!(sent[2..], [Sent::Skipped, Sent::Skipped]);
        rig.shared.muted.store(false, Ordering::Relaxed);
        rig.feed.push(&[0.1; 240], Duration::from_secs(4));
        assert_eq!(timestamps(&rig.sent()), [3000]);
    }

    #[test]
    fn muting_makes_no_click() {
        let mut rig = rig(1.0);
        let mut decoder = Decoder::new().unwrap();
        let mut heard = Vec::new();
        for frame in 0..40 {
            rig.shared.muted.store(frame >= 20, Ordering::Relaxed);
            let block: Vec<f32> = (0..240)
                .map(|n| 0.5 * ((frame * 240 + n) as f32 * std::f32::consts::TAU / 480.0).sin())
                .collect();
            rig.feed.push(&block, Duration::from_millis(frame as u64 * 5));
            for sent in rig.sent() {
                let mut out = [0.0; 240];
                if let Sent::Packet(_, payload) = sent {
                    assert!(decoder.decode(&payload, &mut out));
                }
                heard.extend(out);
            }
        }
        let step = heard.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f32::max);
        assert!(step < 0.05, "the greatest step between two samples is {step}; the sine's own is 0.007");
    }

    #[test]
    fn samples_that_the_ring_lost_do_not_shift_the_time_of_any_other() {
        let mut rig = rig(0.02); // 960 samples
        rig.feed.push(&[0.1; 720], Duration::from_secs(2));
        assert_eq!(rig.feed.push(&[0.1; 480], Duration::from_millis(2015)), 480);
        rig.feed.push(&[0.1; 240], Duration::from_millis(2025));
        assert_eq!(timestamps(&rig.sent()), [1000, 1005, 1010, 1025], "the loss is before the fourth frame");
        rig.feed.push(&[0.1; 120], Duration::from_millis(2030));
        assert_eq!(rig.feed.push(&[0.1; 960], Duration::from_micros(2_032_500)), 960);
        rig.feed.push(&[0.1; 360], Duration::from_micros(2_052_500));
        assert_eq!(timestamps(&rig.sent()), [1030, 1055], "the loss is in the middle of the first frame");
    }

    /// Sends nothing, without the heap.
    struct Void;

    impl PacketSink for Void {
        fn send(&mut self, _kind: MediaKind, _timestamp_ms: u32, _payload: &[u8]) {}
        fn skip(&mut self) {}
    }

    #[test]
    fn the_frames_length_changes_between_two_frames_and_no_sample_is_lost() {
        let mut rig = rig(1.0);
        let mut sizes = Vec::new();
        for (n, size) in
            [FrameSize::Ms5, FrameSize::Ms2_5, FrameSize::Ms10, FrameSize::Ms5].into_iter().enumerate()
        {
            rig.shared.set_size(size);
            rig.feed.push(&[0.1; 960], Duration::from_millis(2000 + 20 * n as u64));
            for sent in rig.sent() {
                let Sent::Packet(at, payload) = sent else { panic!("a frame was skipped") };
                sizes.push((at, payload[0]));
            }
        }
        let wanted = [1000, 1005, 1010, 1015]
            .map(|at| (at, 1))
            .into_iter()
            .chain([1020, 1022, 1025, 1027, 1030, 1032, 1035, 1037].map(|at| (at, 0)))
            .chain([1040, 1050].map(|at| (at, 2)))
            .chain([1060, 1065, 1070, 1075].map(|at| (at, 1)))
            .collect::<Vec<_>>();
        assert_eq!(sizes.len(), wanted.len());
        for ((at, size), wanted) in sizes.into_iter().zip(wanted) {
            // Half milliseconds are cut off or not, as they are dithered.
            assert!(
                (wanted.0..=wanted.0 + 1).contains(&at) && size == wanted.1,
                "{at}, {size}, not {wanted:?}"
            );
        }
    }

    #[test]
    fn copies_are_sent_while_they_are_asked_for() {
        let mut rig = rig(1.0);
        let mut lens = |repair: Repair| {
            rig.shared.set_repair(repair);
            rig.feed.push(&[0.1; 960], Duration::from_secs(2));
            let of = |sent| if let Sent::Packet(_, payload) = sent { payload.len() } else { 0 };
            rig.sent().into_iter().map(of).collect::<Vec<_>>()
        };
        assert_eq!(lens(Repair::NONE), [21; 4]);
        assert_eq!(lens(Repair { distances: [1, 3] }), [63; 4]);
        assert_eq!(lens(Repair::NONE), [21; 4]);
    }

    #[test]
    fn encoding_copying_and_muting_do_not_touch_the_heap() {
        let mut rig = rig(1.0);
        rig.frames.live.sink = Box::new(Void);
        for n in 0..200_u64 {
            rig.feed.push(&[0.1; 240], Duration::from_millis(n * 5));
            rig.shared.muted.store((100..150).contains(&n), Ordering::Relaxed);
            rig.shared.set_repair(Repair { distances: [(n % 4) as u8, (n / 4 % 8) as u8] });
            rig.shared.set_size(FrameSize::ALL[n as usize / 40 % 2]);
            assert_eq!(crate::heap_use::heap_calls(|| assert!(rig.frames.send_one())), 0, "frame {n}");
        }
    }
}
