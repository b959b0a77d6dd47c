//! A call in virtual time: a speaker with a sound card of its own, a bad network, and a listener's playback callback.
#![allow(dead_code, reason = "each test file uses its share")]

use std::f64::consts::TAU;
use std::time::Duration;

use hyperzoom_media::AudioPacket;
use hyperzoom_netem::{Conditions, Link};
use hyperzoom_playout::{FrameDecoder, Playout, PlayoutConfig};

pub(crate) const RATE: f64 = 48_000.0;

/// A codec whose payload is the frame's number, and whose sound is a tone that goes on from frame to frame.
#[derive(Debug, Clone)]
pub(crate) struct Tone {
    pub(crate) hz: f64,
    pub(crate) conceals: u64,
    pub(crate) resets: u64,
    /// Whether each packet carries the frame this far back as well.
    pub(crate) copy_of: Option<u32>,
}

impl Default for Tone {
    fn default() -> Self {
        Self { hz: 440.0, conceals: 0, resets: 0, copy_of: None }
    }
}

impl Tone {
    fn write(&self, number: u64, out: &mut [f32]) {
        let first = number * out.len() as u64;
        for (i, sample) in out.iter_mut().enumerate() {
            // Whole turns are taken off first: an hour's phase does not fit.
            let turns = ((first + i as u64) as f64 * self.hz / RATE).fract();
            *sample = (TAU * turns).sin() as f32;
        }
    }
}

impl FrameDecoder for Tone {
    fn decode(&mut self, payload: &[u8], out: &mut [f32]) -> bool {
        let Ok(number) = payload.try_into().map(u64::from_be_bytes) else { return false };
        self.write(number, out);
        true
    }

    fn conceal(&mut self, out: &mut [f32]) {
        self.conceals += 1;
        out.fill(0.0);
    }

    fn reset(&mut self) {
        self.resets += 1;
    }

    fn recover(&mut self, later_payload: &[u8], distance: u32, out: &mut [f32]) -> bool {
        let Ok(later) = later_payload.try_into().map(u64::from_be_bytes) else { return false };
        let has_it = self.carries(later_payload, distance);
        if has_it {
            self.write(later - u64::from(distance), out);
        }
        has_it
    }

    fn carries(&self, _: &[u8], distance: u32) -> bool {
        self.copy_of == Some(distance)
    }
}

/// A decoder that costs nothing, for a simulation of hours.
pub(crate) struct Nothing;

impl FrameDecoder for Nothing {
    fn decode(&mut self, _: &[u8], _: &mut [f32]) -> bool {
        true
    }

    fn conceal(&mut self, _: &mut [f32]) {}

    fn reset(&mut self) {}
}

pub(crate) fn packet(sequence: u64, arrived: Duration) -> AudioPacket {
    AudioPacket::new(sequence, arrived, 0, &sequence.to_be_bytes()).expect("eight bytes fit")
}

/// How a device asks for its periods.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Device {
    /// One by one.
    Steady,
    /// So many at once, and then none until they were played.
    Bursts(u64),
    /// One by one, but ten times a second not at all for so many milliseconds. Then it asks for all that it missed.
    CatchesUp(u32),
    /// The same, but what it missed is lost.
    Loses(u32),
}

/// One direction of a call. The listener's clock is true; the speaker's is `speaker_ppm` fast.
pub(crate) struct Call {
    pub(crate) playout: Playout,
    pub(crate) link: Link,
    pub(crate) frame: usize,
    pub(crate) period: usize,
    pub(crate) speaker_ppm: f64,
    pub(crate) sent: u64,
    pub(crate) pulled: u64,
    /// While it is set, frames are numbered but not sent.
    pub(crate) muted: bool,
    /// How long the speaker's device has stood still in all, in seconds: what was spoken meanwhile is lost.
    speaker_stood: f64,
    out: Vec<f32>,
}

impl Call {
    pub(crate) fn new(frame: usize, period: usize, conditions: Conditions, speaker_ppm: f64) -> Self {
        Self {
            playout: Playout::new(PlayoutConfig::for_frames_of(frame)),
            link: Link::new(conditions, 7),
            frame,
            period,
            speaker_ppm,
            sent: 0,
            pulled: 0,
            muted: false,
            speaker_stood: 0.0,
            out: vec![0.0; period],
        }
    }

    pub(crate) fn now(&self) -> Duration {
        Duration::from_secs_f64(self.pulled as f64 * self.period as f64 / RATE)
    }

    /// Runs on for so long; `heard` gets each block with its moment.
    pub(crate) fn run(
        &mut self,
        seconds: f64,
        decoder: &mut dyn FrameDecoder,
        heard: impl FnMut(Duration, &[f32]),
    ) {
        self.run_in_bursts(1, seconds, decoder, heard);
    }

    /// The same, with a sound server that asks for so many periods one after the other, and then for none until they
    /// were played.
    pub(crate) fn run_in_bursts(
        &mut self,
        periods: u64,
        seconds: f64,
        decoder: &mut dyn FrameDecoder,
        mut heard: impl FnMut(Duration, &[f32]),
    ) {
        let until = self.now() + Duration::from_secs_f64(seconds);
        while self.now() < until {
            let now = self.now();
            self.exchange(now);
            for n in 0..periods {
                // A callback takes its time.
                let now = now + Duration::from_micros(20 * n);
                self.playout.pull(now, &mut self.out, decoder);
                heard(now, &self.out);
            }
            self.pulled += periods;
        }
    }

    /// Time goes on, but the playback callback does not run.
    pub(crate) fn stall(&mut self, seconds: f64) {
        let until = self.now() + Duration::from_secs_f64(seconds);
        while self.now() < until {
            self.exchange(self.now());
            self.pulled += 1;
        }
    }

    /// Time goes on, but both devices stand still: no frames are sent, and what was spoken meanwhile is lost.
    pub(crate) fn stall_both(&mut self, seconds: f64) {
        let periods = (seconds * RATE / self.period as f64).ceil();
        self.speaker_stood += periods * self.period as f64 / RATE;
        self.pulled += periods as u64;
    }

    /// As [`stall`](Self::stall), and afterwards the callback runs for all the periods that it missed, at once.
    pub(crate) fn stall_and_catch_up(
        &mut self,
        seconds: f64,
        decoder: &mut dyn FrameDecoder,
        mut heard: impl FnMut(Duration, &[f32]),
    ) {
        let before = self.pulled;
        self.stall(seconds);
        let now = self.now();
        self.exchange(now);
        for n in before..self.pulled {
            let now = now + Duration::from_micros(20 * (n - before));
            self.playout.pull(now, &mut self.out, decoder);
            heard(now, &self.out);
        }
    }

    /// Runs on for so long on such a device; `heard` gets each block with the moment at which it is played, when the
    /// first of a burst is played at once.
    pub(crate) fn run_on(
        &mut self,
        device: Device,
        seconds: f64,
        decoder: &mut dyn FrameDecoder,
        mut heard: impl FnMut(Duration, &[f32]),
    ) {
        let period = Duration::from_secs_f64(self.period as f64 / RATE);
        let until = self.now() + Duration::from_secs_f64(seconds);
        while self.now() < until {
            match device {
                Device::Steady => self.run(0.1, decoder, &mut heard),
                Device::Bursts(periods) => {
                    let mut n = 0;
                    self.run_in_bursts(periods, 0.1, decoder, |now, block| {
                        heard(now + period * (n % periods) as u32, block);
                        n += 1;
                    });
                }
                Device::CatchesUp(ms) => {
                    let stall = f64::from(ms) / 1e3;
                    self.run(0.1 - stall, decoder, &mut heard);
                    let (mut n, from) = (0, self.now());
                    self.stall_and_catch_up(stall, decoder, |_, block| {
                        heard(from + period * n, block);
                        n += 1;
                    });
                }
                Device::Loses(ms) => {
                    let stall = f64::from(ms) / 1e3;
                    self.run(0.1 - stall, decoder, &mut heard);
                    self.stall(stall);
                }
            }
        }
    }

    fn exchange(&mut self, now: Duration) {
        loop {
            // A frame is sent when its last sample was captured.
            let at = (self.sent + 1) as f64 * self.frame as f64 / RATE / (1.0 + self.speaker_ppm * 1e-6);
            let at = Duration::from_secs_f64(at + self.speaker_stood);
            if at > now {
                break;
            }
            if !self.muted {
                self.link.send(at, self.sent.to_be_bytes().to_vec());
            }
            self.sent += 1;
        }
        while let Some((at, datagram)) = self.link.poll_timed(now) {
            let number = u64::from_be_bytes(datagram.try_into().expect("eight bytes were sent"));
            self.playout.insert(&packet(number, at));
        }
    }
}

pub(crate) fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
