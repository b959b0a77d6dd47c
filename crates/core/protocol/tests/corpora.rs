//! What the fuzz targets have found interesting is tried again with each change.

use hyperzoom_testkit::replay;

#[path = "../../../../fuzz/src/datagram.rs"]
mod datagram;
#[path = "../../../../fuzz/src/invite.rs"]
mod invite;
#[path = "../../../../fuzz/src/reassembly.rs"]
mod reassembly;

#[test]
fn the_corpus_of_datagram() {
    replay("datagram", datagram::run);
}

#[test]
fn the_corpus_of_invite() {
    replay("invite", invite::run);
}

#[test]
fn the_corpus_of_reassembly() {
    replay("reassembly", reassembly::run);
}
