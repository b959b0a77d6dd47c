//! Who has not the key gets no answer, makes no state and breaks nothing; neither does a recording of one who has.

mod common;

use std::time::Duration;

use common::{Sent, World, addr, config, ms};
use hyperzoom_protocol::{Header, PacketType};
use hyperzoom_session::{Config, Session};
use proptest::prelude::*;

/// What can be seen of a session from inside, but for its counters of refused datagrams.
fn state(session: &Session) -> String {
    let peers: Vec<_> = session
        .peers()
        .map(|peer| format!("{} {} {} {:?}", peer.id, peer.name, peer.addr, peer.state))
        .collect();
    format!("{:?} {:?} {peers:?} {:?}", session.me(), session.session_id(), session.poll_timeout())
}

/// Gives a session a stranger's datagram; panics if anything comes of it.
fn nothing_comes_of(world: &mut World, to: usize, datagram: &[u8]) {
    let stranger = "192.0.2.66:6666".parse().expect("an address");
    let now = world.now;
    let session = &mut world.parties[to].session;
    let before = state(session);
    let counted = |session: &Session| {
        let stats = session.stats();
        stats.malformed + stats.unauthenticated + stats.replayed
    };
    let count = counted(session);
    let mut copy = datagram.to_vec();
    assert_eq!(session.handle_datagram(now, stranger, &mut copy), None);
    assert_eq!(session.poll_transmit(), None, "an answer");
    assert_eq!(session.poll_event(), None, "an event");
    assert_eq!(state(session), before, "state");
    assert!(counted(session) <= count + 1);
}

#[test]
fn a_replayed_hello_gets_no_answer_and_makes_no_state() {
    let mut world = World::new();
    world.join();
    world.run(ms(1000));
    let hellos: Vec<Sent> = world.tape.iter().filter(|sent| sent.is_init()).cloned().collect();
    assert_eq!(hellos.len(), 1);
    nothing_comes_of(&mut world, 0, &hellos[0].datagram);
    assert_eq!(world.parties[0].session.stats().replayed, 1);
    // Nor when its sender has long gone.
    let now = world.now;
    world.parties[1].session.leave(now);
    world.run(ms(60_000));
    nothing_comes_of(&mut world, 0, &hellos[0].datagram);
}

#[test]
fn a_hello_stolen_before_it_arrived_lets_nobody_in() {
    let mut world = World::new();
    world.cut.insert((1, 0));
    world.join();
    world.pump();
    let hello = world.tape[0].datagram.clone();
    // The thief is the first to say it; the host answers, once. The thief cannot read the answer, nor go on.
    world.inject(0, "192.0.2.66:6666".parse().expect("an address"), &hello);
    world.pump();
    assert_eq!(world.tape.iter().filter(|sent| sent.is_response()).count(), 1);
    world.inject(0, "192.0.2.66:6666".parse().expect("an address"), &hello);
    world.pump();
    assert_eq!(world.tape.iter().filter(|sent| sent.is_response()).count(), 1);
    assert_eq!(world.parties[0].session.peers().count(), 0);
    assert!(world.parties[0].events.iter().all(|(at, _)| *at == ms(5000)), "only the events of its start");
    // The place that it promised is free again, and the one whose hello was stolen gets in.
    world.cut.clear();
    world.run(ms(2000));
    assert_eq!(world.parties[0].connected(), [1]);
}

#[test]
fn a_whole_call_played_again_changes_nothing() {
    let mut world = World::pair();
    for word in 0..50 {
        world.speak(0, &[word]);
        world.speak(1, &[word]);
        world.run(ms(5));
    }
    world.run(ms(100));
    for sent in world.tape.clone() {
        for party in 0..2 {
            nothing_comes_of(&mut world, party, &sent.datagram);
        }
    }
    assert_eq!(world.parties[0].media.len(), 50);
}

#[test]
fn yesterdays_call_does_not_open_todays() {
    let mut yesterday = World::pair();
    yesterday.speak(1, b"hello");
    yesterday.run(ms(100));
    let mut today = World::pair();
    for sent in yesterday.tape.iter().filter(|sent| !sent.is_init()) {
        for party in 0..2 {
            nothing_comes_of(&mut today, party, &sent.datagram);
        }
    }
}

#[test]
fn yesterdays_hello_with_todays_key_is_answered_once_and_lets_nobody_in() {
    // Only a host that kept its key can be told yesterday's hello.
    let yesterday = World::pair();
    let hello = yesterday.tape.iter().find(|sent| sent.is_init()).expect("a hello").datagram.clone();
    let mut today = World::new();
    for _ in 0..5 {
        today.inject(0, addr(9), &hello);
    }
    today.run(ms(20_000));
    assert_eq!(today.tape.len(), 1);
    assert_eq!(today.parties[0].session.peers().count(), 0);
}

#[test]
fn a_guest_of_another_key_cannot_disturb_a_call() {
    let mut world = World::pair();
    let mut stranger = Session::guest(
        Config { key: Some(hyperzoom_protocol::InviteKey([9; 32])), ..config(1) },
        addr(0),
        world.now,
    );
    let hello = stranger.poll_transmit().expect("it says hello").datagram;
    for party in 0..2 {
        nothing_comes_of(&mut world, party, &hello);
    }
}

#[test]
fn handshakes_that_nobody_confirms_are_forgotten() {
    let mut world = World::new();
    // Sixty invited guests say hello and vanish.
    for guest in 0..60 {
        let config = Config { instance: guest, ..config(1) };
        let mut session = Session::guest(config, addr(0), world.now);
        let hello = session.poll_transmit().expect("it says hello").datagram;
        world.inject(0, addr(9), &hello);
    }
    world.run(ms(5100));
    assert_eq!(world.parties[0].session.poll_timeout(), None, "something is still waited for");
    world.join();
    world.run(ms(1000));
    assert_eq!(world.parties[1].session.me(), Some(1));
}

fn shaped(kind: PacketType, participant: u8, sequence: u16, payload: &[u8]) -> Vec<u8> {
    let header = Header {
        kind,
        participant,
        sequence,
        timestamp_ms: 0,
        payload_len: payload.len() as u16,
        fragment: 0,
        fragments: 0,
        padding: false,
    };
    [&header.encode()[..], payload].concat()
}

/// A datagram that is tried as a handshake message: 1 is the first message of one, 2 the second.
fn handshake(envelope: u8) -> Vec<u8> {
    shaped(PacketType::Control, 0, 0, &[&[envelope][..], &[0x5A; 100]].concat())
}

#[test]
fn a_flood_of_hellos_is_mostly_not_looked_at() {
    let mut world = World::pair();
    let stranger = "192.0.2.66:6666".parse().expect("an address");
    // 50 000 in a second, each of which would cost as much as opening ten datagrams.
    for _ in 0..50_000 {
        world.inject(0, stranger, &handshake(1));
        world.now += Duration::from_micros(20);
    }
    let stats = world.parties[0].session.stats();
    assert!(stats.unauthenticated <= 5_200, "{} were tried", stats.unauthenticated);
    assert_eq!(stats.unauthenticated + stats.flooded, 50_000);
    world.speak(1, b"can you hear me");
    world.run(ms(20));
    assert_eq!(world.parties[0].media.len(), 1);
    world.join();
    world.run(ms(1000));
    assert_eq!(world.parties[2].session.me(), Some(2), "nobody is kept out afterwards");
}

#[test]
fn a_flood_of_hellos_from_one_address_keeps_nobody_else_waiting() {
    let flooder = "192.0.2.66:6666".parse().expect("an address");
    // Handshakes that can be read, where there is no key, and such that cannot.
    for key in [Some(common::KEY), None] {
        let mut world = World::of_key(key);
        let hello = Session::guest(Config { key: None, instance: 7, ..config(9) }, addr(0), world.now)
            .poll_transmit()
            .expect("it says hello")
            .datagram;
        for n in 0..15_007 {
            if [500, 5_503, 10_507].contains(&n) {
                world.join();
            }
            world.inject(0, flooder, &hello);
            world.run(Duration::from_micros(20));
        }
        // Each has had 90 ms.
        assert_eq!(world.parties[0].connected(), [1, 2, 3], "with a key: {}", key.is_some());
    }
}

#[test]
fn a_flood_of_answers_is_mostly_not_looked_at_and_does_not_crowd_out_the_true_one() {
    let mut world = World::new();
    world.join();
    world.pump();
    // The guest waits for its answer. Each false one would cost it an exchange of keys.
    let stranger = "192.0.2.66:6666".parse().expect("an address");
    for _ in 0..10_000 {
        world.inject(1, stranger, &handshake(2));
    }
    let stats = world.parties[1].session.stats();
    assert!(stats.unauthenticated <= 30, "{} were tried", stats.unauthenticated);
    assert_eq!(stats.unauthenticated + stats.flooded, 10_000);
    world.run(ms(20));
    assert_eq!(world.parties[1].connected(), [0]);
}

#[test]
fn an_invited_guest_that_says_hello_without_end_is_answered_now_and_then() {
    let mut world = World::pair();
    for _ in 0..1_000 {
        let mut guest = Session::guest(Config { instance: 77, ..config(9) }, addr(0), world.now);
        let hello = guest.poll_transmit().expect("it says hello").datagram;
        world.inject(0, addr(9), &hello);
        world.now += ms(1);
    }
    world.pump();
    let answers = world.tape.iter().filter(|sent| sent.to == addr(9)).count();
    assert!(answers <= 120, "{answers} answers, each an exchange of keys");
}

thread_local! {
    static PAIR: std::cell::RefCell<World> = std::cell::RefCell::new(World::pair());
}

proptest! {
    #[test]
    fn nothing_comes_of_random_bytes(bytes in prop::collection::vec(any::<u8>(), 0..1300)) {
        PAIR.with_borrow_mut(|world| {
            for party in 0..2 {
                nothing_comes_of(world, party, &bytes);
            }
        });
    }

    #[test]
    fn nothing_comes_of_what_looks_like_ours(
        kind in 0usize..5, participant in 0u8..6, sequence: u16, envelope in 0u8..5,
        bytes in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let kinds = [
            PacketType::Audio, PacketType::VideoKeyframe, PacketType::VideoDelta, PacketType::Control, PacketType::Bye,
        ];
        let payload = [&[envelope][..], &bytes].concat();
        PAIR.with_borrow_mut(|world| {
            for party in 0..2 {
                nothing_comes_of(world, party, &shaped(kinds[kind], participant, sequence, &payload));
            }
        });
    }

    #[test]
    fn nothing_comes_of_a_real_datagram_that_was_changed(which: prop::sample::Index, at: prop::sample::Index, bit in 0u8..8) {
        PAIR.with_borrow_mut(|world| {
            let sent = &world.tape[which.index(world.tape.len())];
            let mut bytes = sent.datagram.clone();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            // The headers of handshake messages are not authentic, and mean nothing: those are replays.
            for party in 0..2 {
                nothing_comes_of(world, party, &bytes);
            }
        });
    }
}
