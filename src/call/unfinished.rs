//! Takes that an earlier call left unfinished are finished while this one goes on.

use std::path::PathBuf;

use hyperzoom_recorder::{RecoverError, Recovered, find_unfinished, recover};

use crate::console::{Console, clock};

/// Finishes what was cut off in `folder`, on a thread of its own, and says so. Takes that are being recorded are left alone.
pub(super) fn recover_in_background(folder: PathBuf, console: Console) {
    let work = move || {
        for take in find_unfinished(&folder) {
            match recover(&take) {
                Ok(done) if done.already_finished => (),
                Ok(done) => console.say(format!("{}: {}", take.display(), describe(&done))),
                Err(error @ RecoverError::Running { .. }) => tracing::debug!("{error}"),
                Err(error) => console.say(format!("an earlier take was cut off, and {error}")),
            }
        }
    };
    // Without it the takes stay as they are, until the next time.
    drop(std::thread::Builder::new().name("hz-recover".into()).spawn(work));
}

/// What a recovery came to, for a person.
pub(crate) fn describe(done: &Recovered) -> String {
    let length = clock(std::time::Duration::from_secs_f64(done.seconds));
    let mut text = match done.already_finished {
        true => format!("nothing to do: it is finished ({length})"),
        false => format!("recovered {length} ({} frames, {:.1} MB)", done.frames, done.bytes as f64 / 1e6),
    };
    if done.salvaged_frames > 0 {
        text.push_str(&format!(", {} of them from a torn second", done.salvaged_frames));
    }
    match done.markers.len() {
        0 => (),
        1 => text.push_str(", 1 marker"),
        count => text.push_str(&format!(", {count} markers")),
    }
    for warning in &done.warnings {
        text.push_str("; ");
        text.push_str(warning);
    }
    text
}
