//! What the loudspeaker's callback plays: every peer's voice, pulled through its playout, added and limited.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use hyperzoom_media::AudioPacket;
use hyperzoom_playout::{Playout, PlayoutConfig, PlayoutStats};
use hyperzoom_timing::SharedClock;
use ringbuf::traits::{Consumer, Observer, Producer};
use ringbuf::{HeapCons, HeapProd};
use triple_buffer::{Input, Output, triple_buffer};

use crate::codec::{Decoder, frame_size};
use crate::convert::Play;
use crate::ears::Tape;
use crate::latency::{DeviceAhead, Transit};
use crate::meter::Level;
use crate::probe::{PROBE_SAMPLES, probe_sample};
use crate::tone::TonePlayer;

/// The most peers that can be heard at once: the design's three, and room for those who left and are still being put away.
pub(crate) const MAX_VOICES: usize = 8;

/// Samples that are mixed at a time.
const BLOCK: usize = 480;

/// The loudest that a voice can be made: +12 dB.
pub(crate) const MAX_VOLUME: f32 = 4.0;

/// A volume goes to another by so much a sample, from silence to full in 10 ms, so that it does not click.
const RAMP: f32 = 1.0 / 480.0;

/// What the mixer and the engine both have of a voice.
#[derive(Debug)]
pub(crate) struct VoiceShared {
    /// How loud it is to be, as an `f32`'s bits.
    pub(crate) volume: AtomicU32,
    /// How loud it comes, before that.
    pub(crate) level: Level,
    pub(crate) transit: Transit,
    /// The depth that the playout is to hold, in microseconds.
    pub(crate) held_us: AtomicU32,
}

impl VoiceShared {
    fn new(volume: f32) -> Self {
        Self {
            volume: AtomicU32::new(volume.to_bits()),
            level: Level::default(),
            transit: Transit::default(),
            held_us: AtomicU32::new(0),
        }
    }

    pub(crate) fn volume(&self) -> f32 {
        f32::from_bits(self.volume.load(Ordering::Relaxed))
    }
}

/// What the engine keeps of a voice that it has given to the mixer.
pub(crate) struct VoiceHandle {
    pub(crate) stats: Output<PlayoutStats>,
    pub(crate) shared: Arc<VoiceShared>,
}

/// One peer's voice.
pub(crate) struct Voice {
    id: u8,
    inbox: HeapCons<AudioPacket>,
    playout: Playout,
    decoder: Decoder,
    stats: Input<PlayoutStats>,
    shared: Arc<VoiceShared>,
    clock: SharedClock,
    /// What comes is copied onto it.
    tape: Tape,
    /// The mean square of what was played last, before its volume.
    power: f32,
    /// The volume at which the last sample was played.
    volume: f32,
}

impl Voice {
    /// A peer's voice, and what the engine keeps of it. `clock` is the one by which peers stamp their packets, and `tape` gets a copy of
    /// each.
    pub(crate) fn new(
        id: u8,
        inbox: HeapCons<AudioPacket>,
        volume: f32,
        clock: SharedClock,
        tape: Tape,
    ) -> Result<(Box<Self>, VoiceHandle), opus::Error> {
        let (stats, read) = triple_buffer(&PlayoutStats::default());
        let playout = Playout::new(PlayoutConfig::default());
        let shared = Arc::new(VoiceShared::new(volume));
        let handle = VoiceHandle { stats: read, shared: shared.clone() };
        let decoder = Decoder::new()?;
        let voice = Self { id, inbox, playout, decoder, stats, shared, clock, tape, power: 0.0, volume };
        Ok((Box::new(voice), handle))
    }

    fn receive(&mut self) {
        self.playout.hold_at_least(Duration::from_micros(self.shared.held_us.load(Ordering::Relaxed).into()));
        while let Some(packet) = self.inbox.try_pop() {
            // Every packet says how long its frame is, so that a peer may be set otherwise than we are, and may change it.
            if let Some(size) = frame_size(packet.payload())
                && size.samples() != self.playout.frame_samples()
            {
                self.playout.set_frame_samples(size.samples());
            }
            self.shared.transit.note(&packet, &self.clock);
            self.tape.note(&packet, self.power);
            self.playout.insert(&packet);
        }
    }

    /// Writes the next samples, as loud as they are to be.
    fn pull(&mut self, now: Duration, out: &mut [f32]) {
        self.playout.pull(now, out, &mut self.decoder);
        self.shared.level.note(out);
        if self.tape.is_wanted() {
            self.power = out.iter().map(|sample| sample * sample).sum::<f32>() / out.len().max(1) as f32;
        }
        let wanted = self.shared.volume();
        if self.volume == wanted {
            if wanted != 1.0 {
                out.iter_mut().for_each(|sample| *sample *= wanted);
            }
            return;
        }
        for sample in out {
            self.volume += (wanted - self.volume).clamp(-RAMP, RAMP);
            *sample *= self.volume;
        }
    }
}

/// What the mixer is told.
pub(crate) enum MixerCommand {
    Add(Box<Voice>),
    Remove(u8),
    /// The sync tone begins at that session time, in nanoseconds.
    Tone(i64),
    /// The probe begins now.
    Probe,
}

/// The voices, owned by whatever thread plays. Never blocks, allocates or frees.
pub(crate) struct Mixer {
    voices: [Option<Box<Voice>>; MAX_VOICES],
    commands: HeapCons<MixerCommand>,
    retired: HeapProd<Box<Voice>>,
    ahead: DeviceAhead,
    clock: SharedClock,
    tone: TonePlayer,
    /// The next sample of the probe that is being played.
    probe: usize,
    scratch: [f32; BLOCK],
}

impl Mixer {
    /// `retired` takes voices away to where they may be freed; it must hold [`MAX_VOICES`]. `ahead` is told what lies before what is
    /// mixed, and `clock` says when the sync tone is due.
    pub(crate) fn new(
        commands: HeapCons<MixerCommand>,
        retired: HeapProd<Box<Voice>>,
        ahead: DeviceAhead,
        clock: SharedClock,
    ) -> Self {
        let (tone, probe, scratch) = (TonePlayer::default(), PROBE_SAMPLES, [0.0; BLOCK]);
        Self { voices: [const { None }; MAX_VOICES], commands, retired, ahead, clock, tone, probe, scratch }
    }

    fn obey(&mut self) {
        // A command may retire one voice, so it waits while there is no room for that.
        while !self.retired.is_full() {
            let Some(command) = self.commands.try_pop() else { break };
            let dead = match command {
                MixerCommand::Remove(id) => self.take(id),
                MixerCommand::Tone(at_ns) => {
                    self.tone.add(at_ns);
                    None
                }
                MixerCommand::Probe => {
                    self.probe = 0;
                    None
                }
                MixerCommand::Add(voice) => {
                    // A voice of the same number takes the place of the one before it, as after a rejoin.
                    let old = self.take(voice.id);
                    match self.voices.iter_mut().find(|slot| slot.is_none()) {
                        Some(slot) => {
                            *slot = Some(voice);
                            old
                        }
                        None => Some(voice),
                    }
                }
            };
            if let Some(dead) = dead {
                let _ = self.retired.try_push(dead);
            }
        }
    }

    fn take(&mut self, id: u8) -> Option<Box<Voice>> {
        self.voices.iter_mut().find(|slot| slot.as_ref().is_some_and(|voice| voice.id == id))?.take()
    }
}

impl Play for Mixer {
    fn play(&mut self, now: Duration, out: &mut [f32]) {
        self.obey();
        for voice in self.voices.iter_mut().flatten() {
            voice.receive();
        }
        for block in out.chunks_mut(BLOCK) {
            block.fill(0.0);
            let scratch = &mut self.scratch[..block.len()];
            for voice in self.voices.iter_mut().flatten() {
                voice.pull(now, scratch);
                for (sum, sample) in block.iter_mut().zip(&*scratch) {
                    *sum += sample;
                }
            }
            self.tone.mix(now, &self.clock, block);
            if self.probe < PROBE_SAMPLES {
                block.iter_mut().zip(self.probe..).for_each(|(sample, n)| *sample += probe_sample(n));
                self.probe += block.len();
            }
            block.iter_mut().for_each(|sample| *sample = limit(*sample));
        }
        for voice in self.voices.iter_mut().flatten() {
            voice.stats.write(voice.playout.stats());
        }
    }

    fn ahead(&mut self, device: Duration, resampler: Duration) {
        self.ahead.tell(device, resampler);
        self.tone.period(device + resampler);
    }
}

/// Where limiting begins: −2 dBFS. Below it nothing is changed at all.
const KNEE: f32 = 0.8;

/// Bends what is above the knee so that it never reaches beyond 1, instead of clipping it.
fn limit(sample: f32) -> f32 {
    let over = sample.abs() - KNEE;
    if over <= 0.0 { sample } else { (KNEE + (1.0 - KNEE) * (over / (1.0 - KNEE)).tanh()).copysign(sample) }
}

#[cfg(test)]
mod tests {
    use ringbuf::HeapRb;
    use ringbuf::traits::Split;

    use super::*;
    use hyperzoom_playout::FrameSize;

    use crate::codec::{Encoder, MAX_PAYLOAD};

    struct Rig {
        mixer: Mixer,
        commands: HeapProd<MixerCommand>,
        retired: HeapCons<Box<Voice>>,
        /// Periods that were played.
        periods: usize,
    }

    fn rig(retire: usize) -> Rig {
        let (commands, receive) = HeapRb::new(32).split();
        let (retire, retired) = HeapRb::new(retire).split();
        Rig {
            mixer: Mixer::new(receive, retire, DeviceAhead::default(), SharedClock::new()),
            commands,
            retired,
            periods: 0,
        }
    }

    struct Peer {
        send: HeapProd<AudioPacket>,
        encoder: Encoder,
        size: FrameSize,
        sequence: u64,
        hz: f32,
        handle: VoiceHandle,
    }

    impl Rig {
        fn peer(&mut self, id: u8, size: FrameSize, hz: f32) -> Peer {
            let (send, inbox) = HeapRb::new(64).split();
            let (voice, handle) = Voice::new(
                id,
                inbox,
                1.0,
                SharedClock::new(),
                crate::ears::VoiceEars::new(SharedClock::new()).tape().0,
            )
            .unwrap();
            self.commands.try_push(MixerCommand::Add(voice)).ok().unwrap();
            Peer { send, encoder: Encoder::new(size, 64_000).unwrap(), size, sequence: 0, hz, handle }
        }

        /// Plays `ms` milliseconds in periods of 2.5 ms, while the peers talk.
        fn play(&mut self, peers: &mut [&mut Peer], ms: u64) -> Vec<f32> {
            let mut out = vec![0.0; ms as usize * 48];
            for period in out.chunks_mut(120) {
                let n = self.periods;
                self.periods += 1;
                let now = Duration::from_micros(n as u64 * 2500);
                for peer in &mut *peers {
                    if n.is_multiple_of(peer.size.samples() / 120) {
                        peer.talk(now);
                    }
                }
                self.mixer.play(now, period);
            }
            out
        }
    }

    impl Peer {
        fn talk(&mut self, now: Duration) {
            let samples = self.size.samples();
            let step = std::f32::consts::TAU * self.hz / 48_000.0;
            let at = |n: usize| (self.sequence as usize * samples + n) as f32;
            let frame: Vec<f32> = (0..samples).map(|n| 0.3 * (step * at(n)).sin()).collect();
            let mut payload = [0; MAX_PAYLOAD];
            let len = self.encoder.encode(&frame, &mut payload).unwrap();
            self.send.try_push(AudioPacket::new(self.sequence, now, 0, &payload[..len]).unwrap()).unwrap();
            self.sequence += 1;
        }
    }

    /// The amplitude of a frequency in `samples`.
    fn amplitude(samples: &[f32], hz: f32) -> f32 {
        let step = std::f32::consts::TAU * hz / 48_000.0;
        let sum = |f: fn(f32) -> f32| -> f32 {
            samples.iter().enumerate().map(|(n, sample)| sample * f(step * n as f32)).sum()
        };
        2.0 * sum(f32::sin).hypot(sum(f32::cos)) / samples.len() as f32
    }

    #[test]
    fn two_peers_of_different_frame_sizes_are_heard_together() {
        let mut rig = rig(8);
        let mut a = rig.peer(1, FrameSize::Ms2_5, 500.0);
        let mut b = rig.peer(2, FrameSize::Ms10, 1300.0);
        let heard = rig.play(&mut [&mut a, &mut b], 500);
        let steady = &heard[14_400..];
        for hz in [500.0, 1300.0] {
            let amplitude = amplitude(steady, hz);
            assert!((amplitude - 0.3).abs() < 0.03, "{hz} Hz has an amplitude of {amplitude}");
        }
        assert!(amplitude(steady, 900.0) < 0.01);
        assert_eq!((a.handle.stats.read().received, a.handle.stats.read().lost), (200, 0));
        assert_eq!((b.handle.stats.read().received, b.handle.stats.read().lost), (50, 0));
    }

    #[test]
    fn a_change_of_volume_is_heard_and_makes_no_click() {
        let mut rig = rig(8);
        let mut peer = rig.peer(1, FrameSize::Ms5, 500.0);
        rig.play(&mut [&mut peer], 500);
        let mut heard = Vec::new();
        for volume in [1.0_f32, 0.25, 0.0, 1.5] {
            peer.handle.shared.volume.store(volume.to_bits(), Ordering::Relaxed);
            let part = rig.play(&mut [&mut peer], 100);
            let steady = amplitude(&part[part.len() - 2400..], 500.0);
            assert!((steady - 0.3 * volume).abs() < 0.02, "{steady} at volume {volume}");
            heard.extend(part);
        }
        let step = heard.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f32::max);
        assert!(step < 0.035, "the greatest step between two samples is {step}; the sine's own is 0.029");
        let level = peer.handle.shared.level.take_peak();
        assert!((0.25..0.4).contains(&level), "the level is {level}, before the volume");
    }

    #[test]
    fn the_probe_is_played_whole_from_when_it_is_asked_for() {
        let mut rig = rig(8);
        assert!(rig.play(&mut [], 20).iter().all(|sample| *sample == 0.0));
        rig.commands.try_push(MixerCommand::Probe).ok().unwrap();
        let heard = rig.play(&mut [], 500);
        assert!(heard.iter().enumerate().all(|(n, sample)| *sample == probe_sample(n)));
        assert!(rig.play(&mut [], 20).iter().all(|sample| *sample == 0.0));
    }

    #[test]
    fn removed_voices_are_handed_back_rather_than_dropped() {
        let mut rig = rig(1);
        let _peers = [rig.peer(1, FrameSize::Ms5, 500.0), rig.peer(2, FrameSize::Ms5, 500.0)];
        for id in [1, 2, 3] {
            rig.commands.try_push(MixerCommand::Remove(id)).ok().unwrap();
        }
        rig.mixer.play(Duration::ZERO, &mut [0.0; 10]);
        assert_eq!(rig.retired.try_pop().unwrap().id, 1);
        assert!(rig.retired.try_pop().is_none(), "the second waits for room");
        rig.mixer.play(Duration::ZERO, &mut [0.0; 10]);
        assert_eq!(rig.retired.try_pop().unwrap().id, 2);
    }

    #[test]
    fn a_peer_who_comes_back_takes_its_own_place() {
        let mut rig = rig(8);
        let mut old = rig.peer(1, FrameSize::Ms5, 500.0);
        rig.play(&mut [&mut old], 20);
        let mut new = rig.peer(1, FrameSize::Ms5, 700.0);
        let heard = rig.play(&mut [&mut new], 400);
        assert!(rig.retired.try_pop().is_some() && rig.retired.try_pop().is_none());
        assert!(amplitude(&heard[9600..], 700.0) > 0.25);
    }

    #[test]
    fn one_voice_too_many_is_handed_back() {
        let mut rig = rig(8);
        let _peers: Vec<Peer> =
            (0..=MAX_VOICES as u8).map(|id| rig.peer(id, FrameSize::Ms5, 500.0)).collect();
        rig.mixer.play(Duration::ZERO, &mut [0.0; 10]);
        assert_eq!(rig.retired.try_pop().unwrap().id, MAX_VOICES as u8);
    }

    #[test]
    fn the_limiter_leaves_a_single_voice_alone_and_never_clips() {
        assert_eq!(limit(-0.79), -0.79);
        assert!((limit(0.801) - 0.801).abs() < 1e-4, "it begins without a step");
        let mut last = 0.0;
        for n in 0..1000 {
            let bent = limit(n as f32 * 0.01);
            assert!(bent >= last && bent <= 1.0);
            last = bent;
        }
        assert_eq!(limit(-5.0), -limit(5.0));
    }

    #[test]
    fn playing_does_not_touch_the_heap() {
        let mut rig = rig(8);
        let mut peers = [rig.peer(1, FrameSize::Ms2_5, 500.0), rig.peer(2, FrameSize::Ms10, 700.0)];
        for n in 0..400_u64 {
            let now = Duration::from_micros(n * 2500);
            for (id, peer) in peers.iter_mut().enumerate() {
                // Each loses a packet now and then, so that concealment is played as well; one has an outage.
                let lost = n % 37 == 5 || (id == 0 && (200..300).contains(&n));
                if n.is_multiple_of(peer.size.samples() as u64 / 120) && !lost {
                    peer.talk(now);
                } else if lost {
                    peer.sequence += 1;
                }
            }
            if n == 350 {
                rig.commands.try_push(MixerCommand::Remove(2)).ok().unwrap();
            }
            let mut out = [0.0; 120];
            let calls = crate::heap_use::heap_calls(|| rig.mixer.play(now, &mut out));
            assert_eq!(calls, 0, "period {n}");
        }
        assert!(peers[0].handle.stats.read().concealed_frames > 0 && rig.retired.try_pop().is_some());
    }
}
