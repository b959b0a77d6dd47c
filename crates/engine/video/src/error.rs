//! What can go wrong with pictures, said so that a person can act on it.

use std::io;
use std::path::PathBuf;

/// An error of a picture source or of VP8.
#[derive(Debug, thiserror::Error)]
pub enum VideoError {
    /// A camera was asked for by a text that names none.
    #[error("{text:?} is no camera: {why}. Use `pattern`, `pattern:1280x720@30`, `file:PATH.y4m` or `none`")]
    Spec {
        /// What was asked for.
        text: String,
        /// What is wrong with it.
        why: String,
    },
    /// A camera was to be started, but the choice was "none".
    #[error("no camera is chosen, so there is none to start; choose `pattern` or `file:PATH.y4m`")]
    NoCamera,
    /// A file could not be read.
    #[error("cannot read the video {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file is no YUV4MPEG2 that can be shown.
    #[error("cannot use the video {}: {why}", path.display())]
    Y4m {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        why: String,
    },
    /// A picture's shape is beyond what can be recorded or sent.
    #[error("{width}x{height} pictures cannot be used: {why}")]
    Shape {
        /// Width in samples.
        width: u32,
        /// Height in samples.
        height: u32,
        /// Which limit it breaks.
        why: &'static str,
    },
    /// libvpx refused.
    #[error("VP8 cannot {action}: {detail}")]
    Vpx {
        /// What was to be done.
        action: &'static str,
        /// What libvpx says.
        detail: String,
    },
    /// The system gave no thread.
    #[error("cannot start a video thread: {0}; close some programs and try again")]
    Thread(#[source] io::Error),
}
