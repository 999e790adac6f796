//! docs/service.md: what was checked on which kernel, and what was seen.

use std::fmt::Write as _;
use std::fs;

use anyhow::{Context, Result};

use super::checks::{DOCUMENTED, Row};
use super::{EXPOSURE, Run};
use crate::paths;

/// One kernel's table.
pub(super) fn table(run: &Run) -> String {
    let Run { kernel, rows, problem, seconds } = run;
    let good = run.good();
    let mut text = format!("## Linux {kernel}\n\n{good} of {} checks hold, in {seconds:.0} s.", rows.len());
    if let Some(problem) = problem {
        let _ = write!(text, " The guest: {problem}.");
    }
    text.push_str("\n\n| check | wanted | seen | |\n|---|---|---|---|\n");
    for Row { what, wanted, seen, is_good } in rows {
        let verdict = if *is_good { "holds" } else { "FAILS" };
        let _ = writeln!(text, "| {what} | {} | {} | {verdict} |", cell(wanted), cell(seen));
    }
    text
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

/// Writes the page.
pub(super) fn write(runs: &[Run]) -> Result<()> {
    let mut text = format!(
        "# The service in guests\n\nMade by `cargo xtask service --write`. Debian 12 with systemd 252 as its first process, under \
         QEMU's emulation, one guest for each kernel: the package is installed, its service watched, provoked, upgraded and purged. \
         `systemd-analyze security` may say {EXPOSURE:.1} at most. A short form is part of `cargo xtask test`.\n\n\
         Warnings and errors in mmscope's log that are no fault here:\n\n"
    );
    for (part, reason) in DOCUMENTED {
        let _ = writeln!(text, "- \"{part}\": {reason}");
    }
    for run in runs {
        let _ = write!(text, "\n{}", table(run));
    }
    let file = paths::root().join("docs/service.md");
    fs::write(&file, text).with_context(|| format!("write {}", file.display()))
}
