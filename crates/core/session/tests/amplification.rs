//! Nobody can have others sent more than he sends himself: without the key, nor in an open session before he has shown that he receives
//! where he says he is.
#![allow(clippy::unwrap_used, reason = "a helper fails as its test does")]

mod common;

use std::collections::HashMap;
use std::net::SocketAddr;

use common::{KEY, World, addr, ms};
use hyperzoom_protocol::{
    Capabilities, Control, Cookie, Envelope, Greet, HEADER_LEN, HELLO_LEN, Header, Hello, InviteKey,
    MAX_CONTROL, Name, PROTOCOL_VERSION, PacketType,
};
use hyperzoom_session::Event;
use proptest::prelude::*;

/// A victim's address, which the attacker writes into what he sends.
fn victim(n: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, n], 4700))
}

/// The first message of a handshake as short as can be, as our own programs do not send it.
fn bare_init(key: Option<InviteKey>, sender: u8, message: &Control, padding: usize) -> Vec<u8> {
    let open = *b"HyperZoom open session: no key.\0";
    let mut state = snow::Builder::new("Noise_NNpsk0_25519_ChaChaPoly_BLAKE2s".parse().unwrap())
        .prologue(b"HyperZoom/1")
        .unwrap()
        .psk(0, &key.map_or(open, |key| key.0))
        .unwrap()
        .build_initiator()
        .unwrap();
    let mut buffer = [0; MAX_CONTROL];
    let len = message.encode(&mut buffer).len() + padding;
    let mut out = [0; 1200];
    let written = state.write_message(&buffer[..len], &mut out).unwrap();
    let header = Header::control(sender, 0, written as u16 + 1);
    [&header.encode()[..], &[1], &out[..written]].concat()
}

fn hello(instance: u128, version: u16, session_id: Option<u64>) -> Control {
    Control::Hello(Hello {
        version,
        instance,
        name: Name::clean("E"),
        capabilities: Capabilities::OURS,
        session_id,
        participant: None,
        cookie: None,
    })
}

/// The last cookie that `from` was sent.
fn cookie_for(world: &World, from: SocketAddr) -> Option<Cookie> {
    world.tape.iter().rev().filter(|sent| sent.to == from).find_map(|sent| {
        match Envelope::of(Header::parse(&sent.datagram).unwrap().1) {
            Some(Envelope::Cookie(cookie)) => Some(Cookie(cookie.try_into().unwrap())),
            _ => None,
        }
    })
}

/// A message as one says it who has received what came to `from`.
fn with_cookie(world: &World, from: SocketAddr, message: Control) -> Control {
    match message {
        Control::Hello(hello) => Control::Hello(Hello { cookie: cookie_for(world, from), ..hello }),
        other => other,
    }
}

/// One thing that a stranger may send.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant, reason = "there are few of them at a time")]
enum Attack {
    Bytes(Vec<u8>),
    /// A datagram with a right header.
    Shaped(usize, u8, u16, Vec<u8>),
    /// A handshake that can be read, in an open session.
    Init(u8, Control, usize),
    /// A datagram that was sent in the call, which arrives nowhere else.
    HeldBack(u8),
    /// One that has arrived.
    Replay(prop::sample::Index),
    /// Time.
    Wait(u64),
}

fn attack() -> impl Strategy<Value = Attack> {
    let message = prop_oneof![
        1 => (0..6u128, 3..=PROTOCOL_VERSION, any::<Option<u64>>())
            .prop_map(|(n, version, id)| hello(1000 + n, version, id)),
        4 => (0..1000u128).prop_map(|n| hello(5000 + n, PROTOCOL_VERSION, None)),
        1 => (0..4u8, 0..4u128, 0..4u8).prop_map(|(participant, n, to)| Control::Greet(Greet {
            session_id: common::SESSION,
            participant,
            instance: 1000 + n,
            to,
        })),
        1 => Just(Control::Heartbeat),
    ];
    prop_oneof![
        1 => prop::collection::vec(any::<u8>(), 0..1300).prop_map(Attack::Bytes),
        1 => (0..6usize, 0..5u8, any::<u16>(), prop::collection::vec(any::<u8>(), 0..200))
            .prop_map(|(kind, participant, sequence, payload)| Attack::Shaped(kind, participant, sequence, payload)),
        4 => (any::<u8>(), message, prop_oneof![3 => Just(0), 1 => 0..500usize])
            .prop_map(|(sender, message, padding)| Attack::Init(sender, message, padding)),
        3 => (0..8u8).prop_map(Attack::HeldBack),
        2 => any::<prop::sample::Index>().prop_map(Attack::Replay),
        2 => (0..1500u64).prop_map(Attack::Wait),
    ]
}

/// What each party sent to each address that is not of the call.
fn sent_out(world: &World) -> HashMap<(SocketAddr, SocketAddr), usize> {
    let mut sums = HashMap::new();
    for sent in world.tape.iter().filter(|sent| !world.parties.iter().any(|party| party.addr == sent.to)) {
        *sums.entry((sent.from, sent.to)).or_default() += sent.datagram.len();
    }
    sums
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn nobody_is_sent_more_than_came_from_there(
        open: bool, attacks in prop::collection::vec((0..2usize, 0..3u8, attack()), 1..40),
    ) {
        let key = (!open).then_some(KEY);
        let mut world = World::of_key(key);
        world.join();
        world.run(ms(1000));
        prop_assert_eq!(world.parties[1].connected(), [0]);
        let mut came: HashMap<(SocketAddr, SocketAddr), usize> = HashMap::new();
        for (to, from, attack) in attacks {
            let from = victim(from);
            let datagrams = match attack {
                Attack::Bytes(bytes) => vec![bytes],
                Attack::Shaped(kind, participant, sequence, payload) => {
                    let kind = [
                        PacketType::Audio, PacketType::VideoKeyframe, PacketType::VideoDelta, PacketType::Control,
                        PacketType::Bye, PacketType::Relayed,
                    ][kind];
                    let header = Header { kind, ..Header::control(participant, sequence, payload.len() as u16) };
                    vec![[&header.encode()[..], &payload].concat()]
                }
                Attack::Init(sender, message, padding) => {
                    let message = with_cookie(&world, from, message);
                    let own = (!open).then_some(InviteKey([9; 32]));
                    vec![bare_init(own, sender, &message, padding)]
                }
                Attack::HeldBack(words) => {
                    // The attacker is on the way between the two, and lets nothing through.
                    let tape = world.tape.len();
                    world.cut.extend([(0, 1), (1, 0)]);
                    for _ in 0..words {
                        world.speak(1 - to, b"a frame of a voice is about so long");
                    }
                    world.run(ms(600));
                    world.cut.clear();
                    let held = world.tape[tape..].iter().filter(|sent| sent.to == addr(to));
                    held.map(|sent| sent.datagram.clone()).collect()
                }
                Attack::Replay(at) => vec![world.tape[at.index(world.tape.len())].datagram.clone()],
                Attack::Wait(span) => {
                    world.run(ms(span));
                    Vec::new()
                }
            };
            for datagram in datagrams {
                *came.entry((addr(to), from)).or_default() += datagram.len();
                world.inject(to, from, &datagram);
                world.pump();
                for (way, went) in sent_out(&world) {
                    let came = came.get(&way).copied().unwrap_or_default();
                    prop_assert!(went <= came, "{way:?}: {went} bytes for {came}");
                }
            }
        }
        world.run(ms(6000));
        for (way, went) in sent_out(&world) {
            let came = came.get(&way).copied().unwrap_or_default();
            prop_assert!(went <= came, "{way:?}: {went} bytes for {came}, in the end");
        }
    }
}

#[test]
fn a_short_hello_is_not_answered_with_a_long_welcome() {
    let mut world = World::of_key(None);
    // Of whom a WELCOME tells.
    world.join();
    world.join();
    world.run(ms(1000));
    let hello = hello(77, PROTOCOL_VERSION, None);
    let short = bare_init(None, 0xFF, &hello, 0);
    world.inject(0, victim(1), &short);
    world.pump();
    let cookies: Vec<_> = world.tape.iter().filter(|sent| sent.to == victim(1)).collect();
    assert!(cookies.len() == 1 && cookies[0].datagram.len() < short.len(), "{cookies:?}");
    let hello = with_cookie(&world, victim(1), hello);
    let before = world.tape.len();
    world.inject(0, victim(1), &bare_init(None, 0xFF, &hello, 0));
    world.pump();
    let answers: Vec<_> = world.tape[before..].iter().filter(|sent| sent.to == victim(1)).collect();
    assert!(answers.is_empty(), "{answers:?}");
    // As long as our own, it is.
    let padding = HELLO_LEN - bare_init(None, 0xFF, &hello, 0).len();
    let long = bare_init(None, 0xFF, &hello, padding);
    assert_eq!(long.len(), HELLO_LEN);
    world.inject(0, victim(1), &long);
    world.pump();
    assert_eq!(world.tape[before..].iter().filter(|sent| sent.to == victim(1)).count(), 1);
}

#[test]
fn the_version_is_refused_to_whoever_does_not_fill_up_his_hello() {
    let mut world = World::of_key(None);
    world.inject(0, victim(1), &bare_init(None, 0xFF, &hello(77, PROTOCOL_VERSION - 1, None), 0));
    world.pump();
    assert!(world.tape.iter().any(|sent| sent.to == victim(1)), "nobody tells it why it does not get in");
}

#[test]
fn a_stream_that_was_turned_aside_does_not_turn_the_answer_aside() {
    let mut world = World::pair();
    // An attacker without the key swallows what the guest says, and sends it on from where somebody else lives.
    world.cut.insert((1, 0));
    let begin = world.tape.len();
    for _ in 0..400 {
        world.speak(1, b"what the guest says");
        world.speak(0, b"what the host says");
        let held: Vec<_> = world.tape[begin..].iter().filter(|sent| sent.to == addr(0)).cloned().collect();
        world.inject(0, victim(1), &held.last().unwrap().datagram);
        world.run(ms(5));
    }
    let to_victim: Vec<_> = world.tape[begin..].iter().filter(|sent| sent.to == victim(1)).collect();
    assert!(!to_victim.is_empty(), "it is asked whether it is there");
    assert!(to_victim.iter().all(|sent| sent.datagram.len() < HEADER_LEN + 40), "and sent nothing else");
    assert!(to_victim.len() <= 8 + 1, "{} questions in two seconds", to_victim.len());
    assert_eq!(world.parties[0].saw(|event| matches!(event, Event::PeerMoved { .. })), 0);
}
