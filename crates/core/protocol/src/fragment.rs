//! Taking a video frame apart into datagrams.

use crate::MAX_PAYLOAD;

/// A frame needs more than 255 datagrams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a frame of {0} bytes needs more than 255 datagrams; lower the video bitrate")]
pub struct FrameTooLong(pub usize);

/// The parts of `frame` with their header fields: `(fragment, fragments, part)`, in order.
///
/// A frame that fits one datagram is one part, `(0, 0, frame)`. Each part takes a sequence number of its own.
///
/// # Errors
/// [`FrameTooLong`] for more than 255 × [`MAX_PAYLOAD`] bytes.
pub fn fragments(frame: &[u8]) -> Result<impl ExactSizeIterator<Item = (u8, u8, &[u8])>, FrameTooLong> {
    fragments_of(frame, MAX_PAYLOAD)
}

/// As [`fragments`], in parts of so many bytes; of [`MAX_PAYLOAD`] where that is more.
///
/// # Errors
/// [`FrameTooLong`] for more than 255 such parts.
pub fn fragments_of(
    frame: &[u8],
    len: usize,
) -> Result<impl ExactSizeIterator<Item = (u8, u8, &[u8])>, FrameTooLong> {
    let len = len.clamp(1, MAX_PAYLOAD);
    let parts = u8::try_from(frame.len().div_ceil(len).max(1)).map_err(|_| FrameTooLong(frame.len()))?;
    let total = if parts == 1 { 0 } else { parts };
    Ok((0..parts).map(move |part| {
        let from = usize::from(part) * len;
        (part, total, &frame[from..frame.len().min(from + len)])
    }))
}
