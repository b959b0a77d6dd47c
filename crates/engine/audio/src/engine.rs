//! The engine as the rest of the program holds it.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hyperzoom_media::{AudioPacket, Ears, MicFeed, MicTap, PacketSink, mic_tap};
use hyperzoom_playout::{FrameSize, PlayoutStats, Repair};
use hyperzoom_timing::SharedClock;
use ringbuf::traits::{Consumer, Producer, Split};
use ringbuf::{HeapCons, HeapProd, HeapRb};

use crate::capture::{Capture, CaptureCounts, MAX_TAPS};
use crate::codec::Encoder;
use crate::devices::Direction;
use crate::ears::VoiceEars;
use crate::error::{AudioError, Busy};
use crate::events::{AudioEvents, events};
use crate::latency::{DeviceAhead, Latency, SendLatency};
use crate::live::{LIVE_RING_SECONDS, Live, LiveShared};
use crate::meter::Level;
use crate::mixer::{MAX_VOICES, MAX_VOLUME, Mixer, MixerCommand, Voice, VoiceHandle};
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
    /// Bits a second of the voice that is sent in frames of 5 ms, without copies; the spec's §4.2 has 32 000. Frames of
    /// 2.5 ms have [more](FrameSize::bitrate).
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
    /// How long it took, all frames together.
    pub busy: Duration,
    /// Frames for which it took longer than they last.
    pub overruns: u64,
    /// What this machine adds to the way from its microphone to the others.
    pub latency: SendLatency,
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
    voices: Mutex<BTreeMap<u8, VoiceHandle>>,
    clock: SharedClock,
    ahead: DeviceAhead,
    ears: VoiceEars,
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
    live_shared.set_size(config.frame);
    // A microphone that is none has nothing to say.
    live_shared.paused.store(config.mic == SoundSpec::None, Ordering::Relaxed);
    let live = Live {
        tap,
        encoder: Encoder::new(
            config.frame,
            i32::try_from(config.frame.bitrate(config.bitrate)).unwrap_or(i32::MAX),
        )?,
        bitrate: config.bitrate,
        sink,
        clock: config.clock.clone(),
        epoch: config.epoch,
        shared: live_shared.clone(),
    };
    let live_thread = live.spawn(refusal.clone())?;

    let (add_tap, new_taps) = HeapRb::new(MAX_TAPS).split();
    let (retire_tap, retired_taps) = HeapRb::new(MAX_TAPS).split();
    let wake = live_thread.thread().clone();
    let capture = Capture::new(feed, wake, new_taps, retire_tap, level.clone(), counts.clone());

    let (command, commands) = HeapRb::new(2 * MAX_VOICES).split();
    let (retire_voice, retired_voices) = HeapRb::new(MAX_VOICES).split();
    let ahead = DeviceAhead::default();
    let mixer = Mixer::new(commands, retire_voice, ahead.clone(), config.clock.clone());

    let (owner_sender, messages) = sync_channel(16);
    let (event_sender, audio_events) = events();
    let shapes = Shapes::default();
    let ears = VoiceEars::new(config.clock.clone());
    let owner = Owner {
        epoch: config.epoch,
        refusal,
        messages,
        to_self: owner_sender.clone(),
        events: event_sender,
        shapes: shapes.clone(),
        counts: counts.clone(),
        live: live_shared.clone(),
        ears: ears.clone(),
        garbage: Garbage { voices: retired_voices, taps: retired_taps },
        latest: Default::default(),
    };
    let mut engine = AudioEngine {
        mixer: Mutex::new(command),
        taps: Mutex::new(add_tap),
        voices: Mutex::default(),
        clock: config.clock,
        ahead,
        ears,
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
            // It may come to its senses later: it would keep the devices.
            let _ = engine.owner.try_send(Message::Stop);
            return Err(AudioError::Hangs);
        }
    }
    Ok((engine, audio_events))
}

impl AudioEngine {
    /// Plays what comes in `inbox` as the voice of peer `id`, in the place of the voice that it had before, if any.
    ///
    /// It is as loud as the one before it; a new one as loud as it comes.
    ///
    /// The inbox is emptied once a period of the loudspeaker; a ring of 64 packets is ample.
    ///
    /// # Errors
    /// [`Busy`] where the loudspeaker has not taken in the commands before.
    pub fn add_peer(&self, id: u8, inbox: HeapCons<AudioPacket>) -> Result<(), Busy> {
        let mut voices = lock(&self.voices);
        let volume = voices.get(&id).map_or(1.0, |voice| voice.shared.volume());
        let (tape, reel) = self.ears.tape();
        let (voice, handle) = Voice::new(id, inbox, volume, self.clock.clone(), tape).map_err(|_| Busy)?;
        lock(&self.mixer).try_push(MixerCommand::Add(voice)).map_err(|_| Busy)?;
        self.ears.follow(id, reel);
        voices.insert(id, handle);
        Ok(())
    }

    /// Forgets the voice of peer `id`.
    ///
    /// # Errors
    /// [`Busy`] where the loudspeaker has not taken in the commands before.
    pub fn remove_peer(&self, id: u8) -> Result<(), Busy> {
        lock(&self.mixer).try_push(MixerCommand::Remove(id)).map_err(|_| Busy)?;
        lock(&self.voices).remove(&id);
        Ok(())
    }

    /// Plays the sync tone from `at_ns` of session time on, in nanoseconds. Where too many are to come it takes the place of the first of them.
    ///
    /// # Errors
    /// [`Busy`] where the loudspeaker has not taken in the commands before.
    pub fn play_tone(&self, at_ns: i64) -> Result<(), Busy> {
        lock(&self.mixer).try_push(MixerCommand::Tone(at_ns)).map_err(|_| Busy)
    }

    /// Plays the [probe](crate::probe_sample) now, to find out with [`coupling`](crate::coupling) whether the microphone hears the loudspeaker.
    ///
    /// # Errors
    /// [`Busy`] where the loudspeaker has not taken in the commands before.
    pub fn play_probe(&self) -> Result<(), Busy> {
        lock(&self.mixer).try_push(MixerCommand::Probe).map_err(|_| Busy)
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

    /// Which earlier frames the packets carry copies of from now on, for those who lose some; none at the start.
    pub fn set_repair(&self, repair: Repair) {
        self.live.set_repair(repair);
    }

    /// How much sound each packet holds from the next one on.
    pub fn set_frame_size(&self, size: FrameSize) {
        self.live.set_size(size);
    }

    /// How much sound each packet holds.
    #[must_use]
    pub fn frame_size(&self) -> FrameSize {
        self.live.size()
    }

    /// The jitter buffer of peer `id` is to be no shallower than `depth`, for the copies that the peer sends; zero for as shallow as
    /// the network allows.
    pub fn hold_depth(&self, id: u8, depth: Duration) {
        if let Some(voice) = lock(&self.voices).get(&id) {
            let held_us = u32::try_from(depth.as_micros()).unwrap_or(u32::MAX);
            voice.shared.held_us.store(held_us, Ordering::Relaxed);
        }
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

    /// A take begins: from now on a little of each peer's voice is kept, as it comes over the network, and what was kept before is
    /// forgotten. Whoever records asks for it at the end; it outlives the engine.
    #[must_use]
    pub fn ears(&self) -> Arc<dyn Ears> {
        self.ears.begin();
        Arc::new(self.ears.clone())
    }

    /// The microphone's level.
    #[must_use]
    pub fn level(&self) -> Level {
        self.level.clone()
    }

    /// What became of peer `id`'s packets; `None` for a peer that was not added.
    #[must_use]
    pub fn stats(&self, id: u8) -> Option<PlayoutStats> {
        lock(&self.voices).get_mut(&id).map(|voice| *voice.stats.read())
    }

    /// How long it takes from peer `id`'s mouth to this ear; `None` for a peer that was not added, or that has not been heard yet,
    /// and while the session clock is not known.
    #[must_use]
    pub fn latency(&self, id: u8) -> Option<Latency> {
        let mut voices = lock(&self.voices);
        let voice = voices.get_mut(&id)?;
        let stats = *voice.stats.read();
        voice.shared.transit.latency(&stats, &self.ahead, &self.clock)
    }

    /// Makes peer `id` louder or less loud: 1 is as it comes, 0 is silence, and 4 (+12 dB) is the most. What lies beyond is taken for
    /// the nearest of these, and what is no number for silence. False for a peer that was not added.
    pub fn set_volume(&self, id: u8, volume: f32) -> bool {
        let voices = lock(&self.voices);
        let Some(voice) = voices.get(&id) else { return false };
        let volume = if volume.is_nan() { 0.0 } else { volume.clamp(0.0, MAX_VOLUME) };
        voice.shared.volume.store(volume.to_bits(), Ordering::Relaxed);
        true
    }

    /// How loud peer `id` comes, before [`set_volume`](Self::set_volume); `None` for a peer that was not added.
    #[must_use]
    pub fn peer_level(&self, id: u8) -> Option<Level> {
        lock(&self.voices).get(&id).map(|voice| voice.shared.level.clone())
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
            busy: Duration::from_nanos(live.busy_ns.load(Ordering::Relaxed)),
            overruns: live.overruns.load(Ordering::Relaxed),
            latency: live.means.get(),
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

#[cfg(test)]
mod tests {
    use hyperzoom_media::MediaKind;

    use super::*;

    struct Void;

    impl PacketSink for Void {
        fn send(&mut self, _kind: MediaKind, _timestamp_ms: u32, _payload: &[u8]) {}
        fn skip(&mut self) {}
    }

    #[test]
    fn a_peers_volume_is_kept_within_its_bounds_and_by_who_comes_back() {
        let config = AudioConfig {
            epoch: Instant::now(),
            mic: SoundSpec::None,
            speaker: SoundSpec::None,
            frame: FrameSize::Ms5,
            bitrate: 32_000,
            clock: SharedClock::new(),
        };
        let (engine, _events) = start(config, Box::new(Void)).unwrap();
        let inbox = || HeapRb::new(8).split().1;
        let volume = || lock(&engine.voices).get(&1).unwrap().shared.volume();
        assert!(!engine.set_volume(1, 0.5) && engine.peer_level(1).is_none(), "nobody is there");
        engine.add_peer(1, inbox()).unwrap();
        assert_eq!(volume(), 1.0);
        for (wanted, is) in
            [(0.5, 0.5), (9.0, 4.0), (-1.0, 0.0), (f32::INFINITY, 4.0), (f32::NAN, 0.0), (2.0, 2.0)]
        {
            assert!(engine.set_volume(1, wanted));
            assert_eq!(volume(), is, "{wanted}");
        }
        engine.add_peer(1, inbox()).unwrap();
        assert_eq!(volume(), 2.0, "the same person");
        engine.remove_peer(1).unwrap();
        engine.add_peer(1, inbox()).unwrap();
        assert_eq!(volume(), 1.0, "a new person");
        assert_eq!(engine.latency(1), None, "who has not been heard yet");
    }
}
