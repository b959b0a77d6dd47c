//! `hyperzoom host`.

use crate::call::Side;
use crate::cli::HostArgs;
use crate::error::CommandError;

pub(super) fn run(args: HostArgs) -> Result<(), CommandError> {
    let side = Side::Host { port: args.port, open: args.open, resume: args.resume };
    super::talk::run(side, args.call)
}
