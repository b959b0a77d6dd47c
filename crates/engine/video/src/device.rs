//! A camera that is plugged in: its thread, which reads it, converts, and looks for it again when it is gone.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use hyperzoom_media::{FramePool, FrameRef, PoolEmpty};
use ringbuf::traits::{Producer, Split};
use ringbuf::{HeapProd, HeapRb};

use crate::VideoError;
use crate::camera::{Camera, CameraEvent, CameraEvents, CameraThread, Pulse, pool};
use crate::source;
use crate::source::convert::Converter;
use crate::source::modes::{CameraMode, Wish};
use crate::spec::FrameRate;
use crate::taps::{Counters, Stopped, Taps};

/// How long a camera may take to open: some take seconds to wake.
const OPEN_LIMIT: Duration = Duration::from_secs(15);

/// How often a camera that is gone is looked for.
const SEARCH_EVERY: Duration = Duration::from_millis(500);

/// How long it is left alone at most where it can be opened, and fails again soon.
const LONGEST_REST: Duration = Duration::from_secs(8);

/// A camera that has delivered so many pictures works: two seconds of them.
const WORKS_AFTER: u32 = 60;

/// So many damaged pictures in a row, two seconds of them, and the camera is opened anew.
const DAMAGED_LIMIT: u32 = 60;

/// A camera by its name and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// Its name for a person; two of a kind have the same.
    pub(crate) name: String,
    /// Where it is: `/dev/video0`.
    pub(crate) at: String,
}

/// A system that cameras are plugged into.
pub(crate) trait System: Send {
    /// Asks the user to let this program use cameras, where the system wants that and has not asked before. The answer takes as long as a
    /// person does.
    fn permit(&mut self) -> Result<(), VideoError>;

    /// What is plugged in, in the system's order. It opens none.
    fn list(&mut self) -> Result<Vec<Place>, VideoError>;

    /// What a camera can do; none where it cannot capture at all.
    fn modes(&mut self, place: &Place) -> Result<Vec<CameraMode>, VideoError>;

    /// Starts a camera.
    fn open(&mut self, place: &Place, mode: CameraMode) -> Result<Box<dyn Stream>, VideoError>;
}

/// A camera that delivers. It stays in the thread that opened it.
pub(crate) trait Stream {
    /// Waits for the next picture, and gives its age and its bytes to `take`.
    ///
    /// # Errors
    /// When no more will come.
    fn next(&mut self, take: &mut dyn FnMut(Duration, &[u8])) -> Result<(), VideoError>;
}

/// A camera as it is listed.
#[derive(Debug)]
pub struct CameraInfo {
    /// Its name.
    pub name: String,
    /// Where it is: `/dev/video0`, or what the system calls it by.
    pub place: String,
    /// What it can do, the best first, or why that cannot be known.
    pub modes: Result<Vec<CameraMode>, VideoError>,
}

impl CameraInfo {
    /// What it would deliver, were it chosen without a wish.
    #[must_use]
    pub fn best(&self) -> Option<CameraMode> {
        self.modes.as_ref().ok().and_then(|modes| Wish::default().choose(modes))
    }
}

/// The cameras of this machine. One that is in use by another program may be among them without its modes.
///
/// # Errors
/// Where the system has no list of them, or does not let this program see it.
pub fn cameras() -> Result<Vec<CameraInfo>, VideoError> {
    list(&mut *source::system())
}

fn list(system: &mut dyn System) -> Result<Vec<CameraInfo>, VideoError> {
    system.permit()?;
    let mut cameras = Vec::new();
    for place in system.list()? {
        let modes = system.modes(&place).map(|mut modes| {
            modes.sort_by_key(|mode| std::cmp::Reverse((mode.shape.luma_len(), mode.fps)));
            modes.dedup();
            modes
        });
        if !modes.as_ref().is_ok_and(Vec::is_empty) {
            cameras.push(CameraInfo { name: place.name, place: place.at, modes });
        }
    }
    Ok(cameras)
}

/// A camera that was found, and what it is set to.
#[derive(Debug, Clone)]
struct Choice {
    place: Place,
    mode: CameraMode,
    lacks: Option<String>,
}

impl Choice {
    fn describe(&self) -> String {
        format!("{} ({})", self.place.name, self.mode)
    }
}

/// Finds the camera of a name, or the first that serves.
fn find(system: &mut dyn System, name: Option<&str>, wish: Wish) -> Result<Choice, VideoError> {
    let places = system.list()?;
    let is_meant = |place: &&Place| {
        name.is_none_or(|name| {
            place.at.eq_ignore_ascii_case(name) || place.name.to_lowercase().contains(&name.to_lowercase())
        })
    };
    let mut why = None;
    for place in places.iter().filter(is_meant) {
        match choose(system, place, wish) {
            Ok(choice) => return Ok(choice),
            // One that exists and cannot be had says more than that the next one cannot capture.
            Err(error) => drop(why.get_or_insert(error)),
        }
    }
    Err(why.unwrap_or_else(|| {
        let there = match places.as_slice() {
            [] => "none is plugged in".to_owned(),
            places => {
                let names: Vec<_> = places.iter().map(|p| format!("{} at {}", p.name, p.at)).collect();
                format!("there is {}", names.join(", "))
            }
        };
        VideoError::NotFound { wanted: name.unwrap_or("default").to_owned(), there }
    }))
}

fn choose(system: &mut dyn System, place: &Place, wish: Wish) -> Result<Choice, VideoError> {
    let modes = system.modes(place)?;
    let Some(mode) = wish.choose(&modes) else {
        let why = match (wish.shape, Wish::default().choose(&modes)) {
            (Some(shape), Some(best)) => {
                format!("it has no {}x{}; its best is {best}", shape.width, shape.height)
            }
            _ => "it has no format and size that this program knows".to_owned(),
        };
        return Err(VideoError::Mode { name: place.name.clone(), why });
    };
    Ok(Choice { place: place.clone(), mode, lacks: wish.lacks(mode) })
}

/// Starts the camera of a name, or the first that serves.
pub(crate) fn start(
    system: Box<dyn System>,
    name: Option<String>,
    wish: Wish,
    epoch: Instant,
) -> Result<(Camera, CameraEvents), VideoError> {
    let mut system = system;
    // Before the camera's time to open begins: a person who thinks about it is no camera that hangs.
    system.permit()?;
    let (counters, pulse) = (Arc::new(Counters::default()), Arc::new(Pulse::new(epoch)));
    let (taps, new_taps) = mpsc::channel();
    let (events, events_out) = HeapRb::new(16).split();
    let (tell, opened) = mpsc::sync_channel(1);
    let (taps_in, counters_in, pulse_in) =
        (Taps::new(new_taps, counters.clone()), counters.clone(), pulse.clone());
    let wanted = name.clone().unwrap_or_else(|| "default".to_owned());
    // What is opened stays in the thread that opened it: that is how some systems want it.
    let thread = CameraThread::spawn(move || {
        let mut system = system;
        let first = find(&mut *system, name.as_deref(), wish)
            .and_then(|choice| Ok((system.open(&choice.place, choice.mode)?, choice)));
        let (stream, choice) = match first {
            Ok(opened) => opened,
            Err(error) => return drop(tell.send(Err(error))),
        };
        let worker = Worker {
            epoch,
            pool: pool(choice.mode.shape),
            converter: Converter::new(choice.mode.format, choice.mode.shape),
            taps: taps_in,
            counters: counters_in,
            pulse: pulse_in,
            events,
            choice: choice.clone(),
            index: 0,
            last_at: Duration::ZERO,
            is_lost: false,
        };
        // Where nobody waits any more, nobody can take a tap either, and the worker ends by itself.
        let _ = tell.send(Ok(choice));
        worker.run(&mut *system, stream);
    })?;
    let choice = match opened.recv_timeout(OPEN_LIMIT) {
        Ok(choice) => choice?,
        Err(RecvTimeoutError::Timeout) => {
            return Err(VideoError::Device { name: wanted, detail: "it does not answer".into() });
        }
        Err(RecvTimeoutError::Disconnected) => {
            return Err(VideoError::Device { name: wanted, detail: "its driver failed".into() });
        }
    };
    tracing::debug!(camera = %choice.describe(), "camera starts");
    let rate = FrameRate::new(choice.mode.fps, 1).unwrap_or(FrameRate::THIRTY);
    let camera = Camera {
        shape: choice.mode.shape,
        rate,
        describe: choice.describe(),
        counters,
        pulse,
        taps: Some(taps),
        thread: Some(thread),
    };
    Ok((camera, CameraEvents::new(events_out)))
}

/// Why a camera's pictures end.
enum End {
    /// Nobody wants them any more.
    Stopped,
    /// It is gone.
    Lost(VideoError),
}

impl From<Stopped> for End {
    fn from(_: Stopped) -> Self {
        Self::Stopped
    }
}

struct Worker {
    epoch: Instant,
    pool: FramePool,
    converter: Converter,
    taps: Taps,
    counters: Arc<Counters>,
    pulse: Arc<Pulse>,
    events: HeapProd<CameraEvent>,
    choice: Choice,
    /// The next picture's number. One that finds no buffer has one too, so that its loss is seen.
    index: u64,
    last_at: Duration,
    /// It was said that the camera is gone, and no picture has come since.
    is_lost: bool,
}

/// How long a camera that has failed is left alone before it is opened again. One that opens and fails at once, as where its cable is bad or
/// another program takes it, would else be opened without end.
#[derive(Debug, PartialEq, Eq)]
struct Rest(Duration);

impl Rest {
    /// After a stream of so many pictures: at once where it worked, else ever longer.
    fn after(&mut self, pictures: u32) -> Duration {
        if pictures >= WORKS_AFTER {
            self.0 = SEARCH_EVERY;
        }
        let rest = self.0;
        self.0 = (rest * 2).min(LONGEST_REST);
        rest
    }
}

impl Worker {
    fn run(mut self, system: &mut dyn System, first: Box<dyn Stream>) {
        if let Some(lacks) = self.choice.lacks.take() {
            let camera = self.choice.describe();
            self.tell(CameraEvent::Compromise { camera, lacks });
        }
        let (mut stream, mut rest) = (first, Rest(SEARCH_EVERY));
        loop {
            let before = self.index;
            let error = match self.guarded(|it| it.deliver(stream)) {
                Err(End::Stopped) | Ok(()) => return,
                Err(End::Lost(error)) => error,
            };
            let pictures = u32::try_from(self.index - before).unwrap_or(u32::MAX);
            tracing::debug!(%error, pictures, "the camera is gone");
            // Said once: one that is opened and gives no picture was never back.
            if !std::mem::replace(&mut self.is_lost, true) {
                self.pulse.set_lost(true);
                self.tell(CameraEvent::Lost(error));
            }
            stream = match self.search(system, rest.after(pictures)) {
                Ok(stream) => stream,
                Err(Stopped) => return,
            };
            tracing::debug!(camera = %self.choice.describe(), "the camera is opened again");
        }
    }

    /// A picture has come: the camera is there.
    fn beat(&mut self) {
        self.pulse.beat();
        if std::mem::take(&mut self.is_lost) {
            self.pulse.set_lost(false);
            let camera = self.choice.describe();
            tracing::debug!(%camera, "the camera is back");
            self.tell(CameraEvent::Back { camera });
        }
    }

    /// What was not read in time is not said; how the camera does can be asked at any time.
    fn tell(&mut self, event: CameraEvent) {
        let _ = self.events.try_push(event);
    }

    /// A driver's library that panics, as some do when a camera is pulled, is a camera that is lost.
    fn guarded<T>(&mut self, body: impl FnOnce(&mut Self) -> Result<T, End>) -> Result<T, End> {
        catch_unwind(AssertUnwindSafe(|| body(self))).unwrap_or_else(|_| {
            let name = self.choice.place.name.clone();
            Err(End::Lost(VideoError::Lost { name, detail: "its driver failed".into() }))
        })
    }

    /// Hands out pictures until no more come.
    fn deliver(&mut self, mut stream: Box<dyn Stream>) -> Result<(), End> {
        let mut damaged = 0;
        loop {
            self.taps.connect()?;
            let mut whole = true;
            stream.next(&mut |age, bytes| whole = self.picture(age, bytes)).map_err(End::Lost)?;
            damaged = if whole { 0 } else { damaged + 1 };
            if damaged == DAMAGED_LIMIT {
                let name = self.choice.place.name.clone();
                return Err(End::Lost(VideoError::Lost {
                    name,
                    detail: "all of its pictures are damaged".into(),
                }));
            }
        }
    }

    /// Converts a picture and hands it out; whether it was whole.
    fn picture(&mut self, age: Duration, bytes: &[u8]) -> bool {
        // A picture is never older than the one before.
        let at = self.epoch.elapsed().saturating_sub(age).max(self.last_at);
        self.last_at = at;
        let Self { converter, pool, .. } = self;
        let mut converted = Ok(());
        let frame = pool.frame(at, self.index, |out| converted = converter.convert(bytes, out));
        if let Err(damage) = converted {
            tracing::debug!(%damage, "a picture of the camera is passed over");
            Counters::count(&self.counters.damaged);
            return false;
        }
        self.index += 1;
        self.beat();
        match frame {
            Ok(frame) => self.hand_out(&frame),
            Err(PoolEmpty) => Counters::count(&self.counters.dropped),
        }
        true
    }

    fn hand_out(&mut self, frame: &FrameRef) {
        Counters::count(&self.counters.captured);
        self.taps.offer(frame);
    }

    /// Looks for the camera, for the first time after a `rest`, until it is there, wherever it was plugged in, and can be opened in the
    /// shape that it had.
    fn search(&mut self, system: &mut dyn System, rest: Duration) -> Result<Box<dyn Stream>, Stopped> {
        let mut due = Instant::now() + rest;
        loop {
            if self.taps.wait(due.saturating_duration_since(Instant::now()))? {
                continue;
            }
            due = Instant::now() + SEARCH_EVERY;
            match self.guarded(|it| it.reopen(system).map_err(End::Lost)) {
                Ok(stream) => return Ok(stream),
                Err(End::Stopped) => return Err(Stopped),
                Err(End::Lost(error)) => tracing::trace!(%error, "the camera is not back yet"),
            }
        }
    }

    fn reopen(&mut self, system: &mut dyn System) -> Result<Box<dyn Stream>, VideoError> {
        let Choice { place, mode, .. } = self.choice.clone();
        let mut same: Vec<_> = system.list()?.into_iter().filter(|it| it.name == place.name).collect();
        // Of two of a kind, the one at the old place. As it was, without asking what it can do: that takes long.
        same.sort_by_key(|it| it.at != place.at);
        for it in same {
            if let Ok(stream) = system.open(&it, mode) {
                self.choice.place = it;
                return Ok(stream);
            }
        }
        let wish = Wish { shape: Some(mode.shape), fps: Some(mode.fps) };
        let choice = find(system, Some(&place.name), wish)?;
        let stream = system.open(&choice.place, choice.mode)?;
        self.converter = Converter::new(choice.mode.format, choice.mode.shape);
        self.choice = choice;
        Ok(stream)
    }
}

#[cfg(test)]
mod tests;
