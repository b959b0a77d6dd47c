//! `hyperzoom verify`.

use serde_json::{Value, json};

use crate::cli::VerifyArgs;
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
    if args.json {
        println!("{:#}", Value::from(found));
    }
    match bad {
        0 => Ok(()),
        1 if args.folders.len() == 1 => Err(CommandError::Failed("the take is not as it should be".into())),
        _ => Err(CommandError::Failed(format!(
            "{bad} of {} takes are not as they should be",
            args.folders.len()
        ))),
    }
}
