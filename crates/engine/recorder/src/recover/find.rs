//! Takes that nobody has ended.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::source::Source;
use super::texts;
use crate::folder::RECORDING;
use crate::journal::JOURNAL;

/// The folders of the takes in `folder` that were cut off, in the order of their names; with them those that somebody records
/// right now, which [`recover`](super::recover()) leaves alone.
///
/// It looks at the first bytes of each recording in `folder` and one level below, and at the files beside it. What cannot be read
/// is left out.
#[must_use]
pub fn find_unfinished(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut found: Vec<_> =
        entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| is_unfinished(path)).collect();
    found.sort();
    found
}

/// Whether the take in `folder` was cut off, by the looks of it.
fn is_unfinished(folder: &Path) -> bool {
    match grows(&folder.join(RECORDING)) {
        Ok(Some(true)) => true,
        // The file was closed, and then there was no time to say so beside it.
        Ok(Some(false)) => texts_are_behind(folder),
        // Nothing came to the disk yet, or it is none of ours, or cannot be read.
        Ok(None) | Err(_) => false,
    }
}

/// Whether the files beside a finished recording are still those of a running take.
pub(super) fn texts_are_behind(folder: &Path) -> bool {
    folder.join(JOURNAL).exists() || texts::read(folder).is_some_and(|metadata| texts::is_running(&metadata))
}

/// Whether the file is still in the form in which it grows; nothing where it has no head.
fn grows(path: &Path) -> io::Result<Option<bool>> {
    let mut source = Source::new(File::open(path)?)?;
    let Some(file_type) = source.header(0)?.filter(|it| &it.kind == b"ftyp") else { return Ok(None) };
    let Some(placeholder) = source.header(file_type.end())? else { return Ok(None) };
    // It has 16 bytes until the file is finished, and then spans it.
    if placeholder.head == 8 && placeholder.size == 16 {
        return Ok(source.header(placeholder.end())?.filter(|it| it.end() <= source.len).map(|_| true));
    }
    Ok(Some(false))
}
