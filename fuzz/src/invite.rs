//! An invite that somebody pasted.

use hyperzoom_protocol::Invite;

/// What is read as an invite is written as one that says the same.
pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match text.parse::<Invite>() {
        Ok(invite) => assert_eq!(invite.to_string().parse(), Ok(invite)),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
