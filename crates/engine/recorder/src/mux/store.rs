//! Where the file's bytes go.

use std::fs::{File, TryLockError};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

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

    /// The file at `path`, to finish it; [`io::ErrorKind::WouldBlock`] where somebody records into it or finishes it.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = File::options().read(true).write(true).open(path)?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
            Ok(()) | Err(TryLockError::Error(_)) => Ok(Self(file)),
        }
    }

    /// The same file for reading.
    pub(crate) fn reader(&self) -> io::Result<File> {
        self.0.try_clone()
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
