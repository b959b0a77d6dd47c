//! What the file says of itself in words: title, date, session.
//!
//! They stand in `moov/udta/meta/ilst`, the list of items that iTunes brought up and that both QuickTime and FFmpeg read in an MP4
//! (QuickTime File Format Specification, "Metadata"): four items of its own for what every player shows, and free-form
//! items (`----`) for what only we have.

use hyperzoom_timing::Timecode;
use shiguredo_mp4::boxes::{MoovBox, UnknownBox};

use super::Movie;
use super::boxes::{child, children, find, raw};

/// The type of an item's data: text in UTF-8 (QuickTime File Format Specification, "Well-known types").
const UTF8: u32 = 1;

/// Whose namespace free-form items are in: players and taggers look at no other.
const MEAN: &[u8] = b"com.apple.iTunes";

const SESSION_ID: &str = "session_id";
const SESSION_NAME: &str = "session_name";
const RECORDED_BY: &str = "recorded_by";
const STARTED_AT: &str = "started_at";
const START_TIMECODE: &str = "start_timecode";

/// Which take it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct About {
    /// The session, as in the metadata: 16 hexadecimal digits.
    pub(crate) session_id: String,
    /// The session's name, where it has one.
    pub(crate) session_name: Option<String>,
    /// The name of whose recording it is.
    pub(crate) name: String,
    /// When the first tick was, by this machine's wall clock (RFC 3339, UTC).
    pub(crate) started_at: String,
}

/// `udta/meta` with all that is known of the take.
pub(super) fn meta(movie: &Movie) -> Vec<u8> {
    let about = &movie.about;
    let timecode = Timecode::from_tick(movie.start_tick).to_string();
    let title = about.session_name.clone().unwrap_or_else(|| format!("HyperZoom {}", about.name));
    let comment = format!(
        "HyperZoom session {}, recorded by {}. The first frame is at {timecode} of the session's time.",
        about.session_id, about.name
    );
    let mut items = [
        item(*b"\xa9nam", &title),
        item(*b"\xa9day", &about.started_at),
        item(*b"\xa9cmt", &comment),
        item(*b"\xa9too", concat!("HyperZoom ", env!("CARGO_PKG_VERSION"))),
        free_form(SESSION_ID, &about.session_id),
        free_form(RECORDED_BY, &about.name),
        free_form(STARTED_AT, &about.started_at),
        free_form(START_TIMECODE, &timecode),
    ]
    .concat();
    if let Some(name) = &about.session_name {
        items.extend(free_form(SESSION_NAME, name));
    }
    // No version, no flags; nothing before and after the handler's type and maker; an empty name.
    let handler = raw(*b"hdlr", &[&[0; 8], b"mdirappl", &[0; 9]]);
    raw(*b"meta", &[&[0; 4], &handler, &raw(*b"ilst", &[&items])])
}

/// The `udta` box with these boxes in it.
pub(super) fn user_data(parts: &[Vec<u8>]) -> UnknownBox {
    child(*b"udta", parts.concat())
}

fn data(text: &str) -> Vec<u8> {
    raw(*b"data", &[&UTF8.to_be_bytes(), &[0; 4], text.as_bytes()])
}

fn item(kind: [u8; 4], text: &str) -> Vec<u8> {
    raw(kind, &[&data(text)])
}

fn free_form(name: &str, text: &str) -> Vec<u8> {
    let mean = raw(*b"mean", &[&[0; 4], MEAN]);
    let name = raw(*b"name", &[&[0; 4], name.as_bytes()]);
    raw(*b"----", &[&mean, &name, &data(text)])
}

/// What [`meta`] wrote: which take it is, and the tick of its first picture. `None` where a file does not say its timecode.
pub(super) fn read(moov: &MoovBox) -> Option<(About, u64)> {
    let user_data = moov.unknown_boxes.iter().find(|it| it.box_type.as_bytes() == b"udta")?;
    let list = find(find(&user_data.payload, *b"meta")?.get(4..)?, *b"ilst")?;
    let text = |wanted: &str| {
        children(list).filter(|(kind, _)| kind == b"----").find_map(|(_, item)| {
            let name = find(item, *b"name")?.get(4..)?;
            let text = find(item, *b"data")?.get(8..)?;
            (name == wanted.as_bytes()).then(|| String::from_utf8_lossy(text).into_owned())
        })
    };
    let timecode: Timecode = text(START_TIMECODE)?.parse().ok()?;
    let about = About {
        session_id: text(SESSION_ID).unwrap_or_default(),
        session_name: text(SESSION_NAME),
        name: text(RECORDED_BY).unwrap_or_default(),
        started_at: text(STARTED_AT).unwrap_or_default(),
    };
    Some((about, timecode.tick()))
}
