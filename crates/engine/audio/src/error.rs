//! What can go wrong with sound, told to the person who has to do something about it.

use std::path::PathBuf;

use crate::devices::{Direction, SoundHost};

/// Why the sound could not be started.
#[derive(Debug, thiserror::Error)]
pub enum AudioError {
    /// A specification of a microphone or loudspeaker does not parse.
    #[error(transparent)]
    Spec(#[from] crate::spec::SpecError),
    /// No sound server answered and no sound card was found.
    #[error(
        "no {direction} was found: no sound server answered and there is no sound card. Start PulseAudio, PipeWire or JACK, \
         or choose \"none\", {alternative}"
    )]
    NoDevices {
        /// Which kind of device was looked for.
        direction: Direction,
        /// What can be chosen without a device.
        alternative: &'static str,
    },
    /// The sound host that was asked for does not answer.
    #[error("{host} does not answer: {reason}. Start it, or leave its name out to use what is there")]
    HostUnavailable {
        /// The host.
        host: SoundHost,
        /// What it, or the lack of it, said.
        reason: String,
    },
    /// No device is called that.
    #[error("no {direction} is called \"{name}\": choose one of these: {}", choices.join(", "))]
    UnknownDevice {
        /// Which kind of device was looked for.
        direction: Direction,
        /// The name that was asked for.
        name: String,
        /// The names that can be asked for; never empty.
        choices: Vec<String>,
    },
    /// Several devices are called that.
    #[error("\"{name}\" fits more than one {direction}. Say more of one of these: {}", choices.join(", "))]
    AmbiguousDevice {
        /// Which kind of device was looked for.
        direction: Direction,
        /// The name that was asked for.
        name: String,
        /// The names that it fits.
        choices: Vec<String>,
    },
    /// The device was found and would not open.
    #[error("the {direction} \"{name}\" would not open: {reason}")]
    Open {
        /// Which kind of device it is.
        direction: Direction,
        /// Its name.
        name: String,
        /// What the sound host said.
        reason: String,
    },
    /// A sound file could not be read or written.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The sound server neither opens the devices nor refuses.
    #[error(
        "the sound server does not answer; restart it (on most Linux desktops: systemctl --user restart pipewire-pulse)"
    )]
    Hangs,
    /// libopus refused a setting.
    #[error("the Opus codec would not start: {0}")]
    Codec(#[from] opus::Error),
    /// A thread could not be started.
    #[error("a thread for the sound could not be started: {0}")]
    Thread(#[from] std::io::Error),
}

/// A command did not reach the sound threads: too many were waiting, or as many peers as can be heard are there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the sound threads are too busy to take another command; try again")]
pub struct Busy;
