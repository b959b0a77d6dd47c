//! What was found in a take, for a script and for a person.

use hyperzoom_recorder::{Check, Verdict};
use serde_json::{Value, json};

/// The findings as JSON.
#[must_use]
pub fn json(verdict: &Verdict) -> Value {
    let checks: Vec<Value> = verdict
        .checks
        .iter()
        .map(|check| json!({ "name": check.name, "ok": check.ok, "detail": check.detail }))
        .collect();
    json!({ "folder": verdict.folder.to_string_lossy(), "ok": verdict.ok(), "checks": checks })
}

/// The findings that are not well, a line each.
pub fn failures(verdict: &Verdict) -> impl Iterator<Item = String> + '_ {
    verdict.checks.iter().filter(|check| !check.ok).map(line)
}

/// The findings for a person, a line each.
#[must_use]
pub fn text(verdict: &Verdict) -> String {
    let mut text = format!("{}\n", verdict.folder.display());
    for check in &verdict.checks {
        text.push_str(if check.ok { "  ok    " } else { "  FAIL  " });
        text.push_str(&line(check));
        text.push('\n');
    }
    text
}

fn line(check: &Check) -> String {
    format!("{}: {}", check.name, check.detail)
}
