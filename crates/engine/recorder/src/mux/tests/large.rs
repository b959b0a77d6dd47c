//! Files of more than 4 GiB, without writing one.

use super::*;

/// A disk that keeps what is written, and nothing of what lies between.
#[derive(Clone, Default)]
struct Sparse(Arc<Mutex<Vec<Written>>>);

/// Where something was written, and what.
type Written = (u64, Vec<u8>);

impl Sparse {
    fn len(&self) -> u64 {
        self.0.lock().unwrap().iter().map(|(at, data)| at + data.len() as u64).max().unwrap_or(0)
    }
}

impl Store for Sparse {
    fn write_at(&mut self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.lock().unwrap().push((offset, data.to_vec()));
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn truncate(&mut self, _: u64) -> io::Result<()> {
        unreachable!("nothing failed");
    }
}

/// Reads what is kept, and zeros where nothing is.
struct View {
    disk: Sparse,
    at: u64,
}

impl std::io::Read for View {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = (buf.len() as u64).min(self.disk.len().saturating_sub(self.at)) as usize;
        buf[..len].fill(0);
        let end = self.at + len as u64;
        // Later writes lie over earlier ones.
        for (offset, data) in &*self.disk.0.lock().unwrap() {
            let (from, to) = ((*offset).max(self.at), (offset + data.len() as u64).min(end));
            if from < to {
                buf[(from - self.at) as usize..(to - self.at) as usize]
                    .copy_from_slice(&data[(from - offset) as usize..(to - offset) as usize]);
            }
        }
        self.at = end;
        Ok(len)
    }
}

impl std::io::Seek for View {
    fn seek(&mut self, to: std::io::SeekFrom) -> io::Result<u64> {
        self.at = match to {
            std::io::SeekFrom::Start(at) => at,
            std::io::SeekFrom::End(back) => {
                self.disk.len().checked_add_signed(back).expect("inside the file")
            }
            std::io::SeekFrom::Current(by) => self.at.checked_add_signed(by).expect("inside the file"),
        };
        Ok(self.at)
    }
}

#[test]
fn a_file_of_more_than_4_gib_has_offsets_and_a_size_of_64_bits() {
    let disk = Sparse::default();
    // A second, and 4 GiB less some bytes, as hours of recording would have brought; the next seconds lie astride the border.
    let (mut muxer, result) = take_until(disk.clone(), 125, true, true, |muxer, tick| {
        if tick == 40 {
            assert_eq!(muxer.fragments(), 1);
            muxer.end = (1 << 32) - 2 * 8000;
        }
    });
    result.unwrap();
    let chapters = [Chapter { at: 48_000 * 4, title: "Late".to_owned() }];
    muxer.finish(125, &chapters).unwrap();
    let len = disk.len();
    assert!(len > 1 << 32 && len == muxer.bytes(), "{len}");

    let recording = reader::read(&mut View { disk, at: 0 }).unwrap_or_else(|it| panic!("{it:?}"));
    assert!(!recording.fragmented && recording.torn_at.is_none());
    assert_eq!((recording.timecode, recording.chapters), (Some(START_TICK as u32), chapters.to_vec()));
    for (handler, samples) in [(b"vide", 125), (b"soun", 197)] {
        let track = recording.tracks.iter().find(|track| &track.handler == handler).unwrap();
        assert_eq!(track.samples.len(), samples);
        // Each picture's NAL units add up, wherever it lies.
        assert_eq!(track.nal, Ok(()));
        let late = track.samples.iter().filter(|sample| sample.at >= 1 << 32).count();
        assert!((30..samples - 29).contains(&late), "{late} behind the border");
    }
}
