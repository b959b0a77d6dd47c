//! A short outage heals by itself; a longer one ends in coming back as the same participant.

mod common;

use common::{Sent, World, addr, ms};
use hyperzoom_session::{Event, LeaveReason};

fn outage(world: &mut World, length: std::time::Duration) {
    world.cut.extend([(0, 1), (1, 0)]);
    world.run(length);
    world.cut.clear();
}

#[test]
fn an_outage_within_the_timeout_heals_without_a_handshake() {
    let mut world = World::pair();
    world.speak(1, b"before");
    outage(&mut world, ms(3500));
    let before = world.tape.len();
    world.run(ms(2000));
    assert!(!world.tape[before..].iter().any(Sent::is_init), "a handshake");
    for (party, peer) in [(0, 1), (1, 0)] {
        let party = &world.parties[party];
        assert_eq!(party.saw(|event| *event == Event::PeerSilent { id: peer }), 1);
        assert_eq!(party.saw(|event| *event == Event::PeerBack { id: peer }), 1);
        assert_eq!(party.saw(|event| matches!(event, Event::PeerLeft { .. })), 0);
        assert_eq!(party.saw(|event| matches!(event, Event::PeerConnected { .. })), 1);
    }
    world.speak(1, b"after");
    world.run(ms(20));
    assert_eq!(world.parties[0].media.last(), Some(&(1, 1, b"after".to_vec())), "the same stream goes on");
}

#[test]
fn after_a_long_outage_the_guest_comes_back_as_itself() {
    let mut world = World::pair();
    world.speak(1, b"before");
    outage(&mut world, ms(30_000));
    world.run(ms(3000));
    for (party, peer) in [(0, 1), (1, 0)] {
        let party = &world.parties[party];
        let left = Event::PeerLeft { id: peer, reason: LeaveReason::TimedOut };
        assert_eq!(party.saw(|event| *event == left), 1);
        let back =
            |event: &Event| matches!(event, Event::PeerConnected { id, rejoined: true, .. } if *id == peer);
        assert_eq!(party.saw(back), 1);
        assert_eq!(party.connected(), [peer]);
    }
    assert_eq!(world.parties[1].session.me(), Some(1));
    assert_eq!(world.parties[1].saw(|event| matches!(event, Event::Joined { .. })), 1, "the same session");
    world.speak(1, b"after");
    world.run(ms(20));
    assert_eq!(world.parties[0].media.last(), Some(&(1, 0, b"after".to_vec())), "its streams begin anew");
}

#[test]
fn a_guest_whom_only_the_host_gave_up_is_back_within_a_second() {
    let mut world = World::pair();
    // Nothing reaches the host, while the guest goes on hearing it.
    world.cut.insert((1, 0));
    while world.parties[0].saw(|event| matches!(event, Event::PeerLeft { .. })) == 0 {
        world.run(ms(10));
    }
    assert_eq!(world.parties[1].saw(|event| matches!(event, Event::PeerLeft { .. })), 0);
    world.cut.clear();
    world.run(ms(1300));
    assert_eq!(world.parties[0].connected(), [1]);
    assert_eq!(world.parties[1].connected(), [0]);
}

#[test]
fn a_host_whom_only_the_guest_gave_up_has_it_back_within_a_second() {
    let mut world = World::pair();
    world.cut.insert((0, 1));
    while world.parties[1].saw(|event| matches!(event, Event::PeerLeft { .. })) == 0 {
        world.run(ms(10));
    }
    world.cut.clear();
    world.run(ms(1300));
    assert_eq!(world.parties[0].connected(), [1]);
    assert_eq!(world.parties[1].connected(), [0]);
}

#[test]
fn the_clock_runs_on_through_an_outage() {
    let mut world = World::pair();
    outage(&mut world, ms(30_000));
    let [host, guest] = &world.parties[..] else { panic!() };
    let [guest_ns, host_ns] = [guest, host].map(|party| party.session.clock().session_ns(world.now));
    assert!(guest_ns.abs_diff(host_ns) < 1000, "{guest_ns} ns, and the host's {host_ns}");
    assert_eq!(guest.saw(|event| *event == Event::ClockReady), 1);
}

#[test]
fn a_peer_that_moves_is_followed() {
    let mut world = World::pair();
    let new = "10.9.9.9:1234".parse().expect("an address");
    world.parties[1].addr = new;
    world.speak(1, b"from elsewhere");
    world.run(ms(2000));
    assert_eq!(world.parties[0].saw(|event| *event == Event::PeerMoved { id: 1, addr: new }), 1);
    assert_eq!(world.parties[0].connected(), [1]);
    world.speak(0, b"there you are");
    world.run(ms(20));
    assert_eq!(world.parties[1].media, [(0, 0, b"there you are".to_vec())]);
}

#[test]
fn a_recorded_datagram_from_elsewhere_moves_nobody() {
    let mut world = World::pair();
    world.speak(1, b"one");
    world.speak(1, b"two");
    world.run(ms(20));
    let evil = "10.6.6.6:666".parse().expect("an address");
    let arrived = world.now - ms(10);
    for sent in world.tape.clone().iter().filter(|sent| sent.to == addr(0) && sent.at <= arrived) {
        world.inject(0, evil, &sent.datagram);
    }
    assert_eq!(world.parties[0].session.peers().next().map(|peer| peer.addr), Some(addr(1)));
    assert_eq!(world.parties[0].saw(|event| matches!(event, Event::PeerMoved { .. })), 0);
}

#[test]
fn a_datagram_that_was_held_back_moves_nobody() {
    let mut world = World::pair();
    // An attacker swallows one, lets a later one pass, and sends the first from an address of its own.
    world.censor = Some(Box::new(|sent| sent.header().kind == hyperzoom_protocol::PacketType::Audio));
    world.speak(1, b"one");
    world.censor = None;
    let swallowed = world.tape.last().cloned().expect("it was sent");
    world.speak(1, b"two");
    world.run(ms(20));
    world.inject(0, "10.6.6.6:666".parse().expect("an address"), &swallowed.datagram);
    assert_eq!(world.parties[0].media.len(), 2, "it is authentic and new");
    assert_eq!(world.parties[0].saw(|event| matches!(event, Event::PeerMoved { .. })), 0);
}

#[test]
fn two_who_gave_each_other_up_do_not_tell_each_other_so_for_ever() {
    let slow = hyperzoom_netem::Conditions { delay: ms(450), ..hyperzoom_netem::Conditions::PERFECT };
    let mut world = World::with(slow, 1);
    world.join();
    world.run(ms(5000));
    // Nothing reaches the host until it has given the guest up, and no handshake after that.
    world.cut.insert((1, 0));
    world.run(ms(7000));
    world.cut.clear();
    world.censor = Some(Box::new(Sent::is_init));
    world.run(ms(10_000));
    assert!(world.parties[1].saw(|event| matches!(event, Event::PeerLeft { .. })) > 0, "the guest was told");
    let before = world.tape.len();
    world.run(ms(10_000));
    let chatter = world.tape[before..].iter().filter(|sent| !sent.is_init()).count();
    assert_eq!(chatter, 0, "datagrams between two who are not in a call");
}

#[test]
fn a_guest_that_is_started_anew_at_once_is_heard_by_the_other_guests_before_they_give_it_up() {
    let mut world = World::pair();
    world.join();
    world.run(ms(3000));
    // Its program was killed, and is back half a second later at another port.
    world.cut.extend([(0, 1), (2, 1)]);
    world.run(ms(500));
    world.cut.clear();
    let moved = std::net::SocketAddr::from(([10, 0, 0, 2], 4799));
    let party = &mut world.parties[1];
    (party.session, party.addr) =
        (hyperzoom_session::Session::guest(common::config(1), addr(0), world.now), moved);
    world.run(ms(3000));
    assert_eq!(world.parties[1].connected(), [0, 2]);
    assert_eq!(world.parties[2].connected(), [0, 1]);
    assert_eq!(world.parties[2].saw(|event| matches!(event, Event::PeerLeft { .. })), 0);
    world.speak(1, b"again");
    world.run(ms(50));
    assert_eq!(world.parties[2].media.last(), Some(&(1, 0, b"again".to_vec())));
}
