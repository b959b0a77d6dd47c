//! The table of the microphone's clock, cut off.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// What is read at a time.
const PIECE: u64 = 64 << 10;

/// Cuts the table at `path` behind its last whole line. One that is whole, has no line at all, or is not there is left as it is.
pub(super) fn recover(path: &Path) -> io::Result<()> {
    let mut file = match File::options().read(true).write(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        file => file?,
    };
    let len = file.seek(SeekFrom::End(0))?;
    let mut end = len;
    while end > 0 {
        let begin = end.saturating_sub(PIECE);
        let mut piece = Vec::new();
        file.seek(SeekFrom::Start(begin))?;
        file.by_ref().take(end - begin).read_to_end(&mut piece)?;
        if let Some(last) = piece.iter().rposition(|byte| *byte == b'\n') {
            let whole = begin + last as u64 + 1;
            if whole < len {
                file.set_len(whole)?;
                file.sync_data()?;
            }
            return Ok(());
        }
        end = begin;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_line_and_zeros_behind_it_go_and_whole_lines_stay() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("table.csv");
        recover(&path).unwrap();
        let mut zeros = b"a,b\n1,2\n3".to_vec();
        zeros.resize(PIECE as usize * 3, 0);
        for (before, after) in [
            (&b"a,b\n1,2\n"[..], &b"a,b\n1,2\n"[..]),
            (b"a,b\n1,2\n3,", b"a,b\n1,2\n"),
            (&zeros, b"a,b\n1,2\n"),
            (b"no line", b"no line"),
            (b"", b""),
        ] {
            std::fs::write(&path, before).unwrap();
            recover(&path).unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), after);
        }
    }
}
