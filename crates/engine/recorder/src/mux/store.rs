//! Where the file's bytes go.

use std::fs::{File, TryLockError};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, SystemTime};

/// The few calls that a file is written with, so that a test can record them, fail them, or replay half of them.
pub(crate) trait Store: Send {
    /// Writes all of `data` at `offset`.
    fn write_at(&mut self, offset: u64, data: &[u8]) -> io::Result<()>;

    /// Waits until everything written survives a loss of power.
    fn sync(&mut self) -> io::Result<()>;

    /// Cuts the file to `len` bytes.
    fn truncate(&mut self, len: u64) -> io::Result<()>;
}

/// A file on a disk, locked against recovery for as long as this lives.
pub(crate) struct FileStore(File);

/// How long a recording waits for its lock: a recovery that looks at the new file lets go of it in no time.
const LOCK_TRIES: u32 = 50;
const LOCK_PAUSE: Duration = Duration::from_millis(2);

/// A file that has not been written to for so long is recorded by nobody: one that grows gets a fragment every second.
const IDLE: Duration = Duration::from_secs(30);

impl FileStore {
    /// A new file at `path`, which must not exist.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        let file = File::options().write(true).create_new(true).open(path)?;
        for _ in 0..LOCK_TRIES {
            match file.try_lock() {
                Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
                // A file system without locks records all the same.
                Ok(()) | Err(TryLockError::Error(_)) => break,
            }
        }
        Ok(Self(file))
    }

    /// The file at `path`, to finish it; [`io::ErrorKind::WouldBlock`] where somebody records into it or finishes it, or may do so: on
    /// a file system without locks, where it was written to in the last half minute.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = File::options().read(true).write(true).open(path)?;
        let modified = file.metadata()?.modified()?;
        if is_taken(&file.try_lock(), modified, SystemTime::now()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Self(file))
    }

    /// The same file for reading.
    pub(crate) fn reader(&self) -> io::Result<File> {
        self.0.try_clone()
    }
}

/// Whether somebody else may write to a file that was last `modified` then, by what became of its lock.
fn is_taken(lock: &Result<(), TryLockError>, modified: SystemTime, now: SystemTime) -> bool {
    match lock {
        Ok(()) => false,
        Err(TryLockError::WouldBlock) => true,
        // A time to come is by another machine's clock, and may be now.
        Err(TryLockError::Error(_)) => now.duration_since(modified).map_or(true, |idle| idle < IDLE),
    }
}

impl Store for FileStore {
    fn write_at(&mut self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.seek(SeekFrom::Start(offset))?;
        self.0.write_all(data)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync_data()?;
        still_linked(&self.0)
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }
}

/// A Unix system writes on into a file whose folder was removed, and says nothing; nobody would ever find it.
#[cfg(unix)]
fn still_linked(file: &File) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt;
    if file.metadata()?.nlink() == 0 {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the recording was deleted while it grew"));
    }
    Ok(())
}

/// Windows does not let a file be removed that is open.
#[cfg(not(unix))]
fn still_linked(_: &File) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_locks_a_file_is_free_once_it_has_not_grown_for_a_while() {
        let now = SystemTime::now();
        let none = || Err(TryLockError::Error(io::ErrorKind::Unsupported.into()));
        assert!(is_taken(&none(), now, now));
        assert!(is_taken(&none(), now - IDLE / 2, now) && is_taken(&none(), now + IDLE, now));
        assert!(!is_taken(&none(), now - IDLE, now));
        assert!(!is_taken(&Ok(()), now, now));
        assert!(is_taken(&Err(TryLockError::WouldBlock), now - 2 * IDLE, now));
    }
}
