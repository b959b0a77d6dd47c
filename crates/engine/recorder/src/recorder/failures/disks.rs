//! Disks that refuse a call, stall, or fill up.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use super::*;

/// A file that refuses one call (a write or a sync, counted together), or that one and all after it.
struct Refusing {
    inner: FileStore,
    calls: Arc<AtomicUsize>,
    refuses: usize,
    for_good: bool,
}

impl Refusing {
    fn call(&self) -> io::Result<()> {
        let number = self.calls.fetch_add(1, Ordering::AcqRel);
        let refused = if self.for_good { number >= self.refuses } else { number == self.refuses };
        if refused { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
}

impl Store for Refusing {
    fn write_at(&mut self, offset: u64, data: &[u8]) -> io::Result<()> {
        if let Err(error) = self.call() {
            // A full disk takes the beginning of what it is given, but nothing of what is within one sector.
            if data.len() > 512 {
                self.inner.write_at(offset, &data[..data.len() / 2])?;
            }
            return Err(error);
        }
        self.inner.write_at(offset, data)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.call()?;
        self.inner.sync()
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.inner.truncate(len)
    }
}

/// The calls before the first fragment: the head's write and sync.
const HEAD_CALLS: usize = 2;

#[test]
fn a_disk_that_refuses_any_one_call_leaves_what_plays_and_a_report_that_adds_up() {
    for for_good in [false, true] {
        let mut refused_all = false;
        for refuses in 0..100 {
            let calls = Arc::new(AtomicUsize::new(0));
            let (video, audio) = healthy();
            let counted = calls.clone();
            let rig =
                rig_on(video, audio, |inner| Box::new(Refusing { inner, calls: counted, refuses, for_good }));
            let mut rig = match rig {
                Ok(rig) => rig,
                Err(error) => {
                    assert!(refuses < HEAD_CALLS, "call {refuses}: {error}");
                    assert!(error.to_string().contains("full"), "{error}");
                    continue;
                }
            };
            assert!(refuses >= HEAD_CALLS);
            rig.recorder.stop_at(Some(tick_time_ns(rig.recorder.start_tick() + 90)));
            let done = std::iter::from_fn(|| rig.told.wait(LONG))
                .find(|it| matches!(it, RecorderEvent::Finished(_)));
            let Some(RecorderEvent::Finished(report)) = done else { panic!("call {refuses}: no end") };
            adds_up(&report);
            if calls.load(Ordering::Acquire) <= refuses {
                assert!(report.complete && report.ticks == 90, "{report:?}");
                refused_all = true;
                break;
            }
            assert!(!report.complete, "call {refuses} {for_good}: {report:?}");
            assert!(report.error.as_ref().is_some_and(|it| it.contains("full")), "{report:?}");
            let verdict = verify(rig.folder.path());
            let verdict = verdict.unwrap_or_else(|error| panic!("call {refuses} {for_good}: {error}"));
            assert_eq!(verdict.pictures, report.ticks, "call {refuses} {for_good}");
            if report.ticks > 0 {
                plays(rig.folder.path());
            }
            assert!(noted(rig.folder.path()).contains("full"));
            assert!(!rig.folder.path().join(crate::space::RESERVE).exists());
        }
        assert!(refused_all, "the take has more calls than were tried");
    }
}

#[test]
fn a_disk_that_stalls_and_comes_back_loses_nothing_and_is_named_in_the_report() {
    let (video, audio) = healthy();
    let (gate, trouble) = stall();
    let rig = rig(video, audio, write_of_fragment(1), trouble);
    rig.recorder.stop_at(Some(tick_time_ns(rig.recorder.start_tick() + 120)));
    gate.stalled.recv().unwrap();
    let since = Instant::now();
    // Three seconds of the take come in while the disk stands still.
    let queued = || lock(&rig.recorder.shared.pictures).counts(u64::MAX, u64::MAX).written;
    while queued() < 120 {
        std::thread::yield_now();
    }
    assert_eq!(rig.recorder.progress().fragments, 1);
    let stalled = since.elapsed();
    drop(gate);
    let report = rig.recorder.finish(LONG);
    assert!(report.complete && report.error.is_none(), "{report:?}");
    assert_eq!((report.ticks, report.video.written, report.video.dropped), (120, 120, 0));
    assert_eq!((report.audio.written, report.audio.dropped), (120 * 1600, 0));
    assert!(
        report.pressure.slowest_write_ms >= (stalled.as_micros() / 1000) as f64,
        "{report:?} {stalled:?}"
    );
    plays(rig.folder.path());
}
