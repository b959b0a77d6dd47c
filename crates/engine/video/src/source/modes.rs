//! What a camera can do, and which of it serves best.

use std::cmp::Reverse;
use std::fmt;

use hyperzoom_media::I420;

use super::convert::PixelFormat;
use crate::spec::{FrameRate, check_shape};

/// One way in which a camera delivers pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CameraMode {
    /// Its pictures' shape.
    pub shape: I420,
    /// Pictures a second.
    pub fps: u32,
    /// How they are written.
    pub format: PixelFormat,
}

impl fmt::Display for CameraMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { shape, fps, format } = self;
        write!(f, "{}x{} at {fps} fps, {}", shape.width, shape.height, format.name())
    }
}

/// What is asked of a camera; what is left out is as good as it can be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wish {
    /// The pictures' shape.
    pub shape: Option<I420>,
    /// Pictures a second.
    pub fps: Option<u32>,
}

impl Wish {
    /// The master's rate.
    const FPS: u32 = 30;
    /// The largest picture that is recorded.
    const SHAPE: I420 = I420 { width: 1920, height: 1080 };

    /// The best of a camera's modes; `None` where it has none that can be used, or not the shape that is asked for.
    ///
    /// The most luma samples a second win, up to 1920x1080 at 30 fps, and the rate counts twice: pictures that stutter are noticed before pictures
    /// that are soft. So 1280x720 at 30 fps goes before 1920x1080 at 15, but not before 1920x1080 at 25. A rate above 30 gains nothing, since
    /// the master has 30. Among equals, the format with the fewest bytes to move, and a JPEG last.
    pub(crate) fn choose(self, modes: &[CameraMode]) -> Option<CameraMode> {
        let fps = self.fps.unwrap_or(Self::FPS);
        let usable = modes.iter().copied().filter(|mode| {
            let I420 { width, height } = mode.shape;
            let allowed = self.shape.map_or(
                width.max(height) <= Self::SHAPE.width && width.min(height) <= Self::SHAPE.height,
                |shape| shape == mode.shape,
            );
            allowed && check_shape(mode.shape).is_ok() && FrameRate::new(mode.fps, 1).is_some()
        });
        usable.max_by_key(|mode| {
            let rate = u64::from(mode.fps.min(fps));
            let colour = mode.format != PixelFormat::Gray;
            (
                colour,
                mode.shape.luma_len() as u64 * rate * rate,
                Reverse(mode.fps),
                Reverse(weight(mode.format)),
            )
        })
    }

    /// What the chosen mode lacks of what was asked for, or of 1920x1080 at 30 fps; `None` where it lacks nothing.
    pub(crate) fn lacks(self, mode: CameraMode) -> Option<String> {
        let wanted = self.shape.unwrap_or(Self::SHAPE);
        let fps = self.fps.unwrap_or(Self::FPS);
        let smaller = mode.shape.luma_len() < wanted.luma_len();
        (smaller || mode.fps < fps).then(|| {
            let I420 { width, height } = wanted;
            format!("it has no {width}x{height} at {fps} fps")
        })
    }
}

/// The order of the formats: the fewest bytes a picture first, then what must be decoded, then what has no colour.
fn weight(format: PixelFormat) -> u8 {
    match format {
        PixelFormat::Nv12 => 0,
        PixelFormat::Yuyv => 1,
        PixelFormat::Rgb | PixelFormat::Bgr => 2,
        PixelFormat::Mjpeg => 3,
        PixelFormat::Gray => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use PixelFormat::{Gray, Mjpeg, Nv12, Yuyv};
    use proptest::prelude::*;

    fn mode(width: u32, height: u32, fps: u32, format: PixelFormat) -> CameraMode {
        CameraMode { shape: I420 { width, height }, fps, format }
    }

    fn best(modes: &[CameraMode]) -> Option<CameraMode> {
        Wish::default().choose(modes)
    }

    #[test]
    fn a_usual_webcam_gives_its_jpegs() {
        let modes = [
            mode(640, 480, 30, Yuyv),
            mode(1920, 1080, 5, Yuyv),
            mode(1280, 720, 10, Yuyv),
            mode(1280, 720, 30, Mjpeg),
            mode(1920, 1080, 30, Mjpeg),
            mode(2592, 1944, 30, Mjpeg),
        ];
        assert_eq!(best(&modes), Some(modes[4]));
        assert_eq!(best(&modes[..4]), Some(modes[3]));
        assert_eq!(best(&modes[..3]), Some(modes[0]));
    }

    #[test]
    fn smooth_goes_before_large_and_large_before_a_little_smoother() {
        let (hd, slow) = (mode(1280, 720, 30, Yuyv), mode(1920, 1080, 15, Yuyv));
        assert_eq!(best(&[slow, hd]), Some(hd));
        let pal = mode(1920, 1080, 25, Yuyv);
        assert_eq!(best(&[hd, pal]), Some(pal));
        let tiny = mode(160, 120, 30, Yuyv);
        assert_eq!(best(&[tiny, slow]), Some(slow));
    }

    #[test]
    fn among_equals_it_is_the_lightest_and_no_faster_than_needed() {
        let [jpeg, packed, planes] = [Mjpeg, Yuyv, Nv12].map(|format| mode(1280, 720, 30, format));
        assert_eq!(best(&[jpeg, packed, planes]), Some(planes));
        assert_eq!(best(&[packed, jpeg]), Some(packed));
        assert_eq!(best(&[mode(1280, 720, 60, Nv12), jpeg]), Some(jpeg));
        assert_eq!(
            best(&[mode(1920, 1080, 30, Gray), mode(320, 240, 15, Mjpeg)]),
            Some(mode(320, 240, 15, Mjpeg))
        );
    }

    #[test]
    fn what_is_asked_for_is_what_comes_or_nothing() {
        let modes = [mode(1920, 1080, 30, Nv12), mode(640, 360, 15, Yuyv), mode(640, 360, 60, Yuyv)];
        let wish = Wish { shape: Some(I420 { width: 640, height: 360 }), fps: None };
        assert_eq!(wish.choose(&modes), Some(modes[2]));
        assert_eq!(Wish { fps: Some(15), ..wish }.choose(&modes), Some(modes[1]));
        assert_eq!(Wish { shape: Some(I420 { width: 640, height: 480 }), fps: None }.choose(&modes), None);
    }

    #[test]
    fn a_compromise_is_told() {
        let told = |fps, width, height| Wish::default().lacks(mode(width, height, fps, Yuyv));
        assert_eq!(told(30, 1920, 1080), None);
        assert_eq!(told(30, 1280, 720).as_deref(), Some("it has no 1920x1080 at 30 fps"));
        assert!(told(25, 1920, 1080).is_some());
        let wish = Wish { shape: Some(I420 { width: 640, height: 360 }), fps: Some(60) };
        assert_eq!(wish.lacks(mode(640, 360, 30, Yuyv)).as_deref(), Some("it has no 640x360 at 60 fps"));
    }

    proptest! {
        #[test]
        fn whatever_is_chosen_can_be_recorded(
            sizes in prop::collection::vec((0u32..5000, 0u32..5000, 0u32..300, 0usize..3), 0..20),
        ) {
            let modes: Vec<_> =
                sizes.into_iter().map(|(w, h, fps, n)| mode(w, h, fps, [Nv12, Yuyv, Mjpeg][n])).collect();
            if let Some(chosen) = best(&modes) {
                prop_assert!(check_shape(chosen.shape).is_ok() && (1..=120).contains(&chosen.fps));
            } else {
                prop_assert!(modes.iter().all(|m| check_shape(m.shape).is_err()
                    || !(1..=120).contains(&m.fps)
                    || m.shape.width.max(m.shape.height) > 1920
                    || m.shape.width.min(m.shape.height) > 1080));
            }
        }
    }
}
