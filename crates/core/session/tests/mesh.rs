//! Three and four participants, each linked to each.

mod common;

use common::{World, addr, ms};
use hyperzoom_netem::Conditions;
use hyperzoom_protocol::{
    Control, Envelope, Greet, Header, Initiator, MAX_CONTROL, MAX_DATAGRAM, Name, PacketType, PeerEntry,
    Stream, StreamSealer,
};
use hyperzoom_session::{Event, LeaveReason, PeerState};

fn everybody_hears_everybody(world: &mut World) {
    for speaker in 0..world.parties.len() {
        for party in &mut world.parties {
            party.media.clear();
        }
        world.speak(speaker, b"can you hear me");
        world.run(ms(200));
        let id = world.parties[speaker].session.me();
        for (party, listener) in world.parties.iter().enumerate().filter(|(party, _)| *party != speaker) {
            assert_eq!(listener.media.len(), 1, "party {party} hears {speaker}");
            assert_eq!(Some(listener.media[0].0), id);
        }
    }
}

#[test]
fn four_participants_are_all_linked() {
    let mut world = World::new();
    for _ in 0..3 {
        world.join();
        world.run(ms(500));
    }
    assert_eq!(world.parties[0].connected(), [1, 2, 3]);
    assert_eq!(world.parties[1].connected(), [0, 2, 3]);
    assert_eq!(world.parties[2].connected(), [0, 1, 3]);
    assert_eq!(world.parties[3].connected(), [0, 1, 2]);
    let names: Vec<_> = world.parties[3].session.peers().map(|peer| peer.name.to_string()).collect();
    assert_eq!(names, ["P0", "P1", "P2"]);
    everybody_hears_everybody(&mut world);
}

#[test]
fn guests_that_join_at_the_same_moment_are_all_linked() {
    let mut world = World::new();
    for _ in 0..3 {
        world.join();
    }
    world.run(ms(3000));
    for party in &world.parties {
        assert_eq!(party.connected().len(), 3);
    }
    everybody_hears_everybody(&mut world);
}

#[test]
fn a_bad_path_does_not_keep_the_mesh_apart() {
    for seed in 0..20 {
        let mut world = World::with(Conditions::ROUGH, seed * 1000);
        for _ in 0..3 {
            world.join();
        }
        world.run(ms(12_000));
        for (at, party) in world.parties.iter().enumerate() {
            assert_eq!(party.connected().len(), 3, "seed {seed}, party {at}");
        }
    }
}

#[test]
fn both_sides_of_a_new_pair_send_to_each_other() {
    let mut world = World::pair();
    world.join();
    world.cut.extend([(1, 2), (2, 1)]);
    world.run(ms(1000));
    let sent = |from: usize, to: usize| world.tape.iter().any(|s| s.from == addr(from) && s.to == addr(to));
    assert!(sent(1, 2), "the one whose router must open for the other");
    assert!(sent(2, 1), "the one who greets");
    assert_eq!(
        world.parties[1].session.peers().find(|p| p.id == 2).map(|p| p.state),
        Some(PeerState::Connecting)
    );
}

#[test]
fn one_who_leaves_leaves_all() {
    let mut world = World::pair();
    world.join();
    world.run(ms(1000));
    let now = world.now;
    world.parties[2].session.leave(now);
    world.run(ms(10_000));
    for party in 0..2 {
        let left = Event::PeerLeft { id: 2, reason: LeaveReason::Bye };
        assert_eq!(world.parties[party].saw(|event| *event == left), 1);
        assert_eq!(world.parties[party].connected().len(), 1);
    }
    assert_eq!(world.parties[1].saw(|event| matches!(event, Event::PeerConnected { id: 2, .. })), 1);
}

#[test]
fn guests_go_on_without_their_host() {
    let mut world = World::pair();
    world.join();
    world.run(ms(1000));
    world.cut.extend([(0, 1), (0, 2), (1, 0), (2, 0)]);
    world.run(ms(60_000));
    assert_eq!(world.parties[1].connected(), [2]);
    assert_eq!(world.parties[2].connected(), [1]);
    world.speak(1, b"still here");
    world.run(ms(50));
    assert!(world.parties[2].media.iter().any(|(from, _, _)| *from == 1));
    world.cut.clear();
    world.run(ms(3000));
    everybody_hears_everybody(&mut world);
}

#[test]
fn a_link_between_two_guests_comes_back_by_itself() {
    let mut world = World::pair();
    world.join();
    world.run(ms(1000));
    world.cut.extend([(1, 2), (2, 1)]);
    // Not by way of the host either.
    world.censor = Some(Box::new(|sent| sent.header().kind == PacketType::Relayed));
    world.run(ms(30_000));
    assert_eq!(world.parties[1].connected(), [0]);
    assert_eq!(world.parties[2].connected(), [0]);
    world.cut.clear();
    world.run(ms(3000));
    everybody_hears_everybody(&mut world);
    let back = |event: &Event| matches!(event, Event::PeerConnected { id: 1, rejoined: true, .. });
    assert_eq!(world.parties[2].saw(back), 1);
}

#[test]
fn a_guest_that_the_host_gave_up_is_sought_no_longer() {
    let mut world = World::pair();
    world.join();
    world.run(ms(1000));
    // The second guest's machine is gone for good.
    world.cut.extend([(2, 0), (2, 1), (0, 2), (1, 2)]);
    world.run(ms(30_000));
    let before = world.tape.len();
    world.run(ms(10_000));
    assert!(
        !world.tape[before..].iter().any(|sent| sent.from == addr(1) && sent.to == addr(2)),
        "it is sought still"
    );
}

#[test]
fn a_greeting_of_one_whose_place_is_anothers_by_now_connects_nobody() {
    let mut world = World::pair();
    let host_key = world.parties[0].events.iter().find_map(|(_, event)| match event {
        Event::PeerConnected { send_key, .. } => Some(*send_key),
        _ => None,
    });
    let mut host = StreamSealer::new(host_key.expect("connected"), Stream::Control, 0);
    // Past all numbers that the host's own session has used.
    for _ in 0..500 {
        host.skip();
    }
    let mut introduce = |world: &mut World, instance: u128| {
        let (mut buffer, mut out) = ([0; MAX_CONTROL], [0; MAX_DATAGRAM]);
        let entry = PeerEntry { participant: 2, instance, name: Name::clean("P2"), addr: addr(7) };
        let payload = Control::PeerJoined(entry).encode(&mut buffer);
        let len = host.seal(PacketType::Control, 0, 0, 0, payload, &mut out);
        world.inject(1, addr(0), &out[..len]);
        world.pump();
    };
    introduce(&mut world, 71);
    let greet = Control::Greet(Greet { session_id: common::SESSION, participant: 2, instance: 71, to: 1 });
    let (mut initiator, init) = Initiator::start(Some(&common::KEY), 2, 0, &greet).expect("random numbers");
    world.inject(1, addr(7), &init);
    world.pump();
    let answer = world.tape.iter().rfind(|sent| sent.is_response()).cloned().expect("it is answered");
    let Some(Envelope::Response(response)) = Envelope::of(&answer.datagram[12..]) else { panic!() };
    let (keys, _) = initiator.finish(response).expect("the answer is for us");
    // The place goes to another before the handshake's last datagram arrives.
    introduce(&mut world, 72);
    let (mut buffer, mut out) = ([0; MAX_CONTROL], [0; MAX_DATAGRAM]);
    let mut sealer = StreamSealer::new(keys.send, Stream::Control, 2);
    let payload = Control::Heartbeat.encode(&mut buffer);
    let len = sealer.seal(PacketType::Control, 0, 0, 0, payload, &mut out);
    assert!(Header::parse(&out[..len]).is_ok());
    world.inject(1, addr(7), &out[..len]);
    assert_eq!(world.parties[1].saw(|event| matches!(event, Event::PeerConnected { id: 2, .. })), 0);
}
