//! Showing a folder, and asking for one: what the system's own programs do.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::sync::{Mutex, PoisonError};

/// Shows a folder in the system's file manager.
///
/// # Errors
/// In words for a person, with the path, where the system has none.
pub(super) fn show(folder: &Path) -> Result<(), String> {
    let program = if cfg!(target_os = "macos") {
        "open"
    } else if cfg!(windows) {
        "explorer"
    } else {
        "xdg-open"
    };
    let started = Command::new(program)
        .arg(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    match started {
        Ok(mut child) => {
            // Nobody waits for it, but somebody must take note of its end.
            std::thread::spawn(move || child.wait());
            Ok(())
        }
        Err(_) => Err(format!("No file manager was found. Your recording is in {}", folder.display())),
    }
}

/// A question for a folder, while the system asks it.
pub(super) struct Asking(Mutex<Receiver<Option<PathBuf>>>);

impl Asking {
    /// Opens the system's dialog, beginning at `folder`. The window goes on meanwhile.
    pub(super) fn begin(folder: &Path) -> Self {
        let (answer, answers) = channel();
        // It is made here, on the thread of the window, as some systems want it, and waited for elsewhere.
        let dialog =
            rfd::AsyncFileDialog::new().set_title("Where recordings go").set_directory(folder).pick_folder();
        std::thread::spawn(move || {
            let folder = pollster::block_on(dialog).map(|folder| folder.path().to_owned());
            // Whoever asked may have gone.
            let _ = answer.send(folder);
        });
        Self(Mutex::new(answers))
    }

    /// The answer: `None` while there is none yet, and `Some(None)` where the question was put away.
    pub(super) fn answer(&self) -> Option<Option<PathBuf>> {
        match self.0.lock().unwrap_or_else(PoisonError::into_inner).try_recv() {
            Ok(folder) => Some(folder),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(None),
        }
    }
}
