//! `hyperzoom join`.

use hyperzoom_protocol::Invite;
use hyperzoom_ui_plugin::model::Intent;

use crate::call::Side;
use crate::cli::JoinArgs;
use crate::error::CommandError;

pub(super) fn run(args: JoinArgs) -> Result<(), CommandError> {
    let invite: Invite =
        args.invite.parse().map_err(|e| CommandError::Usage(format!("this invite is damaged: {e}")))?;
    let side = Side::Guest(invite);
    if args.call.headless {
        return super::talk::run(side, args.call);
    }
    super::window::run_with(side, args.call, Intent::Join, move |choices| choices.invite = args.invite)
}
