//! `hyperzoom host`.

use hyperzoom_ui_plugin::model::Intent;

use crate::call::Side;
use crate::cli::HostArgs;
use crate::error::CommandError;

pub(super) fn run(args: HostArgs) -> Result<(), CommandError> {
    let side = Side::Host { port: args.port, open: args.open, resume: args.resume };
    if args.call.headless {
        return super::talk::run(side, args.call);
    }
    let ask = if args.resume { Intent::Resume } else { Intent::Host };
    super::window::run_with(side, args.call, ask, move |choices| choices.open = args.open)
}
