//! Who gets a camera's pictures.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use hyperzoom_media::FrameRef;
use ringbuf::HeapProd;
use ringbuf::traits::{Observer, Producer};

/// What became of a camera's pictures so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CameraCounts {
    /// Pictures that were captured and offered to every tap.
    pub captured: u64,
    /// Pictures that came and went while the machine was too busy to take them (over 250 ms late). A camera that is plugged in has none: its
    /// driver does not tell.
    pub missed: u64,
    /// Pictures that a full recording tap, or a pool without a free buffer, lost. In a good recording it is 0.
    pub dropped: u64,
    /// Pictures that the live path did not get: it was busy, or the recording came first.
    pub live_skipped: u64,
    /// Pictures that came damaged from the camera, and were passed over.
    pub damaged: u64,
}

#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) captured: AtomicU64,
    pub(crate) missed: AtomicU64,
    pub(crate) dropped: AtomicU64,
    pub(crate) live_skipped: AtomicU64,
    pub(crate) damaged: AtomicU64,
}

impl Counters {
    pub(crate) fn read(&self) -> CameraCounts {
        let Self { captured, missed, dropped, live_skipped, damaged } = self;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        CameraCounts {
            captured: read(captured),
            missed: read(missed),
            dropped: read(dropped),
            live_skipped: read(live_skipped),
            damaged: read(damaged),
        }
    }

    pub(crate) fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// One consumer.
pub(crate) enum Tap {
    /// Wants the newest.
    Live(HeapProd<FrameRef>),
    /// Wants every one.
    Record(HeapProd<FrameRef>),
}

/// Nobody can take a tap any more: the camera is to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stopped;

/// All consumers, at the thread that feeds them. Dropping it closes every tap, and those that are taken from then on.
pub(crate) struct Taps {
    arrivals: Receiver<Tap>,
    live: Vec<HeapProd<FrameRef>>,
    record: Vec<HeapProd<FrameRef>>,
    counters: Arc<Counters>,
}

impl Taps {
    pub(crate) fn new(arrivals: Receiver<Tap>, counters: Arc<Counters>) -> Self {
        Self { arrivals, live: Vec::new(), record: Vec::new(), counters }
    }

    /// Waits for this long and connects a tap that comes meanwhile; whether one came.
    pub(crate) fn wait(&mut self, pause: Duration) -> Result<bool, Stopped> {
        match self.arrivals.recv_timeout(pause) {
            Ok(tap) => {
                match tap {
                    Tap::Live(feed) => self.live.push(feed),
                    Tap::Record(feed) => self.record.push(feed),
                }
                Ok(true)
            }
            Err(RecvTimeoutError::Timeout) => Ok(false),
            Err(RecvTimeoutError::Disconnected) => Err(Stopped),
        }
    }

    /// Connects the taps that have come.
    pub(crate) fn connect(&mut self) -> Result<(), Stopped> {
        while self.wait(Duration::ZERO)? {}
        Ok(())
    }

    /// The recording comes first: a tap of it that is over half full means the machine cannot follow, and then the live
    /// path gets nothing until it is better.
    pub(crate) fn offer(&mut self, frame: &FrameRef) {
        self.record.retain(Observer::read_is_held);
        self.live.retain(Observer::read_is_held);
        let mut pressed = false;
        for tap in &mut self.record {
            if tap.try_push(frame.clone()).is_err() {
                Counters::count(&self.counters.dropped);
            }
            // A ring of one or two is never half empty; it says nothing about pressure.
            pressed |= tap.capacity().get() > 2 && tap.occupied_len() * 2 > tap.capacity().get();
        }
        for tap in &mut self.live {
            if pressed || tap.try_push(frame.clone()).is_err() {
                Counters::count(&self.counters.live_skipped);
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn consumers(&self) -> usize {
        self.live.len() + self.record.len()
    }
}
