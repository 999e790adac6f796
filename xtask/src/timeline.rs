//! A timeline as Perfetto reads it: a recording of provoked overlaps is exported, decoded by Perfetto's own classes, and asked in
//! SQL whether window, write fault and flush are there, by which thread, and in which order.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::setup::{self, Wants};
use crate::{build, paths, sh};

/// Perfetto's classes, from PyPI; Debian has no package of its trace processor.
const PACKAGES: [&str; 2] = ["perfetto==0.59.1", "protobuf==7.36.2"];
const TABLES: &str = include_str!("timeline/tables.py");
/// From the checkout's root. `cargo xtask recording --only overlap` makes it.
const RECORDING: &str = "daemon/tests/recordings/overlap.mmrec";

/// What is asked, the query, and the rows that answer it. The workload does twenty rounds.
fn questions() -> Vec<(&'static str, &'static str, Value)> {
    vec![
        ("nothing is wrong with it", "select what from stats", json!([])),
        (
            "two threads of the workload",
            "select count(distinct tid), count(distinct pid) from thread where name = 'overlap'",
            json!([[2, 1]]),
        ),
        (
            "a window for each un-protection: one before the rounds, one in each",
            "select count(*) from slice join args on slice_id = slice.id where name = 'window uffd_unwp' and utid is not null \
             and key = 'operation' and value = 'uffd_ioctl'",
            json!([[21]]),
        ),
        (
            "write faults that met a window, which leads to them",
            "select count(*) > 0, count(*) = (select count(*) from slice where name = 'write fault, mitigated') from slice fault \
             join flow on flow.slice_in = fault.id join slice window on window.id = flow.slice_out \
             where fault.name = 'write fault, mitigated' and window.name = 'window uffd_unwp'",
            json!([[1, 1]]),
        ),
        (
            "each by another thread than the window's, inside of it",
            "select count(*) from slice fault join flow on flow.slice_in = fault.id \
             join slice window on window.id = flow.slice_out where fault.category = 'write_fault' \
             and not (window.utid <> fault.utid and window.ts < fault.ts and fault.ts < window.ts + window.dur)",
            json!([[0]]),
        ),
        (
            "each with the flush of its page inside, by the thread that writes",
            "select count(*) from slice fault where fault.name = 'write fault, mitigated' and not exists \
             (select * from slice flush where flush.name = 'flush page' and flush.utid = fault.utid \
             and flush.ts between fault.ts and fault.ts + fault.dur)",
            json!([[0]]),
        ),
        (
            "first the window, then the fault, then the flush that it was forced to, and then the window's end",
            "select count(*) > 0, sum(window.ts < fault.ts and fault.ts < flush.ts and flush.ts < window.ts + window.dur) \
             = count(*) from slice fault join flow on flow.slice_in = fault.id join slice window on window.id = slice_out \
             join slice flush on flush.utid = fault.utid and flush.ts between fault.ts and fault.ts + fault.dur \
             where fault.category = 'write_fault' and flush.name = 'flush page'",
            json!([[1, 1]]),
        ),
        (
            "windows lead to the flush that completed them, inside of them and by their own thread",
            "select count(*) > 0, sum(window.utid = flush.utid and flush.ts between window.ts and window.ts + window.dur) \
             = count(*) from flow join slice window on window.id = slice_out join slice flush on flush.id = slice_in \
             where flush.category = 'flush'",
            json!([[1, 1]]),
        ),
        (
            "both stacks",
            "select count(*) > 0, sum(value like '%do_wp_page%') = count(*) from args join slice on slice.id = slice_id \
             where key = 'stack' and category = 'write_fault' union all \
             select count(*) > 0, sum(value like '%userfaultfd_ioctl%') = count(*) from args join slice on slice.id = slice_id \
             where key = 'stack' and name = 'window uffd_unwp' and slice.id in (select slice_out from flow)",
            json!([[1, 1], [1, 1]]),
        ),
        (
            "the same windows on the track of the mm",
            "select count(*) = (select count(*) from slice where name = 'window uffd_unwp') from slice join track on track.id = track_id join track mm on mm.id = track.parent_id \
             where mm.name like 'mm of overlap %' and track.name = 'windows' and slice.name like 'window uffd_unwp by overlap %'",
            json!([[1]]),
        ),
        (
            "no record was lost, and that is told",
            "select name, max(value) from counter group by name having name = 'lost: ring_full'",
            json!([["lost: ring_full", 0]]),
        ),
    ]
}

/// Asks, and prints each answer. The exit code is 1 if one is not as it should be.
pub(crate) fn main() -> Result<ExitCode> {
    let tools = setup::setup(Wants { guests: false })?;
    let built = build::build(&tools, false, false)?;
    let folder = paths::target().join("timeline");
    fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    let trace = folder.join("overlap.pftrace");
    let recording = paths::root().join(RECORDING);
    sh::run(Command::new(&built.mmscope).args(["export", "--perfetto", "-o"]).arg(&trace).arg(recording))?;
    let questions = questions();
    let answers = ask(&python()?, &folder, &trace, questions.iter().map(|(_, query, _)| *query))?;
    let mut passed = true;
    for ((what, _, expected), answer) in questions.iter().zip(&answers) {
        let is_right = expected == answer;
        passed &= is_right;
        println!(
            "{}: {what}{}",
            if is_right { "yes" } else { "NO" },
            if is_right { String::new() } else { format!(": {answer}") }
        );
    }
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A Python that has Perfetto's classes, in the cache.
fn python() -> Result<PathBuf> {
    let folder = paths::cache()?.join("tools/perfetto-0.59.1");
    let python = folder.join("bin/python");
    if !sh::is_executable(&python) {
        let new = folder.with_extension("new");
        eprintln!("timeline: {} from PyPI", PACKAGES.join(", "));
        sh::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&new))?;
        let mut pip = Command::new(new.join("bin/python"));
        sh::run(pip.args(["-m", "pip", "install", "--quiet", "--no-deps"]).args(PACKAGES).stdout(Stdio::null()))?;
        // Under its final name only when complete.
        fs::rename(&new, &folder).with_context(|| format!("write {}", folder.display()))?;
    }
    Ok(python)
}

fn ask<'a>(
    python: &Path,
    folder: &Path,
    trace: &Path,
    queries: impl ExactSizeIterator<Item = &'a str>,
) -> Result<Vec<Value>> {
    let script = folder.join("tables.py");
    fs::write(&script, TABLES).with_context(|| format!("write {}", script.display()))?;
    let count = queries.len();
    let mut asked = Command::new(python);
    asked.arg(&script).arg(trace).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut asked = asked.spawn().context("start Python")?;
    let text = queries.collect::<Vec<_>>().join(";\n");
    asked.stdin.take().context("write to Python")?.write_all(text.as_bytes()).context("write to Python")?;
    let output = asked.wait_with_output().context("read from Python")?;
    if !output.status.success() {
        bail!("{}: {}", script.display(), output.status);
    }
    let answers = String::from_utf8_lossy(&output.stdout);
    let answers: Vec<Value> = answers.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    ensure!(answers.len() == count, "{} of {count} queries were answered", answers.len());
    Ok(answers)
}
