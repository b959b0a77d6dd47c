//! From the camera's picture to the live one, on the CPU: scaled down, its proportions kept.

use std::sync::Arc;

use fast_image_resize::images::{TypedCroppedImageMut, TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};
use hyperzoom_media::{BLACK, Downscale, Fit, I420};

/// Makes what scales the live picture to a shape; by default a [`Scaler`].
#[derive(Clone)]
pub struct MakeScaler(Arc<dyn Fn(I420) -> Box<dyn Downscale> + Send + Sync>);

impl MakeScaler {
    /// `make` is called with the shape that is wanted, and again when another one is.
    pub fn new(make: impl Fn(I420) -> Box<dyn Downscale> + Send + Sync + 'static) -> Self {
        Self(Arc::new(make))
    }

    /// A scaler to `to`, which has even sides.
    #[must_use]
    pub fn make(&self, to: I420) -> Box<dyn Downscale> {
        (self.0)(to)
    }
}

impl Default for MakeScaler {
    fn default() -> Self {
        Self::new(|to| Box::new(Scaler::new(to)))
    }
}

impl std::fmt::Debug for MakeScaler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MakeScaler").finish_non_exhaustive()
    }
}

/// Scales pictures to one shape, with black bars where their proportions differ from it.
pub struct Scaler {
    to: I420,
    resizer: Resizer,
    options: ResizeOptions,
    out: Vec<u8>,
    /// Where in `out` the last picture went; the rest is black.
    drawn: Option<Fit>,
}

impl Scaler {
    /// A scaler to `to`.
    ///
    /// # Panics
    /// Where a side of `to` is odd or 0.
    #[must_use]
    pub fn new(to: I420) -> Self {
        assert!(
            !to.is_empty() && to.width.is_multiple_of(2) && to.height.is_multiple_of(2),
            "pictures are scaled to even sides"
        );
        // A triangle as wide as two steps of the smaller picture: every sample of the camera's picture counts, so fine
        // detail does not flicker.
        let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
        Self { to, resizer: Resizer::new(), options, out: vec![0; to.len()], drawn: None }
    }
}

impl Downscale for Scaler {
    fn scale(&mut self, from: I420, picture: &[u8]) -> &[u8] {
        let fit = Fit::new(from, self.to);
        if self.drawn != Some(fit) {
            for (plane, black) in self.to.planes_mut(&mut self.out).into_iter().zip(BLACK) {
                plane.fill(black);
            }
            self.drawn = Some(fit);
        }
        let sizes = [(from.width, from.height), chroma(from), chroma(from)];
        let targets = [(self.to.width, self.to.height), chroma(self.to), chroma(self.to)];
        let planes = from.planes(picture).into_iter().zip(self.to.planes_mut(&mut self.out));
        for (n, (source, target)) in planes.enumerate() {
            const FITS: &str = "a plane is as long as its shape says, and the fitted area lies within it";
            let [left, top, width, height] = fit.plane(n);
            let source = TypedImageRef::<U8>::from_buffer(sizes[n].0, sizes[n].1, source).expect(FITS);
            let target = TypedImage::<U8>::from_buffer(targets[n].0, targets[n].1, target).expect(FITS);
            let mut target = TypedCroppedImageMut::new(target, left, top, width, height).expect(FITS);
            self.resizer.resize_typed(&source, &mut target, &self.options).expect(FITS);
        }
        &self.out
    }
}

fn chroma(shape: I420) -> (u32, u32) {
    (shape.chroma_width() as u32, shape.chroma_height() as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIVE: I420 = I420 { width: 854, height: 480 };

    fn flat(shape: I420, values: [u8; 3]) -> Vec<u8> {
        let mut picture = vec![0; shape.len()];
        for (plane, value) in shape.planes_mut(&mut picture).into_iter().zip(values) {
            plane.fill(value);
        }
        picture
    }

    #[test]
    fn sixteen_to_nine_fills_the_picture() {
        let from = I420 { width: 1920, height: 1080 };
        let mut scaler = Scaler::new(LIVE);
        assert_eq!(LIVE.chroma_width(), 427, "an odd number of chroma samples");
        assert_eq!(scaler.scale(from, &flat(from, [200, 60, 190])), flat(LIVE, [200, 60, 190]));
    }

    #[test]
    fn other_proportions_get_black_bars_and_are_not_stretched() {
        for (from, [left, top]) in [
            (I420 { width: 640, height: 480 }, [106, 0]),
            (I420 { width: 1080, height: 1920 }, [292, 0]),
            (I420 { width: 1920, height: 800 }, [0, 62]),
        ] {
            let mut scaler = Scaler::new(LIVE);
            let out = scaler.scale(from, &flat(from, [200, 60, 190])).to_vec();
            let [y, u, v] = LIVE.planes(&out);
            let at = |x: usize, line: usize| {
                let chroma = line / 2 * LIVE.chroma_width() + x / 2;
                [y[line * 854 + x], u[chroma], v[chroma]]
            };
            assert_eq!(at(427, 240), [200, 60, 190]);
            assert_eq!(at(left, top), [200, 60, 190], "{from:?} begins at {left}, {top}");
            if left > 0 {
                assert_eq!([at(left - 1, 240), at(0, 0), at(853, 479)], [BLACK; 3]);
            } else {
                assert_eq!([at(427, top - 1), at(0, 0), at(853, 479)], [BLACK; 3]);
            }
        }
    }

    #[test]
    fn bars_are_black_again_after_another_shape() {
        let (wide, tall) = (I420 { width: 1280, height: 720 }, I420 { width: 640, height: 480 });
        let mut scaler = Scaler::new(LIVE);
        scaler.scale(wide, &flat(wide, [200, 60, 190]));
        assert_eq!(scaler.scale(tall, &flat(tall, [90, 128, 128]))[0], 16);
    }

    proptest! {
        #[test]
        fn any_shape_fits(width in 1u32..3000, height in 1u32..3000) {
            let fit = Fit::new(I420 { width, height }, LIVE);
            prop_assert!(fit.left + fit.width <= 854 && fit.top + fit.height <= 480);
            prop_assert!(fit.width >= 852 || fit.height == 480, "one direction is filled: {:?}", fit);
            prop_assert!([fit.left, fit.top, fit.width, fit.height].iter().all(|side| side % 2 == 0));
        }
    }
}
