//! A host whose program was cut off and is started anew goes on with its session.
#![allow(clippy::unwrap_used, reason = "a helper fails as its test does")]

mod common;

use std::time::Duration;

use common::{World, config, ms};
use hyperzoom_session::{Event, RESUME_WITHIN, Session};

/// When the sessions of these worlds begin.
const BEGAN: Duration = Duration::from_secs(5);

fn session_ns(world: &World, party: usize) -> i64 {
    world.parties[party].session.clock().session_ns(world.now)
}

fn true_ns(world: &World) -> i64 {
    (world.now - BEGAN).as_nanos() as i64
}

/// A host and two guests, whose host is gone for so long, and is then started anew with a clock on the wall that is wrong by `wrong_ns`.
fn cut_off(away: Duration, wrong_ns: i64) -> World {
    let mut world = World::pair();
    world.join();
    world.run(ms(20_000));
    world.cut.extend([(0, 1), (1, 0), (0, 2), (2, 0)]);
    world.run(away);
    world.cut.clear();
    let about = true_ns(&world) + wrong_ns;
    world.parties[0].session = Session::resume(config(0), world.now, about);
    world.parties[0].events.clear();
    world.parties[0].routes.clear();
    world
}

#[test]
fn the_guests_find_it_again_under_their_own_numbers_and_tell_it_the_time() {
    for (away, wrong_ns) in [(500, 0), (2000, 3_000_000_000), (30_000, -20_000_000_000)] {
        let mut world = cut_off(ms(away), wrong_ns);
        let since = world.now;
        world.run(ms(9000));
        assert_eq!(world.parties[0].connected(), [1, 2], "away for {away} ms");
        let ready = world.parties[0].when(|event| *event == Event::ClockReady).expect("it knows the time");
        assert!(ready - since < ms(7000), "{:?}", ready - since);
        for party in 0..3 {
            let off = session_ns(&world, party) - true_ns(&world);
            assert!(off.abs() < 100_000, "party {party} is {off} ns off");
        }
        for (party, other) in [(1, 2), (2, 1)] {
            let guest = &world.parties[party];
            assert_eq!(guest.connected(), [0, other]);
            assert_eq!(guest.saw(|event| matches!(event, Event::Joined { .. })), 1, "it has kept its number");
            assert_eq!(
                guest.saw(|event| matches!(event, Event::PeerConnected { id, .. } if *id == other)),
                1
            );
            assert_eq!(
                guest.saw(|event| matches!(event, Event::PeerConnected { id: 0, rejoined: true, .. })),
                1
            );
        }
        let tone = |party: usize| {
            world.parties[party].events.iter().rev().find_map(|(at, event)| match event {
                Event::SyncTone { at_ns } => Some((*at > since, *at_ns)),
                _ => None,
            })
        };
        assert!(
            tone(0).is_some_and(|(is_new, _)| is_new),
            "its new take has a tone in common with the others"
        );
        assert_eq!((tone(1), tone(2)), (tone(0), tone(0)));
        world.speak(0, b"I am back");
        world.run(ms(50));
        assert!((1..3).all(|party| world.parties[party].media == [(0, 0, b"I am back".to_vec())]));
    }
}

#[test]
fn a_newcomer_does_not_tell_the_time_and_takes_nobodys_number() {
    let mut world = cut_off(ms(10_000), 40_000_000);
    let newcomer = world.join();
    world.run(ms(4000));
    assert_eq!(world.parties[0].connected().len(), 3);
    let numbers: Vec<_> = (1..4).map(|party| world.parties[party].session.me().unwrap()).collect();
    assert_eq!(world.parties[newcomer].session.me(), Some(3), "{numbers:?}");
    for party in 0..4 {
        let off = session_ns(&world, party) - true_ns(&world);
        assert!(off.abs() < 100_000, "party {party} is {off} ns off");
    }
}

#[test]
fn where_nobody_comes_back_the_clock_on_the_wall_has_to_do() {
    let mut world = cut_off(ms(10_000), 40_000_000);
    world.cut.extend([(0, 1), (1, 0), (0, 2), (2, 0)]);
    let newcomer = world.join();
    world.run(RESUME_WITHIN - ms(100));
    assert!(!world.parties[0].session.clock_is_ready() && !world.parties[newcomer].session.clock_is_ready());
    world.run(ms(2000));
    assert_eq!(world.parties[0].saw(|event| *event == Event::ClockReady), 1);
    for party in [0, newcomer] {
        assert!((session_ns(&world, party) - true_ns(&world) - 40_000_000).abs() < 1_000_000);
    }
}

#[test]
fn guests_whom_it_relayed_hear_each_other_again() {
    let mut world = World::pair();
    world.cut.extend([(1, 2), (2, 1)]);
    world.join();
    world.run(ms(10_000));
    assert!(world.parties[1].relayed.contains(&2), "by way of the host");
    world.cut.extend([(0, 1), (1, 0), (0, 2), (2, 0)]);
    world.run(ms(8000));
    world.cut.retain(|(from, to)| *from != 0 && *to != 0);
    let about = true_ns(&world);
    world.parties[0].session = Session::resume(config(0), world.now, about);
    world.run(ms(8000));
    for (party, other) in [(1, 2), (2, 1)] {
        assert_eq!(world.parties[party].connected(), [0, other]);
    }
    world.speak(1, b"by way of the host");
    world.run(ms(100));
    assert!(world.parties[2].media.iter().any(|(from, _, text)| *from == 1 && text == b"by way of the host"));
}
