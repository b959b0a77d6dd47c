//! What a file holds: all that its head says, whether it was made just now or is read back after a crash.

use std::io;
use std::time::Duration;

use hyperzoom_media::I420;
use shiguredo_mp4::bitstream::aac::{Mp4aSampleEntryConfig, build_mp4a_box, parse_audio_specific_config};
use shiguredo_mp4::bitstream::h264::{H264SampleEntryConfig, LengthSize, build_avc1_box};
use shiguredo_mp4::boxes::{MoovBox, SampleEntry, TrakBox, UnknownBox};

use super::about::{self, About};
use super::boxes::child;
use super::tracks::AUDIO_TRACK;
use crate::encode::{AAC_BITRATE, AAC_MAX_UNIT, ParameterSets};
use crate::error::EncodeError;

/// Seconds from 1904, which MP4 counts from, to 1970 (ISO/IEC 14496-12 §8.2.2.3).
const EPOCH: u64 = 2_082_844_800;

/// What the file holds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Movie {
    /// When the take began, since 1970 (UTC), in whole seconds.
    pub(crate) created: Duration,
    /// The tick of the first picture: what the timecode track says.
    pub(crate) start_tick: u64,
    /// Which take it is.
    pub(crate) about: About,
    /// The pictures' track.
    pub(crate) video: Option<VideoConfig>,
    /// The sound's track.
    pub(crate) audio: Option<AudioConfig>,
}

/// The video track.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct VideoConfig {
    pub(super) shape: I420,
    pub(super) entry: SampleEntry,
}

/// The audio track.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AudioConfig {
    /// Samples of nothing that the encoder puts in front, skipped by the edit list.
    pub(crate) delay: u32,
    pub(super) entry: SampleEntry,
}

impl Movie {
    /// What the head of a file says that this program wrote, growing or finished.
    ///
    /// # Errors
    /// `InvalidData` where it has neither pictures nor sound, or something that this program does not write.
    pub(crate) fn read(moov: &MoovBox) -> io::Result<Self> {
        let (about, start_tick) =
            about::read(moov).ok_or_else(|| foreign("it does not say its start timecode"))?;
        let of = |handler: &[u8; 4]| {
            moov.trak_boxes.iter().find(|trak| &trak.mdia_box.hdlr_box.handler_type == handler)
        };
        let movie = Self {
            created: Duration::from_secs(moov.mvhd_box.creation_time.as_secs().saturating_sub(EPOCH)),
            start_tick,
            about,
            video: of(b"vide").map(VideoConfig::read).transpose()?,
            audio: of(b"soun").map(AudioConfig::read).transpose()?,
        };
        if movie.video.is_none() && movie.audio.is_none() {
            return Err(foreign("it has neither pictures nor sound"));
        }
        Ok(movie)
    }
}

fn foreign(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("it is no recording of HyperZoom: {what}"))
}

fn only_entry(trak: &TrakBox) -> io::Result<SampleEntry> {
    match trak.mdia_box.minf_box.stbl_box.stsd_box.entries.as_slice() {
        [entry] => Ok(entry.clone()),
        entries => Err(foreign(&format!("a track has {} codecs", entries.len()))),
    }
}

impl VideoConfig {
    /// A track of H.264 with these parameter sets.
    pub(crate) fn new(shape: I420, sets: &ParameterSets) -> Result<Self, EncodeError> {
        let config = H264SampleEntryConfig { length_size: LengthSize::FourBytes };
        let mut entry =
            build_avc1_box(std::slice::from_ref(&sets.sps), std::slice::from_ref(&sets.pps), &config)
                .map_err(|_| EncodeError {
                    encoder: "H.264",
                    step: "reading its parameter sets",
                    code: -1,
                })?;
        entry.unknown_boxes.push(colour());
        Ok(Self { shape, entry: SampleEntry::Avc1(entry) })
    }

    /// The pictures' shape.
    pub(crate) fn shape(&self) -> I420 {
        self.shape
    }

    /// The stream's parameter sets.
    pub(crate) fn parameter_sets(&self) -> Option<ParameterSets> {
        let SampleEntry::Avc1(entry) = &self.entry else { return None };
        let (sps, pps) = (entry.avcc_box.sps_list.first()?, entry.avcc_box.pps_list.first()?);
        Some(ParameterSets { sps: sps.clone(), pps: pps.clone() })
    }

    fn read(trak: &TrakBox) -> io::Result<Self> {
        let entry = only_entry(trak)?;
        let SampleEntry::Avc1(avc1) = &entry else { return Err(foreign("its pictures are not H.264")) };
        let shape = I420 { width: avc1.visual.width.into(), height: avc1.visual.height.into() };
        Ok(Self { shape, entry })
    }
}

impl AudioConfig {
    /// A track of AAC with this AudioSpecificConfig.
    pub(crate) fn new(config: &[u8], delay: u32) -> Result<Self, EncodeError> {
        let refused = |_| EncodeError { encoder: "AAC", step: "reading its AudioSpecificConfig", code: -1 };
        let entry = Mp4aSampleEntryConfig {
            es_id: AUDIO_TRACK as u16,
            buffer_size_db: AAC_MAX_UNIT as u32,
            max_bitrate: AAC_BITRATE,
            avg_bitrate: AAC_BITRATE,
        };
        let config = parse_audio_specific_config(config).map_err(refused)?;
        Ok(Self { delay, entry: SampleEntry::Mp4a(build_mp4a_box(&config, &entry).map_err(refused)?) })
    }

    fn read(trak: &TrakBox) -> io::Result<Self> {
        let entry = only_entry(trak)?;
        let SampleEntry::Mp4a(_) = &entry else { return Err(foreign("its sound is not AAC")) };
        let edits = trak.edts_box.as_ref().and_then(|it| it.elst_box.as_ref());
        let skipped = edits.and_then(|it| it.entries.first()).map_or(0, |edit| edit.media_time);
        let delay = u32::try_from(skipped).map_err(|_| foreign("its sound begins nowhere"))?;
        Ok(Self { delay, entry })
    }
}

/// BT.709 in limited range, for readers that do not look into the stream (ISO/IEC 14496-12 §12.1.5).
fn colour() -> UnknownBox {
    child(*b"colr", [b"nclx".as_slice(), &[0, 1, 0, 1, 0, 1, 0]].concat())
}
