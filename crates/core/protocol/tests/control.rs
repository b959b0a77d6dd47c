//! Control messages come back as they went, fit a datagram, and no bytes make them panic or allocate.

use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6};

use hyperzoom_protocol::{
    AudioReport, COOKIE_LEN, CameraState, Capabilities, Control, Cookie, Filling, Greet, Greeted, Hello,
    LocalAddrs, MAX_CONTROL, Nack, Name, NameError, Neighbour, PROTOCOL_VERSION, PathReport, PeerEntry,
    Refusal, Welcome,
};
use proptest::prelude::*;

fn addr() -> SocketAddr {
    SocketAddrV6::new(Ipv6Addr::from([0xFF; 16]), u16::MAX, 0, 0).into()
}

fn local() -> LocalAddrs {
    LocalAddrs {
        v4: Some("255.255.255.255:65535".parse().expect("an address")),
        v6: Some(SocketAddrV6::new(Ipv6Addr::from([0xFF; 16]), u16::MAX, 0, 0)),
    }
}

fn longest_name() -> Name {
    Name::clean(&"ß".repeat(99))
}

fn entry() -> PeerEntry {
    PeerEntry { participant: 3, instance: u128::MAX, name: longest_name(), addr: addr() }
}

fn hello() -> Hello {
    Hello {
        version: PROTOCOL_VERSION,
        instance: u128::MAX,
        name: longest_name(),
        capabilities: Capabilities(u32::MAX),
        session_id: Some(u64::MAX),
        participant: Some(u8::MAX),
        cookie: Some(Cookie([0xFF; COOKIE_LEN])),
    }
}

fn longest_of_each() -> Vec<Control> {
    let welcome = Welcome {
        session_id: u64::MAX,
        participant: 3,
        your_addr: addr(),
        host_name: longest_name(),
        capabilities: Capabilities(u32::MAX),
        peers: [Some(entry()), Some(entry())],
    };
    vec![
        Control::Hello(hello()),
        Control::Welcome(welcome),
        Control::Refused(Refusal::Version { host: u16::MAX }),
        Control::Refused(Refusal::Full { capacity: u8::MAX }),
        Control::Greet(Greet { session_id: u64::MAX, participant: 3, instance: u128::MAX, to: 2 }),
        Control::Greeted(Greeted { participant: 3, instance: u128::MAX }),
        Control::PeerJoined(entry()),
        Control::Heartbeat,
        Control::Nack(Nack::Keyframe),
        Control::Bye,
        Control::TimePing { token: u32::MAX },
        Control::TimePong { token: u32::MAX, received_ns: i64::MIN, sent_ns: i64::MIN },
        Control::Gone,
        Control::AudioReport(AudioReport {
            lost_permille: 1000,
            late_permille: 1000,
            burst_us: AudioReport::MAX_US,
            depth_us: AudioReport::MAX_US,
            reach_us: AudioReport::MAX_US,
        }),
        Control::Camera(CameraState::None),
        Control::SyncTone { at_ns: i64::MIN },
        Control::PathReport(PathReport {
            queue_us: PathReport::MAX_US,
            most_queue_us: PathReport::MAX_US,
            rate_kbps: PathReport::MAX_KBPS,
            audio_kbps: PathReport::MAX_KBPS,
            expected: PathReport::MAX_DATAGRAMS,
            lost: PathReport::MAX_DATAGRAMS,
        }),
        Control::Filling(Filling::default()),
        Control::Reachable("[2001:db8::7]:47800".parse().expect("an address")),
        Control::Local(local()),
        Control::Neighbour(Neighbour { participant: 3, addrs: local() }),
    ]
}

#[test]
fn the_longest_message_of_each_kind_comes_back() {
    for message in longest_of_each() {
        let mut out = [0; MAX_CONTROL];
        let bytes = message.encode(&mut out);
        // A handshake message adds 48 bytes.
        assert!(bytes.len() <= MAX_CONTROL - 48, "{} bytes", bytes.len());
        assert_eq!(Control::decode(bytes), Ok(message));
    }
}

#[test]
fn a_report_beyond_its_bounds_is_refused() {
    let mut out = [0; MAX_CONTROL];
    let fits = AudioReport { lost_permille: 1000, reach_us: AudioReport::MAX_US, ..AudioReport::default() };
    for report in [
        AudioReport { lost_permille: 1001, ..fits },
        AudioReport { late_permille: u16::MAX, ..fits },
        AudioReport { burst_us: u32::MAX, ..fits },
        AudioReport { depth_us: AudioReport::MAX_US + 1, ..fits },
        AudioReport { reach_us: u32::MAX, ..fits },
    ] {
        let bytes = Control::AudioReport(report).encode(&mut out).to_vec();
        assert!(Control::decode(&bytes).is_err(), "{report:?}");
        let bytes = Control::AudioReport(report.clamped()).encode(&mut out).to_vec();
        assert_eq!(Control::decode(&bytes), Ok(Control::AudioReport(report.clamped())));
    }
}

#[test]
fn a_report_of_a_path_beyond_its_bounds_is_refused() {
    let mut out = [0; MAX_CONTROL];
    let fits = PathReport { expected: 10, lost: 10, ..PathReport::default() };
    for report in [
        PathReport { lost: 11, ..fits },
        PathReport { expected: u32::MAX, ..fits },
        PathReport { queue_us: u32::MAX, ..fits },
        PathReport { most_queue_us: PathReport::MAX_US + 1, ..fits },
        PathReport { rate_kbps: u32::MAX, ..fits },
        PathReport { audio_kbps: u32::MAX, ..fits },
    ] {
        let bytes = Control::PathReport(report).encode(&mut out).to_vec();
        assert!(Control::decode(&bytes).is_err(), "{report:?}");
        let bytes = Control::PathReport(report.clamped()).encode(&mut out).to_vec();
        assert_eq!(Control::decode(&bytes), Ok(Control::PathReport(report.clamped())));
    }
}

#[test]
fn a_message_with_bytes_after_it_is_refused() {
    let mut out = [0; MAX_CONTROL];
    let mut bytes = Control::Bye.encode(&mut out).to_vec();
    bytes.push(0);
    assert!(Control::decode(&bytes).is_err());
}

#[test]
fn the_version_of_a_hello_is_read_even_if_the_rest_cannot_be() {
    let mut out = [0; MAX_CONTROL];
    let message = Control::Hello(Hello { version: 777, ..hello() });
    let bytes = message.encode(&mut out);
    assert_eq!(Control::hello_version(&bytes[..4]), Some(777));
    assert_eq!(Control::hello_version(&[1, 2]), None);
    assert_eq!(Control::hello_version(&[]), None);
}

#[test]
fn a_name_is_made_fit_to_print() {
    assert_eq!(Name::clean("  Ann\x1b[2J\r\n Lee\u{202E} ").as_str(), "Ann[2J Lee");
    assert_eq!(Name::clean("\n\t").as_str(), "Guest");
    let long = longest_name();
    assert_eq!(long.as_str().len(), 64);
}

#[test]
fn a_name_that_could_drive_a_terminal_is_refused_from_the_network() {
    assert_eq!(Name::try_from("a\x1b[2J"), Err(NameError::Control));
    for hidden in ['\u{061C}', '\u{180E}', '\u{202E}', '\u{2066}', '\u{FFF9}', '\u{FFFB}'] {
        assert_eq!(Name::try_from(format!("a{hidden}b").as_str()), Err(NameError::Control), "{hidden:?}");
    }
    assert_eq!(Name::try_from("  "), Err(NameError::Empty));
    assert_eq!(Name::try_from("x".repeat(65).as_str()), Err(NameError::Long));
    let bytes = postcard::to_allocvec("a\x1b").unwrap();
    assert!(postcard::from_bytes::<Name>(&bytes).is_err());
}

proptest! {
    #[test]
    fn no_bytes_panic(kind in 0u8..21, bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let bytes = [&[kind][..], &bytes].concat();
        let mut out = [0; MAX_CONTROL];
        if let Ok(message) = Control::decode(&bytes) {
            // What was understood can be said again, and is understood the same.
            prop_assert_eq!(Control::decode(message.encode(&mut out)), Ok(message.clone()));
        }
        let _ = Control::hello_version(&bytes);
    }

    #[test]
    fn damaged_messages_do_not_panic(which: prop::sample::Index, at: prop::sample::Index, byte: u8, cut: prop::sample::Index) {
        let all = longest_of_each();
        let mut out = [0; MAX_CONTROL];
        let mut bytes = all[which.index(all.len())].encode(&mut out).to_vec();
        let len = bytes.len();
        bytes[at.index(len)] = byte;
        let _ = Control::decode(&bytes);
        let _ = Control::decode(&bytes[..cut.index(len)]);
    }

    #[test]
    fn every_clean_name_is_accepted(text: String) {
        let name = Name::clean(&text);
        prop_assert_eq!(Name::try_from(name.as_str()), Ok(name.clone()));
    }
}
