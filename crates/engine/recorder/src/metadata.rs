//! What stands beside the recording: `session_metadata.json` for programs, `sync_timecodes.txt` for people.

use std::fmt::Write;

use hyperzoom_timing::{Timecode, tick_time_ns};
use jiff::{Timestamp, Unit};
use serde::{Deserialize, Serialize};

use crate::encode::VideoFormat;
use crate::ledger::{AudioCounts, Gap, PictureGap, VideoCounts};
use crate::marker::Marker;
use crate::pressure::PressureReport;
use crate::tone::SyncTone;

/// Somebody in the session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Participant {
    /// The participant's id in the session.
    pub id: u8,
    /// The name shown to the others.
    pub name: String,
    /// The participant's clock less the host's, in milliseconds; `null` where it is not known on this machine.
    pub clock_offset_ms: Option<i64>,
}

impl Participant {
    /// Somebody whose clock's offset is not known.
    #[must_use]
    pub fn new(id: u8, name: impl Into<String>) -> Self {
        Self { id, name: name.into(), clock_offset_ms: None }
    }
}

/// The contents of `session_metadata.json`: the fields of spec §7, and what we know beyond.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SessionMetadata {
    /// The session, the same in everybody's take: 16 hexadecimal digits.
    pub session_id: String,
    /// When the take's first tick was, by this machine's wall clock.
    pub started_at_utc: Timestamp,
    /// The take's length; 0 until it has ended.
    pub duration_seconds: f64,
    /// Everybody who was in the session.
    pub participants: Vec<Participant>,
    /// The recording beside this file.
    pub recording: RecordingMetadata,
    /// Which of the participants this is the recording of.
    pub recorded_by: u8,
    /// Timecode of the first picture: session time on the grid of 1/30 s.
    pub start_timecode: String,
    /// The tick of the first picture, counted in 1/30 s from the session's start.
    pub start_tick: u64,
    /// Moments that somebody gave a name, in the order in which they were set.
    #[serde(default)]
    pub markers: Vec<Marker>,
    /// Sync tones in the sound.
    #[serde(default)]
    pub sync_tones: Vec<SyncTone>,
    /// Whether the take ended well. `false` while it runs, and ever after where the program was cut off.
    pub complete: bool,
    /// Whether the take was cut off and its file finished afterwards, from what was on the disk.
    #[serde(default)]
    pub recovered: bool,
    /// What went wrong, where something did.
    pub error: Option<String>,
}

/// What the recording consists of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecordingMetadata {
    /// Codec, profile and level; `null` without a camera.
    pub video_codec: Option<String>,
    /// `WIDTHxHEIGHT`.
    pub video_resolution: Option<String>,
    /// Pictures a second.
    pub video_fps: Option<u32>,
    /// The bitrate aimed at.
    pub video_bitrate_kbps: Option<u32>,
    /// Codec and profile; `null` without a microphone.
    pub audio_codec: Option<String>,
    /// Samples a second.
    pub audio_sample_rate: Option<u32>,
    /// The bitrate.
    pub audio_bitrate_kbps: Option<u32>,
    /// `fMP4` while the take runs, and where that form was its last; `MP4` once it is plain.
    pub container: String,
    /// Pictures that the camera captured.
    pub total_frames_captured: u64,
    /// Pictures that we lost: 0, or something was wrong.
    pub total_frames_dropped: u64,
    /// What became of the pictures.
    pub video: VideoCounts,
    /// Where the pictures are black though they should not be, in order.
    #[serde(default)]
    pub picture_gaps: Vec<PictureGap>,
    /// What the sound consists of.
    pub audio: AudioCounts,
    /// Where the sound is silent though it should not be, in order: their lengths are the `silence` and the `dropped` of `audio`.
    #[serde(default)]
    pub gaps: Vec<Gap>,
    /// How much faster the microphone's clock ran than the session's, in parts per million, over the last minute; `null` where that is
    /// not known. The sound in the file is free of it.
    pub microphone_drift_ppm: Option<f64>,
    /// How far the recording was behind, and what was done about it.
    #[serde(default)]
    pub pressure: PressureReport,
    /// Which encoder made the pictures.
    pub video_encoder: Option<String>,
    /// The microphone as it came, in a file of its own; `null` where none was asked for.
    #[serde(default)]
    pub microphone_flac: Option<MicrophoneFlac>,
}

/// The file that has the microphone's samples untouched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MicrophoneFlac {
    /// Its name in the take's folder.
    pub file: String,
    /// Bits of a sample.
    pub bits_per_sample: u32,
    /// Its samples; 0 until the take has ended.
    pub samples: u64,
}

impl MicrophoneFlac {
    pub(crate) fn new() -> Self {
        Self { file: crate::folder::MICROPHONE.to_owned(), bits_per_sample: crate::flac::BITS, samples: 0 }
    }
}

impl RecordingMetadata {
    pub(crate) fn new(video: Option<(VideoFormat, u8, String)>, audio: bool) -> Self {
        let format = video.as_ref().map(|(format, ..)| *format);
        Self {
            video_codec: video.as_ref().map(|(_, level, _)| Self::video_codec(*level)),
            video_resolution: format.map(|it| format!("{}x{}", it.shape.width, it.shape.height)),
            video_fps: format.map(|_| hyperzoom_media::MASTER_FPS),
            video_bitrate_kbps: format.map(|it| it.bitrate_kbps),
            audio_codec: audio.then(|| "AAC-LC".to_owned()),
            audio_sample_rate: audio.then_some(hyperzoom_media::SAMPLE_RATE),
            audio_bitrate_kbps: audio.then_some(crate::encode::AAC_BITRATE / 1000),
            container: "fMP4".to_owned(),
            total_frames_captured: 0,
            total_frames_dropped: 0,
            video: VideoCounts::default(),
            picture_gaps: Vec::new(),
            audio: AudioCounts::default(),
            gaps: Vec::new(),
            microphone_drift_ppm: None,
            pressure: PressureReport::default(),
            video_encoder: video.map(|(_, _, name)| name),
            microphone_flac: None,
        }
    }

    /// What `video_codec` says of a stream of this `level_idc` (ITU-T H.264 §A.3).
    pub(crate) fn video_codec(level: u8) -> String {
        format!("H.264 High@{}.{}", level / 10, level % 10)
    }
}

impl SessionMetadata {
    pub(crate) fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("plain data always has a JSON form");
        text.push('\n');
        text
    }

    /// The contents of `sync_timecodes.txt`.
    pub(crate) fn to_timecodes(&self) -> String {
        let mut text = String::new();
        let name = self.participants.iter().find(|it| it.id == self.recorded_by).map_or("", |it| &it.name);
        let mut line = |key: &str, value: &str| {
            writeln!(text, "{key:<24}{value}").expect("a string takes any text");
        };
        line("HyperZoom session", &self.session_id);
        line("Recorded by", &format!("{name} (participant {})", self.recorded_by));
        let into = std::time::Duration::from_nanos(tick_time_ns(self.start_tick).unsigned_abs());
        if let Some(began) =
            self.started_at_utc.checked_sub(into).ok().and_then(|it| it.round(Unit::Millisecond).ok())
        {
            line("Session began (UTC)", &began.to_string());
        }
        line("Started (UTC)", &self.started_at_utc.to_string());
        line("First frame", &format!("{} at 30 fps, non-drop, session time", self.start_timecode));
        let frames = self.recording.video.written.max((self.duration_seconds * 30.0).round() as u64);
        if (self.complete || self.recovered) && frames > 0 {
            let last = Timecode::from_tick(self.start_tick + frames - 1);
            line("Last frame", &format!("{last} ({frames} frames, {:.3} s)", self.duration_seconds));
        }
        if self.recovered {
            line("Recovered", "the program was cut off; this is what was on the disk by then");
        }
        self.list_participants(&mut text);
        self.list_tones(&mut text);
        if !self.markers.is_empty() {
            writeln!(text, "\n{:<16}{:<16}Marker", "Timecode", "In the take")
                .expect("a string takes any text");
        }
        for marker in &self.markers {
            let into = in_the_take(marker.seconds_into(self.start_tick));
            writeln!(text, "{:<16}{into:<16}{}", marker.timecode(), marker.name)
                .expect("a string takes any text");
        }
        text.push_str(
            "\nAll recordings of this session count the same timecode. To line them up, place each one so that its\n\
             first frame lies at its timecode; they stay in time to their ends.\n",
        );
        text
    }
}

impl SessionMetadata {
    fn list_participants(&self, text: &mut String) {
        let mut line = |first: &str, second: &str, third: &str| {
            let row = format!("{first:<16}{second:<16}{third}");
            writeln!(text, "{}", row.trim_end()).expect("a string takes any text");
        };
        line("", "", "");
        line("Participant", "Clock offset", "Name");
        for it in &self.participants {
            let offset = it.clock_offset_ms.map_or_else(|| "not known".into(), |ms| format!("{ms} ms"));
            line(&it.id.to_string(), &offset, &it.name);
        }
    }

    fn list_tones(&self, text: &mut String) {
        if self.sync_tones.is_empty() {
            return;
        }
        writeln!(text, "\n{:<16}{:<16}Sync tone", "Timecode", "In the take")
            .expect("a string takes any text");
        for tone in &self.sync_tones {
            let into = in_the_take(tone.sample as f64 / f64::from(hyperzoom_media::SAMPLE_RATE));
            writeln!(
                text,
                "{:<16}{into:<16}1 kHz, 200 ms, at this moment in every recording",
                tone.timecode().to_string()
            )
            .expect("a string takes any text");
        }
    }
}

/// A time in the take as a person writes it: `0:07.250`, `1:02:03.000`.
fn in_the_take(seconds: f64) -> String {
    let ms = (seconds * 1000.0).round() as u64;
    let (hours, minutes, seconds, ms) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60, ms % 1000);
    match hours {
        0 => format!("{minutes}:{seconds:02}.{ms:03}"),
        _ => format!("{hours}:{minutes:02}:{seconds:02}.{ms:03}"),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The metadata of a take that has just begun.
    pub(crate) fn metadata() -> SessionMetadata {
        SessionMetadata {
            session_id: "00000000a1b2c3d4".to_owned(),
            started_at_utc: "2026-02-27T19:15:00.250Z".parse().unwrap(),
            duration_seconds: 0.0,
            participants: vec![Participant::new(1, "Bob")],
            recording: RecordingMetadata::new(None, true),
            recorded_by: 1,
            start_timecode: Timecode::from_tick(90).to_string(),
            start_tick: 90,
            markers: vec![],
            sync_tones: vec![],
            complete: false,
            recovered: false,
            error: None,
        }
    }

    #[test]
    fn markers_are_a_table_for_people() {
        let mut metadata = metadata();
        assert!(!metadata.to_timecodes().contains("Marker"));
        metadata.markers = vec![
            Marker { name: "Intro".into(), tick: 105, session_ns: hyperzoom_timing::tick_time_ns(105) },
            Marker { name: "Ä late one".into(), tick: 108_090, session_ns: 3_603_000_000_000 },
        ];
        let text = metadata.to_timecodes();
        for line in [
            "Timecode        In the take     Marker",
            "00:00:03:15     0:00.500        Intro",
            "01:00:03:00     1:00:00.000     Ä late one",
        ] {
            assert!(text.lines().any(|it| it == line), "{line:?} is not in\n{text}");
        }
    }

    #[test]
    fn tones_participants_and_the_sessions_beginning_are_for_people() {
        let mut metadata = metadata();
        metadata.sync_tones = vec![SyncTone { session_ns: 4_000_000_000, sample: 48_000 }];
        metadata.participants[0].clock_offset_ms = Some(-12_340);
        let text = metadata.to_timecodes();
        for line in [
            "Session began (UTC)     2026-02-27T19:14:57.25Z",
            "Participant     Clock offset    Name",
            "1               -12340 ms       Bob",
            "00:00:04:00     0:01.000        1 kHz, 200 ms, at this moment in every recording",
        ] {
            assert!(text.lines().any(|it| it == line), "{line:?} is not in\n{text}");
        }
    }

    #[test]
    fn metadata_of_older_takes_is_read() {
        let mut value = serde_json::to_value(metadata()).unwrap();
        let fields = value.as_object_mut().unwrap();
        fields.remove("markers").unwrap();
        fields.remove("sync_tones").unwrap();
        fields.remove("recovered").unwrap();
        assert_eq!(serde_json::from_value::<SessionMetadata>(value).unwrap(), metadata());
    }
}
