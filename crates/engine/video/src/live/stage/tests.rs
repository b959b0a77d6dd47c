use std::sync::Mutex;

use hyperzoom_media::FramePool;
use hyperzoom_timing::SessionClock;
use ringbuf::HeapRb;
use ringbuf::traits::{Producer, Split};

use super::super::{newest, start_live};
use super::*;
use crate::source::pattern::Pattern;

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

/// A sink that notes how long the stage says that it was busy.
struct Clerk(Arc<Shared>, Arc<Mutex<Vec<u64>>>);

impl PacketSink for Clerk {
    fn send(&mut self, _: MediaKind, _: u32, _: &[u8]) {
        self.1.lock().unwrap().push(self.0.busy_us.load(Relaxed));
    }

    fn skip(&mut self) {}
}

#[test]
fn what_sending_takes_is_not_counted_as_work() {
    let mut bench = Bench::new();
    let (shared, noted) = (bench.stage.shared.clone(), Arc::<Mutex<Vec<u64>>>::default());
    bench.stage.sink = Box::new(Clerk(shared.clone(), noted.clone()));
    bench.feed(1);
    let busy = shared.busy_us.load(Relaxed);
    assert!(busy > 0);
    assert_eq!(*noted.lock().unwrap(), [busy], "all of it before the frame was sent, and nothing after");
}
