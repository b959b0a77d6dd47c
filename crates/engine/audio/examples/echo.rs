//! Plays what the microphone hears, through all of the live path but the network: Opus, jitter buffer, mixer.
//!
//! `cargo run --release --example echo -- MIC SPEAKER [FRAME_MS] [SECONDS]`, for instance `echo default default 2.5 10` (wear
//! headphones). With `../shared/latency/pulse_meter.py` or `jack_meter.py` at its ends it measures what the sound alone costs.

use std::error::Error;
use std::time::{Duration, Instant};

use hyperzoom_audio::{AudioConfig, FrameSize, SoundSpec, devices, start};
use hyperzoom_media::{AudioPacket, MediaKind, PacketSink};
use hyperzoom_timing::SharedClock;
use ringbuf::traits::{Producer, Split};
use ringbuf::{HeapProd, HeapRb};

/// Hands what was sent straight back.
struct Loopback {
    epoch: Instant,
    sequence: u64,
    inbox: HeapProd<AudioPacket>,
}

impl PacketSink for Loopback {
    fn send(&mut self, _kind: MediaKind, timestamp_ms: u32, payload: &[u8]) {
        if let Ok(packet) = AudioPacket::new(self.sequence, self.epoch.elapsed(), timestamp_ms, payload) {
            let _ = self.inbox.try_push(packet);
        }
        self.sequence += 1;
    }

    fn skip(&mut self) {
        self.sequence += 1;
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let Some(mic) = args.next() else {
        for device in devices() {
            println!("{device:#?}");
        }
        return Ok(());
    };
    let mic: SoundSpec = mic.parse()?;
    let speaker: SoundSpec = args.next().as_deref().unwrap_or("default").parse()?;
    let frame = args.next().map_or(Ok(5.0), |ms| ms.parse())?;
    let seconds = args.next().map_or(Ok(10.0), |seconds| seconds.parse())?;

    let epoch = Instant::now();
    let (inbox, outbox) = HeapRb::new(64).split();
    let config = AudioConfig {
        epoch,
        mic,
        speaker,
        frame: FrameSize::from_millis(frame).ok_or("the frame is 2.5, 5 or 10 ms long")?,
        bitrate: 32_000,
        clock: SharedClock::new(),
    };
    let (engine, mut events) = start(config, Box::new(Loopback { epoch, sequence: 0, inbox }))?;
    engine.add_peer(1, outbox)?;
    println!("{:#?}", engine.describe());
    while epoch.elapsed() < Duration::from_secs_f32(seconds) {
        std::thread::sleep(Duration::from_secs(1));
        while let Some(event) = events.poll() {
            println!("{event:?}");
        }
        if let Some(stats) = engine.stats(1) {
            let live = engine.live_stats();
            let missing = epoch.elapsed().as_secs_f64() - live.captured_samples as f64 / 48_000.0;
            println!("level {:.3}, {:.1} ms not captured", engine.level().take_peak(), missing * 1e3);
            println!("  {stats:?}\n  {live:?}");
        }
    }
    Ok(())
}
