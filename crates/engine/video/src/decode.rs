//! A peer's pictures: from encoded frames to the newest whole picture.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::{JoinHandle, Thread, park_timeout};
use std::time::{Duration, Instant};

use hyperzoom_media::{EncodedFrame, FramePool, FrameRef, I420};
use ringbuf::HeapCons;
use ringbuf::traits::{Consumer, Observer};
use triple_buffer::{Input, Output, triple_buffer};

use crate::thread::Precedence;
use crate::vp8::{Decoder, FrameStart};
use crate::{VideoError, thread};

/// Frames that may wait before the decoder jumps to a keyframe among them: a third of a second.
const BACKLOG: usize = 8;

/// How often the thread looks for frames when nobody [wakes](Waker::wake) it.
const POLL: Duration = Duration::from_millis(5);

/// Pictures of one decoder that exist at once: three in the triple buffer, one in the ECS, one or two with the renderer, one that is
/// being written.
const POOL: usize = 8;

/// A decoded picture. Cloning it copies no pixel.
#[derive(Debug, Clone)]
pub struct Picture {
    /// The sender's session time at capture, in milliseconds.
    pub timestamp_ms: u32,
    /// When its last fragment arrived, since the process's epoch.
    pub arrived: Duration,
    /// Which picture of this decoder it is, from 1.
    pub number: u64,
    frame: FrameRef,
}

impl Picture {
    /// Its shape.
    #[must_use]
    pub fn shape(&self) -> I420 {
        self.frame.shape
    }

    /// The picture's bytes, laid out as [`I420`] says.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        self.frame.data()
    }

    /// The planes Y, U, V.
    #[must_use]
    pub fn planes(&self) -> [&[u8]; 3] {
        self.frame.planes()
    }
}

/// Reads the newest picture of a decoder. It never blocks the decoder, nor the other way round.
pub struct PictureReader(Output<Option<Picture>>);

impl PictureReader {
    /// The newest picture; `None` until there is one. It stays as it is while it is borrowed.
    pub fn latest(&mut self) -> Option<&Picture> {
        self.0.read().as_ref()
    }

    /// Whether there is a newer picture than [`latest`](Self::latest) last gave.
    #[must_use]
    pub fn has_new(&self) -> bool {
        self.0.updated()
    }
}

/// What a decoder did so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DecoderStats {
    /// Frames that were decoded.
    pub decoded: u64,
    /// Frames that VP8 refused: damaged, or never VP8.
    pub failed: u64,
    /// Frames that were passed over: their reference was lost, or a keyframe after them was there already.
    pub skipped: u64,
    /// Time spent on decoding, all frames together.
    pub busy: Duration,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    wants_keyframe: AtomicBool,
    decoded: AtomicU64,
    failed: AtomicU64,
    skipped: AtomicU64,
    busy_us: AtomicU64,
}

/// A running decoder of one peer's video. Dropping it ends it.
pub struct VideoDecoder {
    /// The newest picture.
    pub newest: PictureReader,
    worker: Worker,
}

struct Worker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// Tells a decoder's thread that its inbox has something; without it, the thread finds out within 5 ms.
#[derive(Debug, Clone)]
pub struct Waker(Thread);

impl Waker {
    /// Wakes the thread. It neither blocks nor allocates.
    pub fn wake(&self) {
        self.0.unpark();
    }
}

/// Starts a decoder for one peer.
///
/// Whoever fills the inbox must clear [`EncodedFrame::contiguous`] of the next frame where a full inbox made it drop
/// one: the decoder relies on it, and on nothing else, to know that a frame's reference is the one it has.
///
/// # Errors
/// Where libvpx or the system refuses.
pub fn start_decoder(inbox: HeapCons<EncodedFrame>) -> Result<VideoDecoder, VideoError> {
    let shared = Arc::new(Shared::default());
    let (pictures, newest) = triple_buffer(&None);
    let mut stage = Stage::new(shared.clone(), pictures)?;
    let mut inbox = inbox;
    let thread = thread::spawn("video decode", Precedence::Normal, move || {
        let mut waiting = VecDeque::new();
        while !stage.shared.stop.load(Relaxed) {
            let closed = !inbox.write_is_held();
            waiting.extend(inbox.pop_iter());
            stage.jump(&mut waiting);
            match waiting.pop_front() {
                Some(frame) => stage.frame(&frame),
                None if closed => return,
                None => park_timeout(POLL),
            }
        }
    })?;
    Ok(VideoDecoder { newest: PictureReader(newest), worker: Worker { shared, thread: Some(thread) } })
}

impl VideoDecoder {
    /// What was done so far.
    #[must_use]
    pub fn stats(&self) -> DecoderStats {
        let shared = &*self.worker.shared;
        DecoderStats {
            decoded: shared.decoded.load(Relaxed),
            failed: shared.failed.load(Relaxed),
            skipped: shared.skipped.load(Relaxed),
            busy: Duration::from_micros(shared.busy_us.load(Relaxed)),
        }
    }

    /// Whether the peer should be asked for a keyframe; asking clears it. While the picture stands still for want of
    /// one, it is set again by each frame that comes.
    #[must_use]
    pub fn wants_keyframe(&self) -> bool {
        self.worker.shared.wants_keyframe.swap(false, Relaxed)
    }

    /// Wakes the decoder's thread from another.
    #[must_use]
    pub fn waker(&self) -> Waker {
        let thread =
            self.worker.thread.as_ref().expect("the thread is only taken when the decoder is dropped");
        Waker(thread.thread().clone())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.shared.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

/// What the thread does with a frame.
struct Stage {
    shared: Arc<Shared>,
    decoder: Decoder,
    pictures: Input<Option<Picture>>,
    /// For pictures of the shape that the last one had.
    pool: FramePool,
    /// The decoder holds exactly what the next contiguous frame refers to.
    has_reference: bool,
    shown: u64,
}

impl Stage {
    fn new(shared: Arc<Shared>, pictures: Input<Option<Picture>>) -> Result<Self, VideoError> {
        let pool = FramePool::new(I420 { width: 0, height: 0 }, POOL);
        Ok(Self { shared, decoder: Decoder::new()?, pictures, pool, has_reference: false, shown: 0 })
    }

    /// Where too much waits, goes to the last keyframe among it: everything before it would be shown late or not at all.
    fn jump(&mut self, waiting: &mut VecDeque<EncodedFrame>) {
        if waiting.len() <= BACKLOG {
            return;
        }
        if let Some(at) = waiting.iter().rposition(|frame| frame.keyframe) {
            self.shared.skipped.fetch_add(at as u64, Relaxed);
            waiting.drain(..at);
        }
    }

    /// Decodes and publishes one frame. A frame whose reference is lost is passed over: what it would show is torn.
    fn frame(&mut self, frame: &EncodedFrame) {
        // What the sender says about the frame must agree with its bytes, or the reference is not what it seems.
        let is_keyframe = matches!(FrameStart::parse(&frame.data), Some(FrameStart::Keyframe { .. }));
        self.has_reference &= frame.contiguous;
        if !frame.keyframe && !self.has_reference {
            self.shared.skipped.fetch_add(1, Relaxed);
            self.shared.wants_keyframe.store(true, Relaxed);
            return;
        }
        let began = Instant::now();
        let decoded = if is_keyframe == frame.keyframe {
            self.decode(frame)
        } else {
            Err(VideoError::Vpx { action: "decode a frame", detail: "it is not the kind it claims".into() })
        };
        self.shared.busy_us.fetch_add(began.elapsed().as_micros() as u64, Relaxed);
        self.has_reference = decoded.is_ok();
        match decoded {
            Ok(()) => {
                if self.shared.decoded.fetch_add(1, Relaxed) == 0 {
                    tracing::debug!("the first picture of a peer is decoded");
                }
                self.shared.wants_keyframe.store(false, Relaxed);
            }
            Err(error) => {
                tracing::debug!(%error, "a peer's frame was refused");
                self.shared.failed.fetch_add(1, Relaxed);
                self.shared.wants_keyframe.store(true, Relaxed);
            }
        }
    }

    fn decode(&mut self, frame: &EncodedFrame) -> Result<(), VideoError> {
        let Self { decoder, pictures, pool, shown, .. } = self;
        decoder.decode(&frame.data, |decoded| {
            if pool.shape() != decoded.shape() {
                *pool = FramePool::new(decoded.shape(), POOL);
            }
            // The buffer holds an older picture, which nobody reads any more.
            *pictures.input_buffer_mut() = None;
            // Written whole, and only then published. Where readers keep all others, this one is not shown.
            if let Ok(copy) = pool.frame(frame.arrived, *shown, |data| decoded.copy_to(data)) {
                *shown += 1;
                let (timestamp_ms, arrived, number) = (frame.timestamp_ms, frame.arrived, *shown);
                *pictures.input_buffer_mut() = Some(Picture { timestamp_ms, arrived, number, frame: copy });
                pictures.publish();
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::pattern::{Pattern, read_counter};
    use crate::spec::FrameRate;
    use crate::thread::wait_for;
    use crate::vp8::{Encoder, EncoderConfig};
    use proptest::prelude::*;
    use ringbuf::HeapRb;
    use ringbuf::traits::{Producer, Split};

    const SHAPE: I420 = I420 { width: 640, height: 360 };

    /// Frames of the pattern, numbered from `from`, the first of them a keyframe.
    fn encoded(from: u64, count: u64) -> Vec<EncodedFrame> {
        let mut encoder = Encoder::new(EncoderConfig { shape: SHAPE, fps: 24, bitrate_kbps: 1000 }).unwrap();
        let pattern = Pattern::new(SHAPE, FrameRate::THIRTY);
        let mut picture = vec![0; SHAPE.len()];
        (from..from + count)
            .map(|n| {
                pattern.draw(n, Duration::from_millis(n * 41), &mut picture);
                let packet =
                    encoder.encode(&picture, n as i64 * 41, false).unwrap().expect("the rate is generous");
                EncodedFrame {
                    keyframe: packet.keyframe,
                    contiguous: true,
                    timestamp_ms: n as u32,
                    arrived: Duration::ZERO,
                    data: packet.data.to_vec(),
                }
            })
            .collect()
    }

    fn stage() -> (Stage, PictureReader) {
        let (pictures, newest) = triple_buffer(&None);
        (Stage::new(Arc::default(), pictures).unwrap(), PictureReader(newest))
    }

    /// The counter that the newest picture shows.
    fn shown(reader: &mut PictureReader) -> Option<u64> {
        reader.latest().map(|picture| {
            let counter =
                read_counter(picture.shape(), picture.planes()[0]).expect("a picture is never torn");
            assert_eq!(counter, u64::from(picture.timestamp_ms), "time and pixels belong together");
            counter
        })
    }

    #[test]
    fn pictures_come_out_in_order_with_their_times() {
        let (mut stage, mut reader) = stage();
        assert_eq!(shown(&mut reader), None);
        for frame in encoded(7, 5) {
            stage.frame(&frame);
            assert!(reader.has_new());
            assert_eq!(shown(&mut reader), Some(u64::from(frame.timestamp_ms)));
            assert!(!reader.has_new());
        }
    }

    #[test]
    fn a_torn_reference_is_never_shown() {
        let (mut stage, mut reader) = stage();
        let mut frames = encoded(0, 6);
        frames.remove(2); // lost on the way
        frames[2].contiguous = false;
        for frame in &frames {
            stage.frame(frame);
        }
        assert_eq!(shown(&mut reader), Some(1), "the picture stands still at the last whole one");
        assert!(stage.shared.wants_keyframe.load(Relaxed));
        assert_eq!(
            stage.shared.skipped.load(Relaxed),
            3,
            "those that follow the lost one are of no use either"
        );

        let mut healed = encoded(20, 2);
        healed[0].contiguous = false;
        for frame in &healed {
            stage.frame(frame);
        }
        assert_eq!(shown(&mut reader), Some(21));
        assert!(!stage.shared.wants_keyframe.load(Relaxed));
    }

    #[test]
    fn a_damaged_frame_holds_the_picture_until_a_keyframe() {
        let (mut stage, mut reader) = stage();
        let mut frames = encoded(0, 4);
        frames[1].data.truncate(6);
        for frame in &frames {
            stage.frame(frame);
        }
        assert_eq!(shown(&mut reader), Some(0));
        assert_eq!(stage.shared.failed.load(Relaxed), 1);
        assert_eq!(stage.shared.skipped.load(Relaxed), 2);
    }

    #[test]
    fn a_frame_that_lies_about_its_kind_is_refused() {
        let (mut stage, mut reader) = stage();
        let mut frames = encoded(0, 2);
        frames[1].keyframe = true;
        for frame in &frames {
            stage.frame(frame);
        }
        assert_eq!(shown(&mut reader), Some(0));
        assert_eq!(stage.shared.failed.load(Relaxed), 1);
    }

    #[test]
    fn who_keeps_pictures_takes_none_from_the_decoder_for_good() {
        let (mut stage, mut reader) = stage();
        let mut kept = Vec::new();
        for frame in encoded(0, 12) {
            stage.frame(&frame);
            kept.extend(reader.latest().cloned());
        }
        let newest = kept.last().map(|picture| picture.number);
        assert!(newest >= Some(POOL as u64 - 2) && newest < Some(12), "{newest:?}");
        assert_eq!(stage.shared.decoded.load(Relaxed), 12, "it decodes on");
        kept.clear();
        for frame in encoded(20, 2) {
            stage.frame(&frame);
        }
        assert_eq!(shown(&mut reader), Some(21));
    }

    #[test]
    fn a_backlog_is_left_behind_at_a_keyframe() {
        let (mut stage, _reader) = stage();
        let mut waiting: VecDeque<_> = encoded(0, 6).into_iter().chain(encoded(6, 4)).collect();
        stage.jump(&mut waiting);
        assert_eq!(waiting.front().map(|frame| frame.timestamp_ms), Some(6));
        stage.jump(&mut waiting);
        assert_eq!(waiting.len(), 4, "a short queue is decoded whole");
        assert_eq!(stage.shared.skipped.load(Relaxed), 6);
    }

    #[test]
    fn the_thread_decodes_and_ends_with_its_inbox() {
        let (mut feed, inbox) = HeapRb::new(8).split();
        let mut decoder = start_decoder(inbox).unwrap();
        for frame in encoded(0, 3) {
            feed.try_push(frame).unwrap();
        }
        decoder.waker().wake();
        wait_for(|| (decoder.stats().decoded == 3).then_some(()));
        assert_eq!(shown(&mut decoder.newest), Some(2));
        drop(feed);
        decoder.waker().wake();
        wait_for(|| decoder.worker.thread.as_ref().unwrap().is_finished().then_some(()));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn whatever_the_network_does_only_whole_pictures_are_shown(
            fates in proptest::collection::vec(0u8..10, 12), junk in proptest::collection::vec(any::<u8>(), 0..64),
        ) {
            let (mut stage, mut reader) = stage();
            let mut contiguous = true;
            for (frame, fate) in encoded(0, 6).into_iter().chain(encoded(6, 6)).zip(fates) {
                let mut frame = EncodedFrame { contiguous, ..frame };
                contiguous = true;
                match fate {
                    0 | 1 => { contiguous = false; continue } // lost
                    2 => frame.data.truncate(junk.len()),
                    3 => frame.data = junk.clone(),
                    4 => frame.keyframe = !frame.keyframe,
                    _ => {}
                }
                stage.frame(&frame);
                shown(&mut reader);
            }
        }
    }
}
