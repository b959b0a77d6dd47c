//! An hour of a two-party call with 5 % loss, in virtual time.
#![allow(clippy::unwrap_used, reason = "a helper fails as its test does")]

mod common;

use std::net::SocketAddr;
use std::time::Duration;

use common::{addr, config, ms};
use hyperzoom_netem::{Conditions, Link};
use hyperzoom_protocol::{MAX_DATAGRAM, PacketType, Stream, StreamSealer};
use hyperzoom_session::{Event, Session};

const FRAME: Duration = Duration::from_millis(5);
const FRAMES: u64 = 3600 * 200;

struct End {
    session: Session,
    addr: SocketAddr,
    out: Link,
    sealer: Option<StreamSealer>,
    sent: u64,
    received: u64,
    highest: u64,
    events: Vec<Event>,
}

impl End {
    fn new(session: Session, addr: SocketAddr, seed: u64) -> Self {
        let conditions = Conditions {
            loss: 0.05,
            burst_mean: ms(20),
            delay: ms(20),
            jitter: ms(5),
            ..Conditions::PERFECT
        };
        Self {
            session,
            addr,
            out: Link::new(conditions, seed),
            sealer: None,
            sent: 0,
            received: 0,
            highest: 0,
            events: Vec::new(),
        }
    }

    fn turn(&mut self, now: Duration, from: &mut Self) {
        while let Some((at, mut datagram)) = from.out.poll_timed(now) {
            if let Some(media) = self.session.handle_datagram(at, from.addr, &mut datagram) {
                assert_eq!(media.payload, [0x55; 21]);
                self.received += 1;
                self.highest = self.highest.max(media.sequence);
            }
        }
        if self.session.poll_timeout().is_some_and(|due| due <= now) {
            self.session.handle_timeout(now);
        }
        while let Some(event) = self.session.poll_event() {
            if let Event::PeerConnected { send_key, .. } = &event {
                let me = self.session.me().unwrap();
                self.sealer = Some(StreamSealer::new(*send_key, Stream::Audio, me));
            }
            self.events.push(event);
        }
        while let Some(transmit) = self.session.poll_transmit() {
            self.out.send(now, transmit.datagram);
        }
        if let Some(sealer) = &mut self.sealer {
            let mut buffer = [0; MAX_DATAGRAM];
            let timestamp = self.session.clock().session_ms(now);
            let len = sealer.seal(PacketType::Audio, timestamp, 0, 0, &[0x55; 21], &mut buffer);
            self.out.send(now, buffer[..len].to_vec());
            self.sent += 1;
        }
    }
}

#[test]
fn an_hour_of_a_call_with_five_percent_loss_stays_up() {
    let mut now = Duration::ZERO;
    let mut host = End::new(Session::host(config(0), now), addr(0), 1);
    let mut guest = End::new(Session::guest(config(1), addr(0), now), addr(1), 2);
    // Only to be printed: nothing depends on it.
    #[expect(clippy::disallowed_methods, reason = "says how long the hour took")]
    let started = std::time::Instant::now();
    for _ in 0..FRAMES {
        host.turn(now, &mut guest);
        guest.turn(now, &mut host);
        now += FRAME;
    }
    println!("an hour of a two-party call took {:?}", started.elapsed());

    for (end, other) in [(&host, &guest), (&guest, &host)] {
        let lost = 1.0 - end.received as f64 / other.sent as f64;
        assert!(other.sent > FRAMES - 100, "{} frames were sent", other.sent);
        assert!((0.045..0.055).contains(&lost), "{lost} of the audio was lost, and not 5 %");
        assert!(end.highest > FRAMES - 200, "the numbers were extended past ten wraps");
        let count = |wanted: fn(&Event) -> bool| end.events.iter().filter(|event| wanted(event)).count();
        assert_eq!(count(|event| matches!(event, Event::PeerConnected { .. })), 1);
        assert_eq!(count(|event| matches!(event, Event::PeerLeft { .. } | Event::PeerSilent { .. })), 0);
        let stats = end.session.stats();
        assert_eq!((stats.malformed, stats.replayed, stats.ignored), (0, 0, 0));
    }
    let error = guest.session.clock().session_ns(now) - host.session.clock().session_ns(now);
    assert!(error.abs() < 2_500_000, "the guest's clock is {error} ns out");
}
