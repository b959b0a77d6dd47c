//! Keeps away from JACK while streams are open whose server has died.
//!
//! Where the server has gone, libjack (1.9.21) deletes all the clients of the process as soon as the next one is opened, if only to
//! ask whether there is a server. Closing one of them after that is a use after free. So they are closed first.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// How long a callback that tells of a server's death may take: it sends one message.
const RETURN: Duration = Duration::from_millis(100);

/// The streams of a process.
struct Streams {
    open: AtomicUsize,
    died: AtomicBool,
}

static STREAMS: Streams = Streams::new();

/// An open stream. To be dropped after it.
pub(crate) struct Client(&'static Streams);

impl Client {
    /// Notes that a stream is about to be opened.
    pub(crate) fn new() -> Self {
        STREAMS.opened()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if self.0.open.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.died.store(false, Ordering::SeqCst);
        }
    }
}

/// Notes that a stream's server has died. May be called by a callback.
pub(crate) fn server_died() {
    STREAMS.died.store(true, Ordering::SeqCst);
}

/// To be called before a stream is closed. Where its server has died it waits until whoever told so has returned: libjack cancels that
/// thread, and one that is cancelled in our code takes the program with it.
pub(crate) fn before_closing() {
    if !STREAMS.may_ask() {
        std::thread::sleep(RETURN);
    }
}

/// Whether a client may be opened.
pub(crate) fn may_ask() -> bool {
    STREAMS.may_ask()
}

impl Streams {
    const fn new() -> Self {
        Self { open: AtomicUsize::new(0), died: AtomicBool::new(false) }
    }

    fn opened(&'static self) -> Client {
        self.open.fetch_add(1, Ordering::SeqCst);
        Client(self)
    }

    fn may_ask(&self) -> bool {
        !self.died.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_servers_streams_are_all_closed_before_anybody_asks_again() {
        static STREAMS: Streams = Streams::new();
        let (microphone, loudspeaker) = (STREAMS.opened(), STREAMS.opened());
        assert!(STREAMS.may_ask());
        STREAMS.died.store(true, Ordering::SeqCst);
        assert!(!STREAMS.may_ask());
        drop(microphone);
        assert!(!STREAMS.may_ask(), "the loudspeaker is still open");
        drop(loudspeaker);
        assert!(STREAMS.may_ask());
    }
}
