//! The memory that a call may take, in one place: 300 MB for the whole program, most of it the recording's headroom.
//!
//! | what | bytes at 1080p |
//! | --- | --- |
//! | pictures on their way: the camera's pool, of which the recorder's ring has all but a few | 128 MiB |
//! | encoded pictures and sound that wait for the disk, at most | 64 MiB |
//! | the microphone's ring | 2 MB |
//! | everything else: code, encoders, decoders of three peers, threads' stacks | what is left |
//!
//! At 1080p that is 1.2 s of pictures, at 720p 3 s, and never more than [`MOST_SECONDS`].

use hyperzoom_media::I420;
use hyperzoom_recorder::DISK_QUEUE_BYTES;
use hyperzoom_video::PICTURE_POOL_BYTES;

/// What the program may take, in bytes.
const PROGRAM: usize = 300_000_000;

/// What everything takes that is neither a ring nor a queue, in bytes: an allowance.
const REST: usize = 90_000_000;

/// Microphone that the recorder's ring holds, in seconds: an encoder or a disk that stalls this long loses nothing.
pub(super) const MIC_RING_SECONDS: f32 = 10.0;

/// Bytes of the microphone's ring: 48 000 samples of 4 bytes a second, and a mark of 24 for each 32 of them.
const MIC_RING: usize = MIC_RING_SECONDS as usize * 48_000 * (4 + 1);

/// Pictures of the pool that are not in the recorder's ring: two in the live path's ring, one in its encoder, one that is being
/// filled, one that the recorder encodes and one that it holds to repeat, one that waits for its tick.
const ELSEWHERE: usize = 7;

/// Pictures that are held while our own are shown: two in the ring, one that was published, and two at whoever draws them.
pub(super) const SHOWN: usize = 5;

/// The longest that small pictures are kept for, in seconds.
const MOST_SECONDS: usize = 8;

const _: () = assert!(PICTURE_POOL_BYTES + DISK_QUEUE_BYTES as usize + MIC_RING + REST <= PROGRAM);

/// Pictures that the recorder's ring holds: as many as the camera's pool has, but for those in use elsewhere, among them `shown` by whoever
/// draws them.
pub(super) fn picture_ring(shape: I420, shown: usize) -> usize {
    let elsewhere = ELSEWHERE + shown;
    (PICTURE_POOL_BYTES / shape.len()).saturating_sub(elsewhere).clamp(8, MOST_SECONDS * 30 - elsewhere)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ring_holds_more_than_a_second_of_1080p_and_leaves_the_pool_some() {
        for (width, height, least) in [(1920, 1080, 36), (1280, 720, 90), (640, 480, 233), (3840, 2160, 8)] {
            let shape = I420 { width, height };
            let ring = picture_ring(shape, 0);
            assert_eq!(ring, least, "{width}x{height}");
            for (ring, shown) in [(ring, 0), (picture_ring(shape, SHOWN), SHOWN)] {
                assert!(width > 1920 || (ring + ELSEWHERE + shown) * shape.len() <= PICTURE_POOL_BYTES);
            }
        }
    }
}
