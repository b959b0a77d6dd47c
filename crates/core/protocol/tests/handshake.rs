//! The handshake lets in who has the key, and tells others nothing.
#![allow(clippy::unwrap_used, reason = "a helper fails as its test does")]

use hyperzoom_protocol::{
    COOKIE_LEN, Capabilities, Control, Cookie, Envelope, HELLO_LEN, HandshakeError, Header, Hello, Initiator,
    InviteKey, MAX_DATAGRAM, Name, PROTOCOL_VERSION, PacketType, PeerEntry, Refusal, Responder, Stream,
    StreamOpener, StreamSealer, UNASSIGNED, Welcome,
};
use proptest::prelude::*;

const KEY: InviteKey = InviteKey([3; 32]);
const OTHER: InviteKey = InviteKey([4; 32]);

fn hello() -> Control {
    Control::Hello(Hello {
        version: PROTOCOL_VERSION,
        instance: u128::MAX,
        name: Name::clean("Zoë"),
        capabilities: Capabilities::OURS,
        session_id: Some(u64::MAX),
        participant: Some(u8::MAX),
        cookie: Some(Cookie([0xFF; COOKIE_LEN])),
    })
}

fn answer() -> Control {
    Control::Refused(Refusal::Full { capacity: 4 })
}

fn init_of(datagram: &[u8]) -> (Header, &[u8]) {
    let (header, payload) = Header::parse(datagram).unwrap();
    let Some(Envelope::Init(init)) = Envelope::of(payload) else { panic!("not a first message") };
    (header, init)
}

fn response_of(datagram: &[u8]) -> &[u8] {
    let Some(Envelope::Response(response)) = Envelope::of(Header::parse(datagram).unwrap().1) else {
        panic!("not a second message")
    };
    response
}

#[test]
fn no_welcome_is_longer_than_a_hello() {
    let far = "[2001:db8:ffff:ffff:ffff:ffff:ffff:ffff]:65535".parse().unwrap();
    let name = Name::clean(&"n".repeat(Name::MAX_LEN));
    let peer = PeerEntry { participant: 3, instance: u128::MAX, name: name.clone(), addr: far };
    let welcome = Control::Welcome(Welcome {
        session_id: u64::MAX,
        participant: 3,
        your_addr: far,
        host_name: name,
        capabilities: Capabilities(u32::MAX),
        peers: [Some(peer.clone()), Some(peer)],
    });
    let (_, first) = Initiator::start(None, UNASSIGNED, 9, &hello()).unwrap();
    assert_eq!(first.len(), HELLO_LEN);
    let (header, init) = init_of(&first);
    let received = Responder::receive(None, &header, init).unwrap();
    assert_eq!(received.message, Ok(hello()), "what fills it up says nothing");
    let (_, second) = received.responder.respond(0, &welcome).unwrap();
    assert!(second.len() <= first.len(), "{} bytes", second.len());
}

#[test]
fn both_sides_come_out_with_the_same_two_keys() {
    for key in [Some(&KEY), None] {
        let (mut initiator, first) = Initiator::start(key, UNASSIGNED, 9, &hello()).unwrap();
        let (header, init) = init_of(&first);
        let received = Responder::receive(key, &header, init).unwrap();
        assert_eq!(received.message, Ok(hello()));
        let (host, second) = received.responder.respond(0, &answer()).unwrap();
        assert_eq!(Header::parse(&second).unwrap().0.sequence, 9, "the answer says which attempt it is for");
        let (guest, message) = initiator.finish(response_of(&second)).unwrap();
        assert_eq!(message, answer());
        assert_eq!((guest.send, guest.receive), (host.receive, host.send));
        assert_ne!(guest.send, guest.receive);

        let mut out = [0; MAX_DATAGRAM];
        let len =
            StreamSealer::new(guest.send, Stream::Audio, 1).seal(PacketType::Audio, 0, 0, 0, b"hi", &mut out);
        let mut opener = StreamOpener::new(host.receive, Stream::Audio, 1);
        assert_eq!(opener.open(&mut out[..len]).unwrap().payload, b"hi");
    }
}

#[test]
fn without_the_key_the_first_message_cannot_be_read() {
    for wrong in [Some(&OTHER), None] {
        let (_, first) = Initiator::start(wrong, UNASSIGNED, 0, &hello()).unwrap();
        let (header, init) = init_of(&first);
        assert_eq!(Responder::receive(Some(&KEY), &header, init).unwrap_err(), HandshakeError::NotOurs);
    }
}

#[test]
fn an_answer_to_another_attempt_is_not_taken_and_the_right_one_still_is() {
    let (mut one, first_one) = Initiator::start(Some(&KEY), UNASSIGNED, 1, &hello()).unwrap();
    let (_, first_two) = Initiator::start(Some(&KEY), UNASSIGNED, 2, &hello()).unwrap();
    let respond = |first: &[u8]| {
        let (header, init) = init_of(first);
        Responder::receive(Some(&KEY), &header, init).unwrap().responder.respond(0, &answer()).unwrap()
    };
    let (_, to_two) = respond(&first_two);
    let (host, to_one) = respond(&first_one);
    assert_eq!(one.finish(response_of(&to_two)).unwrap_err(), HandshakeError::NotOurs);
    assert_eq!(one.finish(response_of(&to_one)).unwrap().0.send, host.receive);
}

#[test]
fn each_attempt_has_an_ephemeral_key_of_its_own() {
    let (_, one) = Initiator::start(Some(&KEY), UNASSIGNED, 1, &hello()).unwrap();
    let (_, two) = Initiator::start(Some(&KEY), UNASSIGNED, 1, &hello()).unwrap();
    let ephemeral = |first: &[u8]| {
        let (header, init) = init_of(first);
        Responder::receive(Some(&KEY), &header, init).unwrap().ephemeral
    };
    assert_ne!(ephemeral(&one), ephemeral(&two));
    assert_eq!(ephemeral(&one), ephemeral(&one));
}

#[test]
fn a_name_in_the_first_message_is_not_readable_on_the_wire() {
    let (_, first) = Initiator::start(Some(&KEY), UNASSIGNED, 0, &hello()).unwrap();
    assert!(!first.windows(4).any(|part| part == "Zoë".as_bytes()));
}

proptest! {
    #[test]
    fn changing_any_bit_of_either_message_is_noticed(at: prop::sample::Index, bit in 0u8..8) {
        let (mut initiator, first) = Initiator::start(Some(&KEY), UNASSIGNED, 0, &hello()).unwrap();
        let (header, init) = init_of(&first);
        let mut bad = init.to_vec();
        bad[at.index(init.len())] ^= 1u8 << bit;
        prop_assert!(Responder::receive(Some(&KEY), &header, &bad).is_err());

        let (_, second) =
            Responder::receive(Some(&KEY), &header, init).unwrap().responder.respond(0, &answer()).unwrap();
        let response = response_of(&second);
        let mut bad = response.to_vec();
        let at = at.index(bad.len());
        bad[at] ^= 1u8 << bit;
        // X25519 ignores the highest bit of a public key (RFC 7748 §5), but the handshake hashes it.
        prop_assert!(initiator.finish(&bad).is_err());
        prop_assert!(initiator.finish(response).is_ok());
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..1400)) {
        let header = Header::control(0, 0, 0);
        prop_assert!(Responder::receive(Some(&KEY), &header, &bytes).is_err());
        let (mut initiator, _) = Initiator::start(Some(&KEY), UNASSIGNED, 0, &hello()).unwrap();
        prop_assert!(initiator.finish(&bytes).is_err());
        let _ = Envelope::of(&bytes);
    }
}
