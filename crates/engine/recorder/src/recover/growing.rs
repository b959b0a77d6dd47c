//! What a growing file holds: its head, its whole fragments, and what is left of the last one.

use std::io::{Read, Seek};

use shiguredo_mp4::Decode;
use shiguredo_mp4::boxes::MoovBox;

use super::Problem;
use super::fragment::{Fragment, Run};
use super::source::{Header, Source};
use super::tail::{self, Tail};
use super::texts::Contents;
use crate::encode::AAC_FRAME;
use crate::mux::{Movie, Parts, TICK_DURATION, Table};

/// The largest head that is read: one of ours has some 2 KB.
const HEAD_LIMIT: u64 = 1 << 20;

/// The largest list of a fragment's samples: ten seconds of pictures and sound have under 10 KB.
pub(super) const MOOF_LIMIT: u64 = 1 << 20;

/// The largest `moov` of a finished file: that of a day is a tenth of it.
const MOOV_LIMIT: u64 = 256 << 20;

/// Fragments and the `moov` begin at multiples of this, as `mux::fragment` lays them out.
const ALIGNMENT: u64 = 8;

/// Boxes in the head that are smaller than this fill up, or hold the timecode; a torn fragment's list is larger.
const FILLER: u64 = 64;

/// Which of its forms a file is in.
pub(super) enum Form {
    Growing(Box<Head>),
    /// With its list of all samples.
    Finished(Box<MoovBox>),
}

/// The beginning of a growing file.
pub(super) struct Head {
    pub(super) movie: Movie,
    placeholder_at: u64,
    /// Where its `moov` ends, and a box with the timecode follows.
    end: u64,
}

/// Looks at the file's first boxes.
pub(super) fn form<R: Read + Seek>(source: &mut Source<R>) -> Result<Form, Problem> {
    let damaged = |reason: &str| Problem::Damaged(reason.to_owned());
    let file_type = source.header(0)?.filter(|it| &it.kind == b"ftyp" && it.end() < HEAD_LIMIT);
    let placeholder_at = file_type.ok_or_else(|| damaged("it does not begin as an MP4 does"))?.end();

    // The placeholder is written last, so that it may claim to be done only where the list at the end is whole.
    if let Some(data) = source.header(placeholder_at)?.filter(|it| &it.kind == b"mdat" && it.head == 16)
        && let Some(list) = source.header(data.end())?.filter(|it| &it.kind == b"moov")
        && let Some(bytes) = source.whole(&list, MOOV_LIMIT)?
        && let Ok((moov, _)) = MoovBox::decode(&bytes)
        && moov.mvex_box.is_none()
    {
        return Ok(Form::Finished(Box::new(moov)));
    }
    let head = source.header(placeholder_at + 16)?.filter(|it| &it.kind == b"moov");
    let head = head.ok_or_else(|| damaged("its head is not that of a recording by HyperZoom"))?;
    let bytes = source.whole(&head, HEAD_LIMIT)?.ok_or_else(|| damaged("its head is cut off"))?;
    let (moov, _) =
        MoovBox::decode(&bytes).map_err(|error| damaged(&format!("its head is wrong: {error}")))?;
    if moov.mvex_box.is_none() {
        return Err(damaged("its head is that of a finished file, but its list of samples is missing"));
    }
    let movie = Movie::read(&moov).map_err(|error| damaged(&format!("its head is wrong: {error}")))?;
    Ok(Form::Growing(Box::new(Head { movie, placeholder_at, end: head.end() })))
}

/// A growing file, read.
pub(super) struct Growing {
    pub(super) parts: Parts,
    /// What was kept of a fragment that is not whole.
    pub(super) tail: Option<Tail>,
    /// Whether what lies behind `parts.end` is the rest of the last write, is of no use, and has to go.
    pub(super) cut: bool,
}

/// Reads the fragments behind `head`.
///
/// A file that is damaged in its middle is [`Problem::Damaged`]: a list of samples with only the part before the damage would hide
/// what lies behind it, where many players of the growing form skip the damage.
pub(super) fn read<R: Read + Seek>(source: &mut Source<R>, head: Head) -> Result<Growing, Problem> {
    let Head { movie, placeholder_at, end } = head;
    let (video, audio) = (Table::default(), Table::default());
    let timecode_at = end + 8;
    let mut parts = Parts { movie, placeholder_at, timecode_at, end, fragments: 0, video, audio };
    while let Some(header) = source.header(parts.end)? {
        let filler = matches!(&header.kind, b"free" | b"mdat") && header.size < FILLER;
        if parts.fragments == 0 && filler && header.end() <= source.len {
            parts.end = header.end();
            continue;
        }
        if &header.kind != b"moof" {
            break;
        }
        let Some((fragment, data)) = fragment(source, &header, &parts)? else { break };
        if data.end() > source.len || fragment.runs().any(|run| run.end() > data.end()) {
            break;
        }
        enter(&mut parts, &fragment);
        parts.end = data.end();
    }

    let rest = parts.end;
    if is_out_of_place(source, &parts)? || source.find_fragment(rest.saturating_add(ALIGNMENT))?.is_some() {
        let contents = Contents::of(&parts);
        return Err(Problem::Damaged(format!(
            "it is damaged at byte {rest}: the {:.1} s before that play, and more is behind it, so it is left as it is \
             (many players skip the damage)",
            contents.seconds()
        )));
    }
    let tail = match source.header(rest)?.filter(|it| matches!(&it.kind, b"free" | b"moof")) {
        Some(header) => match fragment(source, &header, &parts)? {
            Some((fragment, data)) => tail::salvage(source, &parts, &fragment, &data)?,
            None => None,
        },
        None => None,
    };
    let cut = if let Some(tail) = &tail {
        enter(&mut parts, &tail.kept);
        parts.end = tail.end;
        true
    } else {
        let torn = torn_at(source, rest)?;
        parts.end = torn.unwrap_or(source.len).next_multiple_of(ALIGNMENT);
        torn.is_some()
    };
    Ok(Growing { parts, tail, cut })
}

/// Whether a whole fragment lies behind `parts` that does not follow them, since the one before it lost a part of its list.
fn is_out_of_place<R: Read + Seek>(source: &mut Source<R>, parts: &Parts) -> Result<bool, Problem> {
    let Some(header) = source.header(parts.end)?.filter(|it| &it.kind == b"moof") else { return Ok(false) };
    let Some(bytes) = source.whole(&header, MOOF_LIMIT)? else { return Ok(false) };
    let data = source.header(header.end())?.filter(|it| &it.kind == b"mdat" && it.end() <= source.len);
    Ok(data.is_some()
        && Fragment::parse(&bytes, header.at).is_some()
        && fragment(source, &header, parts)?.is_none())
}

/// Where, from `at` on, a write begins that was cut off, or a list of samples from a conversion that was. What is whole but makes
/// no sense is left alone.
fn torn_at<R: Read + Seek>(source: &mut Source<R>, mut at: u64) -> Result<Option<u64>, Problem> {
    while at < source.len {
        let Some(header) = source.header(at)? else { return Ok((source.len - at < 16).then_some(at)) };
        // Zeros are what a file system leaves where data never came.
        if header.end() > source.len || header.kind == [0; 4] || &header.kind == b"moov" {
            return Ok(Some(at));
        }
        at = header.end();
    }
    Ok(None)
}

/// The fragment at `header` and the header of its data; nothing where it is damaged, or does not follow what there is.
fn fragment<R: Read + Seek>(
    source: &mut Source<R>,
    header: &Header,
    parts: &Parts,
) -> Result<Option<(Fragment, Header)>, Problem> {
    let Some(bytes) = source.whole(header, MOOF_LIMIT)? else { return Ok(None) };
    let Some(fragment) = Fragment::parse(&bytes, header.at) else { return Ok(None) };
    let Some(data) = source.header(header.end())?.filter(|it| &it.kind == b"mdat" && it.head == 8) else {
        return Ok(None);
    };
    let video = parts.video.len() * u64::from(TICK_DURATION);
    let audio = parts.audio.len() * AAC_FRAME as u64;
    let follows =
        |run: &Option<Run>, time, has_track| run.as_ref().is_none_or(|run| has_track && run.start == time);
    let fits = follows(&fragment.video, video, parts.movie.video.is_some())
        && follows(&fragment.audio, audio, parts.movie.audio.is_some())
        && fragment.runs().all(|run| run.at >= data.payload());
    Ok(fits.then_some((fragment, data)))
}

fn enter(parts: &mut Parts, fragment: &Fragment) {
    for (run, table) in [(&fragment.video, &mut parts.video), (&fragment.audio, &mut parts.audio)] {
        if let Some(run) = run {
            table.add(run.at, run.samples.iter().map(|(size, keyframe)| (*size as usize, *keyframe)));
        }
    }
    parts.fragments = parts.fragments.saturating_add(1);
}
