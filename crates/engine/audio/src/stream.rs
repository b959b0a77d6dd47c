//! A running stream of a sound device.

use std::path::Path;
use std::time::{Duration, Instant};

use cpal::traits::{DeviceTrait, StreamTrait};
use cpal::{SampleFormat, StreamConfig};
use hyperzoom_media::SAMPLE_RATE;

use crate::convert::{FromMicrophone, Hear, Play, ToLoudspeaker};
use crate::devices::{Direction, Handle, Listed, SoundDevice, SoundHost};
use crate::error::AudioError;
use crate::format::Format;
use crate::loan::{Edge, Heartbeat, Lent, Loan, Returns, lend};
use crate::priority::{self, Refusal};
use crate::source::Source;
use crate::spec::SoundSpec;
use crate::timer::{self, Timer};
use crate::{jack, pulse};

/// How long a host may take to open a stream.
const OPEN_TIMEOUT: Duration = Duration::from_secs(3);

/// Whether a stream's error leaves it running.
pub(crate) fn is_harmless(kind: cpal::ErrorKind) -> bool {
    use cpal::ErrorKind as Kind;
    matches!(kind, Kind::Xrun | Kind::RealtimeDenied | Kind::DeviceChanged)
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
    /// Samples, at the device's rate, that wait between this program and the air at most, which is longer where the machine needs it;
    /// `None` where the host will not say.
    pub buffer: Option<u32>,
}

impl StreamShape {
    /// That of a stand-in.
    fn stand_in(spec: &SoundSpec) -> Self {
        Self {
            device: spec.to_string(),
            node: spec.to_string(),
            host: None,
            rate: SAMPLE_RATE,
            channels: 1,
            period: Some(timer::PERIOD as u32),
            buffer: None,
        }
    }
}

/// An open stream: to be kept by the thread that opened it, since some hosts' streams may not leave it. Dropping it closes it.
pub(crate) struct Open {
    stream: Running,
    pub(crate) shape: StreamShape,
    pub(crate) heartbeat: Heartbeat,
    /// How many periods there are to choose from, for the one who opens it, the shortest first; 1 where there is no choice.
    pub(crate) periods: usize,
    /// Whether it is a real microphone, which never is perfectly silent.
    pub(crate) hears_the_world: bool,
    /// What was opened, where it is a device: to open it again takes no search.
    pub(crate) found: Option<Listed>,
}

enum Running {
    /// The client outlives its stream.
    Cpal {
        _stream: cpal::Stream,
        _jack: Option<jack::Client>,
    },
    Pulse(pulse::Stream),
    StandIn {
        _timer: Timer,
    },
}

impl Drop for Open {
    fn drop(&mut self) {
        if matches!(self.stream, Running::Cpal { _jack: Some(_), .. }) {
            jack::before_closing();
        }
    }
}

impl Open {
    /// Samples that wait in the sound server at most, where that is known.
    pub(crate) fn buffer(&self) -> Option<u32> {
        self.pulse().and_then(pulse::Status::buffer)
    }

    /// What a sound server says of the stream.
    pub(crate) fn pulse(&self) -> Option<&pulse::Status> {
        match &self.stream {
            Running::Pulse(stream) => Some(&stream.status),
            Running::Cpal { .. } | Running::StandIn { .. } => None,
        }
    }
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
    /// How many of a device's shortest periods to leave out: they are known not to hold.
    pub(crate) leave_out: usize,
}

/// Starts a microphone that needs no device.
pub(crate) fn stand_in_microphone<H: Hear, E>(
    spec: &SoundSpec,
    source: Source,
    hear: H,
    setting: &Setting<E>,
) -> Result<(Open, Returns<H>), Failed<H>> {
    let Lent { loan, edge, heartbeat, returns } = lend(hear);
    let timer = timer::microphone(source, (loan, edge), setting.epoch, setting.refusal.clone());
    stood_in(spec, timer, heartbeat, returns)
}

/// Starts a loudspeaker that needs no device: nobody, or a file.
pub(crate) fn stand_in_loudspeaker<P: Play, E>(
    spec: &SoundSpec,
    file: Option<&Path>,
    play: P,
    setting: &Setting<E>,
) -> Result<(Open, Returns<P>), Failed<P>> {
    let Lent { loan, edge, heartbeat, returns } = lend(play);
    let timer = timer::loudspeaker(file, (loan, edge), setting.epoch, setting.refusal.clone());
    stood_in(spec, timer, heartbeat, returns)
}

fn stood_in<T>(
    spec: &SoundSpec,
    timer: Result<Timer, AudioError>,
    heartbeat: Heartbeat,
    returns: Returns<T>,
) -> Result<(Open, Returns<T>), Failed<T>> {
    match timer {
        Ok(timer) => {
            let stream = Running::StandIn { _timer: timer };
            let shape = StreamShape::stand_in(spec);
            Ok((Open { stream, shape, heartbeat, periods: 1, hears_the_world: false, found: None }, returns))
        }
        Err(error) => Err(Failed { error, value: returns.wait() }),
    }
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
            let Lent { loan, edge, heartbeat, returns } = lend(hear);
            let opened = pulse::microphone(&found.info, (loan, edge), setting.epoch, setting.refusal.clone());
            return opened_by_pulse(&found.info, opened, heartbeat, returns);
        }
    };
    open(&found.info, device, hear, setting.leave_out, |config, format, loan| {
        use SampleFormat as F;
        let source = Device { device, config, jack: found.info.host == SoundHost::Jack };
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
            let Lent { loan, edge, heartbeat, returns } = lend(play);
            let opened =
                pulse::loudspeaker(&found.info, (loan, edge), setting.epoch, setting.refusal.clone());
            return opened_by_pulse(&found.info, opened, heartbeat, returns);
        }
    };
    open(&found.info, device, play, setting.leave_out, |config, format, loan| {
        use SampleFormat as F;
        let source = Device { device, config, jack: found.info.host == SoundHost::Jack };
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
                buffer: stream.status.buffer(),
            };
            let hears_the_world = info.direction == Direction::Microphone && !info.monitor;
            let stream = Running::Pulse(stream);
            Ok((Open { stream, shape, heartbeat, periods: 1, hears_the_world, found: None }, returns))
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
    leave_out: usize,
    build: impl Fn(StreamConfig, SampleFormat, (Loan<T>, Edge)) -> Result<cpal::Stream, cpal::Error>,
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
    let periods = format.periods(info.host);
    for buffer_size in periods.iter().skip(leave_out.min(periods.len() - 1)).copied() {
        let config = StreamConfig { channels: format.channels, sample_rate: format.rate, buffer_size };
        let Lent { loan, edge, heartbeat, returns } = lend(value);
        let client = (info.host == SoundHost::Jack).then(jack::Client::new);
        match build(config, format.sample, (loan, edge)).and_then(|stream| stream.play().map(|()| stream)) {
            Ok(stream) => {
                let shape = StreamShape {
                    device: info.description.clone(),
                    node: info.name.clone(),
                    host: Some(info.host),
                    rate: format.rate,
                    channels: format.channels,
                    period: stream.buffer_size().ok(),
                    buffer: None,
                };
                let open = Open {
                    stream: Running::Cpal { _stream: stream, _jack: client },
                    shape,
                    heartbeat,
                    // The last, which leaves it to the host, is no longer period.
                    periods: periods.len().saturating_sub(1).max(1),
                    hears_the_world: info.direction == Direction::Microphone && info.host != SoundHost::Jack,
                    found: None,
                };
                return Ok((open, returns));
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
struct Device<'a> {
    device: &'a cpal::Device,
    config: StreamConfig,
    jack: bool,
}

/// What is done about a stream's error at once, before the owner hears of it.
fn on_error<E: Fn(cpal::Error) + Clone + Send + 'static>(
    source: &Device<'_>,
    setting: &Setting<E>,
) -> impl Fn(cpal::Error) + Send + 'static + use<E> {
    let (jack, on_error) = (source.jack, setting.on_error.clone());
    move |error| {
        if jack && !is_harmless(error.kind()) {
            jack::server_died();
        }
        on_error(error);
    }
}

fn build_input<T, H: Hear>(
    source: &Device<'_>,
    (loan, edge): (Loan<H>, Edge),
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
            let age = times.callback.saturating_duration_since(times.capture);
            edge.run(|| microphone.take(period, age));
        },
        on_error(source, setting),
        Some(OPEN_TIMEOUT),
    )
}

fn build_output<T, P: Play>(
    source: &Device<'_>,
    (loan, edge): (Loan<P>, Edge),
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
            let ahead = times.playback.saturating_duration_since(times.callback);
            let play = || {
                loudspeaker.ahead(ahead);
                loudspeaker.fill(period);
            };
            if !edge.run(play) {
                period.fill(T::EQUILIBRIUM);
            }
        },
        on_error(source, setting),
        Some(OPEN_TIMEOUT),
    )
}
