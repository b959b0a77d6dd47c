//! What these tests share.

use std::time::{Duration, Instant};

use hyperzoom_audio::{AudioConfig, AudioEngine, AudioError, AudioEvents, FrameSize, start};
use hyperzoom_media::{AudioPacket, MediaKind, MicTap, PacketSink};
use hyperzoom_testkit::{Jack, Pulse, have};
use hyperzoom_timing::SharedClock;
use ringbuf::traits::{Producer, Split};
use ringbuf::{HeapCons, HeapProd, HeapRb};

pub(crate) const RATE: usize = 48_000;

/// Hands what one engine sends to another, or to the same.
pub(crate) struct Wire {
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
pub(crate) struct Nobody;

impl PacketSink for Nobody {
    fn send(&mut self, _kind: MediaKind, _timestamp_ms: u32, _payload: &[u8]) {}
    fn skip(&mut self) {}
}

pub(crate) fn config(epoch: Instant, mic: &str, speaker: &str) -> AudioConfig {
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
pub(crate) fn server(sinks: &[(&str, u8)]) -> Option<Pulse> {
    if !have(&["pulseaudio"]) {
        return None;
    }
    let pulse = Pulse::start(sinks);
    // SAFETY: nextest runs each test in a process of its own, and nothing in this one has read the environment yet.
    unsafe { pulse.enter_this_process() };
    Some(pulse)
}

/// A JACK server that this process sees, and no other server; `None` where JACK is not installed.
pub(crate) fn jack() -> Option<Jack> {
    if !have(&["jackd", "jack_lsp", "jack_connect"]) {
        return None;
    }
    let jack = Jack::start();
    // SAFETY: nextest runs each test in a process of its own, and nothing in this one has read the environment yet.
    unsafe {
        jack.enter_this_process();
        std::env::set_var("PULSE_SERVER", "unix:/nowhere");
    }
    Some(jack)
}

/// An engine, and what it sends.
pub(crate) fn talker(
    epoch: Instant,
    mic: &str,
    speaker: &str,
) -> (AudioEngine, AudioEvents, HeapCons<AudioPacket>) {
    let (inbox, outbox) = HeapRb::new(64).split();
    let (engine, events) =
        start(config(epoch, mic, speaker), Box::new(Wire { epoch, sequence: 0, inbox })).unwrap();
    (engine, events, outbox)
}

/// An engine that is only there for what its microphone hears.
pub(crate) fn listener(epoch: Instant, mic: &str) -> (AudioEngine, MicTap) {
    let (engine, _) = start(config(epoch, mic, "none"), Box::new(Nobody)).unwrap();
    let tap = engine.record_tap(10.0).unwrap();
    (engine, tap)
}

pub(crate) fn refusal(mic: &str, speaker: &str) -> AudioError {
    start(config(Instant::now(), mic, speaker), Box::new(Nobody)).err().expect("this must be refused")
}

/// Reads until `wanted` says so of the last second; panics after 20 s.
pub(crate) fn hear(tap: &mut MicTap, what: &str, wanted: impl Fn(&[f32]) -> bool) -> Vec<f32> {
    let patience = Instant::now() + Duration::from_secs(20);
    let mut heard = Vec::new();
    let mut block = [0.0; 4800];
    loop {
        let n = tap.read(&mut block);
        heard.extend_from_slice(&block[..n]);
        // Blocks whose marks nobody takes are lost in the end.
        while tap.next_mark().is_some() {}
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
pub(crate) fn amplitude(samples: &[f32], hz: f64) -> f64 {
    let step = std::f64::consts::TAU * hz / RATE as f64;
    let (mut sine, mut cosine) = (0.0, 0.0);
    for (n, sample) in samples.iter().enumerate() {
        sine += f64::from(*sample) * (step * n as f64).sin();
        cosine += f64::from(*sample) * (step * n as f64).cos();
    }
    2.0 * sine.hypot(cosine) / samples.len() as f64
}

/// The `tone` source's amplitude, less what a drifting clock and a codec may take.
pub(crate) const CLEARLY: f64 = 0.1;

/// In how many of a second's hundredths a tone is clearly heard.
///
/// What arrives is asked here, not how well: a computer that stands still now and then, as one that is shared with
/// others does, leaves holes in anybody's sound.
pub(crate) fn hundredths_with(second: &[f32], hz: f64) -> usize {
    second.chunks_exact(RATE / 100).filter(|part| amplitude(part, hz) > CLEARLY).count()
}

/// Whether a tone is heard, be it with holes.
pub(crate) fn is_heard(second: &[f32], hz: f64) -> bool {
    hundredths_with(second, hz) >= 10
}

/// Whether no part of a second has any of a tone.
pub(crate) fn is_silent(second: &[f32], hz: f64) -> bool {
    second.chunks_exact(RATE / 100).all(|part| amplitude(part, hz) < 0.001)
}
