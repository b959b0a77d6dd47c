//! A host's session, kept while it runs, so that one whose program was cut off can go on with it.
//!
//! What its guests know it by lies in a small file of the user's data folder: the session's number, its key, its port, and what time it is in it. The
//! process [locks](super::locked) the file for as long as it lives, and removes it when its call ends as it should. A file that is there and
//! that nobody has locked was left by a program that crashed.

use std::path::Path;
use std::time::{Duration, SystemTime};

use bevy_ecs::resource::Resource;
use bevy_ecs::system::{Res, ResMut};
use hyperzoom_protocol::InviteKey;
use serde::{Deserialize, Serialize};

use super::flow::Call;
use super::locked::{self, LockedFile};

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
    file: Option<LockedFile>,
    next_note: Duration,
}

impl Hosted {
    /// A session that begins.
    pub(super) fn begin(session_id: u64, key: Option<&InviteKey>, port: u16) -> Self {
        let kept = Kept { session_id, key: key.map(|key| key.0), port, session_ns: 0, wall_ns: wall_ns() };
        let mut hosted = Self { kept, file: None, next_note: Duration::ZERO };
        // Without the file the call goes as well: a crash ends the session then.
        if let Some(folder) = locked::folder() {
            locked::remove_old(&folder);
            hosted.keep_in(&folder);
        }
        hosted
    }

    /// The session that was cut off last, where one was within the last hour.
    pub(super) fn cut_off() -> Option<Self> {
        locked::folder().and_then(|folder| Self::cut_off_in(&folder))
    }

    fn cut_off_in(folder: &Path) -> Option<Self> {
        let files = std::fs::read_dir(folder).ok()?.flatten();
        let ours = files.filter(|entry| entry.file_name().to_string_lossy().starts_with("host-"));
        let found = ours.filter_map(|entry| {
            let mut file = open(&entry.path(), false)?;
            let kept = serde_json::from_str(&file.read().ok()?).ok()?;
            Some(Self { kept, file: Some(file), next_note: Duration::ZERO })
        });
        found.filter(|hosted| hosted.away() < HOLDS).min_by_key(Self::away)
    }

    fn keep_in(&mut self, folder: &Path) {
        let path = folder.join(format!("host-{:016x}", self.kept.session_id));
        self.file = open(&path, true);
        self.write();
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
        let Some(file) = &mut self.file else { return };
        let Ok(text) = serde_json::to_string(&self.kept) else { return };
        if let Err(error) = file.write(&format!("{text:<LEN$}\n")) {
            tracing::warn!("{}: {error}", file.path().display());
            self.file = None;
        }
    }

    /// The call has ended as it should.
    pub(super) fn forget(self) {
        if let Some(file) = self.file {
            file.remove();
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

/// The file, locked; `None` where another process has locked it, or it cannot be had.
fn open(path: &Path, create: bool) -> Option<LockedFile> {
    LockedFile::open(path, create).unwrap_or_else(|error| {
        tracing::warn!("{}: {error}", path.display());
        None
    })
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

    #[test]
    fn it_has_its_full_length_from_the_start() {
        let home = tempfile::tempdir().unwrap();
        let hosted = begin(home.path(), 1, 0);
        let path = hosted.file.as_ref().unwrap().path();
        assert_eq!(std::fs::metadata(path).unwrap().len(), LEN as u64 + 1);
    }
}
