use std::sync::atomic::Ordering;

use hyperzoom_media::{FrameRef, I420};
use proptest::prelude::*;
use ringbuf::traits::{Consumer, Observer};

use super::super::{CameraConfig, LIVE_RING, start_camera};
use super::*;
use crate::source::pattern::{Pattern, read_stamp};
use crate::spec::CameraSpec;
use crate::taps::Tap;
use crate::thread::wait_for;

const SHAPE: I420 = I420 { width: 320, height: 240 };

fn camera(spec: &str) -> (Camera, CameraEvents) {
    start_camera(CameraConfig { epoch: Instant::now(), spec: spec.parse().unwrap() }).unwrap()
}

/// A worker that nobody runs, and who can take its taps.
fn worker() -> (Worker, mpsc::Sender<Tap>) {
    let (taps, new_taps) = mpsc::channel();
    let (epoch, counters) = (Instant::now(), Arc::<Counters>::default());
    let worker = Worker {
        source: Box::new(Pattern::new(SHAPE, FrameRate::THIRTY)),
        epoch,
        pool: FramePool::new(SHAPE, 8),
        taps: Taps::new(new_taps, counters.clone()),
        counters,
        pulse: Arc::new(Pulse::new(epoch)),
        events: HeapRb::new(4).split().0,
    };
    (worker, taps)
}

#[test]
fn pictures_are_stamped_by_an_absolute_schedule_at_30_fps() {
    let (camera, _events) = camera("pattern:320x240@30");
    let mut tap = camera.record_tap(200);
    let frames: Vec<FrameRef> = (0..12).map(|_| wait_for(|| tap.try_pop())).collect();
    let stamps: Vec<_> =
        frames.iter().map(|frame| read_stamp(frame.shape, frame.planes()[0]).unwrap()).collect();
    let slot = |n: usize| stamps[n].counter;
    let start = frames[0].captured_at - FrameRate::THIRTY.due(slot(0));
    for (n, frame) in frames.iter().enumerate() {
        assert_eq!(frame.captured_at, start + FrameRate::THIRTY.due(slot(n)), "picture {n}");
        assert_eq!(frame.index, frames[0].index + n as u64, "no picture is lost");
        assert_eq!(stamps[n].time.as_millis(), frame.captured_at.as_millis());
    }
    assert!(camera.counts().captured >= 12);
    assert_eq!(camera.counts().dropped, 0);
}

#[test]
fn no_camera_is_an_error_that_says_so() {
    let error = start_camera(CameraConfig { epoch: Instant::now(), spec: CameraSpec::None });
    assert!(matches!(error, Err(VideoError::NoCamera)));
}

#[test]
fn a_file_is_played_and_its_damage_reported() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut bytes = b"YUV4MPEG2 W64 H64 F60:1\n".to_vec();
    for n in 1..=2 {
        bytes.extend(b"FRAME\n");
        bytes.extend([n; 64 * 64 * 3 / 2]);
    }
    bytes.extend(b"GARBAGE\n");
    std::fs::write(file.path(), bytes).unwrap();
    let (camera, mut events) = camera(&format!("file:{}", file.path().display()));
    let event = wait_for(|| events.try_next());
    let CameraEvent::Failed(error) = event else { panic!("{event:?}") };
    assert!(error.to_string().contains("picture 3"), "{error}");
    let counts = camera.counts();
    assert_eq!(counts.captured + counts.missed, 2, "a busy machine may have passed over one");
    let tap = camera.live_tap();
    assert!(!tap.write_is_held(), "a tap of a camera that has failed is closed");
}

#[test]
fn a_recording_that_falls_behind_takes_the_pictures_from_the_live_path() {
    let (mut worker, taps) = worker();
    let (record, _recorder) = HeapRb::new(4).split();
    let (live, mut viewer) = HeapRb::new(LIVE_RING).split();
    taps.send(Tap::Record(record)).unwrap();
    worker.taps.connect().unwrap();
    taps.send(Tap::Live(live)).unwrap();
    worker.taps.connect().unwrap();
    for n in 0..5 {
        worker.picture(n, n, Duration::ZERO).unwrap();
        viewer.clear();
    }
    let counters = &worker.counters;
    assert_eq!(
        counters.live_skipped.load(Ordering::Relaxed),
        3,
        "from the third on the ring is over half full"
    );
    assert_eq!(counters.dropped.load(Ordering::Relaxed), 1, "the fifth found it full");
}

#[test]
fn a_live_path_that_stands_still_costs_the_recording_nothing() {
    let (mut worker, taps) = worker();
    let (record, mut recorder) = HeapRb::new(4).split();
    let (live, _stuck) = HeapRb::new(LIVE_RING).split();
    taps.send(Tap::Record(record)).unwrap();
    worker.taps.connect().unwrap();
    taps.send(Tap::Live(live)).unwrap();
    worker.taps.connect().unwrap();
    for n in 0..100 {
        worker.picture(n, n, Duration::ZERO).unwrap();
        assert_eq!(recorder.try_pop().unwrap().index, n);
    }
    assert_eq!(worker.counters.dropped.load(Ordering::Relaxed), 0);
    assert_eq!(worker.counters.live_skipped.load(Ordering::Relaxed), 98);
}

#[test]
fn consumers_that_keep_everything_cost_pictures_and_not_memory() {
    let (mut worker, taps) = worker();
    let (record, recorder) = HeapRb::new(100).split();
    taps.send(Tap::Record(record)).unwrap();
    worker.taps.connect().unwrap();
    for n in 0..20 {
        worker.picture(n, n, Duration::ZERO).unwrap();
    }
    assert_eq!(recorder.occupied_len(), 8, "the pool's size");
    assert_eq!(worker.counters.dropped.load(Ordering::Relaxed), 12);
}

#[test]
fn a_dropped_consumer_ends_its_tap() {
    let (mut worker, taps) = worker();
    let (record, recorder) = HeapRb::new(4).split();
    taps.send(Tap::Record(record)).unwrap();
    worker.taps.connect().unwrap();
    drop(recorder);
    worker.picture(0, 0, Duration::ZERO).unwrap();
    assert_eq!(worker.taps.consumers(), 0);
    assert_eq!(worker.counters.dropped.load(Ordering::Relaxed), 0);
}

proptest! {
    #[test]
    fn a_late_thread_catches_up_and_a_very_late_one_passes_over(late_ms in 0u64..10_000, next in 0u64..1_000_000) {
        let start = Duration::from_millis(123);
        let mut schedule = Schedule { start, rate: FrameRate::THIRTY, next };
        let now = schedule.due() + Duration::from_millis(late_ms);
        let passed = schedule.pass_over(now);
        prop_assert_eq!(schedule.next, next + passed);
        prop_assert!(schedule.due() + CATCH_UP > now, "what is next is recent enough");
        if passed > 0 {
            schedule.next -= 1;
            prop_assert!(schedule.due() + CATCH_UP <= now, "no picture was passed over without need");
        }
    }
}
