//! Reads a take back and says whether it holds what it claims: `hyperzoom verify`.
//!
//! It trusts nothing that the recorder says of itself: times, sizes, profile and keyframes come out of the file's own boxes and
//! NAL units, and the metadata is held against them. Any bytes give a verdict or an error, never a panic.

mod checks;
mod flac;
pub(crate) mod reader;
mod runs;

use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::folder::{METADATA, RECORDING};
use crate::metadata::SessionMetadata;

/// A take, judged.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verdict {
    /// The take's folder.
    pub folder: PathBuf,
    /// Each thing looked at.
    pub checks: Vec<Check>,
    /// Pictures in the file.
    pub pictures: u64,
    /// The length of what is shown, in seconds.
    pub seconds: f64,
    /// Whether the take was cut off: its file is still in the growing form. It plays, but is no plain MP4 yet.
    pub unfinished: bool,
    /// The take's metadata, where it could be read.
    pub metadata: Option<SessionMetadata>,
}

/// One thing looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at.
    pub name: &'static str,
    /// Whether it is as it should be.
    pub ok: bool,
    /// What was found.
    pub detail: String,
}

impl Verdict {
    /// Whether everything is as it should be.
    #[must_use]
    pub fn ok(&self) -> bool {
        self.checks.iter().all(|check| check.ok)
    }
}

/// A take that could not be read.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// A file is missing or cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is no recording, or is damaged.
    #[error("{} is damaged: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// Judges the take in `folder`.
///
/// # Errors
/// [`VerifyError`] where its recording cannot be read or is not one.
pub fn verify(folder: &Path) -> Result<Verdict, VerifyError> {
    let path = folder.join(RECORDING);
    let read = |source| VerifyError::Read { path: path.clone(), source };
    let mut file = std::fs::File::open(&path).map_err(read)?;
    let recording = reader::read(&mut file).map_err(|problem| match problem {
        reader::Problem::Io(source) => read(source),
        reader::Problem::Damaged(reason) => VerifyError::Damaged { path: path.clone(), reason },
    })?;
    let metadata =
        std::fs::read(folder.join(METADATA)).map_err(|error| error.to_string()).and_then(|bytes| {
            serde_json::from_slice::<SessionMetadata>(&bytes).map_err(|error| error.to_string())
        });
    let mut verdict = checks::judge(folder, &recording, metadata);
    let flac = verdict.metadata.as_ref().and_then(|metadata| flac::check(folder, metadata));
    verdict.checks.extend(flac);
    Ok(verdict)
}
