//! What each participant has heard of the other says where the other's recording lies, without a tone and without its metadata.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hyperzoom_media::{Ears, HeardPiece, SAMPLE_RATE, mic_tap};
use hyperzoom_recorder::{
    Comparison, Grade, HEARD, HEARD_INDEX, Inputs, Participant, RecorderConfig, RecorderEvent, TIMECODES,
    TakeReport, compare, listen, start,
};
use hyperzoom_timing::{SessionClock, SharedClock, tick_time_ns};

const SECONDS: u64 = 14;

/// Noise that looks random (Marsaglia's xorshift, 2003), with most of its energy in a voice's band, that swells as syllables do.
fn voice(seed: u64) -> Vec<f32> {
    let (mut state, mut low, mut lower) = (seed, 0.0_f32, 0.0_f32);
    (0..(SECONDS as usize + 2) * SAMPLE_RATE as usize)
        .map(|n| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            low += 0.15 * ((state >> 40) as f32 / (1 << 23) as f32 - 1.0 - low);
            lower += 0.02 * (low - lower);
            0.5 * (low - lower) * (0.6 + 0.4 * (n as f32 / 48_000.0 * 4.0 * std::f32::consts::TAU).sin())
        })
        .collect()
}

/// Somebody who speaks, and is recorded.
struct Speaker {
    id: u8,
    said: Vec<f32>,
    /// How much later than it was the recorder is told that the sound was captured.
    off: Duration,
    /// Whether there is a sync tone in its take.
    tone: bool,
}

/// Ears that have heard what they are told, once the take's beginning is known.
struct Told(Vec<HeardPiece>);

impl Ears for Told {
    fn heard(&self, start_ns: i64, end_ns: i64) -> Vec<HeardPiece> {
        let inside = |it: &&HeardPiece| it.from_ns >= start_ns && it.to_ns < end_ns;
        self.0.iter().filter(inside).cloned().collect()
    }
}

/// The session time at which all speak their first sample.
const BEGIN_NS: i64 = 1_000_000_000;

impl Speaker {
    fn new(id: u8, said: Vec<f32>) -> Self {
        Self { id, said, off: Duration::ZERO, tone: false }
    }

    /// What another hears of it: three pieces of two seconds, as a codec leaves them.
    fn heard(&self) -> Vec<HeardPiece> {
        let noise = voice(u64::from(self.id) + 1000);
        let piece = |(place, second): (&'static str, usize)| {
            let from = second * SAMPLE_RATE as usize;
            let samples = (from..from + 96_000).map(|n| self.said[n] + 0.2 * noise[n]).collect();
            let ns = |sample: usize| BEGIN_NS + sample as i64 * 62_500 / 3;
            HeardPiece { speaker: self.id, place, samples, from_ns: ns(from), to_ns: ns(from + 95_999) }
        };
        [("start", 2), ("middle", 6), ("end", 10)].map(piece).into()
    }

    /// Its take, by a recorder that begins somewhat after the session; it has heard that of others.
    fn record(&self, parent: &Path, heard: Vec<HeardPiece>) -> TakeReport {
        let (mut mic, tap) = mic_tap(SECONDS as f32 + 3.0);
        let config = RecorderConfig {
            session_id: 7,
            clock: SharedClock::of(SessionClock::IDENTITY),
            ..RecorderConfig::new(parent, Participant::new(self.id, format!("speaker {}", self.id)))
        };
        let (recorder, _events) = start(config, Inputs { mic: Some(tap), video: None }).unwrap();
        assert!(tick_time_ns(recorder.start_tick()) < BEGIN_NS, "this computer takes a second to begin");
        recorder.set_participants(vec![Participant::new(0, "Ada"), Participant::new(1, "Bob")]);
        recorder.set_ears(Arc::new(Told(heard)));
        let end_ns = BEGIN_NS + SECONDS as i64 * 1_000_000_000;
        recorder.stop_at(Some(end_ns));
        if self.tone {
            recorder.tone_at(BEGIN_NS + 3_000_000_000);
        }
        for (n, block) in self.said.chunks_exact(480).enumerate() {
            mic.push(
                block,
                Duration::from_nanos(BEGIN_NS as u64) + Duration::from_millis(10) * n as u32 + self.off,
            );
        }
        let report = recorder.finish(Duration::from_secs(60));
        assert!(report.complete, "{report:?}");
        report
    }
}

/// Both are recorded, and have heard of each other what `heard` makes of it.
fn pair(
    parent: &Path,
    [a, b]: &[Speaker; 2],
    heard: impl Fn(&Speaker) -> Vec<HeardPiece>,
) -> (Comparison, [TakeReport; 2]) {
    let reports = [a.record(parent, heard(b)), b.record(parent, heard(a))];
    let [a, b] = reports.each_ref().map(|report| listen(&report.folder).unwrap());
    (compare(&a, &b), reports)
}

fn two() -> [Speaker; 2] {
    [Speaker::new(0, voice(1)), Speaker::new(1, voice(2))]
}

#[test]
fn takes_without_a_tone_are_green_by_what_they_heard_and_the_certificate_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let (it, reports) = pair(dir.path(), &two(), Speaker::heard);
    assert_eq!((it.grade, it.tones, it.heard.len()), (Some(Grade::Green), 0, 6), "{it:#?}");
    assert!(it.worst_ms.unwrap().abs() < 0.05, "{it:#?}");
    assert!(it.heard.iter().all(|piece| piece.correlation.unwrap() > 0.9), "{it:#?}");
    let certificate = reports[0].certificate.as_ref().unwrap();
    let places: Vec<_> = certificate.heard.iter().map(|it| (it.name.as_str(), it.place.as_str())).collect();
    assert_eq!(places, [("Bob", "start"), ("Bob", "middle"), ("Bob", "end")]);
    assert!((certificate.heard[0].seconds() - 2.0).abs() < 0.001 && certificate.heard[0].level_dbfs > -40.0);
    let text = std::fs::read_to_string(reports[0].folder.join(TIMECODES)).unwrap();
    assert!(text.contains("Heard Bob, middle"), "{text}");
}

#[test]
fn a_master_that_lies_wrong_is_red_by_what_the_other_heard_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut speakers = two();
    speakers[1].off = Duration::from_millis(5);
    let (it, _) = pair(dir.path(), &speakers, Speaker::heard);
    assert_eq!(it.grade, Some(Grade::Red), "{it:#?}");
    assert!((it.offset_ms.unwrap() - 5.0).abs() < 0.05, "{it:#?}");
    assert!(it.reason.contains("the second's sound is") && it.reason.contains("later"), "{}", it.reason);
    // The other one heard nothing: it is red all the same.
    let (it, _) = pair(dir.path(), &speakers, |of| if of.id == 1 { of.heard() } else { Vec::new() });
    assert_eq!((it.grade, it.heard.len()), (Some(Grade::Red), 3), "{it:#?}");
}

#[test]
fn tones_and_voices_are_green_together_and_a_voice_tells_what_no_tone_can() {
    let dir = tempfile::tempdir().unwrap();
    let mut speakers = two();
    speakers.iter_mut().for_each(|speaker| speaker.tone = true);
    let (it, _) = pair(dir.path(), &speakers, Speaker::heard);
    assert_eq!((it.grade, it.tones), (Some(Grade::Green), 1), "{it:#?}");
    assert!(it.reason.contains("6 pieces of what they heard of each other within 0.0"), "{}", it.reason);
    // The tone is mixed in where the timecode says; the microphone's sound may lie elsewhere all the same.
    speakers[0].off = Duration::from_millis(5);
    let (it, _) = pair(dir.path(), &speakers, Speaker::heard);
    assert_eq!((it.grade, it.tones), (Some(Grade::Red), 1), "{it:#?}");
    assert!(it.offset_ms.unwrap().abs() < 0.01, "the tones' own: {it:#?}");
    assert!(
        it.reason.starts_with("the first's sound is 4.9")
            || it.reason.starts_with("the first's sound is 5.0"),
        "{}",
        it.reason
    );
}

#[test]
fn what_one_alone_has_heard_is_half_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let (it, _) = pair(dir.path(), &two(), |of| if of.id == 0 { of.heard() } else { Vec::new() });
    assert_eq!(it.grade, Some(Grade::Amber), "{it:#?}");
    assert!(it.reason.contains("only the first's voice was heard"), "{}", it.reason);
}

#[test]
fn no_decoy_makes_a_pair_red() {
    let dir = tempfile::tempdir().unwrap();
    // All lie five milliseconds wrong, and nothing of what was heard can say so: a tone, a beat, another's voice, silence.
    let tone: Vec<f32> =
        (0..16 * 48_000).map(|n| 0.2 * (n as f32 * 440.0 / 48_000.0 * 6.283_185_5).sin()).collect();
    let beat: Vec<f32> = voice(3)[..24_000].iter().cycle().take(16 * 48_000).copied().collect();
    for said in [tone, beat] {
        let mut speakers = [0, 1].map(|id| Speaker::new(id, said.clone()));
        speakers[1].off = Duration::from_millis(5);
        let (it, _) = pair(dir.path(), &speakers, Speaker::heard);
        assert_eq!((it.grade, it.offset_ms), (Some(Grade::Amber), None), "{it:#?}");
        assert!(it.heard.len() == 6 && it.heard.iter().all(|piece| piece.offset_ms.is_none()), "{it:#?}");
    }
    let mut speakers = two();
    speakers[1].off = Duration::from_millis(5);
    for decoy in [Speaker::new(0, voice(4)), Speaker::new(0, vec![0.0; 16 * 48_000])] {
        let (it, _) = pair(dir.path(), &speakers, |of| {
            let mut heard = decoy.heard();
            heard.iter_mut().for_each(|piece| piece.speaker = of.id);
            heard
        });
        assert_eq!((it.grade, it.offset_ms), (Some(Grade::Amber), None), "{it:#?}");
    }
    // The other's own voice by way of a third: whose it is does not fit.
    let (it, _) = pair(dir.path(), &speakers, |of| {
        let mut heard = of.heard();
        heard.iter_mut().for_each(|piece| piece.speaker = 2);
        heard
    });
    assert_eq!((it.grade, it.heard.len()), (Some(Grade::Amber), 0), "{it:#?}");
}

struct Broken;

impl Ears for Broken {
    fn heard(&self, _start_ns: i64, _end_ns: i64) -> Vec<HeardPiece> {
        panic!("as a test has it");
    }
}

#[test]
fn ears_that_panic_cost_the_take_nothing_but_what_they_heard() {
    let dir = tempfile::tempdir().unwrap();
    let (mut mic, tap) = mic_tap(3.0);
    let config = RecorderConfig::new(dir.path(), Participant::new(0, "Ada"));
    let (recorder, mut events) = start(config, Inputs { mic: Some(tap), video: None }).unwrap();
    recorder.set_ears(Arc::new(Broken));
    let begin = Duration::from_nanos(tick_time_ns(recorder.start_tick()) as u64);
    recorder.stop_at(Some(tick_time_ns(recorder.start_tick() + 30)));
    for (n, block) in voice(1)[..96_000].chunks_exact(480).enumerate() {
        mic.push(block, begin + Duration::from_millis(10) * n as u32);
    }
    let report = recorder.finish(Duration::from_secs(60));
    assert!(report.complete && report.certificate.is_some_and(|it| it.heard.is_empty()));
    let told = std::iter::from_fn(|| events.poll())
        .any(|event| matches!(event, RecorderEvent::Warning(text) if text.contains(HEARD)));
    assert!(told, "it has to be said");
    assert!(!report.folder.join(HEARD).exists());
}

#[test]
fn what_is_missing_damaged_or_of_another_session_says_nothing_and_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let (_, reports) = pair(dir.path(), &two(), Speaker::heard);
    let [a, b] = reports.each_ref().map(|report| report.folder.as_path());
    let good = listen(b).unwrap();
    assert_eq!(good.heard_error, None);
    let index = std::fs::read_to_string(a.join(HEARD_INDEX)).unwrap();
    let sound = std::fs::read(a.join(HEARD)).unwrap();
    let says = |words: &str| {
        let it = listen(a).unwrap();
        assert!(it.heard_error.as_ref().is_some_and(|error| error.contains(words)), "{:?}", it.heard_error);
        let it = compare(&it, &good);
        assert_eq!((it.grade, it.heard.len()), (Some(Grade::Amber), 3), "{it:#?}");
    };
    std::fs::write(a.join(HEARD_INDEX), index.replace("0000000000000007", "0000000000000008")).unwrap();
    says("another session");
    std::fs::write(a.join(HEARD_INDEX), &index[..index.len() / 2]).unwrap();
    says("is damaged");
    std::fs::write(a.join(HEARD_INDEX), &index).unwrap();
    let mut bytes = sound.clone();
    bytes[sound.len() / 2] ^= 1;
    std::fs::write(a.join(HEARD), bytes).unwrap();
    says("is damaged");
    std::fs::remove_file(a.join(HEARD)).unwrap();
    says("is missing");
    // Neither is there: an older version made the take, or it was cut off.
    std::fs::remove_file(a.join(HEARD_INDEX)).unwrap();
    assert_eq!(listen(a).unwrap().heard_error, None);
}
