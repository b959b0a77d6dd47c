//! The engine as the rest of the program holds it.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hyperzoom_media::{AudioPacket, MicFeed, MicTap, PacketSink, mic_tap};
use hyperzoom_playout::PlayoutStats;
use hyperzoom_timing::SharedClock;
use ringbuf::traits::{Consumer, Producer, Split};
use ringbuf::{HeapCons, HeapProd, HeapRb};
use triple_buffer::Output;

use crate::capture::{Capture, CaptureCounts, MAX_TAPS};
use crate::codec::{Encoder, FrameSize};
use crate::devices::Direction;
use crate::error::{AudioError, Busy};
use crate::events::{AudioEvents, events};
use crate::live::{LIVE_RING_SECONDS, Live, LiveShared};
use crate::meter::Level;
use crate::mixer::{MAX_VOICES, Mixer, MixerCommand, Voice};
use crate::owner::{Message, Owner, Shapes};
use crate::priority::Refusal;
use crate::spec::SoundSpec;
use crate::stream::StreamShape;

/// How long the devices may take to close when the engine is dropped. A sound server that hangs keeps its stream.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// How long the devices may take to open.
const OPEN_TIMEOUT: Duration = Duration::from_secs(15);

/// What the engine is started with.
#[derive(Debug, Clone)]
pub struct AudioConfig {
    /// The process's epoch: every moment is told as the time since it.
    pub epoch: Instant,
    /// The microphone.
    pub mic: SoundSpec,
    /// The loudspeaker.
    pub speaker: SoundSpec,
    /// How much sound a packet holds.
    pub frame: FrameSize,
    /// Bits a second of the voice that is sent; the spec's §4.2 has 32 000.
    pub bitrate: u32,
    /// The session clock, by which packets are stamped.
    pub clock: SharedClock,
}

/// What the microphone and the live path did so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LiveStats {
    /// Samples that the microphone delivered, at 48 kHz.
    pub captured_samples: u64,
    /// Samples of them that the live path lost, as the machine was too busy for half a second.
    pub lost_live_samples: u64,
    /// Samples that a recording lost, as it did not read its ring in time.
    pub lost_tap_samples: u64,
    /// Frames that were encoded and handed to the network.
    pub sent_frames: u64,
    /// Frames that were deliberately not sent: muted.
    pub skipped_frames: u64,
    /// Frames that libopus refused.
    pub failed_frames: u64,
    /// The longest that encoding, sealing and sending one frame took.
    pub slowest_frame: Duration,
}

/// What the devices turned out to be; `None` for one that is lost at the moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// The microphone.
    pub mic: Option<StreamShape>,
    /// The loudspeaker.
    pub speaker: Option<StreamShape>,
}

/// The running sound of this machine. Dropping it closes the devices and ends the threads.
pub struct AudioEngine {
    mixer: Mutex<HeapProd<MixerCommand>>,
    taps: Mutex<HeapProd<MicFeed>>,
    stats: Mutex<BTreeMap<u8, Output<PlayoutStats>>>,
    level: Level,
    counts: Arc<CaptureCounts>,
    live: Arc<LiveShared>,
    live_thread: Option<JoinHandle<()>>,
    owner: SyncSender<Message>,
    owner_thread: Option<JoinHandle<()>>,
    shapes: Shapes,
}

/// What real-time threads threw away, to be freed by one that may.
pub(crate) struct Garbage {
    voices: HeapCons<Box<Voice>>,
    taps: HeapCons<MicFeed>,
}

impl Garbage {
    /// None, of an engine that does not run.
    #[cfg(test)]
    pub(crate) fn nothing() -> Self {
        Self { voices: HeapRb::new(1).split().1, taps: HeapRb::new(1).split().1 }
    }

    pub(crate) fn empty(&mut self) {
        self.voices.clear();
        self.taps.clear();
    }
}

/// Opens the devices and starts to listen, send and play. `sink` is the live thread's from here on.
///
/// # Errors
/// Where a device, or a file in its stead, is not there or does not open. Nothing runs then.
pub fn start(
    config: AudioConfig,
    sink: Box<dyn PacketSink>,
) -> Result<(AudioEngine, AudioEvents), AudioError> {
    let (level, counts, refusal) = (Level::default(), Arc::new(CaptureCounts::default()), Refusal::default());
    let (feed, tap) = mic_tap(LIVE_RING_SECONDS);
    let live_shared = Arc::new(LiveShared::default());
    // A microphone that is none has nothing to say.
    live_shared.paused.store(config.mic == SoundSpec::None, Ordering::Relaxed);
    let live = Live {
        tap,
        encoder: Encoder::new(config.frame, i32::try_from(config.bitrate).unwrap_or(i32::MAX))?,
        size: config.frame,
        sink,
        clock: config.clock,
        shared: live_shared.clone(),
    };
    let live_thread = live.spawn(refusal.clone())?;

    let (add_tap, new_taps) = HeapRb::new(MAX_TAPS).split();
    let (retire_tap, retired_taps) = HeapRb::new(MAX_TAPS).split();
    let wake = live_thread.thread().clone();
    let capture = Capture::new(feed, wake, new_taps, retire_tap, level.clone(), counts.clone());

    let (command, commands) = HeapRb::new(2 * MAX_VOICES).split();
    let (retire_voice, retired_voices) = HeapRb::new(MAX_VOICES).split();
    let mixer = Mixer::new(commands, retire_voice);

    let (owner_sender, messages) = sync_channel(16);
    let (event_sender, audio_events) = events();
    let shapes = Shapes::default();
    let owner = Owner {
        epoch: config.epoch,
        refusal,
        messages,
        to_self: owner_sender.clone(),
        events: event_sender,
        shapes: shapes.clone(),
        counts: counts.clone(),
        live: live_shared.clone(),
        garbage: Garbage { voices: retired_voices, taps: retired_taps },
    };
    let mut engine = AudioEngine {
        mixer: Mutex::new(command),
        taps: Mutex::new(add_tap),
        stats: Mutex::default(),
        level,
        counts,
        live: live_shared,
        live_thread: Some(live_thread),
        owner: owner_sender,
        owner_thread: None,
        shapes,
    };
    let (ready, is_ready) = sync_channel(1);
    let (mic, speaker) = (config.mic, config.speaker);
    let thread = std::thread::Builder::new()
        .name("audio-devices".into())
        .spawn(move || owner.run((mic, capture), (speaker, mixer), &ready))?;
    engine.owner_thread = Some(thread);
    match is_ready.recv_timeout(OPEN_TIMEOUT) {
        Ok(opened) => opened?,
        Err(_) => {
            // Whoever hangs there would make dropping the engine wait, too.
            engine.owner_thread = None;
            return Err(AudioError::Hangs);
        }
    }
    Ok((engine, audio_events))
}

impl AudioEngine {
    /// Plays what comes in `inbox` as the voice of peer `id`, in the place of the voice that it had before, if any.
    ///
    /// The inbox is emptied once a period of the loudspeaker; a ring of 64 packets is ample.
    ///
    /// # Errors
    /// [`Busy`] where the loudspeaker has not taken in the commands before.
    pub fn add_peer(&self, id: u8, inbox: HeapCons<AudioPacket>) -> Result<(), Busy> {
        let (voice, stats) = Voice::new(id, inbox).map_err(|_| Busy)?;
        lock(&self.mixer).try_push(MixerCommand::Add(voice)).map_err(|_| Busy)?;
        lock(&self.stats).insert(id, stats);
        Ok(())
    }

    /// Forgets the voice of peer `id`.
    ///
    /// # Errors
    /// [`Busy`] where the loudspeaker has not taken in the commands before.
    pub fn remove_peer(&self, id: u8) -> Result<(), Busy> {
        lock(&self.mixer).try_push(MixerCommand::Remove(id)).map_err(|_| Busy)?;
        lock(&self.stats).remove(&id);
        Ok(())
    }

    /// Uses another microphone or loudspeaker from now on. [`AudioEvent::Switched`](crate::AudioEvent::Switched) tells when; where it
    /// cannot be had, [`AudioEvent::NotSwitched`](crate::AudioEvent::NotSwitched) tells why, and the one before stays.
    ///
    /// A microphone that is `none` sends nothing, and one that follows it sends again.
    ///
    /// # Errors
    /// [`Busy`] where the devices have not taken in the commands before.
    pub fn set_device(&self, direction: Direction, spec: SoundSpec) -> Result<(), Busy> {
        self.owner.try_send(Message::Set(direction, spec)).map_err(|_| Busy)
    }

    /// Whether the others hear this microphone. The taps hear it in any case: a recording may be edited, a call cannot.
    pub fn set_muted(&self, muted: bool) {
        self.live.muted.store(muted, Ordering::Relaxed);
    }

    /// Whether this microphone is kept from the others.
    #[must_use]
    pub fn is_muted(&self) -> bool {
        self.live.muted.load(Ordering::Relaxed)
    }

    /// Whether anything is sent at all, as it is from the start unless the microphone is `none`.
    pub fn set_sending(&self, sending: bool) {
        self.live.paused.store(!sending, Ordering::Relaxed);
    }

    /// The microphone, untouched by muting, for one more consumer that may be up to `seconds` late. Dropping it ends it.
    ///
    /// # Errors
    /// [`Busy`] where there are as many consumers as can be (4), or the microphone has not taken in the ones before.
    pub fn record_tap(&self, seconds: f32) -> Result<MicTap, Busy> {
        let (feed, tap) = mic_tap(seconds);
        lock(&self.taps).try_push(feed).map_err(|_| Busy)?;
        Ok(tap)
    }

    /// The microphone's level.
    #[must_use]
    pub fn level(&self) -> Level {
        self.level.clone()
    }

    /// What became of peer `id`'s packets; `None` for a peer that was not added.
    #[must_use]
    pub fn stats(&self, id: u8) -> Option<PlayoutStats> {
        lock(&self.stats).get_mut(&id).map(|stats| *stats.read())
    }

    /// What the microphone and the live path did so far.
    #[must_use]
    pub fn live_stats(&self) -> LiveStats {
        let (counts, live) = (&self.counts, &self.live);
        LiveStats {
            captured_samples: counts.samples.load(Ordering::Relaxed),
            lost_live_samples: counts.lost_live.load(Ordering::Relaxed),
            lost_tap_samples: counts.lost_taps.load(Ordering::Relaxed),
            sent_frames: live.sent.load(Ordering::Relaxed),
            skipped_frames: live.skipped.load(Ordering::Relaxed),
            failed_frames: live.failed.load(Ordering::Relaxed),
            slowest_frame: Duration::from_nanos(live.slowest_ns.load(Ordering::Relaxed)),
        }
    }

    /// What the devices turned out to be.
    #[must_use]
    pub fn describe(&self) -> Description {
        let [mic, speaker] = lock(&self.shapes).clone();
        Description { mic, speaker }
    }
}

impl Drop for AudioEngine {
    fn drop(&mut self) {
        if let Some(thread) = self.owner_thread.take() {
            // A full channel is being emptied: the thread answers within a round, unless the sound server hangs.
            let _ = self.owner.try_send(Message::Stop);
            let patience = Instant::now() + CLOSE_TIMEOUT;
            while !thread.is_finished() && Instant::now() < patience {
                std::thread::sleep(Duration::from_millis(2));
                let _ = self.owner.try_send(Message::Stop);
            }
            if thread.is_finished() {
                let _ = thread.join();
            }
        }
        if let Some(thread) = self.live_thread.take() {
            self.live.stop.store(true, Ordering::Relaxed);
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
