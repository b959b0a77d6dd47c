//! Who leaves says so three times, and who is not heard has left.

mod common;

use common::{World, addr, ms};
use hyperzoom_protocol::PacketType;
use hyperzoom_session::{Event, LeaveReason, PeerState};

#[test]
fn a_goodbye_is_said_three_times_50_ms_apart() {
    let mut world = World::pair();
    let start = world.now;
    world.parties[1].session.leave(start);
    world.run(ms(1000));
    let goodbyes: Vec<_> = world
        .tape
        .iter()
        .filter(|sent| sent.from == addr(1) && sent.header().kind == PacketType::Bye)
        .map(|sent| sent.at - start)
        .collect();
    assert_eq!(goodbyes, [ms(0), ms(50), ms(100)]);
    assert_eq!(world.parties[1].when(|event| *event == Event::Ended), Some(start + ms(100)));
    let left = Event::PeerLeft { id: 1, reason: LeaveReason::Bye };
    assert_eq!(world.parties[0].when(|event| *event == left), Some(start + ms(10)), "at once");
    assert_eq!(world.parties[0].saw(|event| *event == left), 1, "three goodbyes are one");
}

#[test]
fn one_goodbye_of_three_is_enough() {
    for survivor in 1..=3 {
        let mut world = World::pair();
        let mut said = 0;
        world.censor = Some(Box::new(move |sent| {
            let bye = sent.header().kind == PacketType::Bye;
            said += u32::from(bye);
            bye && said != survivor
        }));
        let now = world.now;
        world.parties[1].session.leave(now);
        world.run(ms(500));
        assert_eq!(
            world.parties[0].saw(|event| matches!(event, Event::PeerLeft { reason: LeaveReason::Bye, .. })),
            1
        );
    }
}

#[test]
fn a_peer_that_is_not_heard_for_five_seconds_has_left() {
    let mut world = World::pair();
    world.cut.extend([(0, 1), (1, 0)]);
    let heard = world.tape.iter().rfind(|sent| sent.from == addr(1)).map(|sent| sent.at + ms(10));
    world.run(ms(20_000));
    let host = &world.parties[0];
    assert_eq!(host.when(|event| *event == Event::PeerSilent { id: 1 }), heard.map(|at| at + ms(1500)));
    let left = Event::PeerLeft { id: 1, reason: LeaveReason::TimedOut };
    assert_eq!(host.when(|event| *event == left), heard.map(|at| at + ms(5000)));
    assert_eq!(host.saw(|event| *event == left), 1);
}

#[test]
fn after_a_goodbye_nothing_is_sent_to_a_peer() {
    let mut world = World::pair();
    let now = world.now;
    world.parties[0].session.leave(now);
    world.run(ms(200));
    let before = world.tape.len();
    world.run(ms(60_000));
    assert_eq!(world.tape.len(), before);
    let guest = &world.parties[1];
    assert_eq!(guest.session.peers().next().map(|peer| peer.state), Some(PeerState::Left(LeaveReason::Bye)));
    assert!(!guest.session.has_ended(), "a guest's session outlives its host");
}

#[test]
fn leaving_before_being_in_ends_at_once() {
    let mut world = World::new();
    world.join();
    let now = world.now;
    world.parties[1].session.leave(now);
    world.run(ms(10));
    assert_eq!(world.parties[1].events, [(now, Event::Ended)]);
    world.run(ms(1000));
    assert_eq!(world.parties[0].session.peers().count(), 0);
}

#[test]
fn a_goodbye_played_again_does_not_end_a_later_link() {
    let mut world = World::pair();
    // The guest says goodbye, unheard, and its process joins again as the same participant.
    world.cut.insert((1, 0));
    let now = world.now;
    world.parties[1].session.leave(now);
    world.run(ms(6000));
    let bye = world.tape.iter().find(|sent| sent.header().kind == PacketType::Bye).cloned().expect("said");
    world.cut.clear();
    world.parties[1].session = hyperzoom_session::Session::guest(common::config(1), addr(0), world.now);
    world.run(ms(1000));
    assert_eq!(world.parties[0].connected(), [1]);
    world.inject(0, addr(1), &bye.datagram);
    assert_eq!(world.parties[0].connected(), [1]);
}
