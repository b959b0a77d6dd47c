//! What the microphone's callback does with its samples: two rings, live and recording, and the meter.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::Thread;

use hyperzoom_media::MicFeed;
use ringbuf::traits::{Consumer, Observer, Producer};
use ringbuf::{HeapCons, HeapProd};

use crate::convert::{Captured, Hear};
use crate::meter::Level;

/// The most consumers beside the live path: a recording, its untouched copy, and a meter or two.
pub(crate) const MAX_TAPS: usize = 4;

/// What the microphone delivered since the start.
#[derive(Debug, Default)]
pub(crate) struct CaptureCounts {
    /// Calls of the device; a watchdog sees by it that the device lives.
    pub(crate) blocks: AtomicU64,
    /// Calls that brought anything but zeros.
    pub(crate) heard: AtomicU64,
    /// Samples at 48 kHz.
    pub(crate) samples: AtomicU64,
    /// Samples that the live ring had no room for.
    pub(crate) lost_live: AtomicU64,
    /// Samples that a recording's ring had no room for.
    pub(crate) lost_taps: AtomicU64,
}

/// The receiver of a microphone's samples, owned by whatever thread delivers them. Never blocks, allocates or frees.
pub(crate) struct Capture {
    live: MicFeed,
    live_thread: Thread,
    taps: [Option<MicFeed>; MAX_TAPS],
    new_taps: HeapCons<MicFeed>,
    retired: HeapProd<MicFeed>,
    level: Level,
    counts: Arc<CaptureCounts>,
}

impl Capture {
    /// `new_taps` brings consumers, `retired` takes those away whose other end has gone. `live_thread` is woken for each block.
    pub(crate) fn new(
        live: MicFeed,
        live_thread: Thread,
        new_taps: HeapCons<MicFeed>,
        retired: HeapProd<MicFeed>,
        level: Level,
        counts: Arc<CaptureCounts>,
    ) -> Self {
        Self { live, live_thread, taps: [const { None }; MAX_TAPS], new_taps, retired, level, counts }
    }

    fn change_taps(&mut self) {
        for slot in &mut self.taps {
            // A full ring keeps the dead tap here until there is room; it costs nothing but its place.
            if slot.as_ref().is_some_and(MicFeed::is_closed)
                && !self.retired.is_full()
                && let Some(dead) = slot.take()
            {
                let _ = self.retired.try_push(dead);
            }
            if slot.is_none() {
                *slot = self.new_taps.try_pop();
            }
        }
    }
}

impl Hear for Capture {
    fn hear(&mut self, block: &[f32], at: Captured) {
        self.change_taps();
        // A recorder has the time to find out by itself what was late, and must see at once where the device stood still.
        let lost: usize = self.taps.iter_mut().flatten().map(|tap| tap.push(block, at.told)).sum();
        let lost_live = self.live.push(block, at.counted);
        self.live_thread.unpark();
        self.level.note(block);
        let counts = &self.counts;
        counts.blocks.fetch_add(1, Ordering::Relaxed);
        let heard = block.iter().any(|sample| *sample != 0.0);
        counts.heard.fetch_add(u64::from(heard), Ordering::Relaxed);
        counts.samples.fetch_add(block.len() as u64, Ordering::Relaxed);
        counts.lost_live.fetch_add(lost_live as u64, Ordering::Relaxed);
        counts.lost_taps.fetch_add(lost as u64, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hyperzoom_media::{MicTap, mic_tap};
    use ringbuf::HeapRb;
    use ringbuf::traits::Split;

    use super::*;

    const NOW: Captured = Captured { told: Duration::ZERO, counted: Duration::ZERO };

    struct Rig {
        capture: Capture,
        live: MicTap,
        add: HeapProd<MicFeed>,
        retired: HeapCons<MicFeed>,
        level: Level,
        counts: Arc<CaptureCounts>,
    }

    fn rig() -> Rig {
        let (feed, live) = mic_tap(0.1);
        let (add, new_taps) = HeapRb::new(MAX_TAPS).split();
        let (retire, retired) = HeapRb::new(1).split();
        let (level, counts) = (Level::default(), Arc::new(CaptureCounts::default()));
        let capture =
            Capture::new(feed, std::thread::current(), new_taps, retire, level.clone(), counts.clone());
        Rig { capture, live, add, retired, level, counts }
    }

    #[test]
    fn every_tap_hears_what_the_live_path_hears() {
        let mut rig = rig();
        let (feed, mut tap) = mic_tap(0.1);
        rig.add.try_push(feed).ok().unwrap();
        let (told, counted) = (Duration::from_millis(4), Duration::from_millis(3));
        rig.capture.hear(&[0.5, -0.75], Captured { told, counted });
        let mut out = [0.0; 4];
        assert_eq!(rig.live.next_mark().unwrap().at, counted);
        assert_eq!((rig.live.read(&mut out), out[1]), (2, -0.75));
        assert_eq!((tap.read(&mut out), out[0]), (2, 0.5));
        assert_eq!(tap.next_mark().unwrap().at, told, "a tap gets the callback's own moment");
        assert_eq!(rig.level.take_peak(), 0.75);
        assert_eq!(rig.counts.samples.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn a_tap_that_nobody_reads_any_more_is_handed_back_rather_than_dropped() {
        let mut rig = rig();
        for _ in 0..2 {
            rig.add.try_push(mic_tap(0.1).0).ok().unwrap();
        }
        rig.capture.hear(&[0.0], NOW);
        rig.capture.hear(&[0.0], NOW);
        assert!(rig.retired.try_pop().is_some(), "the first is back");
        assert!(rig.retired.try_pop().is_none(), "the second waits for room");
        rig.capture.hear(&[0.0], NOW);
        assert!(rig.retired.try_pop().is_some());
    }

    #[test]
    fn a_slow_reader_loses_and_the_others_do_not() {
        let mut rig = rig();
        let (feed, _slow) = mic_tap(0.001);
        rig.add.try_push(feed).ok().unwrap();
        rig.capture.hear(&[0.0; 40], NOW);
        rig.capture.hear(&[0.0; 40], NOW);
        assert_eq!(rig.counts.lost_taps.load(Ordering::Relaxed), 40);
        assert_eq!(rig.counts.lost_live.load(Ordering::Relaxed), 0);
        assert_eq!(rig.live.available(), 80);
    }

    #[test]
    fn hearing_does_not_touch_the_heap() {
        let mut rig = rig();
        let (taps, feeds): (Vec<_>, Vec<_>) =
            (0..2).map(|_| mic_tap(0.01)).map(|(feed, tap)| (tap, feed)).unzip();
        feeds.into_iter().for_each(|feed| rig.add.try_push(feed).ok().unwrap());
        let mut taps = Some(taps);
        for n in 0..100 {
            if n == 50 {
                taps = None;
            }
            let calls = crate::heap_use::heap_calls(|| rig.capture.hear(&[0.1; 120], NOW));
            assert_eq!(calls, 0, "block {n}");
        }
        assert!(taps.is_none() && rig.retired.try_pop().is_some());
    }
}
