//! PulseAudio where there is none. The same shape as the real one.

use std::convert::Infallible;
use std::time::Instant;

use crate::convert::{Hear, Play};
use crate::devices::SoundDevice;
use crate::loan::{Edge, Loan};
use crate::priority::Refusal;

const ABSENT: &str = "it does not exist on this system";

pub(crate) struct Server(Infallible);

impl Server {
    pub(crate) fn connect() -> Result<Self, String> {
        Err(ABSENT.to_owned())
    }

    pub(crate) fn devices(&mut self) -> Result<Vec<SoundDevice>, String> {
        match self.0 {}
    }
}

pub(crate) struct Stream {
    pub(crate) period: u32,
    pub(crate) status: Status,
}

pub(crate) struct Status(Infallible);

impl Status {
    pub(crate) fn buffer(&self) -> Option<u32> {
        match self.0 {}
    }

    pub(crate) fn underruns(&self) -> u64 {
        match self.0 {}
    }

    pub(crate) fn take_moved(&self) -> bool {
        match self.0 {}
    }

    pub(crate) fn end(&self) -> Option<&str> {
        match self.0 {}
    }
}

type Callback<T> = (Loan<T>, Edge);

pub(crate) fn microphone(
    _: &SoundDevice,
    _: Callback<impl Hear>,
    _: Instant,
    _: Refusal,
) -> Result<Stream, String> {
    Err(ABSENT.to_owned())
}

pub(crate) fn loudspeaker(
    _: &SoundDevice,
    _: Callback<impl Play>,
    _: Instant,
    _: Refusal,
) -> Result<Stream, String> {
    Err(ABSENT.to_owned())
}
