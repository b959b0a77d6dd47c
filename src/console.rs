//! What a call says to the person at the terminal, on standard error.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Lines for a person, and on a terminal a line that moves.
#[derive(Debug, Clone)]
pub struct Console {
    bar: ProgressBar,
    moving: bool,
}

impl Console {
    /// A console with a status line where standard error is a terminal, and without one in a pipe.
    #[must_use]
    pub fn new() -> Self {
        let moving = std::io::stderr().is_terminal();
        let bar = ProgressBar::with_draw_target(
            None,
            if moving { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() },
        );
        if let Ok(style) = ProgressStyle::with_template("{spinner:.red} {msg}") {
            bar.set_style(style);
        }
        Self { bar, moving }
    }

    /// Says one line.
    pub fn say(&self, line: impl AsRef<str>) {
        if self.moving {
            self.bar.println(line);
        } else {
            // Whoever listened may have gone; the call goes on.
            let _ = writeln!(std::io::stderr(), "{}", line.as_ref());
        }
    }

    /// Shows what goes on right now, on a terminal.
    pub fn status(&self, line: impl Into<String>) {
        if self.moving {
            self.bar.set_message(line.into());
            self.bar.tick();
        }
    }

    /// Takes the status line away.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

impl Default for Console {
    fn default() -> Self {
        Self::new()
    }
}

/// A length of time as a person writes it: `0:07`, `12:34`, `1:02:03`.
#[must_use]
pub fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_as_people_write_them() {
        assert_eq!(clock(Duration::from_secs(7)), "0:07");
        assert_eq!(clock(Duration::from_secs(754)), "12:34");
        assert_eq!(clock(Duration::from_secs(3723)), "1:02:03");
    }
}
