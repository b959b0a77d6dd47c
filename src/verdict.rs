//! What was found in a take, for a script and for a person.

use hyperzoom_recorder::{Check, Comparison, Verdict};
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

/// How two takes lie to each other, as a line.
#[must_use]
pub fn pair_text(pair: &Comparison) -> String {
    let grade = pair.grade.map_or_else(|| "-".to_owned(), |grade| grade.to_string());
    let drift = pair.residual_drift_ppm.map(|ppm| format!(", drift {ppm:+.2} ppm")).unwrap_or_default();
    let offset = pair.offset_ms.map(|ms| format!("{ms:+.3} ms{drift}: ")).unwrap_or_default();
    let name = |path: &std::path::Path| {
        let last: Vec<_> = path.iter().rev().take(2).collect();
        last.iter().rev().map(|part| part.to_string_lossy()).collect::<Vec<_>>().join("/")
    };
    format!("  {grade:<7} {} and {}: {offset}{}", name(&pair.first), name(&pair.second), pair.reason)
}

fn line(check: &Check) -> String {
    format!("{}: {}", check.name, check.detail)
}
