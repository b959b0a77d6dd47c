//! The boxes that say what the tracks are.

use std::num::NonZeroU32;

use hyperzoom_media::{MASTER_FPS, SAMPLE_RATE};
use shiguredo_mp4::boxes::{
    Brand, Co64Box, DinfBox, EdtsBox, ElstBox, ElstEntry, FtypBox, HdlrBox, MdhdBox, MdiaBox, MediaHeader,
    MinfBox, MoovBox, MvexBox, MvhdBox, NmhdBox, SampleEntry, SmhdBox, StblBox, StcoBox, StscBox, StsdBox,
    StszBox, SttsBox, TkhdBox, TrakBox, TrexBox, UnknownBox, VmhdBox,
};
use shiguredo_mp4::{Either, FixedPointNumber, LanguageCode, Mp4FileTime, SampleFlags, Utf8String};

use super::about;
use super::boxes::{child, raw};
use super::movie::{AudioConfig, Movie, VideoConfig};
use super::timecode::timecode_track;

pub(super) const VIDEO_TRACK: u32 = 1;
pub(super) const AUDIO_TRACK: u32 = 2;
pub(super) const TIMECODE_TRACK: u32 = 3;
pub(super) const CHAPTER_TRACK: u32 = 4;

/// Units a second of the video track.
pub(crate) const VIDEO_TIMESCALE: u32 = 30_000;

/// Units of [`VIDEO_TIMESCALE`] that a picture lasts: one tick.
pub(crate) const TICK_DURATION: u32 = VIDEO_TIMESCALE / MASTER_FPS;

/// Units a second of the movie: a sample is one, and a tick is a whole number of them.
pub(super) const MOVIE_TIMESCALE: u32 = SAMPLE_RATE;

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

/// The `moov` of the growing file: tracks without samples, but for the timecode's, which lies at byte `timecode_at`.
pub(super) fn head_moov(movie: &Movie, timecode_at: u64) -> MoovBox {
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
    let references = [(*b"tmcd", TIMECODE_TRACK)];
    if let Some(video) = &movie.video {
        tracks.push(video_track(movie, video, Length::default(), empty(), &references));
        extends.push(trex(VIDEO_TRACK));
    }
    if let Some(audio) = &movie.audio {
        // Where there are pictures, it is they that have a timecode.
        let references = if movie.video.is_some() { &[] } else { references.as_slice() };
        tracks.push(audio_track(movie, audio, Length::default(), empty(), references));
        extends.push(trex(AUDIO_TRACK));
    }
    tracks.push(timecode_track(movie, 1, timecode_at));
    extends.push(trex(TIMECODE_TRACK));
    let extends = MvexBox { mehd_box: None, trex_boxes: extends, unknown_boxes: vec![] };
    moov(movie, 0, tracks, Some(extends), &[])
}

/// The `moov` box; `user_data` holds boxes that go into its `udta` beside what is known of the take.
pub(super) fn moov(
    movie: &Movie,
    duration: u64,
    tracks: Vec<TrakBox>,
    extends: Option<MvexBox>,
    user_data: &[Vec<u8>],
) -> MoovBox {
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
            next_track_id: CHAPTER_TRACK + 1,
        },
        trak_boxes: tracks,
        mvex_box: extends,
        unknown_boxes: vec![about::user_data(&[&[about::meta(movie)], user_data].concat())],
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

pub(super) fn video_track(
    movie: &Movie,
    video: &VideoConfig,
    length: Length,
    samples: Samples,
    references: &[Reference],
) -> TrakBox {
    let size = |pixels: u32| FixedPointNumber::new(pixels as i16, 0);
    let look = Look {
        handler: HdlrBox::HANDLER_TYPE_VIDE,
        name: "HyperZoom camera",
        media: Media::Usual(MediaHeader::Vmhd(VmhdBox::default())),
        size: (size(video.shape.width), size(video.shape.height)),
        enabled: true,
        ..Look::hidden(VIDEO_TRACK, VIDEO_TIMESCALE)
    };
    with_references(track(movie, look, &video.entry, None, length, samples), references)
}

pub(super) fn audio_track(
    movie: &Movie,
    audio: &AudioConfig,
    length: Length,
    samples: Samples,
    references: &[Reference],
) -> TrakBox {
    let look = Look {
        handler: HdlrBox::HANDLER_TYPE_SOUN,
        name: "HyperZoom microphone",
        media: Media::Usual(MediaHeader::Smhd(SmhdBox::default())),
        volume: TkhdBox::DEFAULT_AUDIO_VOLUME,
        enabled: true,
        ..Look::hidden(AUDIO_TRACK, SAMPLE_RATE)
    };
    // What the encoder puts in front is not shown. A duration of 0 is "all of it" in a fragmented file.
    let edit = ElstEntry {
        edit_duration: length.shown,
        media_time: i64::from(audio.delay),
        media_rate: FixedPointNumber::new(1, 0),
    };
    let edits = EdtsBox { elst_box: Some(ElstBox { entries: vec![edit] }), unknown_boxes: vec![] };
    with_references(track(movie, look, &audio.entry, Some(edits), length, samples), references)
}

/// A track that another one points to, and what it is for it: `tmcd` its timecode, `chap` its chapters.
pub(super) type Reference = ([u8; 4], u32);

/// Lets `trak` point to other tracks (ISO/IEC 14496-12 §8.3.3).
fn with_references(mut trak: TrakBox, references: &[Reference]) -> TrakBox {
    let boxes: Vec<_> = references.iter().map(|(kind, id)| raw(*kind, &[&id.to_be_bytes()])).collect();
    if !boxes.is_empty() {
        trak.unknown_boxes.push(child(*b"tref", boxes.concat()));
    }
    trak
}

/// What tells one kind of track from another.
pub(super) struct Look {
    pub(super) id: u32,
    pub(super) timescale: u32,
    pub(super) handler: [u8; 4],
    pub(super) name: &'static str,
    pub(super) media: Media,
    pub(super) volume: FixedPointNumber<i8, u8>,
    pub(super) size: (FixedPointNumber<i16, u16>, FixedPointNumber<i16, u16>),
    /// Whether a player shows it by itself.
    pub(super) enabled: bool,
}

/// What a track says of its media in general.
pub(super) enum Media {
    /// Pictures or sound.
    Usual(MediaHeader),
    /// Anything else that QuickTime knows: a `gmhd` box.
    General(UnknownBox),
}

impl Look {
    /// A track that is neither seen nor heard.
    pub(super) fn hidden(id: u32, timescale: u32) -> Self {
        Self {
            id,
            timescale,
            handler: [0; 4],
            name: "",
            media: Media::Usual(MediaHeader::Nmhd(NmhdBox)),
            volume: TkhdBox::DEFAULT_VIDEO_VOLUME,
            size: (FixedPointNumber::default(), FixedPointNumber::default()),
            enabled: false,
        }
    }
}

pub(super) fn track(
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
    let (media_header, general) = match look.media {
        Media::Usual(header) => (Some(header), vec![]),
        Media::General(header) => (None, vec![header]),
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
            flag_track_enabled: look.enabled,
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
                media_header,
                dinf_box: DinfBox::LOCAL_FILE,
                stbl_box: table,
                unknown_boxes: general,
            },
            unknown_boxes: vec![],
        },
        unknown_boxes: vec![],
    }
}

pub(super) fn nonzero(value: u32) -> NonZeroU32 {
    NonZeroU32::new(value).expect("rates, sample numbers and counts are not 0")
}
