//! Two guests who cannot reach each other, and their host between them.
#![allow(clippy::unwrap_used, reason = "a helper fails as its test does")]

mod common;

use std::time::Duration;

use common::{World, addr, ms};
use hyperzoom_netem::Conditions;
use hyperzoom_protocol::{
    HEADER_LEN, MAX_DATAGRAM, MAX_PAYLOAD, PacketType, RELAY_OVERHEAD, RelaySealer, RelayWay, SecretKey,
    Stream, StreamSealer,
};
use hyperzoom_session::{Event, LeaveReason, PeerState, RELAY_AFTER, RELAY_RATE};

/// The two guests' ways to each other are cut from the start.
fn apart() -> World {
    let mut world = World::pair();
    world.cut.extend([(1, 2), (2, 1)]);
    world.join();
    world
}

/// As [`apart`], and met by way of the host.
fn relayed() -> World {
    let mut world = apart();
    world.run(ms(6000));
    assert_eq!((world.parties[1].connected(), world.parties[2].connected()), (vec![0, 2], vec![0, 1]));
    assert!(is_relayed(&world, 1, 2) && is_relayed(&world, 2, 1));
    world
}

fn is_relayed(world: &World, party: usize, peer: u8) -> bool {
    let now = world.parties[party].session.peers().find(|p| p.id == peer).unwrap().relayed;
    assert_eq!(world.parties[party].relayed.contains(&peer), now, "the senders know");
    now
}

fn hear_each_other(world: &mut World) {
    for party in &mut world.parties {
        party.media.clear();
    }
    for speaker in 0..3 {
        world.speak(speaker, format!("it is {speaker}").as_bytes());
        world.run(ms(100));
    }
    for (listener, others) in [(0, [1, 2]), (1, [0, 2]), (2, [0, 1])] {
        let heard: Vec<_> =
            world.parties[listener].media.iter().map(|(from, _, text)| (*from, text.clone())).collect();
        assert_eq!(
            heard,
            others.map(|from| (from, format!("it is {from}").into_bytes())),
            "{listener} hears"
        );
    }
}

#[test]
fn two_who_cannot_meet_are_relayed_within_seconds() {
    let mut world = apart();
    let since = world.now;
    world.run(RELAY_AFTER - ms(100));
    assert_eq!(world.parties[1].connected(), [0], "they look for a direct path first");
    world.run(ms(2100));
    for (party, peer) in [(1, 2), (2, 1)] {
        let at = world.parties[party]
            .when(|event| matches!(event, Event::PeerConnected { id, relayed: true, .. } if *id == peer))
            .expect("they meet");
        assert!(at - since < RELAY_AFTER + ms(1500), "{:?}", at - since);
    }
    hear_each_other(&mut world);
    // It holds, and nobody thinks that it moves about.
    world.run(ms(30_000));
    hear_each_other(&mut world);
    for party in 1..3 {
        assert_eq!(world.parties[party].saw(|e| matches!(e, Event::PeerConnected { .. })), 2);
        assert_eq!(
            world.parties[party].saw(|e| matches!(e, Event::PeerSilent { .. } | Event::PeerLeft { .. })),
            0
        );
        assert_eq!(world.parties[party].saw(|e| matches!(e, Event::PeerRelayed { .. })), 0);
        let round_trip = world.parties[party].session.peers().find(|p| p.id != 0).unwrap().round_trip;
        assert_eq!(round_trip, Some(ms(40)), "twice each of their ways to the host");
    }
}

#[test]
fn a_bad_path_to_the_host_does_not_keep_them_apart() {
    for seed in 0..10 {
        let mut world = World::with(Conditions::ROUGH, seed * 1000);
        world.cut.extend([(1, 2), (2, 1)]);
        world.join();
        world.join();
        world.run(ms(20_000));
        assert_eq!(world.parties[1].connected().len(), 2, "seed {seed}");
        assert_eq!(world.parties[2].connected().len(), 2, "seed {seed}");
    }
}

#[test]
fn they_move_to_a_direct_path_when_one_opens() {
    let mut world = relayed();
    world.cut.clear();
    world.run(ms(2500));
    assert!(!is_relayed(&world, 1, 2) && !is_relayed(&world, 2, 1));
    hear_each_other(&mut world);
    let before = world.parties[0].passed_on;
    world.run(ms(3000));
    hear_each_other(&mut world);
    assert_eq!(world.parties[0].passed_on, before, "the host has nothing to do with it any more");
    for party in 1..3 {
        let went =
            world.parties[party].saw(|e| matches!(e, Event::PeerLeft { .. } | Event::PeerSilent { .. }));
        assert_eq!(went, 0, "nobody notices");
    }
}

#[test]
fn a_direct_path_that_fails_gives_way_to_the_host() {
    let mut world = World::pair();
    world.join();
    world.run(ms(5000));
    assert!(!is_relayed(&world, 1, 2));
    world.cut.extend([(1, 2), (2, 1)]);
    world.run(ms(4000));
    assert!(is_relayed(&world, 1, 2) && is_relayed(&world, 2, 1));
    hear_each_other(&mut world);
    for party in 1..3 {
        assert_eq!(world.parties[party].saw(|e| matches!(e, Event::PeerLeft { .. })), 0);
    }
}

#[test]
fn a_path_that_is_open_one_way_only_is_not_taken() {
    let mut world = relayed();
    world.cut.remove(&(1, 2));
    world.run(ms(10_000));
    assert!(is_relayed(&world, 1, 2) && is_relayed(&world, 2, 1));
    hear_each_other(&mut world);
}

#[test]
fn a_path_that_fails_one_way_gives_way_to_the_host() {
    let mut world = World::pair();
    world.join();
    world.run(ms(5000));
    world.cut.insert((1, 2));
    world.run(ms(8000));
    assert!(is_relayed(&world, 1, 2) && is_relayed(&world, 2, 1));
    hear_each_other(&mut world);
}

#[test]
fn when_the_host_leaves_they_lose_each_other_and_know_why() {
    let mut world = relayed();
    let now = world.now;
    world.parties[0].session.leave(now);
    world.run(ms(500));
    for (party, peer) in [(1, 2), (2, 1)] {
        let left = Event::PeerLeft { id: peer, reason: LeaveReason::HostLeft };
        assert_eq!(world.parties[party].saw(|event| *event == left), 1);
        assert_eq!(world.parties[party].connected(), []);
    }
    // They find each other should a direct path open.
    world.cut.clear();
    world.run(ms(5000));
    assert_eq!((world.parties[1].connected(), world.parties[2].connected()), (vec![2], vec![1]));
}

#[test]
fn who_says_goodbye_by_way_of_the_host_has_left() {
    let mut world = relayed();
    let now = world.now;
    world.parties[2].session.leave(now);
    world.run(ms(500));
    let left = Event::PeerLeft { id: 2, reason: LeaveReason::Bye };
    assert_eq!(world.parties[1].saw(|event| *event == left), 1);
    world.run(ms(10_000));
    assert_eq!(world.parties[1].connected(), [0]);
}

/// The key that a guest seals with for the host.
fn key_to_host(world: &World, party: usize) -> SecretKey {
    let key = world.parties[party].events.iter().rev().find_map(|(_, event)| match event {
        Event::PeerConnected { id: 0, send_key, .. } => Some(*send_key),
        _ => None,
    });
    key.unwrap()
}

/// An envelope of guest `source` on the lane of video, which the test's guests do not use.
fn envelope(sealer: &mut RelaySealer, source: u8, target: u8, inner: &[u8]) -> Vec<u8> {
    let mut out = [0; MAX_DATAGRAM];
    let way = RelayWay { source, target, lane: Stream::Video };
    let len = sealer.wrap(way, inner, &mut out).unwrap();
    out[..len].to_vec()
}

/// A datagram of the greatest length, for nobody in particular.
fn any_inner() -> Vec<u8> {
    let mut out = [0; MAX_DATAGRAM];
    let mut sealer = StreamSealer::new([5; 32], Stream::Video, 1);
    let len = sealer.seal(PacketType::VideoDelta, 0, 0, 0, &[0; MAX_PAYLOAD], &mut out);
    out[..len].to_vec()
}

#[test]
fn a_guest_gets_no_more_through_than_four_streams_would_need() {
    let mut world = relayed();
    let mut sealer = RelaySealer::new(key_to_host(&world, 1), 1);
    let (inner, now) = (any_inner(), world.now);
    let mut passed = 0;
    let seconds = 2;
    for at in 0..20_000_u64 {
        let mut datagram = envelope(&mut sealer, 1, 2, &inner);
        let now = now + Duration::from_millis(seconds * 1000) * at as u32 / 20_000;
        passed += usize::from(world.parties[0].session.relay(now, addr(1), &mut datagram).is_some());
    }
    let most = (RELAY_RATE * (seconds * 1000 + 250) / 8000) as usize / MAX_DATAGRAM;
    assert!((most * 9 / 10..=most).contains(&passed), "{passed} of at most {most}");
    assert!(world.parties[0].session.stats().flooded > 15_000);
    // The other direction has its own.
    let mut other = RelaySealer::new(key_to_host(&world, 2), 2);
    let mut datagram = envelope(&mut other, 2, 1, &inner);
    assert_eq!(world.parties[0].session.relay(now, addr(2), &mut datagram), Some(addr(1)));
}

#[test]
fn a_voice_and_a_picture_of_full_rate_get_through() {
    let mut world = relayed();
    let mut sealer = RelaySealer::new(key_to_host(&world, 1), 1);
    let now = world.now;
    // Two seconds of audio in frames of 2.5 ms, and of video at 1500 kbit/s.
    for at in 0..800_u64 {
        let now = now + Duration::from_micros(2500 * at);
        let mut voice = envelope(&mut sealer, 1, 2, &[0; 90]);
        assert!(world.parties[0].session.relay(now, addr(1), &mut voice).is_some(), "voice {at}");
        if at % 2 == 0 {
            let mut video = envelope(&mut sealer, 1, 2, &[0; 937]);
            assert!(world.parties[0].session.relay(now, addr(1), &mut video).is_some(), "video {at}");
        }
    }
}

#[test]
fn only_what_a_guest_sends_for_another_is_passed_on_and_once() {
    let mut world = relayed();
    let now = world.now;
    let mut sealer = RelaySealer::new(key_to_host(&world, 1), 1);
    let good = envelope(&mut sealer, 1, 2, &any_inner());
    let session = &mut world.parties[0].session;
    assert_eq!(session.relay(now, addr(9), &mut good.clone()), Some(addr(2)));
    assert_eq!(session.relay(now, addr(1), &mut good.clone()), None, "a replay");
    // In another's name, under another's key, for nobody, to somebody who is not in, of a stranger.
    let mut stranger = RelaySealer::new([9; 32], 1);
    let mut forged = envelope(&mut stranger, 1, 2, &any_inner());
    assert_eq!(session.relay(now, addr(1), &mut forged), None);
    let mut to_absent = envelope(&mut sealer, 1, 3, &any_inner());
    assert_eq!(session.relay(now, addr(1), &mut to_absent), None);
    let mut renamed = envelope(&mut sealer, 1, 2, &any_inner());
    renamed[1] = 2;
    renamed[HEADER_LEN] = 1 << 4;
    assert_eq!(session.relay(now, addr(1), &mut renamed), None);
    // What holds another envelope would go round.
    let inner = envelope(&mut sealer, 1, 2, &[0; 100]);
    let mut nested = envelope(&mut sealer, 1, 2, &inner);
    assert_eq!(session.relay(now, addr(1), &mut nested), None);
    // A guest relays nothing.
    let mut to_guest = envelope(&mut sealer, 1, 2, &any_inner());
    assert_eq!(world.parties[2].session.relay(now, addr(1), &mut to_guest), None);
    assert!(world.parties[2].session.handle_datagram(now, addr(1), &mut to_guest).is_none());
    hear_each_other(&mut world);
}

#[test]
fn what_is_passed_on_is_as_long_as_it_came() {
    let mut world = relayed();
    let mut sealer = RelaySealer::new(key_to_host(&world, 1), 1);
    let mut datagram = envelope(&mut sealer, 1, 2, &any_inner());
    assert_eq!(datagram.len(), MAX_DATAGRAM);
    let came = datagram.clone();
    let now = world.now;
    assert_eq!(world.parties[0].session.relay(now, addr(1), &mut datagram), Some(addr(2)));
    let body = HEADER_LEN + 1..MAX_DATAGRAM - (RELAY_OVERHEAD - HEADER_LEN - 1);
    assert_eq!(datagram[body.clone()], came[body], "nothing of what it holds is touched");
}

#[test]
fn a_guest_that_the_host_gave_up_is_relayed_no_longer() {
    let mut world = relayed();
    let mut sealer = RelaySealer::new(key_to_host(&world, 1), 1);
    world.cut.extend([(1, 0), (0, 1)]);
    world.run(ms(8000));
    let mut late = envelope(&mut sealer, 1, 2, &any_inner());
    let now = world.now;
    assert_eq!(world.parties[0].session.relay(now, addr(1), &mut late), None);
    let state = world.parties[2].session.peers().find(|p| p.id == 1).map(|p| p.state);
    assert_eq!(state, Some(PeerState::Left(LeaveReason::TimedOut)));
    // It comes back, and with it the way between the two.
    world.cut.retain(|(from, to)| *from != 0 && *to != 0);
    world.run(ms(8000));
    hear_each_other(&mut world);
    assert!(is_relayed(&world, 1, 2));
}

#[test]
fn a_guest_is_introduced_where_its_router_lets_others_in_and_nowhere_else() {
    let mut world = World::pair();
    // The same machine with another port, as behind a router that gives each way out a port of its own.
    let mapped = std::net::SocketAddr::new(addr(1).ip(), 47_800);
    world.parties[1].session.set_reachable(Some(mapped));
    world.run(ms(1500));
    world.join();
    world.cut.extend([(1, 2), (2, 1)]);
    world.run(ms(2500));
    assert!(world.tape.iter().any(|sent| sent.from == addr(2) && sent.to == mapped), "it is sought there");
    // Nobody can have others send to a third.
    let elsewhere = "10.9.9.9:47800".parse().unwrap();
    world.parties[1].session.set_reachable(Some(elsewhere));
    world.run(ms(5000));
    assert!(!world.tape.iter().any(|sent| sent.to == elsewhere));
}
