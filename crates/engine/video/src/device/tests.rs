use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Mutex, MutexGuard};
use std::thread::{self, ThreadId};

use hyperzoom_media::I420;
use ringbuf::HeapCons;
use ringbuf::traits::{Consumer, Observer};

use super::*;
use crate::camera::CameraHealth;
use crate::source::convert::PixelFormat;
use crate::thread::wait_for;

const SHAPE: I420 = I420 { width: 64, height: 64 };
const MODE: CameraMode = CameraMode { shape: SHAPE, fps: 30, format: PixelFormat::Gray };

/// What a camera does next.
enum Act {
    /// Delivers a gray picture.
    Gray(u8),
    /// Delivers half of one.
    Half,
    /// Is unplugged.
    Unplug,
    /// Makes its driver's library panic.
    Panic,
}

/// A system whose cameras do what they are told.
#[derive(Clone)]
struct Puppets(Arc<Mutex<Plugged>>);

#[derive(Default)]
struct Plugged {
    /// Who has asked the user for permission.
    asked: Vec<ThreadId>,
    is_denied: bool,
    /// How often a camera was opened.
    opened: usize,
    cameras: Vec<(Place, Vec<CameraMode>)>,
    /// What each camera that is opened will do, in the order of opening.
    scripts: VecDeque<Receiver<Act>>,
}

impl Puppets {
    fn new(cameras: &[(&str, &str, &[CameraMode])]) -> Self {
        let puppets = Self(Arc::default());
        for (name, at, modes) in cameras {
            puppets.plug_in(name, at, modes);
        }
        puppets
    }

    fn plugged(&self) -> MutexGuard<'_, Plugged> {
        self.0.lock().unwrap()
    }

    fn plug_in(&self, name: &str, at: &str, modes: &[CameraMode]) {
        let place = Place { name: name.to_owned(), at: at.to_owned() };
        self.plugged().cameras.push((place, modes.to_vec()));
    }

    fn unplug_all(&self) {
        self.plugged().cameras.clear();
    }

    /// Tells the camera that is opened next what to do.
    fn script(&self) -> Sender<Act> {
        let (acts, script) = mpsc::channel();
        self.plugged().scripts.push_back(script);
        acts
    }

    fn start(&self, name: Option<&str>) -> Result<(Camera, CameraEvents), VideoError> {
        start(Box::new(self.clone()), name.map(str::to_owned), Wish::default(), Instant::now())
    }
}

impl System for Puppets {
    fn permit(&mut self) -> Result<(), VideoError> {
        let mut plugged = self.plugged();
        plugged.asked.push(thread::current().id());
        if plugged.is_denied { Err(VideoError::Denied { name: "of this machine".into() }) } else { Ok(()) }
    }

    fn list(&mut self) -> Result<Vec<Place>, VideoError> {
        Ok(self.plugged().cameras.iter().map(|(place, _)| place.clone()).collect())
    }

    fn modes(&mut self, place: &Place) -> Result<Vec<CameraMode>, VideoError> {
        let plugged = self.plugged();
        let found = plugged.cameras.iter().find(|(other, _)| other == place);
        found
            .map(|(_, modes)| modes.clone())
            .ok_or(VideoError::Lost { name: place.name.clone(), detail: "pulled".into() })
    }

    fn open(&mut self, place: &Place, _: CameraMode) -> Result<Box<dyn Stream>, VideoError> {
        let mut plugged = self.plugged();
        plugged.opened += 1;
        let script = plugged.scripts.pop_front();
        drop(plugged);
        let script = script.ok_or(VideoError::Busy { name: place.name.clone() })?;
        Ok(Box::new(Puppet { script, name: place.name.clone() }))
    }
}

struct Puppet {
    script: Receiver<Act>,
    name: String,
}

impl Stream for Puppet {
    fn next(&mut self, take: &mut dyn FnMut(Duration, &[u8])) -> Result<(), VideoError> {
        // Nobody who tells it what to do is a driver that ends.
        match self.script.recv().unwrap_or(Act::Unplug) {
            Act::Gray(level) => take(Duration::ZERO, &[level; 64 * 64]),
            Act::Half => take(Duration::ZERO, &[0; 64 * 32]),
            Act::Unplug => {
                return Err(VideoError::Lost { name: self.name.clone(), detail: "pulled".into() });
            }
            Act::Panic => panic!("the driver's library panics, and the camera survives it"),
        }
        Ok(())
    }
}

/// Lets a camera deliver, one at a time, until a tap has a picture.
fn picture(camera: &Camera, acts: &Sender<Act>, tap: &mut HeapCons<FrameRef>) -> FrameRef {
    loop {
        let before = camera.counts().captured;
        acts.send(Act::Gray(255)).unwrap();
        wait_for(|| (camera.counts().captured > before).then_some(()));
        if let Some(frame) = tap.try_pop() {
            return frame;
        }
    }
}

#[test]
fn a_camera_delivers_pictures_in_their_order() {
    let puppets = Puppets::new(&[("Front", "/dev/video0", &[MODE])]);
    let acts = puppets.script();
    let (camera, _events) = puppets.start(None).unwrap();
    assert_eq!((camera.shape(), camera.describe()), (SHAPE, "Front (64x64 at 30 fps, GRAY)"));
    let mut tap = camera.record_tap(200);
    let first = picture(&camera, &acts, &mut tap);
    assert_eq!(first.planes()[0][0], 235, "white in limited range");
    let mut before = first;
    for _ in 0..3 {
        acts.send(Act::Gray(0)).unwrap();
        let next = wait_for(|| tap.try_pop());
        assert_eq!(next.index, before.index + 1);
        assert!(next.captured_at >= before.captured_at);
        before = next;
    }
    assert_eq!(camera.health(), CameraHealth::Delivering);
    drop(acts);
}

#[test]
fn a_camera_that_is_pulled_goes_on_when_it_is_plugged_in_again() {
    let puppets = Puppets::new(&[("Front", "/dev/video0", &[MODE])]);
    let acts = puppets.script();
    let (camera, mut events) = puppets.start(Some("front")).unwrap();
    let compromise = wait_for(|| events.try_next());
    assert!(matches!(compromise, CameraEvent::Compromise { .. }), "{compromise:?}");
    let mut tap = camera.record_tap(200);
    let before = picture(&camera, &acts, &mut tap);

    puppets.unplug_all();
    acts.send(Act::Unplug).unwrap();
    let lost = wait_for(|| events.try_next());
    assert!(matches!(&lost, CameraEvent::Lost(error) if error.to_string().contains("Front")), "{lost:?}");
    assert_eq!(camera.health(), CameraHealth::Lost);
    assert!(tap.write_is_held(), "the tap waits for it");

    let acts = puppets.script();
    puppets.plug_in("Side", "/dev/video0", &[MODE]);
    puppets.plug_in("Front", "/dev/video1", &[MODE]);
    acts.send(Act::Gray(255)).unwrap();
    let back = wait_for(|| events.try_next());
    assert!(matches!(&back, CameraEvent::Back { camera } if camera.starts_with("Front")), "{back:?}");
    tap.clear();
    let after = picture(&camera, &acts, &mut tap);
    assert_eq!(after.shape, SHAPE);
    assert!(after.index > before.index, "its number goes on, nothing counts as lost");
    assert_eq!(camera.health(), CameraHealth::Delivering);
    assert_eq!(camera.counts().dropped, 0);
}

#[test]
fn a_library_that_panics_is_a_camera_that_is_lost_and_comes_back() {
    let puppets = Puppets::new(&[("Front", "/dev/video0", &[MODE])]);
    let acts = puppets.script();
    let again = puppets.script();
    let (camera, mut events) = puppets.start(None).unwrap();
    acts.send(Act::Panic).unwrap();
    again.send(Act::Gray(0)).unwrap();
    let back = wait_for(|| events.try_next().filter(|event| matches!(event, CameraEvent::Back { .. })));
    assert!(matches!(back, CameraEvent::Back { .. }));
    let mut tap = camera.record_tap(10);
    picture(&camera, &again, &mut tap);
}

#[test]
fn damaged_pictures_are_passed_over_and_too_many_of_them_open_it_anew() {
    let puppets = Puppets::new(&[("Front", "/dev/video0", &[MODE])]);
    let (acts, again) = (puppets.script(), puppets.script());
    let (camera, mut events) = puppets.start(None).unwrap();
    let mut tap = camera.record_tap(200);
    let before = picture(&camera, &acts, &mut tap);
    acts.send(Act::Half).unwrap();
    acts.send(Act::Gray(7)).unwrap();
    let after = wait_for(|| tap.try_pop().filter(|frame| frame.planes()[0][0] == 22));
    assert_eq!(camera.counts().damaged, 1);
    assert!(after.index > before.index);
    for _ in 0..DAMAGED_LIMIT {
        acts.send(Act::Half).unwrap();
    }
    again.send(Act::Gray(0)).unwrap();
    let back = wait_for(|| events.try_next().filter(|event| matches!(event, CameraEvent::Back { .. })));
    assert!(matches!(back, CameraEvent::Back { .. }));
    assert_eq!(camera.counts().damaged, u64::from(DAMAGED_LIMIT) + 1);
    picture(&camera, &again, &mut tap);
}

#[test]
fn a_camera_that_opens_and_gives_no_picture_is_lost_once_and_back_with_its_first_picture() {
    let puppets = Puppets::new(&[("Front", "/dev/video0", &[MODE])]);
    let (first, second, third) = (puppets.script(), puppets.script(), puppets.script());
    let (camera, mut events) = puppets.start(None).unwrap();
    assert!(matches!(wait_for(|| events.try_next()), CameraEvent::Compromise { .. }));
    first.send(Act::Unplug).unwrap();
    assert!(matches!(wait_for(|| events.try_next()), CameraEvent::Lost(_)));
    second.send(Act::Unplug).unwrap();
    wait_for(|| (puppets.plugged().opened == 3).then_some(()));
    assert_eq!(camera.health(), CameraHealth::Lost, "to be open is not enough");
    third.send(Act::Gray(0)).unwrap();
    let next = wait_for(|| events.try_next());
    assert!(matches!(next, CameraEvent::Back { .. }), "{next:?}");
    assert_eq!(camera.health(), CameraHealth::Delivering);
}

#[test]
fn a_camera_that_fails_again_and_again_is_opened_ever_less_often() {
    let mut rest = Rest(SEARCH_EVERY);
    let rests: Vec<u128> = (0..7).map(|n| rest.after(n % 2).as_millis()).collect();
    assert_eq!(rests, [500, 1000, 2000, 4000, 8000, 8000, 8000]);
    assert_eq!(rest.after(WORKS_AFTER), SEARCH_EVERY, "one that worked is looked for at once");
    assert_eq!(rest.after(0), 2 * SEARCH_EVERY);
}

#[test]
fn the_user_is_asked_before_the_cameras_time_to_open_begins() {
    let puppets = Puppets::new(&[("Front", "/dev/video0", &[MODE])]);
    let _acts = puppets.script();
    let _camera = puppets.start(None).unwrap();
    // By who waits for the camera to open, and not by the thread that is waited for.
    assert_eq!(puppets.plugged().asked, [thread::current().id()]);
    puppets.plugged().is_denied = true;
    let denied = puppets.start(None).map(drop).unwrap_err();
    assert!(matches!(denied, VideoError::Denied { .. }), "{denied}");
    assert!(matches!(list(&mut puppets.clone()), Err(VideoError::Denied { .. })));
    assert_eq!(puppets.plugged().opened, 1, "none was touched");
}

#[test]
fn who_asks_for_what_is_not_there_is_told_what_is() {
    let none = Puppets::new(&[]).start(None).map(drop).unwrap_err().to_string();
    assert!(none.contains("none is plugged in"), "{none}");
    let puppets = Puppets::new(&[("Front", "/dev/video0", &[MODE]), ("Front metadata", "/dev/video1", &[])]);
    let other = puppets.start(Some("back")).map(drop).unwrap_err().to_string();
    assert!(other.contains("Front at /dev/video0"), "{other}");
    let busy = puppets.start(Some("/dev/video0")).map(drop).unwrap_err();
    assert!(matches!(busy, VideoError::Busy { .. }), "{busy}");
}

#[test]
fn what_cannot_capture_is_not_listed() {
    let mut puppets = Puppets::new(&[("Front", "/dev/video0", &[MODE, MODE]), ("Front", "/dev/video1", &[])]);
    let cameras = list(&mut puppets).unwrap();
    assert_eq!(cameras.len(), 1);
    assert_eq!(cameras[0].modes.as_ref().unwrap(), &[MODE], "each once");
    assert_eq!(cameras[0].best(), Some(MODE));
}

#[test]
fn the_first_that_serves_is_the_default() {
    let puppets = Puppets::new(&[("Front metadata", "/dev/video0", &[]), ("Side", "/dev/video2", &[MODE])]);
    let _acts = puppets.script();
    let (camera, _events) = puppets.start(None).unwrap();
    assert!(camera.describe().starts_with("Side"));
}
