//! The take's folder: `YYYY-MM-DD_HH-MM-SS[_Name]`, in local time.

use std::io;
use std::path::{Path, PathBuf};

use jiff::Zoned;

/// The master recording's file name.
pub const RECORDING: &str = "local_recording.mp4";
/// The file name of the microphone's samples as they came.
pub const MICROPHONE: &str = "microphone.flac";
/// The file name of the map from those samples to session time.
pub const MICROPHONE_CLOCK: &str = "microphone_clock.csv";
/// The metadata's file name.
pub const METADATA: &str = "session_metadata.json";
/// The readable timecode reference's file name.
pub const TIMECODES: &str = "sync_timecodes.txt";
/// The file name of what was heard of the others.
pub const HEARD: &str = "heard.flac";
/// The file name of what says whose it is, and when it was said.
pub const HEARD_INDEX: &str = "heard.json";
/// The sync certificate's file name.
pub const CERTIFICATE: &str = "sync_certificate.json";

/// The longest part of a folder's name that comes from the session's, in bytes: file systems take 255 for the whole.
const NAME_BYTES: usize = 100;

/// Folders tried for one second and name before giving up.
const COLLISIONS: u32 = 1000;

/// Makes the folder of a take that begins at `now` in `parent`, which is made too where it is missing.
///
/// Two takes of the same second and name (two people on one machine) get `_2`, `_3` and so on.
pub(crate) fn create(parent: &Path, now: &Zoned, name: Option<&str>) -> io::Result<PathBuf> {
    std::fs::create_dir_all(parent)?;
    let mut base = now.strftime("%Y-%m-%d_%H-%M-%S").to_string();
    if let Some(name) = name.map(sanitised).filter(|name| !name.is_empty()) {
        base.push('_');
        base.push_str(&name);
    }
    for attempt in 1..=COLLISIONS {
        let path = parent.join(if attempt == 1 { base.clone() } else { format!("{base}_{attempt}") });
        match std::fs::create_dir(&path) {
            Ok(()) => {
                sync_folder(parent);
                return Ok(path);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => (),
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// A session's name as part of a folder's on any system: what Windows, macOS or a shell would trip over becomes `-`, space `_`.
fn sanitised(name: &str) -> String {
    let mut out = String::new();
    for character in name.trim().chars() {
        let character = match character {
            c if c.is_whitespace() => '_',
            c if c.is_control() || r#"<>:"/\|?*$`'"#.contains(c) => '-',
            c => c,
        };
        if out.len() + character.len_utf8() > NAME_BYTES {
            break;
        }
        out.push(character);
    }
    // Windows drops dots and spaces at the end.
    out.trim_matches(['.', '_', '-']).to_owned()
}

/// Makes the entry of a new file or folder survive a loss of power.
pub(crate) fn sync_folder(folder: &Path) {
    // A file system that cannot do it has nothing better, so a failure is none.
    #[cfg(unix)]
    if let Ok(folder) = std::fs::File::open(folder) {
        drop(folder.sync_all());
    }
    #[cfg(not(unix))]
    let _ = folder;
}

/// Writes `contents` to `name` in `folder` so that there is the old file or the new, whatever happens.
pub(crate) fn write_whole(folder: &Path, name: &str, contents: impl AsRef<[u8]>) -> io::Result<()> {
    use std::io::Write;
    let scratch = folder.join(format!(".{name}.new"));
    let mut file = std::fs::File::create(&scratch)?;
    file.write_all(contents.as_ref())?;
    file.sync_data()?;
    drop(file);
    std::fs::rename(&scratch, folder.join(name))?;
    sync_folder(folder);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evening() -> Zoned {
        "2026-02-27T20:15:00+01:00[+01:00]".parse().unwrap()
    }

    #[test]
    fn the_name_is_the_local_time_and_the_sessions() {
        let dir = tempfile::tempdir().unwrap();
        let parent = dir.path().join("not/there/yet");
        let path = create(&parent, &evening(), Some("Pilot: take 1/2?")).unwrap();
        assert_eq!(path, parent.join("2026-02-27_20-15-00_Pilot-_take_1-2"));
        assert_eq!(create(&parent, &evening(), None).unwrap(), parent.join("2026-02-27_20-15-00"));
    }

    #[test]
    fn a_second_take_of_the_same_second_gets_a_folder_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let first = create(dir.path(), &evening(), Some("x")).unwrap();
        let second = create(dir.path(), &evening(), Some("x")).unwrap();
        assert!(first != second && second.ends_with("2026-02-27_20-15-00_x_2"));
    }

    #[test]
    fn no_name_escapes_from_its_folder_or_outgrows_it() {
        for name in
            ["../../etc", "..", "a/b\\c", "con:", " . ", "\u{0}\n\u{7f}", "日本語の番組", &"ä".repeat(300)]
        {
            let clean = sanitised(name);
            assert!(clean.len() <= NAME_BYTES && !clean.contains(['/', '\\', ':', '\0']), "{clean:?}");
            assert!(!clean.starts_with('.') && !clean.ends_with('.'), "{clean:?}");
        }
        assert_eq!(sanitised("日本語の番組"), "日本語の番組");
        assert_eq!(sanitised(" . "), "");
    }

    #[test]
    fn a_file_in_the_way_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("file"), "").unwrap();
        assert!(create(&dir.path().join("file"), &evening(), None).is_err());
    }
}
