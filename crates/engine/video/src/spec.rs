//! Which camera: the text of the command line, and the limits of what it may deliver.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use hyperzoom_media::I420;

use crate::VideoError;
use crate::source::modes::Wish;

/// Frames a second as an exact fraction: 30000/1001 is no decimal number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FrameRate {
    num: u32,
    den: u32,
}

impl FrameRate {
    /// 30 frames a second.
    pub const THIRTY: Self = Self { num: 30, den: 1 };

    /// `num / den` frames a second; `None` unless that lies between 1 and 120.
    #[must_use]
    pub fn new(num: u32, den: u32) -> Option<Self> {
        let in_range = den > 0 && num >= den && u64::from(num) <= 120 * u64::from(den);
        in_range.then_some(Self { num, den })
    }

    /// When frame `n` is due after frame 0, rounded down to a nanosecond; exact for any `n`, so nothing accumulates.
    #[must_use]
    pub fn due(self, n: u64) -> Duration {
        const NS: u128 = 1_000_000_000;
        let ns = u128::from(n) * u128::from(self.den) * NS / u128::from(self.num);
        Duration::new((ns / NS) as u64, (ns % NS) as u32)
    }

    /// How many frames were due by `elapsed` after frame 0, without frame 0 itself: the latest due frame's number.
    #[must_use]
    pub fn latest_due(self, elapsed: Duration) -> u64 {
        let den = u128::from(self.den) * 1_000_000_000;
        // The smallest nanosecond count that `due` rounds to frame n is floor(n·den/num), hence the +1 and the -1.
        (((elapsed.as_nanos() + 1) * u128::from(self.num) - 1) / den) as u64
    }

    /// Frames a second, rounded.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        f64::from(self.num) / f64::from(self.den)
    }
}

impl fmt::Display for FrameRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.den == 1 { write!(f, "{}", self.num) } else { write!(f, "{:.2}", self.as_f64()) }
    }
}

/// Which camera to use: the text after `--camera`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CameraSpec {
    /// No camera: an audio-only participant. Text: `none`.
    None,
    /// The test pattern. Text: `pattern` (1920x1080 at 30) or `pattern:WIDTHxHEIGHT@FPS`, where `@FPS` may be left out.
    Pattern {
        /// The picture's shape.
        shape: I420,
        /// Its rate.
        rate: FrameRate,
    },
    /// An uncompressed video file that repeats. Text: `file:PATH.y4m`.
    File(PathBuf),
    /// A camera that is plugged in. Text: `default`, a part of its name, or its place (`/dev/video0`); behind it `:WIDTHxHEIGHT`, and `@FPS`
    /// behind that, may say what it is to deliver.
    Device {
        /// A part of its name, or its place; `None` is the first that can be used.
        name: Option<String>,
        /// What it is to deliver.
        wish: Wish,
    },
}

impl CameraSpec {
    /// Whether there is no camera.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::None
    }
}

impl Default for CameraSpec {
    /// The pattern at 1920x1080 and 30 frames a second.
    fn default() -> Self {
        Self::Pattern { shape: I420 { width: 1920, height: 1080 }, rate: FrameRate::THIRTY }
    }
}

impl FromStr for CameraSpec {
    type Err = VideoError;

    fn from_str(text: &str) -> Result<Self, VideoError> {
        let wrong = |why: &str| VideoError::Spec { text: text.to_owned(), why: why.to_owned() };
        let (kind, rest) = match text.split_once(':') {
            Some((kind, rest)) => (kind, Some(rest)),
            None => (text, None),
        };
        match (kind, rest) {
            ("none", None) => Ok(Self::None),
            ("pattern", None) => Ok(Self::default()),
            ("pattern", Some(form)) => {
                let (shape, fps) = form_of(form, &wrong)?;
                let rate = FrameRate::new(fps.unwrap_or(30), 1)
                    .ok_or_else(|| wrong("its frame rate is not between 1 and 120"))?;
                Ok(Self::Pattern { shape, rate })
            }
            ("file", Some("") | None) => Err(wrong("it names no file")),
            ("file", Some(path)) => Ok(Self::File(PathBuf::from(path))),
            ("none", Some(_)) => Err(wrong("no camera has no form")),
            _ => {
                // Names of cameras have colons of their own: "USB2.0 HD UVC WebCam: USB2.0 HD".
                let (name, wish) = match text.rsplit_once(':') {
                    Some((name, form)) if is_form(form) => {
                        let (shape, fps) = form_of(form, &wrong)?;
                        if fps.is_some_and(|fps| FrameRate::new(fps, 1).is_none()) {
                            return Err(wrong("its frame rate is not between 1 and 120"));
                        }
                        (name, Wish { shape: Some(shape), fps })
                    }
                    _ => (text, Wish::default()),
                };
                let name = name.trim();
                if name.is_empty() {
                    return Err(wrong("it names no camera"));
                }
                let name = (name != "default").then(|| name.to_owned());
                Ok(Self::Device { name, wish })
            }
        }
    }
}

/// Whether a text is meant as `WIDTHxHEIGHT@FPS`, right or wrong.
fn is_form(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
        && text.contains('x')
        && text.chars().all(|c| c.is_ascii_digit() || matches!(c, 'x' | '@'))
}

/// Reads `WIDTHxHEIGHT@FPS`, where `@FPS` may be left out.
fn form_of(form: &str, wrong: &impl Fn(&str) -> VideoError) -> Result<(I420, Option<u32>), VideoError> {
    let (size, fps) = form.split_once('@').map_or((form, None), |(size, fps)| (size, Some(fps)));
    let (width, height) = size.split_once('x').ok_or_else(|| wrong("it has no WIDTHxHEIGHT"))?;
    let number = |digits: &str, what: &str| {
        digits.parse::<u32>().map_err(|_| wrong(&format!("{digits:?} is no {what}")))
    };
    let shape = I420 { width: number(width, "width")?, height: number(height, "height")? };
    check_shape(shape)?;
    Ok((shape, fps.map(|fps| number(fps, "frame rate")).transpose()?))
}

impl fmt::Display for CameraSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Pattern { shape, rate } => write!(f, "pattern:{}x{}@{rate}", shape.width, shape.height),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Device { name, wish } => {
                f.write_str(name.as_deref().unwrap_or("default"))?;
                if let Some(shape) = wish.shape {
                    write!(f, ":{}x{}", shape.width, shape.height)?;
                    if let Some(fps) = wish.fps {
                        write!(f, "@{fps}")?;
                    }
                }
                Ok(())
            }
        }
    }
}

/// Refuses a shape that the master recording could not hold: H.264 level 4.1 takes frames of at most 8192 macroblocks
/// (ITU-T H.264 table A-1), which 1920x1080 nearly fills, and 4:2:0 pictures there have even sides.
pub(crate) fn check_shape(shape: I420) -> Result<(), VideoError> {
    let I420 { width, height } = shape;
    let refuse = |why| Err(VideoError::Shape { width, height, why });
    if width % 2 == 1 || height % 2 == 1 {
        return refuse("both sides must be even");
    }
    if width < 64 || height < 64 {
        return refuse("both sides must be at least 64");
    }
    if u64::from(width.div_ceil(16)) * u64::from(height.div_ceil(16)) > 8192 || width.max(height) > 4096 {
        return refuse("it is more than a 1920x1080 picture holds; scale it down first");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pattern(width: u32, height: u32, fps: u32) -> CameraSpec {
        CameraSpec::Pattern { shape: I420 { width, height }, rate: FrameRate::new(fps, 1).unwrap() }
    }

    fn device(name: Option<&str>, shape: Option<(u32, u32)>, fps: Option<u32>) -> CameraSpec {
        let shape = shape.map(|(width, height)| I420 { width, height });
        CameraSpec::Device { name: name.map(str::to_owned), wish: Wish { shape, fps } }
    }

    #[test]
    fn every_form_is_read_and_written_alike() {
        for (text, spec) in [
            ("none", CameraSpec::None),
            ("pattern:1280x720@25", pattern(1280, 720, 25)),
            ("file:/tmp/a:b.y4m", CameraSpec::File("/tmp/a:b.y4m".into())),
            ("default", device(None, None, None)),
            ("default:640x360", device(None, Some((640, 360)), None)),
            ("/dev/video0:640x360@15", device(Some("/dev/video0"), Some((640, 360)), Some(15))),
            ("USB 2.0: HD Webcam", device(Some("USB 2.0: HD Webcam"), None, None)),
        ] {
            assert_eq!(text.parse::<CameraSpec>().unwrap(), spec);
            assert_eq!(spec.to_string(), text);
        }
        assert_eq!("pattern".parse::<CameraSpec>().unwrap(), pattern(1920, 1080, 30));
        assert_eq!("pattern:640x480".parse::<CameraSpec>().unwrap(), pattern(640, 480, 30));
    }

    #[test]
    fn a_wrong_text_is_told_what_is_wrong() {
        for (text, part) in [
            ("", "names no camera"),
            (":640x480", "names no camera"),
            ("logitech:641x480", "even"),
            ("logitech:640x480@500", "between 1 and 120"),
            ("pattern:640", "WIDTHxHEIGHT"),
            ("pattern:640xtall", "\"tall\" is no height"),
            ("pattern:641x480", "even"),
            ("pattern:3840x2160", "scale it down"),
            ("pattern:640x480@0", "between 1 and 120"),
            ("file:", "names no file"),
            ("none:1", "no form"),
        ] {
            let error = text.parse::<CameraSpec>().unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in ".{0,40}") {
            let _ = text.parse::<CameraSpec>();
        }

        #[test]
        fn the_latest_due_frame_is_the_last_that_is_not_in_the_future(
            n in 0u64..1_000_000_000, num in 1u32..120_000, den in 1u32..1_001,
        ) {
            let Some(rate) = FrameRate::new(num, den) else { return Ok(()) };
            let due = rate.due(n);
            prop_assert_eq!(rate.latest_due(due), n);
            if n > 0 {
                prop_assert_eq!(rate.latest_due(due - Duration::from_nanos(1)), n - 1);
            }
        }
    }
}
