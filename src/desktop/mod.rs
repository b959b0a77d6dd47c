//! The window: what a person sees of a call, and asks of it.
//!
//! The call itself runs elsewhere ([`crate::studio`]). This is a second Bevy app, on the main thread, which draws what the studio
//! publishes and hands on what a person asks for. It may stand still, be hidden or lose its GPU without harm to sound or recording; should it
//! fail altogether, the call goes on without it until it is ended at the terminal.

mod access;
#[cfg(all(unix, not(target_os = "macos")))]
mod display;
#[cfg(not(all(unix, not(target_os = "macos"))))]
mod display {
    //! The displays of these systems last as long as the program.
    pub(super) fn survive() {}
    pub(super) fn is_gone() -> bool {
        false
    }
}
mod files;
mod inspector;
mod pace;
mod settings;
mod trial;
mod window;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bevy::app::AppExit;
use bevy::ecs::resource::Resource;
use hyperzoom_ui_plugin::model::{Choices, Intent};

use crate::call::CallOptions;
use crate::console::Console;
use crate::error::CommandError;
use crate::stop::Stop;
use crate::studio::Studio;

use settings::Settings;

/// How often it is looked at whether the studio has ended.
const LOOK: Duration = Duration::from_millis(20);

/// A window that is drawn ends within this once the studio has.
const WINDOW_ENDS: Duration = Duration::from_secs(5);

/// What is said where there is no display any more.
const DISPLAY_GONE: &str = "the display is gone, and the window with it: what goes on is ended";

/// What the window begins with.
pub(crate) struct Opening {
    /// What the command line says of a call beyond what a person can choose in the window.
    pub(crate) base: CallOptions,
    /// What the command line chooses instead of what was chosen last time.
    pub(crate) choose: Box<dyn FnOnce(&mut Choices)>,
    /// What is asked for at once: to host, or to join.
    pub(crate) ask: Option<Intent>,
}

/// Wakes the window's event loop, once there is one. However often it is asked to, one that has not woken yet is woken once: a window that
/// stands still does not gather up wakes.
#[derive(Clone, Default, Resource)]
struct Waker(Arc<Wake>);

#[derive(Default)]
struct Wake {
    by: OnceLock<Box<dyn Fn() + Send + Sync>>,
    is_due: AtomicBool,
}

impl Waker {
    fn wake(&self) {
        if let Some(wake) = self.0.by.get()
            && !self.0.is_due.swap(true, Ordering::AcqRel)
        {
            wake();
        }
    }

    /// It is awake, and looks at what is new from here on.
    fn is_awake(&self) {
        self.0.is_due.store(false, Ordering::Release);
    }
}

/// Opens the window, and returns when it is closed and the call, if there was one, has ended as it should.
///
/// # Errors
/// [`CommandError::Device`] where there is no display or nothing to draw with.
pub(crate) fn run(opening: Opening) -> Result<(), CommandError> {
    check_display()?;
    window::check_graphics()?;
    let stop = Stop::on_signals()?;
    let console = Console::new();
    let (settings, fault) = Settings::load();
    let mut choices = settings.choices();
    (opening.choose)(&mut choices);
    let waker = Waker::default();
    let wake = waker.clone();
    let studio =
        Studio::start(choices.clone(), opening.base, console.clone(), stop.clone(), move || wake.wake());
    if let Some(fault) = fault {
        console.say(&fault);
        studio.say(fault);
    }
    if let Some(intent) = opening.ask {
        studio.ask(intent);
    }
    let studio = Arc::new(studio);
    display::survive();
    end_without_a_window(studio.clone(), stop.clone(), console.clone());
    let window = window::app(studio.clone(), choices, settings, stop.clone(), &waker);
    let ended = match window {
        Ok(mut app) => catch_unwind(AssertUnwindSafe(move || app.run())).map_err(|_| window::take_away()),
        Err(why) => {
            console.say(why);
            Err(())
        }
    };
    let failed = !matches!(ended, Ok(AppExit::Success));
    if ended.is_ok() && failed && !window::failed_to_draw() && !studio.has_failed() {
        // Wayland's way for a display to go: the loop ends, and nothing in it has failed.
        console.say(DISPLAY_GONE);
        stop.ask();
    }
    if failed && studio.is_in_call() && !stop.is_asked() {
        console.say(
            "THE WINDOW HAS FAILED. The call and the recording go on: press Ctrl-C here to end them. Where windows fail again, \
             `hyperzoom host --headless` and `hyperzoom join --headless` do without",
        );
        while studio.is_in_call() && !stop.is_asked() {
            std::thread::sleep(LOOK);
        }
    }
    studio.quit();
    while !studio.is_done() {
        std::thread::sleep(LOOK);
    }
    if let Some(failure) = studio.take_failure() {
        return Err(failure);
    }
    if failed {
        return Err(no_window());
    }
    Ok(())
}

/// Who asks the program to end must not need the window for it: a driver may hold that up for ever, and a display may go. The call is ended by
/// then.
fn end_without_a_window(studio: Arc<Studio>, stop: Stop, console: Console) {
    let watch = move || {
        while !(stop.is_asked() && studio.is_done()) {
            if display::is_gone() && !stop.is_asked() {
                console.say(DISPLAY_GONE);
                stop.ask();
            }
            std::thread::sleep(LOOK);
        }
        let is_gone = display::is_gone();
        if !is_gone {
            // Whoever draws ends by itself where it can, and says what failed.
            std::thread::sleep(WINDOW_ENDS);
        }
        let failure = studio.take_failure().or_else(|| is_gone.then(no_window));
        std::process::exit(failure.map_or(0, |failure| i32::from(failure.code())));
    };
    if let Err(error) = std::thread::Builder::new().name("hz-end".into()).spawn(watch) {
        tracing::warn!(%error, "no thread");
    }
}

fn no_window() -> CommandError {
    CommandError::Device(
        "no window could be drawn: look for a driver of your graphics card, or add --headless".into(),
    )
}

/// What a window needs of the system, before anything is opened.
fn check_display() -> Result<(), CommandError> {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    if cfg!(all(unix, not(target_os = "macos"))) && !is_set("DISPLAY") && !is_set("WAYLAND_DISPLAY") {
        return Err(CommandError::Device(
            "there is no display here: `hyperzoom host --headless` and `hyperzoom join INVITE --headless` do without a window"
                .into(),
        ));
    }
    Ok(())
}
