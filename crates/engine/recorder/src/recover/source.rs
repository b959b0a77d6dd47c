//! A file of unknown health, read in small pieces.

use std::io::{self, Read, Seek, SeekFrom};

/// Where and how large a box claims to be (ISO/IEC 14496-12 §4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) at: u64,
    pub(super) kind: [u8; 4],
    /// Size of the header itself.
    pub(super) head: u64,
    /// Claimed size, the header included; never less than it.
    pub(super) size: u64,
}

impl Header {
    /// Where the box claims to end; it may lie beyond the file.
    pub(super) fn end(&self) -> u64 {
        self.at.saturating_add(self.size)
    }

    /// Where its contents begin.
    pub(super) fn payload(&self) -> u64 {
        self.at + self.head
    }
}

/// The file, and how long it was when it was opened.
pub(super) struct Source<R> {
    inner: R,
    pub(super) len: u64,
}

impl<R: Read + Seek> Source<R> {
    pub(super) fn new(mut inner: R) -> io::Result<Self> {
        let len = inner.seek(SeekFrom::End(0))?;
        Ok(Self { inner, len })
    }

    /// The header of the box at `at`; nothing where it is torn or makes no sense.
    pub(super) fn header(&mut self, at: u64) -> io::Result<Option<Header>> {
        let Some(short) = self.bytes(at, 8, 8)? else { return Ok(None) };
        let Ok([a, b, c, d, kind @ ..]) = <[u8; 8]>::try_from(short) else { return Ok(None) };
        let (head, size) = match u32::from_be_bytes([a, b, c, d]) {
            0 => (8, self.len - at),
            1 => match self.bytes(at + 8, 8, 8)?.map(<[u8; 8]>::try_from) {
                Some(Ok(size)) => (16, u64::from_be_bytes(size)),
                _ => return Ok(None),
            },
            size => (8, u64::from(size)),
        };
        Ok((size >= head).then_some(Header { at, kind, head, size }))
    }

    /// `size` bytes from `at` on; nothing where they are more than `limit` or go beyond the file.
    pub(super) fn bytes(&mut self, at: u64, size: u64, limit: u64) -> io::Result<Option<Vec<u8>>> {
        if size > limit || at.checked_add(size).is_none_or(|end| end > self.len) {
            return Ok(None);
        }
        let mut bytes = vec![0; size as usize];
        self.inner.seek(SeekFrom::Start(at))?;
        self.inner.read_exact(&mut bytes)?;
        Ok(Some(bytes))
    }

    /// The whole box; nothing where it goes beyond the file or is larger than `limit`.
    pub(super) fn whole(&mut self, header: &Header, limit: u64) -> io::Result<Option<Vec<u8>>> {
        self.bytes(header.at, header.size, limit)
    }

    /// Where the next fragment begins, from `from` on, by the looks of it: a `moof` box whose first is an `mfhd`.
    pub(super) fn find_fragment(&mut self, from: u64) -> io::Result<Option<u64>> {
        const PIECE: u64 = 64 << 10;
        const PATTERN: usize = 16;
        let mut at = from;
        while at + PATTERN as u64 <= self.len {
            let size = PIECE.min(self.len - at);
            let Some(bytes) = self.bytes(at, size, PIECE)? else { break };
            let found = bytes.windows(PATTERN).position(|it| &it[4..8] == b"moof" && &it[12..] == b"mfhd");
            if let Some(offset) = found {
                return Ok(Some(at + offset as u64));
            }
            // What straddles two pieces is found in the next.
            at += size - (PATTERN as u64 - 1);
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn source(bytes: &[u8]) -> Source<Cursor<Vec<u8>>> {
        Source::new(Cursor::new(bytes.to_vec())).unwrap()
    }

    #[test]
    fn headers_of_every_size_are_read_and_nonsense_is_none() {
        let header = |bytes: &[u8]| source(bytes).header(0).unwrap().map(|it| (it.kind, it.head, it.size));
        assert_eq!(header(b"\0\0\0\x10free\0\0\0\0"), Some((*b"free", 8, 16)), "it may go beyond the file");
        assert_eq!(header(b"\0\0\0\0mdat1234"), Some((*b"mdat", 8, 12)), "0 is to the end");
        assert_eq!(header(b"\0\0\0\x01mdat\0\0\0\x01\0\0\0\0"), Some((*b"mdat", 16, 1 << 32)));
        for torn in [
            &b""[..],
            b"\0\0\0",
            b"\0\0\0\x07free",
            b"\0\0\0\x01mdat\0\0",
            b"\0\0\0\x01mdat\0\0\0\0\0\0\0\x0f",
        ] {
            assert_eq!(header(torn), None, "{torn:?}");
        }
        assert_eq!(source(b"12345678").header(u64::MAX).unwrap(), None);
    }

    #[test]
    fn nothing_is_read_beyond_the_file_or_the_limit() {
        let mut source = source(b"0123456789");
        assert_eq!(source.bytes(2, 3, 3).unwrap().unwrap(), b"234");
        assert_eq!(source.bytes(2, 4, 3).unwrap(), None);
        assert_eq!(source.bytes(8, 3, 100).unwrap(), None);
        assert_eq!(source.bytes(1, u64::MAX, u64::MAX).unwrap(), None);
    }

    #[test]
    fn a_fragment_is_found_wherever_it_lies() {
        let mut bytes = vec![7; 200_000];
        for at in [3_usize, 65_530, 131_050, 199_984] {
            bytes[at..at + 16].copy_from_slice(b"\0\0\x01\0moof\0\0\0\x10mfhd");
        }
        let mut source = source(&bytes);
        let mut found = Vec::new();
        let mut from = 0;
        while let Some(at) = source.find_fragment(from).unwrap() {
            found.push(at);
            from = at + 1;
        }
        assert_eq!(found, [3, 65_530, 131_050, 199_984]);
    }
}
