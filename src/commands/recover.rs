//! `hyperzoom recover`.

use std::path::{Path, PathBuf};

use hyperzoom_recorder::{RECORDING, RecoverError, Recovered, find_unfinished};
use serde_json::{Value, json};

use crate::call::describe_recovery;
use crate::cli::RecoverArgs;
use crate::console::Console;
use crate::error::CommandError;

pub(super) fn run(args: &RecoverArgs) -> Result<(), CommandError> {
    let console = Console::new();
    let mut takes: Vec<(PathBuf, bool)> = Vec::new();
    for path in &args.paths {
        if is_folder_of_takes(path) {
            let found = find_unfinished(path);
            if found.is_empty() {
                console.say(format!("{}: no take in there was cut off", path.display()));
            }
            takes.extend(found.into_iter().map(|take| (take, false)));
        } else {
            takes.push((path.clone(), true));
        }
    }
    let mut outcomes = Vec::new();
    let mut bad = 0;
    for (number, (path, named)) in takes.iter().enumerate() {
        console.status(format!("recovering {} of {}: {}", number + 1, takes.len(), path.display()));
        let outcome = hyperzoom_recorder::recover(path);
        // In a folder of takes one that is being recorded is none of those that were asked for.
        let left_alone = matches!(outcome, Err(RecoverError::Running { .. })) && !named;
        bad += usize::from(outcome.is_err() && !left_alone);
        if !args.json {
            let text = match &outcome {
                Ok(done) => describe_recovery(done),
                Err(RecoverError::Running { .. }) if left_alone => "left alone: it is being recorded".into(),
                Err(error) => format!("FAILED: {error}"),
            };
            console.clear();
            println!("{}\n  {text}", path.display());
        }
        outcomes.push(as_json(path, &outcome));
    }
    console.clear();
    if args.json {
        println!("{:#}", Value::from(outcomes));
    }
    match bad {
        0 => Ok(()),
        1 if takes.len() == 1 => Err(CommandError::Failed("the take could not be recovered".into())),
        _ => Err(CommandError::Failed(format!("{bad} of {} takes could not be recovered", takes.len()))),
    }
}

/// Whether it is a folder that takes are kept in, and not a take.
fn is_folder_of_takes(path: &Path) -> bool {
    path.is_dir() && !path.join(RECORDING).exists()
}

fn as_json(path: &Path, outcome: &Result<Recovered, RecoverError>) -> Value {
    let path = path.to_string_lossy();
    match outcome {
        Ok(done) => json!({
            "path": path,
            "outcome": if done.already_finished { "finished" } else { "recovered" },
            "file": done.file.to_string_lossy(),
            "frames": done.frames,
            "seconds": done.seconds,
            "salvaged_frames": done.salvaged_frames,
            "bytes": done.bytes,
            "markers": done.markers,
            "warnings": done.warnings,
        }),
        Err(error) => {
            let outcome = if matches!(error, RecoverError::Running { .. }) { "running" } else { "failed" };
            json!({ "path": path, "outcome": outcome, "error": error.to_string() })
        }
    }
}
