//! Pictures that are ready to be drawn.

use hyperzoom_media::{FrameRef, I420};
use hyperzoom_video::Picture;

/// Somebody's newest picture. Cloning it copies no pixel; whoever draws it may keep it for a frame or two, and no longer, since there are
/// only so many.
#[derive(Debug, Clone)]
pub struct Shown {
    number: u64,
    pixels: Pixels,
}

/// Where the pixels are.
#[derive(Debug, Clone)]
pub(super) enum Pixels {
    /// Our own camera's.
    Camera(FrameRef),
    /// A peer's.
    Peer(Picture),
}

impl Shown {
    pub(super) fn new(number: u64, pixels: Pixels) -> Self {
        Self { number, pixels }
    }

    /// Never the same for two pictures of this program.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Its shape.
    #[must_use]
    pub fn shape(&self) -> I420 {
        match &self.pixels {
            Pixels::Camera(frame) => frame.shape,
            Pixels::Peer(picture) => picture.shape(),
        }
    }

    /// The planes Y, U, V.
    #[must_use]
    pub fn planes(&self) -> [&[u8]; 3] {
        match &self.pixels {
            Pixels::Camera(frame) => frame.planes(),
            Pixels::Peer(picture) => picture.planes(),
        }
    }
}
