//! What the fuzz targets have found interesting is tried again with each change.
#![allow(clippy::unwrap_used, reason = "a helper fails as its test does")]

#[path = "../../../../fuzz/src/vp8.rs"]
mod vp8;
#[path = "../../../../fuzz/src/y4m.rs"]
mod y4m;

/// Runs a target on each file of its corpus.
fn replay(target: &str, run: fn(&[u8])) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../fuzz/corpus/");
    let files = std::fs::read_dir(format!("{folder}{target}")).unwrap();
    let count = files.map(|file| run(&std::fs::read(file.unwrap().path()).unwrap())).count();
    assert!(count > 0, "no corpus for {target}");
}

#[test]
fn the_corpus_of_vp8() {
    replay("vp8", vp8::run);
}

#[test]
fn the_corpus_of_y4m() {
    replay("y4m", y4m::run);
}
