//! What the fuzz targets have found interesting is tried again with each change.

use hyperzoom_testkit::replay;

#[path = "../../../../fuzz/src/voice.rs"]
mod voice;

#[test]
fn the_corpus_of_voice() {
    replay("voice", voice::run);
}
