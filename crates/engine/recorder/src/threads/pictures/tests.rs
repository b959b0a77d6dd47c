//! A ring that is nearly full: the live pictures go, the encoder hurries, and no picture is lost.

use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hyperzoom_media::{FramePool, Shedding};
use hyperzoom_timing::{SharedClock, tick_time_ns};
use ringbuf::HeapRb;
use ringbuf::traits::{Producer, Split};

use super::*;
use crate::encode::{EncodedPicture, H264Encoder, ParameterSets, VideoFormat};
use crate::metadata::Participant;
use crate::recorder::RecorderConfig;
use crate::shared::DiskTimes;
use crate::steady::SteadyClock;

const SHAPE: I420 = I420 { width: 160, height: 96 };

/// An encoder that writes down what it is asked for at each picture, and whether the live pictures were given up then.
struct Asked {
    inner: H264Encoder,
    effort: Effort,
    shedding: Shedding,
    notes: Arc<Mutex<Vec<(Effort, bool)>>>,
}

impl VideoEncoder for Asked {
    fn parameter_sets(&self) -> &ParameterSets {
        self.inner.parameter_sets()
    }

    fn submit(&mut self, position: u64, picture: &[u8]) -> Result<(), EncodeError> {
        lock(&self.notes).push((self.effort, self.shedding.is_on()));
        self.inner.submit(position, picture)
    }

    fn poll(&mut self) -> Result<Option<EncodedPicture>, EncodeError> {
        self.inner.poll()
    }

    fn finish(&mut self) -> Result<(), EncodeError> {
        self.inner.finish()
    }

    fn set_effort(&mut self, effort: Effort) -> bool {
        self.effort = effort;
        true
    }

    fn name(&self) -> String {
        "asked".to_owned()
    }
}

/// What the encoder is asked for at the first picture of a take whose ring of 40 holds `waiting` by then.
fn first_picture(waiting: u64) -> (Effort, bool) {
    let shedding = Shedding::default();
    let config = RecorderConfig {
        session_id: 1,
        video_bitrate_kbps: 500,
        flac: false,
        shedding: shedding.clone(),
        ..RecorderConfig::new("nowhere", Participant::new(0, "Alice"))
    };
    let clock = SteadyClock::new(SharedClock::new());
    let (told, _events) = mpsc::channel();
    let shared =
        Arc::new(Shared::new(config, clock, "nowhere".into(), 0, told, Arc::new(DiskTimes::default())));
    let (mut frames, frames_out) = HeapRb::new(40).split();
    let pool = FramePool::new(SHAPE, 40);
    for i in 0..waiting {
        let at = Duration::from_nanos(tick_time_ns(i) as u64);
        frames.try_push(pool.frame(at, i, |data| data.fill(40 + i as u8)).unwrap()).unwrap();
    }
    shared.stop_at(waiting - 2);
    let notes = Arc::new(Mutex::new(Vec::new()));
    let format = VideoFormat { shape: SHAPE, bitrate_kbps: 500, max_bitrate_kbps: 600 };
    let inner = H264Encoder::new(format, 1).unwrap();
    let encoder = Asked { inner, effort: Effort::Full, shedding, notes: notes.clone() };
    let (sender, queue) = mpsc::channel();
    let disk = DiskQueue { sender: Arc::new(sender), shared: shared.clone() };
    Pictures { shared: shared.clone(), frames: frames_out, shape: SHAPE, encoder: Box::new(encoder), disk }
        .run();
    let notes = std::mem::take(&mut *lock(&notes));
    assert_eq!(notes.len() as u64, waiting - 2);
    assert_eq!(queue.iter().count() as u64, waiting - 2, "every picture is on its way to the disk");
    notes[0]
}

#[test]
fn a_ring_that_fills_up_sheds_the_live_pictures_and_then_hurries_the_encoder() {
    assert_eq!(first_picture(19), (Effort::Full, false));
    assert_eq!(first_picture(24), (Effort::Full, true));
    assert_eq!(first_picture(36), (Effort::Hurry, true));
}
