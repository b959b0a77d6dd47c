//! A voice over a network that loses packets in bursts, in virtual time, with the real codec: the listener reports, the speaker
//! sends copies, and the listener decodes them.
#![allow(clippy::unwrap_used, reason = "a helper fails as its test does")]

use std::time::Duration;

use hyperzoom_audio::{Decoder, Encoder, FrameSize, MAX_PAYLOAD};
use hyperzoom_media::{AudioPacket, SAMPLE_RATE};
use hyperzoom_netem::{Conditions, Link};
use hyperzoom_playout::{Playout, PlayoutConfig, PlayoutStats, Repair, RepairPolicy, Reporter};

/// What a small sound card takes at once.
const PERIOD: usize = 128;

/// One direction of a call, and the way back of its reports.
struct Call {
    frame: FrameSize,
    encoder: Encoder,
    policy: RepairPolicy,
    link: Link,
    back: Link,
    playout: Playout,
    decoder: Decoder,
    reporter: Reporter,
    sent: u64,
    sent_bytes: u64,
    pulled: u64,
    depth_sum: Duration,
}

/// What became of a stretch of the call.
#[derive(Debug)]
struct Outcome {
    /// Shares of the frames sent, in percent.
    lost: f64,
    concealed: f64,
    /// In milliseconds.
    mean_depth: f64,
    bytes_a_frame: f64,
}

impl Call {
    fn new(frame: FrameSize, conditions: Conditions) -> Self {
        Self {
            frame,
            encoder: Encoder::new(frame, 32_000).unwrap(),
            policy: RepairPolicy::new(),
            link: Link::new(conditions, 11),
            back: Link::new(conditions, 12),
            playout: Playout::new(PlayoutConfig::for_frames_of(frame.samples())),
            decoder: Decoder::new().unwrap(),
            reporter: Reporter::new(),
            sent: 0,
            sent_bytes: 0,
            pulled: 0,
            depth_sum: Duration::ZERO,
        }
    }

    fn now(&self) -> Duration {
        Duration::from_secs_f64((self.pulled * PERIOD as u64) as f64 / f64::from(SAMPLE_RATE))
    }

    fn set_conditions(&mut self, conditions: Conditions) {
        self.link.set_conditions(conditions);
        self.back.set_conditions(conditions);
    }

    /// Runs on for so long; `repairs` says whether the speaker heeds the reports.
    fn run(&mut self, seconds: u64, repairs: bool) -> Outcome {
        let (stats, sent, bytes, pulled) = (self.playout.stats(), self.sent, self.sent_bytes, self.pulled);
        self.depth_sum = Duration::ZERO;
        let until = self.now() + Duration::from_secs(seconds);
        let mut out = [0.0; PERIOD];
        while self.now() < until {
            let now = self.now();
            self.speak(now, repairs);
            while let Some((at, datagram)) = self.link.poll_timed(now) {
                let (sequence, payload) = datagram.split_first_chunk().unwrap();
                let packet = AudioPacket::new(u64::from_be_bytes(*sequence), at, 0, payload).unwrap();
                self.playout.insert(&packet);
            }
            self.playout.pull(now, &mut out, &mut self.decoder);
            self.report(now, repairs);
            self.pulled += 1;
            self.depth_sum += self.playout.stats().depth;
        }
        let of = |count: fn(&PlayoutStats) -> u64| {
            100.0 * (count(&self.playout.stats()) - count(&stats)) as f64 / (self.sent - sent) as f64
        };
        Outcome {
            lost: of(|stats| stats.lost),
            concealed: of(|stats| stats.concealed_frames),
            mean_depth: self.depth_sum.as_secs_f64() * 1e3 / (self.pulled - pulled) as f64,
            bytes_a_frame: (self.sent_bytes - bytes) as f64 / (self.sent - sent) as f64,
        }
    }

    fn speak(&mut self, now: Duration, repairs: bool) {
        loop {
            let at = (self.sent + 1) as u32 * self.frame.duration();
            if at > now {
                return;
            }
            let repair = if repairs { self.policy.repair(now, self.frame.duration()) } else { Repair::NONE };
            self.encoder.set_repair(repair);
            let sound: Vec<f32> = (0..self.frame.samples() as u64)
                .map(|n| {
                    let t = (self.sent * self.frame.samples() as u64 + n) as f32 / SAMPLE_RATE as f32;
                    0.2 * (t * 1400.0).sin() * (t * 25.0).sin()
                })
                .collect();
            let mut payload = [0; MAX_PAYLOAD];
            let len = self.encoder.encode(&sound, &mut payload).unwrap();
            self.link.send(at, [&self.sent.to_be_bytes()[..], &payload[..len]].concat());
            self.sent += 1;
            self.sent_bytes += len as u64;
        }
    }

    fn report(&mut self, now: Duration, repairs: bool) {
        if let Some(report) = self.reporter.observe(now, &self.playout.stats()) {
            // The report itself may be lost; its content goes beside the link.
            self.back.send(now, vec![0]);
            if self.back.poll(now + Duration::from_secs(1)).is_some() {
                self.policy.handle_report(now, 1, report);
            }
            self.playout.hold_at_least(if repairs { self.reporter.hold() } else { Duration::ZERO });
        }
    }
}

/// The depth that a listener holds for copies at most, in ms: 15, the policy's guard, and the period that the device takes at once.
const MOST_DEPTH: f64 = 15.0 + 0.5 + 2.67;

/// Loses `percent` in bursts of `burst_ms`.
fn lossy(percent: f64, burst_ms: f64) -> Conditions {
    Conditions {
        loss: percent / 100.0,
        burst_mean: Duration::from_secs_f64(burst_ms / 1e3),
        delay: Duration::from_millis(10),
        ..Conditions::PERFECT
    }
}

/// After half a minute, in which all have found out.
fn settled(frame: FrameSize, conditions: Conditions, seconds: u64) -> Outcome {
    let mut call = Call::new(frame, conditions);
    call.run(30, true);
    call.run(seconds, true)
}

#[test]
fn packets_that_are_lost_one_by_one_are_hardly_missed() {
    for frame in FrameSize::ALL {
        let outcome = settled(frame, lossy(5.0, 0.0), 60);
        assert!(outcome.lost > 4.0 && outcome.concealed < 0.5, "{frame:?}: {outcome:?}");
        assert!(outcome.mean_depth <= MOST_DEPTH, "{frame:?}: {outcome:?}");
    }
}

/// A network that is bad for 6.7 ms on average loses runs of 8 to 10 ms: a bad moment between two packets is no loss.
#[test]
fn of_five_percent_in_runs_of_up_to_ten_milliseconds_less_than_one_percent_is_missed() {
    let outcome = settled(FrameSize::Ms2_5, lossy(5.0, 6.7), 300);
    assert!(outcome.lost > 4.0 && outcome.concealed < 1.0, "{outcome:?}");
    assert!(outcome.mean_depth <= MOST_DEPTH, "{outcome:?}");
}

/// A network that is bad for 10 ms on average. What comes within 15 ms, be it what it may, leaves 1.12 % (5 % · exp(−1.5)), and that is
/// without the time that a frame and a period take.
#[test]
fn of_five_percent_in_longer_bursts_most_is_repaired() {
    for (frame, most) in [(FrameSize::Ms2_5, 0.37), (FrameSize::Ms5, 0.42)] {
        let outcome = settled(frame, lossy(5.0, 10.0), 300);
        assert!(outcome.lost > 4.0 && outcome.concealed < most * outcome.lost, "{frame:?}: {outcome:?}");
        assert!(outcome.mean_depth <= MOST_DEPTH, "{frame:?}: {outcome:?}");
    }
}

#[test]
fn copies_and_depth_come_with_loss_and_go_after_it() {
    let mut call = Call::new(FrameSize::Ms5, lossy(0.0, 0.0));
    let clean = call.run(30, true);
    assert_eq!((clean.bytes_a_frame, clean.concealed), (21.0, 0.0), "{clean:?}");
    assert!(clean.mean_depth < 8.0, "{clean:?}");

    call.set_conditions(lossy(5.0, 10.0));
    let unaware = call.run(1, true);
    assert!(unaware.bytes_a_frame < 50.0, "{unaware:?}");
    call.run(20, true);
    let lossy_call = call.run(60, true);
    assert!(lossy_call.bytes_a_frame > 60.0, "{lossy_call:?}");
    assert!(lossy_call.concealed < lossy_call.lost / 2.0, "{lossy_call:?}");

    call.set_conditions(lossy(0.0, 0.0));
    call.run(12, true);
    let after = call.run(10, true);
    assert_eq!((after.bytes_a_frame, after.concealed), (21.0, 0.0), "{after:?}");
    call.run(60, true);
    let depth = call.run(5, true).mean_depth;
    assert!(depth < 8.0, "{depth} ms are still held");
}

#[test]
fn without_copies_all_that_is_lost_is_missed() {
    let outcome = Call::new(FrameSize::Ms5, lossy(5.0, 10.0)).run(60, false);
    assert!(outcome.concealed > 0.95 * outcome.lost && outcome.bytes_a_frame == 21.0, "{outcome:?}");
}
