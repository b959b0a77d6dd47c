//! Envelopes of relayed datagrams.

use hyperzoom_protocol::{
    HEADER_LEN, MAX_DATAGRAM, MAX_PAYLOAD, OpenError, PacketType, RELAY_OVERHEAD, RelayOpener, RelaySealer,
    RelaySide, RelayWay, Stream, StreamOpener, StreamSealer,
};
use proptest::prelude::*;

const TO_HOST: [u8; 32] = [1; 32];
const FROM_HOST: [u8; 32] = [2; 32];
const PAIR: [u8; 32] = [3; 32];
const WAY: RelayWay = RelayWay { source: 1, target: 2, lane: Stream::Audio };

/// The longest media datagram of guest 1 for guest 2.
fn sealed(payload: &[u8]) -> Vec<u8> {
    let mut out = [0; MAX_DATAGRAM];
    let len = StreamSealer::new(PAIR, Stream::Audio, 1).seal(PacketType::Audio, 7, 0, 0, payload, &mut out);
    out[..len].to_vec()
}

fn wrapped(inner: &[u8]) -> Vec<u8> {
    let mut out = [0; MAX_DATAGRAM];
    let len = RelaySealer::new(TO_HOST, 1).wrap(WAY, inner, &mut out).expect("it fits");
    out[..len].to_vec()
}

#[test]
fn the_longest_datagram_gets_through_the_host_as_it_was() {
    let inner = sealed(&[9; MAX_PAYLOAD]);
    let mut datagram = wrapped(&inner);
    assert_eq!(datagram.len(), MAX_DATAGRAM);
    assert_eq!(datagram.len(), inner.len() + RELAY_OVERHEAD);
    let (way, _) =
        RelayOpener::new(TO_HOST, 1, RelaySide::Host).open(&mut datagram).expect("the guest's own");
    assert_eq!(way, WAY);
    assert!(RelaySealer::new(FROM_HOST, 2).rewrap(way, &mut datagram));
    let (way, at) = RelayOpener::new(FROM_HOST, 2, RelaySide::Guest).open(&mut datagram).expect("the host's");
    assert_eq!((way, &datagram[at.clone()]), (WAY, &inner[..]));
    let opened =
        StreamOpener::new(PAIR, Stream::Audio, 1).open_at(&mut datagram[at.clone()]).expect("for it");
    assert_eq!(datagram[at][opened.payload], [9; MAX_PAYLOAD]);
}

#[test]
fn what_is_longer_gets_no_envelope() {
    let mut out = [0; MAX_DATAGRAM];
    let mut sealer = RelaySealer::new(TO_HOST, 1);
    assert_eq!(sealer.wrap(WAY, &[0; MAX_DATAGRAM - RELAY_OVERHEAD + 1], &mut out), None);
    assert_eq!(sealer.wrap(WAY, &[0; usize::MAX >> 48], &mut out), None);
}

#[test]
fn each_envelope_counts_once_on_its_own_lane() {
    let mut opener = RelayOpener::new(TO_HOST, 1, RelaySide::Host);
    let mut sealer = RelaySealer::new(TO_HOST, 1);
    let inner = sealed(b"one");
    for lane in [Stream::Audio, Stream::Video, Stream::Control] {
        let mut out = [0; MAX_DATAGRAM];
        let way = RelayWay { lane, ..WAY };
        let len = sealer.wrap(way, &inner, &mut out).expect("it fits");
        assert_eq!(opener.open(&mut out[..len]).expect("new").0, way);
        assert_eq!(opener.open(&mut out[..len]), Err(OpenError::Repeated));
    }
}

#[test]
fn nobody_sends_in_anothers_name_or_past_the_link() {
    let inner = sealed(b"one");
    let mut out = [0; MAX_DATAGRAM];
    // Guest 1 cannot send as guest 2, and no sealer makes it.
    assert_eq!(RelaySealer::new(TO_HOST, 3).wrap(WAY, &inner, &mut out), None);
    let mut datagram = wrapped(&inner);
    // What guest 1 sent to the host opens for nobody as the host's, whatever the key.
    assert_eq!(
        RelayOpener::new(TO_HOST, 1, RelaySide::Guest).open(&mut datagram),
        Err(OpenError::NotOurs),
        "guest 1 is its source"
    );
    assert_eq!(RelayOpener::new(TO_HOST, 3, RelaySide::Host).open(&mut datagram), Err(OpenError::NotOurs));
    assert_eq!(
        RelayOpener::new(FROM_HOST, 2, RelaySide::Guest).open(&mut datagram),
        Err(OpenError::Forged),
        "another key"
    );
    assert!(RelayOpener::new(TO_HOST, 1, RelaySide::Host).open(&mut datagram).is_ok(), "it is whole still");
}

#[test]
fn ways_that_cannot_be_are_none() {
    let good = wrapped(&sealed(b"one"));
    assert_eq!(RelayWay::of(&good), Some(WAY));
    for (at, to) in [
        (1, 0),             // from the host
        (1, 4),             // from nobody
        (1, 2),             // to oneself
        (HEADER_LEN, 0x01), // to the host
        (HEADER_LEN, 0x41), // to nobody
        (HEADER_LEN, 0x23), // no such lane
        (0, 0x44),          // control
        (11, 1),            // a fragment
    ] {
        let mut bad = good.clone();
        bad[at] = to;
        assert_eq!(RelayWay::of(&bad), None, "byte {at} is {to:#x}");
    }
    for len in 0..RELAY_OVERHEAD + HEADER_LEN {
        assert_eq!(RelayWay::of(&good[..len]), None);
    }
}

proptest! {
    #[test]
    fn any_change_is_seen(at in 0_usize..200, bit in 0_u8..8, inner in proptest::collection::vec(any::<u8>(), 28..150)) {
        let mut datagram = wrapped(&inner);
        let at = at % datagram.len();
        datagram[at] ^= 1 << bit;
        prop_assert!(RelayOpener::new(TO_HOST, 1, RelaySide::Host).open(&mut datagram).is_err());
    }

    #[test]
    fn any_bytes_are_harmless(mut bytes in proptest::collection::vec(any::<u8>(), 0..1300)) {
        let _ = RelayWay::of(&bytes);
        prop_assert!(RelayOpener::new(TO_HOST, 1, RelaySide::Host).open(&mut bytes).is_err());
    }
}
