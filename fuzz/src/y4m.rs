//! A video file, played to its end and on from its beginning.

/// The file is these bytes.
pub(crate) fn run(data: &[u8]) {
    let _ = hyperzoom_video::fuzzing::play_y4m(data, 5);
}
