//! The studio: devices before a call, the call, and what it came to, on a thread of its own.
//!
//! Whoever draws only looks at what is published here ([`Studio::view`], [`Studio::pictures`]) and hands on what a person asks for
//! ([`Studio::choose`], [`Studio::ask`]). So a window that stands still, is hidden or has lost its GPU touches neither the call nor the
//! recording.
//!
//! ```text
//! first screen (preview) ── host, join ──> opening ──> on the air ── ended ──> summary ── new session ──> first screen
//!        ^                                    │             │
//!        └──────────── came to nothing ───────┴─────────────┘
//! ```

mod desk;
mod meter;
mod on_air;
mod pending;
mod preview;
mod published;
mod readout;
mod shown;
mod summary;
mod words;

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use bevy_ecs::world::World;
use hyperzoom_ui_plugin::model::{CallView, Choices, Intent, SetupView, SummaryView};

use crate::call::CallOptions;
use crate::console::Console;
use crate::error::CommandError;
use crate::stop::Stop;
use desk::{Desk, Word};
use published::Published;
pub use readout::{
    CameraEngine, NetworkLink, Part, Participant, PictureStream, Readout, RecorderEngine, SessionTime,
    SoundDevice, VoiceEncoder, VoiceStream,
};
pub(crate) use readout::{Mirror, Mirrored, register};
pub use shown::Shown;

/// Everybody and everything in the call whose world this is.
pub(crate) fn readouts(world: &mut World) -> Vec<Readout> {
    let people = on_air::people(world);
    readout::all(world, &people)
}

/// What is to be drawn.
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "there is one at a time, behind a pointer")]
pub enum View {
    /// The first screen.
    Setup(SetupView),
    /// The call.
    Call(CallView),
    /// The last screen.
    Summary(SummaryView),
}

/// A running studio. Dropping it ends a call as it should be, which takes up to ten seconds, and waits for that.
pub struct Studio {
    published: Arc<Published>,
    words: Sender<Word>,
    stop: Stop,
    thread: Option<JoinHandle<()>>,
}

impl Studio {
    /// Begins with the first screen, and what is chosen on it. `base` has what a call is given beyond that, and what is used where nothing was
    /// chosen: name and folder. It ends when `stop` is asked for; `wake` is called whenever there is something new to draw, from the studio's
    /// thread.
    #[must_use]
    #[allow(clippy::needless_pass_by_value, reason = "a stop is a hold on what many share")]
    pub fn start(
        choices: Choices,
        base: CallOptions,
        console: Console,
        stop: Stop,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        let published = Arc::new(Published::new(wake));
        let (words, heard) = channel();
        let stop = stop.part();
        let (shown, stops) = (published.clone(), stop.clone());
        let desk = move || Desk::new(choices, base, console, stops, shown, heard).run();
        let thread = std::thread::Builder::new().name("hz-studio".into()).spawn(desk);
        let thread = thread.map_err(|error| {
            let error =
                format!("The program cannot work here: {error}. Close other programs, and start it again.");
            published.show(View::Setup(SetupView { error: Some(error), ..SetupView::default() }));
        });
        Self { published, words, stop, thread: thread.ok() }
    }

    /// Something else is chosen on the first screen.
    pub fn choose(&self, choices: &Choices) {
        self.tell(Word::Choose(Box::new(choices.clone())));
    }

    /// Somebody asks for something. [`Intent::CopyInvite`], [`Intent::OpenFolder`] and [`Intent::ChooseFolder`] are the window's to do.
    pub fn ask(&self, intent: Intent) {
        self.tell(Word::Ask(intent));
    }

    /// Says something where a person sees it, on whatever screen: that the window could not do what it was asked for.
    pub fn say(&self, text: impl Into<String>) {
        self.tell(Word::Say(text.into()));
    }

    /// What is to be drawn.
    #[must_use]
    pub fn view(&self) -> Arc<View> {
        self.published.view()
    }

    /// The newest pictures: under 255 our own camera's, under its participant id everybody else's. Who is not in it shows none.
    #[must_use]
    pub fn pictures(&self) -> Vec<(u8, Shown)> {
        self.published.pictures()
    }

    /// Says whether anybody looks inside: what is seen there is gathered only then.
    pub fn inspect(&self, is_wanted: bool) {
        self.published.inspect(is_wanted);
    }

    /// The peers, streams and engines of the call, as of the last quarter of a second in which somebody looked inside. Empty without a call.
    #[must_use]
    pub fn readouts(&self) -> Vec<Readout> {
        self.published.readouts()
    }

    /// Whether a call goes on, or others are waited for.
    #[must_use]
    pub fn is_in_call(&self) -> bool {
        matches!(*self.view(), View::Call(_)) && !self.is_done()
    }

    /// Asks it to end; a call ends as it should first, within its ten seconds. [`is_done`](Self::is_done) says when.
    pub fn quit(&self) {
        self.stop.ask();
    }

    /// Whether it has ended.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Whether its thread has failed instead of ending: nothing that is asked for is done any more.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.is_done() && !self.published.has_ended()
    }

    /// What was not as it was asked for in the last call, where nobody has gone on from its summary: frames that were lost, a disk that was
    /// full. That is told once; that the studio [has failed](Self::has_failed), each time.
    #[must_use]
    pub fn take_failure(&self) -> Option<CommandError> {
        if self.has_failed() && self.thread.is_some() {
            return Some(CommandError::Failed(
                "the program has failed, and the call with it. What was recorded until then plays, and is finished when the next call begins"
                    .into(),
            ));
        }
        self.published.take_failure()
    }

    fn tell(&self, word: Word) {
        // One that has ended does nothing any more.
        let _ = self.words.send(word);
    }
}

impl Drop for Studio {
    fn drop(&mut self) {
        self.quit();
        if let Some(thread) = self.thread.take() {
            // Where it has failed there is nothing to wait for.
            let _ = thread.join();
        }
    }
}
