//! The recording, as people see it while it runs.

use bevy_ecs::world::World;
use hyperzoom_media::{MASTER_FPS, SAMPLE_RATE};
use hyperzoom_record_plugin::{Take, TakeState};
use hyperzoom_recorder::TakeProgress;
use hyperzoom_ui_plugin::model::RecView;

use super::super::words::sentence;
use crate::call::{Call, Phase};

/// How it stands. `failure` is what the recorder said when it ended before its time.
pub(super) fn view(world: &mut World, failure: Option<&str>) -> RecView {
    let call = world.resource::<Call>();
    let phase = call.phase;
    if call.options.folder.is_none() {
        return RecView::Off;
    }
    if let Some(error) = call.recording_error.as_deref().or(failure) {
        return RecView::Failed(sentence(error));
    }
    let mut take = world.resource_mut::<Take>();
    let is_done = matches!(take.state(), TakeState::Done(_));
    match (phase, take.progress()) {
        (Phase::Ending { .. } | Phase::Over, Some(_)) if !is_done => RecView::Finishing,
        (_, None) => RecView::Waiting,
        (_, Some(progress)) if progress.failed => {
            RecView::Failed("The recording has ended; what was recorded until now plays.".into())
        }
        (_, Some(progress)) => running(&progress),
    }
}

fn running(progress: &TakeProgress) -> RecView {
    let seconds = |count: u64, a_second: u32| count / u64::from(a_second);
    let pictures = seconds(progress.video.written, MASTER_FPS);
    RecView::On {
        seconds: pictures.max(seconds(progress.audio.written, SAMPLE_RATE)),
        bytes: progress.bytes,
        repeated: progress.video.duplicated,
        gaps: progress.audio.gaps,
        lost: lost(progress.video.dropped, progress.audio.dropped)
            .map(|what| format!("{what} lost for good. Close other programs.")),
    }
}

/// What was lost, in words: "3 pictures and 0.20 s of sound".
pub(in super::super) fn lost(pictures: u64, samples: u64) -> Option<String> {
    let pictures =
        (pictures > 0).then(|| format!("{pictures} {}", if pictures == 1 { "picture" } else { "pictures" }));
    let sound = (samples > 0).then(|| format!("{:.2} s of sound", samples as f64 / f64::from(SAMPLE_RATE)));
    match (pictures, sound) {
        (Some(pictures), Some(sound)) => Some(format!("{pictures} and {sound}")),
        (pictures, sound) => pictures.or(sound),
    }
}

#[cfg(test)]
mod tests {
    use hyperzoom_recorder::{AudioCounts, VideoCounts};

    use super::*;

    #[test]
    fn a_running_take_tells_how_long_it_is_and_what_is_missing() {
        let video = VideoCounts { written: 3_000, duplicated: 4, ..VideoCounts::default() };
        let audio = AudioCounts { written: 4_752_000, gaps: 1, ..AudioCounts::default() };
        let progress = TakeProgress { video, audio, bytes: 5, ..TakeProgress::default() };
        let well = RecView::On { seconds: 100, bytes: 5, repeated: 4, gaps: 1, lost: None };
        assert_eq!(running(&progress), well);
        let video = VideoCounts { dropped: 1, ..video };
        let RecView::On { lost, .. } = running(&TakeProgress { video, ..progress }) else {
            panic!("it runs")
        };
        assert_eq!(lost.unwrap(), "1 picture lost for good. Close other programs.");
    }

    #[test]
    fn what_is_lost_is_counted_in_words() {
        assert_eq!(lost(0, 0), None);
        assert_eq!(lost(3, 9_600).unwrap(), "3 pictures and 0.20 s of sound");
        assert_eq!(lost(0, 480).unwrap(), "0.01 s of sound");
    }
}
