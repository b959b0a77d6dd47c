//! Pooled, reference-counted pictures.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The shape of a planar 4:2:0 picture with 8 bits a sample and no padding.
///
/// Its bytes are the luma plane (`width` × `height`), then the two chroma planes, U and V, of half the width and
/// half the height, rounded up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct I420 {
    /// Luma samples a row.
    pub width: u32,
    /// Luma rows.
    pub height: u32,
}

impl I420 {
    /// Bytes of the luma plane.
    #[must_use]
    pub fn luma_len(self) -> usize {
        self.width as usize * self.height as usize
    }

    /// Samples a row of a chroma plane.
    #[must_use]
    pub fn chroma_width(self) -> usize {
        (self.width as usize).div_ceil(2)
    }

    /// Rows of a chroma plane.
    #[must_use]
    pub fn chroma_height(self) -> usize {
        (self.height as usize).div_ceil(2)
    }

    /// Bytes of one chroma plane.
    #[must_use]
    pub fn chroma_len(self) -> usize {
        self.chroma_width() * self.chroma_height()
    }

    /// Bytes of the whole picture.
    #[must_use]
    pub fn len(self) -> usize {
        self.luma_len() + 2 * self.chroma_len()
    }

    /// Whether the picture has no samples.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The three planes of a picture of this shape, Y, U, V. Panics where `data` is not [`len`](Self::len) bytes.
    #[must_use]
    pub fn planes(self, data: &[u8]) -> [&[u8]; 3] {
        assert_eq!(data.len(), self.len(), "picture data does not fit its shape");
        let (y, chroma) = data.split_at(self.luma_len());
        let (u, v) = chroma.split_at(self.chroma_len());
        [y, u, v]
    }

    /// As [`planes`](Self::planes), to write.
    #[must_use]
    pub fn planes_mut(self, data: &mut [u8]) -> [&mut [u8]; 3] {
        assert_eq!(data.len(), self.len(), "picture data does not fit its shape");
        let (y, chroma) = data.split_at_mut(self.luma_len());
        let (u, v) = chroma.split_at_mut(self.chroma_len());
        [y, u, v]
    }
}

/// One captured picture. Its buffer goes back to its [`FramePool`] when the last [`FrameRef`] is dropped.
pub struct Frame {
    /// The picture's shape.
    pub shape: I420,
    /// When the picture was captured, since the process's epoch.
    pub captured_at: Duration,
    /// How many pictures its source delivered before this one.
    pub index: u64,
    data: Vec<u8>,
    home: Arc<Shared>,
}

/// A shared picture: cloning it copies no pixel.
pub type FrameRef = Arc<Frame>;

impl Frame {
    /// The picture's bytes, laid out as [`I420`] says.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// The planes Y, U, V.
    #[must_use]
    pub fn planes(&self) -> [&[u8]; 3] {
        self.shape.planes(&self.data)
    }
}

impl std::fmt::Debug for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Frame")
            .field("shape", &self.shape)
            .field("captured_at", &self.captured_at)
            .field("index", &self.index)
            .finish_non_exhaustive()
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        self.home.lock().free.push(std::mem::take(&mut self.data));
    }
}

/// Buffers for pictures of one shape, at most `ceiling` of them, so that a consumer which falls behind cannot eat
/// the memory.
#[derive(Clone)]
pub struct FramePool {
    shape: I420,
    ceiling: usize,
    shared: Arc<Shared>,
}

struct Shared(Mutex<Buffers>);

struct Buffers {
    free: Vec<Vec<u8>>,
    made: usize,
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Buffers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Every buffer of a [`FramePool`] is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolEmpty;

impl FramePool {
    /// A pool of at most `ceiling` pictures of `shape`, made when they are first needed.
    #[must_use]
    pub fn new(shape: I420, ceiling: usize) -> Self {
        let buffers = Buffers { free: Vec::with_capacity(ceiling), made: 0 };
        Self { shape, ceiling, shared: Arc::new(Shared(Mutex::new(buffers))) }
    }

    /// The shape of the pool's pictures.
    #[must_use]
    pub fn shape(&self) -> I420 {
        self.shape
    }

    /// A picture that `fill` writes into. What it held before is unspecified, so `fill` must write every byte.
    ///
    /// # Errors
    /// [`PoolEmpty`] when all of the pool's buffers are in use; `fill` has not run then.
    pub fn frame(
        &self,
        captured_at: Duration,
        index: u64,
        fill: impl FnOnce(&mut [u8]),
    ) -> Result<FrameRef, PoolEmpty> {
        let mut data = self.take().ok_or(PoolEmpty)?;
        fill(&mut data);
        Ok(Arc::new(Frame { shape: self.shape, captured_at, index, data, home: self.shared.clone() }))
    }

    fn take(&self) -> Option<Vec<u8>> {
        let mut buffers = self.shared.lock();
        if let Some(buffer) = buffers.free.pop() {
            return Some(buffer);
        }
        if buffers.made == self.ceiling {
            return None;
        }
        buffers.made += 1;
        drop(buffers);
        Some(vec![0; self.shape.len()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: I420 = I420 { width: 6, height: 4 };

    #[test]
    fn planes_cover_the_picture() {
        let data: Vec<u8> = (0..SHAPE.len() as u8).collect();
        let [y, u, v] = SHAPE.planes(&data);
        assert_eq!((y.len(), u.len(), v.len()), (24, 6, 6));
        assert_eq!((u[0], v[0]), (24, 30));
        assert_eq!(I420 { width: 3, height: 3 }.len(), 9 + 2 * 4);
    }

    #[test]
    fn a_dropped_frame_gives_its_buffer_back() {
        let pool = FramePool::new(SHAPE, 1);
        let frame = pool.frame(Duration::ZERO, 0, |data| data.fill(7)).unwrap();
        let second = frame.clone();
        assert_eq!(pool.frame(Duration::ZERO, 1, |_| ()).unwrap_err(), PoolEmpty);
        drop(frame);
        assert!(pool.frame(Duration::ZERO, 1, |_| ()).is_err(), "one reference is left");
        assert_eq!(second.planes()[0][0], 7);
        drop(second);
        assert_eq!(pool.frame(Duration::ZERO, 2, |_| ()).unwrap().index, 2);
    }
}
