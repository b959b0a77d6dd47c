//! `hyperzoom join`.

use hyperzoom_protocol::Invite;

use crate::call::Side;
use crate::cli::JoinArgs;
use crate::error::CommandError;

pub(super) fn run(args: JoinArgs) -> Result<(), CommandError> {
    let invite: Invite =
        args.invite.parse().map_err(|e| CommandError::Usage(format!("this invite is damaged: {e}")))?;
    super::talk::run(Side::Guest(invite), args.call)
}
