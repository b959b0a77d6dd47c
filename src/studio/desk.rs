//! The studio's thread: which screen it is at, and how it gets from one to the next.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use hyperzoom_audio::SoundSpec;
use hyperzoom_protocol::Invite;
use hyperzoom_ui_plugin::model::{Choices, Intent, SetupView, SummaryView};
use hyperzoom_video::CameraSpec;

use super::View;
use super::on_air::{OnAir, Outcome};
use super::pending::{NoAnswer, Pending};
use super::preview::{self, Listed, Preview};
use super::published::Published;
use super::words::{self, sentence};
use crate::call::{self, CallOptions, Engines, Side, TURN};
use crate::console::Console;
use crate::error::CommandError;
use crate::stop::Stop;

/// How often the first screen is shown anew: as often as a level is worth looking at.
const EVERY: Duration = Duration::from_millis(50);

/// What the thread is told.
pub(super) enum Word {
    Choose(Box<Choices>),
    Ask(Intent),
    Say(String),
}

/// Everything that the thread has, beside the screen it is at.
pub(super) struct Desk {
    choices: Choices,
    base: CallOptions,
    console: Console,
    stop: Stop,
    published: Arc<Published>,
    words: Receiver<Word>,
    /// The devices, as they were listed last.
    listed: Listed,
}

/// A screen.
enum Screen {
    Setup {
        preview: Box<Preview>,
        due: Instant,
    },
    /// The devices go from the first screen to the call.
    Opening {
        engines: Pending<Result<Engines, CommandError>>,
        stop: Stop,
        /// What the first screen showed, and that it is busy.
        view: Box<SetupView>,
    },
    /// What the first screen showed is shown on until a host has let us in.
    OnAir {
        on_air: Box<OnAir>,
        before: Option<Box<SetupView>>,
    },
    Summary(Box<SummaryView>),
}

impl Desk {
    pub(super) fn new(
        choices: Choices,
        base: CallOptions,
        console: Console,
        stop: Stop,
        published: Arc<Published>,
        words: Receiver<Word>,
    ) -> Self {
        Self { choices, base, console, stop, published, words, listed: Listed::default() }
    }

    /// Runs until it is asked to stop.
    pub(super) fn run(mut self) {
        let mut screen = Some(self.setup(None));
        let mut turn = Instant::now();
        while let Some(it) = screen {
            // Words come whenever they like, and the call is turned in its time.
            let word = self.words.recv_timeout(turn.saturating_duration_since(Instant::now()));
            screen = match word {
                Ok(word) => Some(self.obey(it, word)),
                Err(why) => {
                    if why == RecvTimeoutError::Disconnected {
                        self.stop.ask();
                        std::thread::sleep(turn.saturating_duration_since(Instant::now()));
                    }
                    turn = Instant::now() + TURN;
                    self.turn(it)
                }
            };
        }
        self.published.keep_pictures(|_| false);
        self.published.note_end();
    }

    /// The first screen, and why the last call came to nothing.
    fn setup(&self, error: Option<String>) -> Screen {
        self.published.keep_pictures(|_| false);
        let preview = Preview::start(&self.choices, &self.base, self.listed.clone(), error);
        Screen::Setup { preview: Box::new(preview), due: Instant::now() }
    }

    /// Goes on; `None` where nothing is left to do.
    fn turn(&mut self, screen: Screen) -> Option<Screen> {
        let now = Instant::now();
        match screen {
            Screen::Setup { .. } | Screen::Summary(_) if self.stop.is_asked() => None,
            Screen::Setup { mut preview, mut due } => {
                preview.turn(now, &self.published);
                if now >= due {
                    due = now + EVERY;
                    self.published.show(View::Setup(preview.view(now)));
                }
                Some(Screen::Setup { preview, due })
            }
            Screen::Opening { engines, stop, view } => match engines.poll() {
                None => {
                    self.published.show(View::Setup((*view).clone()));
                    Some(Screen::Opening { engines, stop, view })
                }
                // Also where nobody wants it any more: it is ended as every call is.
                Some(Ok(Ok(engines))) => {
                    let on_air = Box::new(OnAir::start(engines, &self.console, stop));
                    Some(Screen::OnAir { on_air, before: Some(view) })
                }
                Some(Ok(Err(error))) => self.failed(sentence(&error.to_string())),
                Some(Err(NoAnswer)) => self
                    .failed("The session could not be opened. Close other programs, and try again.".into()),
            },
            Screen::OnAir { mut on_air, mut before } => {
                let is_due = on_air.turn(now, &self.published);
                if on_air.is_over() {
                    return self.ended(*on_air);
                }
                if on_air.is_in() {
                    before = None;
                }
                if is_due {
                    self.published.show(match &before {
                        Some(view) => View::Setup((**view).clone()),
                        None => View::Call(on_air.view(now)),
                    });
                }
                Some(Screen::OnAir { on_air, before })
            }
            Screen::Summary(view) => {
                self.published.show(View::Summary((*view).clone()));
                Some(Screen::Summary(view))
            }
        }
    }

    /// A call came to nothing.
    fn failed(&self, error: String) -> Option<Screen> {
        (!self.stop.is_asked()).then(|| self.setup(Some(error)))
    }

    fn ended(&self, on_air: OnAir) -> Option<Screen> {
        let (outcome, failure) = on_air.finish();
        self.published.note_failure(failure);
        self.published.keep_pictures(|_| false);
        self.published.read_out(Vec::new());
        if self.stop.is_asked() {
            return None;
        }
        Some(match outcome {
            Outcome::Nothing => self.setup(None),
            Outcome::Failed(error) => self.setup(Some(error)),
            Outcome::Over(view) => Screen::Summary(view),
        })
    }

    fn obey(&mut self, screen: Screen, word: Word) -> Screen {
        match (screen, word) {
            (screen, Word::Choose(choices)) => {
                self.choices = *choices;
                if let Screen::Setup { mut preview, .. } = screen {
                    preview.choose(&self.choices, &self.base);
                    // Whoever types sees at once what is wrong with it.
                    return Screen::Setup { preview, due: Instant::now() };
                }
                screen
            }
            (Screen::Setup { preview, .. }, Word::Ask(intent)) => self.begin(preview, &intent),
            (Screen::Opening { engines, stop, view }, Word::Ask(Intent::End | Intent::NewSession)) => {
                stop.ask();
                // Devices that are being opened take their time.
                let view = SetupView { busy: Some("Cancelling".into()), ..*view };
                Screen::Opening { engines, stop, view: Box::new(view) }
            }
            (Screen::OnAir { mut on_air, before }, Word::Ask(intent)) => {
                on_air.ask(&intent);
                Screen::OnAir { on_air, before }
            }
            (Screen::Summary(_), Word::Ask(Intent::NewSession)) => {
                // Whoever goes on has read it.
                self.published.note_failure(None);
                self.setup(None)
            }
            (screen @ (Screen::Opening { .. } | Screen::Summary(_)), Word::Ask(_)) => screen,
            (Screen::Setup { mut preview, .. }, Word::Say(text)) => {
                preview.fail(text);
                Screen::Setup { preview, due: Instant::now() }
            }
            (Screen::OnAir { mut on_air, before }, Word::Say(text)) => {
                on_air.say(text);
                Screen::OnAir { on_air, before }
            }
            (Screen::Summary(mut view), Word::Say(text)) => {
                view.error = Some(text);
                Screen::Summary(view)
            }
            (Screen::Opening { engines, stop, mut view }, Word::Say(text)) => {
                view.error = Some(text);
                Screen::Opening { engines, stop, view }
            }
        }
    }

    /// What is asked for on the first screen.
    fn begin(&mut self, mut preview: Box<Preview>, intent: &Intent) -> Screen {
        let due = Instant::now();
        let side = match intent {
            Intent::Host => self.host(false),
            Intent::Resume => self.host(true),
            Intent::Join => match self.choices.invite.trim().parse::<Invite>() {
                Ok(invite) => Side::Guest(invite),
                Err(error) => {
                    preview.fail(sentence(&error.to_string()));
                    return Screen::Setup { preview, due };
                }
            },
            Intent::TestHeadphones => {
                preview.test_headphones(due);
                return Screen::Setup { preview, due };
            }
            Intent::LookForDevices => {
                preview.look_for_devices();
                return Screen::Setup { preview, due };
            }
            _ => return Screen::Setup { preview, due },
        };
        let busy = if matches!(side, Side::Guest(_)) { "Joining" } else { "Opening the session" };
        let options = match self.options(side, preview.has_no_camera()) {
            Ok(options) => options,
            Err(error) => {
                preview.fail(error);
                return Screen::Setup { preview, due };
            }
        };
        let view = SetupView { busy: Some(busy.into()), error: None, level: None, ..preview.view(due) };
        self.listed = preview.listed();
        let (console, stop) = (self.console.clone(), self.stop.part());
        let engines = Pending::start("hz-open", move || {
            // The call's devices are the ones that were looked at.
            drop(preview);
            call::open(options, &console)
        });
        Screen::Opening { engines, stop, view: Box::new(view) }
    }

    fn host(&self, resume: bool) -> Side {
        let port = match self.base.side {
            Side::Host { port, .. } if !resume => port,
            Side::Host { .. } | Side::Guest(_) => None,
        };
        Side::Host { port, open: self.choices.open && !resume, resume }
    }

    /// What a call is opened with.
    fn options(&self, side: Side, has_no_camera: bool) -> Result<CallOptions, String> {
        let choices = &self.choices;
        let text = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let camera = match choices.camera.parse() {
            Ok(_) if has_no_camera => CameraSpec::None,
            Ok(camera) => camera,
            Err(error) => return Err(words::of_camera(&error)),
        };
        let sound = |spec: &str| spec.parse::<SoundSpec>().map_err(|error| sentence(&error.to_string()));
        Ok(CallOptions {
            side,
            name: text(&choices.name).unwrap_or_else(|| self.base.name.clone()),
            session: text(&choices.session),
            mic: sound(&choices.microphone)?,
            speaker: sound(&choices.speaker)?,
            // Whoever chose none in particular may be faster than the search for one.
            camera_may_miss: choices.camera == "default",
            camera,
            folder: self.base.folder.as_ref().map(|_| preview::folder(choices, &self.base)),
            markers: false,
            ..self.base.clone()
        })
    }
}
