//! A real sound server's devices, opened by name, with a signal found at the far end.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod devices;
mod jack;
mod probe;
mod rig;

use std::time::{Duration, Instant};

use hyperzoom_audio::{AudioEvent, Direction, SoundHost, devices, start};
use hyperzoom_testkit::skipped;
use rig::{
    Nobody, RATE, config, hear, hundredths_with, is_heard, is_silent, listener, refusal, server, talker,
};

#[test]
fn a_microphone_is_heard_at_the_loudspeaker_and_on_no_other_device() {
    let Some(_pulse) = server(&[("micA", 1), ("spkA", 2), ("other", 2)]) else { return };
    let epoch = Instant::now();

    // Somebody speaks into the microphone...
    let (mouth, _, said) = talker(epoch, "tone:800", "pulse:micA");
    mouth.add_peer(1, said).unwrap();
    // ...which A hears, and sends round to its own loudspeaker.
    let (a, _, sent) = talker(epoch, "pulse:micA.monitor", "PULSE:SPKA");
    a.add_peer(1, sent).unwrap();
    let mut recording = a.record_tap(10.0).unwrap();

    let (_ear, mut heard) = listener(epoch, "pulse:spkA.monitor");
    let (_elsewhere, mut silence) = listener(epoch, "pulse:other.monitor");
    hear(&mut heard, "the loudspeaker", |second| is_heard(second, 800.0));
    hear(&mut recording, "the recording", |second| is_heard(second, 800.0));
    hear(&mut silence, "the other device", |second| second.iter().all(|sample| *sample == 0.0));

    let described = a.describe();
    let (mic, speaker) = (described.mic.unwrap(), described.speaker.unwrap());
    assert_eq!((mic.node.as_str(), mic.channels, mic.host), ("micA.monitor", 1, Some(SoundHost::Pulse)));
    assert_eq!((speaker.node.as_str(), speaker.channels, speaker.rate), ("spkA", 2, 48_000));
    assert!(a.level().take_peak() > 0.05);
    let live = a.live_stats();
    assert!(live.sent_frames > 100 && live.failed_frames == 0 && live.lost_live_samples == 0, "{live:?}");
    assert!(a.stats(1).unwrap().received > 100);

    a.set_muted(true);
    hear(&mut heard, "silence after muting", |second| is_silent(second, 800.0));
    hear(&mut recording, "the recording of a muted microphone", |second| is_heard(second, 800.0));
}

#[test]
fn devices_are_listed_and_found_by_part_of_their_names() {
    let Some(_pulse) = server(&[("podium", 1), ("hall", 2)]) else { return };
    let listed = devices();
    let names = |direction| -> Vec<&str> {
        listed.iter().filter(|d| d.direction == direction).map(|d| d.name.as_str()).collect()
    };
    assert_eq!(names(Direction::Loudspeaker), ["podium", "hall"]);
    assert_eq!(names(Direction::Microphone), ["podium.monitor", "hall.monitor"]);
    let hall = listed.iter().find(|d| d.name == "hall").unwrap();
    assert_eq!((hall.channels, hall.rate, hall.monitor), (Some(2), Some(48_000), false));
    assert_eq!(hall.spec().to_string(), "pulse:hall");
    assert_eq!(listed.iter().filter(|d| d.default).count(), 2, "one of each");

    let unknown = refusal("none", "pulse:cellar").to_string();
    assert_eq!(unknown, "no loudspeaker is called \"cellar\": choose one of these: podium, hall");
    let ambiguous = refusal("monitor", "none").to_string();
    assert!(ambiguous.ends_with("one of these: podium.monitor, hall.monitor"), "{ambiguous}");
    let (engine, _) = start(config(Instant::now(), "POD", "default"), Box::new(Nobody)).unwrap();
    assert_eq!(engine.describe().mic.unwrap().node, "podium.monitor");
}

#[test]
fn a_sound_server_that_dies_is_told_and_its_successor_is_used() {
    let Some(mut pulse) = server(&[("micA", 1), ("spkA", 2)]) else { return };
    let epoch = Instant::now();
    let (engine, mut events) =
        start(config(epoch, "pulse:micA.monitor", "pulse:spkA"), Box::new(Nobody)).unwrap();
    let mut tap = engine.record_tap(10.0).unwrap();
    hear(&mut tap, "anything", |_| true);
    pulse.restart();
    let mut seen = Vec::new();
    let patience = Instant::now() + Duration::from_secs(30);
    while seen.iter().filter(|event| matches!(event, AudioEvent::DeviceBack { .. })).count() < 2 {
        seen.extend(events.poll());
        std::thread::park_timeout(Duration::from_millis(5));
        assert!(Instant::now() < patience, "{seen:?}");
    }
    for direction in [Direction::Microphone, Direction::Loudspeaker] {
        let lost = |event: &AudioEvent| matches!(event, AudioEvent::DeviceLost { direction: d, .. } if *d == direction);
        let back = |event: &AudioEvent| matches!(event, AudioEvent::DeviceBack { direction: d, .. } if *d == direction);
        assert!(seen.iter().position(lost).unwrap() < seen.iter().position(back).unwrap());
    }
    while tap.read(&mut [0.0; 4800]) > 0 {}
    hear(&mut tap, "the successor", |_| true);
}

#[test]
fn without_a_sound_server_the_stand_ins_run_and_a_device_is_refused_with_advice() {
    let empty = tempfile::tempdir().unwrap();
    for name in ["HOME", "XDG_RUNTIME_DIR", "PULSE_RUNTIME_PATH"] {
        // SAFETY: nextest runs each test in a process of its own, and this one has no second thread yet.
        unsafe { std::env::set_var(name, empty.path()) };
    }
    // SAFETY: as above.
    unsafe { std::env::remove_var("PULSE_SERVER") };
    if !devices().is_empty() {
        skipped("this machine has a sound card");
        return;
    }
    let asked = refusal("default", "none").to_string();
    assert!(asked.contains("no microphone was found") && asked.contains("\"tone\""), "{asked}");
    let asked = refusal("pulse:x", "none").to_string();
    assert!(asked.starts_with("PulseAudio does not answer"), "{asked}");
    let asked = refusal("none", "tone").to_string();
    assert!(asked.contains("a loudspeaker cannot be a tone"), "{asked}");

    let heard = empty.path().join("heard.wav");
    let (engine, _, sent) = talker(Instant::now(), "tone:800", &format!("file:{}", heard.display()));
    engine.add_peer(1, sent).unwrap();
    let mut tap = engine.record_tap(10.0).unwrap();
    hear(&mut tap, "two seconds", |_| engine.live_stats().sent_frames >= 400);
    let stats = engine.stats(1).unwrap();
    drop(engine);
    let samples: Vec<f32> = hound::WavReader::open(&heard).unwrap().samples().map(Result::unwrap).collect();
    let clear = hundredths_with(&samples[samples.len() - RATE..], 800.0);
    assert!(clear >= 10, "heard in {clear} hundredths of the last of {} samples: {stats:?}", samples.len());
    assert!(tap.is_closed());
}

#[test]
fn a_microphone_that_is_none_records_silence_and_sends_nothing() {
    let (engine, _events) = start(config(Instant::now(), "none", "none"), Box::new(Nobody)).unwrap();
    let mut tap = engine.record_tap(10.0).unwrap();
    let heard = hear(&mut tap, "silence", |_| true);
    assert!(heard.iter().all(|sample| *sample == 0.0));
    let live = engine.live_stats();
    assert_eq!(live.sent_frames, 0);
    assert!(live.skipped_frames >= 190);
}
