//! What is lent to a microphone's and to a loudspeaker's stream.

use super::Owner;
use crate::capture::Capture;
use crate::devices::{self, Direction, Listed};
use crate::error::AudioError;
use crate::loan::Returns;
use crate::mixer::Mixer;
use crate::source::Source;
use crate::spec::{SoundSpec, SpecError};
use crate::stream::{self, Failed, Open};

/// A callback's value, which can be put into a stream or behind a timer.
pub(super) trait Endpoint: Sized + Send + 'static {
    /// Which of the two ends it is.
    const DIRECTION: Direction;

    /// Whether there is such a device, file or tone, as far as can be told before it is opened.
    fn check(spec: &SoundSpec) -> Result<(), AudioError>;

    /// Opens what `spec` means, without the `leave_out` shortest periods.
    fn open(
        self,
        owner: &Owner,
        spec: &SoundSpec,
        leave_out: usize,
    ) -> Result<(Open, Returns<Self>), Failed<Self>>;

    /// Opens a device that was found, without the `leave_out` shortest periods.
    fn open_found(
        self,
        owner: &Owner,
        found: Listed,
        leave_out: usize,
    ) -> Result<(Open, Returns<Self>), Failed<Self>>;
}

/// What was opened remembers its device.
fn remember<T>(
    opened: Result<(Open, Returns<T>), Failed<T>>,
    found: Listed,
) -> Result<(Open, Returns<T>), Failed<T>> {
    opened.map(|(mut open, returns)| {
        open.found = Some(found);
        (open, returns)
    })
}

impl Endpoint for Capture {
    const DIRECTION: Direction = Direction::Microphone;

    fn check(spec: &SoundSpec) -> Result<(), AudioError> {
        if Source::of(spec)?.is_none() {
            devices::find(spec, Self::DIRECTION)?;
        }
        Ok(())
    }

    fn open(
        self,
        owner: &Owner,
        spec: &SoundSpec,
        leave_out: usize,
    ) -> Result<(Open, Returns<Self>), Failed<Self>> {
        match Source::of(spec) {
            Ok(Some(source)) => {
                stream::stand_in_microphone(spec, source, self, &owner.setting(Self::DIRECTION, leave_out))
            }
            Ok(None) => match devices::find(spec, Self::DIRECTION) {
                Ok(found) => self.open_found(owner, found, leave_out),
                Err(error) => Err(Failed { error, value: Some(self) }),
            },
            Err(error) => Err(Failed { error, value: Some(self) }),
        }
    }

    fn open_found(
        self,
        owner: &Owner,
        found: Listed,
        leave_out: usize,
    ) -> Result<(Open, Returns<Self>), Failed<Self>> {
        let setting = owner.setting(Self::DIRECTION, leave_out);
        remember(stream::microphone(&found, self, &setting), found)
    }
}

impl Endpoint for Mixer {
    const DIRECTION: Direction = Direction::Loudspeaker;

    fn check(spec: &SoundSpec) -> Result<(), AudioError> {
        match spec {
            SoundSpec::None | SoundSpec::File(_) => Ok(()),
            SoundSpec::Tone(_) | SoundSpec::Pips(_) => Err(SpecError::ToneSpeaker.into()),
            SoundSpec::Default { .. } | SoundSpec::Device { .. } => {
                devices::find(spec, Self::DIRECTION).map(drop)
            }
        }
    }

    fn open(
        self,
        owner: &Owner,
        spec: &SoundSpec,
        leave_out: usize,
    ) -> Result<(Open, Returns<Self>), Failed<Self>> {
        let file = match spec {
            SoundSpec::None => None,
            SoundSpec::File(path) => Some(path.as_path()),
            SoundSpec::Tone(_) | SoundSpec::Pips(_) => {
                return Err(Failed { error: SpecError::ToneSpeaker.into(), value: Some(self) });
            }
            SoundSpec::Default { .. } | SoundSpec::Device { .. } => {
                return match devices::find(spec, Self::DIRECTION) {
                    Ok(found) => self.open_found(owner, found, leave_out),
                    Err(error) => Err(Failed { error, value: Some(self) }),
                };
            }
        };
        stream::stand_in_loudspeaker(spec, file, self, &owner.setting(Self::DIRECTION, leave_out))
    }

    fn open_found(
        self,
        owner: &Owner,
        found: Listed,
        leave_out: usize,
    ) -> Result<(Open, Returns<Self>), Failed<Self>> {
        let setting = owner.setting(Self::DIRECTION, leave_out);
        remember(stream::loudspeaker(&found, self, &setting), found)
    }
}
