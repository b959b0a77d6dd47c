//! The sync tone is announced to everybody for the same session time, with enough time to go.

mod common;

use common::{World, addr, config, ms};
use hyperzoom_protocol::{Control, MAX_CONTROL, PacketType, Stream, StreamSealer};
use hyperzoom_session::{Event, Session, TONE_LEAD};

/// The tones that a party knows of: when it learned of each, session time as it knew it, and when the tone is.
fn tones(world: &World, party: usize) -> Vec<(i64, i64)> {
    let party = &world.parties[party];
    let clock = party.session.clock();
    let tone = |(at, event): &(_, Event)| match event {
        Event::SyncTone { at_ns } => Some((clock.session_ns(*at), *at_ns)),
        _ => None,
    };
    party.events.iter().filter_map(tone).collect()
}

fn times(world: &World, party: usize) -> Vec<i64> {
    tones(world, party).into_iter().map(|(_, at_ns)| at_ns).collect()
}

#[test]
fn who_come_together_have_one_tone_and_who_comes_later_another_for_all() {
    let mut world = World::new();
    world.join();
    world.run(ms(300));
    world.join();
    world.run(ms(9000));
    let first = times(&world, 0);
    assert_eq!(first.len(), 1);
    assert_eq!(first[0] % 1_000_000_000, 0, "a whole second: a sample, a picture, and readable");
    world.join();
    world.run(ms(9000));
    let all = times(&world, 0);
    assert_eq!((all.len(), all[0]), (2, first[0]));
    assert_eq!(times(&world, 1), all);
    assert_eq!(times(&world, 2), all);
    assert_eq!(times(&world, 3), all[1..]);
    for party in 0..4 {
        for (learned, at_ns) in tones(&world, party) {
            assert!(at_ns - learned > 2_000_000_000, "party {party} learned of {at_ns} at {learned}");
        }
    }
}

#[test]
fn a_lost_announcement_comes_again_with_the_heartbeats() {
    let mut world = World::new();
    world.join();
    // All control from the host is lost for two seconds from the moment at which the guest is in.
    world.run(ms(30));
    world.censor = Some(Box::new(|sent| {
        sent.from == addr(0) && sent.at < ms(7000) && matches!(sent.header().kind, PacketType::Control)
    }));
    world.run(ms(6000));
    assert_eq!(times(&world, 0).len(), 1);
    assert_eq!(times(&world, 1), times(&world, 0));
    let (learned, at_ns) = tones(&world, 1)[0];
    assert!(
        (1..TONE_LEAD.as_nanos() as i64 + 1_000_000_000).contains(&(at_ns - learned)),
        "{learned} {at_ns}"
    );
}

/// A pair whose guest was cut off for eight seconds, after its tone or before it, while another guest came or did not; and the tones of
/// all after everybody was together again.
fn after_a_drop_out(begins: u64, somebody_comes: bool) -> Vec<Vec<i64>> {
    let mut world = World::pair();
    world.run(ms(begins));
    world.cut.extend([(0, 1), (1, 0)]);
    world.run(ms(7000));
    assert_eq!(world.parties[0].connected(), [0_u8; 0], "the host has given it up");
    if somebody_comes {
        world.join();
    }
    world.run(ms(6000));
    world.cut.clear();
    world.run(ms(12_000));
    assert!(world.parties[0].connected().contains(&1));
    (0..world.parties.len()).map(|party| times(&world, party)).collect()
}

#[test]
fn a_participant_that_comes_back_with_its_recording_causes_no_tone() {
    let tones = after_a_drop_out(6000, false);
    assert_eq!((tones[0].len(), &tones[1]), (1, &tones[0]));
}

#[test]
fn a_participant_that_was_away_while_a_tone_sounded_is_given_another() {
    // Its own, of which it knew or not, and that of somebody who came.
    for (begins, somebody_comes, count) in [(0, false, 2), (6000, true, 3)] {
        let tones = after_a_drop_out(begins, somebody_comes);
        assert_eq!(tones[0].len(), count, "{tones:?}");
        assert!(tones.iter().all(|it| it.last() == tones[0].last()), "{tones:?}");
    }
}

#[test]
fn a_program_that_is_started_anew_as_the_same_participant_is_given_a_tone() {
    let mut world = World::pair();
    world.run(ms(6000));
    world.parties[1].session = Session::guest(config(1), addr(0), world.now);
    world.run(ms(15_000));
    let tones = times(&world, 0);
    assert_eq!((world.parties[0].connected(), tones.len()), (vec![1], 2));
    assert_eq!(times(&world, 1).last(), tones.last());
}

#[test]
fn nobody_but_the_host_and_nothing_absurd_is_believed() {
    let mut world = World::new();
    world.join();
    world.join();
    world.run(ms(9000));
    let before = times(&world, 1);
    let now = world.parties[1].session.clock().session_ns(world.now);
    // From the host, what has passed and what is far ahead; from the other guest, what would be plausible.
    let sealer_of = |from: usize| {
        let key = world.parties[from].events.iter().rev().find_map(|(_, event)| match event {
            Event::PeerConnected { id: 1, send_key, .. } => Some(*send_key),
            _ => None,
        });
        let me = world.parties[from].session.me().unwrap();
        // Far beyond the numbers that the session itself has used.
        let mut sealer = StreamSealer::new(key.unwrap(), Stream::Control, me);
        (0..1000).for_each(|_| {
            sealer.seal(PacketType::Control, 0, 0, 0, &[0], &mut [0; 1200]);
        });
        sealer
    };
    let mut sealers = [sealer_of(0), sealer_of(2)];
    let mut say = |world: &mut World, party: usize, at_ns: i64| {
        let mut buffer = [0; MAX_CONTROL];
        let mut datagram = [0; 1200];
        let payload = Control::SyncTone { at_ns }.encode(&mut buffer);
        let len = sealers[party / 2].seal(PacketType::Control, 0, 0, 0, payload, &mut datagram);
        world.inject(1, addr(party), &datagram[..len]);
    };
    for at_ns in [now - 1, now + 31_000_000_000, i64::MIN, i64::MAX] {
        say(&mut world, 0, at_ns);
    }
    say(&mut world, 2, now + 3_000_000_000);
    assert_eq!(times(&world, 1), before);
    say(&mut world, 0, now + 3_000_000_000);
    assert_eq!(times(&world, 1).last(), Some(&(now + 3_000_000_000)), "what is sealed so is heard at all");
}
