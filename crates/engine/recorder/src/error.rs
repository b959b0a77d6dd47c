//! What can go wrong, in words for the person who records.

use std::io;
use std::path::{Path, PathBuf};

/// A take could not be started.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The folder for the take, or a file in it, could not be made.
    #[error("cannot record into {}: {}. {}", folder.display(), source, advice(source))]
    Folder {
        /// The folder that was asked for.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Neither a microphone nor a camera was given.
    #[error("there is nothing to record: choose a microphone or a camera, or pass --no-record")]
    Nothing,
    /// The picture's size cannot be encoded.
    #[error(
        "cannot record pictures of {width}x{height}: width and height must be even, from 16x16 to 3840x2160"
    )]
    Shape {
        /// Luma samples a row.
        width: u32,
        /// Luma rows.
        height: u32,
    },
    /// An encoder did not start.
    #[error("{0}")]
    Encoder(#[from] EncodeError),
    /// The system gave no thread.
    #[error("cannot start a recording thread: {0}. Close other programs and try again")]
    Thread(io::Error),
}

impl RecordError {
    pub(crate) fn folder(folder: &Path, source: io::Error) -> Self {
        Self::Folder { folder: folder.to_owned(), source }
    }
}

/// An encoder refused its configuration or a picture.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the {encoder} encoder failed at {step} (code {code})")]
pub struct EncodeError {
    /// Which encoder.
    pub encoder: &'static str,
    /// What it was doing.
    pub step: &'static str,
    /// Its own code for the reason.
    pub code: i64,
}

/// What a person can do about an error of the disk.
pub(crate) fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "Choose a folder that you may write to with --folder"
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "The disk is full: free some space or choose another disk with --folder"
        }
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
            "A file is in the way: choose another folder with --folder"
        }
        io::ErrorKind::NotFound => "The folder is gone: was the disk removed?",
        _ => "Check the disk, or choose another folder with --folder",
    }
}
