//! The system's cameras, through nokhwa: V4L2, AVFoundation, Media Foundation.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hyperzoom_media::I420;
use nokhwa::utils::{
    ApiBackend, CameraFormat, CameraIndex, FrameFormat, RequestedFormat, RequestedFormatType, Resolution,
};
use nokhwa::{Camera, NokhwaError};

use super::convert::PixelFormat;
use super::modes::CameraMode;
use crate::VideoError;
use crate::device::{Place, Stream, System};

/// A stamp that is older is none: the driver counts by another clock.
const STAMP_MAX_AGE: Duration = Duration::from_secs(1);

/// What nokhwa and [`convert`](super::convert) both know.
const FORMATS: [(FrameFormat, PixelFormat); 6] = [
    (FrameFormat::NV12, PixelFormat::Nv12),
    (FrameFormat::YUYV, PixelFormat::Yuyv),
    (FrameFormat::RAWRGB, PixelFormat::Rgb),
    (FrameFormat::RAWBGR, PixelFormat::Bgr),
    (FrameFormat::MJPEG, PixelFormat::Mjpeg),
    (FrameFormat::GRAY, PixelFormat::Gray),
];

/// The cameras of this machine.
pub(crate) struct Cameras;

impl System for Cameras {
    fn permit(&mut self) -> Result<(), VideoError> {
        ask_permission()
    }

    fn list(&mut self) -> Result<Vec<Place>, VideoError> {
        let found = nokhwa::query(ApiBackend::Auto).map_err(|error| failure("list", &error))?;
        let mut places: Vec<_> = found
            .iter()
            .map(|info| Place { name: info.human_name(), at: place_name(info.index()) })
            .collect();
        // As a directory happens to list them.
        places.sort_by(|a, b| (a.at.len(), &a.at).cmp(&(b.at.len(), &b.at)));
        Ok(places)
    }

    fn modes(&mut self, place: &Place) -> Result<Vec<CameraMode>, VideoError> {
        let mut camera = match open(place, RequestedFormatType::None) {
            Ok(camera) => camera,
            // What a camera's second node looks like, the one for its metadata: nothing can be captured there.
            Err(NokhwaError::GetPropertyError { property, .. })
                if matches!(&*property, "CameraFormat" | "FrameFormat") =>
            {
                return Ok(Vec::new());
            }
            Err(error) => return Err(failure(&place.name, &error)),
        };
        let formats = camera.compatible_camera_formats().map_err(|error| failure(&place.name, &error))?;
        Ok(formats.into_iter().filter_map(mode).collect())
    }

    fn open(&mut self, place: &Place, mode: CameraMode) -> Result<Box<dyn Stream>, VideoError> {
        let failed = |error| failure(&place.name, &error);
        let Some((format, _)) = FORMATS.iter().find(|(_, ours)| *ours == mode.format) else {
            return Err(failed(NokhwaError::GeneralError("its format is unknown".into())));
        };
        let I420 { width, height } = mode.shape;
        let wanted = CameraFormat::new(Resolution::new(width, height), *format, mode.fps);
        let mut camera = open(place, RequestedFormatType::Exact(wanted)).map_err(failed)?;
        let got = camera.camera_format();
        if (got.width(), got.height(), got.format()) != (width, height, *format) {
            let why = format!("it was set to {mode} and delivers {got}");
            return Err(VideoError::Mode { name: place.name.clone(), why });
        }
        camera.open_stream().map_err(failed)?;
        Ok(Box::new(Opened { camera, name: place.name.clone() }))
    }
}

/// A camera that delivers.
struct Opened {
    camera: Camera,
    name: String,
}

impl Stream for Opened {
    fn next(&mut self, take: &mut dyn FnMut(Duration, &[u8])) -> Result<(), VideoError> {
        let frame = self.camera.frame().map_err(|error| {
            let detail = error.to_string();
            VideoError::Lost { name: self.name.clone(), detail }
        })?;
        // The driver's stamp comes as time of day, which may be set at any time; only its distance from now counts.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let age = frame.capture_timestamp().and_then(|at| now.checked_sub(at));
        let age = age.filter(|age| *age <= STAMP_MAX_AGE).unwrap_or_default();
        take(age, frame.buffer());
        Ok(())
    }
}

fn open(place: &Place, wanted: RequestedFormatType) -> Result<Camera, NokhwaError> {
    let index = match place.at.trim_start_matches("/dev/video").parse() {
        Ok(index) => CameraIndex::Index(index),
        Err(_) => CameraIndex::String(place.at.clone()),
    };
    Camera::new(index, RequestedFormat::with_formats(wanted, &FORMATS.map(|(theirs, _)| theirs)))
}

fn mode(format: CameraFormat) -> Option<CameraMode> {
    let (_, pixels) = FORMATS.iter().find(|(theirs, _)| *theirs == format.format())?;
    let shape = I420 { width: format.width(), height: format.height() };
    Some(CameraMode { shape, fps: format.frame_rate(), format: *pixels })
}

/// Where a camera is, as the system's own tools say it.
fn place_name(index: &CameraIndex) -> String {
    match index {
        CameraIndex::Index(n) if cfg!(target_os = "linux") => format!("/dev/video{n}"),
        index => index.as_string(),
    }
}

/// nokhwa tells what the system said as text alone, in which the error's number stands.
fn failure(name: &str, error: &NokhwaError) -> VideoError {
    let (name, detail) = (name.to_owned(), error.to_string());
    let says = |what: &str| detail.contains(what);
    if says("(os error 13)") || says("(os error 1)") || says("0x80070005") {
        VideoError::Denied { name }
    } else if says("(os error 16)") || says("0xC00D3704") {
        VideoError::Busy { name }
    } else if says("(os error 2)") || says("(os error 6)") || says("(os error 19)") {
        VideoError::Lost { name, detail }
    } else {
        VideoError::Device { name, detail }
    }
}

/// macOS asks the user at a program's first use of a camera, and says so later.
#[cfg(target_os = "macos")]
fn ask_permission() -> Result<(), VideoError> {
    use std::sync::mpsc;
    /// How long a person may think about it.
    const ANSWER: Duration = Duration::from_secs(60);
    if nokhwa::nokhwa_check() {
        return Ok(());
    }
    let (tell, answer) = mpsc::channel();
    nokhwa::nokhwa_initialize(move |allowed| drop(tell.send(allowed)));
    match answer.recv_timeout(ANSWER) {
        Ok(true) => Ok(()),
        _ => Err(VideoError::Denied { name: "of this machine".into() }),
    }
}

/// Elsewhere opening the camera tells.
#[cfg(not(target_os = "macos"))]
fn ask_permission() -> Result<(), VideoError> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_reasons_are_told_apart() {
        let told = |text: &str| failure("C920", &NokhwaError::OpenDeviceError("0".into(), text.into()));
        assert!(matches!(told("V4L2 Error: Permission denied (os error 13)"), VideoError::Denied { .. }));
        assert!(matches!(told("Device or resource busy (os error 16)"), VideoError::Busy { .. }));
        assert!(matches!(told("No such device (os error 19)"), VideoError::Lost { .. }));
        let other = told("Input/output error (os error 5)");
        assert!(matches!(&other, VideoError::Device { detail, .. } if detail.contains("error 5")), "{other}");
    }
}
