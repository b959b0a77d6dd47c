//! A small file of the user's data folder that belongs to the process that has locked it, and to nobody once that process is gone.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// What was left behind longer ago than this means nothing any more.
const HOLDS: Duration = Duration::from_secs(24 * 3600);

/// One that is read is no longer than this, in bytes.
const MOST: u64 = 4096;

/// An open file, locked until it is dropped or its process ends, however that ends.
#[derive(Debug)]
pub(super) struct LockedFile {
    file: File,
    path: PathBuf,
}

impl LockedFile {
    /// Opens and locks a file; makes it and its folder where they are not there and `create` says so. `None` where another process has
    /// locked it.
    pub(super) fn open(path: &Path, create: bool) -> std::io::Result<Option<Self>> {
        if let Some(folder) = path.parent().filter(|_| create) {
            std::fs::create_dir_all(folder)?;
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(create).truncate(false);
        // Some hold keys.
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        loop {
            let file = options.open(path)?;
            match file.try_lock() {
                Ok(()) if is_at(&file, path) => return Ok(Some(Self { file, path: path.to_owned() })),
                // Its owner has removed it between the two lines above.
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
    }

    /// What is in it.
    pub(super) fn read(&mut self) -> std::io::Result<String> {
        let mut text = String::new();
        self.file.rewind()?;
        (&self.file).take(MOST).read_to_string(&mut text)?;
        Ok(text)
    }

    /// Puts `text` in the place of what was in it: in one write, so that a crash leaves the one or the other where both are as long.
    pub(super) fn write(&mut self, text: &str) -> std::io::Result<()> {
        self.file.rewind()?;
        self.file.write_all(text.as_bytes())?;
        self.file.set_len(text.len() as u64)
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes it: what it was kept for is over.
    pub(super) fn remove(self) {
        // Emptied and gone before it is unlocked: whoever has opened it meanwhile finds nothing in it.
        if let Err(error) = self.file.set_len(0).and_then(|()| std::fs::remove_file(&self.path)) {
            tracing::warn!("{}: {error}", self.path.display());
        }
    }
}

/// Whether this is the file that the path leads to.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let id = |metadata: std::io::Result<std::fs::Metadata>| metadata.map(|it| (it.dev(), it.ino())).ok();
    id(file.metadata()) == id(std::fs::metadata(path))
}

/// Elsewhere a file that somebody has open keeps its name until it is closed.
#[cfg(not(unix))]
fn is_at(_file: &File, path: &Path) -> bool {
    path.exists()
}

/// The folder of such files; none where the system knows of no folder for a user's data.
pub(super) fn folder() -> Option<PathBuf> {
    let folders = directories::ProjectDirs::from("", "", "HyperZoom")?;
    Some(folders.data_local_dir().join("calls"))
}

/// Removes what crashes have left behind long ago.
pub(super) fn remove_old(folder: &Path) {
    let is_old = |entry: &std::fs::DirEntry| {
        let modified = entry.metadata().and_then(|metadata| metadata.modified()).ok();
        modified.and_then(|at| SystemTime::now().duration_since(at).ok()).is_some_and(|age| age > HOLDS)
    };
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten().filter(is_old) {
        // One that is locked belongs to a call that has lasted for so long.
        if let Ok(Some(file)) = LockedFile::open(&entry.path(), false) {
            file.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_belongs_to_one_at_a_time_and_is_gone_once_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("calls/it");
        assert!(LockedFile::open(&path, false).is_err());
        let mut first = LockedFile::open(&path, true).unwrap().unwrap();
        assert!(LockedFile::open(&path, true).unwrap().is_none(), "it is locked");
        for text in ["something longer", "short"] {
            first.write(text).unwrap();
            assert_eq!(first.read().unwrap(), text);
        }
        // The system unlocks what a process leaves behind.
        drop(first);
        let mut again = LockedFile::open(&path, false).unwrap().unwrap();
        assert_eq!(again.read().unwrap(), "short");
        again.remove();
        assert!(!path.exists());
    }

    #[test]
    fn what_is_old_is_removed_where_nobody_has_it() {
        let folder = tempfile::tempdir().unwrap();
        let old = SystemTime::now() - HOLDS - Duration::from_secs(60);
        let make = |name: &str, at: SystemTime| {
            let it = LockedFile::open(&folder.path().join(name), true).unwrap().unwrap();
            it.file.set_modified(at).unwrap();
            it
        };
        let held = make("held", old);
        drop(make("left", old));
        drop(make("new", SystemTime::now()));
        remove_old(folder.path());
        let left = ["held", "left", "new"].map(|name| folder.path().join(name).exists());
        assert_eq!(left, [true, false, true]);
        drop(held);
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_reads_it() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let it = LockedFile::open(&folder.path().join("it"), true).unwrap().unwrap();
        assert_eq!(std::fs::metadata(it.path()).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
