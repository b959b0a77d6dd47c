//! What a take has to be.

use std::path::Path;

use hyperzoom_media::{MASTER_FPS, SAMPLE_RATE};
use hyperzoom_timing::{SAMPLES_PER_TICK, Timecode};
use shiguredo_mp4::bitstream::aac::parse_audio_specific_config;
use shiguredo_mp4::bitstream::h264::parse_sps;
use shiguredo_mp4::boxes::SampleEntry;

use super::reader::{Recording, Track};
use super::{Check, Verdict};
use crate::encode::GOP;
use crate::marker::Marker;
use crate::metadata::SessionMetadata;
use crate::mux::{Chapter, frame_number, title};

/// One frame, in seconds: what durations may differ by.
const FRAME: f64 = 1.0 / MASTER_FPS as f64;

const PROFILE_HIGH: u8 = 100;

struct Checks(Vec<Check>);

impl Checks {
    fn add(&mut self, name: &'static str, ok: bool, detail: impl Into<String>) {
        self.0.push(Check { name, ok, detail: detail.into() });
    }
}

pub(super) fn judge(
    folder: &Path,
    recording: &Recording,
    metadata: Result<SessionMetadata, String>,
) -> Verdict {
    let mut checks = Checks(Vec::new());
    let of = |handler: &[u8; 4]| recording.tracks.iter().find(|track| &track.handler == handler);
    let (video, audio) = (of(b"vide"), of(b"soun"));

    let advice = format!("Finish it with: hyperzoom recover {}", folder.display());
    let form = match (recording.fragmented, recording.torn_at) {
        (false, None) => "a plain MP4".to_owned(),
        (false, Some(at)) => format!("a plain MP4 with something torn after byte {at}"),
        (true, None) => {
            format!("cut off: it plays up to its last whole second, and is still in fragments. {advice}")
        }
        (true, Some(at)) => {
            format!("cut off in the middle of a write at byte {at}: it plays up to there. {advice}")
        }
    };
    checks.add("finished", !recording.fragmented && recording.torn_at.is_none(), form);
    checks.add("tracks", video.is_some() || audio.is_some(), describe(video, audio));

    if let Some(video) = video {
        pictures(&mut checks, video);
    }
    if let Some(audio) = audio {
        sound(&mut checks, audio);
    }
    let recovered = metadata.as_ref().is_ok_and(|metadata| metadata.recovered);
    if let (Some(video), Some(audio)) = (video, audio) {
        let (pictures, sound) = (length(video), length(audio));
        checks.add(
            "lengths agree",
            // Of a torn second the sound is kept, and as many pictures as there were.
            (pictures - sound).abs() <= FRAME || (recovered && sound > pictures),
            format!("pictures {pictures:.3} s, sound {sound:.3} s"),
        );
    }
    let seconds = video.or(audio).map_or(0.0, length);
    let pictures = video.map_or(0, |track| track.samples.len() as u64);
    let says = own_timecode(&mut checks, recording);
    let metadata = match metadata {
        Ok(metadata) => {
            against_metadata(&mut checks, &metadata, recording, seconds, video.map(|_| pictures));
            against_head(&mut checks, &metadata, recording, says);
            against_markers(&mut checks, &metadata, recording, seconds);
            Some(metadata)
        }
        Err(reason) => {
            checks.add("metadata", false, format!("session_metadata.json cannot be read: {reason}"));
            None
        }
    };
    Verdict {
        folder: folder.to_owned(),
        checks: checks.0,
        pictures,
        seconds,
        unfinished: recording.fragmented,
        metadata,
    }
}

fn describe(video: Option<&Track>, audio: Option<&Track>) -> String {
    match (video.is_some(), audio.is_some()) {
        (true, true) => "pictures and sound",
        (true, false) => "pictures only",
        (false, true) => "sound only",
        (false, false) => "neither pictures nor sound",
    }
    .to_owned()
}

/// The length of what is shown, in seconds: what the file claims, or what its samples add up to.
fn length(track: &Track) -> f64 {
    let stored: u64 = track.samples.iter().map(|sample| u64::from(sample.duration)).sum();
    let stored = (stored as f64 - track.skipped as f64).max(0.0) / f64::from(track.timescale);
    // A claim of more than there is does not count.
    track.shown.map_or(stored, |shown| shown.min(stored))
}

fn pictures(checks: &mut Checks, track: &Track) {
    let (ok, detail) = match &track.entry {
        SampleEntry::Avc1(entry) => match entry.avcc_box.sps_list.first().map(|sps| parse_sps(sps)) {
            Some(Ok(sps)) => {
                let id = sps.profile_level_id;
                let same = (entry.visual.width, entry.visual.height) == (sps.width, sps.height);
                (
                    id.profile_idc == PROFILE_HIGH && same && id.level_idc >= 41,
                    format!(
                        "H.264 profile {} at level {}.{}, {}x{}",
                        if id.profile_idc == PROFILE_HIGH {
                            "High".to_owned()
                        } else {
                            id.profile_idc.to_string()
                        },
                        id.level_idc / 10,
                        id.level_idc % 10,
                        sps.width,
                        sps.height
                    ),
                )
            }
            Some(Err(error)) => (false, format!("H.264, but its parameter set is wrong: {error}")),
            None => (false, "H.264 without parameter sets".to_owned()),
        },
        _ => (false, "the pictures are not H.264".to_owned()),
    };
    checks.add("video codec", ok, detail);

    let tick = track.timescale / MASTER_FPS;
    let odd = (0_u64..)
        .zip(&track.samples)
        .find(|(number, it)| it.time != number * u64::from(tick) || it.duration != tick);
    let constant = track.timescale.is_multiple_of(MASTER_FPS) && odd.is_none();
    let detail = match odd {
        _ if !constant && odd.is_none() => format!("a timescale of {} has no whole 1/30 s", track.timescale),
        Some((number, _)) => format!("picture {number} is not at its tick"),
        None => format!("{} pictures, each exactly 1/30 s", track.samples.len()),
    };
    checks.add("30 fps constant", constant, detail);

    let missing = track.samples.iter().step_by(GOP as usize).position(|it| !it.keyframe);
    let detail = missing
        .map_or("every second begins with one".to_owned(), |second| format!("none at second {second}"));
    checks.add("keyframes", missing.is_none() && !track.samples.is_empty(), detail);
    let nal = track.nal.as_ref().err().cloned();
    checks.add("picture data", nal.is_none(), nal.unwrap_or_else(|| "whole".to_owned()));
}

fn sound(checks: &mut Checks, track: &Track) {
    let config = match &track.entry {
        SampleEntry::Mp4a(entry) => entry.esds_box.es.dec_config_descr.dec_specific_info.as_ref(),
        _ => None,
    };
    let (ok, detail) = match config.map(|config| parse_audio_specific_config(&config.payload)) {
        Some(Ok(config)) => {
            let (rate, channels) =
                (config.sampling_frequency.hz(), config.channel_configuration.channel_count());
            let ok = rate == SAMPLE_RATE && channels == 1;
            (ok, format!("AAC-LC, {rate} Hz, {channels} channel"))
        }
        Some(Err(error)) => (false, format!("not AAC-LC: {error}")),
        None => (false, "the sound is not AAC".to_owned()),
    };
    checks.add("audio codec", ok, detail);
    let odd =
        track.samples.windows(2).position(|pair| pair[1].time != pair[0].time + u64::from(pair[0].duration));
    let starts = track.samples.first().is_none_or(|it| it.time == 0);
    let detail = odd.map_or("without a hole".to_owned(), |unit| format!("a hole after access unit {unit}"));
    checks.add("audio times", odd.is_none() && starts, detail);
}

/// Whether the timecode track and the head's own words agree; returns the words' tick.
fn own_timecode(checks: &mut Checks, recording: &Recording) -> Option<u64> {
    let movie = match &recording.movie {
        Ok(movie) => movie,
        Err(reason) => {
            checks.add("timecode", false, reason.clone());
            return None;
        }
    };
    let said = Timecode::from_tick(movie.start_tick);
    let (ok, detail) = match recording.timecode {
        Some(number) if number == frame_number(movie.start_tick) => {
            (true, format!("the first frame is at {said}"))
        }
        Some(number) => (false, format!("the track begins at frame {number}, the head says {said}")),
        None => (false, "there is no timecode track, or it is empty".to_owned()),
    };
    checks.add("timecode", ok, detail);
    Some(movie.start_tick)
}

/// Whether the file and the metadata are of the same take.
fn against_head(
    checks: &mut Checks,
    metadata: &SessionMetadata,
    recording: &Recording,
    start_tick: Option<u64>,
) {
    let (Some(start_tick), Ok(movie)) = (start_tick, &recording.movie) else { return };
    let written = metadata.start_timecode.parse::<Timecode>().map(Timecode::tick);
    let same_start = start_tick == metadata.start_tick && written == Ok(start_tick);
    let same_session = movie.about.session_id == metadata.session_id;
    let detail = match (same_session, same_start) {
        (true, true) => format!("session {} from {} on", metadata.session_id, metadata.start_timecode),
        (false, _) => format!(
            "the file is of session {}, the metadata of {}",
            movie.about.session_id, metadata.session_id
        ),
        (true, false) => format!(
            "the file begins at {}, the metadata says {} and tick {}",
            Timecode::from_tick(start_tick),
            metadata.start_timecode,
            metadata.start_tick
        ),
    };
    checks.add("same take", same_session && same_start, detail);
}

/// Whether the chapters are the markers. A file that was cut off has none yet.
fn against_markers(checks: &mut Checks, metadata: &SessionMetadata, recording: &Recording, seconds: f64) {
    if recording.fragmented {
        return;
    }
    let ticks = (seconds * f64::from(MASTER_FPS)).round() as u64;
    let last = metadata.start_tick.saturating_add(ticks.saturating_sub(1));
    // A marker lies at a moment, its tick is the nearest of the grid: the two may be one tick apart. One that was set behind what a
    // cut-off file holds is at its last picture.
    let same = |chapter: &Chapter, marker: &Marker| {
        let tick = metadata.start_tick.saturating_add(chapter.at / SAMPLES_PER_TICK);
        tick.abs_diff(marker.tick.min(last)) <= 1 && chapter.title == title(&marker.name)
    };
    let chapters = &recording.chapters;
    let lost = metadata.markers.iter().find(|marker| {
        let inside = marker.tick.checked_sub(metadata.start_tick).is_some_and(|tick| tick + 1 < ticks);
        inside && !chapters.iter().any(|chapter| same(chapter, marker))
    });
    let extra = chapters.iter().find(|chapter| !metadata.markers.iter().any(|marker| same(chapter, marker)));
    let detail = match (lost, extra) {
        (Some(marker), _) => format!("the marker \"{}\" is no chapter of the file", marker.name),
        (None, Some(chapter)) => format!("the chapter \"{}\" is no marker of the metadata", chapter.title),
        (None, None) if chapters.is_empty() => "none".to_owned(),
        (None, None) => format!("{}, each where its marker is", chapters.len()),
    };
    checks.add("chapters", lost.is_none() && extra.is_none(), detail);
}

fn against_metadata(
    checks: &mut Checks,
    metadata: &SessionMetadata,
    recording: &Recording,
    seconds: f64,
    pictures: Option<u64>,
) {
    let counts = &metadata.recording;
    let lost = counts.total_frames_dropped + counts.video.dropped + counts.audio.dropped;
    let detail = match lost {
        0 => {
            format!("0 dropped, {} duplicated, {} decimated", counts.video.duplicated, counts.video.decimated)
        }
        _ => format!("{} pictures, {} samples", counts.total_frames_dropped, counts.audio.dropped),
    };
    checks.add("nothing dropped", lost == 0, detail);
    if let Some(error) = &metadata.error {
        checks.add("ended well", false, error.clone());
    }
    // A take that was cut off has the metadata of its start.
    if recording.fragmented && !metadata.complete {
        return;
    }
    let same_length = (metadata.duration_seconds - seconds).abs() < FRAME / 2.0;
    let same_count = pictures.is_none_or(|pictures| pictures == counts.video.written);
    checks.add(
        "metadata agrees",
        same_length && same_count,
        format!("it says {:.3} s and {} pictures", metadata.duration_seconds, counts.video.written),
    );
}
