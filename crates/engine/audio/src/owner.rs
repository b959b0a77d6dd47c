//! The thread that owns the devices: it opens them, watches over them, and opens them again after they were lost.

mod end;
mod endpoint;

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use crate::capture::{Capture, CaptureCounts};
use crate::devices::Direction;
use crate::ears::VoiceEars;
use crate::engine::Garbage;
use crate::error::AudioError;
use crate::events::{AudioEvent, EventSender};
use crate::hush::Hush;
use crate::live::LiveShared;
use crate::mixer::Mixer;
use crate::priority::{self, Refusal};
use crate::spec::SoundSpec;
use crate::stream::{Setting, StreamShape};
use end::End;

/// How often the thread looks after things that nobody tells it.
const ROUND: Duration = Duration::from_millis(200);

/// What the owner thread is told.
pub(crate) enum Message {
    /// An error of a stream, by the number with which it was [opened](Owner::setting).
    Error(Direction, u64, cpal::Error),
    /// Another device is wanted.
    Set(Direction, SoundSpec),
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
    pub(crate) counts: Arc<CaptureCounts>,
    pub(crate) live: Arc<LiveShared>,
    pub(crate) ears: VoiceEars,
    pub(crate) garbage: Garbage,
    /// The numbers of the two ends' latest streams.
    pub(crate) latest: [Cell<u64>; 2],
}

impl Owner {
    /// What the next stream of an end needs. It is that end's latest from here on: what one before it has left in the channel is no
    /// longer listened to.
    fn setting(
        &self,
        direction: Direction,
        leave_out: usize,
    ) -> Setting<impl Fn(cpal::Error) + Clone + Send + 'static + use<>> {
        let to_owner = self.to_self.clone();
        let number = self.latest[direction as usize].get() + 1;
        self.latest[direction as usize].set(number);
        let on_error = move |error| {
            // Where errors pour in, the first ones tell it all.
            let _ = to_owner.try_send(Message::Error(direction, number, error));
        };
        Setting { epoch: self.epoch, refusal: self.refusal.clone(), on_error, leave_out }
    }

    /// Whether an end's stream is the latest.
    fn is_latest(&self, direction: Direction, number: u64) -> bool {
        number == self.latest[direction as usize].get()
    }

    /// Opens both ends, tells `ready`, and looks after them until it is told to stop.
    pub(crate) fn run(
        mut self,
        (microphone, capture): (SoundSpec, Capture),
        (loudspeaker, mixer): (SoundSpec, Mixer),
        ready: &SyncSender<Result<(), AudioError>>,
    ) {
        let opened = End::start(&mut self, loudspeaker, mixer)
            .and_then(|loudspeaker| Ok((End::start(&mut self, microphone, capture)?, loudspeaker)));
        let (mut microphone, mut loudspeaker) = match opened {
            Ok(both) => both,
            Err(error) => {
                let _ = ready.send(Err(error));
                return;
            }
        };
        // Whoever started this has stopped waiting for it.
        if ready.send(Ok(())).is_err() {
            return;
        }
        let mut listening = Listening::new(&self, 0);
        loop {
            match self.messages.recv_timeout(ROUND) {
                Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(Message::Error(direction, number, error)) => {
                    if self.is_latest(direction, number) {
                        match direction {
                            Direction::Microphone => microphone.failed(&mut self, &error),
                            Direction::Loudspeaker => loudspeaker.failed(&mut self, &error),
                        }
                    }
                }
                Ok(Message::Set(Direction::Microphone, spec)) => {
                    let (was, is) = (microphone.chosen().clone(), spec.clone());
                    if microphone.switch(&mut self, spec)
                        && (was == SoundSpec::None) != (is == SoundSpec::None)
                    {
                        self.live.paused.store(is == SoundSpec::None, Ordering::Relaxed);
                    }
                }
                Ok(Message::Set(Direction::Loudspeaker, spec)) => {
                    loudspeaker.switch(&mut self, spec);
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
            microphone.look_after(&mut self);
            loudspeaker.look_after(&mut self);
            listening.look_after(&mut self, &microphone);
            self.garbage.empty();
            self.ears.listen();
            if self.refusal.take() {
                self.events.send(AudioEvent::Warning(priority::ADVICE.to_owned()));
            }
        }
    }

    fn tell_shape(&self, direction: Direction, shape: Option<StreamShape>) {
        let mut shapes = self.shapes.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        shapes[direction as usize] = shape;
    }
}

/// Whether the open microphone hears anything.
struct Listening {
    /// Which of the streams that were opened it is.
    opened: u64,
    hush: Hush,
    blocks: u64,
}

impl Listening {
    fn new(owner: &Owner, opened: u64) -> Self {
        let counts = &owner.counts;
        Self {
            opened,
            hush: Hush::new(owner.epoch.elapsed(), counts.heard.load(Ordering::Relaxed)),
            blocks: counts.blocks.load(Ordering::Relaxed),
        }
    }

    fn look_after(&mut self, owner: &mut Owner, microphone: &End<Capture>) {
        if microphone.opened() != self.opened {
            *self = Self::new(owner, microphone.opened());
        }
        let Some(open) = microphone.open().filter(|open| open.hears_the_world) else { return };
        let heard = owner.counts.heard.load(Ordering::Relaxed);
        let muted = owner.live.muted.load(Ordering::Relaxed);
        if self.hush.is_news(owner.epoch.elapsed(), heard, muted) {
            let delivers = owner.counts.blocks.load(Ordering::Relaxed) != self.blocks;
            let device = open.shape.device.clone();
            owner.events.send(AudioEvent::MicSilent { device, delivers });
        }
    }
}
