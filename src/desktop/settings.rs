//! What a person chose last time.
//!
//! A small JSON file in the system's place for settings (`~/.config/hyperzoom` on Linux). It is a convenience: a file that cannot be read or
//! written is said once and costs nothing else.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hyperzoom_ui_plugin::model::Choices;

/// A change is written when nothing has changed for so long.
const QUIET: Duration = Duration::from_secs(1);

/// The file, and what is in it.
pub(super) struct Settings {
    file: Option<PathBuf>,
    saved: Choices,
    seen: Choices,
    changed: Option<Instant>,
}

impl Settings {
    /// What was chosen last time, and why it could not be read, where there is something to read.
    pub(super) fn load() -> (Self, Option<String>) {
        let folders = directories::ProjectDirs::from("", "", "hyperzoom");
        Self::load_from(folders.map(|folders| folders.config_dir().join("settings.json")))
    }

    fn load_from(file: Option<PathBuf>) -> (Self, Option<String>) {
        let (choices, fault) = match file.as_deref().map(read) {
            None | Some(Ok(None)) => (Choices::default(), None),
            Some(Ok(Some(choices))) => (choices, None),
            Some(Err(why)) => (Choices::default(), Some(why)),
        };
        (Self { file, saved: choices.clone(), seen: choices, changed: None }, fault)
    }

    /// What was chosen last time.
    pub(super) fn choices(&self) -> Choices {
        self.saved.clone()
    }

    /// To be called now and then with what is chosen now: what has changed is written when it has settled.
    pub(super) fn keep(&mut self, now: Instant, choices: &Choices) {
        if *choices != self.seen {
            self.seen = choices.clone();
            self.changed = Some(now);
        }
        if self.changed.is_some_and(|changed| now.saturating_duration_since(changed) >= QUIET) {
            self.save();
        }
    }

    /// Writes what has changed, at the end.
    pub(super) fn save(&mut self) {
        self.changed = None;
        if self.seen == self.saved {
            return;
        }
        let Some(file) = &self.file else { return };
        match write(file, &self.seen) {
            Ok(()) => self.saved = self.seen.clone(),
            Err(error) => tracing::warn!("the settings cannot be kept in {}: {error}", file.display()),
        }
    }
}

/// `None` where there is no file yet.
fn read(file: &Path) -> Result<Option<Choices>, String> {
    let text = match std::fs::read(file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("Your settings in {} cannot be read: {error}", file.display())),
    };
    serde_json::from_slice(&text).map(Some).map_err(|_| {
        format!("Your settings in {} are damaged: you begin with the usual ones.", file.display())
    })
}

/// In one step, so that a crash leaves the old ones or the new ones.
fn write(file: &Path, choices: &Choices) -> std::io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut new = tempfile::NamedTempFile::new_in(folder)?;
    serde_json::to_writer_pretty(&mut new, choices)?;
    new.write_all(b"\n")?;
    new.as_file().sync_all()?;
    new.persist(file).map(drop).map_err(|error| error.error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> Choices {
        Choices { name: name.into(), ..Choices::default() }
    }

    #[test]
    fn what_was_chosen_is_there_next_time() {
        let folder = tempfile::tempdir().unwrap();
        let file = Some(folder.path().join("hyperzoom/settings.json"));
        let (mut settings, fault) = Settings::load_from(file.clone());
        assert_eq!((settings.choices(), fault), (Choices::default(), None));
        let now = Instant::now();
        settings.keep(now, &named("Ada"));
        assert_eq!(Settings::load_from(file.clone()).0.choices(), Choices::default(), "it may change again");
        settings.keep(now + QUIET, &named("Ada"));
        assert_eq!(Settings::load_from(file.clone()).0.choices(), named("Ada"));
        settings.keep(now + QUIET, &named("Ad"));
        settings.save();
        assert_eq!(Settings::load_from(file).0.choices(), named("Ad"));
    }

    #[test]
    fn what_is_pasted_for_one_call_is_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        let file = Some(folder.path().join("settings.json"));
        let (mut settings, _) = Settings::load_from(file.clone());
        settings
            .keep(Instant::now(), &Choices { open: true, invite: "1.2.3.4:5#key".into(), ..named("Ada") });
        settings.save();
        assert_eq!(Settings::load_from(file).0.choices(), named("Ada"));
    }

    #[test]
    fn a_damaged_file_is_said_and_left_until_something_is_chosen() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("settings.json");
        std::fs::write(&file, "{ \"name\": ").unwrap();
        let (mut settings, fault) = Settings::load_from(Some(file.clone()));
        assert!(fault.is_some_and(|fault| fault.contains("damaged")));
        assert_eq!(settings.choices(), Choices::default());
        settings.save();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "{ \"name\": ");
        // One of another version has more, or less.
        std::fs::write(&file, "{ \"name\": \"Ada\", \"hat\": 3 }").unwrap();
        assert_eq!(Settings::load_from(Some(file)).0.choices(), named("Ada"));
    }
}
