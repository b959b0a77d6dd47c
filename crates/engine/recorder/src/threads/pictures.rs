//! Pictures: from the camera's ring, one a tick, through the encoder, to the disk's queue.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Instant;

use hyperzoom_media::{FrameRef, I420};
use ringbuf::HeapCons;
use ringbuf::traits::{Consumer, Observer};

use super::NAP;
use crate::cfr::{ConstantRate, Tick};
use crate::encode::{Effort, VideoEncoder};
use crate::error::EncodeError;
use crate::shared::{DiskQueue, Shared, lock};

pub(crate) struct Pictures {
    pub(crate) shared: Arc<Shared>,
    pub(crate) frames: HeapCons<FrameRef>,
    pub(crate) shape: I420,
    pub(crate) encoder: Box<dyn VideoEncoder>,
    pub(crate) disk: DiskQueue,
}

impl Pictures {
    /// Runs until the take's last tick is encoded, or the recording has failed.
    pub(crate) fn run(mut self) {
        let mut rate = ConstantRate::new(self.shared.start_tick);
        let mut intake = Intake::default();
        let black = black(self.shape);
        let mut effort = Effort::Full;
        while !self.shared.has_failed() && self.shared.end_tick().is_none_or(|end| rate.next_tick() < end) {
            self.watch_ring(&mut effort);
            self.take_in(&mut intake, &mut rate);
            let Some(tick) = rate.poll(self.shared.now_ns()) else {
                thread::sleep(NAP);
                continue;
            };
            lock(&self.shared.pictures).push(tick.entry);
            if let Err(error) = self.encode(&tick, &black) {
                self.shared
                    .fail(format!("{error}. The recording has ended; what was written stays playable."));
            }
        }
        if !self.shared.has_failed()
            && let Err(error) = self.encoder.finish().and_then(|()| self.forward())
        {
            self.shared.fail(format!("{error}. The last pictures are lost."));
        }
    }

    /// Moves pictures from the ring to `rate`.
    fn take_in(&mut self, intake: &mut Intake, rate: &mut ConstantRate<FrameRef>) {
        // No more than the tick needs: the backlog stays in the ring, whose fill is what tells of trouble.
        while !rate.is_settled() {
            let Some(frame) = self.frames.try_pop() else { break };
            // The source counts its pictures: what is missing did not fit into the ring.
            let lost = intake.expected.map_or(0, |expected| frame.index.saturating_sub(expected));
            intake.expected = Some(frame.index + 1);
            if lost > 0 {
                // Which it was, whoever looked.
                self.shared.picture_ring.set(1, 1);
                self.shared.press();
            }
            if frame.shape == self.shape {
                rate.push(self.shared.session_ns(frame.captured_at), lost, frame);
            } else if !std::mem::replace(&mut intake.reshaped, true) {
                self.shared.warn(format!(
                    "The camera changed its picture to {}x{} while recording {}x{}: the last picture stands still.",
                    frame.shape.width, frame.shape.height, self.shape.width, self.shape.height
                ));
            }
        }
    }

    fn encode(&mut self, tick: &Tick<FrameRef>, black: &[u8]) -> Result<(), EncodeError> {
        let began = Instant::now();
        let picture = tick.picture.as_ref().map_or(black, |frame| frame.data());
        self.encoder.submit(tick.tick - self.shared.start_tick, picture)?;
        self.forward()?;
        let took = began.elapsed().as_micros() as u64;
        self.shared.slowest_picture_us.fetch_max(took, Ordering::Relaxed);
        Ok(())
    }

    fn forward(&mut self) -> Result<(), EncodeError> {
        while let Some(picture) = self.encoder.poll()? {
            self.disk.picture(picture);
        }
        Ok(())
    }

    /// Notes how full the ring is, and has the encoder try as hard as that allows.
    fn watch_ring(&mut self, effort: &mut Effort) {
        self.shared.picture_ring.set(self.frames.occupied_len() as u64, self.frames.capacity().get() as u64);
        let wanted = self.shared.press();
        if std::mem::replace(effort, wanted) != wanted {
            let able = self.encoder.set_effort(wanted);
            tracing::debug!(?wanted, able, "the video encoder's effort");
        }
    }
}

/// What is known of the camera's pictures.
#[derive(Default)]
struct Intake {
    /// The next picture's number.
    expected: Option<u64>,
    /// Whether the camera has delivered pictures of another shape.
    reshaped: bool,
}

/// A black picture in BT.709's limited range.
fn black(shape: I420) -> Vec<u8> {
    let mut picture = vec![128; shape.len()];
    picture[..shape.luma_len()].fill(16);
    picture
}

#[cfg(test)]
mod tests;
