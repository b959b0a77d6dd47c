//! Ways into what is private, for the fuzz targets and the tests that replay their corpora.

use std::io::Cursor;
use std::path::Path;
use std::time::Duration;

use crate::VideoError;
use crate::source::PictureSource;
use crate::source::y4m::Y4mFile;

/// Pictures beyond this are not made: they take long and show nothing that small ones do not.
const PICTURE_MOST: usize = 1 << 16;

/// Plays `pictures` of a `.y4m` file, every other one passed over.
///
/// # Errors
/// What is wrong with the file.
pub fn play_y4m(file: &[u8], pictures: u64) -> Result<(), VideoError> {
    let mut source = Y4mFile::new(Path::new("fuzzed.y4m"), Cursor::new(file))?;
    let length = source.shape().len();
    let mut picture = vec![0; if length <= PICTURE_MOST { length } else { 0 }];
    for slot in 0..pictures {
        if slot % 2 == 1 || length > PICTURE_MOST {
            source.skip()?;
        } else {
            source.fill(slot, Duration::ZERO, &mut picture)?;
        }
        let _ = source.warning();
    }
    Ok(())
}
