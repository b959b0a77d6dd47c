//! What can go wrong with pictures, said so that a person can act on it.

use std::io;
use std::path::PathBuf;

/// How a person lets this program use the camera.
const PERMIT: &str = if cfg!(target_os = "macos") {
    "allow it in System Settings, Privacy & Security, Camera, and start the program again"
} else if cfg!(windows) {
    "allow it in Settings, Privacy & security, Camera, for desktop apps"
} else {
    "make your user a member of the group that owns it (`sudo usermod -aG video $USER`) and log in again"
};

/// An error of a picture source or of VP8.
#[derive(Debug, thiserror::Error)]
pub enum VideoError {
    /// A camera was asked for by a text that names none.
    #[error(
        "{text:?} is no camera: {why}. Use `default`, a part of a camera's name, `default:1280x720@30`, \
         `pattern`, `file:PATH.y4m` or `none`"
    )]
    Spec {
        /// What was asked for.
        text: String,
        /// What is wrong with it.
        why: String,
    },
    /// A camera was to be started, but the choice was "none".
    #[error("no camera is chosen, so there is none to start; choose `default`, `pattern` or `file:PATH.y4m`")]
    NoCamera,
    /// The camera that was asked for is not there.
    #[error("{wanted}: no such camera; {there}")]
    NotFound {
        /// What was asked for.
        wanted: String,
        /// What there is instead, and what to do.
        there: String,
    },
    /// The system keeps the camera from this program.
    #[error("the system does not let this program use the camera {name}; {}", PERMIT)]
    Denied {
        /// The camera.
        name: String,
    },
    /// Another program has the camera.
    #[error("another program uses the camera {name}; close it and try again")]
    Busy {
        /// The camera.
        name: String,
    },
    /// A camera has no mode that serves.
    #[error("the camera {name} cannot be used: {why}")]
    Mode {
        /// The camera.
        name: String,
        /// What it has instead.
        why: String,
    },
    /// A camera that delivered pictures is gone.
    #[error("the camera {name} is gone ({detail}); plug it in again, and it goes on")]
    Lost {
        /// The camera.
        name: String,
        /// What the system says.
        detail: String,
    },
    /// A camera failed in another way.
    #[error("the camera {name} cannot be used: {detail}; unplug it, plug it in again and try again")]
    Device {
        /// The camera.
        name: String,
        /// What the system says.
        detail: String,
    },
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
