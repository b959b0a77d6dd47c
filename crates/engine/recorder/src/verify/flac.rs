//! `microphone.flac`: whether it is there, whole, and as long as the metadata says.

use std::fs::File;
use std::io;
use std::path::Path;

use super::Check;
use crate::flac::{inspect, samples_match};
use crate::metadata::SessionMetadata;

/// Looks at the file that the metadata claims; nothing where it claims none.
pub(super) fn check(folder: &Path, metadata: &SessionMetadata) -> Option<Check> {
    let claimed = metadata.recording.microphone_flac.as_ref()?;
    let name = "microphone flac";
    // What the metadata names is a file of this folder, or nothing.
    let Some(file) = Path::new(&claimed.file).file_name().filter(|file| *file == claimed.file.as_str())
    else {
        return Some(Check { name, ok: false, detail: format!("{:?} is no file's name", claimed.file) });
    };
    // Until a take has ended its metadata does not know the length.
    let expected = (metadata.complete || metadata.recovered).then_some(claimed.samples);
    let (ok, detail) = match look(&folder.join(file), expected) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            (false, format!("{} is missing", claimed.file))
        }
        Err(error) => (false, format!("{}: {error}", claimed.file)),
    };
    Some(Check { name, ok, detail })
}

fn look(path: &Path, expected: Option<u64>) -> io::Result<(bool, String)> {
    let mut file = File::open(path)?;
    let found = inspect(&mut file)?;
    let samples = found.samples;
    if found.damaged > 0 {
        return Ok((false, format!("{} frames before sample {samples} are damaged", found.damaged)));
    }
    if !found.is_finished() {
        return Ok((false, format!("cut off after {samples} samples; it plays up to there")));
    }
    if let Some(expected) = expected.filter(|expected| *expected != samples) {
        return Ok((false, format!("it has {samples} samples, and the metadata says {expected}")));
    }
    Ok(match samples_match(&mut file, &found)? {
        Some(false) => (false, format!("its {samples} samples are not those that were recorded (MD5)")),
        Some(true) => (true, format!("{samples} samples, 24 bit, as they were recorded (MD5)")),
        None => (true, format!("{samples} samples, 24 bit")),
    })
}
