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
    let is_named = args.name.is_some();
    let base = talk::options(side, args)?;
    let (name, mic, speaker, camera) =
        (base.name.clone(), base.mic.to_string(), base.speaker.to_string(), base.camera.to_string());
    let folder = base.folder.clone();
    let usual_folder = crate::call::recordings_folder().ok();
    let choose = move |choices: &mut Choices| {
        if is_named {
            choices.name = name;
        }
        let said = |spec: String, choice: &mut String| {
            if spec != "default" {
                *choice = spec;
            }
        };
        said(mic, &mut choices.microphone);
        said(speaker, &mut choices.speaker);
        if camera != "none" {
            choices.camera = camera;
        }
        if folder.is_some() && folder != usual_folder {
            choices.folder = folder;
        }
        choose(choices);
    };
    desktop::run(Opening { base, choose: Box::new(choose), ask: Some(ask) })
}
