//! Who a guest is, kept while its call runs: one whose program was cut off and who joins again is the same participant.
//!
//! The host knows a guest by the number that its process drew. It lies in a small [file](super::locked), one for each invite and name,
//! from when the guest is in the call until that ends as it should. One that is there and that nobody has locked was left by a program
//! that crashed.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use hyperzoom_protocol::Invite;

use super::locked::{self, LockedFile};
use super::setup::random;
use crate::error::CommandError;

/// A number in hexadecimal.
const DIGITS: usize = 32;

/// The number by which the others know this participant.
#[derive(Debug)]
pub(super) struct Identity {
    instance: u128,
    comes_back: bool,
    is_in: bool,
    /// Where it is kept; none where it is not.
    file: Option<LockedFile>,
}

impl Identity {
    /// One who was never here before.
    pub(super) fn new() -> Result<Self, CommandError> {
        Ok(Self { instance: u128::from_be_bytes(random()?), comes_back: false, is_in: false, file: None })
    }

    /// The guest of this invite with this name: the one that it was before, where its program was cut off within the last day.
    pub(super) fn of_guest(invite: &Invite, name: &str) -> Result<Self, CommandError> {
        match locked::folder() {
            Some(folder) => Self::kept_in(&folder, invite, name),
            None => Self::new(),
        }
    }

    fn kept_in(folder: &Path, invite: &Invite, name: &str) -> Result<Self, CommandError> {
        locked::remove_old(folder);
        let mut identity = Self::new()?;
        // Without the file the call goes as well: a crash makes a newcomer of its guest.
        match LockedFile::open(&folder.join(file_name(invite, name)), true) {
            Ok(Some(mut file)) => {
                if let Some(instance) = file.read().ok().as_deref().and_then(number) {
                    (identity.instance, identity.comes_back) = (instance, true);
                }
                identity.file = Some(file);
            }
            Ok(None) => tracing::debug!("somebody of this name is in this call on this computer"),
            Err(error) => tracing::warn!("{}: {error}", folder.display()),
        }
        Ok(identity)
    }

    /// The number.
    pub(super) fn instance(&self) -> u128 {
        self.instance
    }

    /// Whether it was in this call before, and its program was cut off.
    pub(super) fn comes_back(&self) -> bool {
        self.comes_back
    }

    /// It is in the call now, and whoever joins in its name after a crash is it. Says whether that is news.
    pub(super) fn enter(&mut self) -> bool {
        let is_news = !std::mem::replace(&mut self.is_in, true);
        if let Some(file) = self.file.as_mut().filter(|_| is_news)
            && let Err(error) = file.write(&format!("{:0DIGITS$x}\n", self.instance))
        {
            tracing::warn!("{}: {error}", file.path().display());
        }
        is_news
    }

    /// The call is over. Where it has ended as it should, or nobody let this one in who was never in before, whoever joins it again is a
    /// newcomer.
    pub(super) fn leave(self, well: bool) {
        if (well || !self.is_in && !self.comes_back)
            && let Some(file) = self.file
        {
            file.remove();
        }
    }
}

/// A name that is the same for the same invite and name, for this version of the program at least. It tells nothing of a key.
fn file_name(invite: &Invite, name: &str) -> String {
    let mut hasher = DefaultHasher::new();
    match &invite.key {
        Some(key) => key.0.hash(&mut hasher),
        None => invite.addr.hash(&mut hasher),
    }
    name.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

fn number(text: &str) -> Option<u128> {
    let digits = text.trim_end();
    let whole = digits.len() == DIGITS && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    whole.then(|| u128::from_str_radix(digits, 16).ok())?
}

#[cfg(test)]
mod tests {
    use hyperzoom_protocol::InviteKey;

    use super::*;

    fn invite(key: u8) -> Invite {
        Invite { addr: ([127, 0, 0, 1], 5000).into(), key: Some(InviteKey([key; 32])) }
    }

    fn joined(folder: &Path, key: u8, name: &str) -> Identity {
        Identity::kept_in(folder, &invite(key), name).unwrap()
    }

    #[test]
    fn who_was_cut_off_is_the_same_again_and_who_has_left_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let mut first = joined(folder.path(), 1, "Bob");
        let instance = first.instance();
        assert!(!first.comes_back());
        assert_eq!([first.enter(), first.enter()], [true, false]);
        // The system unlocks what a process leaves behind.
        drop(first);
        let again = joined(folder.path(), 1, "Bob");
        assert_eq!((again.instance(), again.comes_back()), (instance, true));
        // It could not come back, and tries once more.
        again.leave(false);
        let mut again = joined(folder.path(), 1, "Bob");
        assert_eq!((again.instance(), again.comes_back()), (instance, true));
        again.enter();
        again.leave(true);
        let anew = joined(folder.path(), 1, "Bob");
        assert!(!anew.comes_back() && anew.instance() != instance);
    }

    #[test]
    fn who_was_never_let_in_does_not_come_back() {
        let folder = tempfile::tempdir().unwrap();
        joined(folder.path(), 1, "Bob").leave(false);
        assert!(std::fs::read_dir(folder.path()).unwrap().next().is_none());
        drop(joined(folder.path(), 1, "Bob"));
        assert!(!joined(folder.path(), 1, "Bob").comes_back());
    }

    #[test]
    fn others_of_the_same_call_or_name_are_others() {
        let folder = tempfile::tempdir().unwrap();
        let mut first = joined(folder.path(), 1, "Bob");
        first.enter();
        let same_name = joined(folder.path(), 1, "Bob");
        let other_name = joined(folder.path(), 1, "Cy");
        let other_call = joined(folder.path(), 2, "Bob");
        let all = [&first, &same_name, &other_name, &other_call];
        assert!(all.iter().all(|it| !it.comes_back()));
        for (n, one) in all.iter().enumerate() {
            assert!(all[n + 1..].iter().all(|other| other.instance() != one.instance()));
        }
        // One that was never kept takes nothing away.
        let instance = first.instance();
        same_name.leave(true);
        drop(first);
        assert_eq!(joined(folder.path(), 1, "Bob").instance(), instance);
    }

    #[test]
    fn damaged_files_are_nobodys() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(file_name(&invite(1), "Bob"));
        for damage in ["", "12", "+0000000000000000000000000000001\n", "äöü", &"f".repeat(400)] {
            std::fs::write(&path, damage).unwrap();
            assert!(!joined(folder.path(), 1, "Bob").comes_back(), "{damage:?}");
            std::fs::remove_file(&path).unwrap();
        }
    }
}
