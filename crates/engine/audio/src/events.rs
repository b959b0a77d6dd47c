//! What the sound tells on its own.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ringbuf::traits::{Consumer, Producer, Split};
use ringbuf::{HeapCons, HeapProd, HeapRb};

use crate::devices::Direction;
use crate::stream::StreamShape;

/// Something that happened to the sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AudioEvent {
    /// A device has gone or failed. It is opened again as soon as that is possible; until then it is silent.
    DeviceLost {
        /// Which of the two.
        direction: Direction,
        /// What the sound host said.
        reason: String,
    },
    /// A lost device is back.
    DeviceBack {
        /// Which of the two.
        direction: Direction,
        /// What it is now.
        shape: StreamShape,
    },
    /// The chosen device is not there, and the host's default one is used in its stead until it is.
    FellBack {
        /// Which of the two.
        direction: Direction,
        /// The one that was chosen, as it was written.
        wanted: String,
        /// The one that is used.
        shape: StreamShape,
    },
    /// Another device is used, as was asked for.
    Switched {
        /// Which of the two.
        direction: Direction,
        /// What it is now.
        shape: StreamShape,
    },
    /// Another device was asked for and could not be had: all stays as it was.
    NotSwitched {
        /// Which of the two.
        direction: Direction,
        /// The one that was asked for, as it was written.
        wanted: String,
        /// Why it could not be had, and what to do.
        reason: String,
    },
    /// The microphone is open, and for two seconds there was nothing to hear, not even noise. Told once for each time that it is opened.
    MicSilent {
        /// The device's name, as people know it.
        device: String,
        /// It delivers zeros; otherwise it delivers nothing.
        delivers: bool,
    },
    /// Something to tell a person once, after which all goes on.
    Warning(String),
}

/// As a person reads it.
impl fmt::Display for AudioEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DeviceLost { direction, reason } => {
                write!(f, "the {direction} is gone ({reason}); it is used again as soon as it is back")
            }
            Self::DeviceBack { direction, shape } => write!(f, "the {direction} is back: {}", shape.device),
            Self::FellBack { direction, wanted, shape } => {
                write!(f, "the {direction} is {} now, until \"{wanted}\" is back", shape.device)
            }
            Self::Switched { direction, shape } => write!(f, "the {direction} is {} now", shape.device),
            Self::NotSwitched { direction, wanted, reason } => {
                write!(f, "the {direction} stays as it is, \"{wanted}\" cannot be had: {reason}")
            }
            Self::MicSilent { device, delivers: true } => write!(
                f,
                "the microphone {device} is open and perfectly silent: is it switched off by a key of its own, or muted in the \
                 system's settings?"
            ),
            Self::MicSilent { device, delivers: false } => write!(
                f,
                "the microphone {device} is open and delivers no sound at all: is this program allowed to use it, and does \
                 another one hold it? Plug it in again, or choose another"
            ),
            Self::Warning(text) => f.write_str(text),
        }
    }
}

/// The events of an [`AudioEngine`](crate::AudioEngine), oldest first.
pub struct AudioEvents {
    ring: HeapCons<AudioEvent>,
    dropped: Arc<AtomicU64>,
}

impl AudioEvents {
    /// The next event, if there is one.
    pub fn poll(&mut self) -> Option<AudioEvent> {
        self.ring.try_pop()
    }

    /// How many events were lost since nobody polled.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

pub(crate) struct EventSender {
    ring: HeapProd<AudioEvent>,
    dropped: Arc<AtomicU64>,
}

impl EventSender {
    pub(crate) fn send(&mut self, event: AudioEvent) {
        if self.ring.try_push(event).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Events that may wait. There are a handful in a call.
const CAPACITY: usize = 64;

pub(crate) fn events() -> (EventSender, AudioEvents) {
    let (send, receive) = HeapRb::new(CAPACITY).split();
    let dropped = Arc::new(AtomicU64::new(0));
    (EventSender { ring: send, dropped: dropped.clone() }, AudioEvents { ring: receive, dropped })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_that_nobody_polls_are_counted_not_kept() {
        let (mut send, mut events) = events();
        for n in 0..CAPACITY + 3 {
            send.send(AudioEvent::Warning(n.to_string()));
        }
        assert_eq!(events.dropped(), 3);
        assert_eq!(events.poll(), Some(AudioEvent::Warning("0".to_owned())));
    }
}
