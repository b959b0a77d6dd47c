//! Who has the key is trusted to be who it says it is, and with nothing else: whatever it sends, nobody panics or grows.
#![allow(clippy::unwrap_used, reason = "a helper fails as its test does")]

mod common;

use common::{KEY, World, addr, ms};
use hyperzoom_protocol::{
    AudioReport, CameraState, Capabilities, Control, Cookie, Filling, Greet, Hello, Initiator, LocalAddrs,
    MAX_CONTROL, MAX_DATAGRAM, Nack, Name, Neighbour, PacketType, PathReport, PeerEntry, RelaySealer,
    RelayWay, SecretKey, Stream, StreamSealer, VideoNack,
};
use hyperzoom_session::{Event, Session};
use proptest::prelude::*;

fn key_of(world: &World, party: usize, peer: u8) -> SecretKey {
    let mut keys = world.parties[party].events.iter().filter_map(|(_, event)| match event {
        Event::PeerConnected { id, send_key, .. } if *id == peer => Some(*send_key),
        _ => None,
    });
    keys.next_back().unwrap()
}

/// One thing that an insider may do to another participant.
#[derive(Debug, Clone)]
enum Move {
    /// A sealed control datagram of any bytes, of a control type or a goodbye's.
    Control(bool, Vec<u8>),
    /// Any message that can be said.
    Say(Control),
    /// Media of any shape.
    Media(PacketType, u32, u8, u8, Vec<u8>),
    /// An envelope for a participant, on the lane of a stream, with a message in it or any bytes.
    Relay(u8, u8, Stream, Result<Control, Vec<u8>>),
    /// The first message of a handshake with any words.
    Init(u8, Control),
    /// Skipped sequence numbers.
    Skip(u16),
    /// Time.
    Wait(u64),
}

type LocalAddrsOf = (Option<std::net::SocketAddrV4>, Option<std::net::SocketAddrV6>);

fn entry() -> impl Strategy<Value = PeerEntry> {
    (any::<u8>(), 0u128..4, any::<String>(), any::<std::net::SocketAddr>()).prop_map(
        |(participant, instance, name, addr)| PeerEntry {
            participant: participant % 6,
            instance: 1000 + instance,
            name: Name::clean(&name),
            addr,
        },
    )
}

fn message() -> impl Strategy<Value = Control> {
    prop_oneof![
        (any::<u16>(), 0u128..6, any::<u32>(), any::<Option<u64>>(), any::<Option<[u8; 32]>>()).prop_map(
            |(version, n, bits, session_id, cookie)| {
                Control::Hello(Hello {
                    version: version % 3,
                    instance: 1000 + n,
                    name: Name::clean("x"),
                    capabilities: Capabilities(bits),
                    session_id,
                    participant: cookie.map(|cookie| cookie[0] % 6),
                    cookie: cookie.map(Cookie),
                })
            }
        ),
        (any::<u8>(), 0u128..6, any::<u8>()).prop_map(|(participant, n, to)| Control::Greet(Greet {
            session_id: common::SESSION,
            participant: participant % 6,
            instance: 1000 + n,
            to: to % 6,
        })),
        entry().prop_map(Control::PeerJoined),
        Just(Control::Heartbeat),
        Just(Control::Gone),
        Just(Control::Bye),
        Just(Control::Nack(Nack::Keyframe)),
        any::<(u16, u32)>()
            .prop_map(|(first, following)| Control::Nack(Nack::Video(VideoNack { first, following }))),
        any::<(bool, u16, u16, u32, u32, u32)>().prop_map(
            |(fits, lost_permille, late_permille, burst_us, depth_us, reach_us)| {
                let report = AudioReport { lost_permille, late_permille, burst_us, depth_us, reach_us };
                Control::AudioReport(if fits { report.clamped() } else { report })
            }
        ),
        any::<(bool, u32, u32, u32, u32, u32, u32)>().prop_map(
            |(fits, queue_us, most_queue_us, rate_kbps, audio_kbps, expected, lost)| {
                let report = PathReport { queue_us, most_queue_us, rate_kbps, audio_kbps, expected, lost };
                Control::PathReport(if fits { report.clamped() } else { report })
            }
        ),
        prop::sample::select(vec![CameraState::On, CameraState::Off, CameraState::Lost, CameraState::None])
            .prop_map(Control::Camera),
        Just(Control::Filling(Filling::default())),
        any::<i64>().prop_map(|at_ns| Control::SyncTone { at_ns }),
        (0i64..20_000_000_000).prop_map(|at_ns| Control::SyncTone { at_ns }),
        any::<std::net::SocketAddr>().prop_map(Control::Reachable),
        any::<u16>().prop_map(|port| Control::Reachable((addr(1).ip(), port).into())),
        any::<LocalAddrsOf>().prop_map(|(v4, v6)| Control::Local(LocalAddrs { v4, v6 })),
        (0u8..6, any::<LocalAddrsOf>()).prop_map(|(participant, (v4, v6))| Control::Neighbour(Neighbour {
            participant,
            addrs: LocalAddrs { v4, v6 },
        })),
        any::<u32>().prop_map(|token| Control::TimePing { token }),
        (0u32..20, any::<i64>(), any::<i64>()).prop_map(|(token, received_ns, sent_ns)| Control::TimePong {
            token,
            received_ns,
            sent_ns
        }),
    ]
}

fn any_move() -> impl Strategy<Value = Move> {
    let kinds = vec![PacketType::Audio, PacketType::VideoKeyframe, PacketType::VideoDelta];
    prop_oneof![
        (any::<bool>(), 0u8..17, prop::collection::vec(any::<u8>(), 0..300))
            .prop_map(|(bye, tag, bytes)| { Move::Control(bye, [&[tag][..], &bytes].concat()) }),
        message().prop_map(Move::Say),
        (
            prop::sample::select(kinds),
            any::<u32>(),
            any::<(u8, u8)>(),
            prop::collection::vec(any::<u8>(), 0..=hyperzoom_protocol::MAX_PAYLOAD)
        )
            .prop_map(|(kind, at, (fragment, fragments), payload)| Move::Media(
                kind, at, fragment, fragments, payload
            )),
        (
            0u8..5,
            0u8..5,
            prop::sample::select(vec![Stream::Control, Stream::Audio, Stream::Video]),
            prop_oneof![
                message().prop_map(Ok),
                prop::collection::vec(any::<u8>(), 0..=MAX_DATAGRAM).prop_map(Err)
            ]
        )
            .prop_map(|(source, target, lane, inner)| Move::Relay(source, target, lane, inner)),
        (any::<u8>(), message()).prop_map(|(sender, message)| Move::Init(sender, message)),
        any::<u16>().prop_map(Move::Skip),
        (0u64..2000).prop_map(Move::Wait),
    ]
}

#[test]
fn who_comes_and_goes_without_end_is_let_in_now_and_then() {
    let mut world = World::new();
    let began = world.now;
    for _ in 0..150 {
        let party = world.join();
        world.run(ms(100));
        let now = world.now;
        world.parties[party].session.leave(now);
        world.run(ms(200));
    }
    let arrivals = world.parties[0].saw(|event| matches!(event, Event::PeerConnected { .. }));
    let most = 16 + 1 + (world.now - began).as_secs() as usize / 2;
    assert!((16..=most).contains(&arrivals), "{arrivals} of 150, {most} at the most");
    // Nobody is kept out by it for long.
    world.run(ms(6000));
    let party = world.join();
    world.run(ms(3000));
    assert_eq!(world.parties[0].connected(), [world.parties[party].session.me().unwrap()]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_insider_makes_a_participant_panic_or_grow(
        attacker in 0usize..3, moves in prop::collection::vec(any_move(), 1..60),
    ) {
        let mut world = World::pair();
        world.join();
        world.run(ms(1000));
        let victim = (attacker + 1) % 3;
        let (me, other) = (attacker as u8, victim as u8);
        let key = key_of(&world, attacker, other);
        let mut control = StreamSealer::new(key, Stream::Control, me);
        for _ in 0..500 {
            control.skip();
        }
        // A guest's envelopes go to the host, who passes them on; the host's own seem to come from others.
        let (by_way_of, guest) = if attacker == 0 { (victim, other) } else { (0, me) };
        let mut relay = RelaySealer::new(key_of(&world, attacker, by_way_of as u8), guest);
        let mut audio = StreamSealer::new(key, Stream::Audio, me);
        let mut video = StreamSealer::new(key, Stream::Video, me);
        for it in moves {
            let mut out = [0; MAX_DATAGRAM];
            let mut at = victim;
            let len = match it {
                Move::Control(bye, bytes) => {
                    let kind = if bye { PacketType::Bye } else { PacketType::Control };
                    control.seal(kind, u32::MAX, 0, 0, &bytes, &mut out)
                }
                Move::Say(message) => {
                    let mut buffer = [0; MAX_CONTROL];
                    let payload = message.encode(&mut buffer);
                    control.seal(PacketType::Control, 0, 0, 0, payload, &mut out)
                }
                Move::Media(kind, at, fragment, fragments, payload) => {
                    let sealer = if kind == PacketType::Audio { &mut audio } else { &mut video };
                    sealer.seal(kind, at, fragment, fragments, &payload, &mut out)
                }
                Move::Relay(source, target, lane, inner) => {
                    let inner = inner.map_or_else(|bytes| bytes, |message| {
                        let mut buffer = [0; MAX_CONTROL];
                        let mut sealed = vec![0; MAX_DATAGRAM];
                        let payload = message.encode(&mut buffer);
                        let len = control.seal(PacketType::Control, 0, 0, 0, payload, &mut sealed);
                        sealed.truncate(len);
                        sealed
                    });
                    let Some(len) = relay.wrap(RelayWay { source, target, lane }, &inner, &mut out) else {
                        continue;
                    };
                    at = by_way_of;
                    len
                }
                Move::Init(sender, message) => {
                    let init = Initiator::start(Some(&KEY), sender, 0, &message).unwrap().1;
                    out[..init.len()].copy_from_slice(&init);
                    init.len()
                }
                Move::Skip(numbers) => {
                    for _ in 0..numbers {
                        audio.skip();
                    }
                    continue;
                }
                Move::Wait(span) => {
                    world.run(ms(span));
                    continue;
                }
            };
            let sent = world.tape.len();
            world.inject(at, addr(attacker), &out[..len]);
            world.pump();
            let answers = world.tape[sent..].iter().filter(|sent| sent.from == addr(victim));
            prop_assert!(answers.count() <= 6, "more answers than there are participants to tell");
            let known = Session::peers(&world.parties[victim].session).count();
            prop_assert!(known <= 3);
        }
        world.run(ms(10_000));
    }
}
