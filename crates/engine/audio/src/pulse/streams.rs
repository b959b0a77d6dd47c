//! The two streams, each with a connection and a thread of its own.

use std::io::Read;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use hyperzoom_media::SAMPLE_RATE;
use pulseaudio::protocol::stream::{BufferAttr, StreamFlags};
use pulseaudio::protocol::{
    Command, CreatePlaybackStreamReply, CreateRecordStreamReply, PlaybackStreamParams, ProtocolError,
    RecordStreamParams, Request, SetPlaybackStreamBufferAttrParams, SetPlaybackStreamBufferAttrReply,
};

use super::format::{BYTES, channels_of, frame, map, name_of, spec};
use super::wire::{Hangup, Said, Wire};
use crate::convert::{FromMicrophone, Hear, Play, ToLoudspeaker};
use crate::devices::SoundDevice;
use crate::hold::{Hold, Patience};
use crate::loan::{Edge, Loan};
use crate::priority::{self, Refusal};

/// The period to ask for, in samples: 2.5 ms.
const PERIOD: u32 = 120;

/// How much sound waits at the loudspeaker, in samples: two periods, one that plays and one that is being fetched, or more where the
/// machine stands still for longer than that now and then.
const BUFFERS: [u32; 5] = [2 * PERIOD, 4 * PERIOD, 8 * PERIOD, 16 * PERIOD, 32 * PERIOD];

/// One underrun alone is heard less than what a larger buffer costs from then on.
const PATIENCE: Patience = Patience { strikes: 2, hold: Duration::from_secs(30) };

/// How long a stream may underrun after its first request: it plays before it has anything to play, and a sink that sleeps takes two
/// seconds to begin.
const START: Duration = Duration::from_millis(200);

/// Samples that are fetched at a time at most: half a second. What is missing beyond that was due while this program stood still.
const MOST: usize = SAMPLE_RATE as usize / 2;

/// Samples, of all channels together, that are converted at a time.
const BATCH: usize = 1024;

/// An open stream; dropping it closes it.
pub(crate) struct Stream {
    _hangup: Hangup,
    /// Samples of a period, as the server granted it.
    pub(crate) period: u32,
    pub(crate) status: Arc<Status>,
}

/// What has become of a stream.
#[derive(Default)]
pub(crate) struct Status {
    /// Samples that wait in the server's buffers at most; 0 for a microphone, whose never wait.
    buffer: AtomicU32,
    /// How often the loudspeaker had nothing to play.
    underruns: AtomicU64,
    moved: AtomicBool,
    end: OnceLock<String>,
}

impl Status {
    /// Samples that wait in the server's buffers at most; `None` where none do.
    pub(crate) fn buffer(&self) -> Option<u32> {
        Some(self.buffer.load(Ordering::Relaxed)).filter(|samples| *samples > 0)
    }

    /// How often the loudspeaker had nothing to play.
    pub(crate) fn underruns(&self) -> u64 {
        self.underruns.load(Ordering::Relaxed)
    }

    /// Whether the server moved the stream to another device since this was last asked.
    pub(crate) fn take_moved(&self) -> bool {
        self.moved.swap(false, Ordering::Relaxed)
    }

    /// Why the stream ended by itself.
    pub(crate) fn end(&self) -> Option<&str> {
        self.end.get().map(String::as_str)
    }
}

/// Opens a microphone.
pub(crate) fn microphone(
    device: &SoundDevice,
    (loan, edge): (Loan<impl Hear>, Edge),
    epoch: Instant,
    refusal: Refusal,
) -> Result<Stream, String> {
    let channels = channels_of(device);
    let params = RecordStreamParams {
        sample_spec: spec(channels),
        channel_map: map(channels),
        source_name: Some(name_of(device)?),
        buffer_attr: BufferAttr {
            fragment_size: PERIOD * frame(channels) as u32,
            // All the room that the server has: what is recorded has to be whole, and what does not fit is thrown away unsaid.
            max_length: u32::MAX,
            ..BufferAttr::default()
        },
        flags: StreamFlags { adjust_latency: true, ..StreamFlags::default() },
        ..RecordStreamParams::default()
    };
    let mut wire = Wire::connect()?;
    let opened: CreateRecordStreamReply = wire.ask(&Command::CreateRecordStream(params))?;
    let period = opened.buffer_attr.fragment_size / frame(channels) as u32;
    let mut record = Record {
        wire,
        edge,
        channels: usize::from(channels),
        bytes: [0; BATCH * BYTES],
        samples: [0.0; BATCH],
        status: Arc::default(),
    };
    let mut microphone = FromMicrophone::new(loan, epoch, channels, SAMPLE_RATE);
    let (hangup, status) = (record.wire.hangup(), record.status.clone());
    record.wire.wait_for_ever()?;
    spawn("pulse-mic", status.clone(), move || {
        priority::make_real_time(&refusal);
        loop {
            record.next(&mut microphone)?;
        }
    })?;
    Ok(Stream { _hangup: hangup, period, status })
}

/// Opens a loudspeaker.
pub(crate) fn loudspeaker(
    device: &SoundDevice,
    (loan, edge): (Loan<impl Play>, Edge),
    epoch: Instant,
    refusal: Refusal,
) -> Result<Stream, String> {
    let channels = channels_of(device);
    let params = PlaybackStreamParams {
        sample_spec: spec(channels),
        channel_map: map(channels),
        sink_name: Some(name_of(device)?),
        buffer_attr: buffer(BUFFERS[0], channels),
        flags: StreamFlags { adjust_latency: true, ..StreamFlags::default() },
        ..PlaybackStreamParams::default()
    };
    let mut wire = Wire::connect()?;
    let opened: CreatePlaybackStreamReply = wire.ask(&Command::CreatePlaybackStream(params))?;
    let period = opened.buffer_attr.minimum_request_length / frame(channels) as u32;
    let mut playback = Playback {
        wire,
        edge,
        channel: opened.channel,
        index: opened.stream_index,
        channels,
        epoch,
        started: None,
        hold: Hold::new(BUFFERS.len(), PATIENCE, epoch.elapsed()),
        change: None,
        samples: [0.0; BATCH],
        status: Arc::default(),
    };
    playback.granted(opened.buffer_attr.target_length, opened.stream_latency);
    let mut loudspeaker = ToLoudspeaker::new(loan, epoch, channels, SAMPLE_RATE);
    let (hangup, status) = (playback.wire.hangup(), playback.status.clone());
    playback.wire.wait_for_ever()?;
    spawn("pulse-speaker", status.clone(), move || {
        priority::make_real_time(&refusal);
        playback.fill(&mut loudspeaker, opened.requested_bytes as usize)?;
        loop {
            playback.next(&mut loudspeaker)?;
        }
    })?;
    Ok(Stream { _hangup: hangup, period, status })
}

/// Why a stream's thread ends.
enum End {
    /// The server closed this one stream.
    Killed,
    /// The connection broke, be it by ourselves.
    Broken(ProtocolError),
}

impl From<ProtocolError> for End {
    fn from(error: ProtocolError) -> Self {
        Self::Broken(error)
    }
}

impl From<std::io::Error> for End {
    fn from(error: std::io::Error) -> Self {
        Self::Broken(error.into())
    }
}

/// Runs a stream. What `run` owns is dropped, and so given back, after the reason is known.
fn spawn(
    name: &str,
    status: Arc<Status>,
    mut run: impl FnMut() -> Result<std::convert::Infallible, End> + Send + 'static,
) -> Result<(), String> {
    let thread = std::thread::Builder::new().name(name.to_owned());
    let thread = thread.spawn(move || {
        let Err(end) = run();
        let _ = status.end.set(match end {
            End::Killed => "the sound server closed it: it was unplugged, or switched off".to_owned(),
            End::Broken(ProtocolError::Io(_)) => "the sound server has gone".to_owned(),
            End::Broken(error) => error.to_string(),
        });
        drop(run);
    });
    thread.map(drop).map_err(|error| error.to_string())
}

/// A microphone's thread.
struct Record {
    wire: Wire,
    edge: Edge,
    channels: usize,
    bytes: [u8; BATCH * BYTES],
    samples: [f32; BATCH],
    status: Arc<Status>,
}

impl Record {
    fn next(&mut self, microphone: &mut FromMicrophone<impl Hear>) -> Result<(), End> {
        match self.wire.hear::<CreateRecordStreamReply>(None, drop)? {
            Said::Sound(bytes) => self.take(microphone, bytes),
            Said::Command(Command::RecordStreamKilled(_)) => Err(End::Killed),
            Said::Command(Command::RecordStreamMoved(_)) => {
                self.status.moved.store(true, Ordering::Relaxed);
                Ok(())
            }
            Said::Command(_) | Said::Nothing => Ok(()),
        }
    }

    fn take(&mut self, microphone: &mut FromMicrophone<impl Hear>, bytes: usize) -> Result<(), End> {
        // Of a block that has just come the first sample is as old as the block is long.
        let mut age = duration(bytes / (BYTES * self.channels));
        // Whole frames at a time.
        let batch = BATCH / self.channels * self.channels * BYTES;
        let mut left = bytes;
        while left > 0 {
            let part = &mut self.bytes[..left.min(batch)];
            self.wire.body().read_exact(part)?;
            left -= part.len();
            let count = part.len() / BYTES;
            for (sample, bytes) in self.samples.iter_mut().zip(part.as_chunks::<BYTES>().0) {
                *sample = f32::from_ne_bytes(*bytes);
            }
            let samples = &self.samples[..count];
            self.edge.run(|| microphone.take(samples, age));
            age = age.saturating_sub(duration(count / self.channels));
        }
        Ok(())
    }
}

/// A loudspeaker's thread.
struct Playback {
    wire: Wire,
    edge: Edge,
    channel: u32,
    index: u32,
    channels: u16,
    epoch: Instant,
    /// When the first sound was asked for.
    started: Option<Duration>,
    hold: Hold,
    /// The number of the last question for another buffer.
    change: Option<u32>,
    samples: [f32; BATCH],
    status: Arc<Status>,
}

impl Playback {
    fn next(&mut self, loudspeaker: &mut ToLoudspeaker<impl Play>) -> Result<(), End> {
        let mut granted = None;
        let said = self.wire.hear(self.change, |answer: SetPlaybackStreamBufferAttrReply| {
            granted = Some((answer.buffer_attr.target_length, answer.configured_sink_latency));
        })?;
        if let Some((length, latency)) = granted {
            self.granted(length, latency);
        }
        let now = self.epoch.elapsed();
        let change = match said {
            Said::Command(Command::Request(Request { channel, length })) if channel == self.channel => {
                self.started.get_or_insert(now);
                self.fill(loudspeaker, length as usize)?;
                self.hold.held(now)
            }
            Said::Command(Command::Underflow(_))
                if self.started.is_some_and(|started| now > started + START) =>
            {
                self.status.underruns.fetch_add(1, Ordering::Relaxed);
                self.hold.fail(now)
            }
            Said::Command(Command::PlaybackStreamKilled(_)) => return Err(End::Killed),
            Said::Command(Command::PlaybackStreamMoved(to)) => {
                self.status.moved.store(true, Ordering::Relaxed);
                self.granted(to.buffer_attr.target_length, to.configured_sink_latency);
                false
            }
            Said::Command(Command::PlaybackBufferAttrChanged(now)) => {
                self.granted(now.buffer_attr.target_length, now.sink_input_latency);
                false
            }
            Said::Sound(bytes) => {
                // Not that a server would.
                std::io::copy(&mut self.wire.body().take(bytes as u64), &mut std::io::sink())?;
                false
            }
            Said::Command(_) | Said::Nothing => false,
        };
        if change {
            let params = SetPlaybackStreamBufferAttrParams {
                index: self.index,
                buffer_attr: buffer(BUFFERS[self.hold.rung()], self.channels),
                adjust_latency: true,
                early_requests: false,
            };
            self.change = Some(self.wire.begin(&Command::SetPlaybackStreamBufferAttr(params))?);
        }
        Ok(())
    }

    /// Takes note of the buffer that the server granted: its own, in bytes, and the device's behind it, in microseconds.
    fn granted(&self, length: u32, latency: u64) {
        let behind = latency.saturating_mul(u64::from(SAMPLE_RATE)) / 1_000_000;
        let own = length / frame(self.channels) as u32;
        // A server that tells of days does not know.
        let samples = own.saturating_add(u32::try_from(behind).unwrap_or(0));
        self.status.buffer.store(samples, Ordering::Relaxed);
    }

    /// Sends the sound that the server wants.
    fn fill(&mut self, loudspeaker: &mut ToLoudspeaker<impl Play>, bytes: usize) -> Result<(), End> {
        let frame = frame(self.channels);
        let batch = BATCH / usize::from(self.channels) * frame;
        let mut left = bytes;
        // What is asked for is what is missing from a full buffer.
        let waiting = self.status.buffer().unwrap_or(0) as usize;
        let ahead = duration(waiting.saturating_sub(bytes / frame));
        self.edge.run(|| loudspeaker.ahead(ahead));
        while left > 0 {
            let part = left.min(batch);
            let (samples, edge) = (&mut self.samples[..part / BYTES], &self.edge);
            // What is so late is thrown away there.
            let late = left > MOST * frame;
            self.wire.send(self.channel, part, |out| {
                if late || !edge.run(|| loudspeaker.fill(samples)) {
                    samples.fill(0.0);
                }
                for (bytes, sample) in out.as_chunks_mut::<BYTES>().0.iter_mut().zip(samples) {
                    *bytes = sample.to_ne_bytes();
                }
            })?;
            left -= part;
        }
        Ok(())
    }
}

/// A loudspeaker's buffer of so many samples.
fn buffer(samples: u32, channels: u16) -> BufferAttr {
    let frame = frame(channels) as u32;
    BufferAttr {
        target_length: samples * frame,
        minimum_request_length: PERIOD * frame,
        // After an underrun the server goes on as if we had been there, throws away what comes too late for it, and so stays in time.
        // Otherwise it would wait until the buffer is full, and all that was said meanwhile would wait with it.
        pre_buffering: 0,
        // It only ever holds what was asked for.
        max_length: u32::MAX,
        fragment_size: u32::MAX,
    }
}

fn duration(frames: usize) -> Duration {
    Duration::from_nanos(frames as u64 * 1_000_000_000 / u64::from(SAMPLE_RATE))
}
