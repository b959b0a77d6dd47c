//! What was heard of the others, in the take's folder: `heard.flac`, the pieces one after the other, and `heard.json`, whose they are and
//! when they were said. It is what one computer can say of another's recording.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use hyperzoom_media::{HeardPiece, SAMPLE_RATE};
use serde::{Deserialize, Serialize};

use crate::flac::{read_whole, whole_file};
use crate::folder::{HEARD, HEARD_INDEX, write_whole};
use crate::metadata::Participant;

/// Pieces that a folder has at most: three of each of the others, whose numbers are given anew when they leave.
const MOST_PIECES: usize = 64;
/// A piece's samples at most: ten seconds.
const MOST_SAMPLES: u64 = 10 * SAMPLE_RATE as u64;
/// A piece of fewer samples compares to nothing.
const LEAST_SAMPLES: u64 = SAMPLE_RATE as u64 / 10;
/// The longest index that is read, in bytes.
const INDEX_MOST: u64 = 1 << 20;

/// A part of another participant's voice, as it came over the network, that the take keeps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HeardVoice {
    /// The speaker's id in the session.
    pub participant: u8,
    /// The speaker's name; empty where nobody knows it.
    #[serde(default)]
    pub name: String,
    /// `start`, `middle` or `end`.
    pub place: String,
    /// When the speaker's microphone captured the first sample, in nanoseconds of session time, as the speaker's packets say.
    pub from_ns: i64,
    /// The same of the last.
    pub to_ns: i64,
    /// The first of its samples in `heard.flac`, at 48 kHz.
    pub first_sample: u64,
    /// How many it has.
    pub samples: u64,
    /// How loud it is: the root of its mean square, in dB of full scale.
    pub level_dbfs: f64,
}

impl HeardVoice {
    /// Its length, in seconds.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.to_ns.saturating_sub(self.from_ns) as f64 / 1e9
    }
}

/// `heard.json`.
#[derive(Debug, Serialize, Deserialize)]
struct Index {
    session_id: String,
    pieces: Vec<HeardVoice>,
}

/// Writes both files; returns what is in them. Nothing is written where nothing was heard.
///
/// # Errors
/// What the encoder or the disk said.
pub(crate) fn keep(
    folder: &Path,
    session_id: &str,
    participants: &[Participant],
    heard: &[HeardPiece],
) -> io::Result<Vec<HeardVoice>> {
    let (mut pieces, mut samples) = (Vec::new(), Vec::new());
    for piece in heard.iter().take(MOST_PIECES) {
        let of = participants.iter().filter(|it| it.id == piece.speaker).map(|it| it.name.as_str());
        let power = piece.samples.iter().map(|sample| f64::from(sample * sample)).sum::<f64>();
        let level = 10.0 * (power / piece.samples.len().max(1) as f64).max(1e-12).log10();
        pieces.push(HeardVoice {
            participant: piece.speaker,
            name: of.collect::<Vec<_>>().join(", "),
            place: piece.place.to_owned(),
            from_ns: piece.from_ns,
            to_ns: piece.to_ns,
            first_sample: samples.len() as u64,
            samples: piece.samples.len() as u64,
            level_dbfs: (level * 10.0).round() / 10.0,
        });
        samples.extend_from_slice(&piece.samples);
    }
    if pieces.is_empty() {
        return Ok(pieces);
    }
    let title = "Parts of what was heard of the others";
    let tags = [
        ("TITLE", title.to_owned()),
        ("SESSION_ID", session_id.to_owned()),
        ("DESCRIPTION", format!("{HEARD_INDEX} says whose voice it is, and when it was said")),
    ];
    let file = whole_file(&samples, &tags).map_err(io::Error::other)?;
    write_whole(folder, HEARD, &file)?;
    let index = Index { session_id: session_id.to_owned(), pieces };
    let mut text = serde_json::to_string_pretty(&index).map_err(io::Error::other)?;
    text.push('\n');
    // After what it speaks of.
    write_whole(folder, HEARD_INDEX, text.as_bytes())?;
    Ok(index.pieces)
}

/// A piece with its samples.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Clip {
    pub(super) voice: HeardVoice,
    pub(super) samples: Vec<f32>,
}

/// Reads what was heard, in the folder of a take of that session. Nothing where there is none: nobody spoke, the take was cut off, or an
/// older version made it.
///
/// # Errors
/// A sentence on what is wrong with it.
pub(super) fn load(folder: &Path, session_id: &str) -> Result<Vec<Clip>, String> {
    let mut json = Vec::new();
    let read =
        File::open(folder.join(HEARD_INDEX)).and_then(|file| file.take(INDEX_MOST).read_to_end(&mut json));
    match read {
        Ok(_) => (),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(format!("{HEARD_INDEX} cannot be read: {error}")),
    }
    let index: Index =
        serde_json::from_slice(&json).map_err(|error| format!("{HEARD_INDEX} is damaged: {error}"))?;
    if index.session_id != session_id {
        return Err(format!("{HEARD_INDEX} is of another session, {}", index.session_id));
    }
    if index.pieces.len() > MOST_PIECES || !index.pieces.iter().all(is_sound) {
        return Err(format!("{HEARD_INDEX} is damaged: it has pieces that cannot be"));
    }
    let samples = read_whole(&folder.join(HEARD), MOST_PIECES as u64 * MOST_SAMPLES);
    let samples = samples.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => format!("{HEARD} is missing"),
        _ => format!("{HEARD} {error}"),
    })?;
    let clip = |voice: HeardVoice| {
        let from = usize::try_from(voice.first_sample).ok()?;
        let samples = samples.get(from..from.checked_add(voice.samples as usize)?)?.to_vec();
        Some(Clip { voice, samples })
    };
    let clips: Option<Vec<Clip>> = index.pieces.into_iter().map(clip).collect();
    clips.ok_or_else(|| format!("{HEARD} is shorter than {HEARD_INDEX} says"))
}

/// Whether a piece is as long as it can be, on the session clock as well: no crystal is off by a hundredth.
fn is_sound(piece: &HeardVoice) -> bool {
    let ns = piece.to_ns.checked_sub(piece.from_ns).filter(|_| piece.from_ns >= 0);
    (LEAST_SAMPLES..=MOST_SAMPLES).contains(&piece.samples)
        && ns.is_some_and(|ns| {
            let expected = (piece.samples - 1) as f64 / f64::from(SAMPLE_RATE) * 1e9;
            (ns as f64 - expected).abs() < 0.01 * expected
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(speaker: u8, from_ns: i64) -> HeardPiece {
        let samples = (0..48_000).map(|n| (n % 100) as f32 / 256.0 * f32::from(speaker)).collect();
        HeardPiece { speaker, place: "start", samples, from_ns, to_ns: from_ns + 999_979_167 }
    }

    #[test]
    fn what_was_kept_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(load(dir.path(), "7").unwrap(), []);
        assert_eq!(keep(dir.path(), "7", &[], &[]).unwrap(), []);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        let people = [Participant::new(1, "Ada"), Participant::new(2, "Bob")];
        let heard = [piece(2, 5_000_000_000), piece(1, 9_000_000_000)];
        let kept = keep(dir.path(), "7", &people, &heard).unwrap();
        assert_eq!((kept[0].name.as_str(), kept[1].name.as_str()), ("Bob", "Ada"));
        assert_eq!((kept[1].first_sample, kept[1].samples, kept[1].level_dbfs), (48_000, 48_000, -13.0));
        let clips = load(dir.path(), "7").unwrap();
        assert_eq!(clips.iter().map(|clip| clip.voice.clone()).collect::<Vec<_>>(), kept);
        for (clip, piece) in clips.iter().zip(&heard) {
            assert_eq!(clip.samples, piece.samples);
        }
    }

    #[test]
    fn what_is_damaged_missing_or_of_another_session_is_said() {
        let dir = tempfile::tempdir().unwrap();
        keep(dir.path(), "7", &[], &[piece(1, 5_000_000_000)]).unwrap();
        let said = |session: &str| load(dir.path(), session).unwrap_err();
        assert!(said("8").contains("another session"));
        let index = std::fs::read_to_string(dir.path().join(HEARD_INDEX)).unwrap();
        for (is, becomes, words) in [
            ("\"samples\": 48000", "\"samples\": 4800000000", "cannot be"),
            ("\"first_sample\": 0", "\"first_sample\": 1", "shorter"),
            ("\"first_sample\": 0", "\"first_sample\": 18446744073709551615", "shorter"),
            ("\"from_ns\": 5000000000", "\"from_ns\": -9223372036854775808", "cannot be"),
            ("\"from_ns\": 5000000000", "\"from_ns\": \"five\"", "damaged"),
        ] {
            assert!(index.contains(is), "{is} is not in {index}");
            std::fs::write(dir.path().join(HEARD_INDEX), index.replace(is, becomes)).unwrap();
            assert!(said("7").contains(words), "{becomes}: {}", said("7"));
        }
        std::fs::write(dir.path().join(HEARD_INDEX), &index).unwrap();
        let sound = std::fs::read(dir.path().join(HEARD)).unwrap();
        std::fs::write(dir.path().join(HEARD), &sound[..sound.len() / 2]).unwrap();
        assert!(said("7").contains("is damaged"));
        std::fs::remove_file(dir.path().join(HEARD)).unwrap();
        assert!(said("7").contains("is missing"));
    }
}
