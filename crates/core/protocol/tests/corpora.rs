//! What the fuzz targets have found interesting is tried again with each change.
#![allow(clippy::unwrap_used, reason = "a helper fails as its test does")]

#[path = "../../../../fuzz/src/datagram.rs"]
mod datagram;
#[path = "../../../../fuzz/src/reassembly.rs"]
mod reassembly;

/// Runs a target on each file of its corpus.
fn replay(target: &str, run: fn(&[u8])) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../fuzz/corpus/");
    let files = std::fs::read_dir(format!("{folder}{target}")).unwrap();
    let count = files.map(|file| run(&std::fs::read(file.unwrap().path()).unwrap())).count();
    assert!(count > 0, "no corpus for {target}");
}

#[test]
fn the_corpus_of_datagram() {
    replay("datagram", datagram::run);
}

#[test]
fn the_corpus_of_reassembly() {
    replay("reassembly", reassembly::run);
}
