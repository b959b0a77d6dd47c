//! A take through an encoder that works as hardware does: it gives a picture back when several more have gone in.

use std::collections::VecDeque;

use hyperzoom_media::{FramePool, mic_tap};
use ringbuf::HeapRb;
use ringbuf::traits::{Producer, Split};

use super::*;
use crate::encode::{Effort, EncodedPicture, ParameterSets};
use crate::error::EncodeError;
use crate::verify::verify;

const SHAPE: I420 = I420 { width: 160, height: 96 };
const PICTURES: u64 = 75;

/// Keeps its own copy of each picture, and encodes it when `depth` more are there, or at the end.
struct Delayed {
    inner: H264Encoder,
    depth: usize,
    inside: VecDeque<(u64, Vec<u8>)>,
}

impl Delayed {
    fn encode(&mut self, most: usize) -> Result<(), EncodeError> {
        while self.inside.len() > most {
            let Some((position, picture)) = self.inside.pop_front() else { break };
            self.inner.submit(position, &picture)?;
        }
        Ok(())
    }
}

impl VideoEncoder for Delayed {
    fn parameter_sets(&self) -> &ParameterSets {
        self.inner.parameter_sets()
    }

    fn submit(&mut self, position: u64, picture: &[u8]) -> Result<(), EncodeError> {
        self.inside.push_back((position, picture.to_vec()));
        self.encode(self.depth)
    }

    fn poll(&mut self) -> Result<Option<EncodedPicture>, EncodeError> {
        self.inner.poll()
    }

    fn finish(&mut self) -> Result<(), EncodeError> {
        self.encode(0)?;
        self.inner.finish()
    }

    fn set_effort(&mut self, effort: Effort) -> bool {
        self.inner.set_effort(effort)
    }

    fn name(&self) -> String {
        "delayed".to_owned()
    }
}

/// The file's luma, a mean for each picture, as ffmpeg decodes it.
fn greys(file: &Path) -> Vec<u8> {
    let output = std::process::Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(file)
        .args(["-vf", "scale=1:1", "-pix_fmt", "gray", "-fps_mode", "passthrough", "-f", "rawvideo", "-"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// A take of [`PICTURES`] pictures that get lighter one by one.
fn take(depth: usize) -> (TakeReport, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let (mut frames, frames_out) = HeapRb::new(200).split();
    let (mut mic, tap) = mic_tap(10.0);
    let config = RecorderConfig {
        session_id: 1,
        video_bitrate_kbps: 500,
        flac: false,
        ..RecorderConfig::new(folder.path(), Participant::new(0, "Alice"))
    };
    let format = VideoFormat { shape: SHAPE, bitrate_kbps: 500, max_bitrate_kbps: 600 };
    let encoder = Delayed { inner: H264Encoder::new(format, 1).unwrap(), depth, inside: VecDeque::new() };
    let (recorder, _told) = begin(
        folder.path(),
        Box::new(FileStore::create(&folder.path().join(RECORDING)).unwrap()),
        None,
        config,
        Some((format, frames_out, Box::new(encoder))),
        Some((tap, Box::new(AacEncoder::new().unwrap()))),
    )
    .unwrap();
    let first = recorder.start_tick();
    let pool = FramePool::new(SHAPE, 100);
    for i in 0..PICTURES + 10 {
        let at = Duration::from_nanos(tick_time_ns(first + i) as u64);
        let frame = pool.frame(at, i, |data| data.fill(40 + 2 * i as u8)).unwrap();
        assert!(frames.try_push(frame).is_ok());
    }
    for i in 0..300 {
        let at = Duration::from_nanos(tick_time_ns(first) as u64) + Duration::from_millis(i * 10);
        assert_eq!(mic.push(&[0.1; 480], at), 0);
    }
    recorder.stop_at(Some(tick_time_ns(first + PICTURES)));
    (recorder.finish(Duration::from_secs(60)), folder)
}

#[test]
fn pictures_that_come_out_late_are_all_in_the_file_and_in_their_place() {
    // None, some, more than a second, and so many that nothing comes before the end.
    for depth in [0, 5, 40, 200] {
        let (report, folder) = take(depth);
        assert!(report.complete && report.error.is_none(), "{depth}: {report:?}");
        assert_eq!((report.ticks, report.video.written, report.video.dropped), (PICTURES, PICTURES, 0));
        let verdict = verify(folder.path()).unwrap();
        assert_eq!((verdict.pictures, verdict.unfinished), (PICTURES, false), "{depth}: {verdict:#?}");
        let file = folder.path().join(RECORDING);
        assert_eq!(hyperzoom_testkit::media::decode_errors(&file), "");
        let greys = greys(&file);
        assert_eq!(greys.len() as u64, PICTURES);
        assert!(greys.windows(2).all(|pair| pair[0] < pair[1]), "{depth}: {greys:?}");
    }
}
