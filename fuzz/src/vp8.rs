//! A peer's frames on their way through the decoder.

use hyperzoom_video::vp8::{Decoder, FrameStart};

/// Two bytes of length before each frame.
pub(crate) fn run(mut data: &[u8]) {
    let mut decoder = Decoder::new().expect("libvpx is there");
    let mut picture = Vec::new();
    while let Some(([high, low], rest)) = data.split_first_chunk().map(|(head, rest)| (*head, rest)) {
        let (frame, rest) = rest.split_at(rest.len().min(usize::from(u16::from_be_bytes([high, low]))));
        data = rest;
        // Large pictures take long and show nothing that small ones do not.
        if matches!(FrameStart::parse(frame), Some(FrameStart::Keyframe { shape }) if shape.luma_len() > 1 << 16)
        {
            continue;
        }
        let _ = decoder.decode(frame, |decoded| {
            picture.resize(decoded.shape().len(), 0);
            decoded.copy_to(&mut picture);
        });
    }
}
