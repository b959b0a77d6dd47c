//! Boxes that the MP4 library has no type for, byte by byte.

use shiguredo_mp4::boxes::UnknownBox;
use shiguredo_mp4::{BoxSize, BoxType};

/// Size and type.
pub(super) const HEADER: usize = 8;

/// A box as a child of one that the library knows.
pub(super) fn child(kind: [u8; 4], payload: Vec<u8>) -> UnknownBox {
    let size = u32::try_from(HEADER + payload.len()).unwrap_or(u32::MAX);
    UnknownBox { box_type: BoxType::Normal(kind), box_size: BoxSize::U32(size), payload }
}

/// A box with these parts as its payload.
pub(super) fn raw(kind: [u8; 4], parts: &[&[u8]]) -> Vec<u8> {
    let len = HEADER + parts.iter().map(|part| part.len()).sum::<usize>();
    let mut bytes = Vec::with_capacity(len);
    bytes.extend_from_slice(&(len as u32).to_be_bytes());
    bytes.extend_from_slice(&kind);
    parts.iter().for_each(|part| bytes.extend_from_slice(part));
    bytes
}

/// The boxes in a payload, each by its type and its own payload, up to the first that is not whole.
pub(super) fn children(payload: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    let mut rest = payload;
    std::iter::from_fn(move || {
        let (header, _) = rest.split_first_chunk::<HEADER>()?;
        let &[a, b, c, d, kind @ ..] = header;
        let size = u32::from_be_bytes([a, b, c, d]) as usize;
        let inside = rest.get(HEADER..size)?;
        rest = &rest[size..];
        Some((kind, inside))
    })
}

/// The payload of the first box of this type.
pub(super) fn find(payload: &[u8], kind: [u8; 4]) -> Option<&[u8]> {
    children(payload).find(|(it, _)| *it == kind).map(|(_, inside)| inside)
}
