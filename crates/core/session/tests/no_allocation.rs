//! Media costs the receive thread no allocation.
#![allow(clippy::unwrap_used, reason = "a helper fails as its test does")]

mod common;

use common::{World, addr, ms};
use hyperzoom_protocol::{MAX_DATAGRAM, PacketType, RelaySealer, RelayWay, Stream, StreamSealer};
use hyperzoom_session::Event;
use hyperzoom_testkit::{CountingHeap, heap_calls};

#[global_allocator]
static HEAP: CountingHeap = CountingHeap;

#[test]
fn the_counter_counts() {
    assert_eq!(heap_calls(|| drop(std::hint::black_box(Box::new(1)))), 2);
}

#[test]
fn sealing_and_opening_media_allocates_nothing() {
    let mut world = World::pair();
    let key = world.parties[1].events.iter().find_map(|(_, event)| match event {
        Event::PeerConnected { send_key, .. } => Some(*send_key),
        _ => None,
    });
    let mut audio = StreamSealer::new(key.unwrap(), Stream::Audio, 1);
    let mut video = StreamSealer::new(key.unwrap(), Stream::Video, 1);
    let session = &mut world.parties[0].session;
    let mut out = [0; MAX_DATAGRAM];
    let mut seen = 0;
    let calls = heap_calls(|| {
        for round in 0..10_000_u32 {
            let len = audio.seal(PacketType::Audio, round, 0, 0, &[1; 40], &mut out);
            let kept = out;
            seen += u32::from(session.handle_datagram(world.now, addr(1), &mut out[..len]).is_some());
            // Again, which is a replay, and forged.
            out = kept;
            seen += u32::from(session.handle_datagram(world.now, addr(1), &mut out[..len]).is_some());
            out[len - 1] ^= 1;
            out[3] ^= 1;
            seen += u32::from(session.handle_datagram(world.now, addr(1), &mut out[..len]).is_some());
            let len = video.seal(PacketType::VideoDelta, round, 0, 0, &[1; 1000], &mut out);
            seen += u32::from(session.handle_datagram(world.now, addr(1), &mut out[..len]).is_some());
        }
    });
    assert_eq!(calls, 0, "calls of the allocator");
    assert_eq!(seen, 20_000);
}

#[test]
fn passing_on_what_one_guest_sends_another_allocates_nothing() {
    let mut world = World::pair();
    world.join();
    world.run(ms(1000));
    let key = world.parties[1].events.iter().find_map(|(_, event)| match event {
        Event::PeerConnected { id: 0, send_key, .. } => Some(*send_key),
        _ => None,
    });
    let mut sealer = RelaySealer::new(key.unwrap(), 1);
    let way = RelayWay { source: 1, target: 2, lane: Stream::Audio };
    let session = &mut world.parties[0].session;
    let mut out = [0; MAX_DATAGRAM];
    let mut passed = 0;
    let calls = heap_calls(|| {
        for round in 0..10_000_u32 {
            let now = world.now + ms(u64::from(round));
            let len = sealer.wrap(way, &[1; 200], &mut out).unwrap();
            let mut again = out;
            passed += u32::from(session.relay(now, addr(1), &mut out[..len]).is_some());
            passed += u32::from(session.relay(now, addr(1), &mut again[..len]).is_some());
        }
    });
    assert_eq!(calls, 0, "calls of the allocator");
    assert_eq!(passed, 10_000);
}
