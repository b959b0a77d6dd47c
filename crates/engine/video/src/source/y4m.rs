//! Uncompressed video files (YUV4MPEG2, `man yuv4mpeg`), read frame by frame and repeated for ever.
//!
//! A file comes from anywhere, so no length in it is trusted: lines are bounded, shapes are checked before a buffer is
//! made, and whatever cannot be shown is refused with what to do about it.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use hyperzoom_media::I420;

use super::PictureSource;
use crate::spec::{FrameRate, check_shape};
use crate::{CameraEvent, VideoError};

/// The longest header line that is read, in bytes. mjpegtools writes at most 256 (`Y4M_LINE_MAX`); ffmpeg is no longer.
const LINE_MAX: u64 = 1024;

/// A file of pictures.
pub(crate) struct Y4mFile<R = BufReader<File>> {
    path: PathBuf,
    reader: R,
    header: Header,
    first_frame: u64,
    frames_this_round: u64,
    cut_short: Tell,
}

/// A warning that is due, or given.
#[derive(PartialEq, Eq)]
enum Tell {
    No,
    Due,
    Told,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Header {
    shape: I420,
    rate: FrameRate,
}

impl Y4mFile {
    /// Opens a file and checks that it holds at least one picture.
    pub(crate) fn open(path: &Path) -> Result<Self, VideoError> {
        let read = |source| VideoError::Read { path: path.to_owned(), source };
        // Opening a pipe would wait for its writer, and a device has no end to come back from.
        if !std::fs::metadata(path).map_err(read)?.is_file() {
            return Err(VideoError::Y4m { path: path.to_owned(), why: "it is no regular file".into() });
        }
        let file = File::open(path).map_err(read)?;
        Self::new(path, BufReader::with_capacity(1 << 20, file))
    }
}

impl<R: BufRead + Seek> Y4mFile<R> {
    pub(crate) fn new(path: &Path, mut reader: R) -> Result<Self, VideoError> {
        let refuse = |why: String| VideoError::Y4m { path: path.to_owned(), why };
        let read = |source| VideoError::Read { path: path.to_owned(), source };
        let header = match line(&mut reader).map_err(read)? {
            Line::Whole(line) => Header::parse(&line).map_err(refuse)?,
            _ => return Err(refuse("it does not begin with a YUV4MPEG2 line; is it a .y4m file?".into())),
        };
        let first_frame = reader.stream_position().map_err(read)?;
        let end = reader.seek(SeekFrom::End(0)).map_err(read)?;
        reader.seek(SeekFrom::Start(first_frame)).map_err(read)?;
        let mut source = Self {
            path: path.to_owned(),
            reader,
            header,
            first_frame,
            frames_this_round: 0,
            cut_short: Tell::No,
        };
        // The first picture is checked now, so that an empty file fails when it is chosen and not in the call.
        if !source.frame_line()? {
            return Err(refuse("it holds no picture; it ends after its header".into()));
        }
        let data = source.reader.stream_position().map_err(read)?;
        if end - data < header.shape.len() as u64 {
            return Err(refuse("its first picture is incomplete; the file was cut off".into()));
        }
        source.reader.seek(SeekFrom::Start(first_frame)).map_err(read)?;
        Ok(source)
    }

    /// Reads the line before a picture; `false` at the end of the file.
    fn frame_line(&mut self) -> Result<bool, VideoError> {
        let number = self.frames_this_round + 1;
        let refuse = |why: String| VideoError::Y4m { path: self.path.clone(), why };
        match line(&mut self.reader).map_err(|source| VideoError::Read { path: self.path.clone(), source })? {
            Line::Whole(line) if line == b"FRAME" || line.starts_with(b"FRAME ") => Ok(true),
            Line::End => Ok(false),
            Line::Cut => {
                self.note_cut();
                Ok(false)
            }
            Line::Whole(_) | Line::TooLong => {
                Err(refuse(format!("picture {number} does not begin with FRAME; the file is damaged there")))
            }
        }
    }

    /// Goes on to the next picture's data, from the last one to the first.
    fn seek_frame(&mut self) -> Result<(), VideoError> {
        if self.frame_line()? {
            return Ok(());
        }
        self.rewind()?;
        // A file that was emptied while it played has no first picture any more.
        if self.frame_line()? {
            Ok(())
        } else {
            Err(VideoError::Y4m { path: self.path.clone(), why: "it was emptied while it was in use".into() })
        }
    }

    fn note_cut(&mut self) {
        if self.cut_short == Tell::No {
            self.cut_short = Tell::Due;
        }
    }

    fn rewind(&mut self) -> Result<(), VideoError> {
        self.frames_this_round = 0;
        self.reader
            .seek(SeekFrom::Start(self.first_frame))
            .map(|_| ())
            .map_err(|source| VideoError::Read { path: self.path.clone(), source })
    }

    /// Reads a whole picture. A file that ends within one starts again: what came before was good.
    fn read_picture(&mut self, picture: &mut [u8]) -> Result<(), VideoError> {
        for _ in 0..2 {
            self.seek_frame()?;
            match self.reader.read_exact(picture) {
                Ok(()) => {
                    self.frames_this_round += 1;
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    self.note_cut();
                    self.rewind()?;
                }
                Err(source) => return Err(VideoError::Read { path: self.path.clone(), source }),
            }
        }
        Err(VideoError::Y4m { path: self.path.clone(), why: "it was cut short while it was in use".into() })
    }
}

impl<R: BufRead + Seek + Send> PictureSource for Y4mFile<R> {
    fn shape(&self) -> I420 {
        self.header.shape
    }

    fn rate(&self) -> FrameRate {
        self.header.rate
    }

    fn describe(&self) -> String {
        let Header { shape: I420 { width, height }, rate } = self.header;
        format!("file {}, {width}x{height} at {rate} fps", self.path.display())
    }

    fn fill(&mut self, _slot: u64, _at: Duration, picture: &mut [u8]) -> Result<(), VideoError> {
        self.read_picture(picture)
    }

    fn skip(&mut self) -> Result<(), VideoError> {
        self.seek_frame()?;
        self.frames_this_round += 1;
        // Seeking past the end is no error; the next line is then empty, as at any end of the file.
        self.reader
            .seek_relative(self.header.shape.len() as i64)
            .map_err(|source| VideoError::Read { path: self.path.clone(), source })
    }

    fn warning(&mut self) -> Option<CameraEvent> {
        (self.cut_short == Tell::Due).then(|| {
            self.cut_short = Tell::Told;
            CameraEvent::CutShort { path: self.path.clone() }
        })
    }
}

/// What stands where a line should.
enum Line {
    /// A line, without its end.
    Whole(Vec<u8>),
    /// The file's end.
    End,
    /// A line that the file's end cuts off.
    Cut,
    /// More than [`LINE_MAX`] bytes: no line of such a file.
    TooLong,
}

fn line(reader: &mut impl BufRead) -> io::Result<Line> {
    let mut line = Vec::new();
    let read = reader.take(LINE_MAX).read_until(b'\n', &mut line)?;
    Ok(match line.last() {
        None => Line::End,
        Some(b'\n') => {
            line.pop();
            Line::Whole(line)
        }
        Some(_) if (read as u64) < LINE_MAX => Line::Cut,
        Some(_) => Line::TooLong,
    })
}

impl Header {
    fn parse(line: &[u8]) -> Result<Self, String> {
        let text = String::from_utf8_lossy(line);
        let mut words = text.split(' ').filter(|word| !word.is_empty());
        if words.next() != Some("YUV4MPEG2") {
            return Err("it does not begin with YUV4MPEG2; is it a .y4m file? \
                        ffmpeg -i FILE -pix_fmt yuv420p OUT.y4m makes one"
                .into());
        }
        let (mut width, mut height, mut rate) = (None, None, None);
        for word in words {
            let mut letters = word.chars();
            let tag = letters.next();
            let value = letters.as_str();
            match tag {
                Some('W') => width = Some(side(value, "width")?),
                Some('H') => height = Some(side(value, "height")?),
                Some('F') => rate = Some(frame_rate(value)?),
                Some('C') => chroma(value)?,
                Some('I') if !matches!(value, "p" | "?") => {
                    return Err(
                        "it is interlaced; ffmpeg -i FILE -vf yadif OUT.y4m makes whole pictures of it"
                            .into(),
                    );
                }
                // The pixels' aspect and comments change nothing here.
                _ => {}
            }
        }
        let (Some(width), Some(height)) = (width, height) else {
            return Err("its header gives no width or no height".into());
        };
        let shape = I420 { width, height };
        check_shape(shape).map_err(|error| error.to_string())?;
        let rate = rate.ok_or("its header gives no frame rate")?;
        Ok(Self { shape, rate })
    }
}

fn side(value: &str, what: &str) -> Result<u32, String> {
    value.parse().map_err(|_| format!("its header's {what} {value:?} is no number"))
}

fn frame_rate(value: &str) -> Result<FrameRate, String> {
    value
        .split_once(':')
        .and_then(|(num, den)| FrameRate::new(num.parse().ok()?, den.parse().ok()?))
        .ok_or_else(|| format!("its frame rate {value:?} is not between 1 and 120 frames a second"))
}

/// 4:2:0 with 8 bits is what the recording and the call use; everything else would need a conversion.
fn chroma(value: &str) -> Result<(), String> {
    let problem = match value {
        "420" | "420jpeg" | "420mpeg2" | "420paldv" => return Ok(()),
        "mono" => "has no colour".to_owned(),
        _ if value.starts_with("420p") => format!("has more than 8 bits a sample (C{value})"),
        _ => format!("has the chroma format C{value}, and only 4:2:0 can be used"),
    };
    Err(format!("it {problem}; ffmpeg -i FILE -pix_fmt yuv420p OUT.y4m converts it"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Cursor;

    const SHAPE: I420 = I420 { width: 64, height: 64 };

    fn file(bytes: impl Into<Vec<u8>>) -> Result<Y4mFile<Cursor<Vec<u8>>>, VideoError> {
        Y4mFile::new(Path::new("test.y4m"), Cursor::new(bytes.into()))
    }

    /// A file of 64x64 pictures, each filled with its number.
    fn pictures(header: &str, count: u8) -> Vec<u8> {
        let mut bytes = format!("{header}\n").into_bytes();
        for n in 0..count {
            // Frame lines may have parameters, so their length varies.
            bytes.extend(if n % 2 == 0 { &b"FRAME\n"[..] } else { b"FRAME Ip\n" });
            bytes.extend(std::iter::repeat_n(n, SHAPE.len()));
        }
        bytes
    }

    fn read(source: &mut impl PictureSource, count: usize) -> Vec<u8> {
        let mut picture = vec![0; source.shape().len()];
        (0..count)
            .map(|_| {
                source.fill(0, Duration::ZERO, &mut picture).unwrap();
                assert!(picture.iter().all(|&sample| sample == picture[0]), "a picture is whole");
                picture[0]
            })
            .collect()
    }

    fn error(bytes: impl Into<Vec<u8>>) -> String {
        file(bytes).err().expect("the file is bad").to_string()
    }

    #[test]
    fn a_file_repeats_from_its_first_picture() {
        let mut source =
            file(pictures("YUV4MPEG2 W64 H64 F30000:1001 Ip A1:1 C420jpeg XCOMMENT", 3)).unwrap();
        assert_eq!((source.shape(), source.rate()), (SHAPE, FrameRate::new(30_000, 1_001).unwrap()));
        assert_eq!(read(&mut source, 7), [0, 1, 2, 0, 1, 2, 0]);
        assert!(source.warning().is_none());
    }

    #[test]
    fn a_skipped_picture_is_passed_over_also_at_the_end() {
        let mut source = file(pictures("YUV4MPEG2 W64 H64 F25:1", 3)).unwrap();
        assert_eq!(read(&mut source, 1), [0]);
        source.skip().unwrap();
        assert_eq!(read(&mut source, 1), [2]);
        source.skip().unwrap();
        assert_eq!(read(&mut source, 3), [1, 2, 0]);
    }

    #[test]
    fn a_file_that_was_cut_off_plays_its_whole_pictures_and_says_so_once() {
        // In the third picture, and in the line before it.
        for missing in [1, SHAPE.len() + 2] {
            let mut bytes = pictures("YUV4MPEG2 W64 H64 F25:1", 3);
            bytes.truncate(bytes.len() - missing);
            let mut source = file(bytes).unwrap();
            assert_eq!(read(&mut source, 5), [0, 1, 0, 1, 0]);
            assert!(matches!(source.warning(), Some(CameraEvent::CutShort { .. })));
            assert!(source.warning().is_none());
        }
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said() {
        for (header, part) in [
            ("RIFF....AVI", "is it a .y4m file"),
            ("YUV4MPEG2 H64 F30:1", "no width"),
            ("YUV4MPEG2 W64 H64", "no frame rate"),
            ("YUV4MPEG2 Wbig H64 F30:1", "\"big\" is no number"),
            ("YUV4MPEG2 W64 H64 F30:1 C422", "only 4:2:0"),
            ("YUV4MPEG2 W64 H64 F30:1 C444", "only 4:2:0"),
            ("YUV4MPEG2 W64 H64 F30:1 C420p10", "more than 8 bits"),
            ("YUV4MPEG2 W64 H64 F30:1 Cmono", "no colour"),
            ("YUV4MPEG2 W64 H64 F30:0", "frame rate \"30:0\""),
            ("YUV4MPEG2 W64 H64 F0:0", "between 1 and 120"),
            ("YUV4MPEG2 W65 H64 F30:1", "even"),
            ("YUV4MPEG2 W4294967294 H4294967294 F30:1", "scale it down"),
            ("YUV4MPEG2 W99999999999 H64 F30:1", "is no number"),
            ("YUV4MPEG2 W64 H64 F30:1 It", "interlaced"),
        ] {
            let message = error(pictures(header, 1));
            assert!(message.contains(part), "{header}: {message}");
        }
        assert!(error(vec![b'Y'; 5000]).contains("is it a .y4m file"), "a line without an end");
        assert!(error("").contains("is it a .y4m file"));
        assert!(error("YUV4MPEG2 W64 H64 F30:1\n").contains("no picture"));
        assert!(error("YUV4MPEG2 W64 H64 F30:1\nFRAME\nabc").contains("incomplete"));
        assert!(error("YUV4MPEG2 W64 H64 F30:1\n\n").contains("does not begin with FRAME"));
        assert!(error("YUV4MPEG2 W64 H64 F30:1\nFRAMED\n").contains("picture 1 does not begin with FRAME"));
    }

    #[test]
    fn damage_in_the_middle_is_an_error_that_names_the_picture() {
        let mut bytes = pictures("YUV4MPEG2 W64 H64 F30:1", 2);
        bytes.extend(b"garbage\n");
        let mut source = file(bytes).unwrap();
        read(&mut source, 2);
        let error = source.fill(2, Duration::ZERO, &mut vec![0; SHAPE.len()]).unwrap_err();
        assert!(error.to_string().contains("picture 3 does not begin with FRAME"), "{error}");
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = Y4mFile::open(Path::new("/nonexistent/x.y4m")).err().unwrap().to_string();
        assert!(error.contains("/nonexistent/x.y4m"), "{error}");
        let error = Y4mFile::open(Path::new("/")).err().unwrap().to_string();
        assert!(error.contains("no regular file"), "{error}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(
            header in "(YUV4MPEG2)?( [WHFCIAX][0-9a-z:]{0,6}){0,6}\n?",
            rest in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            let bytes = [header.as_bytes(), &b"FRAME\n"[..], &rest].concat();
            if let Ok(mut source) = file(bytes) {
                let mut picture = vec![0; source.shape().len()];
                for _ in 0..3 {
                    let _ = source.fill(0, Duration::ZERO, &mut picture);
                    let _ = source.skip();
                }
            }
        }
    }
}
