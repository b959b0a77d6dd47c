//! Small FLAC files that are written and read at once.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use flac_codec::decode::FlacStreamReader;

use super::encode::FlacEncoder;
use super::head::{self, INFO_AT, INFO_LEN};
use super::recover::{inspect, samples_match};
use crate::error::EncodeError;

/// A file of these samples, with these tags.
///
/// # Errors
/// Where the encoder would not.
pub(crate) fn whole_file(samples: &[f32], tags: &[(&str, String)]) -> Result<Vec<u8>, EncodeError> {
    let mut encoder = FlacEncoder::new();
    encoder.push(samples)?;
    encoder.finish()?;
    let mut file = head::head(tags);
    file[INFO_AT as usize..][..INFO_LEN].copy_from_slice(&head::stream_info(&encoder.summary()));
    file.append(&mut encoder.take());
    Ok(file)
}

/// All samples of a file of ours that has at most `most` of them.
///
/// # Errors
/// [`InvalidData`](io::ErrorKind::InvalidData), with the rest of a sentence that begins with the file's name, where it is damaged, cut off,
/// longer or none of ours; otherwise what the system said.
pub(crate) fn read_whole(path: &Path, most: u64) -> io::Result<Vec<f32>> {
    let refused = |reason: String| io::Error::new(io::ErrorKind::InvalidData, reason);
    let mut file = File::open(path)?;
    let found = inspect(&mut file)?;
    if found.samples > most {
        return Err(refused(format!("has {} samples, which is more than there can be", found.samples)));
    }
    if found.damaged > 0 || !found.is_finished() || samples_match(&mut file, &found)? != Some(true) {
        return Err(refused("is damaged".to_owned()));
    }
    file.seek(SeekFrom::Start(found.begin))?;
    let mut reader = FlacStreamReader::new(BufReader::new(file.take(found.end - found.begin)));
    let mut samples = Vec::with_capacity(found.samples as usize);
    while (samples.len() as u64) < found.samples {
        let frame = reader.read().map_err(|error| refused(error.to_string()))?;
        samples.extend(frame.samples.iter().map(|sample| *sample as f32 / (1 << 23) as f32));
    }
    Ok(samples)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_no_damage_is_taken_for_sound() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.flac");
        let samples: Vec<f32> =
            (0..10_000).map(|n| ((n * 7919 % 65_536) as f32 - 32_768.0) / 65_536.0).collect();
        let file = whole_file(&samples, &[("TITLE", "a".to_owned())]).unwrap();
        std::fs::write(&path, &file).unwrap();
        assert_eq!(read_whole(&path, 10_000).unwrap(), samples);
        assert!(read_whole(&path, 9_999).unwrap_err().to_string().contains("more than there can be"));
        for at in [20, file.len() / 2, file.len() - 3] {
            let mut damaged = file.clone();
            damaged[at] ^= 4;
            std::fs::write(&path, &damaged).unwrap();
            assert!(read_whole(&path, 10_000).is_err(), "{at}");
            std::fs::write(&path, &file[..at]).unwrap();
            assert!(read_whole(&path, 10_000).is_err(), "cut off at {at}");
        }
    }
}
