//! `hyperzoom`, and `hyperzoom host` and `join` where they have a window.

use clap::Parser;
use hyperzoom_ui_plugin::model::{Choices, Intent};

use super::talk;
use crate::call::Side;
use crate::cli::{CallArgs, NetworkArgs};
use crate::desktop::{self, Opening};
use crate::error::CommandError;

/// What a call has where the command line says nothing.
#[derive(Parser)]
struct Usual {
    #[command(flatten)]
    call: CallArgs,
}

/// Opens the window at its first screen.
pub(super) fn run(network: NetworkArgs) -> Result<(), CommandError> {
    let usual = Usual::parse_from(["hyperzoom"]);
    let call = CallArgs { network, ..usual.call };
    let side = Side::Host { port: None, open: false, resume: false };
    desktop::run(Opening { base: talk::options(side, call)?, choose: Box::new(|_| ()), ask: None })
}

/// Opens the window with a call. What the command line says of names and devices counts for this time and the next.
pub(super) fn run_with(
    side: Side,
    args: CallArgs,
    ask: Intent,
    choose: impl FnOnce(&mut Choices) + 'static,
) -> Result<(), CommandError> {
    let (name, media) = (args.name.clone(), args.media.clone());
    let base = talk::options(side, args)?;
    let choose = move |choices: &mut Choices| {
        let said = |said: Option<String>, choice: &mut String| {
            if let Some(said) = said {
                *choice = said;
            }
        };
        said(name, &mut choices.name);
        said(media.mic.map(|spec| spec.to_string()), &mut choices.microphone);
        said(media.speaker.map(|spec| spec.to_string()), &mut choices.speaker);
        said(media.camera.map(|spec| spec.to_string()), &mut choices.camera);
        if media.folder.is_some() {
            choices.folder = media.folder;
        }
        choose(choices);
    };
    desktop::run(Opening { base, choose: Box::new(choose), ask: Some(ask) })
}
