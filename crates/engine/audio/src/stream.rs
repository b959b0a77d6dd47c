//! A running stream of a sound device.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use cpal::traits::{DeviceTrait, StreamTrait};
use cpal::{BufferSize, SampleFormat, StreamConfig, SupportedBufferSize, SupportedStreamConfigRange};
use hyperzoom_media::SAMPLE_RATE;

use crate::convert::{Captured, FromMicrophone, Hear, Play, ToLoudspeaker};
use crate::devices::{Direction, Handle, Listed, SoundDevice, SoundHost};
use crate::error::AudioError;
use crate::priority::{self, Refusal};
use crate::pulse;

/// How long a host may take to open a stream.
const OPEN_TIMEOUT: Duration = Duration::from_secs(3);

/// How long a device may be silent, in the sense of not calling: far beyond any period, and beyond the two seconds after which an idle
/// null sink of PulseAudio's wakes up.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a callback may take to come back after its stream was closed.
const RETURN_TIMEOUT: Duration = Duration::from_secs(1);

/// Periods to ask for, in samples, the shortest first.
const PERIODS: [u32; 4] = [120, 256, 480, 1024];

/// Whether a stream's error leaves it running.
pub(crate) fn is_harmless(kind: cpal::ErrorKind) -> bool {
    use cpal::ErrorKind as Kind;
    matches!(kind, Kind::Xrun | Kind::RealtimeDenied | Kind::DeviceChanged)
}

/// Lends a value to a stream's callback, and gives it back when the callback is dropped, so that another stream can have it.
struct Loan<T> {
    value: Option<T>,
    home: SyncSender<T>,
    beats: Arc<AtomicU64>,
}

/// Whether a stream's callback is being called.
pub(crate) struct Heartbeat {
    beats: Arc<AtomicU64>,
    seen: u64,
    since: Instant,
}

impl Heartbeat {
    /// Whether the callback was not called for [`PATIENCE`]. To be asked now and then.
    pub(crate) fn stalled(&mut self, now: Instant) -> bool {
        let beats = self.beats.load(Ordering::Relaxed);
        if beats != self.seen {
            (self.seen, self.since) = (beats, now);
        }
        now.duration_since(self.since) > PATIENCE
    }
}

impl<T> Drop for Loan<T> {
    fn drop(&mut self) {
        if let Some(value) = self.value.take() {
            let _ = self.home.try_send(value);
        }
    }
}

/// Where the callback's value comes back to.
pub(crate) struct Returns<T>(Receiver<T>);

impl<T> Returns<T> {
    /// The value, once its stream was closed; `None` where the host keeps the callback for ever.
    pub(crate) fn wait(&self) -> Option<T> {
        self.0.recv_timeout(RETURN_TIMEOUT).ok()
    }

    /// The value, where the stream ended by itself.
    pub(crate) fn early(&self) -> Option<T> {
        self.0.try_recv().ok()
    }
}

fn lend<T>(value: T) -> (Loan<T>, Returns<T>) {
    let (home, back) = sync_channel(1);
    (Loan { value: Some(value), home, beats: Arc::default() }, Returns(back))
}

impl<T> Loan<T> {
    fn heartbeat(&self) -> Heartbeat {
        Heartbeat { beats: self.beats.clone(), seen: 0, since: Instant::now() }
    }

    fn beat(&self) {
        self.beats.fetch_add(1, Ordering::Relaxed);
    }
}

/// What a stream turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamShape {
    /// The device's name, as people know it.
    pub device: String,
    /// The name by which its host knows it.
    pub node: String,
    /// The host that owns it; `None` for a stand-in.
    pub host: Option<SoundHost>,
    /// Samples a second of the device.
    pub rate: u32,
    /// Channels of the device.
    pub channels: u16,
    /// Samples of a period, at the device's rate; `None` where the host will not say.
    pub period: Option<u32>,
}

/// An open stream: to be kept by the thread that opened it, since some hosts' streams may not leave it. Dropping it closes it.
pub(crate) struct Open {
    _stream: Running,
    pub(crate) shape: StreamShape,
    pub(crate) heartbeat: Heartbeat,
}

enum Running {
    Cpal { _stream: cpal::Stream },
    Pulse { _stream: pulse::Stream },
}

/// Why a stream did not open, and the value that was meant for its callback, unless the host keeps it.
pub(crate) struct Failed<T> {
    pub(crate) error: AudioError,
    pub(crate) value: Option<T>,
}

/// Everything a stream needs beside its device.
pub(crate) struct Setting<E> {
    pub(crate) epoch: Instant,
    pub(crate) refusal: Refusal,
    pub(crate) on_error: E,
}

/// Opens a microphone.
pub(crate) fn microphone<H: Hear>(
    found: &Listed,
    hear: H,
    setting: &Setting<impl Fn(cpal::Error) + Clone + Send + 'static>,
) -> Result<(Open, Returns<H>), Failed<H>> {
    let device = match &found.handle {
        Handle::Cpal(device) => device,
        Handle::Pulse => {
            let (loan, returns) = lend(hear);
            let heartbeat = loan.heartbeat();
            let opened = pulse::microphone(&found.info, loan, setting.epoch, setting.refusal.clone());
            return opened_by_pulse(&found.info, opened, heartbeat, returns);
        }
    };
    open(&found.info, device, hear, |config, format, loan| {
        use SampleFormat as F;
        let source = Source { device, config, jack: found.info.host == SoundHost::Jack };
        match format {
            F::F32 => build_input::<f32, H>(&source, loan, setting),
            F::I32 => build_input::<i32, H>(&source, loan, setting),
            F::I24 => build_input::<cpal::I24, H>(&source, loan, setting),
            F::I16 => build_input::<i16, H>(&source, loan, setting),
            F::U8 => build_input::<u8, H>(&source, loan, setting),
            F::F64 => build_input::<f64, H>(&source, loan, setting),
            _ => Err(cpal::ErrorKind::UnsupportedConfig.into()),
        }
    })
}

/// Opens a loudspeaker.
pub(crate) fn loudspeaker<P: Play>(
    found: &Listed,
    play: P,
    setting: &Setting<impl Fn(cpal::Error) + Clone + Send + 'static>,
) -> Result<(Open, Returns<P>), Failed<P>> {
    let device = match &found.handle {
        Handle::Cpal(device) => device,
        Handle::Pulse => {
            let (loan, returns) = lend(play);
            let heartbeat = loan.heartbeat();
            let opened = pulse::loudspeaker(&found.info, loan, setting.epoch, setting.refusal.clone());
            return opened_by_pulse(&found.info, opened, heartbeat, returns);
        }
    };
    open(&found.info, device, play, |config, format, loan| {
        use SampleFormat as F;
        let source = Source { device, config, jack: found.info.host == SoundHost::Jack };
        match format {
            F::F32 => build_output::<f32, P>(&source, loan, setting),
            F::I32 => build_output::<i32, P>(&source, loan, setting),
            F::I24 => build_output::<cpal::I24, P>(&source, loan, setting),
            F::I16 => build_output::<i16, P>(&source, loan, setting),
            F::U8 => build_output::<u8, P>(&source, loan, setting),
            F::F64 => build_output::<f64, P>(&source, loan, setting),
            _ => Err(cpal::ErrorKind::UnsupportedConfig.into()),
        }
    })
}

fn opened_by_pulse<T>(
    info: &SoundDevice,
    opened: Result<pulse::Stream, String>,
    heartbeat: Heartbeat,
    returns: Returns<T>,
) -> Result<(Open, Returns<T>), Failed<T>> {
    match opened {
        Ok(stream) => {
            let shape = StreamShape {
                device: info.description.clone(),
                node: info.name.clone(),
                host: Some(info.host),
                rate: SAMPLE_RATE,
                channels: info.channels.unwrap_or(1),
                period: Some(stream.period),
            };
            Ok((Open { _stream: Running::Pulse { _stream: stream }, shape, heartbeat }, returns))
        }
        Err(reason) => {
            let error = AudioError::Open { direction: info.direction, name: info.name.clone(), reason };
            Err(Failed { error, value: returns.wait() })
        }
    }
}

/// Tries the periods in turn until one opens and plays.
fn open<T>(
    info: &SoundDevice,
    device: &cpal::Device,
    mut value: T,
    build: impl Fn(StreamConfig, SampleFormat, Loan<T>) -> Result<cpal::Stream, cpal::Error>,
) -> Result<(Open, Returns<T>), Failed<T>> {
    let refused = |reason: &dyn std::fmt::Display| AudioError::Open {
        direction: info.direction,
        name: info.name.clone(),
        reason: reason.to_string(),
    };
    let format = match Format::choose(info, device) {
        Ok(format) => format,
        Err(error) => return Err(Failed { error: refused(&error), value: Some(value) }),
    };
    let mut last = cpal::ErrorKind::UnsupportedConfig.into();
    for buffer_size in format.periods(info.host) {
        let config = StreamConfig { channels: format.channels, sample_rate: format.rate, buffer_size };
        let (loan, returns) = lend(value);
        let heartbeat = loan.heartbeat();
        match build(config, format.sample, loan).and_then(|stream| stream.play().map(|()| stream)) {
            Ok(stream) => {
                let shape = StreamShape {
                    device: info.description.clone(),
                    node: info.name.clone(),
                    host: Some(info.host),
                    rate: format.rate,
                    channels: format.channels,
                    period: stream.buffer_size().ok(),
                };
                return Ok((Open { _stream: Running::Cpal { _stream: stream }, shape, heartbeat }, returns));
            }
            Err(error) => {
                let Some(back) = returns.wait() else {
                    return Err(Failed { error: refused(&error), value: None });
                };
                value = back;
                // Only a period that does not suit is worth another try.
                let another = error.kind() == cpal::ErrorKind::UnsupportedConfig;
                last = error;
                if !another {
                    break;
                }
            }
        }
    }
    Err(Failed { error: refused(&last), value: Some(value) })
}

/// What a cpal stream is made of.
struct Source<'a> {
    device: &'a cpal::Device,
    config: StreamConfig,
    jack: bool,
}

fn build_input<T, H: Hear>(
    source: &Source<'_>,
    loan: Loan<H>,
    setting: &Setting<impl Fn(cpal::Error) + Clone + Send + 'static>,
) -> Result<cpal::Stream, cpal::Error>
where
    T: cpal::SizedSample,
    f32: cpal::FromSample<T>,
{
    let config = source.config;
    let mut microphone = FromMicrophone::new(loan, setting.epoch, config.channels, config.sample_rate);
    // The thread is the host's, so its first call is the one place to raise it. JACK's has its priority from the server.
    let (mut raise, refusal) = (!source.jack, setting.refusal.clone());
    source.device.build_input_stream::<T, _, _>(
        config,
        move |period, info| {
            if std::mem::take(&mut raise) {
                priority::make_real_time(&refusal);
            }
            let times = info.timestamp();
            microphone.take(period, times.callback.saturating_duration_since(times.capture));
        },
        setting.on_error.clone(),
        Some(OPEN_TIMEOUT),
    )
}

fn build_output<T, P: Play>(
    source: &Source<'_>,
    loan: Loan<P>,
    setting: &Setting<impl Fn(cpal::Error) + Clone + Send + 'static>,
) -> Result<cpal::Stream, cpal::Error>
where
    T: cpal::SizedSample + cpal::FromSample<f32>,
{
    let config = source.config;
    let mut loudspeaker = ToLoudspeaker::new(loan, setting.epoch, config.channels, config.sample_rate);
    let (mut raise, refusal) = (!source.jack, setting.refusal.clone());
    source.device.build_output_stream::<T, _, _>(
        config,
        move |period, info| {
            if std::mem::take(&mut raise) {
                priority::make_real_time(&refusal);
            }
            let times = info.timestamp();
            loudspeaker.ahead(times.playback.saturating_duration_since(times.callback));
            loudspeaker.fill(period);
        },
        setting.on_error.clone(),
        Some(OPEN_TIMEOUT),
    )
}

impl<H: Hear> Hear for Loan<H> {
    fn hear(&mut self, block: &[f32], at: Captured) {
        self.beat();
        if let Some(hear) = &mut self.value {
            hear.hear(block, at);
        }
    }
}

impl<P: Play> Play for Loan<P> {
    fn play(&mut self, now: Duration, block: &mut [f32]) {
        self.beat();
        match &mut self.value {
            Some(play) => play.play(now, block),
            None => block.fill(0.0),
        }
    }

    fn ahead(&mut self, device: Duration, resampler: Duration) {
        if let Some(play) = &mut self.value {
            play.ahead(device, resampler);
        }
    }
}

/// How a device is opened.
struct Format {
    channels: u16,
    rate: u32,
    sample: SampleFormat,
    buffer: SupportedBufferSize,
}

impl Format {
    /// The device's own number of channels, at 48 kHz where it can, in the best samples it has.
    fn choose(info: &SoundDevice, device: &cpal::Device) -> Result<Self, cpal::Error> {
        let direction = info.direction;
        let native = match direction {
            Direction::Microphone => device.default_input_config()?,
            Direction::Loudspeaker => device.default_output_config()?,
        };
        let ranges: Vec<SupportedStreamConfigRange> = match direction {
            Direction::Microphone => device.supported_input_configs()?.collect(),
            Direction::Loudspeaker => device.supported_output_configs()?.collect(),
        };
        // JACK's ports are connected by hand, and a voice is one.
        let mono = info.host == SoundHost::Jack && direction == Direction::Microphone;
        let channels = if mono { 1 } else { native.channels() };
        let fitting = |rate| {
            ranges
                .iter()
                .filter(|range| range.channels() == channels && range.contains_rate(rate))
                .filter(|range| preference(range.sample_format()).is_some())
                .max_by_key(|range| preference(range.sample_format()))
                .map(|range| Self {
                    channels,
                    rate,
                    sample: range.sample_format(),
                    buffer: *range.buffer_size(),
                })
        };
        Ok(fitting(SAMPLE_RATE).or_else(|| fitting(native.sample_rate())).unwrap_or(Self {
            channels,
            rate: native.sample_rate(),
            sample: native.sample_format(),
            buffer: *native.buffer_size(),
        }))
    }

    fn periods(&self, host: SoundHost) -> Vec<BufferSize> {
        // JACK's period is the server's.
        let mut periods = Vec::new();
        if host != SoundHost::Jack {
            let clamp = |period: u32| match self.buffer {
                SupportedBufferSize::Range { min, max } => period.clamp(min, max.max(min)),
                SupportedBufferSize::Unknown => period,
            };
            periods.extend(PERIODS.map(clamp).map(BufferSize::Fixed));
            periods.dedup();
        }
        periods.push(BufferSize::Default);
        periods
    }
}

/// The greater the better; `None` for a format that is not understood.
fn preference(format: SampleFormat) -> Option<u8> {
    match format {
        SampleFormat::F32 => Some(6),
        SampleFormat::I32 => Some(5),
        SampleFormat::I24 => Some(4),
        SampleFormat::I16 => Some(3),
        SampleFormat::F64 => Some(2),
        SampleFormat::U8 => Some(1),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn periods(buffer: SupportedBufferSize, host: SoundHost) -> Vec<BufferSize> {
        Format { channels: 1, rate: SAMPLE_RATE, sample: SampleFormat::F32, buffer }.periods(host)
    }

    #[test]
    fn the_shortest_period_that_the_device_allows_is_asked_for_first() {
        use BufferSize::{Default, Fixed};
        let all = [Fixed(120), Fixed(256), Fixed(480), Fixed(1024), Default];
        assert_eq!(periods(SupportedBufferSize::Unknown, SoundHost::Pulse), all);
        let slow = SupportedBufferSize::Range { min: 441, max: 4096 };
        assert_eq!(periods(slow, SoundHost::Alsa), [Fixed(441), Fixed(480), Fixed(1024), Default]);
        assert_eq!(periods(slow, SoundHost::Jack), [Default]);
    }

    #[test]
    fn a_callback_that_is_dropped_gives_its_value_back() {
        let (loan, returns) = lend(7);
        std::thread::spawn(move || drop(loan));
        assert_eq!(returns.wait(), Some(7));
    }
}
