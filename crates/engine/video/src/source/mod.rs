//! Where pictures come from: drawn, read from a file, or delivered by a camera.

pub(crate) mod convert;
pub(crate) mod modes;
mod nokhwa;
pub(crate) mod pattern;
pub(crate) mod y4m;

use std::time::Duration;

use hyperzoom_media::I420;

use crate::device::System;
use crate::spec::{CameraSpec, FrameRate, check_shape};
use crate::{CameraEvent, VideoError};

/// Delivers pictures one by one, when it is asked to. The camera's thread owns it and keeps the time.
pub(crate) trait PictureSource: Send {
    /// The shape of every picture.
    fn shape(&self) -> I420;

    /// How many pictures a second it is made for.
    fn rate(&self) -> FrameRate;

    /// What it is, in a few words.
    fn describe(&self) -> String;

    /// Writes every byte of the next picture. `slot` is its number on the schedule and `at` when it is due, since the
    /// process's epoch.
    ///
    /// # Errors
    /// When there will be no more pictures.
    fn fill(&mut self, slot: u64, at: Duration, picture: &mut [u8]) -> Result<(), VideoError>;

    /// Passes over one picture that came too late to be used.
    ///
    /// # Errors
    /// As [`fill`](Self::fill).
    fn skip(&mut self) -> Result<(), VideoError>;

    /// Something that the user should know about the pictures so far; told once.
    fn warning(&mut self) -> Option<CameraEvent> {
        None
    }
}

/// The cameras that are plugged in.
pub(crate) fn system() -> Box<dyn System> {
    Box::new(nokhwa::Cameras)
}

/// Opens what `spec` names, unless it is plugged in.
pub(crate) fn open(spec: &CameraSpec) -> Result<Box<dyn PictureSource>, VideoError> {
    match spec {
        CameraSpec::None | CameraSpec::Device { .. } => Err(VideoError::NoCamera),
        CameraSpec::Pattern { shape, rate } => {
            check_shape(*shape)?;
            Ok(Box::new(pattern::Pattern::new(*shape, *rate)))
        }
        CameraSpec::File(path) => Ok(Box::new(y4m::Y4mFile::open(path)?)),
    }
}
