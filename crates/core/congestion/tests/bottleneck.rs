//! A voice and a video over a path that becomes narrow and wide again, in virtual time: the voice comes first.
#![allow(clippy::unwrap_used, reason = "a helper fails as its test does")]

use std::time::Duration;

use hyperzoom_congestion::{Brake, Pacer, PathReport, PeerLadder, QueueMeter, Rung, fragment_len};
use hyperzoom_netem::{Conditions, Link};

/// Header and seal of each datagram, in bytes.
const OVERHEAD: usize = 28;
/// A packet of the voice: 5 ms at 64 kbit/s.
const VOICE: usize = 42;
/// The one-way delay of the path, where nothing else is said.
const DELAY: Duration = Duration::from_millis(10);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Speaker, path, listener.
struct Call {
    now: Duration,
    delay: Duration,
    path: Link,
    /// The way back, where it is as narrow and the listener sends what the speaker does.
    mirror: Option<Link>,
    ladder: PeerLadder,
    meter: QueueMeter,
    pacer: Pacer,
    /// Reports on their way back over a path that is free.
    back: Vec<(Duration, PathReport)>,
    /// Datagrams sent and lost as of the last report.
    told: (u64, u64),
    /// All reports.
    reports: Vec<PathReport>,
    /// Parts of the frame that is being sent.
    parts: Vec<usize>,
    brake: Brake,
    next_part: Duration,
    next_filling: Duration,
    last_keyframe: Option<Duration>,
    next_frame: Duration,
    packets: u64,
    /// How late each packet of the voice was beyond the path's delay, by when it was sent.
    late: Vec<(Duration, Duration)>,
    rungs: Vec<(Duration, Rung)>,
    video_bytes: usize,
}

impl Call {
    fn new(rate_bps: Option<u64>) -> Self {
        Self {
            now: ms(0),
            delay: DELAY,
            path: Link::new(conditions(rate_bps), 1),
            mirror: None,
            ladder: PeerLadder::new(ms(0)),
            meter: QueueMeter::new(),
            pacer: Pacer::default(),
            back: Vec::new(),
            told: (0, 0),
            reports: Vec::new(),
            parts: Vec::new(),
            brake: Brake::default(),
            next_part: ms(0),
            next_filling: ms(0),
            last_keyframe: None,
            next_frame: ms(0),
            packets: 0,
            late: Vec::new(),
            rungs: vec![(ms(0), Rung::Full)],
            video_bytes: 0,
        }
    }

    fn run(&mut self, seconds: u64) {
        self.run_ms(1000 * seconds);
    }

    fn run_ms(&mut self, span: u64) {
        let until = self.now + ms(span);
        while self.now < until {
            self.now += ms(1);
            self.speak();
            self.show();
            self.listen();
            self.heed();
        }
    }

    fn send(&mut self, datagram: Vec<u8>) {
        if let Some(mirror) = &mut self.mirror {
            mirror.send(self.now, datagram.clone());
        }
        self.path.send(self.now, datagram);
    }

    fn set_conditions(&mut self, conditions: Conditions) {
        self.path.set_conditions(conditions);
        if let Some(mirror) = &mut self.mirror {
            mirror.set_conditions(conditions);
        }
    }

    fn speak(&mut self) {
        if self.now.as_millis().is_multiple_of(5) {
            let mut datagram = vec![0; VOICE + OVERHEAD];
            datagram[0] = 1;
            datagram[1..9].copy_from_slice(&self.packets.to_be_bytes());
            self.send(datagram);
            self.packets += 1;
        }
    }

    /// As a live encoder does: the newest picture when the one before it has left, a keyframe every 2 s and after a pause.
    fn show(&mut self) {
        let rung = self.ladder.rung();
        self.brake.release(self.now);
        if self.brake.is_held() || rung == Rung::Off {
            self.parts.clear();
            self.last_keyframe = None;
        } else if self.parts.is_empty() && self.now >= self.next_frame {
            self.next_frame = self.now + Duration::from_secs(1) / rung.fps();
            let mean = (rung.kbps() * 125 / rung.fps()) as usize;
            let is_due = self.last_keyframe.is_none_or(|last| self.now >= last + ms(2000));
            let frame = if is_due { 24 * mean / 5 } else { mean * 23 / 25 };
            if is_due {
                self.last_keyframe = Some(self.now);
            }
            let len = fragment_len(self.ladder.pace_kbps(), frame, 1172);
            self.parts = (0..frame.div_ceil(len)).map(|n| len.min(frame - n * len) + OVERHEAD).collect();
            self.next_part = self.now;
            self.pacer.begin(self.now);
        }
        if self.brake.is_paused() {
            // What was waited for on purpose is not caught up.
            self.pacer.begin(self.now);
        }
        while self.now >= self.next_part
            && !self.brake.is_paused()
            && let Some(part) = self.parts.pop()
        {
            self.send(vec![2; part]);
            self.video_bytes += part;
            let pace = self.ladder.pace_kbps();
            self.pacer.wait(self.now, part, pace);
            self.next_part = self.now + self.pacer.clone().wait(self.now, 0, pace);
        }
        let filling = self.ladder.filling_kbps(self.now);
        if filling > 0 && !self.brake.is_paused() && self.now >= self.next_filling {
            self.send(vec![3; 94]);
            self.next_filling = self.now + Duration::from_micros(94 * 8_000 / u64::from(filling));
        }
    }

    fn listen(&mut self) {
        while let Some((arrived, datagram)) = self.path.poll_timed(self.now) {
            if datagram[0] == 1 {
                let n = u64::from_be_bytes(datagram[1..9].try_into().unwrap());
                let sent = ms(5 * (n + 1));
                self.late.push((sent, arrived - sent - self.delay));
                self.meter.audio(arrived, n, (5 * n) as u32, datagram.len());
            } else {
                self.meter.other(arrived, datagram.len());
            }
        }
        let (expected, lost) = (self.path.stats().sent, self.path.stats().lost);
        let told = &mut self.told;
        let losses = || {
            let (expected_before, lost_before) = std::mem::replace(told, (expected, lost));
            ((expected - expected_before) as u32, (lost - lost_before) as u32)
        };
        if let Some(report) = self.meter.poll(self.now, losses) {
            match &mut self.mirror {
                Some(mirror) => {
                    // As the listener's own queue is: it sends what the speaker does.
                    self.brake.suspect(self.now, report.queue);
                    let mut datagram = vec![4; 60];
                    datagram[1..9].copy_from_slice(&(self.reports.len() as u64).to_be_bytes());
                    mirror.send(self.now, datagram);
                }
                None => self.back.push((self.now + self.delay, report)),
            }
            self.reports.push(report);
        }
    }

    fn heed(&mut self) {
        while let Some((arrived, datagram)) =
            self.mirror.as_mut().and_then(|mirror| mirror.poll_timed(self.now))
        {
            if datagram[0] == 4 {
                let n = u64::from_be_bytes(datagram[1..9].try_into().unwrap());
                self.back.push((arrived, self.reports[n as usize]));
            }
        }
        while self.back.first().is_some_and(|(at, _)| *at <= self.now) {
            let (_, report) = self.back.remove(0);
            self.brake.report(self.now, report.queue);
            self.ladder.handle_report(self.now, &report);
        }
        self.ladder.advance(self.now);
        if self.rungs.last().is_none_or(|(_, rung)| *rung != self.ladder.rung()) {
            self.rungs.push((self.now, self.ladder.rung()));
        }
    }

    /// How many packets of the voice the path has dropped.
    fn lost(&self) -> usize {
        let sent_before = self.now - ms(400);
        let sent = (sent_before.as_millis() / 5) as usize;
        sent - self.late.iter().filter(|(sent, _)| *sent <= sent_before).count()
    }

    /// The share of packets from `from` on that were more than 10 ms late, in permille, and the most.
    fn lateness(&self, from: u64) -> (usize, Duration) {
        let late: Vec<Duration> =
            self.late.iter().filter(|(sent, _)| *sent >= ms(from)).map(|(_, late)| *late).collect();
        let many = late.iter().filter(|late| **late > ms(10)).count();
        (many * 1000 / late.len().max(1), late.into_iter().max().unwrap_or_default())
    }
}

fn conditions(rate_bps: Option<u64>) -> Conditions {
    Conditions { delay: DELAY, rate_bps, queue: ms(200), ..Conditions::PERFECT }
}

#[test]
fn a_path_that_holds_all_is_used() {
    let mut call = Call::new(None);
    call.ladder.handle_round_trip(ms(0), ms(2));
    call.run(30);
    assert_eq!(call.rungs, [(ms(0), Rung::Full)]);
    assert_eq!(call.lateness(0), (0, ms(0)));
    assert!(call.ladder.pace_kbps() > Rung::Full.pace_kbps());
}

#[test]
fn the_voice_loses_nothing_in_a_bottleneck_and_the_picture_comes_back_after_it() {
    let mut call = Call::new(None);
    call.run(11);
    call.set_conditions(conditions(Some(150_000)));
    call.run(40);
    assert_eq!(call.ladder.rung(), Rung::Off, "{:?}", call.rungs);
    let down = call.rungs[1].0;
    assert!(down < ms(11_500), "{:?}", call.rungs);
    // Once the queue of the first moment has drained, only the filling shows.
    let (late, most) = call.lateness(13_000);
    assert!(late < 20 && most < ms(30), "{late} permille late, {most:?} at most");
    let sent = call.video_bytes;
    call.set_conditions(conditions(Some(1_000_000)));
    call.run(60);
    assert_eq!(call.ladder.rung(), Rung::Full, "{:?}", call.rungs);
    let (late, most) = call.lateness(51_000);
    assert!(late < 5 && most < ms(25), "{late} permille late, {most:?} at most");
    call.set_conditions(conditions(None));
    call.run(20);
    assert_eq!(call.ladder.rung(), Rung::Full, "{:?}", call.rungs);
    assert!(call.video_bytes > sent);
    let walked: Vec<Rung> = call.rungs.iter().map(|(_, rung)| *rung).collect();
    assert_eq!(walked, [0, 1, 2, 3, 4, 3, 2, 1, 0].map(|rung| Rung::ALL[rung]), "down and up one by one");
    assert_eq!(call.lost(), 0);
}

#[test]
fn a_radio_that_loses_a_tenth_in_bursts_is_no_reason_to_see_less() {
    let lossy = Conditions { loss: 0.1, burst_mean: ms(10), ..conditions(None) };
    for seed in 0..4 {
        let mut call = Call::new(None);
        call.path = Link::new(lossy, seed);
        call.run(300);
        let low: Vec<_> = call.rungs.iter().skip(1).collect();
        assert!(low.len() <= 2, "five minutes: {low:?}");
    }
}

/// The voice over a path that becomes so narrow, at each of 40 moments between two keyframes.
fn whenever_it_becomes(rate_bps: u64, both_ways: bool) -> impl Iterator<Item = (Duration, Call)> {
    (0..40).map(move |phase| {
        let mut call = Call::new(None);
        call.mirror = both_ways.then(|| Link::new(conditions(None), 2));
        call.run_ms(20_000 + 50 * phase);
        call.set_conditions(conditions(Some(rate_bps)));
        let from = call.now;
        call.run(18);
        (from, call)
    })
}

#[test]
fn the_voice_loses_nothing_whenever_the_path_becomes_narrow() {
    for (rate_bps, holds) in [(150_000, Rung::Off), (300_000, Rung::Small)] {
        for both_ways in [false, true] {
            for (from, call) in whenever_it_becomes(rate_bps, both_ways) {
                let what =
                    format!("{rate_bps} bit/s from {from:?} on, both ways: {both_ways}: {:?}", call.rungs);
                assert_eq!(call.lost(), 0, "{what}");
                assert_eq!(call.ladder.rung(), holds, "{what}");
                let walked: Vec<Rung> = call.rungs.iter().map(|(_, rung)| *rung).collect();
                assert_eq!(walked, Rung::ALL[..=holds as usize], "one by one: {what}");
                // By then it has come down also where no queue is long and the voice is late all the same.
                let (late, most) = call.lateness(from.as_millis() as u64 + 12_000);
                assert!(late < 50 && most < ms(35), "{late} permille late, {most:?} at most: {what}");
            }
        }
    }
}

/// Of 200 moments between two keyframes at which a path with this one-way delay becomes so narrow: at how many the voice loses packets, and
/// how many at most.
fn what_the_voice_loses(delay: Duration, rate_bps: u64, both_ways: bool) -> (usize, usize) {
    let lost = (0..200).map(|phase| {
        let over = |rate_bps| Conditions { delay, ..conditions(rate_bps) };
        let mut call = Call::new(None);
        call.delay = delay;
        call.path = Link::new(over(None), 1);
        call.mirror = both_ways.then(|| Link::new(over(None), 2));
        // Its round trip is known soon, and the pace is the fastest for it.
        call.ladder.handle_round_trip(ms(0), delay * 2);
        call.run_ms(20_000 + 10 * phase);
        call.set_conditions(over(Some(rate_bps)));
        call.run(5);
        call.lost()
    });
    let lost: Vec<usize> = lost.filter(|lost| *lost > 0).collect();
    (lost.len(), lost.into_iter().max().unwrap_or(0))
}

#[test]
fn the_voice_loses_nothing_at_any_of_two_hundred_moments_or_some_packets_at_few_of_them() {
    // A path that is further than 15 ms hears of it too late, and frames cannot leave more slowly than at the slowest pace.
    for (delay, moments, packets) in [(1, 0, 0), (5, 0, 0), (10, 0, 0), (15, 0, 0), (30, 130, 8)] {
        for (rate_bps, both_ways) in [(150_000, false), (150_000, true), (200_000, false), (300_000, true)] {
            let lost = what_the_voice_loses(ms(delay), rate_bps, both_ways);
            println!("{delay} ms, {rate_bps} bit/s, both ways: {both_ways}: {lost:?}");
            assert!(
                lost.0 <= moments && lost.1 <= packets,
                "{delay} ms, {rate_bps} bit/s, {both_ways}: {lost:?}"
            );
        }
    }
}
