//! This crate's unit tests count what the callbacks ask of the heap.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hyperzoom_media::{AudioPacket, MediaKind, PacketSink, mic_tap};
use hyperzoom_playout::FrameSize;
pub(crate) use hyperzoom_testkit::heap_calls;
use hyperzoom_timing::{SessionClock, SharedClock};
use ringbuf::traits::{Consumer, Producer, Split};
use ringbuf::{HeapProd, HeapRb};

use crate::capture::{Capture, CaptureCounts, MAX_TAPS};
use crate::codec::Encoder;
use crate::convert::{Captured, Hear, Play};
use crate::latency::DeviceAhead;
use crate::live::{Frames, Live, LiveShared};
use crate::loan::{Lent, lend};
use crate::meter::Level;
use crate::mixer::{MAX_VOICES, Mixer, MixerCommand, Voice};

#[global_allocator]
static HEAP: hyperzoom_testkit::CountingHeap = hyperzoom_testkit::CountingHeap;

#[test]
fn the_counter_counts() {
    assert_eq!(heap_calls(|| drop(std::hint::black_box(Box::new(1)))), 2);
}

/// Hands what is sent straight to two listeners' rings, the second's once it has joined.
struct Network {
    inboxes: [HeapProd<AudioPacket>; 2],
    joined: Arc<AtomicBool>,
    sequence: u64,
    now: Arc<AtomicU64>,
}

impl PacketSink for Network {
    fn send(&mut self, _kind: MediaKind, timestamp_ms: u32, payload: &[u8]) {
        // 100 µs of network.
        let arrived = Duration::from_nanos(self.now.load(Ordering::Relaxed) + 100_000);
        let packet = AudioPacket::new(self.sequence, arrived, timestamp_ms, payload).unwrap();
        self.sequence += 1;
        let listeners = if self.joined.load(Ordering::Relaxed) { 2 } else { 1 };
        for inbox in &mut self.inboxes[..listeners] {
            let _ = inbox.try_push(packet);
        }
    }

    fn skip(&mut self) {
        self.sequence += 1;
    }
}

/// Closes a stream and lends what it had to another.
fn another<T>(Lent { loan, returns, .. }: Lent<T>) -> Lent<T> {
    drop(loan);
    lend(returns.early().expect("it came home with its stream"))
}

/// Ten seconds of a call, from the microphone's callback through the live thread's work to the loudspeaker's callback, while things
/// happen to it. What a person does is done by other threads, which may use the heap; what the real-time threads make of it may not.
#[test]
fn ten_seconds_of_a_call_do_not_touch_the_heap() {
    const PERIOD: u64 = 128;
    let (inboxes, outboxes): (Vec<_>, Vec<_>) = (0..2).map(|_| HeapRb::new(64).split()).unzip();
    let mut outboxes = outboxes.into_iter();
    let (joined, now) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let clock = SharedClock::of(SessionClock::IDENTITY);
    let network = Network {
        inboxes: inboxes.try_into().ok().unwrap(),
        joined: joined.clone(),
        sequence: 0,
        now: now.clone(),
    };

    let (feed, tap) = mic_tap(0.5);
    let shared = Arc::new(LiveShared::default());
    shared.set_size(FrameSize::Ms2_5);
    let mut frames = Frames::new(Live {
        tap,
        encoder: Encoder::new(FrameSize::Ms2_5, 64_000).unwrap(),
        bitrate: 32_000,
        sink: Box::new(network),
        clock: clock.clone(),
        epoch: Instant::now(),
        shared: shared.clone(),
    });
    let (mut add_tap, new_taps) = HeapRb::new(MAX_TAPS).split();
    let (retire_tap, mut retired_taps) = HeapRb::new(MAX_TAPS).split();
    let counts = Arc::new(CaptureCounts::default());
    let capture = Capture::new(feed, std::thread::current(), new_taps, retire_tap, Level::default(), counts);
    let (mut command, commands) = HeapRb::new(16).split();
    let (retire_voice, mut retired_voices) = HeapRb::new(MAX_VOICES).split();
    let ahead = DeviceAhead::default();
    let mixer = Mixer::new(commands, retire_voice, ahead.clone(), SharedClock::new());
    let mut microphone = lend(capture);
    let mut loudspeaker = lend(mixer);
    let mut switches = 0;

    let mut voices = Vec::new();
    // A take is recorded, and nobody takes what is on the tapes, so that they fill up.
    let ears = crate::ears::VoiceEars::new(clock.clone());
    ears.begin();
    let mut reels = Vec::new();
    let mut join = |id: u8, command: &mut HeapProd<MixerCommand>| {
        let (tape, reel) = ears.tape();
        reels.push(reel);
        let (voice, handle) = Voice::new(id, outboxes.next().unwrap(), 1.0, clock.clone(), tape).unwrap();
        command.try_push(MixerCommand::Add(voice)).ok().unwrap();
        handle
    };
    let mut recording = None;
    let mut loudest = 0.0_f32;
    for cycle in 0..10 * 48_000 / PERIOD {
        let at = cycle * PERIOD * 1_000_000_000 / 48_000;
        now.store(at, Ordering::Relaxed);
        match cycle {
            0 => voices.push(join(1, &mut command)),
            375 => {
                let (feed, tap) = mic_tap(0.1);
                add_tap.try_push(feed).ok().unwrap();
                recording = Some(tap);
            }
            750 => {
                joined.store(true, Ordering::Relaxed);
                voices.push(join(2, &mut command));
            }
            1125 | 1500 => shared.muted.store(cycle == 1125, Ordering::Relaxed),
            1875 => recording = None,
            // Other devices: the streams that were are closed, and others get what the callbacks had.
            2100 => {
                microphone = another(microphone);
                loudspeaker = another(loudspeaker);
                switches += 1;
            }
            2250 => command.try_push(MixerCommand::Remove(2)).ok().unwrap(),
            _ => {}
        }
        let volume = if cycle < 2625 { 1.0_f32 } else { 0.25 };
        let mut block = [0.0; PERIOD as usize];
        for (n, sample) in block.iter_mut().enumerate() {
            *sample = 0.4 * ((cycle * PERIOD + n as u64) as f32 * 0.06).sin();
        }
        let mut out = [0.0; PERIOD as usize];
        let calls = heap_calls(|| {
            microphone.edge.run(|| {
                microphone.loan.hear(&block, Captured::exactly(Duration::from_nanos(at)));
            });
            while frames.send_one() {}
            loudspeaker.edge.run(|| {
                loudspeaker.loan.ahead(Duration::from_millis(3), Duration::ZERO);
                loudspeaker.loan.play(Duration::from_nanos(at), &mut out);
            });
        });
        assert_eq!(calls, 0, "cycle {cycle}");
        for voice in &mut voices {
            voice.shared.volume.store(volume.to_bits(), Ordering::Relaxed);
        }
        if cycle > 3000 {
            loudest = out.iter().fold(loudest, |loudest, sample| loudest.max(sample.abs()));
        }
    }
    // All of it has happened.
    assert_eq!(switches, 1);
    let after = 10 * 48_000 / PERIOD - 2100;
    assert_eq!(
        (microphone.heartbeat.calls(), loudspeaker.heartbeat.calls()),
        (after, after),
        "the new streams"
    );
    assert!(recording.is_none() && retired_taps.try_pop().is_some(), "the recording's ring came back");
    assert!(
        retired_voices.try_pop().is_some() && retired_voices.try_pop().is_none(),
        "the leaver's voice did"
    );
    assert!(shared.skipped.load(Ordering::Relaxed) > 300, "it was muted");
    assert!((0.08..0.12).contains(&loudest), "0.4 at a quarter of the volume, not {loudest}");
    assert!((0.35..0.5).contains(&voices[0].shared.level.take_peak()), "as it came");
    let stats = *voices[0].stats.read();
    assert!(stats.received > 3400 && stats.resets == 1, "{stats:?}");
    let latency = voices[0].shared.transit.latency(&stats, &ahead, &clock).unwrap();
    // A frame of 120 samples out of periods of 128 is complete at once or one period later.
    let transit = latency.transit.as_secs_f64() * 1e3;
    assert!((0.1..2.8).contains(&transit), "{transit} ms");
    let total = latency.total().as_secs_f64() * 1e3;
    assert!((7.0..25.0).contains(&total), "{total} ms: {latency:?}");
}
