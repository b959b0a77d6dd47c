//! The sync certificate of a take: how well its time holds, as a grade with reasons.

use std::fmt::{self, Write};

use hyperzoom_timing::{Timecode, tick_at_or_before};
use serde::{Deserialize, Serialize};

use super::heard::HeardVoice;

/// How good it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Grade {
    /// As it should be.
    Green,
    /// Usable, and somebody should look at it.
    Amber,
    /// Not as it should be.
    Red,
}

impl fmt::Display for Grade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Green => "GREEN",
            Self::Amber => "AMBER",
            Self::Red => "RED",
        })
    }
}

/// A sync tone that was mixed into the take, as it was found again in the finished file.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CertifiedTone {
    /// When it begins, in nanoseconds of session time.
    pub session_ns: i64,
    /// Seconds into the take.
    pub at_seconds: f64,
    /// How much later than there it was found, in milliseconds; `null` where it was not.
    pub offset_ms: Option<f64>,
    /// How much of the sound at that place it is, from 0 to 1.
    pub correlation: Option<f64>,
}

/// A second of the microphone as it came, against the finished file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CertifiedPoint {
    /// `start`, `middle` or `end`.
    pub place: String,
    /// Seconds into the take.
    pub at_seconds: f64,
    /// How much later the file has it than the session clock, in milliseconds; `null` where it is too quiet to tell.
    pub offset_ms: Option<f64>,
    /// How alike they are, from 0 to 1.
    pub correlation: Option<f64>,
}

/// What `sync_certificate.json` says of one take.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SyncCertificate {
    /// The verdict.
    pub grade: Grade,
    /// Why it is no better; empty where it is green.
    pub reasons: Vec<String>,
    /// The sync tones.
    pub tones: Vec<CertifiedTone>,
    /// The microphone at start, middle and end.
    pub points: Vec<CertifiedPoint>,
    /// What the take's folder has of the others' voices, for `verify` to look for in theirs.
    #[serde(default)]
    pub heard: Vec<HeardVoice>,
    /// The greatest of all these offsets of tones and points, either way, in milliseconds; `null` where nothing was found.
    pub offset_ms: Option<f64>,
    /// How the points' offsets grow, in parts per million; `null` of less than two, or within ten seconds.
    pub residual_drift_ppm: Option<f64>,
    /// How far from the host's the session clock of this computer may have been, in milliseconds, at its worst in the take; 0 on the host.
    pub clock_bound_ms: f64,
    /// Places where the microphone gave nothing.
    pub gaps: u64,
    /// The length of these together, in milliseconds.
    pub silent_ms: f64,
    /// Pictures that were repeated, since the camera had no new one.
    pub frames_repeated: u64,
    /// Of these, black ones, since it had none at all.
    pub frames_black: u64,
    /// Pictures left out, since the camera is faster than the file.
    pub frames_decimated: u64,
    /// Pictures and samples that were lost; 0, or something is wrong.
    pub dropped: u64,
}

impl SyncCertificate {
    pub(crate) fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("plain data always has a JSON form");
        text.push('\n');
        text
    }

    /// One line for a person: the grade, and what it rests on or why it is no better.
    #[must_use]
    pub fn line(&self) -> String {
        let mut text = format!("{}: ", self.grade);
        if self.grade == Grade::Green {
            let found = self.tones.iter().filter(|tone| tone.offset_ms.is_some()).count();
            let offset = self.offset_ms.unwrap_or(0.0).abs();
            write!(text, "{found} of {} sync tones, within {offset:.3} ms", self.tones.len())
                .expect("a string takes any text");
            if let Some(ppm) = self.residual_drift_ppm {
                write!(text, ", drift {ppm:+.2} ppm").expect("a string takes any text");
            }
        } else {
            text.push_str(&self.reasons.join("; "));
        }
        write!(text, "; clock within {:.2} ms", self.clock_bound_ms).expect("a string takes any text");
        text
    }

    /// The certificate as lines of `sync_timecodes.txt`.
    pub(crate) fn to_text(&self) -> String {
        let mut text = format!("\nSync certificate        {}\n", self.line());
        let mut line = |key: &str, value: String| {
            writeln!(text, "  {key:<22}{value}").expect("a string takes any text");
        };
        let offset = |ms: Option<f64>| ms.map_or_else(|| "not found".to_owned(), |ms| format!("{ms:+.3} ms"));
        for tone in &self.tones {
            line("Sync tone", format!("{} at {:.3} s", offset(tone.offset_ms), tone.at_seconds));
        }
        for point in &self.points {
            let name = format!("Microphone, {}", point.place);
            line(&name, format!("{} at {:.3} s", offset(point.offset_ms), point.at_seconds));
        }
        for voice in &self.heard {
            let name = format!("Heard {}, {}", voice.name, voice.place);
            let timecode = Timecode::from_tick(tick_at_or_before(voice.from_ns).unwrap_or(0));
            line(
                &name,
                format!("{:.1} s from {timecode} on, at {:.1} dBFS", voice.seconds(), voice.level_dbfs),
            );
        }
        if let Some(ppm) = self.residual_drift_ppm {
            line("Residual drift", format!("{ppm:+.2} ppm"));
        }
        line("Clock error", format!("at most {:.3} ms", self.clock_bound_ms));
        line("Gaps", format!("{}, {:.1} ms together", self.gaps, self.silent_ms));
        line(
            "Pictures",
            format!(
                "{} repeated ({} black), {} decimated; lost: {}",
                self.frames_repeated, self.frames_black, self.frames_decimated, self.dropped
            ),
        );
        text
    }
}
