//! What the fuzz targets have found interesting is tried again with each change.

use hyperzoom_testkit::replay;

#[path = "../../../../fuzz/src/session.rs"]
mod session;

#[test]
fn the_corpus_of_session() {
    replay("session", session::run);
}
