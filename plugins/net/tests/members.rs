//! Two apps in one process meet over loopback; their members are entities.
#![allow(clippy::unwrap_used, reason = "a helper fails as its test does")]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bevy_app::App;
use bevy_ecs::component::Component;
use bevy_ecs::entity::Entity;
use bevy_ecs::message::Messages;
use bevy_ecs::query::With;
use hyperzoom_net_plugin::{
    Hearing, Incoming, JoinFailure, Link, Membership, Net, NetMessage, NetPlugin, Peer, Presence,
};
use hyperzoom_protocol::{AudioReport, InviteKey};
use hyperzoom_session::{Config, LeaveReason};
use hyperzoom_timing::SharedClock;
use hyperzoom_transport::{Role, bind};

/// How long something that must come may take before the test fails; nothing takes this long when all is well.
const PATIENCE: Duration = Duration::from_secs(30);

fn person(name: &str, role: Role, instance: u128, capacity: u8) -> (App, SocketAddr) {
    let (bound, _audio, _video) = bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let addr = bound.local_addr();
    let key = Some(InviteKey([5; 32]));
    let config = Config { name: name.into(), key, session_id: 77, instance, capacity };
    let (transport, events) = bound.start(role, config, Instant::now(), SharedClock::new()).unwrap();
    let mut app = App::new();
    app.add_plugins(NetPlugin).insert_resource(Net::new(transport, events));
    app.finish();
    app.cleanup();
    (app, addr)
}

/// Turns the apps until `done` holds of the first.
fn turn_until(apps: &mut [&mut App], mut done: impl FnMut(&mut App) -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        apps.iter_mut().for_each(|app| app.update());
        if done(apps[0]) {
            return;
        }
        std::thread::yield_now();
    }
    panic!("it never happened");
}

fn peers(app: &mut App) -> Vec<(u8, String, Presence)> {
    let world = app.world_mut();
    world.query::<(&Peer, &Presence)>().iter(world).map(|(p, s)| (p.id, p.name.clone(), *s)).collect()
}

#[test]
fn a_member_is_an_entity_that_stays_when_it_has_left() {
    let (mut host, addr) = person("Ada", Role::Host, 1, 4);
    let (mut guest, _) = person("Bob", Role::Guest(addr), 2, 4);
    turn_until(&mut [&mut host, &mut guest], |host| peers(host) == [(1, "Bob".into(), Presence::Here)]);
    turn_until(&mut [&mut guest, &mut host], |guest| peers(guest) == [(0, "Ada".into(), Presence::Here)]);
    turn_until(&mut [&mut guest, &mut host], |guest| guest.world().resource::<Membership>().clock_ready);
    assert_eq!(guest.world().resource::<Membership>().session_id, Some(77));

    let world = host.world_mut();
    let mut incoming = world.query::<&mut Incoming>().single_mut(world).unwrap();
    assert!(incoming.take().is_some(), "the rings go to the first who asks");
    assert!(incoming.take().is_none());

    guest.world_mut().resource_mut::<Net>().transport().leave();
    turn_until(&mut [&mut host, &mut guest], |host| {
        peers(host) == [(1, "Bob".into(), Presence::Gone(LeaveReason::Bye))]
    });
    turn_until(&mut [&mut guest, &mut host], |guest| guest.world().resource::<Membership>().ended);
    let world = host.world_mut();
    let link = world.query::<&Link>().single(world).unwrap();
    assert_eq!(link.0.id, 1, "its last statistics are kept");
}

#[test]
fn a_full_session_refuses_with_a_reason() {
    let (mut host, addr) = person("Ada", Role::Host, 1, 2);
    let (mut bob, _) = person("Bob", Role::Guest(addr), 2, 2);
    turn_until(&mut [&mut host, &mut bob], |host| peers(host).len() == 1);
    let (mut cleo, _) = person("Cleo", Role::Guest(addr), 3, 2);
    turn_until(&mut [&mut cleo, &mut host, &mut bob], |cleo| {
        cleo.world().resource::<Membership>().failure.is_some()
    });
    let failure = cleo.world().resource::<Membership>().failure.clone();
    assert!(matches!(&failure, Some(JoinFailure::Refused(reason)) if !reason.is_empty()), "{failure:?}");
    assert!(cleo.world().resource::<Messages<NetMessage>>().iter_current_update_messages().count() > 0);
}

#[test]
fn a_newcomer_with_the_number_of_one_who_left_is_another_member() {
    let (mut host, addr) = person("Ada", Role::Host, 1, 2);
    let (mut bob, _) = person("Bob", Role::Guest(addr), 2, 2);
    turn_until(&mut [&mut host, &mut bob], |host| peers(host).len() == 1);
    bob.world_mut().resource_mut::<Net>().transport().leave();
    let gone = (1, "Bob".to_owned(), Presence::Gone(LeaveReason::Bye));
    turn_until(&mut [&mut host, &mut bob], |host| peers(host) == [gone.clone()]);
    let (mut cleo, _) = person("Cleo", Role::Guest(addr), 3, 2);
    turn_until(&mut [&mut host, &mut bob, &mut cleo], |host| {
        let peers = peers(host);
        peers.len() == 2 && peers.contains(&gone) && peers.contains(&(1, "Cleo".into(), Presence::Here))
    });
}

fn heard(app: &mut App) -> Vec<(String, Option<AudioReport>)> {
    let world = app.world_mut();
    world.query::<(&Peer, &Hearing)>().iter(world).map(|(p, h)| (p.name.clone(), h.0)).collect()
}

/// What another plugin may add to an entity: it puts the entity last in every query.
#[derive(Component)]
struct Marked;

#[test]
fn a_report_is_the_newcomers_whose_number_it_bears() {
    let (mut host, addr) = person("Ada", Role::Host, 1, 2);
    let (mut bob, _) = person("Bob", Role::Guest(addr), 2, 2);
    turn_until(&mut [&mut host, &mut bob], |host| peers(host).len() == 1);
    bob.world_mut().resource_mut::<Net>().transport().leave();
    turn_until(&mut [&mut host, &mut bob], |host| matches!(peers(host)[0].2, Presence::Gone(_)));
    let world = host.world_mut();
    let gone = world.query_filtered::<Entity, With<Peer>>().single(world).unwrap();
    world.entity_mut(gone).insert(Marked);

    let (mut cleo, _) = person("Cleo", Role::Guest(addr), 3, 2);
    turn_until(&mut [&mut cleo, &mut host], |cleo| peers(cleo).len() == 1);
    let said = AudioReport { lost_permille: 7, ..AudioReport::default() };
    cleo.world_mut().resource_mut::<Net>().transport().report_audio(0, said);
    turn_until(&mut [&mut host, &mut cleo], |host| heard(host).iter().any(|(_, report)| report.is_some()));
    assert_eq!(heard(&mut host), [("Cleo".to_owned(), Some(said)), ("Bob".to_owned(), None)]);
}
