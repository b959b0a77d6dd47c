//! A source that has its pictures whenever they are asked for, on an absolute schedule: the pattern and files.

use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use hyperzoom_media::FramePool;
use ringbuf::traits::{Producer, Split};
use ringbuf::{HeapProd, HeapRb};

use super::{Camera, CameraEvent, CameraEvents, CameraThread, Pulse, pool};
use crate::VideoError;
use crate::source::PictureSource;
use crate::spec::FrameRate;
use crate::taps::{Counters, Stopped, Taps};

/// How far the thread may lag and still deliver every picture. Beyond it, the oldest are passed over.
const CATCH_UP: Duration = Duration::from_millis(250);

pub(super) fn start(
    source: Box<dyn PictureSource>,
    epoch: Instant,
) -> Result<(Camera, CameraEvents), VideoError> {
    let (shape, rate, describe) = (source.shape(), source.rate(), source.describe());
    let (counters, pulse) = (Arc::new(Counters::default()), Arc::new(Pulse::new(epoch)));
    let (taps, new_taps) = mpsc::channel();
    // One warning of a file and one failure are all that a camera has to say.
    let (events, events_out) = HeapRb::new(4).split();
    let worker = Worker {
        source,
        epoch,
        pool: pool(shape),
        taps: Taps::new(new_taps, counters.clone()),
        counters: counters.clone(),
        pulse: pulse.clone(),
        events,
    };
    tracing::debug!(camera = %describe, "camera starts");
    let thread = CameraThread::spawn(move || worker.run())?;
    let camera = Camera { shape, rate, describe, counters, pulse, taps: Some(taps), thread: Some(thread) };
    Ok((camera, CameraEvents::new(events_out)))
}

/// Which picture of a fixed rate is next, and how many are past hope.
#[derive(Debug, Clone, Copy)]
struct Schedule {
    start: Duration,
    rate: FrameRate,
    next: u64,
}

impl Schedule {
    fn due(&self) -> Duration {
        self.start + self.rate.due(self.next)
    }

    /// How many pictures are so late that they are passed over. They are over afterwards.
    fn pass_over(&mut self, now: Duration) -> u64 {
        let Some(horizon) = now.checked_sub(self.start + CATCH_UP) else { return 0 };
        let late = (self.rate.latest_due(horizon) + 1).saturating_sub(self.next);
        self.next += late;
        late
    }
}

struct Worker {
    source: Box<dyn PictureSource>,
    epoch: Instant,
    pool: FramePool,
    taps: Taps,
    counters: Arc<Counters>,
    pulse: Arc<Pulse>,
    events: HeapProd<CameraEvent>,
}

impl Worker {
    fn run(mut self) {
        if let Err(error) = self.capture() {
            tracing::warn!(%error, "the camera has stopped");
            self.pulse.set_lost(true);
            // Whoever reads the event finds every tap closed, those taken from now on too.
            drop(self.taps);
            let _ = self.events.try_push(CameraEvent::Failed(error));
        }
    }

    fn capture(&mut self) -> Result<(), VideoError> {
        let mut schedule = Schedule { start: self.epoch.elapsed(), rate: self.source.rate(), next: 0 };
        let mut index = 0;
        loop {
            // Waiting for taps is the pause between pictures, so a tap is connected at once and a stop needs no flag.
            let wait = schedule.due().saturating_sub(self.epoch.elapsed());
            match self.taps.wait(wait) {
                Ok(true) => {}
                Err(Stopped) => return Ok(()),
                Ok(false) => {
                    let late = schedule.pass_over(self.epoch.elapsed());
                    for _ in 0..late {
                        self.source.skip()?;
                        Counters::count(&self.counters.missed);
                    }
                    self.picture(index, schedule.next, schedule.due())?;
                    schedule.next += 1;
                    index += 1;
                }
            }
        }
    }

    fn picture(&mut self, index: u64, slot: u64, at: Duration) -> Result<(), VideoError> {
        let Self { source, pool, .. } = self;
        let mut filled = Ok(());
        let frame = pool.frame(at, index, |data| filled = source.fill(slot, at, data));
        filled?;
        match frame {
            Ok(frame) => {
                Counters::count(&self.counters.captured);
                self.pulse.beat();
                self.taps.offer(&frame);
            }
            Err(hyperzoom_media::PoolEmpty) => {
                self.source.skip()?;
                Counters::count(&self.counters.dropped);
            }
        }
        if let Some(event) = self.source.warning() {
            let _ = self.events.try_push(event);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
