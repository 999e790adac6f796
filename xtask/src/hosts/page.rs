//! What hosts showed, as tables and as the texts of docs/hosts.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::Value;

use super::guest::Run;
use super::kinds::{HOSTS, Host};
use super::results::{Results, Shown};
use crate::{marks, paths};

const FOLDER: &str = "docs/hosts";
const PAGE: &str = "docs/hosts.md";

/// The tables of README and of the page.
pub(super) fn write(results: &Results) -> Result<()> {
    let table = table(results);
    marks::replace("README.md", "hosts", &table)?;
    marks::replace(PAGE, "hosts", &table)?;
    marks::replace(PAGE, "hosts in particular", &particulars(results))
}

/// What doctor said, for the folder.
pub(super) fn write_doctor(host: &Host, run: &Run) -> Result<()> {
    let path = file(host);
    fs::write(&path, doctor_text(run)).with_context(|| format!("write {}", path.display()))
}

/// What doctor says, if it is something else than what is in the folder.
pub(super) fn doctor_differs(host: &Host, run: &Run) -> Result<Option<String>> {
    let path = file(host);
    let known = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    let text = doctor_text(run);
    let same = |text: &str| text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
    Ok((same(&known) != same(text)).then(|| text.to_owned()))
}

fn file(host: &Host) -> PathBuf {
    paths::root().join(FOLDER).join(format!("{}.txt", host.name))
}

/// Of where it does not start, what it says.
fn doctor_text(run: &Run) -> &str {
    run.check("doctor").and_then(|told| told["text"].as_str()).unwrap_or_default()
}

/// One row for each host that was looked at.
pub(super) fn table(results: &Results) -> String {
    let mut text = "| host | kernel | attached | windows | flushes | mmap_lock | waits | userfaults | cgroup names | \
        own counts minus the kernel's |\n|---|---|---|---|---|---|---|---|---|---|\n"
        .to_owned();
    for host in HOSTS {
        let Some(shown) = results.0.get(host.name) else { continue };
        let cells = [
            attached(shown),
            counted(shown, "windows"),
            counted(shown, "flushes"),
            counted(shown, "locks"),
            waits(shown),
            counted(shown, "userfaults"),
            cgroup(shown),
            exactness(shown),
        ];
        let failed = if shown.is_good { "" } else { " **(failed)**" };
        let _ = writeln!(text, "| {}{failed} | {} | {} |", host.about, shown.kernel, cells.join(" | "));
    }
    text
}

fn attached(shown: &Shown) -> String {
    if let Some(refusal) = shown.checks.get("refusal") {
        return format!("refused, exit code {}", refusal["code"]);
    }
    let Some(attached) = shown.checks.get("attached") else { return "?".to_owned() };
    let tiers: Vec<&str> = attached["tiers"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    match attached["missing"].as_u64() {
        Some(0) | None => tiers.join(", "),
        Some(missing) => format!("{}; {missing} absent", tiers.join(", ")),
    }
}

fn counted(shown: &Shown, check: &str) -> String {
    let Some(told) = shown.checks.get(check) else { return "-".to_owned() };
    if told["absent"].is_string() {
        return "absent, named".to_owned();
    }
    let missed = told["missed"].as_f64().filter(|missed| *missed > 0.0);
    let missed = missed.map(|missed| format!(", {missed} missed")).unwrap_or_default();
    format!("{} of {}{missed}", told["own"], told["known"]).replace(".0", "")
}

fn waits(shown: &Shown) -> String {
    match shown.checks.get("waits") {
        None => "-".to_owned(),
        Some(told) if told["absent"].is_string() => "absent, named".to_owned(),
        Some(_) => "both modes".to_owned(),
    }
}

fn cgroup(shown: &Shown) -> String {
    let Some(told) = shown.checks.get("cgroup") else { return "-".to_owned() };
    let right = |who: &str| told[who] == told["expected"];
    match (right("stays"), right("leaves")) {
        (true, true) => "right".to_owned(),
        (true, false) => "right, of the dead not".to_owned(),
        _ => "wrong".to_owned(),
    }
}

fn exactness(shown: &Shown) -> String {
    let Some(exactness) = &shown.exactness else { return "-".to_owned() };
    let missed =
        if exactness.missed > 0 { format!(", {} skipped and counted", exactness.missed) } else { String::new() };
    format!("{} of {} events{missed}", exactness.difference, exactness.events)
}

/// What only some hosts are asked, and what was absent.
fn particulars(results: &Results) -> String {
    let mut text = "| host | of its own | absent families | doctor's text |\n|---|---|---|---|\n".to_owned();
    for host in HOSTS {
        let Some(shown) = results.0.get(host.name) else { continue };
        let own: Vec<String> = ["huge", "hugetlb", "numa"]
            .into_iter()
            .filter(|check| shown.checks.contains_key(*check))
            .map(|check| format!("{check} windows {}", counted(shown, check)))
            .chain(shown.checks.get("paging").map(|told| format!("{} levels of page tables", told["levels"])))
            .chain(shown.checks.get("refusal").and_then(|told| Some(format!("`{}`", told["text"].as_str()?.trim()))))
            .collect();
        let absent = shown.checks.get("attached").and_then(|told| told["absent"].as_array());
        let absent: Vec<String> =
            absent.into_iter().flatten().filter_map(|name| Some(format!("`{}`", name.as_str()?))).collect();
        let dash = |words: &[String]| if words.is_empty() { "-".to_owned() } else { words.join(", ") };
        let _ = writeln!(
            text,
            "| {} | {} | {} | [{name}.txt](hosts/{name}.txt) |",
            host.about,
            dash(&own),
            dash(&absent),
            name = host.name
        );
    }
    text
}
