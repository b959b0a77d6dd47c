//! What the fuzz targets have found interesting, to be tried again with each change.

/// Runs a fuzz target on each file of its corpus in `fuzz/corpus`.
///
/// # Panics
/// Where the target does, or has no corpus.
pub fn replay(target: &str, run: fn(&[u8])) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/");
    let files = std::fs::read_dir(format!("{folder}{target}"))
        .unwrap_or_else(|error| panic!("no corpus for {target}: {error}"));
    let mut count = 0;
    for file in files {
        let path = file.expect("a folder that can be listed").path();
        run(&std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())));
        count += 1;
    }
    assert!(count > 0, "the corpus for {target} is empty");
}
