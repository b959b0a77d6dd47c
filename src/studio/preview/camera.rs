//! The camera before a call.

use std::time::{Duration, Instant};

use hyperzoom_media::{FrameRef, I420};
use hyperzoom_video::{
    Camera, CameraConfig, CameraEvent, CameraEvents, CameraHealth, CameraSpec, VideoError,
};
use ringbuf::HeapCons;
use ringbuf::traits::Consumer;

use super::super::pending::{NoAnswer, Pending};
use super::super::words;

/// How often a camera that could not be had is tried again.
const AGAIN: Duration = Duration::from_secs(2);

/// How long a camera that is still being opened is waited for, when it is to be closed.
const PATIENCE: Duration = Duration::from_secs(15);

/// The camera of the first screen.
pub(in super::super) struct Picture {
    wanted: String,
    /// What the state is of.
    has: String,
    state: State,
    fault: Option<String>,
    /// When to try again, where that helps.
    again_at: Option<Instant>,
    /// There is no camera at all, and none was chosen by name.
    nothing_there: bool,
}

enum State {
    Opening(Pending<Result<Running, VideoError>>),
    Open(Box<Running>),
    Closed,
}

struct Running {
    camera: Camera,
    events: CameraEvents,
    tap: HeapCons<FrameRef>,
}

impl State {
    /// Takes as long as the camera does.
    fn close(self) {
        if let Self::Opening(pending) = self {
            pending.put_away(PATIENCE);
        }
    }
}

impl Picture {
    /// Begins to open the camera that a text means.
    pub(super) fn start(wanted: String) -> Self {
        let mut it = Self {
            wanted: wanted.clone(),
            has: wanted,
            state: State::Closed,
            fault: None,
            again_at: None,
            nothing_there: false,
        };
        it.open();
        it
    }

    /// Uses this camera from now on.
    pub(super) fn choose(&mut self, wanted: String) {
        self.wanted = wanted;
    }

    /// Closes the one before, and opens the one that is wanted.
    fn open(&mut self) {
        let before = std::mem::replace(&mut self.state, State::Closed);
        if self.has != self.wanted {
            self.has.clone_from(&self.wanted);
            (self.fault, self.nothing_there) = (None, false);
        }
        self.again_at = None;
        let spec = match self.wanted.parse() {
            Ok(CameraSpec::None) => None,
            Ok(spec) => Some(spec),
            Err(error) => {
                self.fault = Some(words::of_camera(&error));
                None
            }
        };
        let opens = spec.is_some();
        let pending = Pending::start("hz-preview-camera", move || {
            before.close();
            run(spec.ok_or(VideoError::NoCamera)?)
        });
        // Where nothing is to be opened nobody waits for the closing.
        if opens {
            self.state = State::Opening(pending);
        }
    }

    /// Goes on.
    pub(super) fn turn(&mut self, now: Instant) {
        match &mut self.state {
            State::Opening(pending) => match pending.poll() {
                None => return,
                Some(Ok(Ok(running))) => {
                    (self.fault, self.nothing_there) = (None, false);
                    self.state = State::Open(Box::new(running));
                }
                Some(Ok(Err(error))) => {
                    self.nothing_there =
                        matches!(&error, VideoError::NotFound { wanted, .. } if wanted == "default");
                    self.fail(now, words::of_camera(&error));
                }
                Some(Err(NoAnswer)) => {
                    self.fail(now, "The camera cannot be started: close some programs.".into());
                }
            },
            State::Open(running) => {
                let mut failed = None;
                while let Some(event) = running.events.try_next() {
                    match event {
                        CameraEvent::Lost(error) => self.fault = Some(words::of_camera(&error)),
                        CameraEvent::Back { .. } => self.fault = None,
                        CameraEvent::Failed(error) => failed = Some(words::of_camera(&error)),
                        // The call says so, where it matters.
                        CameraEvent::Compromise { .. } | CameraEvent::CutShort { .. } => {}
                    }
                }
                if let Some(fault) = failed {
                    self.fail(now, fault);
                }
            }
            State::Closed => {}
        }
        if self.has != self.wanted || self.again_at.is_some_and(|at| now >= at) {
            self.open();
        }
    }

    fn fail(&mut self, now: Instant, fault: String) {
        self.fault = Some(fault);
        self.again_at = Some(now + AGAIN);
        self.state = State::Closed;
    }

    /// The newest picture since the last one.
    pub(super) fn newest(&mut self) -> Option<FrameRef> {
        let State::Open(running) = &mut self.state else { return None };
        std::iter::from_fn(|| running.tap.try_pop()).last()
    }

    /// Why there are no pictures, and what to do.
    pub(super) fn fault(&self) -> Option<String> {
        let silent = || {
            let State::Open(running) = &self.state else { return None };
            (running.camera.health() == CameraHealth::Silent).then(|| {
                format!(
                    "No pictures come from {}. Plug it in again, or choose another.",
                    name_of(running.camera.describe())
                )
            })
        };
        self.fault.clone().or_else(silent)
    }

    /// Its pictures' shape, while they come.
    pub(super) fn shape(&self) -> Option<I420> {
        match &self.state {
            State::Open(running) if self.fault.is_none() => Some(running.camera.shape()),
            _ => None,
        }
    }

    /// What runs, in a few words.
    pub(super) fn describe(&self) -> Option<String> {
        let State::Open(running) = &self.state else { return None };
        let (I420 { width, height }, fps) = (running.camera.shape(), running.camera.fps());
        Some(format!("{} · {width} × {height} · {fps} fps", name_of(running.camera.describe())))
    }

    /// Whether one is wanted, and may come.
    pub(super) fn is_wanted(&self) -> bool {
        self.wanted != "none" && !self.nothing_there
    }

    /// Whether there is no camera at all, and none in particular was asked for.
    pub(in super::super) fn is_absent(&self) -> bool {
        self.nothing_there
    }
}

impl Drop for Picture {
    fn drop(&mut self) {
        std::mem::replace(&mut self.state, State::Closed).close();
    }
}

fn run(spec: CameraSpec) -> Result<Running, VideoError> {
    let (camera, events) = hyperzoom_video::start_camera(CameraConfig { epoch: Instant::now(), spec })?;
    let tap = camera.live_tap();
    Ok(Running { camera, events, tap })
}

/// A camera's name, without the mode that it describes itself with.
fn name_of(describe: &str) -> String {
    let name =
        describe.rsplit_once(" (").or_else(|| describe.rsplit_once(", ")).map_or(describe, |(name, _)| name);
    let mut letters = name.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn until(picture: &mut Picture, what: &str, is_so: impl Fn(&mut Picture) -> bool) {
        let patience = Instant::now() + Duration::from_secs(20);
        while !is_so(picture) {
            picture.turn(Instant::now());
            std::thread::sleep(Duration::from_millis(5));
            assert!(Instant::now() < patience, "{what}: {:?}", picture.fault());
        }
    }

    #[test]
    fn a_camera_that_cannot_be_had_is_told_and_the_next_choice_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.y4m");
        let mut picture = Picture::start(format!("file:{}", file.display()));
        until(&mut picture, "the fault", |it| it.fault().is_some_and(|text| text.contains("a.y4m")));
        assert!(picture.describe().is_none() && picture.shape().is_none() && !picture.is_absent());
        // It is tried again, and found when it is there.
        std::fs::write(&file, [&b"YUV4MPEG2 W64 H64 F30:1\nFRAME\n"[..], &[128; 64 * 64 * 3 / 2]].concat())
            .unwrap();
        until(&mut picture, "the file", |it| it.newest().is_some_and(|frame| frame.shape.width == 64));
        assert_eq!(picture.fault(), None);
        picture.choose("pattern:320x240@30".into());
        until(&mut picture, "the pattern", |it| it.newest().is_some_and(|frame| frame.shape.width == 320));
        assert_eq!(picture.describe().unwrap(), "Test pattern · 320 × 240 · 30 fps");
        picture.choose("none".into());
        until(&mut picture, "nothing", |it| it.describe().is_none());
        assert!(picture.fault().is_none() && picture.newest().is_none());
        picture.choose("pattern:tall".into());
        until(&mut picture, "nonsense", |it| it.fault().is_some());
    }

    #[test]
    fn a_camera_goes_by_its_name() {
        for (describe, name) in [
            ("test pattern, 1280x720 at 30 fps", "Test pattern"),
            ("USB 2.0 (rear) HD (1280x720 at 30 fps, MJPEG)", "USB 2.0 (rear) HD"),
            ("odd", "Odd"),
            ("", ""),
        ] {
            assert_eq!(name_of(describe), name);
        }
    }
}
