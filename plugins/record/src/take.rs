//! The take: not begun, running, being finished, or over.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use bevy_ecs::message::{Message, MessageWriter};
use bevy_ecs::resource::Resource;
use bevy_ecs::system::ResMut;
use bevy_platform::cell::SyncCell;
use hyperzoom_media::Ears;
use hyperzoom_recorder::{
    Inputs, Marker, Participant, PressureChange, RecordError, Recorder, RecorderConfig, RecorderEvent,
    RecorderEvents, TakeProgress, TakeReport,
};

/// Where the take is.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum TakeState {
    /// Nothing is recorded.
    #[default]
    Idle,
    /// The recorder is open and waits for its first tick.
    Starting,
    /// It records since this tick of the session's grid of 1/30 s.
    Recording {
        /// The tick of the first picture.
        start_tick: u64,
    },
    /// It was told to end, and finishes its file.
    Ending,
    /// The file is closed.
    Done(Box<TakeReport>),
}

/// The take of this call.
#[derive(Resource)]
pub struct Take {
    state: TakeState,
    running: SyncCell<Option<(Recorder, RecorderEvents)>>,
}

impl Default for Take {
    fn default() -> Self {
        Self { state: TakeState::Idle, running: SyncCell::new(None) }
    }
}

impl Take {
    /// Begins a take.
    ///
    /// # Errors
    /// [`RecordError`] when the folder or an encoder would not have it.
    pub fn start(&mut self, config: RecorderConfig, inputs: Inputs) -> Result<(), RecordError> {
        let running = hyperzoom_recorder::start(config, inputs)?;
        *self.running.get() = Some(running);
        self.state = TakeState::Starting;
        Ok(())
    }

    /// Where the take is.
    #[must_use]
    pub fn state(&self) -> &TakeState {
        &self.state
    }

    /// Whether there is nothing more to wait for: nothing was recorded, or the file is closed.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.state, TakeState::Idle | TakeState::Done(_))
    }

    /// Plans the take's end for a session time in nanoseconds. The recorder keeps to it by itself, however late the app is.
    pub fn plan_end(&mut self, session_ns: i64) {
        if let Some((recorder, _)) = self.running.get() {
            recorder.stop_at(Some(session_ns));
        }
    }

    /// Ends the take now, unless its planned end has come. Its file is closed in the background.
    pub fn end(&mut self) {
        if self.is_over() {
            return;
        }
        if let Some((recorder, _)) = self.running.get() {
            recorder.stop_at(None);
            self.state = TakeState::Ending;
        }
    }

    /// A sync tone begins at `session_ns` of session time: the master has it there. To say so again changes nothing.
    pub fn tone_at(&mut self, session_ns: i64) {
        if let Some((recorder, _)) = self.running.get() {
            recorder.tone_at(session_ns);
        }
    }

    /// Whoever listens to the others: some of what was heard is kept in the take's folder at its end.
    pub fn set_ears(&mut self, ears: Arc<dyn Ears>) {
        if let Some((recorder, _)) = self.running.get() {
            recorder.set_ears(ears);
        }
    }

    /// Names everybody who is in the session, for the take's metadata.
    pub fn set_participants(&mut self, participants: Vec<Participant>) {
        if let Some((recorder, _)) = self.running.get() {
            recorder.set_participants(participants);
        }
    }

    /// Sets a marker at this moment; one without a name gets a number. `None` where nothing is recorded.
    ///
    /// [`RecordMessage::Marked`] follows when no crash can take it away any more.
    pub fn mark(&mut self, name: &str) -> Option<Marker> {
        self.marked(|recorder| recorder.mark(name))
    }

    /// Sets a marker at a moment of session time, as [`mark`](Self::mark) does.
    pub fn mark_at(&mut self, session_ns: i64, name: &str) -> Option<Marker> {
        self.marked(|recorder| recorder.mark_at(session_ns, name))
    }

    fn marked(&mut self, mark: impl FnOnce(&Recorder) -> Marker) -> Option<Marker> {
        if !matches!(self.state, TakeState::Starting | TakeState::Recording { .. }) {
            return None;
        }
        self.running.get().as_ref().map(|(recorder, _)| mark(recorder))
    }

    /// How the running take goes.
    pub fn progress(&mut self) -> Option<TakeProgress> {
        self.running.get().as_ref().map(|(recorder, _)| recorder.progress())
    }

    fn next_event(&mut self) -> Option<RecorderEvent> {
        self.running.get().as_mut()?.1.poll()
    }
}

/// Something that happened to the take. Its text is for a person.
#[derive(Message, Debug, Clone, PartialEq)]
pub enum RecordMessage {
    /// It runs.
    Started {
        /// Its folder.
        folder: PathBuf,
        /// The tick of its first picture.
        start_tick: u64,
    },
    /// A marker was set, and no crash takes it away any more.
    Marked(Marker),
    /// Something a person should know; the recording goes on.
    Warning(String),
    /// The recording falls behind, or recovers; it goes on.
    Pressure(PressureChange),
    /// The recording ended before its time.
    Failed(String),
    /// The file is closed.
    Finished {
        /// Its folder.
        folder: PathBuf,
        /// Its length in seconds.
        seconds: f64,
    },
}

impl fmt::Display for RecordMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started { folder, .. } => write!(f, "recording into {}", folder.display()),
            Self::Marked(marker) => write!(f, "marker at {}: {}", marker.timecode(), marker.name),
            Self::Warning(text) => write!(f, "recording: {text}"),
            Self::Pressure(change) => write!(f, "recording: {change}"),
            Self::Failed(text) => write!(f, "NOT RECORDING ANY MORE: {text}"),
            Self::Finished { folder, seconds } => {
                write!(f, "recorded {seconds:.1} s into {}", folder.display())
            }
        }
    }
}

pub(crate) fn drain(mut take: ResMut<'_, Take>, mut messages: MessageWriter<'_, RecordMessage>) {
    while let Some(event) = take.next_event() {
        let message = match event {
            RecorderEvent::Started { folder, start_tick } => {
                if take.state == TakeState::Starting {
                    take.state = TakeState::Recording { start_tick };
                }
                RecordMessage::Started { folder, start_tick }
            }
            RecorderEvent::Marked(marker) => RecordMessage::Marked(marker),
            RecorderEvent::Warning(text) => RecordMessage::Warning(text),
            RecorderEvent::Pressure(change) => RecordMessage::Pressure(change),
            RecorderEvent::Failed(text) => RecordMessage::Failed(text),
            RecorderEvent::Finished(report) => {
                let message =
                    RecordMessage::Finished { folder: report.folder.clone(), seconds: report.seconds() };
                take.state = TakeState::Done(report);
                message
            }
        };
        messages.write(message);
    }
}
