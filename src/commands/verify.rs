//! `hyperzoom verify`.

use std::path::{Path, PathBuf};

use hyperzoom_recorder::{Comparison, Grade, Listened, compare, listen};
use serde_json::{Value, json};

use crate::cli::VerifyArgs;
use crate::console::Console;
use crate::error::CommandError;
use crate::verdict;

pub(super) fn run(args: &VerifyArgs) -> Result<(), CommandError> {
    let mut found: Vec<Value> = Vec::new();
    let mut bad = 0;
    for folder in &args.folders {
        match hyperzoom_recorder::verify(folder) {
            Ok(verdict) => {
                bad += usize::from(!verdict.ok());
                if !args.json {
                    print!("{}", verdict::text(&verdict));
                }
                found.push(verdict::json(&verdict));
            }
            Err(error) => {
                bad += 1;
                if !args.json {
                    println!("{}\n  FAIL  {error}", folder.display());
                }
                found.push(json!({ "folder": folder.to_string_lossy(), "ok": false, "checks": [], "error": error.to_string() }));
            }
        }
    }
    let red = if args.folders.len() > 1 { against_each_other(args, &mut found) } else { 0 };
    if args.json {
        println!("{:#}", Value::from(found));
    }
    match (bad, red) {
        (0, 0) => Ok(()),
        (0, red) => Err(CommandError::Failed(format!(
            "{red} pairs of takes do not lie as their timecode says: line them up by their sync tone"
        ))),
        (1, _) if args.folders.len() == 1 => {
            Err(CommandError::Failed("the take is not as it should be".into()))
        }
        _ => Err(CommandError::Failed(format!(
            "{bad} of {} takes are not as they should be",
            args.folders.len()
        ))),
    }
}

/// Holds the takes of each session against each other, and adds to each of `found` what came of it. Returns how many pairs are red.
fn against_each_other(args: &VerifyArgs, found: &mut [Value]) -> usize {
    let console = Console::new();
    let mut heard: Vec<(usize, Listened)> = Vec::new();
    for (number, folder) in args.folders.iter().enumerate() {
        console.status(format!(
            "listening to {} of {}: {}",
            number + 1,
            args.folders.len(),
            folder.display()
        ));
        match listen(folder) {
            Ok(take) => {
                if let Some(error) = &take.heard_error {
                    add(&mut found[number], "heard_error", json!(error));
                }
                heard.push((number, take));
            }
            // What is wrong with a damaged one has been said; of one whose sound alone is broken it is said here.
            Err(error) => add(&mut found[number], "sync_error", json!(error.to_string())),
        }
    }
    console.clear();
    let mut pairs: Vec<Comparison> = Vec::new();
    for (n, (number, first)) in heard.iter().enumerate() {
        let of_session = |(_, second): &&(usize, Listened)| second.session_id == first.session_id;
        let new: Vec<_> =
            heard[n + 1..].iter().filter(of_session).map(|(_, second)| compare(first, second)).collect();
        add(&mut found[*number], "sync", json!(new));
        pairs.extend(new);
    }
    let strangers = strangers(&heard);
    if !args.json {
        if !pairs.is_empty() {
            println!("against each other");
        }
        pairs.iter().for_each(|pair| println!("{}", verdict::pair_text(pair)));
        for (_, take) in &heard {
            if let Some(error) = &take.heard_error {
                println!(
                    "  -       {}: what was heard of the others says nothing: {error}",
                    take.folder.display()
                );
            }
        }
        for (folder, session) in &strangers {
            println!(
                "  -       {} is of session {session}, and there is no other take of that to compare it with",
                folder.display()
            );
        }
    }
    pairs.iter().filter(|pair| pair.grade == Some(Grade::Red)).count()
}

fn add(to: &mut Value, key: &str, value: Value) {
    if let Some(fields) = to.as_object_mut() {
        fields.insert(key.to_owned(), value);
    }
}

/// Takes whose session has no other take among them, and that session.
fn strangers(heard: &[(usize, Listened)]) -> Vec<(PathBuf, String)> {
    let of = |session: &str| heard.iter().filter(|(_, take)| take.session_id == session).count();
    let alone = heard.iter().filter(|(_, take)| of(&take.session_id) == 1);
    alone.map(|(_, take)| (Path::new(&take.folder).to_owned(), take.session_id.clone())).collect()
}
