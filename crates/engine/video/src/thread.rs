//! Threads with a name.

use std::thread::JoinHandle;

use crate::VideoError;

/// Starts a thread whose name a debugger and `top -H` show.
pub(crate) fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, VideoError> {
    std::thread::Builder::new().name(name.to_owned()).spawn(body).map_err(VideoError::Thread)
}

/// Repeats a question until it has an answer; gives up after a minute, so that a broken thread fails its test.
#[cfg(test)]
pub(crate) fn wait_for<T>(mut question: impl FnMut() -> Option<T>) -> T {
    let asked = std::time::Instant::now();
    loop {
        if let Some(answer) = question() {
            return answer;
        }
        assert!(asked.elapsed().as_secs() < 60, "no answer within a minute");
        std::thread::yield_now();
    }
}
