//! A datagram's header, and control messages.

use hyperzoom_protocol::{Control, Envelope, Header, MAX_CONTROL, RelayOpener, RelaySide, RelayWay};

/// What parses is written as it was read.
pub(crate) fn run(data: &[u8]) {
    if let Ok((header, payload)) = Header::parse(data) {
        let encoded = header.encode();
        assert_eq!(Header::parse(&[&encoded, payload].concat()), Ok((header, payload)));
        let _ = Envelope::of(payload);
    }
    // An envelope that nobody sealed opens for nobody, and is left as it was.
    if RelayWay::of(data).is_some() {
        let mut copy = data.to_vec();
        assert!(RelayOpener::new([1; 32], 1, RelaySide::Guest).open(&mut copy).is_err());
    }
    // What a datagram holds once it is opened is any bytes that a peer wants.
    let _ = Control::hello_version(data);
    if let Ok(message) = Control::decode(data) {
        let mut buffer = [0; MAX_CONTROL];
        assert_eq!(Control::decode(message.encode(&mut buffer)), Ok(message));
    }
}
