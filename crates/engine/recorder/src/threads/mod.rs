//! The three threads of a take: pictures, sound, disk.

pub(crate) mod disk;
pub(crate) mod pictures;
pub(crate) mod sound;

use std::time::Duration;

/// How long a thread that found nothing to do sleeps: far below a tick, and the rings hold seconds.
const NAP: Duration = Duration::from_millis(3);
