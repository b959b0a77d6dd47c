//! Whether the others will hear themselves: a probe is played, and what comes back through the microphone is measured.

use std::time::{Duration, Instant};

use hyperzoom_audio::{AudioEngine, Coupling, PROBE_SAMPLES, coupling};
use hyperzoom_media::{MicTap, SAMPLE_RATE};
use hyperzoom_ui_plugin::model::Bleed;

use super::super::pending::Pending;

/// The microphone is listened to for so long after the probe was asked for: what is on its way through loudspeaker, room and microphone
/// takes a part of that.
const LISTENS: usize = PROBE_SAMPLES + 5 * SAMPLE_RATE as usize / 4;

/// Devices that take longer than this to do it do not work.
const PATIENCE: Duration = Duration::from_secs(5);

/// The test, and what it found last.
#[derive(Default)]
pub(super) struct Headphones {
    found: Bleed,
    test: Option<Test>,
}

enum Test {
    Listening {
        tap: MicTap,
        heard: Vec<f32>,
        /// The probe was asked for.
        played: bool,
        until: Instant,
    },
    Reckoning(Pending<Coupling>),
}

impl Headphones {
    /// Begins a test, where none goes on.
    pub(super) fn begin(&mut self, now: Instant, engine: Option<&AudioEngine>) {
        let tap = engine.filter(|_| self.test.is_none()).and_then(|engine| engine.record_tap(4.0).ok());
        if let Some(tap) = tap {
            let heard = Vec::with_capacity(LISTENS);
            self.test = Some(Test::Listening { tap, heard, played: false, until: now + PATIENCE });
        }
    }

    /// Other devices are used: nothing is known of them.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// Goes on.
    pub(super) fn turn(&mut self, now: Instant, engine: Option<&AudioEngine>) {
        let (Some(engine), Some(test)) = (engine, &mut self.test) else {
            self.test = None;
            return;
        };
        match test {
            Test::Listening { tap, heard, played, until } => {
                let mut block = [0.0; 4800];
                loop {
                    // Blocks whose marks nobody takes are lost in the end.
                    while tap.next_mark().is_some() {}
                    let n = tap.read(&mut block);
                    if n == 0 {
                        break;
                    }
                    // It is played when the microphone is known to hear.
                    if !*played {
                        *played = engine.play_probe().is_ok();
                    } else {
                        heard.extend_from_slice(&block[..n]);
                    }
                }
                if heard.len() >= LISTENS {
                    let heard = std::mem::take(heard);
                    *test = Test::Reckoning(Pending::start("hz-headphones", move || coupling(&heard)));
                } else if now >= *until {
                    self.end(Bleed::Unknown);
                }
            }
            Test::Reckoning(pending) => match pending.poll() {
                None => {}
                Some(Ok(Coupling::None)) => self.end(Bleed::None),
                Some(Ok(Coupling::At(db))) => self.end(Bleed::Coupled(db)),
                Some(Ok(Coupling::Unknown) | Err(_)) => self.end(Bleed::Unknown),
            },
        }
    }

    fn end(&mut self, found: Bleed) {
        *self = Self { found, test: None };
    }

    /// What is known.
    pub(super) fn bleed(&self) -> Bleed {
        if self.test.is_some() { Bleed::Testing } else { self.found }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::studio::preview::sound::Sound;

    #[test]
    fn a_microphone_that_hears_something_else_hears_no_loudspeaker() {
        let patience = Instant::now() + Duration::from_secs(30);
        let mut sound = Sound::start(["none".into(), "none".into()]);
        let mut headphones = Headphones::default();
        assert_eq!(headphones.bleed(), Bleed::Unknown);
        let mut seen = vec![headphones.bleed()];
        while *seen.last().unwrap() != Bleed::None {
            let now = Instant::now();
            sound.turn(now);
            if seen.len() == 1 {
                headphones.begin(now, sound.engine());
            }
            headphones.turn(now, sound.engine());
            if *seen.last().unwrap() != headphones.bleed() {
                seen.push(headphones.bleed());
            }
            assert!(now < patience, "{seen:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(seen, [Bleed::Unknown, Bleed::Testing, Bleed::None]);
        headphones.forget();
        assert_eq!(headphones.bleed(), Bleed::Unknown);
    }
}
