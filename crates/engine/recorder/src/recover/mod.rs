//! Makes a take whole that was cut off: by a crash, a full disk, a pulled plug.
//!
//! The file is still in its growing form then. Its whole fragments are taken as they are, of a torn one what came to the disk
//! whole and decodes, and the file is finished in place by the code that finishes every take. Nothing that has value is
//! overwritten before its successor is on the disk, so that a recovery which is cut off itself can be done again:
//!
//! 1. the torn fragment's data is made to claim no more than is kept of it,
//! 2. what lies behind is cut off, and that synced,
//! 3. the list of all samples is appended, synced, and the placeholder overwritten,
//! 4. the untouched sound is cut behind its last whole frame, and its clock's table behind its last whole line,
//! 5. the other files beside the recording are written, and the journal goes.
//!
//! The file stays locked until all of it is done. One that is damaged in its middle, with more behind that, is not finished: its
//! growing form is the one in which the rest can still be reached.
//!
//! No size that the file claims is trusted, and no more of it read than a bounded buffer holds.

mod clock;
mod decoder;
mod find;
mod fragment;
mod growing;
mod source;
mod tail;
mod texts;

pub use find::find_unfinished;
pub(crate) use fragment::{children, u32_from};

use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};

use shiguredo_mp4::boxes::{MoovBox, StszBox};

use crate::error::advice;
use crate::flac;
use crate::folder::{MICROPHONE, MICROPHONE_CLOCK, RECORDING};
use crate::journal::{self, JOURNAL};
use crate::marker::{self, Marker};
use crate::mux::{FileStore, Movie, Muxer, Store};
use crate::space::RESERVE;
use growing::{Form, Head};
use source::Source;
use texts::Contents;

/// What a recovery came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Recovered {
    /// The recording.
    pub file: PathBuf,
    /// Whether there was nothing to do: the take had ended well, or was recovered before. Nothing was changed then, but that a
    /// journal which had been left went.
    pub already_finished: bool,
    /// Pictures in the file; for a take of sound alone, its length in ticks of 1/30 s.
    pub frames: u64,
    /// The file's length in seconds.
    pub seconds: f64,
    /// Pictures among them that were in a torn fragment.
    pub salvaged_frames: u64,
    /// The file's size in bytes.
    pub bytes: u64,
    /// The take's markers.
    pub markers: Vec<Marker>,
    /// What could not be saved, for a person.
    pub warnings: Vec<String>,
}

/// A take that could not be recovered. Nothing that it held is lost by the attempt.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// The recording is missing or cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The disk did not take the end of the file. It plays as before, up to its last whole second.
    #[error("cannot finish {}: {source}. {}, and try again", path.display(), advice(source))]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Somebody records into it, or recovers it, right now.
    #[error("{} is being recorded right now: end the call first", path.display())]
    Running {
        /// The file.
        path: PathBuf,
    },
    /// There is nothing to recover in it, or it is damaged in its middle and would lose what is behind that.
    #[error("{} cannot be recovered: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// Why a file could not be read.
#[derive(Debug)]
enum Problem {
    Io(io::Error),
    Damaged(String),
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Finishes a take that was cut off: `path` is its folder or its recording. One that is finished is left as it is.
///
/// # Errors
/// [`RecoverError`] where the recording cannot be read or written, is none, or is being recorded right now.
pub fn recover(path: &Path) -> Result<Recovered, RecoverError> {
    let file = if path.is_dir() { path.join(RECORDING) } else { path.to_owned() };
    let read = |source: io::Error| match source.kind() {
        // Windows lets nobody read what another has locked.
        io::ErrorKind::WouldBlock => RecoverError::Running { path: file.clone() },
        _ => RecoverError::Read { path: file.clone(), source },
    };
    let problem = |problem| match problem {
        Problem::Io(error) => read(error),
        Problem::Damaged(reason) => RecoverError::Damaged { path: file.clone(), reason },
    };
    // Beside a file of another name lie another's texts.
    let folder = file.parent().filter(|_| file.file_name().is_some_and(|name| name == RECORDING));

    let mut source = File::open(&file).and_then(Source::new).map_err(read)?;
    if let Form::Finished(moov) = growing::form(&mut source).map_err(problem)?
        && folder.is_none_or(|folder| !find::texts_are_behind(folder))
    {
        return Ok(describe(&file, &Done::finished(&moov, source.len), true, markers_in(folder)));
    }
    drop(source);

    // From here on nobody else touches it, and it may have changed until now.
    let store = FileStore::open(&file).map_err(read)?;
    // Shares the store's lock, so that it outlives the store.
    let locked = store.reader().map_err(read)?;
    let mut source = store.reader().and_then(Source::new).map_err(read)?;
    let mut warnings = Vec::new();
    // Finishing the file may need what it was kept for.
    warnings.extend(folder.and_then(|folder| removed(folder, RESERVE, "reserve of disk space")));
    let journal = folder.map(journal::read).unwrap_or_default();
    let metadata = folder.and_then(texts::read);
    let form = growing::form(&mut source).map_err(problem)?;
    if let (Form::Finished(moov), Some(folder)) = (&form, folder)
        && let Some(metadata) = metadata.as_ref().filter(|metadata| metadata.complete)
    {
        // It ended well, and only its journal was not removed any more.
        warnings.extend(removed(folder, JOURNAL, "journal"));
        let mut ended = describe(&file, &Done::finished(moov, source.len), true, metadata.markers.clone());
        ended.warnings = warnings;
        return Ok(ended);
    }
    let markers = texts::markers(metadata.as_ref(), &journal);
    let (movie, done) = match form {
        Form::Growing(head) => {
            finish(source, *head, Box::new(store), &markers).map_err(|error| match error {
                Failure::Problem(error) => problem(error),
                Failure::Write(source) => RecoverError::Write { path: file.clone(), source },
            })?
        }
        Form::Finished(moov) => {
            let movie = Movie::read(&moov).map_err(|error| problem(Problem::Damaged(error.to_string())))?;
            (movie, Done::finished(&moov, source.len))
        }
    };
    let mut recovered = describe(&file, &done, false, markers);
    if let Some(folder) = folder {
        let microphone = match recover_microphone(folder) {
            Ok(samples) => samples,
            Err(error) => {
                warnings.push(format!("the untouched sound was left as it is: {error}"));
                None
            }
        };
        if let Err(error) = clock::recover(&folder.join(MICROPHONE_CLOCK)) {
            warnings.push(format!("{MICROPHONE_CLOCK} was left as it is: {error}"));
        }
        let metadata = texts::write(folder, &movie, done.contents, microphone, &journal)
            .map_err(|source| RecoverError::Write { path: file.clone(), source })?;
        recovered.markers = metadata.markers;
        warnings.extend(removed(folder, JOURNAL, "journal"));
    }
    recovered.warnings = warnings;
    drop(locked);
    tracing::info!(file = %file.display(), frames = recovered.frames, "recovered");
    Ok(recovered)
}

/// Removes a file of the take that is of no more use, where it is there; what to say where that cannot be done.
fn removed(folder: &Path, name: &str, what: &str) -> Option<String> {
    match std::fs::remove_file(folder.join(name)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Some(format!("the take's {what} could not be removed: {error}"))
        }
        _ => None,
    }
}

/// Makes the untouched sound beside the recording whole, and returns its samples; `None` where there is none.
fn recover_microphone(folder: &Path) -> io::Result<Option<u64>> {
    match flac::recover(&folder.join(MICROPHONE)) {
        Ok(samples) => Ok(Some(samples)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn markers_in(folder: Option<&Path>) -> Vec<Marker> {
    folder.and_then(texts::read).map_or_else(Vec::new, |metadata| metadata.markers)
}

fn describe(file: &Path, done: &Done, already_finished: bool, markers: Vec<Marker>) -> Recovered {
    Recovered {
        file: file.to_owned(),
        already_finished,
        frames: done.contents.ticks(),
        seconds: done.contents.seconds(),
        salvaged_frames: done.salvaged,
        bytes: done.bytes,
        markers,
        warnings: Vec::new(),
    }
}

/// A finished file.
#[derive(Debug)]
struct Done {
    contents: Contents,
    salvaged: u64,
    bytes: u64,
}

impl Done {
    /// A file that was finished before, by its list of samples.
    fn finished(moov: &MoovBox, bytes: u64) -> Self {
        let of = |handler: &[u8; 4]| {
            moov.trak_boxes.iter().find(|it| &it.mdia_box.hdlr_box.handler_type == handler)
        };
        let pictures = of(b"vide").map(|track| match &track.mdia_box.minf_box.stbl_box.stsz_box {
            StszBox::Fixed { sample_count, .. } => u64::from(*sample_count),
            StszBox::Variable { entry_sizes } => entry_sizes.len() as u64,
        });
        // The movie's timescale is the sound's.
        let samples = of(b"soun").map(|track| track.tkhd_box.duration);
        Self { contents: Contents { pictures, samples }, salvaged: 0, bytes }
    }
}

/// Why a file could not be finished.
#[derive(Debug)]
enum Failure {
    Problem(Problem),
    Write(io::Error),
}

/// Finishes the growing file in `source`, which is written through `store`.
fn finish<R: Read + Seek>(
    mut source: Source<R>,
    head: Head,
    mut store: Box<dyn Store>,
    markers: &[Marker],
) -> Result<(Movie, Done), Failure> {
    let growing = growing::read(&mut source, head).map_err(Failure::Problem)?;
    if growing.cut {
        if let Some(tail) = &growing.tail {
            store.write_at(tail.data_at, &tail.data_header()).map_err(Failure::Write)?;
        }
        store.truncate(growing.parts.end).map_err(Failure::Write)?;
    }
    // What a killed process left may be no further than the system's memory.
    store.sync().map_err(Failure::Write)?;
    let movie = growing.parts.movie.clone();
    let mut muxer = Muxer::resume(store, growing.parts);
    let (pictures, samples) = muxer.contents();
    let contents = Contents { pictures, samples };
    let chapters = marker::chapters(markers, movie.start_tick, contents.ticks());
    muxer.conclude(&chapters).map_err(Failure::Write)?;
    let salvaged = growing.tail.map_or(0, |tail| tail.pictures());
    let done = Done { contents, salvaged, bytes: muxer.bytes() };
    Ok((movie, done))
}

#[cfg(test)]
mod tests;
