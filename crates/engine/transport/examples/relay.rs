//! What it costs the host to pass a datagram on from one guest to another: the envelope checked and renewed, without the system calls.
//!
//! `cargo run --profile dev -p hyperzoom-transport --example relay`

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hyperzoom_protocol::{MAX_DATAGRAM, RELAY_OVERHEAD, RelaySealer, RelayWay, SecretKey, Stream};
use hyperzoom_session::{Config, Event, Session};

fn addr(party: usize) -> SocketAddr {
    ([10, 0, 0, party as u8 + 1], 4700).into()
}

fn config(party: usize) -> Config {
    Config { name: format!("P{party}"), key: None, session_id: 1, instance: party as u128 + 1, capacity: 4 }
}

/// A host and two guests who are in, and the key that guest 1 seals with for the host.
fn call() -> (Session, SecretKey, Duration) {
    let mut now = Duration::from_secs(1);
    let mut all = vec![Session::host(config(0), now)];
    let mut key = None;
    for party in 1..3 {
        all.push(Session::guest(config(party), addr(0), now));
        for _ in 0..200 {
            now += Duration::from_millis(5);
            for at in 0..all.len() {
                all[at].handle_timeout(now);
                while let Some(mut sent) = all[at].poll_transmit() {
                    let to = (0..all.len()).find(|to| addr(*to) == sent.to);
                    if let Some(to) = to {
                        all[to].handle_datagram(now, addr(at), &mut sent.datagram);
                    }
                }
                while let Some(event) = all[at].poll_event() {
                    if let Event::PeerConnected { id: 0, send_key, .. } = event
                        && at == 1
                    {
                        key = Some(send_key);
                    }
                }
            }
        }
    }
    let key = key.expect("guest 1 is in");
    (all.swap_remove(0), key, now)
}

fn main() {
    const COUNT: u32 = 200_000;
    let (mut host, key, mut now) = call();
    let mut sealer = RelaySealer::new(key, 1);
    let way = RelayWay { source: 1, target: 2, lane: Stream::Audio };
    println!("bytes  wrap (guest)  relay (host)");
    for len in [100, 200, MAX_DATAGRAM - RELAY_OVERHEAD] {
        let inner = vec![7; len];
        let (mut wrapping, mut relaying, mut passed) = (Duration::ZERO, Duration::ZERO, 0);
        for _ in 0..COUNT {
            // Slow enough for the limit.
            now += Duration::from_millis(4);
            let mut out = [0; MAX_DATAGRAM];
            let since = Instant::now();
            let len = sealer.wrap(way, &inner, &mut out).unwrap_or(0);
            let wrapped = Instant::now();
            passed += u32::from(host.relay(now, addr(1), &mut out[..len]).is_some());
            relaying += wrapped.elapsed();
            wrapping += wrapped - since;
        }
        let each = |time: Duration| time.as_nanos() as f64 / f64::from(COUNT) / 1e3;
        println!(
            "{len:5}  {:9.2} µs  {:9.2} µs  ({passed} of {COUNT} passed on)",
            each(wrapping),
            each(relaying)
        );
    }
}
