//! How much of its time the computer did not give to a thread that wanted it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long the watching thread sleeps.
const NAP: Duration = Duration::from_millis(1);

/// Waking later than this after it is a stall: longer than a period of sound, which then cannot come in time either.
const STALL: Duration = Duration::from_millis(4);

/// Watches from its start until [`total`](Self::total) is asked for.
pub struct Stalls {
    over: Arc<AtomicBool>,
    thread: JoinHandle<Duration>,
}

impl Stalls {
    /// Begins to watch.
    ///
    /// # Panics
    /// Where the system gives no thread.
    #[must_use]
    pub fn watch() -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let seen = over.clone();
        let thread = std::thread::spawn(move || {
            let mut total = Duration::ZERO;
            let mut last = Instant::now();
            while !seen.load(Ordering::Relaxed) {
                std::thread::sleep(NAP);
                let now = Instant::now();
                let late = (now - last).saturating_sub(NAP);
                total += if late > STALL { late } else { Duration::ZERO };
                last = now;
            }
            total
        });
        Self { over, thread }
    }

    /// The length of all stalls together.
    ///
    /// # Panics
    /// Where the watching thread has died.
    #[must_use]
    pub fn total(self) -> Duration {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().expect("it only sleeps")
    }
}
