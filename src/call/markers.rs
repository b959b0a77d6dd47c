//! Markers from the keyboard: a line that is typed while the call is recorded names the moment at which Enter was pressed.
#![allow(clippy::needless_pass_by_value, reason = "the ECS hands systems their parameters by value")]

use std::io::{BufRead, IsTerminal, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bevy_ecs::resource::Resource;
use bevy_ecs::system::{Res, ResMut};
use hyperzoom_record_plugin::Take;

use super::flow::{Call, Phase};

/// The most of a line that is read, in bytes; the rest of a longer one is another.
const LINE_LIMIT: u64 = 4096;

/// How long to wait before a terminal that would not be read is tried again: a job in the background may come to the front.
const BACKGROUND: Duration = Duration::from_millis(500);

/// Lines that wait for the call; who writes more of them waits as well.
const WAITING: usize = 64;

/// The most markers that are set at a time: a file that is poured in must not keep the call from anything else.
const AT_A_TIME: usize = 4;

/// Lines from standard input, each with the moment at which it was complete.
#[derive(Resource)]
pub(super) struct Prompt {
    lines: Mutex<Receiver<(Instant, String)>>,
    terminal: bool,
}

impl Prompt {
    /// Listens to standard input: where it is a terminal, or where it is `asked` for.
    pub(super) fn open(asked: bool) -> Option<Self> {
        let terminal = std::io::stdin().is_terminal();
        if !terminal && !asked {
            return None;
        }
        let (sender, lines) = sync_channel(WAITING);
        // It waits in a read for as long as the process lives, and ends with it; nobody joins it.
        std::thread::Builder::new()
            .name("hz-markers".into())
            .spawn(move || {
                fail_instead_of_stopping();
                listen(std::io::stdin().lock(), terminal, &sender);
            })
            .ok()?;
        Some(Self { lines: Mutex::new(lines), terminal })
    }

    /// Whether somebody types.
    pub(super) fn is_terminal(&self) -> bool {
        self.terminal
    }
}

/// A job in the background that reads its terminal is stopped by the system (SIGTTIN), and its recording with it, unless the
/// thread that reads blocks that signal: then the read fails (POSIX.1-2024, 11.1.4).
#[cfg(unix)]
fn fail_instead_of_stopping() {
    // SAFETY: the set is made by sigemptyset before anything reads it, and only this thread's mask changes.
    unsafe {
        let mut set = std::mem::zeroed::<libc::sigset_t>();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGTTIN);
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
    }
}

#[cfg(not(unix))]
fn fail_instead_of_stopping() {}

/// Reads lines until there are no more, or nobody wants them.
fn listen(mut from: impl BufRead, terminal: bool, sender: &SyncSender<(Instant, String)>) {
    let mut line = Vec::new();
    loop {
        line.clear();
        match from.by_ref().take(LINE_LIMIT).read_until(b'\n', &mut line) {
            Ok(0) => return,
            Ok(_) => {
                let text = String::from_utf8_lossy(&line).trim().to_owned();
                if sender.send((Instant::now(), text)).is_err() {
                    return;
                }
            }
            Err(_) if terminal => std::thread::sleep(BACKGROUND),
            Err(_) => return,
        }
    }
}

/// Sets a marker for each line that has come.
pub(super) fn set(call: Res<'_, Call>, prompt: Option<ResMut<'_, Prompt>>, mut take: ResMut<'_, Take>) {
    let Some(mut prompt) = prompt else { return };
    let lines = prompt.lines.get_mut().unwrap_or_else(PoisonError::into_inner);
    for (at, name) in lines.try_iter().take(AT_A_TIME) {
        let session_ns = call.clock.get().session_ns(at.saturating_duration_since(call.epoch));
        if take.mark_at(session_ns, &name).is_none() && call.phase != Phase::Over {
            call.console.say("no marker was set: nothing is being recorded");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_a_name_and_the_last_needs_no_end() {
        let (sender, lines) = sync_channel(WAITING);
        listen(&b"the good bit\r\n\n\xff odd \nlast"[..], false, &sender);
        let names: Vec<_> = lines.try_iter().map(|(_, name)| name).collect();
        assert_eq!(names, ["the good bit", "", "\u{fffd} odd", "last"]);
    }

    #[test]
    fn a_line_without_end_does_not_fill_the_memory() {
        let (sender, lines) = sync_channel(WAITING);
        listen(std::io::BufReader::new(std::io::repeat(b'x').take(10_000)), false, &sender);
        assert!(lines.try_iter().all(|(_, name)| name.len() as u64 <= LINE_LIMIT));
    }
}
