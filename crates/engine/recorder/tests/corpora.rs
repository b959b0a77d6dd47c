//! What the fuzz targets have found interesting is tried again with each change.

use hyperzoom_testkit::replay;

#[path = "../../../../fuzz/src/take.rs"]
mod take;

#[test]
fn the_corpus_of_take() {
    replay("take", take::run);
}
