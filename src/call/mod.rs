//! One call, from opening the devices to the report.
//!
//! [`run`] opens the socket and the devices, so that what is missing is said before anybody else hears of us, then turns the
//! headless app until the call is over. The engines' threads carry the media; the app only begins and ends things.

mod app;
mod budget;
mod flow;
mod hosted;
mod identity;
mod locked;
mod markers;
mod report;
mod router;
mod setup;
mod unfinished;

pub(crate) use app::{CallApp, TURN};
pub(crate) use flow::{Call, Phase};
pub use hyperzoom_transport::LEASE as ROUTER_LEASE;
pub use report::{CallReport, LiveVideoReport, PeerReport, RecordingReport, SoundReport};
pub(crate) use router::Router;
pub use setup::{CallOptions, DEFAULT_PORT, Side, recordings_folder};
pub(crate) use setup::{Engines, start as open};
pub(crate) use unfinished::describe as describe_recovery;

use std::time::Duration;

use bevy_app::App;

use crate::console::Console;
use crate::error::CommandError;
use crate::stop::Stop;

/// Runs a call to its end.
///
/// `dress` adds to the app of the call what is none of its business. `invite` is told the invite of a hosted session, once others can join.
///
/// # Errors
/// [`CommandError`] when a device, the disk or the network would not have it, when nobody answered, or when the recording
/// lost something.
pub fn run(
    options: CallOptions,
    console: &Console,
    dress: impl FnOnce(&mut App),
    invite: impl FnOnce(&str),
) -> Result<CallReport, CommandError> {
    let stop = Stop::on_signals()?;
    let engines = setup::start(options, console)?;
    if let Some(text) = &engines.invite {
        invite(text);
    }
    app::run(engines, console, &stop, dress)
}

/// For how long nobody hosts the session of ours that was cut off last, where one was within the last hour.
pub(crate) fn cut_off() -> Option<Duration> {
    // The file is unlocked at once, for the one who goes on with it.
    hosted::Hosted::cut_off().map(|hosted| hosted.away())
}
