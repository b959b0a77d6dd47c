//! One of the two devices: what it should be, and what has become of it.

#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use super::Owner;
use super::endpoint::Endpoint;
use crate::error::AudioError;
use crate::events::AudioEvent;
use crate::hold::{Hold, Patience};
use crate::loan::Returns;
use crate::pulse;
use crate::spec::SoundSpec;
use crate::stream::{self, Failed, Open};

/// How long after a failure a device is tried again, and how often it is looked whether the chosen one is back.
const RETRY: Duration = Duration::from_secs(1);

/// How long it takes at most until a chosen device that is there, and would not open, is tried again.
const LONGEST: Duration = Duration::from_secs(60);

/// A stream that lives shorter than this has not worked.
const LIVED: Duration = Duration::from_secs(5);

/// Another period takes another stream, and that is heard: so it takes more than one failure, and the way back is long.
const PATIENCE: Patience = Patience { strikes: 3, hold: Duration::from_secs(120) };

/// One end of the call's sound.
pub(super) struct End<T> {
    /// What is to be used.
    spec: SoundSpec,
    /// The default device is used in its stead.
    fell_back: bool,
    state: State<T>,
    /// How many streams were opened.
    opened: u64,
    /// Which of the device's periods is used.
    hold: Hold,
    /// When the latest of them was.
    opened_at: Instant,
    again_at: Instant,
    /// How long until the next attempt after a stream that dies young: longer after each.
    delay: Duration,
    /// How long until the next attempt to return to the chosen device: longer after each that failed.
    patience: Duration,
}

enum State<T> {
    Open(Box<Open>, Returns<T>),
    Lost(T),
    /// The host keeps the callback, so there is nothing to play with, unless it comes back after all.
    Gone(Option<Returns<T>>),
}

impl<T: Endpoint> End<T> {
    /// Opens what `spec` means.
    pub(super) fn start(owner: &mut Owner, spec: SoundSpec, value: T) -> Result<Self, AudioError> {
        let (open, returns) = value.open(owner, &spec, 0).map_err(|failed| failed.error)?;
        let mut end = Self {
            spec,
            fell_back: false,
            state: State::Gone(None),
            opened: 0,
            hold: Hold::new(1, PATIENCE, owner.epoch.elapsed()),
            opened_at: Instant::now(),
            again_at: Instant::now(),
            delay: RETRY,
            patience: RETRY,
        };
        end.begin(owner, open, returns);
        Ok(end)
    }

    /// What is to be used.
    pub(super) fn chosen(&self) -> &SoundSpec {
        &self.spec
    }

    /// The stream that is open.
    pub(super) fn open(&self) -> Option<&Open> {
        match &self.state {
            State::Open(open, _) => Some(open),
            State::Lost(_) | State::Gone(_) => None,
        }
    }

    /// How many streams were opened.
    pub(super) fn opened(&self) -> u64 {
        self.opened
    }

    /// What is used: the chosen device, or the default one in its stead.
    fn used(&self) -> SoundSpec {
        if self.fell_back { SoundSpec::Default { host: None } } else { self.spec.clone() }
    }

    fn take(&mut self, owner: &Owner, open: Open, returns: Returns<T>) {
        owner.tell_shape(T::DIRECTION, Some(open.shape.clone()));
        self.opened += 1;
        self.opened_at = Instant::now();
        self.state = State::Open(Box::new(open), returns);
    }

    /// A device that was not used before begins with its shortest period.
    fn begin(&mut self, owner: &Owner, open: Open, returns: Returns<T>) {
        self.hold = Hold::new(open.periods, PATIENCE, owner.epoch.elapsed());
        self.take(owner, open, returns);
    }

    /// Closes the stream; `None` where the host keeps the callback.
    fn close(&mut self, owner: &Owner) -> Option<T> {
        match std::mem::replace(&mut self.state, State::Gone(None)) {
            State::Open(open, returns) => {
                drop(open);
                owner.tell_shape(T::DIRECTION, None);
                let value = returns.wait();
                self.state = State::Gone(Some(returns));
                value
            }
            State::Lost(value) => Some(value),
            State::Gone(returns) => {
                let value = returns.as_ref().and_then(Returns::early);
                self.state = State::Gone(returns);
                value
            }
        }
    }

    /// A stream's error.
    pub(super) fn failed(&mut self, owner: &mut Owner, error: &cpal::Error) {
        if error.kind() == cpal::ErrorKind::Xrun && self.open().is_some_and(|open| open.periods > 1) {
            tracing::debug!("{}: {error}", T::DIRECTION);
            if self.hold.fail(owner.epoch.elapsed()) {
                self.reopen(owner);
            }
        } else if stream::is_harmless(error.kind()) {
            tracing::debug!("{}: {error}", T::DIRECTION);
        } else if self.open().is_some() {
            // Errors of a stream that was given up already have nothing new to say.
            self.give_up(owner, error.to_string(), None);
        }
    }

    /// Looks whether the device still lives, and after one that does not.
    pub(super) fn look_after(&mut self, owner: &mut Owner) {
        self.watch(owner);
        if let State::Gone(Some(returns)) = &self.state
            && let Some(value) = returns.early()
        {
            self.state = State::Lost(value);
            self.again_at = Instant::now();
        }
        if self.again_at > Instant::now() {
            return;
        }
        if matches!(self.state, State::Lost(_)) {
            self.retry(owner);
            self.again_at = Instant::now() + RETRY;
        } else if self.fell_back {
            self.go_back(owner);
            let lost = matches!(self.state, State::Lost(_));
            self.again_at = Instant::now() + if lost { RETRY } else { self.patience };
        }
    }

    fn watch(&mut self, owner: &mut Owner) {
        let used = self.used();
        let State::Open(open, returns) = &mut self.state else { return };
        if let Some(value) = returns.early() {
            let told = open.pulse().and_then(|pulse| pulse.end());
            let reason = told.unwrap_or("the sound server has gone").to_owned();
            return self.give_up(owner, reason, Some(value));
        }
        if open.heartbeat.panicked() {
            let reason = "this program failed in its callback, which is a bug of ours: please report it";
            return self.give_up(owner, reason.to_owned(), None);
        }
        if open.heartbeat.stalled(Instant::now()) {
            return self.give_up(owner, "it no longer delivers or takes any sound".to_owned(), None);
        }
        // A person may have moved the stream, in the mixer of the desktop; or the device is gone, and the server moved it for that.
        if open.pulse().is_some_and(pulse::Status::take_moved) && T::check(&used).is_err() {
            return self.give_up(owner, "it was unplugged, or switched off".to_owned(), None);
        }
        if open.buffer() != open.shape.buffer {
            open.shape.buffer = open.buffer();
            tracing::debug!(
                "{}: {:?} samples of buffer after {} underruns",
                T::DIRECTION,
                open.shape.buffer,
                open.pulse().map_or(0, pulse::Status::underruns)
            );
            owner.tell_shape(T::DIRECTION, Some(open.shape.clone()));
        }
        if self.hold.held(owner.epoch.elapsed()) {
            self.reopen(owner);
        }
    }

    fn give_up(&mut self, owner: &mut Owner, reason: String, value: Option<T>) {
        owner.events.send(AudioEvent::DeviceLost { direction: T::DIRECTION, reason });
        let value = value.or_else(|| self.close(owner));
        // Where it was the default device in the chosen one's stead, its return is news, too.
        self.fell_back = false;
        match value {
            Some(value) => {
                owner.tell_shape(T::DIRECTION, None);
                self.state = State::Lost(value);
                self.again_at = Instant::now() + self.respite();
            }
            None => self.gone(owner),
        }
    }

    /// How long to wait after a stream that died: not at all after one that had worked.
    fn respite(&mut self) -> Duration {
        if self.opened_at.elapsed() >= LIVED {
            self.delay = RETRY;
            return Duration::ZERO;
        }
        let next = (self.delay * 2).min(LONGEST);
        std::mem::replace(&mut self.delay, next)
    }

    /// Opens the same device with the period that [`Hold`] says.
    fn reopen(&mut self, owner: &mut Owner) {
        let found = if let State::Open(open, _) = &mut self.state { open.found.take() } else { None };
        let Some(value) = self.close(owner) else { return self.gone(owner) };
        tracing::debug!("{}: another period, the {}. of its own", T::DIRECTION, self.hold.rung() + 1);
        let opened = match found {
            // A search asks every card, and nothing is heard meanwhile.
            Some(found) => value.open_found(owner, found, self.hold.rung()),
            None => value.open(owner, &self.used(), self.hold.rung()),
        };
        match opened {
            Ok((open, returns)) => self.take(owner, open, returns),
            Err(failed) => self.lost(owner, failed),
        }
    }

    fn lost(&mut self, owner: &mut Owner, failed: Failed<T>) {
        let reason = failed.error.to_string();
        owner.events.send(AudioEvent::DeviceLost { direction: T::DIRECTION, reason });
        self.fell_back = false;
        match failed.value {
            Some(value) => {
                self.state = State::Lost(value);
                self.again_at = Instant::now() + RETRY;
            }
            None => self.gone(owner),
        }
    }

    /// Opens the chosen device again, or the default one in its stead.
    fn retry(&mut self, owner: &mut Owner) {
        let State::Lost(value) = std::mem::replace(&mut self.state, State::Gone(None)) else { return };
        let direction = T::DIRECTION;
        let failed = match value.open(owner, &self.spec, 0) {
            Ok((open, returns)) => {
                let shape = open.shape.clone();
                (self.fell_back, self.patience) = (false, RETRY);
                self.begin(owner, open, returns);
                return owner.events.send(AudioEvent::DeviceBack { direction, shape });
            }
            Err(failed) => failed,
        };
        let Some(value) = failed.value else { return self.gone(owner) };
        if !matches!(self.spec, SoundSpec::Device { .. }) {
            self.state = State::Lost(value);
            return;
        }
        match value.open(owner, &SoundSpec::Default { host: None }, 0) {
            Ok((open, returns)) => {
                let (wanted, shape) = (self.spec.to_string(), open.shape.clone());
                let news = !std::mem::replace(&mut self.fell_back, true);
                self.begin(owner, open, returns);
                if news {
                    owner.events.send(AudioEvent::FellBack { direction, wanted, shape });
                }
            }
            Err(Failed { value: Some(value), .. }) => self.state = State::Lost(value),
            Err(Failed { value: None, .. }) => self.gone(owner),
        }
    }

    /// Returns from the default device to the chosen one, where that is there.
    fn go_back(&mut self, owner: &mut Owner) {
        if T::check(&self.spec).is_err() {
            return;
        }
        let Some(value) = self.close(owner) else { return self.gone(owner) };
        // Where it does not open after all, this falls back again.
        self.state = State::Lost(value);
        self.retry(owner);
        if matches!(self.state, State::Lost(_)) {
            // Nor does the default device, which was there until now.
            self.fell_back = false;
            let reason = format!("neither {} nor the default device opens", self.spec);
            owner.events.send(AudioEvent::DeviceLost { direction: T::DIRECTION, reason });
        } else if self.fell_back {
            self.patience = (self.patience * 2).min(LONGEST);
        }
    }

    /// Uses another device from now on. Whether that was possible.
    pub(super) fn switch(&mut self, owner: &mut Owner, spec: SoundSpec) -> bool {
        let (direction, wanted) = (T::DIRECTION, spec.to_string());
        let not_switched = |reason: AudioError| AudioEvent::NotSwitched {
            direction,
            wanted: wanted.clone(),
            reason: reason.to_string(),
        };
        // What can be known beforehand costs no gap.
        if let Err(error) = T::check(&spec) {
            owner.events.send(not_switched(error));
            return false;
        }
        let Some(value) = self.close(owner) else {
            self.gone(owner);
            return false;
        };
        match value.open(owner, &spec, 0) {
            Ok((open, returns)) => {
                let shape = open.shape.clone();
                (self.spec, self.fell_back) = (spec, false);
                (self.patience, self.delay) = (RETRY, RETRY);
                self.begin(owner, open, returns);
                owner.events.send(AudioEvent::Switched { direction, shape });
                true
            }
            Err(failed) => {
                owner.events.send(not_switched(failed.error));
                match failed.value {
                    None => self.gone(owner),
                    Some(value) => match value.open(owner, &self.used(), self.hold.rung()) {
                        Ok((open, returns)) => self.take(owner, open, returns),
                        Err(failed) => self.lost(owner, failed),
                    },
                }
                false
            }
        }
    }

    fn gone(&mut self, owner: &mut Owner) {
        let text = format!(
            "the {} does not close; if it does not come back soon, leave the call and join again",
            T::DIRECTION
        );
        owner.events.send(AudioEvent::Warning(text));
    }
}
