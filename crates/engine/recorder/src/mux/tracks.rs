//! The boxes that say what the tracks are.

use std::num::NonZeroU32;
use std::time::Duration;

use hyperzoom_media::{I420, MASTER_FPS, SAMPLE_RATE};
use shiguredo_mp4::bitstream::aac::{Mp4aSampleEntryConfig, build_mp4a_box, parse_audio_specific_config};
use shiguredo_mp4::bitstream::h264::LengthSize;
use shiguredo_mp4::bitstream::h264::{H264SampleEntryConfig, build_avc1_box};
use shiguredo_mp4::boxes::{
    Brand, Co64Box, DinfBox, EdtsBox, ElstBox, ElstEntry, FtypBox, HdlrBox, MdhdBox, MdiaBox, MediaHeader,
    MinfBox, MoovBox, MvexBox, MvhdBox, SampleEntry, SmhdBox, StblBox, StcoBox, StscBox, StsdBox, StszBox,
    SttsBox, TkhdBox, TrakBox, TrexBox, UnknownBox, VmhdBox,
};
use shiguredo_mp4::{
    BoxSize, BoxType, Either, FixedPointNumber, LanguageCode, Mp4FileTime, SampleFlags, Utf8String,
};

use crate::encode::{AAC_BITRATE, AAC_MAX_UNIT, ParameterSets};
use crate::error::EncodeError;

pub(super) const VIDEO_TRACK: u32 = 1;
pub(super) const AUDIO_TRACK: u32 = 2;

/// Units a second of the video track.
pub(crate) const VIDEO_TIMESCALE: u32 = 30_000;

/// Units of [`VIDEO_TIMESCALE`] that a picture lasts: one tick.
pub(crate) const TICK_DURATION: u32 = VIDEO_TIMESCALE / MASTER_FPS;

/// Units a second of the movie: a sample is one, and a tick is a whole number of them.
pub(super) const MOVIE_TIMESCALE: u32 = SAMPLE_RATE;

/// What the file holds.
#[derive(Debug, Clone)]
pub(crate) struct Movie {
    /// When the take began, since 1970 (UTC).
    pub(crate) created: Duration,
    /// The pictures' track.
    pub(crate) video: Option<VideoConfig>,
    /// The sound's track.
    pub(crate) audio: Option<AudioConfig>,
}

/// The video track.
#[derive(Debug, Clone)]
pub(crate) struct VideoConfig {
    shape: I420,
    entry: SampleEntry,
}

/// The audio track.
#[derive(Debug, Clone)]
pub(crate) struct AudioConfig {
    /// Samples of nothing that the encoder puts in front, skipped by the edit list.
    pub(crate) delay: u32,
    entry: SampleEntry,
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
}

/// BT.709 in limited range, for readers that do not look into the stream (ISO/IEC 14496-12 §12.1.5).
fn colour() -> UnknownBox {
    let payload = [b"nclx".as_slice(), &[0, 1, 0, 1, 0, 1, 0]].concat();
    UnknownBox {
        box_type: BoxType::Normal(*b"colr"),
        box_size: BoxSize::U32(8 + payload.len() as u32),
        payload,
    }
}

pub(super) fn file_type() -> FtypBox {
    FtypBox {
        major_brand: Brand::ISOM,
        minor_version: 0x200,
        // iso5 and iso6 for what the fragments use; it stays true of the plain file.
        compatible_brands: vec![Brand::ISOM, Brand::ISO5, Brand::ISO6, Brand::AVC1, Brand::MP41],
    }
}

/// How long things are, in units of their timescales; all 0 while the file grows.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Length {
    /// In [`MOVIE_TIMESCALE`]: what is shown.
    pub(super) shown: u64,
    /// In the track's timescale: what is stored.
    pub(super) stored: u64,
}

/// The `moov` of the growing file: tracks without samples.
pub(super) fn head_moov(movie: &Movie) -> MoovBox {
    let empty = Samples::default;
    let trex = |track_id| TrexBox {
        track_id,
        default_sample_description_index: 1,
        default_sample_duration: 0,
        default_sample_size: 0,
        default_sample_flags: SampleFlags::empty(),
    };
    let mut tracks = Vec::new();
    let mut extends = Vec::new();
    if let Some(video) = &movie.video {
        tracks.push(video_track(movie, video, Length::default(), empty()));
        extends.push(trex(VIDEO_TRACK));
    }
    if let Some(audio) = &movie.audio {
        tracks.push(audio_track(movie, audio, Length::default(), empty()));
        extends.push(trex(AUDIO_TRACK));
    }
    let extends = MvexBox { mehd_box: None, trex_boxes: extends, unknown_boxes: vec![] };
    moov(movie, 0, tracks, Some(extends))
}

pub(super) fn moov(movie: &Movie, duration: u64, tracks: Vec<TrakBox>, extends: Option<MvexBox>) -> MoovBox {
    let created = Mp4FileTime::from_unix_time(movie.created);
    MoovBox {
        mvhd_box: MvhdBox {
            creation_time: created,
            modification_time: created,
            timescale: nonzero(MOVIE_TIMESCALE),
            duration,
            rate: MvhdBox::DEFAULT_RATE,
            volume: MvhdBox::DEFAULT_VOLUME,
            matrix: MvhdBox::DEFAULT_MATRIX,
            next_track_id: AUDIO_TRACK + 1,
        },
        trak_boxes: tracks,
        mvex_box: extends,
        unknown_boxes: vec![],
    }
}

/// A track's sample table; empty while the file grows.
#[derive(Default)]
pub(super) struct Samples {
    pub(super) times: Vec<shiguredo_mp4::boxes::SttsEntry>,
    pub(super) chunks: Vec<shiguredo_mp4::boxes::StscEntry>,
    pub(super) sizes: Vec<u32>,
    pub(super) offsets: Vec<u64>,
    /// `None` where every sample is a keyframe.
    pub(super) keyframes: Option<shiguredo_mp4::boxes::StssBox>,
}

pub(super) fn video_track(movie: &Movie, video: &VideoConfig, length: Length, samples: Samples) -> TrakBox {
    let size = |pixels: u32| FixedPointNumber::new(pixels as i16, 0);
    let look = Look {
        id: VIDEO_TRACK,
        timescale: VIDEO_TIMESCALE,
        handler: HdlrBox::HANDLER_TYPE_VIDE,
        name: "HyperZoom camera",
        header: MediaHeader::Vmhd(VmhdBox::default()),
        volume: TkhdBox::DEFAULT_VIDEO_VOLUME,
        size: (size(video.shape.width), size(video.shape.height)),
    };
    track(movie, look, &video.entry, None, length, samples)
}

pub(super) fn audio_track(movie: &Movie, audio: &AudioConfig, length: Length, samples: Samples) -> TrakBox {
    let look = Look {
        id: AUDIO_TRACK,
        timescale: SAMPLE_RATE,
        handler: HdlrBox::HANDLER_TYPE_SOUN,
        name: "HyperZoom microphone",
        header: MediaHeader::Smhd(SmhdBox::default()),
        volume: TkhdBox::DEFAULT_AUDIO_VOLUME,
        size: (FixedPointNumber::default(), FixedPointNumber::default()),
    };
    // What the encoder puts in front is not shown. A duration of 0 is "all of it" in a fragmented file.
    let edit = ElstEntry {
        edit_duration: length.shown,
        media_time: i64::from(audio.delay),
        media_rate: FixedPointNumber::new(1, 0),
    };
    let edits = EdtsBox { elst_box: Some(ElstBox { entries: vec![edit] }), unknown_boxes: vec![] };
    track(movie, look, &audio.entry, Some(edits), length, samples)
}

struct Look {
    id: u32,
    timescale: u32,
    handler: [u8; 4],
    name: &'static str,
    header: MediaHeader,
    volume: FixedPointNumber<i8, u8>,
    size: (FixedPointNumber<i16, u16>, FixedPointNumber<i16, u16>),
}

fn track(
    movie: &Movie,
    look: Look,
    entry: &SampleEntry,
    edits: Option<EdtsBox>,
    length: Length,
    samples: Samples,
) -> TrakBox {
    let created = Mp4FileTime::from_unix_time(movie.created);
    let offsets = if samples.offsets.last().is_some_and(|last| u32::try_from(*last).is_err()) {
        Either::B(Co64Box { chunk_offsets: samples.offsets })
    } else {
        Either::A(StcoBox { chunk_offsets: samples.offsets.iter().map(|offset| *offset as u32).collect() })
    };
    let table = StblBox {
        stsd_box: StsdBox { entries: vec![entry.clone()] },
        stts_box: SttsBox { entries: samples.times },
        ctts_box: None,
        cslg_box: None,
        stsc_box: StscBox { entries: samples.chunks },
        stsz_box: StszBox::Variable { entry_sizes: samples.sizes },
        stco_or_co64_box: offsets,
        stss_box: samples.keyframes,
        sdtp_box: None,
        unknown_boxes: vec![],
    };
    TrakBox {
        tkhd_box: TkhdBox {
            flag_track_enabled: true,
            flag_track_in_movie: true,
            flag_track_in_preview: false,
            flag_track_size_is_aspect_ratio: false,
            creation_time: created,
            modification_time: created,
            track_id: look.id,
            duration: length.shown,
            layer: TkhdBox::DEFAULT_LAYER,
            alternate_group: TkhdBox::DEFAULT_ALTERNATE_GROUP,
            volume: look.volume,
            matrix: TkhdBox::DEFAULT_MATRIX,
            width: look.size.0,
            height: look.size.1,
        },
        edts_box: edits,
        mdia_box: MdiaBox {
            mdhd_box: MdhdBox {
                creation_time: created,
                modification_time: created,
                timescale: nonzero(look.timescale),
                duration: length.stored,
                language: LanguageCode::UNDEFINED,
            },
            hdlr_box: HdlrBox {
                handler_type: look.handler,
                name: Utf8String::new(look.name).unwrap_or_default().into_null_terminated_bytes(),
            },
            minf_box: MinfBox {
                media_header: Some(look.header),
                dinf_box: DinfBox::LOCAL_FILE,
                stbl_box: table,
                unknown_boxes: vec![],
            },
            unknown_boxes: vec![],
        },
        unknown_boxes: vec![],
    }
}

pub(super) fn nonzero(value: u32) -> NonZeroU32 {
    NonZeroU32::new(value).expect("rates, sample numbers and counts are not 0")
}
