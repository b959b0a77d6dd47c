//! The thread that owns the devices: it opens them, watches over them, and opens them again after they were lost.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use crate::capture::Capture;
use crate::devices::{self, Direction};
use crate::engine::Garbage;
use crate::error::AudioError;
use crate::events::{AudioEvent, EventSender};
use crate::mixer::Mixer;
use crate::priority::{self, Refusal};
use crate::source::Source;
use crate::spec::{SoundSpec, SpecError};
use crate::stream::{self, Failed, Open, Returns, Setting, StreamShape};
use crate::timer::{self, Timer};

/// How often the thread looks after things that nobody tells it.
const ROUND: Duration = Duration::from_millis(200);

/// How long after a failure a device is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// What the owner thread is told.
pub(crate) enum Message {
    /// A stream's error.
    Error(Direction, cpal::Error),
    /// The engine is dropped.
    Stop,
}

/// The two ends' shapes, for whoever asks.
pub(crate) type Shapes = Arc<std::sync::Mutex<[Option<StreamShape>; 2]>>;

/// Everything that the owner thread has.
pub(crate) struct Owner {
    pub(crate) epoch: Instant,
    pub(crate) refusal: Refusal,
    pub(crate) messages: Receiver<Message>,
    pub(crate) to_self: SyncSender<Message>,
    pub(crate) events: EventSender,
    pub(crate) shapes: Shapes,
    pub(crate) garbage: Garbage,
}

/// One of the two devices: what it should be, and what has become of it.
struct End<T> {
    direction: Direction,
    spec: SoundSpec,
    state: State<T>,
}

enum State<T> {
    Device(Open, Returns<T>),
    StandIn {
        _timer: Timer,
    },
    Lost {
        value: T,
        retry_at: Instant,
    },
    /// The host kept the callback, so there is nothing left to play with.
    Gone,
}

/// A callback's value, which can be put into a stream or behind a timer.
trait Endpoint: Sized + Send + 'static {
    const DIRECTION: Direction;
    fn device(self, owner: &Owner, spec: &SoundSpec) -> Result<(Open, Returns<Self>), Failed<Self>>;
    /// The stand-in that `spec` means; gives the value back where it means a device.
    fn stand_in(self, owner: &Owner, spec: &SoundSpec) -> Result<Result<Timer, Self>, AudioError>;
}

impl Owner {
    fn setting(
        &self,
        direction: Direction,
    ) -> Setting<impl Fn(cpal::Error) + Clone + Send + 'static + use<>> {
        let to_owner = self.to_self.clone();
        let on_error = move |error| {
            // Where errors pour in, the first ones tell it all.
            let _ = to_owner.try_send(Message::Error(direction, error));
        };
        Setting { epoch: self.epoch, refusal: self.refusal.clone(), on_error }
    }

    /// Opens both ends, tells `ready`, and looks after them until it is told to stop.
    pub(crate) fn run(
        mut self,
        (microphone, capture): (SoundSpec, Capture),
        (loudspeaker, mixer): (SoundSpec, Mixer),
        ready: &SyncSender<Result<(), AudioError>>,
    ) {
        let opened = self
            .start(loudspeaker, mixer)
            .and_then(|loudspeaker| Ok((self.start(microphone, capture)?, loudspeaker)));
        let (mut microphone, mut loudspeaker) = match opened {
            Ok(both) => both,
            Err(error) => {
                let _ = ready.send(Err(error));
                return;
            }
        };
        let _ = ready.send(Ok(()));
        loop {
            match self.messages.recv_timeout(ROUND) {
                Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(Message::Error(Direction::Microphone, error)) => self.failed(&mut microphone, &error),
                Ok(Message::Error(Direction::Loudspeaker, error)) => self.failed(&mut loudspeaker, &error),
                Err(RecvTimeoutError::Timeout) => {}
            }
            self.watch(&mut microphone);
            self.watch(&mut loudspeaker);
            self.retry(&mut microphone);
            self.retry(&mut loudspeaker);
            self.garbage.empty();
            if self.refusal.take() {
                self.events.send(AudioEvent::Warning(priority::ADVICE.to_owned()));
            }
        }
    }

    fn start<T: Endpoint>(&self, spec: SoundSpec, value: T) -> Result<End<T>, AudioError> {
        let state = match value.stand_in(self, &spec)? {
            Ok(timer) => {
                let shape = StreamShape {
                    device: spec.to_string(),
                    node: spec.to_string(),
                    host: None,
                    rate: hyperzoom_media::SAMPLE_RATE,
                    channels: 1,
                    period: Some(timer::PERIOD as u32),
                };
                self.tell_shape(T::DIRECTION, Some(shape));
                State::StandIn { _timer: timer }
            }
            Err(value) => {
                let (open, returns) = value.device(self, &spec).map_err(|failed| failed.error)?;
                self.tell_shape(T::DIRECTION, Some(open.shape.clone()));
                State::Device(open, returns)
            }
        };
        Ok(End { direction: T::DIRECTION, spec, state })
    }

    fn tell_shape(&self, direction: Direction, shape: Option<StreamShape>) {
        let mut shapes = self.shapes.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        shapes[direction as usize] = shape;
    }

    fn failed<T: Endpoint>(&mut self, end: &mut End<T>, error: &cpal::Error) {
        if stream::is_harmless(error.kind()) {
            tracing::debug!("{}: {error}", end.direction);
            return;
        }
        // Errors of a stream that was given up already have nothing new to say.
        if matches!(end.state, State::Device(..)) {
            self.give_up(end, error.to_string(), None);
        }
    }

    /// Looks whether the device still lives.
    fn watch<T: Endpoint>(&mut self, end: &mut End<T>) {
        let State::Device(open, returns) = &mut end.state else { return };
        if let Some(value) = returns.early() {
            self.give_up(end, "the sound server has gone".to_owned(), Some(value));
        } else if open.heartbeat.stalled(Instant::now()) {
            self.give_up(end, "it no longer delivers or takes any sound".to_owned(), None);
        }
    }

    fn give_up<T: Endpoint>(&mut self, end: &mut End<T>, reason: String, value: Option<T>) {
        let State::Device(open, returns) = std::mem::replace(&mut end.state, State::Gone) else { return };
        drop(open);
        self.tell_shape(end.direction, None);
        self.events.send(AudioEvent::DeviceLost { direction: end.direction, reason });
        match value.or_else(|| returns.wait()) {
            Some(value) => end.state = State::Lost { value, retry_at: Instant::now() + RETRY },
            None => self.gone(end.direction),
        }
    }

    fn retry<T: Endpoint>(&mut self, end: &mut End<T>) {
        if !matches!(&end.state, State::Lost { retry_at, .. } if *retry_at <= Instant::now()) {
            return;
        }
        let State::Lost { value, .. } = std::mem::replace(&mut end.state, State::Gone) else { return };
        match value.device(self, &end.spec) {
            Ok((open, returns)) => {
                let shape = open.shape.clone();
                self.tell_shape(end.direction, Some(shape.clone()));
                self.events.send(AudioEvent::DeviceBack { direction: end.direction, shape });
                end.state = State::Device(open, returns);
            }
            Err(Failed { value: Some(value), .. }) => {
                end.state = State::Lost { value, retry_at: Instant::now() + RETRY };
            }
            Err(Failed { value: None, .. }) => self.gone(end.direction),
        }
    }

    fn gone(&mut self, direction: Direction) {
        let text = format!("the {direction} does not come back by itself; leave the call and join again");
        self.events.send(AudioEvent::Warning(text));
    }
}

impl Endpoint for Capture {
    const DIRECTION: Direction = Direction::Microphone;

    fn device(self, owner: &Owner, spec: &SoundSpec) -> Result<(Open, Returns<Self>), Failed<Self>> {
        match devices::find(spec, Self::DIRECTION) {
            Ok(found) => stream::microphone(&found, self, &owner.setting(Self::DIRECTION)),
            Err(error) => Err(Failed { error, value: Some(self) }),
        }
    }

    fn stand_in(self, owner: &Owner, spec: &SoundSpec) -> Result<Result<Timer, Self>, AudioError> {
        Ok(match Source::of(spec)? {
            Some(source) => Ok(timer::microphone(source, self, owner.epoch, owner.refusal.clone())?),
            None => Err(self),
        })
    }
}

impl Endpoint for Mixer {
    const DIRECTION: Direction = Direction::Loudspeaker;

    fn device(self, owner: &Owner, spec: &SoundSpec) -> Result<(Open, Returns<Self>), Failed<Self>> {
        match devices::find(spec, Self::DIRECTION) {
            Ok(found) => stream::loudspeaker(&found, self, &owner.setting(Self::DIRECTION)),
            Err(error) => Err(Failed { error, value: Some(self) }),
        }
    }

    fn stand_in(self, owner: &Owner, spec: &SoundSpec) -> Result<Result<Timer, Self>, AudioError> {
        let file: Option<PathBuf> = match spec {
            SoundSpec::None => None,
            SoundSpec::File(path) => Some(path.clone()),
            SoundSpec::Tone(_) => return Err(SpecError::ToneSpeaker.into()),
            SoundSpec::Default { .. } | SoundSpec::Device { .. } => return Ok(Err(self)),
        };
        Ok(Ok(timer::loudspeaker(file.as_deref(), self, owner.epoch, owner.refusal.clone())?))
    }
}
