//! Why a command ended badly, and the exit code that says so to a script.

use std::process::ExitCode;

/// Why a command ended badly. The text is one line that tells a person what to do.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// Something that was asked for did not hold: exit code 1.
    #[error("{0}")]
    Failed(String),
    /// The command line asked for something impossible: exit code 2.
    #[error("{0}")]
    Usage(String),
    /// No call came about: exit code 3.
    #[error("{0}")]
    Connection(String),
    /// A microphone, loudspeaker, camera or disk failed: exit code 4.
    #[error("{0}")]
    Device(String),
}

impl CommandError {
    /// The process's exit code.
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            Self::Failed(_) => 1,
            Self::Usage(_) => 2,
            Self::Connection(_) => 3,
            Self::Device(_) => 4,
        }
    }
}

impl From<&CommandError> for ExitCode {
    fn from(error: &CommandError) -> Self {
        error.code().into()
    }
}

impl From<hyperzoom_audio::AudioError> for CommandError {
    fn from(error: hyperzoom_audio::AudioError) -> Self {
        Self::Device(error.to_string())
    }
}

impl From<hyperzoom_video::VideoError> for CommandError {
    fn from(error: hyperzoom_video::VideoError) -> Self {
        Self::Device(error.to_string())
    }
}

impl From<hyperzoom_recorder::RecordError> for CommandError {
    fn from(error: hyperzoom_recorder::RecordError) -> Self {
        Self::Device(error.to_string())
    }
}

impl From<hyperzoom_transport::TransportError> for CommandError {
    fn from(error: hyperzoom_transport::TransportError) -> Self {
        Self::Connection(error.to_string())
    }
}
