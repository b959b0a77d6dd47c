//! PulseAudio, and PipeWire in its stead, without cpal.
//!
//! cpal 0.18 gives the server room for one single period of the microphone (`max_length` = `fragment_size`). When the machine is busy
//! and the server sends late, it throws away what does not fit, and nobody is told: 143 ms of 18 s got lost on two cores with six
//! busy processes, where a stream with room to wait in lost nothing. What is recorded has to be whole, so these streams are ours.

use std::ffi::CString;
use std::future::Future;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use hyperzoom_media::SAMPLE_RATE;
use pulseaudio::protocol::stream::{BufferAttr, StreamFlags};
use pulseaudio::protocol::{
    ChannelMap, ChannelPosition, PlaybackStreamParams, RecordStreamParams, SampleFormat, SampleSpec,
};
use pulseaudio::{AsPlaybackSource, Client, ClientError, PlaybackStream, RecordStream};

use crate::convert::{FromMicrophone, Hear, Play, ToLoudspeaker};
use crate::devices::{Direction, SoundDevice, SoundHost};
use crate::priority::{self, Refusal};

/// How long the server may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);

/// The period to ask for, in samples: 2.5 ms.
const PERIOD: u32 = 120;

/// Bytes of a sample: our streams are 32-bit floats.
const BYTES: usize = size_of::<f32>();

/// A connection to the sound server, with a thread of its own on which the streams' callbacks run.
pub(crate) struct Server(Client);

impl Server {
    /// Connects to the server that the environment names.
    pub(crate) fn connect() -> Result<Self, String> {
        let socket = socket_path().ok_or("no server is running")?;
        let socket = UnixStream::connect(socket).map_err(|error| error.to_string())?;
        // The greeting blocks. A server that is stopped in a debugger accepts and never answers.
        let limited = socket.set_read_timeout(Some(ANSWER_TIMEOUT));
        limited
            .and_then(|()| socket.set_write_timeout(Some(ANSWER_TIMEOUT)))
            .map_err(|error| error.to_string())?;
        let cookie = pulseaudio::cookie_path_from_env().and_then(|path| std::fs::read(path).ok());
        Client::new_unix(c"HyperZoom", socket, cookie).map(Self).map_err(|error| error.to_string())
    }

    /// All sinks and sources, monitors included.
    pub(crate) fn devices(&self) -> Result<Vec<SoundDevice>, String> {
        let server = answer(self.0.server_info())?;
        let device = |name: &CString, description: &Option<CString>, spec: &SampleSpec, direction| {
            let text = |text: &CString| text.to_string_lossy().into_owned();
            let default = match direction {
                Direction::Microphone => &server.default_source_name,
                Direction::Loudspeaker => &server.default_sink_name,
            };
            SoundDevice {
                name: text(name),
                description: text(description.as_ref().unwrap_or(name)),
                host: SoundHost::Pulse,
                direction,
                default: default.as_ref() == Some(name),
                monitor: direction == Direction::Microphone && name.as_bytes().ends_with(b".monitor"),
                channels: Some(u16::from(spec.channels)),
                rate: Some(spec.sample_rate),
                // The server resamples.
                rates: Some((1, pulseaudio::protocol::sample_spec::MAX_RATE)),
            }
        };
        let sources = answer(self.0.list_sources())?;
        let sinks = answer(self.0.list_sinks())?;
        let microphones =
            sources.iter().map(|s| device(&s.name, &s.description, &s.sample_spec, Direction::Microphone));
        let loudspeakers =
            sinks.iter().map(|s| device(&s.name, &s.description, &s.sample_spec, Direction::Loudspeaker));
        Ok(microphones.chain(loudspeakers).collect())
    }
}

/// Where the server listens, in PulseAudio's own order. (The crate's own search ends at the first that is not there, and looks into a
/// subfolder of `PULSE_RUNTIME_PATH` which does not exist.)
fn socket_path() -> Option<PathBuf> {
    let var = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    if let Some(servers) = var("PULSE_SERVER") {
        // A list of addresses; one may begin with the machine's id in braces.
        let address =
            |server: &str| server.rsplit_once('}').map_or(server, |(_, address)| address).to_owned();
        let local = |address: String| {
            let path = address.strip_prefix("unix:").unwrap_or(&address);
            path.starts_with('/').then(|| PathBuf::from(path))
        };
        return servers.split_whitespace().map(address).find_map(local);
    }
    let runtime = var("PULSE_RUNTIME_PATH").map(|folder| PathBuf::from(folder).join("native"));
    let session = var("XDG_RUNTIME_DIR").map(|folder| PathBuf::from(folder).join("pulse/native"));
    let system = Some(PathBuf::from("/var/run/pulse/native"));
    [runtime, session, system].into_iter().flatten().find(|path| path.exists())
}

/// An open stream; dropping it closes it.
pub(crate) struct Stream {
    kind: Kind,
    /// Samples of a period, as the server granted it.
    pub(crate) period: u32,
}

enum Kind {
    Record(RecordStream),
    Playback(PlaybackStream),
}

impl Drop for Stream {
    fn drop(&mut self) {
        // Asks the server to forget the stream, and does not wait: its answer ends the connection's thread, which drops the callback.
        match &self.kind {
            Kind::Record(stream) => begin(stream.clone().delete()),
            Kind::Playback(stream) => begin(stream.clone().delete()),
        }
    }
}

/// Opens a microphone.
pub(crate) fn microphone(
    device: &SoundDevice,
    hear: impl Hear,
    epoch: Instant,
    refusal: Refusal,
) -> Result<Stream, String> {
    let channels = channels_of(device);
    let mut microphone = FromMicrophone::new(hear, epoch, channels, SAMPLE_RATE);
    let mut samples = [0.0_f32; BATCH];
    // Whole frames at a time.
    let batch = BATCH / usize::from(channels) * usize::from(channels);
    let mut first = true;
    let callback = move |bytes: &[u8]| {
        if std::mem::take(&mut first) {
            priority::make_real_time(&refusal);
        }
        // Of a block that has just come the first sample is as old as the block is long.
        let frames = bytes.len() / BYTES / usize::from(channels);
        let mut age = duration(frames);
        for part in bytes.chunks(batch * BYTES) {
            let count = part.len() / BYTES;
            for (sample, bytes) in samples.iter_mut().zip(part.as_chunks::<BYTES>().0) {
                *sample = f32::from_ne_bytes(*bytes);
            }
            microphone.take(&samples[..count], age);
            age = age.saturating_sub(duration(count / usize::from(channels)));
        }
    };
    let params = RecordStreamParams {
        sample_spec: spec(channels),
        channel_map: map(channels),
        source_name: Some(name_of(device)?),
        buffer_attr: BufferAttr {
            fragment_size: PERIOD * u32::from(channels) * BYTES as u32,
            // All the room that the server has.
            max_length: u32::MAX,
            ..BufferAttr::default()
        },
        flags: StreamFlags { adjust_latency: true, ..StreamFlags::default() },
        ..RecordStreamParams::default()
    };
    let stream = answer(Server::connect()?.0.create_record_stream(params, callback))?;
    let period = stream.buffer_attr().fragment_size / (u32::from(channels) * BYTES as u32);
    Ok(Stream { kind: Kind::Record(stream), period })
}

/// Opens a loudspeaker.
pub(crate) fn loudspeaker(
    device: &SoundDevice,
    play: impl Play,
    epoch: Instant,
    refusal: Refusal,
) -> Result<Stream, String> {
    let channels = channels_of(device);
    let mut loudspeaker = ToLoudspeaker::new(play, epoch, channels, SAMPLE_RATE);
    let mut samples = [0.0_f32; BATCH];
    let batch = BATCH / usize::from(channels) * usize::from(channels);
    let mut first = true;
    let callback = move |bytes: &mut [u8]| {
        if std::mem::take(&mut first) {
            priority::make_real_time(&refusal);
        }
        // The server asks for what is missing from the two periods that it wants to have.
        let frames = bytes.len() / BYTES / usize::from(channels);
        loudspeaker.ahead(duration((2 * PERIOD as usize).saturating_sub(frames)));
        for part in bytes.chunks_mut(batch * BYTES) {
            let samples = &mut samples[..part.len() / BYTES];
            loudspeaker.fill(samples);
            for (bytes, sample) in part.as_chunks_mut::<BYTES>().0.iter_mut().zip(samples) {
                *bytes = sample.to_ne_bytes();
            }
        }
        bytes.len()
    };
    let period = PERIOD * u32::from(channels) * BYTES as u32;
    let params = PlaybackStreamParams {
        sample_spec: spec(channels),
        channel_map: map(channels),
        sink_name: Some(name_of(device)?),
        // Two periods: one that plays and one that is being fetched.
        buffer_attr: BufferAttr {
            target_length: 2 * period,
            minimum_request_length: period,
            max_length: 2 * period,
            ..BufferAttr::default()
        },
        flags: StreamFlags { adjust_latency: true, ..StreamFlags::default() },
        ..PlaybackStreamParams::default()
    };
    let server = Server::connect()?;
    let stream = answer(server.0.create_playback_stream(params, callback.as_playback_source()))?;
    let period = stream.buffer_attr().minimum_request_length / (u32::from(channels) * BYTES as u32);
    Ok(Stream { kind: Kind::Playback(stream), period })
}

/// Samples, of all channels together, that are converted at a time.
const BATCH: usize = 1024;

/// The most channels of a stream: PulseAudio's own bound.
const MAX_CHANNELS: u16 = 32;

fn channels_of(device: &SoundDevice) -> u16 {
    device.channels.unwrap_or(1).clamp(1, MAX_CHANNELS)
}

fn name_of(device: &SoundDevice) -> Result<CString, String> {
    CString::new(device.name.as_str()).map_err(|error| error.to_string())
}

fn spec(channels: u16) -> SampleSpec {
    let format =
        if cfg!(target_endian = "little") { SampleFormat::Float32Le } else { SampleFormat::Float32Be };
    // Clamped to 32 where it was read.
    SampleSpec { format, channels: channels as u8, sample_rate: SAMPLE_RATE }
}

/// Mono, or left and right first. What lies beyond is not used, and only has to be called something.
fn map(channels: u16) -> ChannelMap {
    use ChannelPosition as P;
    let rest = [
        P::FrontCenter,
        P::Lfe,
        P::RearLeft,
        P::RearRight,
        P::SideLeft,
        P::SideRight,
        P::Aux0,
        P::Aux1,
        P::Aux2,
        P::Aux3,
        P::Aux4,
        P::Aux5,
        P::Aux6,
        P::Aux7,
        P::Aux8,
        P::Aux9,
        P::Aux10,
        P::Aux11,
        P::Aux12,
        P::Aux13,
        P::Aux14,
        P::Aux15,
        P::Aux16,
        P::Aux17,
        P::Aux18,
        P::Aux19,
        P::Aux20,
        P::Aux21,
        P::Aux22,
        P::Aux23,
    ];
    match channels {
        1 => ChannelMap::new([P::Mono]),
        more => {
            ChannelMap::new([P::FrontLeft, P::FrontRight].into_iter().chain(rest).take(usize::from(more)))
        }
    }
}

fn duration(frames: usize) -> Duration {
    Duration::from_nanos(frames as u64 * 1_000_000_000 / u64::from(SAMPLE_RATE))
}

/// Wakes the thread that waits for an answer.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for the server's answer, but not for ever.
fn answer<T>(question: impl Future<Output = Result<T, ClientError>>) -> Result<T, String> {
    let mut question = pin!(question);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    let patience = Instant::now() + ANSWER_TIMEOUT;
    loop {
        if let Poll::Ready(answer) = question.as_mut().poll(&mut context) {
            return answer.map_err(|error| error.to_string());
        }
        let left = patience.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err("it does not answer".to_owned());
        }
        std::thread::park_timeout(left);
    }
}

/// Sends a command whose answer nobody waits for.
fn begin(command: impl Future) {
    let _ = pin!(command).poll(&mut Context::from_waker(Waker::noop()));
}
