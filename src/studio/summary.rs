//! What a call came to, as its last screen says it.

use std::path::Path;

use hyperzoom_media::I420;
use hyperzoom_recorder::{Grade as Verdict, SyncCertificate};
use hyperzoom_ui_plugin::model::{Grade, SummaryView, SyncRow};

use super::on_air::lost;
use super::preview::lines;
use super::words::sentence;
use crate::call::{CallReport, RecordingReport};

/// The last screen of a call of this name, whose camera had pictures of this shape.
pub(super) fn of(report: &CallReport, session: Option<&str>, shape: Option<I420>) -> SummaryView {
    let name = session.unwrap_or("Your recording");
    let base = SummaryView { seconds: report.duration_seconds, rows: rows(report), ..SummaryView::default() };
    let Some(recording) = &report.recording else {
        let error = report.recording_error.as_deref().map(sentence);
        let title = if error.is_some() { "Nothing was recorded" } else { "The call is over" };
        return SummaryView {
            title: title.into(),
            bad: error.is_some(),
            lost: if error.is_some() { "all of it" } else { "nothing" }.into(),
            error,
            sync_title: "Nothing to bring into sync".into(),
            ..base
        };
    };
    let what_is_lost = lost(recording.frames_dropped, recording.samples_dropped);
    let error = report
        .recording_error
        .as_deref()
        .or(recording.error.as_deref())
        .map(|error| format!("{} What was recorded until then is safe, and plays.", sentence(error)))
        .or_else(|| {
            let black = |error: &String| format!("{} The picture is black from there on.", sentence(error));
            report.camera_error.as_ref().map(black)
        });
    let title = if report.recording_error.is_some() || recording.error.is_some() {
        format!("{name} ended early")
    } else if what_is_lost.is_some() {
        format!("{name} has losses")
    } else if !recording.complete {
        format!("{name} was not finished")
    } else {
        format!("{name} is safe")
    };
    let (grade, sync_title, sync_text) = sync(recording);
    SummaryView {
        title,
        bad: error.is_some() || what_is_lost.is_some() || !recording.complete,
        folder: Some(recording.folder.clone()),
        seconds: recording.duration_seconds,
        picture: shape.filter(|_| recording.frames_written > 0).map(|shape| format!("{} 30", lines(shape))),
        bytes: size(&recording.folder).unwrap_or(recording.bytes),
        lost: what_is_lost.unwrap_or_else(|| "nothing".into()),
        frames: (recording.frames_written > 0).then_some([
            recording.frames_captured,
            recording.frames_duplicated,
            recording.frames_decimated,
            recording.frames_dropped,
        ]),
        grade,
        sync_title,
        sync_text,
        error,
        ..base
    }
}

/// All files of a take, in bytes.
fn size(folder: &Path) -> Option<u64> {
    let files = std::fs::read_dir(folder).ok()?.flatten();
    Some(
        files
            .filter_map(|file| file.metadata().ok())
            .filter(std::fs::Metadata::is_file)
            .map(|it| it.len())
            .sum(),
    )
}

/// Ourselves, as the certificate has it, and whom we heard: what their takes are like only theirs say.
fn rows(report: &CallReport) -> Vec<SyncRow> {
    let recording = report.recording.as_ref();
    let certificate = recording.and_then(|recording| recording.certificate.as_ref());
    let me = SyncRow {
        name: report.name.clone(),
        offset_ms: certificate.and_then(|it| it.offset_ms),
        drift_ppm: certificate.and_then(|it| it.residual_drift_ppm),
        repeated: recording.filter(|it| it.frames_written > 0).map(|it| it.frames_duplicated),
        gaps: recording.map(|it| it.gaps),
    };
    let others = report.peers.iter().map(|peer| SyncRow { name: peer.name.clone(), ..SyncRow::default() });
    std::iter::once(me).chain(others).collect()
}

/// How well a take is in sync, what that is called, and what to do.
fn sync(recording: &RecordingReport) -> (Grade, String, String) {
    let Some(certificate) = &recording.certificate else {
        return (
            Grade::Unknown,
            "The sync was not checked".into(),
            "Put the files at zero on the timeline, and look whether they hold.".into(),
        );
    };
    let reasons = || sentence(&certificate.reasons.join("; "));
    match certificate.grade {
        Verdict::Green => (Grade::Green, in_sync(certificate), well(recording, certificate)),
        Verdict::Amber => (
            Grade::Amber,
            "Usable, and worth a look".into(),
            format!("Put the files at zero on the timeline, and look whether they hold. {}", reasons()),
        ),
        Verdict::Red => (Grade::Red, "Not in sync".into(), reasons()),
    }
}

fn in_sync(certificate: &SyncCertificate) -> String {
    let within = certificate.offset_ms.unwrap_or(0.0).abs() + certificate.clock_bound_ms;
    // Less than a tenth is no news to anybody who cuts.
    format!("In sync to {:.1} ms, start to end", within.max(0.1))
}

fn well(recording: &RecordingReport, certificate: &SyncCertificate) -> String {
    let mut text = "Put everybody's files at zero on the timeline.".to_owned();
    if let Some(ppm) = certificate.residual_drift_ppm {
        // No minus before a zero.
        text.push_str(&format!(" Residual drift {:.1} ppm.", (ppm * 10.0).round() / 10.0 + 0.0));
    }
    match recording.gaps {
        0 => {}
        1 => text.push_str(&format!(
            " One gap of {:.0} ms in your microphone, filled with silence.",
            certificate.silent_ms
        )),
        gaps => text.push_str(&format!(
            " {gaps} gaps in your microphone, {:.0} ms together, filled with silence.",
            certificate.silent_ms
        )),
    }
    text
}

#[cfg(test)]
mod tests {
    use hyperzoom_audio::SendLatency;
    use hyperzoom_recorder::{AudioCounts, PressureReport, TakeReport, VideoCounts};

    use super::*;
    use crate::call::SoundReport;

    const SHAPE: I420 = I420 { width: 1280, height: 720 };

    fn certificate(grade: Verdict) -> SyncCertificate {
        SyncCertificate {
            grade,
            reasons: vec!["no sync tone was found".into()],
            tones: Vec::new(),
            points: Vec::new(),
            heard: Vec::new(),
            offset_ms: Some(-0.2),
            residual_drift_ppm: Some(-0.04),
            clock_bound_ms: 0.2,
            gaps: 1,
            silent_ms: 12.0,
            frames_repeated: 2,
            frames_black: 0,
            frames_decimated: 0,
            dropped: 0,
        }
    }

    fn take(folder: &Path) -> TakeReport {
        TakeReport {
            folder: folder.to_owned(),
            file: folder.join("local_recording.mp4"),
            start_tick: 0,
            ticks: 300,
            video: VideoCounts { captured: 298, written: 300, duplicated: 2, ..VideoCounts::default() },
            audio: AudioCounts { written: 480_000, gaps: 1, ..AudioCounts::default() },
            microphone_drift_ppm: None,
            flac_samples: None,
            bytes: 5,
            slowest_picture_ms: 1.0,
            pressure: PressureReport::default(),
            certificate: Some(certificate(Verdict::Green)),
            complete: true,
            error: None,
        }
    }

    fn report(recording: Option<&TakeReport>) -> CallReport {
        CallReport {
            name: "Ada".into(),
            id: Some(0),
            session_id: None,
            duration_seconds: 10.0,
            external_address: None,
            sound: SoundReport {
                mic: None,
                speaker: None,
                frames_sent: 0,
                live_samples_lost: 0,
                latency: SendLatency::default().into(),
            },
            peers: Vec::new(),
            live_video: None,
            recording: recording.map(RecordingReport::from),
            recording_error: None,
            camera_error: None,
        }
    }

    #[test]
    fn a_take_that_went_well_is_safe() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("local_recording.mp4"), [0; 700]).unwrap();
        std::fs::write(folder.path().join("microphone.flac"), [0; 300]).unwrap();
        let it = of(&report(Some(&take(folder.path()))), Some("Episode 41"), Some(SHAPE));
        assert_eq!((it.title.as_str(), it.bad, it.lost.as_str()), ("Episode 41 is safe", false, "nothing"));
        assert_eq!((it.picture.as_deref(), it.bytes, it.seconds), (Some("720p 30"), 1000, 10.0));
        assert_eq!((it.grade, it.sync_title.as_str()), (Grade::Green, "In sync to 0.4 ms, start to end"));
        assert_eq!(
            it.sync_text,
            "Put everybody's files at zero on the timeline. Residual drift 0.0 ppm. One gap of 12 ms in your microphone, filled with silence."
        );
        assert_eq!(
            (it.rows[0].repeated, it.rows[0].gaps, it.frames),
            (Some(2), Some(1), Some([298, 2, 0, 0]))
        );
    }

    #[test]
    fn what_went_wrong_is_said_with_what_is_safe() {
        let folder = tempfile::tempdir().unwrap();
        let full =
            TakeReport { error: Some("the disk is full".into()), complete: false, ..take(folder.path()) };
        let it = of(&report(Some(&full)), None, Some(SHAPE));
        assert_eq!((it.title.as_str(), it.bad), ("Your recording ended early", true));
        assert_eq!(it.error.unwrap(), "The disk is full. What was recorded until then is safe, and plays.");
        let lossy = VideoCounts { dropped: 3, ..take(folder.path()).video };
        let it = of(&report(Some(&TakeReport { video: lossy, ..take(folder.path()) })), None, Some(SHAPE));
        assert_eq!(
            (it.title.as_str(), it.lost.as_str(), it.bad),
            ("Your recording has losses", "3 pictures", true)
        );
    }

    #[test]
    fn a_call_without_a_recording_says_whether_one_was_wanted() {
        let it = of(&report(None), None, None);
        assert_eq!((it.title.as_str(), it.bad, it.folder), ("The call is over", false, None));
        let refused = CallReport { recording_error: Some("cannot record into /x".into()), ..report(None) };
        let it = of(&refused, None, None);
        assert_eq!((it.title.as_str(), it.bad), ("Nothing was recorded", true));
    }

    #[test]
    fn a_doubtful_sync_says_why() {
        let folder = tempfile::tempdir().unwrap();
        let of_grade = |grade: Option<Verdict>| {
            let it = TakeReport { certificate: grade.map(certificate), ..take(folder.path()) };
            let it = of(&report(Some(&it)), None, None);
            (it.grade, it.sync_text)
        };
        let (grade, text) = of_grade(Some(Verdict::Amber));
        assert!(grade == Grade::Amber && text.ends_with("No sync tone was found."), "{text}");
        assert_eq!(of_grade(Some(Verdict::Red)).0, Grade::Red);
        assert_eq!(of_grade(None).0, Grade::Unknown);
    }
}
