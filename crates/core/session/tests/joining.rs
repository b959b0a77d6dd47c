//! A guest comes in, once, under one number, or learns why not.
#![allow(clippy::unwrap_used, reason = "a helper fails as its test does")]

mod common;

use common::{SESSION, World, addr, config, ms};
use hyperzoom_protocol::{
    Capabilities, Control, Envelope, Header, Hello, Initiator, InviteKey, Name, PROTOCOL_VERSION, Refusal,
    UNASSIGNED,
};
use hyperzoom_session::{Config, Event, PeerState, Session, UNREACHABLE_AFTER};

#[test]
fn host_and_guest_learn_of_each_other() {
    let world = World::pair();
    let [host, guest] = &world.parties[..] else { panic!() };
    assert_eq!((host.session.me(), guest.session.me()), (Some(0), Some(1)));
    assert_eq!(guest.session.session_id(), Some(SESSION));
    let peer = host.session.peers().next().unwrap();
    assert_eq!((peer.id, peer.name.as_str(), peer.addr), (1, "P1", addr(1)));
    let peer = guest.session.peers().next().unwrap();
    assert_eq!((peer.id, peer.name.as_str(), peer.addr), (0, "P0", addr(0)));
    assert_eq!(peer.round_trip, Some(ms(20)));
    let joined = |event: &Event| *event == Event::Joined { me: 1, session_id: SESSION };
    assert_eq!(guest.saw(joined), 1);
    assert_eq!(guest.when(joined).unwrap(), ms(5020), "one round trip");
    for party in [host, guest] {
        assert_eq!(party.saw(|event| matches!(event, Event::PeerConnected { rejoined: false, .. })), 1);
    }
}

#[test]
fn the_keys_of_a_pair_fit() {
    let mut world = World::pair();
    world.speak(0, b"from the host");
    world.speak(1, b"from the guest");
    world.run(ms(20));
    assert_eq!(world.parties[1].media, [(0, 0, b"from the host".to_vec())]);
    assert_eq!(world.parties[0].media, [(1, 0, b"from the guest".to_vec())]);
}

#[test]
fn a_guest_has_the_hosts_time_after_eight_exchanges() {
    let mut world = World::pair();
    let [host, guest] = &world.parties[..] else { panic!() };
    let ready = guest.when(|event| *event == Event::ClockReady).unwrap();
    // WELCOME after a round trip of 20 ms, eight questions 20 ms apart, and the last answer.
    assert_eq!(ready, ms(5000 + 20 + 7 * 20 + 20));
    let [there, here] = [host, guest].map(|it| it.session.clock().session_ns(world.now));
    assert_eq!(there, 1_000_000_000);
    assert!((here - there).abs() <= 2, "{here} ns");
    // World::pair lets a second pass.
    let updates = guest.saw(|event| *event == Event::ClockUpdated);
    assert_eq!(updates, 4, "five times a second at first");
    world.run(ms(9000));
    let updates = world.parties[1].saw(|event| *event == Event::ClockUpdated);
    world.run(ms(5000));
    assert_eq!(
        world.parties[1].saw(|event| *event == Event::ClockUpdated),
        updates + 5,
        "once a second from then on"
    );
}

#[test]
fn an_unreachable_host_is_given_up_after_ten_seconds() {
    let mut world = World::new();
    world.cut.insert((1, 0));
    world.join();
    world.run(ms(60_000));
    let guest = &world.parties[1];
    assert_eq!(guest.events, [(ms(5000) + UNREACHABLE_AFTER, Event::Unreachable)]);
    assert!(guest.session.has_ended());
    assert_eq!(guest.session.poll_timeout(), None);
    // At 0, 250, 750, 1750 ms and every second from there.
    assert_eq!(world.tape.len(), 12);
}

#[test]
fn a_lost_hello_is_said_again() {
    let mut world = World::new();
    let mut lost = 0;
    world.censor = Some(Box::new(move |sent| {
        lost += u32::from(sent.is_init());
        sent.is_init() && lost < 3
    }));
    world.join();
    world.run(ms(3000));
    assert_eq!(world.parties[1].connected(), [0]);
}

#[test]
fn a_lost_welcome_makes_no_second_participant() {
    let mut world = World::new();
    let mut lost = 0;
    world.censor = Some(Box::new(move |sent| {
        lost += u32::from(sent.is_response());
        sent.is_response() && lost < 4
    }));
    world.join();
    world.run(ms(6000));
    assert_eq!(world.parties[1].session.me(), Some(1));
    assert_eq!(world.parties[0].connected(), [1]);
    assert_eq!(world.parties[0].session.peers().count(), 1);
    assert_eq!(world.parties[0].saw(|event| matches!(event, Event::PeerConnected { .. })), 1);
    let inits: Vec<_> = world.tape.iter().filter(|sent| sent.is_init()).collect();
    for (at, init) in inits.iter().enumerate() {
        assert!(
            inits[..at].iter().all(|other| other.datagram[13..45] != init.datagram[13..45]),
            "an ephemeral key twice"
        );
    }
}

#[test]
fn a_round_trip_longer_than_the_retry_is_no_obstacle() {
    let slow = hyperzoom_netem::Conditions { delay: ms(450), ..hyperzoom_netem::Conditions::PERFECT };
    let mut world = World::with(slow, 1);
    world.join();
    world.run(ms(5000));
    assert_eq!(world.parties[0].connected(), [1]);
    assert_eq!(world.parties[1].connected(), [0]);
    assert_eq!(world.parties[1].when(|event| matches!(event, Event::Joined { .. })).unwrap(), ms(5900));
    assert_eq!(world.parties[0].saw(|event| matches!(event, Event::PeerConnected { .. })), 1);
    world.speak(1, b"hi");
    world.run(ms(500));
    assert_eq!(world.parties[0].media.len(), 1);
}

#[test]
fn a_full_session_says_so_to_an_invited_guest() {
    let mut world = World::new();
    world.parties.clear();
    world.add(Session::host(Config { capacity: 2, ..config(0) }, world.now));
    world.join();
    world.run(ms(1000));
    world.join();
    world.run(ms(1000));
    let late = &world.parties[2];
    assert_eq!(late.saw(|event| *event == Event::Refused(Refusal::Full { capacity: 2 })), 1);
    assert!(late.session.has_ended());
    assert_eq!(world.parties[0].connected(), [1], "who was in stays");
}

/// What a host answers to a guest of another make.
fn answer_to(hello: Hello) -> Control {
    let mut world = World::new();
    let (mut initiator, datagram) =
        Initiator::start(Some(&common::KEY), UNASSIGNED, 7, &Control::Hello(hello)).unwrap();
    world.inject(0, addr(1), &datagram);
    let answer = world.parties[0].session.poll_transmit().unwrap();
    assert_eq!(answer.to, addr(1));
    assert_eq!(world.parties[0].session.poll_transmit(), None, "one answer");
    assert_eq!(world.parties[0].session.peers().count(), 0);
    let (header, payload) = Header::parse(&answer.datagram).unwrap();
    assert_eq!((header.participant, header.sequence), (0, 7));
    let Some(Envelope::Response(response)) = Envelope::of(payload) else { panic!("no answer") };
    initiator.finish(response).unwrap().1
}

fn hello() -> Hello {
    Hello {
        version: PROTOCOL_VERSION,
        instance: 1001,
        name: Name::clean("Ann"),
        capabilities: Capabilities::OURS,
        session_id: None,
    }
}

#[test]
fn a_guest_of_another_version_is_told_the_hosts() {
    for version in [0, PROTOCOL_VERSION + 1, u16::MAX] {
        let answer = answer_to(Hello { version, ..hello() });
        assert_eq!(answer, Control::Refused(Refusal::Version { host: PROTOCOL_VERSION }));
    }
}

#[test]
fn a_guest_that_knows_no_opus_is_told_so() {
    let answer = answer_to(Hello { capabilities: Capabilities::VP8, ..hello() });
    assert_eq!(answer, Control::Refused(Refusal::Codecs));
}

#[test]
fn a_guest_that_was_in_another_session_is_told_so() {
    let answer = answer_to(Hello { session_id: Some(SESSION + 1), ..hello() });
    assert_eq!(answer, Control::Refused(Refusal::OtherSession));
    let answer = answer_to(Hello { session_id: Some(SESSION), ..hello() });
    assert!(matches!(answer, Control::Welcome(_)), "its own session it comes back to");
}

#[test]
fn a_guest_hears_every_refusal_and_asks_no_more() {
    for refusal in
        [Refusal::Full { capacity: 3 }, Refusal::Version { host: 2 }, Refusal::Codecs, Refusal::OtherSession]
    {
        let mut guest = Session::guest(config(1), addr(0), ms(0));
        let init = guest.poll_transmit().unwrap().datagram;
        let (header, payload) = Header::parse(&init).unwrap();
        let Some(Envelope::Init(init)) = Envelope::of(payload) else { panic!("no hello") };
        let received = hyperzoom_protocol::Responder::receive(Some(&common::KEY), &header, init).unwrap();
        let (_, mut answer) = received.responder.respond(0, &Control::Refused(refusal)).unwrap();
        guest.handle_datagram(ms(20), addr(0), &mut answer);
        assert_eq!(guest.poll_event(), Some(Event::Refused(refusal)));
        assert_eq!((guest.poll_event(), guest.poll_transmit(), guest.poll_timeout()), (None, None, None));
        assert!(guest.has_ended());
    }
}

#[test]
fn a_guest_whose_host_began_another_session_is_told_so() {
    let mut world = World::pair();
    let now = world.now;
    world.parties[0].session = Session::host(Config { session_id: SESSION + 1, ..config(0) }, now);
    world.run(ms(10_000));
    let guest = &world.parties[1];
    assert_eq!(guest.saw(|event| *event == Event::Refused(Refusal::OtherSession)), 1);
    assert_eq!(guest.session.session_id(), Some(SESSION), "it stays in its own");
    assert_eq!(world.parties[0].session.peers().count(), 0);
}

#[test]
fn the_place_of_one_who_left_is_free_again() {
    let mut world = World::new();
    world.parties.clear();
    world.add(Session::host(Config { capacity: 2, ..config(0) }, world.now));
    world.join();
    world.run(ms(1000));
    let now = world.now;
    world.parties[1].session.leave(now);
    world.run(ms(500));
    world.join();
    world.run(ms(1000));
    assert_eq!(world.parties[2].session.me(), Some(1));
    assert!(world.parties[0].events.iter().any(|(_, event)| matches!(
        event,
        Event::PeerConnected { id: 1, name, rejoined: false, .. } if name.as_str() == "P2"
    )));
}

#[test]
fn newcomers_get_numbers_that_nobody_had_while_there_are_some() {
    let mut world = World::pair();
    let now = world.now;
    world.parties[1].session.leave(now);
    world.run(ms(500));
    world.join();
    world.run(ms(1000));
    assert_eq!(world.parties[2].session.me(), Some(2));
}

#[test]
fn a_guest_with_another_key_gets_no_answer() {
    for key in [Some(InviteKey([43; 32])), None] {
        let mut world = World::new();
        let guest = Session::guest(Config { key, ..config(1) }, addr(0), world.now);
        world.add(guest);
        world.run(ms(20_000));
        assert_eq!(world.parties[1].events.last().unwrap().1, Event::Unreachable);
        assert!(world.tape.iter().all(|sent| sent.from == addr(1)), "the host answered");
        assert_eq!(world.parties[0].session.peers().count(), 0);
        assert_eq!(world.parties[0].session.stats().unauthenticated, 12);
    }
}

#[test]
fn an_open_session_needs_no_key() {
    let mut world = World::new();
    world.parties.clear();
    let now = world.now;
    world.add(Session::host(Config { key: None, ..config(0) }, now));
    world.add(Session::guest(Config { key: None, ..config(1) }, addr(0), now));
    world.run(ms(1000));
    assert_eq!(world.parties[0].connected(), [1]);
    assert!(world.parties[0].session.peers().all(|peer| peer.state == PeerState::Connected));
}

#[test]
fn the_hosts_session_is_ready_at_once() {
    let world = World::new();
    let mut session = Session::host(config(0), world.now);
    assert_eq!(session.poll_event(), Some(Event::Joined { me: 0, session_id: SESSION }));
    assert_eq!(session.poll_event(), Some(Event::ClockReady));
    assert_eq!(session.poll_event(), None);
    assert_eq!(session.poll_timeout(), None, "alone it has nothing to wait for");
}

#[test]
fn a_bad_path_does_not_keep_anybody_out() {
    for seed in 0..50 {
        let mut world = World::with(hyperzoom_netem::Conditions::ROUGH, seed * 100);
        world.join();
        world.run(ms(10_000));
        assert_eq!(world.parties[0].connected(), [1], "seed {seed}");
        assert_eq!(world.parties[1].connected(), [0], "seed {seed}");
        assert_eq!(world.parties[0].session.peers().count(), 1);
        assert!(world.parties[1].session.clock_is_ready());
        let error = world.parties[1].session.clock().session_ns(world.now)
            - world.parties[0].session.clock().session_ns(world.now);
        assert!(error.abs() < 15_000_000, "clock is {error} ns out");
    }
}
