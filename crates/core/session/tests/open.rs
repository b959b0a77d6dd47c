//! A session without a key: who says that he wants in, and is never heard of again, keeps nobody out.
#![allow(clippy::unwrap_used, reason = "a helper fails as its test does")]

mod common;

use std::net::SocketAddr;

use common::{KEY, World, addr, config, ms};
use hyperzoom_protocol::{COOKIE_LEN, Cookie};
use hyperzoom_protocol::{Envelope, HELLO_LEN, Header, InviteKey, UNASSIGNED, cookie_datagram};
use hyperzoom_session::{Config, Event, Session};

fn stranger(n: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, n], 4700))
}

fn guest(key: Option<InviteKey>, instance: u128, world: &World) -> Session {
    Session::guest(Config { key, instance, ..config(9) }, addr(0), world.now)
}

fn is_cookie(datagram: &[u8]) -> bool {
    matches!(Envelope::of(Header::parse(datagram).unwrap().1), Some(Envelope::Cookie(_)))
}

/// Somebody at `from` asks to be let in, and is not heard of again once a place is his. What the host answered.
fn half_open(world: &mut World, from: SocketAddr, key: Option<InviteKey>, instance: u128) -> usize {
    let mut session = guest(key, instance, world);
    let mut answered = 0;
    while let Some(transmit) = session.poll_transmit() {
        let tape = world.tape.len();
        world.inject(0, from, &transmit.datagram);
        world.pump();
        for answer in world.tape[tape..].iter().filter(|sent| sent.to == from) {
            answered += 1;
            if is_cookie(&answer.datagram) {
                session.handle_datagram(world.now, addr(0), &mut answer.datagram.clone());
            }
        }
    }
    answered
}

fn gets_in(world: &mut World) {
    let newcomer = world.join();
    world.run(ms(400));
    let connected = world.parties[newcomer].connected();
    assert!(connected.contains(&0), "{:?}", world.parties[newcomer].events);
}

#[test]
fn a_guest_of_an_open_session_is_asked_for_one_cookie_and_is_in() {
    let mut world = World::of_key(None);
    world.join();
    world.run(ms(200));
    assert_eq!(world.parties[1].connected(), [0]);
    assert_eq!(world.parties[0].connected(), [1]);
    let begin = world.tape.iter().filter(|sent| sent.is_init() || is_cookie(&sent.datagram)).count();
    assert_eq!(begin, 3, "a question, a cookie, and the question with it");
    assert!(world.tape.iter().filter(|sent| sent.is_init()).all(|sent| sent.datagram.len() == HELLO_LEN));
    // Two who come at once have a place each.
    world.join();
    world.join();
    world.run(ms(400));
    assert_eq!(world.parties[0].connected(), [1, 2, 3]);
}

#[test]
fn with_a_key_nobody_is_asked_for_a_cookie() {
    let world = World::pair();
    assert!(world.tape.iter().all(|sent| !is_cookie(&sent.datagram)));
}

#[test]
fn joins_from_addresses_where_nobody_is_hold_no_place() {
    let mut world = World::of_key(None);
    for n in 0..60 {
        let hello = guest(None, n.into(), &world).poll_transmit().unwrap().datagram;
        world.inject(0, stranger(n), &hello);
    }
    world.pump();
    assert!(world.tape.iter().all(|sent| is_cookie(&sent.datagram)), "no place is promised");
    assert_eq!(world.parties[0].session.poll_timeout(), None, "and nothing is remembered");
    for _ in 0..3 {
        gets_in(&mut world);
    }
}

#[test]
fn joins_that_are_left_half_open_are_overtaken() {
    // With the key as well.
    for key in [None, Some(KEY)] {
        for addresses in [1, 3, 30] {
            let mut world = World::of_key(key);
            for round in 0..3 {
                let join =
                    |n: u8| half_open(&mut world, stranger(n % addresses), key, u128::from(n) + 100 * round);
                assert!((0..30).map(join).sum::<usize>() > 9, "more than all places are promised");
                gets_in(&mut world);
            }
            assert_eq!(world.parties[0].connected(), [1, 2, 3]);
            let newcomer = world.join();
            world.run(ms(400));
            assert_eq!(
                world.parties[newcomer].saw(|event| matches!(event, Event::Refused(_))),
                1,
                "now it is full"
            );
        }
    }
}

#[test]
fn one_address_does_not_crowd_out_a_guest_who_is_far_away() {
    let far = hyperzoom_netem::Conditions { delay: ms(200), ..hyperzoom_netem::Conditions::PERFECT };
    let mut world = World::with(far, 1);
    let newcomer = world.join();
    for n in 0..100_u8 {
        half_open(&mut world, stranger(1), Some(KEY), u128::from(n));
        world.run(ms(10));
    }
    assert_eq!(world.parties[newcomer].connected(), [0]);
    assert_eq!(world.parties[0].session.peers().count(), 1);
}

#[test]
fn a_cookie_is_good_for_its_address_and_for_a_while() {
    let mut world = World::of_key(None);
    let mut session = guest(None, 77, &world);
    let first = session.poll_transmit().unwrap().datagram;
    world.inject(0, stranger(1), &first);
    world.pump();
    let mut cookie = world.tape.last().unwrap().datagram.clone();
    session.handle_datagram(world.now, addr(0), &mut cookie);
    let with_cookie = session.poll_transmit().unwrap().datagram;
    world.inject(0, stranger(2), &with_cookie);
    world.pump();
    assert!(is_cookie(&world.tape.last().unwrap().datagram), "somebody else's");
    world.run(ms(61_000));
    world.inject(0, stranger(1), &with_cookie);
    world.pump();
    assert!(is_cookie(&world.tape.last().unwrap().datagram), "stale");
    assert!(world.tape.iter().all(|sent| !sent.is_response()));
}

#[test]
fn false_cookies_make_a_guest_send_little_and_do_not_keep_it_out() {
    let mut world = World::of_key(None);
    let joining = world.join();
    world.cut.insert((0, 1));
    let (begin, span) = (world.now, 3000);
    for n in 0..span {
        let sequence = (n % 24) as u16;
        let false_one = cookie_datagram(0, sequence, &Cookie([n as u8; COOKIE_LEN]));
        world.inject(joining, addr(0), &false_one);
        world.inject(joining, addr(0), &cookie_datagram(UNASSIGNED, sequence, &Cookie([0; COOKIE_LEN])));
        world.run(ms(1));
    }
    let asked = world.tape.iter().filter(|sent| sent.is_init()).count();
    assert!(asked < 20, "{asked} questions in {:?}", world.now - begin);
    world.cut.clear();
    world.run(ms(2500));
    assert_eq!(world.parties[joining].connected(), [0]);
}
