//! Two guests in one home meet within it, and nobody outside is told where they are there.
#![allow(clippy::unwrap_used, reason = "a helper fails as its test does")]

mod common;

use std::net::SocketAddr;

use common::{KEY, SESSION, World, addr, config, ms};
use hyperzoom_protocol::LocalAddrs;
use hyperzoom_session::{Config, Event, Session};

/// The address of a home's router.
const HOME: [u8; 4] = [198, 51, 100, 7];

/// What a machine of ours says of itself.
fn local(party: usize) -> LocalAddrs {
    let SocketAddr::V4(v4) = addr(party) else { unreachable!("IPv4") };
    LocalAddrs { v4: Some(v4), v6: None }
}

impl World {
    /// A guest joins who lives behind the router `home`, and says where it is there, or does not.
    fn join_from(&mut self, home: [u8; 4], says: bool) -> usize {
        let party = self.parties.len();
        let mut session = Session::guest(config(party), addr(0), self.now);
        if says {
            session.set_local(local(party));
        }
        self.add(session);
        self.parties[party].outside = Some((home, 40_000 + party as u16).into());
        party
    }
}

fn met(world: &World, party: usize, peer: u8) -> Option<(bool, SocketAddr)> {
    let found = world.parties[party].session.peers().find(|p| p.id == peer)?;
    world.parties[party].connected().contains(&peer).then_some((found.relayed, found.addr))
}

#[test]
fn two_in_one_home_meet_there_although_their_router_leads_nothing_back() {
    for together in [true, false] {
        let mut world = World::new();
        world.join_from(HOME, true);
        if !together {
            world.run(ms(3000));
        }
        world.join_from(HOME, true);
        let since = world.now;
        world.run(ms(1000));
        assert_eq!(met(&world, 1, 2), Some((false, addr(2))), "together: {together}");
        assert_eq!(met(&world, 2, 1), Some((false, addr(1))));
        let at = world.parties[1].when(|e| matches!(e, Event::PeerConnected { id: 2, .. })).unwrap();
        assert!(at - since < ms(500), "{:?}", at - since);
        // And it stays so, without a word to their router's own address any more.
        world.run(ms(1000));
        let begin = world.tape.len();
        world.run(ms(20_000));
        let outside = world.parties[2].outside.unwrap();
        assert!(world.tape[begin..].iter().all(|sent| sent.to != outside || sent.from == addr(0)));
        world.speak(1, b"so near");
        world.run(ms(50));
        assert_eq!(world.parties[2].media, [(1, 0, b"so near".to_vec())]);
    }
}

#[test]
fn who_do_not_say_where_they_are_are_relayed() {
    let mut world = World::new();
    world.join_from(HOME, false);
    world.join_from(HOME, false);
    world.run(ms(8000));
    assert!(met(&world, 1, 2).unwrap().0 && met(&world, 2, 1).unwrap().0, "by way of the host");
}

#[test]
fn who_lives_elsewhere_is_not_told() {
    let mut world = World::new();
    world.join_from(HOME, true);
    world.join_from([198, 51, 100, 8], true);
    world.run(ms(5000));
    for (party, other) in [(1, 2), (2, 1)] {
        assert!(!world.tape.iter().any(|sent| sent.from == addr(party) && sent.to == addr(other)));
        assert_eq!(met(&world, party, other as u8), Some((false, world.parties[other].outside.unwrap())));
    }
}

#[test]
fn who_comes_home_in_mid_call_is_found_there() {
    let mut world = World::new();
    world.join_from(HOME, true);
    // On its way, behind a router that lets nothing in: relayed.
    world.join_from([203, 0, 113, 5], true);
    let (one, other) = (world.parties[1].outside.unwrap(), world.parties[2].outside.unwrap());
    let host = addr(0);
    world.censor = Some(Box::new(move |sent| (sent.to == one || sent.to == other) && sent.from != host));
    world.run(ms(8000));
    assert!(met(&world, 1, 2).unwrap().0, "by way of the host");
    world.parties[2].outside = Some((HOME, 40_002).into());
    world.run(ms(12_000));
    assert_eq!(met(&world, 1, 2), Some((false, addr(2))));
    assert_eq!(met(&world, 2, 1), Some((false, addr(1))));
}

#[test]
fn an_address_outside_the_home_is_told_but_not_tried() {
    let mut world = World::new();
    world.join_from(HOME, true);
    let victim = "203.0.113.66:53".parse().unwrap();
    let mut liar =
        Session::guest(Config { key: Some(KEY), session_id: SESSION, ..config(2) }, addr(0), world.now);
    liar.set_local(LocalAddrs { v4: Some(victim), v6: Some("[2001:db8::66]:53".parse().unwrap()) });
    world.add(liar);
    world.parties[2].outside = Some((HOME, 40_002).into());
    world.run(ms(8000));
    assert!(met(&world, 1, 2).is_some());
    assert!(world.tape.iter().all(|sent| sent.to != SocketAddr::V4(victim) && !sent.to.is_ipv6()));
}
