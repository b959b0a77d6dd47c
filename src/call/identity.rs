//! Who a guest is, kept while its call runs: one whose program was cut off and who joins again is the same participant.
//!
//! The host knows a guest by the number that its process drew. It lies in a small file of the user's data folder, one for each invite and
//! name, which the process locks for as long as it lives and removes when its call ends as it should. A file that is there and that nobody
//! has locked was left by a program that crashed.

use std::fs::{File, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use hyperzoom_protocol::Invite;

use super::setup::random;
use crate::error::CommandError;

/// What an older call has left behind means nothing any more.
const HOLDS: Duration = Duration::from_secs(24 * 3600);

/// A number in hexadecimal.
const DIGITS: usize = 32;

/// The number by which the others know this participant.
#[derive(Debug)]
pub(super) struct Identity {
    instance: u128,
    comes_back: bool,
    /// The file that keeps it, locked; none where it is not kept.
    kept: Option<(File, PathBuf)>,
}

impl Identity {
    /// One who was never here before.
    pub(super) fn new() -> Result<Self, CommandError> {
        Ok(Self { instance: u128::from_be_bytes(random()?), comes_back: false, kept: None })
    }

    /// The guest of this invite with this name: the one that it was before, where its program was cut off within the last day.
    pub(super) fn of_guest(invite: &Invite, name: &str) -> Result<Self, CommandError> {
        match directories::ProjectDirs::from("", "", "HyperZoom") {
            Some(folders) => Self::kept_in(&folders.data_local_dir().join("calls"), invite, name),
            None => Self::new(),
        }
    }

    fn kept_in(folder: &Path, invite: &Invite, name: &str) -> Result<Self, CommandError> {
        remove_old(folder);
        let mut identity = Self::new()?;
        // Without the file the call goes as well: a crash makes a newcomer of its guest.
        match open(&folder.join(file_name(invite, name))) {
            Ok(Some((mut file, path))) => {
                if let Some(instance) = read(&mut file) {
                    (identity.instance, identity.comes_back) = (instance, true);
                }
                match write(&mut file, identity.instance) {
                    Ok(()) => identity.kept = Some((file, path)),
                    Err(error) => tracing::warn!("{}: {error}", path.display()),
                }
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

    /// The call has ended as it should: whoever joins it again is a newcomer.
    pub(super) fn forget(self) {
        if let Some((file, path)) = self.kept {
            // Not before it is removed, or somebody might take it over.
            if let Err(error) = std::fs::remove_file(&path) {
                tracing::warn!("{}: {error}", path.display());
            }
            drop(file);
        }
    }
}

/// A name that is the same for the same invite and name, and from which neither can be told.
fn file_name(invite: &Invite, name: &str) -> String {
    let mut hasher = DefaultHasher::new();
    match &invite.key {
        Some(key) => key.0.hash(&mut hasher),
        None => invite.addr.hash(&mut hasher),
    }
    name.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// The file, locked; `None` where another process has locked it.
fn open(path: &Path) -> std::io::Result<Option<(File, PathBuf)>> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some((file, path.to_owned()))),
        Err(std::fs::TryLockError::WouldBlock) => Ok(None),
        Err(std::fs::TryLockError::Error(error)) => Err(error),
    }
}

fn read(file: &mut File) -> Option<u128> {
    let mut text = String::new();
    file.take(DIGITS as u64 + 1).read_to_string(&mut text).ok()?;
    let digits = text.trim_end();
    let whole = digits.len() == DIGITS && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    whole.then(|| u128::from_str_radix(digits, 16).ok())?
}

fn write(file: &mut File, instance: u128) -> std::io::Result<()> {
    file.rewind()?;
    file.set_len(0)?;
    writeln!(file, "{instance:0DIGITS$x}")
}

/// Removes what crashes have left behind long ago.
fn remove_old(folder: &Path) {
    let is_old = |entry: &std::fs::DirEntry| {
        let modified = entry.metadata().and_then(|metadata| metadata.modified()).ok();
        modified.and_then(|at| SystemTime::now().duration_since(at).ok()).is_some_and(|age| age > HOLDS)
    };
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten().filter(is_old) {
        // One that is still in use after a day is removed as well, and kept in memory.
        let _ = std::fs::remove_file(entry.path());
    }
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
        let first = joined(folder.path(), 1, "Bob");
        let instance = first.instance();
        assert!(!first.comes_back());
        // The system unlocks what a process leaves behind.
        drop(first);
        let again = joined(folder.path(), 1, "Bob");
        assert_eq!((again.instance(), again.comes_back()), (instance, true));
        again.forget();
        let anew = joined(folder.path(), 1, "Bob");
        assert!(!anew.comes_back() && anew.instance() != instance);
    }

    #[test]
    fn others_of_the_same_call_or_name_are_others() {
        let folder = tempfile::tempdir().unwrap();
        let first = joined(folder.path(), 1, "Bob");
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
        same_name.forget();
        drop(first);
        assert_eq!(joined(folder.path(), 1, "Bob").instance(), instance);
    }

    #[test]
    fn damaged_and_old_files_are_nobodys() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(file_name(&invite(1), "Bob"));
        for damage in ["", "12", "+0000000000000000000000000000001\n", "äöü", &"f".repeat(400)] {
            std::fs::write(&path, damage).unwrap();
            assert!(!joined(folder.path(), 1, "Bob").comes_back(), "{damage:?}");
            std::fs::remove_file(&path).unwrap();
        }
        drop(joined(folder.path(), 1, "Bob"));
        let day = SystemTime::now() - HOLDS - Duration::from_secs(60);
        File::options().write(true).open(&path).unwrap().set_modified(day).unwrap();
        assert!(!joined(folder.path(), 1, "Bob").comes_back());
    }
}
