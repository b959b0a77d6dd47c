//! A real sound server's devices, opened by name, with a signal found at the far end.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::time::{Duration, Instant};

use hyperzoom_audio::{
    AudioConfig, AudioEngine, AudioError, AudioEvent, AudioEvents, Direction, FrameSize, SoundHost, devices,
    start,
};
use hyperzoom_media::{AudioPacket, MediaKind, MicTap, PacketSink};
use hyperzoom_testkit::{Pulse, have, skipped};
use hyperzoom_timing::SharedClock;
use ringbuf::traits::{Producer, Split};
use ringbuf::{HeapCons, HeapProd, HeapRb};

const RATE: usize = 48_000;

/// Hands what one engine sends to another, or to the same.
struct Wire {
    epoch: Instant,
    sequence: u64,
    inbox: HeapProd<AudioPacket>,
}

impl PacketSink for Wire {
    fn send(&mut self, _kind: MediaKind, timestamp_ms: u32, payload: &[u8]) {
        let packet = AudioPacket::new(self.sequence, self.epoch.elapsed(), timestamp_ms, payload);
        let _ = self.inbox.try_push(packet.expect("a frame of live audio fits"));
        self.sequence += 1;
    }

    fn skip(&mut self) {
        self.sequence += 1;
    }
}

/// Nobody is listening.
struct Nobody;

impl PacketSink for Nobody {
    fn send(&mut self, _kind: MediaKind, _timestamp_ms: u32, _payload: &[u8]) {}
    fn skip(&mut self) {}
}

fn config(epoch: Instant, mic: &str, speaker: &str) -> AudioConfig {
    AudioConfig {
        epoch,
        mic: mic.parse().unwrap(),
        speaker: speaker.parse().unwrap(),
        frame: FrameSize::Ms5,
        bitrate: 32_000,
        clock: SharedClock::new(),
    }
}

/// A sound server that this process sees, and no other; `None` where PulseAudio is not installed.
fn server(sinks: &[(&str, u8)]) -> Option<Pulse> {
    if !have(&["pulseaudio"]) {
        return None;
    }
    let pulse = Pulse::start(sinks);
    // SAFETY: nextest runs each test in a process of its own, and nothing in this one has read the environment yet.
    unsafe { pulse.enter_this_process() };
    Some(pulse)
}

/// An engine, and what it sends.
fn talker(epoch: Instant, mic: &str, speaker: &str) -> (AudioEngine, AudioEvents, HeapCons<AudioPacket>) {
    let (inbox, outbox) = HeapRb::new(64).split();
    let (engine, events) =
        start(config(epoch, mic, speaker), Box::new(Wire { epoch, sequence: 0, inbox })).unwrap();
    (engine, events, outbox)
}

/// An engine that is only there for what its microphone hears.
fn listener(epoch: Instant, mic: &str) -> (AudioEngine, MicTap) {
    let (engine, _) = start(config(epoch, mic, "none"), Box::new(Nobody)).unwrap();
    let tap = engine.record_tap(10.0).unwrap();
    (engine, tap)
}

fn refusal(mic: &str, speaker: &str) -> AudioError {
    start(config(Instant::now(), mic, speaker), Box::new(Nobody)).err().expect("this must be refused")
}

/// Reads until `wanted` says so of the last second; panics after 20 s.
fn hear(tap: &mut MicTap, what: &str, wanted: impl Fn(&[f32]) -> bool) -> Vec<f32> {
    let patience = Instant::now() + Duration::from_secs(20);
    let mut heard = Vec::new();
    let mut block = [0.0; 4800];
    loop {
        let n = tap.read(&mut block);
        heard.extend_from_slice(&block[..n]);
        if n == 0 {
            std::thread::park_timeout(Duration::from_millis(5));
        }
        if let Some(from) = heard.len().checked_sub(RATE)
            && wanted(&heard[from..])
        {
            return heard;
        }
        assert!(Instant::now() < patience, "{what}: not heard in {} samples", heard.len());
    }
}

/// The amplitude of a frequency in samples that are few enough to be coherent: playing out stretches a sound a little.
fn amplitude(samples: &[f32], hz: f64) -> f64 {
    let step = std::f64::consts::TAU * hz / RATE as f64;
    let (mut sine, mut cosine) = (0.0, 0.0);
    for (n, sample) in samples.iter().enumerate() {
        sine += f64::from(*sample) * (step * n as f64).sin();
        cosine += f64::from(*sample) * (step * n as f64).cos();
    }
    2.0 * sine.hypot(cosine) / samples.len() as f64
}

/// The `tone` source's amplitude, less what a drifting clock and a codec may take.
const CLEARLY: f64 = 0.1;

/// In how many of a second's hundredths a tone is clearly heard.
///
/// What arrives is asked here, not how well: a computer that stands still now and then, as one that is shared with
/// others does, leaves holes in anybody's sound.
fn hundredths_with(second: &[f32], hz: f64) -> usize {
    second.chunks_exact(RATE / 100).filter(|part| amplitude(part, hz) > CLEARLY).count()
}

/// Whether a tone is heard, be it with holes.
fn is_heard(second: &[f32], hz: f64) -> bool {
    hundredths_with(second, hz) >= 10
}

/// Whether no part of a second has any of a tone.
fn is_silent(second: &[f32], hz: f64) -> bool {
    second.chunks_exact(RATE / 100).all(|part| amplitude(part, hz) < 0.001)
}

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
