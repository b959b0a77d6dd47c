//! What the fuzz targets have found interesting is tried again with each change.

use hyperzoom_testkit::replay;

#[path = "../../../../fuzz/src/vp8.rs"]
mod vp8;
#[path = "../../../../fuzz/src/y4m.rs"]
mod y4m;

#[test]
fn the_corpus_of_vp8() {
    replay("vp8", vp8::run);
}

#[test]
fn the_corpus_of_y4m() {
    replay("y4m", y4m::run);
}
