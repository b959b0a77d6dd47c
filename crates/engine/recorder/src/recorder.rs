//! A take from its start to its end.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use hyperzoom_media::{Ears, FrameRef, I420, MicTap, Shedding};
use hyperzoom_timing::{SharedClock, Timecode, tick_at_or_after, tick_time_ns};
use jiff::{Timestamp, Unit, Zoned};
use ringbuf::HeapCons;

use crate::encode::{AacEncoder, AudioEncoder, H264Encoder, VideoEncoder, VideoFormat};
use crate::error::RecordError;
use crate::flac::{FlacFile, FlacTap, Stores};
use crate::folder::{self, MICROPHONE, RECORDING};
use crate::journal::Journal;
use crate::marker::{self, Marker};
use crate::metadata::{MicrophoneFlac, Participant, RecordingMetadata, SessionMetadata};
use crate::mux::{About, AudioConfig, FileStore, Movie, Muxer, Store, VideoConfig};
use crate::priority;
use crate::report::{RecorderEvent, TakeProgress, TakeReport};
use crate::shared::{DiskQueue, DiskTimes, Shared, ToDisk, lock};
use crate::space::{Reserve, RoomWatch};
use crate::steady::SteadyClock;
use crate::sync::certify;
use crate::threads::disk::{Certifier, Disk, Form, TimedStore, write_texts};
use crate::threads::pictures::Pictures;
use crate::threads::sound::Sound;

/// How far above its target the bitrate may go, where a picture needs it: 18 to 20 Mbit/s.
const HEADROOM: (u32, u32) = (10, 9);

/// How long a dropped [`Recorder`] waits for its file to be closed.
const DROP_PATIENCE: Duration = Duration::from_secs(10);

/// What to record, and where.
#[derive(Debug, Clone)]
pub struct RecorderConfig {
    /// The moment that all `Duration`s of the process count from.
    pub epoch: Instant,
    /// The session clock.
    pub clock: SharedClock,
    /// The folder that takes are kept in, each in a folder of its own.
    pub folder: PathBuf,
    /// The session's name, part of the folder's.
    pub session_name: Option<String>,
    /// Whose recording it is.
    pub me: Participant,
    /// The session.
    pub session_id: u64,
    /// The bitrate of the pictures to aim at, in kbit/s: 15000 to 20000 (spec §4.3.1), 18000 by default.
    pub video_bitrate_kbps: u32,
    /// Whether the microphone is kept as it came as well, in `microphone.flac`.
    pub flac: bool,
    /// Set while the recording needs the computer for itself.
    pub shedding: Shedding,
}

impl RecorderConfig {
    /// The bitrate that a recording has when nobody asks for another, in kbit/s.
    pub const BITRATE_KBPS: u32 = 18_000;

    /// A take of `me` in `folder`, with a clock of its own that begins now and everything else as it is by default.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>, me: Participant) -> Self {
        Self {
            epoch: Instant::now(),
            clock: SharedClock::new(),
            folder: folder.into(),
            session_name: None,
            me,
            session_id: 0,
            video_bitrate_kbps: Self::BITRATE_KBPS,
            flac: true,
            shedding: Shedding::default(),
        }
    }
}

/// What is recorded.
#[derive(Default)]
pub struct Inputs {
    /// The microphone.
    pub mic: Option<MicTap>,
    /// The camera: its pictures' shape, and its ring.
    pub video: Option<(I420, HeapCons<FrameRef>)>,
}

/// A running take. Dropping it ends it now and waits until its file is closed.
pub struct Recorder {
    shared: Arc<Shared>,
    /// The disk's queue, for as long as an encoder writes to it.
    disk: Weak<Sender<ToDisk>>,
    /// Markers without a name of their own so far.
    unnamed: AtomicU64,
    /// How long its drop waits for the file to be closed.
    patience: Duration,
}

/// What a running take tells.
pub struct RecorderEvents(Receiver<RecorderEvent>);

impl RecorderEvents {
    /// The next event, where there is one.
    pub fn poll(&mut self) -> Option<RecorderEvent> {
        self.0.try_recv().ok()
    }

    /// The next event, waiting up to `timeout` for it.
    pub fn wait(&mut self, timeout: Duration) -> Option<RecorderEvent> {
        self.0.recv_timeout(timeout).ok()
    }
}

/// Starts a take: its folder and its file are there when this returns, and its first picture is that of the next tick.
///
/// # Errors
/// [`RecordError`] where there is nothing to record, the folder cannot be written, or an encoder does not start.
pub fn start(config: RecorderConfig, inputs: Inputs) -> Result<(Recorder, RecorderEvents), RecordError> {
    if inputs.mic.is_none() && inputs.video.is_none() {
        return Err(RecordError::Nothing);
    }
    let video = match inputs.video {
        Some((shape, frames)) => {
            check_shape(shape)?;
            let (times, of) = HEADROOM;
            let format = VideoFormat {
                shape,
                bitrate_kbps: config.video_bitrate_kbps,
                max_bitrate_kbps: config.video_bitrate_kbps * times / of,
            };
            let encoder: Box<dyn VideoEncoder> =
                Box::new(priority::on_raised_thread(move || H264Encoder::new(format, 0))??);
            Some((format, frames, encoder))
        }
        None => None,
    };
    let audio = match inputs.mic {
        Some(tap) => {
            let encoder: Box<dyn AudioEncoder> = Box::new(AacEncoder::new()?);
            Some((tap, encoder))
        }
        None => None,
    };

    let take = folder::create(&config.folder, &Zoned::now(), config.session_name.as_deref())
        .map_err(|error| RecordError::folder(&config.folder, error))?;
    let started = FileStore::create(&take.join(RECORDING))
        .map_err(|error| RecordError::folder(&take, error))
        .and_then(|store| {
            let flac = (config.flac && audio.is_some()).then(|| Stores::create(&take));
            begin(&take, Box::new(store), flac, config, video, audio)
        });
    if started.is_err() {
        // A take that never began leaves nothing behind.
        drop(std::fs::remove_dir_all(&take));
    }
    started
}

type Video = (VideoFormat, HeapCons<FrameRef>, Box<dyn VideoEncoder>);
type Audio = (MicTap, Box<dyn AudioEncoder>);

/// Begins a take in its folder, whatever encodes it and wherever its file is.
fn begin(
    take: &Path,
    store: Box<dyn Store>,
    flac: Option<io::Result<Stores>>,
    config: RecorderConfig,
    video: Option<Video>,
    audio: Option<Audio>,
) -> Result<(Recorder, RecorderEvents), RecordError> {
    begin_certified(take, store, flac, config, video, audio, certify)
}

/// As [`begin`], and whoever looks at it in the end.
fn begin_certified(
    take: &Path,
    store: Box<dyn Store>,
    flac: Option<io::Result<Stores>>,
    config: RecorderConfig,
    video: Option<Video>,
    audio: Option<Audio>,
    certifier: Certifier,
) -> Result<(Recorder, RecorderEvents), RecordError> {
    let failed = |error| RecordError::folder(take, error);
    let clock = SteadyClock::new(config.clock.clone());
    let session_now = clock.read(config.epoch.elapsed()).ns;
    let start_tick = tick_at_or_after(session_now);
    let until_start = Duration::from_nanos((tick_time_ns(start_tick) - session_now).max(0) as u64);
    let started_at = Timestamp::now().checked_add(until_start).unwrap_or(Timestamp::UNIX_EPOCH);
    let started_at = started_at.round(Unit::Millisecond).unwrap_or(started_at);

    let session_id = format!("{:016x}", config.session_id);
    let movie = Movie {
        created: Duration::from_secs(started_at.as_second().max(0) as u64),
        start_tick,
        about: About {
            session_id: session_id.clone(),
            session_name: config.session_name.clone(),
            name: config.me.name.clone(),
            started_at: started_at.to_string(),
        },
        video: video
            .as_ref()
            .map(|(format, _, encoder)| VideoConfig::new(format.shape, encoder.parameter_sets()))
            .transpose()?,
        audio: audio
            .as_ref()
            .map(|(_, encoder)| AudioConfig::new(encoder.config(), encoder.delay()))
            .transpose()?,
    };
    let flac = flac.map(|stores| FlacFile::create(stores?, &movie.about, start_tick));
    let disk_times = Arc::new(DiskTimes::default());
    let store = Box::new(TimedStore::new(store, disk_times.clone()));
    let muxer = Muxer::create(store, movie).map_err(failed)?;
    folder::sync_folder(take);

    let about =
        video.as_ref().map(|(format, _, encoder)| (*format, encoder.parameter_sets().sps[3], encoder.name()));
    let mut metadata = SessionMetadata {
        session_id,
        started_at_utc: started_at,
        duration_seconds: 0.0,
        participants: vec![config.me.clone()],
        recording: RecordingMetadata::new(about, audio.is_some()),
        recorded_by: config.me.id,
        start_timecode: Timecode::from_tick(start_tick).to_string(),
        start_tick,
        markers: Vec::new(),
        sync_tones: Vec::new(),
        complete: false,
        recovered: false,
        error: None,
    };
    metadata.recording.microphone_flac = matches!(flac, Some(Ok(_))).then(MicrophoneFlac::new);
    write_texts(take, &metadata, None).map_err(failed)?;

    let (event_sender, events) = mpsc::channel();
    let shared = Arc::new(Shared::new(config, clock, take.to_owned(), start_tick, event_sender, disk_times));
    // Where a thread does not start, the drop of this ends those that run, and waits for nothing.
    let (sender, queue) = mpsc::channel();
    let sender = Arc::new(sender);
    let mut recorder = Recorder {
        shared: shared.clone(),
        disk: Arc::downgrade(&sender),
        unnamed: AtomicU64::new(0),
        patience: Duration::ZERO,
    };
    let disk_queue = || DiskQueue { sender: sender.clone(), shared: shared.clone() };
    let journal = Journal::create(take, &metadata);
    if let Err(error) = &journal {
        shared.warn(format!("Markers would not survive a crash: the journal cannot be written ({error})."));
    }
    let mut reserve = Reserve::new(take);
    reserve.grow_for(0).map_err(failed)?;
    shared.say(RecorderEvent::Started { folder: take.to_owned(), start_tick });
    let flac = flac.and_then(|file| {
        let refused =
            |error| shared.warn(format!("There is no {MICROPHONE}: {error}. The recording itself runs."));
        file.map_err(refused).ok()
    });
    let flac_tap = flac.is_some().then(|| FlacTap::new(shared.start_ns()));
    let disk = Disk {
        shared: shared.clone(),
        queue,
        muxer,
        flac,
        metadata,
        certificate: None,
        certifier,
        journal_failed: journal.is_err(),
        journal: journal.ok(),
        unsaid: Vec::new(),
        file: Form::Growing,
        reserve,
        room: RoomWatch::default(),
    };
    spawn("hz-rec-disk", move || disk.run())?;
    if let Some((format, frames, encoder)) = video {
        let pictures =
            Pictures { shared: shared.clone(), frames, shape: format.shape, encoder, disk: disk_queue() };
        spawn("hz-rec-video", move || {
            priority::raise();
            pictures.run();
        })?;
    }
    if let Some((tap, encoder)) = audio {
        let sound = Sound { shared: shared.clone(), tap, encoder, flac: flac_tap, disk: disk_queue() };
        spawn("hz-rec-sound", move || {
            priority::raise();
            sound.run();
        })?;
    }
    recorder.patience = DROP_PATIENCE;
    tracing::info!(folder = %take.display(), start_tick, "recording");
    Ok((recorder, RecorderEvents(events)))
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), RecordError> {
    thread::Builder::new().name(name.to_owned()).spawn(run).map(drop).map_err(RecordError::Thread)
}

/// What openh264 and the levels of H.264 take.
fn check_shape(shape: I420) -> Result<(), RecordError> {
    let I420 { width, height } = shape;
    let even = width.is_multiple_of(2) && height.is_multiple_of(2);
    if even && (16..=3840).contains(&width) && (16..=2160).contains(&height) {
        Ok(())
    } else {
        Err(RecordError::Shape { width, height })
    }
}

impl Recorder {
    /// The take's folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.shared.folder
    }

    /// The tick of the take's first picture.
    #[must_use]
    pub fn start_tick(&self) -> u64 {
        self.shared.start_tick
    }

    /// How it is going.
    #[must_use]
    pub fn progress(&self) -> TakeProgress {
        self.shared.progress()
    }

    /// Who is in the session, for the metadata; this machine's own participant included.
    pub fn set_participants(&self, participants: Vec<Participant>) {
        *lock(&self.shared.participants) = participants;
        self.shared.participants_changed.store(true, Ordering::Release);
    }

    /// Whoever listens to the others: some of what was heard is asked for at the take's end, and kept in its folder.
    pub fn set_ears(&self, ears: Arc<dyn Ears>) {
        *lock(&self.shared.ears) = Some(ears);
    }

    /// Sets a marker at this moment. See [`mark_at`](Self::mark_at).
    pub fn mark(&self, name: &str) -> Marker {
        self.set_marker(self.shared.now_ns(), name)
    }

    /// Sets a marker at a moment of session time. Without a name it gets a number.
    ///
    /// Returns at once; [`RecorderEvent::Marked`] says when no crash can take it away any more. A moment before the take's
    /// first tick becomes that tick. A marker behind the take's end, or after it has ended, is not part of it.
    pub fn mark_at(&self, session_ns: i64, name: &str) -> Marker {
        self.set_marker(self.shared.take_ns(session_ns), name)
    }

    fn set_marker(&self, session_ns: i64, name: &str) -> Marker {
        let number = match marker::is_unnamed(name) {
            true => self.unnamed.fetch_add(1, Ordering::Relaxed) + 1,
            false => 0,
        };
        let marker = Marker::new(session_ns, name, number, self.shared.start_tick);
        if let Some(disk) = self.disk.upgrade() {
            // Where the disk's thread has died it has said so.
            drop(disk.send(ToDisk::Marker(marker.clone())));
        }
        marker
    }

    /// A sync tone begins at `session_ns`: it is mixed into the master's sound, at its very sample. Say so a second ahead; what comes
    /// after its place was written is left out. Returns at once.
    pub fn tone_at(&self, session_ns: i64) {
        let take_ns = self.shared.take_ns(session_ns);
        lock(&self.shared.tones).announce(session_ns, take_ns, self.shared.start_ns());
    }

    /// Ends the take at the first tick at or after `session_ns`, or as of now.
    ///
    /// The file will hold exactly the ticks from the first to that one. An end that has passed is kept to as well; of several
    /// ends the earliest counts. Returns at once.
    pub fn stop_at(&self, session_ns: Option<i64>) {
        let end_ns = session_ns.map_or_else(|| self.shared.now_ns(), |it| self.shared.take_ns(it));
        self.shared.stop_at(tick_at_or_after(end_ns));
    }

    /// Ends the take as of now, where no end was given, and waits until its file is closed, for at most `timeout`.
    ///
    /// With an end that lies ahead, `timeout` has to reach beyond it.
    #[must_use]
    pub fn finish(mut self, timeout: Duration) -> TakeReport {
        if self.shared.end_tick().is_none() {
            self.stop_at(None);
        }
        // Whether the file is closed by then or not, it has been waited for.
        self.patience = Duration::ZERO;
        self.shared.report(timeout).unwrap_or_else(|| {
            self.shared.describe_unclosed(
                "the disk did not take the end of the recording in time; the file may still be growing",
            )
        })
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.stop_at(None);
        if self.shared.report(self.patience).is_none() {
            tracing::error!(
                "the recording in {} was left before it was closed",
                self.shared.folder.display()
            );
        }
    }
}

#[cfg(test)]
mod delayed;
#[cfg(test)]
mod failures;
#[cfg(test)]
mod jumps;
#[cfg(test)]
mod microphone;
