//! A host's session, kept while it runs, so that one whose program was cut off can go on with it.
//!
//! What its guests know it by lies in a small file of the user's data folder: the session's number, its key, its port, and what time it is in it. The
//! process locks the file for as long as it lives, and removes it when its call ends as it should. A file that is there and that
//! nobody has locked was left by a program that crashed.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use bevy_ecs::resource::Resource;
use bevy_ecs::system::{Res, ResMut};
use hyperzoom_protocol::InviteKey;
use serde::{Deserialize, Serialize};

use super::flow::Call;

/// What was cut off longer ago is nothing that anybody waits for.
const HOLDS: Duration = Duration::from_secs(3600);

/// How often the time is noted: what the clock on the wall is set by while nobody notes it is the error of the time that is read back.
const NOTE_EVERY: Duration = Duration::from_secs(5);

/// The file's length: always the same, so that one write takes the place of the one before.
const LEN: usize = 512;

/// What is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    session_id: u64,
    /// The invite's; none of an open session.
    key: Option<[u8; 32]>,
    port: u16,
    /// The session's time, in nanoseconds, when the clock on the wall was at `wall_ns` since 1970.
    session_ns: i64,
    wall_ns: i64,
}

/// The session that this process hosts.
#[derive(Debug, Resource)]
pub(super) struct Hosted {
    kept: Kept,
    /// The file that keeps it, locked; none where it is not kept.
    file: Option<(File, PathBuf)>,
    next_note: Duration,
}

impl Hosted {
    /// A session that begins.
    pub(super) fn begin(session_id: u64, key: Option<&InviteKey>, port: u16) -> Self {
        let kept = Kept { session_id, key: key.map(|key| key.0), port, session_ns: 0, wall_ns: wall_ns() };
        let mut hosted = Self { kept, file: None, next_note: Duration::ZERO };
        // Without the file the call goes as well: a crash ends the session then.
        if let Some(folder) = super::identity::folder() {
            super::identity::remove_old(&folder);
            hosted.keep_in(&folder);
        }
        hosted
    }

    /// The session that was cut off last, where one was within the last hour.
    pub(super) fn cut_off() -> Option<Self> {
        super::identity::folder().and_then(|folder| Self::cut_off_in(&folder))
    }

    fn cut_off_in(folder: &Path) -> Option<Self> {
        let files = std::fs::read_dir(folder).ok()?.flatten();
        let ours = files.filter(|entry| entry.file_name().to_string_lossy().starts_with("host-"));
        let found = ours.filter_map(|entry| {
            let (file, kept) = open(&entry.path(), false)?;
            Some(Self { kept: kept?, file: Some((file, entry.path())), next_note: Duration::ZERO })
        });
        found.filter(|hosted| hosted.away() < HOLDS).min_by_key(Self::away)
    }

    fn keep_in(&mut self, folder: &Path) {
        let path = folder.join(format!("host-{:016x}", self.kept.session_id));
        if let Err(error) = std::fs::create_dir_all(folder) {
            tracing::warn!("{}: {error}", folder.display());
            return;
        }
        if let Some((file, _)) = open(&path, true) {
            self.file = Some((file, path));
            self.write();
        }
    }

    /// The session's number.
    pub(super) fn session_id(&self) -> u64 {
        self.kept.session_id
    }

    /// The invite's key; none of an open session.
    pub(super) fn key(&self) -> Option<InviteKey> {
        self.kept.key.map(InviteKey)
    }

    /// The port that its guests know.
    pub(super) fn port(&self) -> u16 {
        self.kept.port
    }

    /// For how long nobody hosts it.
    pub(super) fn away(&self) -> Duration {
        Duration::from_nanos(wall_ns().saturating_sub(self.kept.wall_ns).max(0).unsigned_abs())
    }

    /// The session's time by the clock on the wall, in nanoseconds.
    pub(super) fn about_ns(&self) -> i64 {
        self.kept.session_ns.saturating_add(wall_ns().saturating_sub(self.kept.wall_ns))
    }

    fn note(&mut self, session_ns: i64) {
        (self.kept.session_ns, self.kept.wall_ns) = (session_ns, wall_ns());
        self.write();
    }

    fn write(&mut self) {
        let Some((file, path)) = &mut self.file else { return };
        let Ok(text) = serde_json::to_string(&self.kept) else { return };
        let text = format!("{text:<LEN$}\n");
        if let Err(error) = file.rewind().and_then(|()| file.write_all(text.as_bytes())) {
            tracing::warn!("{}: {error}", path.display());
            self.file = None;
        }
    }

    /// The call has ended as it should.
    pub(super) fn forget(self) {
        if let Some((file, path)) = self.file {
            // Not before it is removed, or somebody might take it over.
            if let Err(error) = std::fs::remove_file(&path) {
                tracing::warn!("{}: {error}", path.display());
            }
            drop(file);
        }
    }
}

/// Notes what time it is, now and then.
#[allow(clippy::needless_pass_by_value, reason = "the ECS hands systems their parameters by value")]
pub(super) fn note(call: Res<'_, Call>, hosted: Option<ResMut<'_, Hosted>>) {
    let (Some(mut hosted), now) = (hosted, call.epoch.elapsed()) else { return };
    if let Some(clock) = call.clock.known().filter(|_| now >= hosted.next_note) {
        hosted.next_note = now + NOTE_EVERY;
        hosted.note(clock.session_ns(now));
    }
}

fn wall_ns() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// The file, locked, and what is in it, if that can be read; `None` where another process has locked it, or it cannot be had.
fn open(path: &Path, create: bool) -> Option<(File, Option<Kept>)> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(create).truncate(false);
    // It holds the session's key.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let opened = options.open(path).and_then(|file| match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    });
    match opened {
        Ok(file) => {
            let file = file?;
            let mut text = String::new();
            let kept = (&file).take(2 * LEN as u64).read_to_string(&mut text);
            Some((file, kept.ok().and_then(|_| serde_json::from_str(&text).ok())))
        }
        Err(error) => {
            tracing::warn!("{}: {error}", path.display());
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin(folder: &Path, session_id: u64, wall_ns: i64) -> Hosted {
        let kept = Kept { session_id, key: Some([255; 32]), port: 4700, session_ns: i64::MAX, wall_ns };
        let mut hosted = Hosted { kept, file: None, next_note: Duration::ZERO };
        hosted.keep_in(folder);
        hosted
    }

    #[test]
    fn a_session_that_was_cut_off_is_found_again_and_one_that_has_ended_is_not() {
        let home = tempfile::tempdir().unwrap();
        let mut first = begin(home.path(), 7, wall_ns());
        assert!(Hosted::cut_off_in(home.path()).is_none(), "it runs");
        first.note(90_000_000_000);
        // The system unlocks what a process leaves behind.
        drop(first);
        let again = Hosted::cut_off_in(home.path()).unwrap();
        assert_eq!((again.session_id(), again.key(), again.port()), (7, Some(InviteKey([255; 32])), 4700));
        assert!(again.about_ns() >= 90_000_000_000 && again.away() < HOLDS);
        assert!(Hosted::cut_off_in(home.path()).is_none(), "it goes on");
        again.forget();
        assert!(Hosted::cut_off_in(home.path()).is_none());
    }

    #[test]
    fn the_last_one_of_this_hour_is_meant() {
        let home = tempfile::tempdir().unwrap();
        let ago = |seconds: i64| wall_ns() - seconds * 1_000_000_000;
        for (session_id, seconds) in [(1, 3700), (2, 1800), (3, 60), (4, 120)] {
            drop(begin(home.path(), session_id, ago(seconds)));
        }
        std::fs::write(home.path().join("host-damaged"), "{").unwrap();
        std::fs::write(home.path().join("0123456789abcdef"), "a guest's").unwrap();
        for expected in [3, 4, 2] {
            let found = Hosted::cut_off_in(home.path()).unwrap();
            assert_eq!(found.session_id(), expected);
            found.forget();
        }
        assert!(Hosted::cut_off_in(home.path()).is_none());
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_reads_the_key() {
        use std::os::unix::fs::PermissionsExt;
        let home = tempfile::tempdir().unwrap();
        let hosted = begin(home.path(), 1, 0);
        let (file, path) = hosted.file.as_ref().unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(
            std::fs::metadata(path).unwrap().len(),
            LEN as u64 + 1,
            "at its full length from the start"
        );
    }
}
