//! The microphone and the loudspeaker before a call: nothing is sent, but the level is shown and what is missing is said.

use std::time::{Duration, Instant};

use hyperzoom_audio::{
    AudioConfig, AudioEngine, AudioError, AudioEvent, AudioEvents, Direction, FrameSize, SoundSpec,
};
use hyperzoom_media::{MediaKind, PacketSink};
use hyperzoom_timing::SharedClock;
use hyperzoom_ui_plugin::model::Loudness;

use super::super::meter::Meter;
use super::super::pending::{NoAnswer, Pending};
use super::super::words;

/// How often a device that could not be had is tried again.
const AGAIN: Duration = Duration::from_secs(2);

/// How long devices that are still being opened are waited for, when they are to be closed.
const PATIENCE: Duration = Duration::from_secs(15);

/// Both ends, in the order of [`Direction`]'s numbers.
const ENDS: [Direction; 2] = [Direction::Microphone, Direction::Loudspeaker];

/// Nobody listens yet.
struct Nobody;

impl PacketSink for Nobody {
    fn send(&mut self, _kind: MediaKind, _timestamp_ms: u32, _payload: &[u8]) {}
    fn skip(&mut self) {}
}

/// What is wrong with an end.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Fault {
    text: String,
    /// Whether something is heard, or played, all the same.
    works: bool,
    /// Whether it helps to ask for the device again. One that has worked before comes back by itself.
    retries: bool,
}

/// The devices of the first screen.
pub(in super::super) struct Sound {
    wanted: [String; 2],
    state: State,
    faults: [Option<Fault>; 2],
    again_at: [Instant; 2],
    meter: Meter,
}

enum State {
    Opening(Pending<Opened>),
    Open(Box<Open>),
    /// Not even stand-ins run: the machine has no thread left.
    Failed(Instant),
    Closed,
}

struct Opened {
    open: Result<Open, AudioError>,
    faults: [Option<Fault>; 2],
}

struct Open {
    engine: AudioEngine,
    events: AudioEvents,
    /// What was asked of it last.
    asked: [String; 2],
}

impl Sound {
    /// Begins to open the devices that these two texts mean: microphone and loudspeaker.
    pub(super) fn start(wanted: [String; 2]) -> Self {
        let now = Instant::now();
        let state = State::Opening(opening(wanted.clone()));
        Self { wanted, state, faults: [None, None], again_at: [now; 2], meter: Meter::default() }
    }

    /// Uses these devices from now on.
    pub(super) fn choose(&mut self, wanted: [String; 2]) {
        self.wanted = wanted;
    }

    /// Goes on.
    pub(super) fn turn(&mut self, now: Instant) {
        match &mut self.state {
            State::Opening(pending) => match pending.poll() {
                None => {}
                Some(Ok(Opened { open: Ok(open), faults })) => {
                    self.faults = faults;
                    self.again_at = [now + AGAIN; 2];
                    self.state = State::Open(Box::new(open));
                }
                Some(Ok(Opened { open: Err(error), .. })) => {
                    self.fail(now, words::of_sound(&error));
                }
                Some(Err(NoAnswer)) => {
                    self.fail(now, "The sound cannot be started: close some programs.".into());
                }
            },
            State::Open(open) => {
                while let Some(event) = open.events.poll() {
                    note(&event, &mut self.faults);
                }
                for (n, direction) in ENDS.into_iter().enumerate() {
                    let is_new = open.asked[n] != self.wanted[n];
                    let retries = self.faults[n].as_ref().is_some_and(|fault| fault.retries);
                    if is_new || (retries && now >= self.again_at[n]) {
                        self.again_at[n] = now + AGAIN;
                        let fault = open.ask(n, direction, &self.wanted[n]);
                        if is_new {
                            self.faults[n] = fault;
                        }
                    }
                }
            }
            State::Failed(since) if now.saturating_duration_since(*since) >= AGAIN => {
                self.state = State::Opening(opening(self.wanted.clone()));
            }
            State::Failed(_) | State::Closed => {}
        }
    }

    fn fail(&mut self, now: Instant, text: String) {
        self.faults[0] = Some(Fault { text, works: false, retries: false });
        self.state = State::Failed(now);
    }

    /// How loud the microphone is; none while nothing comes from it.
    pub(super) fn level(&mut self, now: Instant) -> Option<Loudness> {
        let State::Open(open) = &self.state else { return None };
        let peak = open.engine.level().take_peak();
        let works = self.faults[0].as_ref().is_none_or(|fault| fault.works);
        if open.asked[0] == "none" || !works {
            self.meter = Meter::default();
            return None;
        }
        // One that was told to be silent, and is not any more.
        if peak > 0.0 && self.faults[0].as_ref().is_some_and(|fault| fault.text.starts_with(SILENT)) {
            self.faults[0] = None;
        }
        Some(self.meter.read(now, peak))
    }

    /// What is wrong with the microphone and with the loudspeaker.
    pub(super) fn faults(&self) -> [Option<String>; 2] {
        self.faults.clone().map(|fault| fault.map(|fault| fault.text))
    }

    /// The engine, while it runs.
    pub(super) fn engine(&self) -> Option<&AudioEngine> {
        match &self.state {
            State::Open(open) => Some(&open.engine),
            State::Opening(_) | State::Failed(_) | State::Closed => None,
        }
    }
}

impl Drop for Sound {
    fn drop(&mut self) {
        // Who opens the same devices next finds them free.
        if let State::Opening(pending) = std::mem::replace(&mut self.state, State::Closed) {
            pending.put_away(PATIENCE);
        }
    }
}

impl Open {
    /// Asks for another device; what is wrong with the text.
    fn ask(&mut self, end: usize, direction: Direction, text: &str) -> Option<Fault> {
        let spec = match text.parse::<SoundSpec>() {
            Ok(spec) => spec,
            Err(error) => {
                text.clone_into(&mut self.asked[end]);
                let text = words::sentence(&error.to_string());
                return Some(Fault { text, works: false, retries: false });
            }
        };
        // Where it is too busy it is asked again in the next turn.
        if self.engine.set_device(direction, spec).is_ok() {
            text.clone_into(&mut self.asked[end]);
        }
        None
    }
}

/// How a notice of a silent microphone begins.
const SILENT: &str = "The microphone is silent";

/// What an event means for the two ends.
fn note(event: &AudioEvent, faults: &mut [Option<Fault>; 2]) {
    let fault = |text, works, retries| Some(Fault { text, works, retries });
    match event {
        AudioEvent::DeviceLost { direction, .. } => {
            let text = format!("The {direction} is gone. It is used again as soon as it is back.");
            faults[*direction as usize] = fault(text, false, false);
        }
        AudioEvent::DeviceBack { direction, .. } | AudioEvent::Switched { direction, .. } => {
            faults[*direction as usize] = None;
        }
        AudioEvent::FellBack { direction, wanted, shape } => {
            let text =
                format!("The {direction} \"{wanted}\" is gone: {} is used until it is back.", shape.device);
            faults[*direction as usize] = fault(text, true, false);
        }
        AudioEvent::NotSwitched { direction, reason, .. } => {
            faults[*direction as usize] = fault(words::sentence(reason), false, true);
        }
        AudioEvent::MicSilent { device, delivers } => {
            let why = if *delivers {
                "is it switched off by a key of its own, or muted in the system's settings?"
            } else {
                "is this program allowed to use it? Plug it in again, or choose another."
            };
            faults[0] =
                fault(format!("{SILENT}: {device} is open, and nothing comes from it; {why}"), true, false);
        }
        // It is said once more in the call, where it matters.
        AudioEvent::Warning(_) => {}
    }
}

fn opening(wanted: [String; 2]) -> Pending<Opened> {
    Pending::start("hz-preview-sound", move || open(wanted))
}

/// Opens both ends, or the one that can be had, and silence in the other's stead.
fn open(wanted: [String; 2]) -> Opened {
    let mut faults = [None, None];
    let mut specs = [SoundSpec::None, SoundSpec::None];
    for ((spec, text), fault) in specs.iter_mut().zip(&wanted).zip(&mut faults) {
        match text.parse::<SoundSpec>() {
            Ok(parsed) => *spec = parsed,
            Err(error) => {
                let text = words::sentence(&error.to_string());
                *fault = Some(Fault { text, works: false, retries: false });
            }
        }
    }
    let [mic, speaker] = specs;
    let failed =
        |error: &AudioError| Some(Fault { text: words::of_sound(error), works: false, retries: true });
    let started = start(&mic, &speaker).or_else(|error| {
        if matches!(error, AudioError::Hangs) {
            faults = [failed(&error), failed(&error)];
            return start(&SoundSpec::None, &SoundSpec::None);
        }
        start(&mic, &SoundSpec::None).inspect(|_| faults[1] = failed(&error)).or_else(|mics| {
            faults[0] = failed(&mics);
            start(&SoundSpec::None, &speaker).or_else(|speakers| {
                faults[1] = failed(&speakers);
                start(&SoundSpec::None, &SoundSpec::None)
            })
        })
    });
    Opened { open: started.map(|(engine, events)| Open { engine, events, asked: wanted }), faults }
}

fn start(mic: &SoundSpec, speaker: &SoundSpec) -> Result<(AudioEngine, AudioEvents), AudioError> {
    let config = AudioConfig {
        epoch: Instant::now(),
        mic: mic.clone(),
        speaker: speaker.clone(),
        frame: FrameSize::Ms10,
        bitrate: 32_000,
        clock: SharedClock::new(),
    };
    let (engine, events) = hyperzoom_audio::start(config, Box::new(Nobody))?;
    engine.set_sending(false);
    Ok((engine, events))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn until(sound: &mut Sound, what: &str, is_so: impl Fn(&mut Sound) -> bool) {
        let patience = Instant::now() + Duration::from_secs(20);
        while !is_so(sound) {
            sound.turn(Instant::now());
            std::thread::sleep(Duration::from_millis(5));
            assert!(Instant::now() < patience, "{what}: {:?}", sound.faults());
        }
    }

    #[test]
    fn a_microphone_that_cannot_be_had_is_told_and_the_next_choice_is_heard() {
        let missing = "file:/nowhere/voice.wav".to_owned();
        let mut sound = Sound::start([missing.clone(), "none".into()]);
        until(&mut sound, "the fault", |it| {
            it.faults()[0].as_ref().is_some_and(|text| text.contains("voice.wav"))
        });
        assert_eq!((sound.level(Instant::now()), sound.faults()[1].clone()), (None, None));
        sound.choose(["tone".into(), "none".into()]);
        until(&mut sound, "the tone", |it| {
            it.level(Instant::now()).is_some_and(|level| level.peak_db > -20.0) && it.faults() == [None, None]
        });
        // The one before is used on while the next cannot be had, but it is not what was chosen.
        sound.choose([missing, "none".into()]);
        until(&mut sound, "the fault again", |it| {
            it.faults()[0].is_some() && it.level(Instant::now()).is_none()
        });
        sound.choose(["tone".into(), "tone".into()]);
        until(&mut sound, "a loudspeaker that is none", |it| {
            it.faults()[1].is_some() && it.level(Instant::now()).is_some()
        });
    }

    #[test]
    fn a_text_that_means_nothing_is_a_fault_of_its_own() {
        let mut sound = Sound::start(["tone:0".into(), "none".into()]);
        until(&mut sound, "the fault", |it| {
            it.faults()[0].as_ref().is_some_and(|text| text.contains("frequency"))
        });
    }

    #[test]
    fn what_happens_to_a_device_is_told_until_it_is_over() {
        let mut faults = [None, None];
        let direction = Direction::Loudspeaker;
        note(&AudioEvent::DeviceLost { direction, reason: "unplugged".into() }, &mut faults);
        assert!(faults[1].as_ref().is_some_and(|it: &Fault| !it.works && !it.retries) && faults[0].is_none());
        let reason = "no loudspeaker is called \"X\"".to_owned();
        note(&AudioEvent::NotSwitched { direction, wanted: "X".into(), reason }, &mut faults);
        assert!(faults[1].as_ref().is_some_and(|it| it.retries && it.text.ends_with("\"X\".")));
        note(&AudioEvent::MicSilent { device: "Desk".into(), delivers: true }, &mut faults);
        assert!(faults[0].as_ref().is_some_and(|it| it.works && it.text.starts_with(SILENT)));
    }
}
