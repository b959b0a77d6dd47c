//! A host and a guest over real sockets: they meet, media arrives where it belongs, and they part.
#![allow(clippy::unwrap_used, reason = "a helper fails as its test does")]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hyperzoom_media::{MediaKind, PacketSink};
use hyperzoom_protocol::InviteKey;
use hyperzoom_session::{Config, LeaveReason};
use hyperzoom_timing::SharedClock;
use hyperzoom_transport::{PeerInbox, Role, StreamSender, Transport, TransportEvent, TransportEvents, bind};
use ringbuf::traits::Consumer;

/// How long something that must come may take before the test fails; nothing takes this long when all is well.
const PATIENCE: Duration = Duration::from_secs(30);

struct Person {
    transport: Transport,
    events: TransportEvents,
    audio: StreamSender,
    video: StreamSender,
    addr: SocketAddr,
    clock: SharedClock,
}

fn person(name: &str, role: Role, instance: u128) -> Person {
    let (bound, audio, video) = bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let addr = bound.local_addr();
    let clock = SharedClock::new();
    let config =
        Config { name: name.into(), key: Some(InviteKey([5; 32])), session_id: 77, instance, capacity: 4 };
    let (transport, events) = bound.start(role, config, Instant::now(), clock.clone()).unwrap();
    Person { transport, events, audio, video, addr, clock }
}

/// Waits for what `pick` takes out of the events; everything before it is thrown away.
fn wait<T>(events: &mut TransportEvents, mut pick: impl FnMut(TransportEvent) -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        match events.poll() {
            Some(event) => {
                if let Some(found) = pick(event) {
                    return found;
                }
            }
            None => std::thread::yield_now(),
        }
    }
    panic!("it never happened");
}

fn pop<C: Consumer>(ring: &mut C) -> C::Item {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        match ring.try_pop() {
            Some(item) => return item,
            None => std::thread::yield_now(),
        }
    }
    panic!("nothing arrived");
}

fn connected(events: &mut TransportEvents) -> (u8, String, PeerInbox) {
    wait(events, |event| match event {
        TransportEvent::PeerConnected { id, name, inbox, .. } => Some((id, name, inbox)),
        _ => None,
    })
}

fn pair() -> (Person, Person, PeerInbox, PeerInbox) {
    let mut host = person("Ada", Role::Host, 1);
    let mut guest = person("Bob", Role::Guest(host.addr), 2);
    let (id, name, from_guest) = connected(&mut host.events);
    assert_eq!((id, name.as_str()), (1, "Bob"));
    let (id, name, from_host) = connected(&mut guest.events);
    assert_eq!((id, name.as_str()), (0, "Ada"));
    (host, guest, from_guest, from_host)
}

#[test]
fn audio_and_video_arrive_in_the_rings_of_the_one_who_sent_them() {
    let (mut host, mut guest, mut from_guest, mut from_host) = pair();
    for n in 0..10_u8 {
        guest.audio.send(MediaKind::Audio, u32::from(n), &[n; 80]);
    }
    for n in 0..10_u8 {
        let packet = pop(&mut from_guest.audio);
        assert_eq!((packet.sequence, packet.payload()), (u64::from(n), &[n; 80][..]));
        assert!(packet.arrived > Duration::ZERO);
    }
    let picture: Vec<u8> = (0..20_000_u32).map(|n| n as u8).collect();
    host.video.send(MediaKind::VideoKeyframe, 40, &picture);
    host.video.send(MediaKind::VideoDelta, 80, &picture[..100]);
    let frame = pop(&mut from_host.video);
    assert!(frame.keyframe && frame.contiguous && frame.data == picture);
    assert_eq!(frame.timestamp_ms, 40);
    let frame = pop(&mut from_host.video);
    assert!(!frame.keyframe && frame.contiguous && frame.data.len() == 100);
}

#[test]
fn the_guest_learns_the_hosts_time() {
    let (host, mut guest, _from_guest, _from_host) = pair();
    wait(&mut guest.events, |event| matches!(event, TransportEvent::ClockReady).then_some(()));
    // Both count their local time from nearly the same moment, and the host's session began right then.
    let local = Duration::from_secs(10);
    let apart = guest.clock.get().session_ns(local) - host.clock.get().session_ns(local);
    assert!(apart.abs() < 5_000_000_000, "{apart} ns");
    assert!(guest.clock.known().is_some());
}

#[test]
fn a_goodbye_is_heard_and_ends_the_session_of_the_one_who_said_it() {
    let (mut host, mut guest, _from_guest, _from_host) = pair();
    guest.transport.leave();
    let reason = wait(&mut host.events, |event| match event {
        TransportEvent::PeerLeft { id: 1, reason } => Some(reason),
        _ => None,
    });
    assert_eq!(reason, LeaveReason::Bye);
    wait(&mut guest.events, |event| matches!(event, TransportEvent::Ended).then_some(()));
}

#[test]
fn a_request_for_a_keyframe_reaches_the_one_who_encodes() {
    let (mut host, mut guest, _from_guest, _from_host) = pair();
    guest.transport.request_keyframe(0);
    let by = wait(&mut host.events, |event| match event {
        TransportEvent::KeyframeRequested { by } => Some(by),
        _ => None,
    });
    assert_eq!(by, 1);
}

#[test]
fn statistics_count_what_was_sent_and_what_arrived() {
    let (mut host, mut guest, mut from_guest, _from_host) = pair();
    for _ in 0..5 {
        guest.audio.send(MediaKind::Audio, 0, &[1; 60]);
    }
    // A frame that was deliberately not sent still takes a number.
    guest.audio.skip();
    guest.audio.send(MediaKind::Audio, 0, &[1; 60]);
    for _ in 0..6 {
        pop(&mut from_guest.audio);
    }
    guest.transport.leave();
    let sent = wait(&mut guest.events, |event| match event {
        TransportEvent::Stats(stats) if stats.audio_sent == 6 => Some(stats),
        _ => None,
    });
    assert_eq!(sent.send_refused, 0);
    let received = wait(&mut host.events, |event| match event {
        TransportEvent::Stats(stats) if stats.audio_received == 6 => Some(stats),
        _ => None,
    });
    assert_eq!((received.id, received.audio_lost), (1, 1));
}

#[test]
fn a_transport_that_was_asked_for_much_still_ends() {
    let (mut host, guest, _from_guest, _from_host) = pair();
    for _ in 0..10_000 {
        host.transport.request_keyframe(1);
    }
    drop(host);
    drop(guest);
}
