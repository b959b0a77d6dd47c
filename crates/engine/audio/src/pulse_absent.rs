//! PulseAudio where there is none. The same shape as the real one.

use std::convert::Infallible;
use std::time::Instant;

use crate::convert::{Hear, Play};
use crate::devices::SoundDevice;
use crate::priority::Refusal;

const ABSENT: &str = "it does not exist on this system";

pub(crate) struct Server(Infallible);

impl Server {
    pub(crate) fn connect() -> Result<Self, String> {
        Err(ABSENT.to_owned())
    }

    pub(crate) fn devices(&self) -> Result<Vec<SoundDevice>, String> {
        match self.0 {}
    }
}

pub(crate) struct Stream {
    pub(crate) period: u32,
}

pub(crate) fn microphone(_: &SoundDevice, _: impl Hear, _: Instant, _: Refusal) -> Result<Stream, String> {
    Err(ABSENT.to_owned())
}

pub(crate) fn loudspeaker(_: &SoundDevice, _: impl Play, _: Instant, _: Refusal) -> Result<Stream, String> {
    Err(ABSENT.to_owned())
}
