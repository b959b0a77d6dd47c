//! The file as its boxes tell it, whichever of its two forms it is in.

use std::io::{self, Read, Seek, SeekFrom};

use hyperzoom_media::SAMPLE_RATE;
use shiguredo_mp4::aux::SampleTableAccessor;
use shiguredo_mp4::boxes::{MoofBox, MoovBox, SampleEntry, TrakBox};
use shiguredo_mp4::{BoxHeader, Decode};

use super::runs;
use crate::mux::{Chapter, Movie};

/// The largest box that is read into memory: the `moov` of a day's recording is a tenth of it.
const BOX_LIMIT: u64 = 256 << 20;

/// The largest sample: an uncompressed 4K picture is 12 MB.
const SAMPLE_LIMIT: u64 = 32 << 20;

/// Why there is nothing to judge.
#[derive(Debug)]
pub(crate) enum Problem {
    Io(io::Error),
    Damaged(String),
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            return Self::Damaged("it ends in the middle of a sample or a box".to_owned());
        }
        Self::Io(error)
    }
}

fn damaged(reason: impl Into<String>) -> Problem {
    Problem::Damaged(reason.into())
}

/// A file as it was found.
pub(crate) struct Recording {
    /// What its head says of the take, or why that is not what a recording of ours says.
    pub(crate) movie: Result<Movie, String>,
    /// The timecode track's frame number of the first picture.
    pub(crate) timecode: Option<u32>,
    /// The chapters, as the text track has them.
    pub(crate) chapters: Vec<Chapter>,
    pub(crate) tracks: Vec<Track>,
    /// Whether it is in the growing form.
    pub(crate) fragmented: bool,
    /// Boxes after which nothing could be read: where a write was cut off, in bytes from the start.
    pub(crate) torn_at: Option<u64>,
}

pub(crate) struct Track {
    pub(crate) handler: [u8; 4],
    pub(crate) entry: SampleEntry,
    pub(crate) timescale: u32,
    pub(crate) samples: Vec<Sample>,
    /// Seconds of the take before anything of the track is shown.
    pub(crate) delay: f64,
    /// Units of the track's timescale before what is shown.
    pub(crate) skipped: i64,
    /// The length of what is shown, in seconds, as the file claims it.
    pub(crate) shown: Option<f64>,
    /// Whether every video sample's NAL units add up to its size, and whether it has an IDR slice exactly where it claims.
    pub(crate) nal: Result<(), String>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    pub(crate) at: u64,
    pub(crate) size: u32,
    pub(crate) time: u64,
    pub(crate) duration: u32,
    pub(crate) keyframe: bool,
}

/// A top-level box.
struct Top {
    at: u64,
    kind: [u8; 4],
    size: u64,
}

impl Top {
    fn name(&self) -> String {
        String::from_utf8_lossy(&self.kind).into_owned()
    }
}

/// Reads the file's boxes, and every picture's NAL units.
pub(crate) fn read<R: Read + Seek>(file: &mut R) -> Result<Recording, Problem> {
    let mut recording = read_tables(file)?;
    for track in recording.tracks.iter_mut().filter(|track| &track.handler == b"vide") {
        track.nal = check_nal(file, &track.samples)?;
    }
    Ok(recording)
}

/// Reads the file's boxes, and nothing of its pictures.
pub(crate) fn read_tables<R: Read + Seek>(file: &mut R) -> Result<Recording, Problem> {
    let len = file.seek(SeekFrom::End(0))?;
    let (boxes, torn_at) = top_level(file, len)?;
    if boxes.first().is_none_or(|first| &first.kind != b"ftyp") {
        return Err(damaged("it does not begin as an MP4 does"));
    }
    let head =
        boxes.iter().find(|it| &it.kind == b"moov").ok_or_else(|| damaged("it has no list of tracks"))?;
    let moov: MoovBox = decoded(&whole(file, head)?, head)?;
    let movie = Movie::read(&moov).map_err(|error| error.to_string());
    let fragmented = moov.mvex_box.is_some();
    let movie_timescale = moov.mvhd_box.timescale.get();
    let mut tracks = Vec::new();
    let mut ids = Vec::new();
    for trak in moov.trak_boxes {
        ids.push(trak.tkhd_box.track_id);
        tracks.push(track(trak, movie_timescale, fragmented, len)?);
    }
    if fragmented {
        let mut claimed = 0_u64;
        for part in boxes.iter().filter(|it| &it.kind == b"moof") {
            let bytes = whole(file, part)?;
            let more = runs::claimed(&bytes).ok_or_else(|| damaged("a fragment's list is wrong"))?;
            claimed = claimed.saturating_add(more);
            // Every sample has a byte at least.
            if claimed > len {
                return Err(damaged(format!("its fragments claim {claimed} samples")));
            }
            add_fragment(&decoded(&bytes, part)?, part.at, &ids, &mut tracks)?;
        }
    }
    for track in &mut tracks {
        if let Some(sample) = track.samples.iter().find(|it| it.at.saturating_add(it.size.into()) > len) {
            if !fragmented {
                return Err(damaged(format!("a sample lies at byte {}, beyond its end", sample.at)));
            }
            // The last fragment's data was cut off.
            track.samples.retain(|it| it.at.saturating_add(it.size.into()) <= len);
        }
    }
    let of = |handler: &[u8; 4]| tracks.iter().find(|track| &track.handler == handler);
    let timecode = of(b"tmcd").map(|track| timecode(file, track)).transpose()?.flatten();
    let chapters = of(b"text").map(|track| chapters(file, track)).transpose()?.unwrap_or_default();
    Ok(Recording { movie, timecode, chapters, tracks, fragmented, torn_at })
}

/// The file's boxes up to the first that is torn, and where that one begins.
fn top_level<R: Read + Seek>(file: &mut R, len: u64) -> Result<(Vec<Top>, Option<u64>), Problem> {
    let mut boxes = Vec::new();
    let mut at = 0;
    while at < len {
        let mut head = [0; 16];
        let have = (len - at).min(16) as usize;
        file.seek(SeekFrom::Start(at))?;
        file.read_exact(&mut head[..have])?;
        let Ok((header, header_size)) = BoxHeader::decode(&head[..have]) else {
            return Ok((boxes, Some(at)));
        };
        let size = match header.box_size.get() {
            0 => len - at,
            size => size,
        };
        if size < header_size as u64 || size > len - at {
            return Ok((boxes, Some(at)));
        }
        let kind = header.box_type.as_bytes();
        // What the power took from the end reads as zeros.
        if kind == [0; 4] {
            return Ok((boxes, Some(at)));
        }
        boxes.push(Top { at, kind: [kind[0], kind[1], kind[2], kind[3]], size });
        at += size;
    }
    Ok((boxes, None))
}

/// All bytes of a box.
fn whole<R: Read + Seek>(file: &mut R, part: &Top) -> Result<Vec<u8>, Problem> {
    if part.size > BOX_LIMIT {
        return Err(damaged(format!("its {} box claims {} bytes", part.name(), part.size)));
    }
    file.seek(SeekFrom::Start(part.at))?;
    let mut bytes = Vec::new();
    file.take(part.size).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn decoded<B: Decode>(bytes: &[u8], part: &Top) -> Result<B, Problem> {
    let (decoded, _) =
        B::decode(bytes).map_err(|error| damaged(format!("its {} box is wrong: {error}", part.name())))?;
    Ok(decoded)
}

fn track(trak: TrakBox, movie_timescale: u32, fragmented: bool, len: u64) -> Result<Track, Problem> {
    let edits = trak.edts_box.and_then(|it| it.elst_box).map(|it| it.entries).unwrap_or_default();
    // An edit without media, before the one that shows some.
    let empty = edits.iter().take_while(|edit| edit.media_time < 0).count();
    let delay: u64 = edits[..empty].iter().fold(0, |sum, edit| sum.saturating_add(edit.edit_duration));
    let edit = edits.get(empty);
    let media = trak.mdia_box;
    let table = media.minf_box.stbl_box;
    let entry = table.stsd_box.entries.first().cloned().ok_or_else(|| damaged("a track has no codec"))?;
    let table = SampleTableAccessor::new(&table)
        .map_err(|error| damaged(format!("a track's table is wrong: {error}")))?;
    if u64::from(table.sample_count()) > len {
        return Err(damaged(format!("a track claims {} samples", table.sample_count())));
    }
    let samples = table
        .samples()
        .map(|it| Sample {
            at: it.data_offset(),
            size: it.data_size(),
            time: it.timestamp(),
            duration: it.duration(),
            keyframe: it.is_sync_sample(),
        })
        .collect();
    let shown = edit.map_or(trak.tkhd_box.duration, |edit| edit.edit_duration);
    let seconds = |units: u64| units as f64 / f64::from(movie_timescale);
    Ok(Track {
        handler: media.hdlr_box.handler_type,
        entry,
        timescale: media.mdhd_box.timescale.get(),
        samples,
        delay: seconds(delay),
        skipped: edit.map_or(0, |edit| edit.media_time),
        shown: (!fragmented).then(|| seconds(shown)),
        nal: Ok(()),
    })
}

fn sample_bytes<R: Read + Seek>(file: &mut R, sample: &Sample, limit: u32) -> Result<Vec<u8>, Problem> {
    let mut bytes = vec![0; sample.size.min(limit) as usize];
    file.seek(SeekFrom::Start(sample.at))?;
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn timecode<R: Read + Seek>(file: &mut R, track: &Track) -> Result<Option<u32>, Problem> {
    let Some(sample) = track.samples.first() else { return Ok(None) };
    let bytes = sample_bytes(file, sample, 4)?;
    Ok(bytes.first_chunk().map(|number| u32::from_be_bytes(*number)))
}

fn chapters<R: Read + Seek>(file: &mut R, track: &Track) -> Result<Vec<Chapter>, Problem> {
    let mut chapters = Vec::new();
    for sample in &track.samples {
        // A length in 16 bits, and the title.
        let bytes = sample_bytes(file, sample, 2 + u32::from(u16::MAX))?;
        let title = bytes.split_first_chunk::<2>().and_then(|(len, text)| {
            text.get(..usize::from(u16::from_be_bytes(*len))).map(String::from_utf8_lossy)
        });
        let title = title.ok_or_else(|| damaged("a chapter's title is longer than its sample"))?;
        let seconds = track.delay + sample.time as f64 / f64::from(track.timescale);
        let at = (seconds * f64::from(SAMPLE_RATE)).round() as u64;
        chapters.push(Chapter { at, title: title.into_owned() });
    }
    Ok(chapters)
}

fn add_fragment(moof: &MoofBox, moof_at: u64, ids: &[u32], tracks: &mut [Track]) -> Result<(), Problem> {
    for traf in &moof.traf_boxes {
        let head = &traf.tfhd_box;
        let Some(track) = ids.iter().position(|id| *id == head.track_id).map(|index| &mut tracks[index])
        else {
            return Err(damaged("a fragment belongs to no track"));
        };
        let mut time = traf.tfdt_box.as_ref().map_or(0, |it| it.base_media_decode_time);
        for run in &traf.trun_boxes {
            let offset = i64::from(run.data_offset.unwrap_or(0));
            let mut at = moof_at
                .checked_add_signed(offset)
                .ok_or_else(|| damaged("a fragment points before the file"))?;
            for sample in &run.samples {
                let flags = sample.flags.or(head.default_sample_flags);
                let duration = sample.duration.or(head.default_sample_duration).unwrap_or(0);
                let size = sample.size.or(head.default_sample_size).unwrap_or(0);
                let keyframe = flags.is_none_or(|flags| !flags.sample_is_non_sync_sample());
                track.samples.push(Sample { at, size, time, duration, keyframe });
                at = at.saturating_add(size.into());
                time = time.saturating_add(duration.into());
            }
        }
    }
    Ok(())
}

/// Whether each sample is a chain of whole NAL units, with IDR slices (type 5) in keyframes and only there.
fn check_nal<R: Read + Seek>(file: &mut R, samples: &[Sample]) -> Result<Result<(), String>, Problem> {
    let mut bytes = Vec::new();
    for (number, sample) in samples.iter().enumerate() {
        if u64::from(sample.size) > SAMPLE_LIMIT {
            return Ok(Err(format!("picture {number} claims {} bytes", sample.size)));
        }
        file.seek(SeekFrom::Start(sample.at))?;
        bytes.resize(sample.size as usize, 0);
        file.read_exact(&mut bytes)?;
        let mut rest = &bytes[..];
        let mut slices = (false, false);
        while !rest.is_empty() {
            let unit = rest.split_first_chunk::<4>().and_then(|(len, after)| {
                after.split_at_checked(u32::from_be_bytes(*len) as usize).filter(|(unit, _)| !unit.is_empty())
            });
            let Some((unit, after)) = unit else {
                return Ok(Err(format!("the NAL units of picture {number} do not add up to its size")));
            };
            match unit[0] & 0x1f {
                5 => slices.0 = true,
                1 => slices.1 = true,
                _ => (),
            }
            rest = after;
        }
        if slices != (sample.keyframe, !sample.keyframe) {
            return Ok(Err(format!("picture {number} is not of the kind that the file says")));
        }
    }
    Ok(Ok(()))
}
