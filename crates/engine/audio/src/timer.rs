//! A thread that stands in for a device: microphones and loudspeakers that are none, a tone or a file.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hyperzoom_media::SAMPLE_RATE;

use crate::convert::{Captured, Hear, Play};
use crate::error::AudioError;
use crate::loan::Edge;
use crate::priority::{self, Refusal};
use crate::source::Source;

/// Samples of one period: 2.5 ms, as of the real devices where they can do it.
pub(crate) const PERIOD: usize = 120;

/// A running stand-in; it ends when this is dropped.
pub(crate) struct Timer {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Calls `period` with the moment at which it is due, for ever, `rate` samples a second. The schedule is absolute, so an hour has all its periods, however long
/// any sleep took.
fn run(
    name: &str,
    epoch: Instant,
    refusal: Refusal,
    rate: f64,
    mut period: impl FnMut(Duration) + Send + 'static,
) -> std::io::Result<Timer> {
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        priority::make_real_time(&refusal);
        let start = epoch.elapsed();
        for n in 1_u64.. {
            let due = start + Duration::from_secs_f64((n * PERIOD as u64) as f64 / rate);
            std::thread::sleep(due.saturating_sub(epoch.elapsed()));
            if stopped.load(Ordering::Relaxed) {
                break;
            }
            period(due);
        }
    })?;
    Ok(Timer { stop, thread: Some(thread) })
}

/// A microphone that hears `source`.
pub(crate) fn microphone(
    mut source: Source,
    (mut hear, edge): (impl Hear, Edge),
    epoch: Instant,
    refusal: Refusal,
) -> Result<Timer, AudioError> {
    let mut block = [0.0; PERIOD];
    source.start(epoch);
    let rate = source.rate();
    let length = Duration::from_secs_f64(PERIOD as f64 / rate);
    Ok(run("audio-mic", epoch, refusal, rate, move |due| {
        // A period is handed over when it is complete, so its first sample is as old as the period is long.
        let begin = due.saturating_sub(length);
        source.fill(begin, &mut block);
        edge.run(|| hear.hear(&block, Captured::exactly(begin)));
    })?)
}

/// A loudspeaker that plays to nobody, or into a file.
pub(crate) fn loudspeaker(
    file: Option<&Path>,
    (mut play, edge): (impl Play, Edge),
    epoch: Instant,
    refusal: Refusal,
) -> Result<Timer, AudioError> {
    let mut file = file.map(WavSink::create).transpose()?;
    let mut block = [0.0; PERIOD];
    Ok(run("audio-speaker", epoch, refusal, f64::from(SAMPLE_RATE), move |due| {
        if !edge.run(|| play.play(due, &mut block)) {
            block.fill(0.0);
        }
        if let Some(file) = &mut file {
            file.write(&block);
        }
    })?)
}

type WavWriter = hound::WavWriter<std::io::BufWriter<std::fs::File>>;

/// A mono WAV file of 32-bit floats at 48 kHz.
struct WavSink {
    writer: Option<WavWriter>,
    unsaved: usize,
}

impl WavSink {
    fn create(path: &Path) -> Result<Self, AudioError> {
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: SAMPLE_RATE,
            bits_per_sample: 32,
            sample_format: hound::SampleFormat::Float,
        };
        let writer = hound::WavWriter::create(path, spec).map_err(|error| AudioError::File {
            path: path.to_owned(),
            reason: format!("the sound file cannot be written: {error}"),
        })?;
        Ok(Self { writer: Some(writer), unsaved: 0 })
    }

    /// Appends a block. The header is brought up to date every second, so that a program that is killed leaves a readable file.
    fn write(&mut self, block: &[f32]) {
        let Some(writer) = &mut self.writer else { return };
        let mut written = block.iter().try_for_each(|sample| writer.write_sample(*sample));
        self.unsaved += block.len();
        if self.unsaved >= SAMPLE_RATE as usize {
            self.unsaved = 0;
            written = written.and_then(|()| writer.flush());
        }
        if let Err(error) = written {
            tracing::warn!("what is heard is no longer written to its sound file: {error}");
            self.writer = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::source::Tone;

    fn edge() -> Edge {
        crate::loan::lend(()).edge
    }

    struct Blocks(mpsc::SyncSender<(Vec<f32>, Duration)>);

    impl Hear for Blocks {
        fn hear(&mut self, block: &[f32], at: Captured) {
            let _ = self.0.try_send((block.to_vec(), at.told));
        }
    }

    #[test]
    fn a_stand_in_microphone_keeps_an_absolute_schedule() {
        let (send, receive) = mpsc::sync_channel(1000);
        let epoch = Instant::now();
        let source = Source::Tone(Tone::new(1000.0));
        let timer = microphone(source, (Blocks(send), edge()), epoch, Refusal::default()).unwrap();
        let blocks: Vec<_> = receive.iter().take(40).collect();
        drop(timer);
        for pair in blocks.windows(2) {
            assert_eq!((pair[1].1 - pair[0].1).as_micros(), 2500);
        }
        assert!(epoch.elapsed() >= Duration::from_millis(39 * 5 / 2), "no faster than time");
        assert!(blocks[1].0.iter().any(|sample| *sample != 0.0));
    }

    struct Counter(f32, mpsc::Sender<f32>);

    impl Play for Counter {
        fn play(&mut self, _now: Duration, block: &mut [f32]) {
            block.fill(self.0);
            let _ = self.1.send(self.0);
            self.0 += 1.0;
        }

        fn ahead(&mut self, _device: Duration, _resampler: Duration) {}
    }

    #[test]
    fn a_loudspeaker_that_is_a_file_keeps_all_that_was_played() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("heard.wav");
        let (send, receive) = mpsc::channel();
        let timer =
            loudspeaker(Some(&path), (Counter(0.0, send), edge()), Instant::now(), Refusal::default())
                .unwrap();
        assert_eq!(receive.iter().nth(9), Some(9.0));
        drop(timer);
        let samples: Vec<f32> =
            hound::WavReader::open(&path).unwrap().samples().map(Result::unwrap).collect();
        assert!(samples.len() >= 10 * PERIOD && samples.len().is_multiple_of(PERIOD));
        assert!(samples.iter().enumerate().all(|(n, sample)| *sample == (n / PERIOD) as f32));
    }

    #[test]
    fn a_file_that_cannot_be_made_says_which() {
        let (send, _receive) = mpsc::channel();
        let path = Path::new("/nowhere/heard.wav");
        let error = loudspeaker(Some(path), (Counter(0.0, send), edge()), Instant::now(), Refusal::default())
            .err()
            .unwrap();
        assert!(error.to_string().starts_with("/nowhere/heard.wav: the sound file cannot be written"));
    }
}
