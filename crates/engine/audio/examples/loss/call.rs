//! One direction of a call in virtual time, through the product's own encoder, decoder and playout.

use std::time::Duration;

use hyperzoom_audio::{Decoder, Encoder, FrameSize, MAX_PAYLOAD};
use hyperzoom_media::AudioPacket;
use hyperzoom_netem::Link;
use hyperzoom_playout::{Playout, PlayoutConfig};

use crate::feedback::Feedback;

const RATE: f64 = 48_000.0;
/// What the listener's sound card takes at once: 2.5 ms.
pub(crate) const PERIOD: usize = 120;

/// A talker whose card runs `talker_ppm` fast, a link, and a listener whose card is true.
pub(crate) struct Call {
    encoder: Encoder,
    decoder: Decoder,
    pub(crate) link: Link,
    pub(crate) playout: Playout,
    /// None where nothing is to be repaired.
    feedback: Option<Feedback>,
    talker_ppm: f64,
    /// Where in the talker's frames the listener's periods begin, in seconds.
    phase: f64,
    frame: Vec<f32>,
    sent_frames: u64,
    sent_bytes: u64,
    pulled: u64,
    began: bool,
    silent: u64,
    depths: f64,
    depths_count: u64,
}

/// What a call was like.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Figures {
    /// Invented frames, and those that had faded to silence, in percent of what was to be heard.
    pub(crate) concealed: f64,
    /// Frames that came out of a copy, in percent.
    pub(crate) repaired: f64,
    /// How long a run of lost packets lasted on average, in milliseconds of sound: more than the network's burst, since it
    /// takes at least a packet. 0 where none was lost.
    pub(crate) run_ms: f64,
    /// The jitter buffer's depth on average, in milliseconds.
    pub(crate) depth_ms: f64,
    /// What the payloads take, in kilobits a second, without any header.
    pub(crate) kbps: f64,
}

impl Call {
    /// A call that has not begun. `phase` is 0 to 1: where the listener's periods lie between the talker's.
    pub(crate) fn new(
        size: FrameSize,
        bitrate: i32,
        link: Link,
        talker_ppm: f64,
        phase: f64,
    ) -> Result<Self, opus::Error> {
        Ok(Self {
            encoder: Encoder::new(size, bitrate)?,
            decoder: Decoder::new()?,
            link,
            playout: Playout::new(PlayoutConfig::for_frames_of(size.samples())),
            feedback: None,
            talker_ppm,
            phase: phase * PERIOD as f64 / RATE,
            frame: vec![0.0; size.samples()],
            sent_frames: 0,
            sent_bytes: 0,
            pulled: 0,
            began: false,
            silent: 0,
            depths: 0.0,
            depths_count: 0,
        })
    }

    /// Repairs from here on, by reports that go over `back`.
    pub(crate) fn repair_by(&mut self, back: Link) {
        let frame = Duration::from_secs_f64(self.frame.len() as f64 / RATE);
        self.feedback = Some(Feedback::new(back, frame));
    }

    /// The listener's time.
    pub(crate) fn now(&self) -> Duration {
        Duration::from_secs_f64(self.phase + self.pulled as f64 * PERIOD as f64 / RATE)
    }

    /// Goes on for so long. `speak` fills the talker's next frame; `hear` gets the listener's next period.
    ///
    /// # Errors
    /// libopus's own.
    pub(crate) fn run(
        &mut self,
        seconds: f64,
        mut speak: impl FnMut(&mut [f32]),
        mut hear: impl FnMut(&[f32], &Playout),
    ) -> Result<(), opus::Error> {
        let until = self.now() + Duration::from_secs_f64(seconds);
        let mut period = [0.0; PERIOD];
        while self.now() < until {
            let now = self.now();
            self.talk(now, &mut speak)?;
            while let Some((arrived, datagram)) = self.link.poll_timed(now) {
                let (number, payload) = datagram.split_at(8);
                let sequence = u64::from_be_bytes(number.try_into().unwrap_or_default());
                if let Ok(packet) = AudioPacket::new(sequence, arrived, 0, payload) {
                    self.playout.insert(&packet);
                }
            }
            self.playout.pull(now, &mut period, &mut self.decoder);
            self.pulled += 1;
            if let Some(feedback) = &mut self.feedback {
                feedback.listen(now, &mut self.playout);
            }
            if self.playout.is_playing() {
                self.began = true;
                self.depths += self.playout.stats().depth.as_secs_f64();
                self.depths_count += 1;
            } else if self.began {
                self.silent += 1;
            }
            hear(&period, &self.playout);
        }
        Ok(())
    }

    /// Encodes and sends each frame at the moment at which its last sample was captured.
    fn talk(&mut self, now: Duration, speak: &mut impl FnMut(&mut [f32])) -> Result<(), opus::Error> {
        loop {
            let samples = (self.sent_frames + 1) as f64 * self.frame.len() as f64;
            let at = Duration::from_secs_f64(samples / RATE / (1.0 + self.talker_ppm * 1e-6));
            if at > now {
                return Ok(());
            }
            speak(&mut self.frame);
            if let Some(feedback) = &mut self.feedback {
                self.encoder.set_repair(feedback.repair(at));
            }
            let mut payload = [0; MAX_PAYLOAD];
            let len = self.encoder.encode(&self.frame, &mut payload)?;
            let mut datagram = self.sent_frames.to_be_bytes().to_vec();
            datagram.extend_from_slice(&payload[..len]);
            self.link.send(at, datagram);
            self.sent_frames += 1;
            self.sent_bytes += len as u64;
        }
    }

    /// What it was like so far.
    pub(crate) fn figures(&self) -> Figures {
        let stats = self.playout.stats();
        let frames = self.sent_frames.max(1) as f64;
        let silent_frames = self.silent as f64 * PERIOD as f64 / self.frame.len() as f64;
        let seconds = frames * self.frame.len() as f64 / RATE;
        Figures {
            concealed: 100.0 * (stats.concealed_frames as f64 + silent_frames) / frames,
            repaired: 100.0 * stats.repaired as f64 / frames,
            run_ms: stats.frame.as_secs_f64() * 1e3 * stats.lost as f64 / stats.lost_runs.max(1) as f64,
            depth_ms: 1e3 * self.depths / self.depths_count.max(1) as f64,
            kbps: self.sent_bytes as f64 * 8.0 / seconds / 1e3,
        }
    }
}
