//! The storms of the guests' tests at full length: thousands of short-lived processes, hundreds of attachings under load.
//! What they check is in `daemon/tests/guest.rs`; here are only their sizes, and the page that tells how they went.

use std::process::ExitCode;
use std::time::Duration;
use std::{fs, io};

use anyhow::{Context, Result};
use clap::Args;
use serde_json::Value;

use crate::kernels::{self, KERNELS};
use crate::libtest::Counts;
use crate::live_test::{Binaries, build_live_test};
use crate::setup::{self, GuestTools, Wants};
use crate::workers::in_parallel;
use crate::{build, dist, paths};

/// How a line of a test's begins that carries its figures.
const LINE: &str = "storm: ";
const PAGE: &str = "docs/storms.md";

/// `cargo xtask storm`.
#[derive(Args)]
pub(crate) struct StormArgs {
    /// Boot this kernel, as `vm` takes it (5.10, 6.1, 6.12, 6.18 and the newest 7.x if none is given)
    #[arg(long)]
    kernel: Vec<String>,
    /// Short-lived processes
    #[arg(long, default_value_t = 20_000)]
    processes: u32,
    /// Times to attach and detach
    #[arg(long, default_value_t = 200)]
    attach: u32,
    /// Write docs/storms.md; its rows of other kernels stay
    #[arg(long)]
    write: bool,
}

/// Runs both storms on each kernel.
pub(crate) fn main(args: &StormArgs) -> Result<ExitCode> {
    let tools = setup::setup(Wants { guests: true })?;
    let guests = tools.guests.as_ref().context("set-up of the guest tools")?;
    let object = build::bpf(&tools, false)?;
    let [mmscope, mmload] = dist::dist(&tools, false)?;
    let program = build_live_test(&object, "guest")?;
    let binaries = Binaries { object: &object, mmscope: &mmscope, mmload: &mmload, program: &program };
    let kernels: Vec<&str> = match args.kernel.as_slice() {
        [] => KERNELS.to_vec(),
        given => given.iter().map(String::as_str).collect(),
    };
    let storms = in_parallel(kernels, |kernel| storm(args, guests, &binaries, kernel))?;
    let storms = storms.into_iter().collect::<Result<Vec<_>>>()?;
    print!("\n{}", table(&storms, &[]));
    if args.write {
        let path = paths::root().join(PAGE);
        let others = match fs::read_to_string(&path) {
            Ok(page) => other_rows(&page, &storms),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error).with_context(|| format!("read {}", path.display())),
        };
        fs::write(&path, page(&table(&storms, &others))).with_context(|| format!("write {}", path.display()))?;
    }
    let passed = storms.iter().all(|storm| storm.problem.is_none());
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// How it went on one kernel.
struct Storm {
    release: String,
    /// What the tests told.
    figures: Vec<Value>,
    seconds: f64,
    problem: Option<String>,
}

impl Storm {
    fn figure(&self, name: &str) -> String {
        let found = self.figures.iter().find_map(|figures| figures.get(name));
        found.map_or_else(|| "-".to_owned(), Value::to_string)
    }
}

fn storm(args: &StormArgs, guests: &GuestTools, binaries: &Binaries<'_>, kernel: &str) -> Result<Storm> {
    let env = [
        ("STORM_PROCESSES", args.processes.to_string()),
        ("STORM_ATTACH", args.attach.to_string()),
        ("RUST_TEST_NOCAPTURE", "1".to_owned()),
    ];
    let timeout = Duration::from_secs(600 + u64::from(args.processes) / 4 + 20 * u64::from(args.attach));
    let kernel = kernels::resolve(kernel)?;
    let release = kernel.release.clone();
    let outcome = binaries.boot(guests, kernel, &["storm".to_owned()], &env, timeout)?;
    let mut counts = Counts::default();
    outcome.output.lines().for_each(|line| counts.add_line(line));
    let of_both = (counts.failed > 0 || counts.passed != 2)
        .then(|| format!("{} passed, {} failed of 2 tests", counts.passed, counts.failed));
    let figures = outcome.output.lines().filter_map(|line| serde_json::from_str(line.split_once(LINE)?.1).ok());
    Ok(Storm { release, figures: figures.collect(), seconds: outcome.seconds, problem: outcome.problem().or(of_both) })
}

const HEAD: &str = "| kernel | processes | address spaces | addresses | of both names | attached and detached \
    | open files before | after | seconds | problem |\n";

/// The table's rows of kernels that were not run this time.
fn other_rows(page: &str, storms: &[Storm]) -> Vec<String> {
    let is_new = |row: &str| storms.iter().any(|storm| row.starts_with(&format!("| {} |", storm.release)));
    let rows = page.lines().filter(|line| line.starts_with("| ") && !HEAD.starts_with(line));
    rows.filter(|row| !is_new(row)).map(str::to_owned).collect()
}

fn table(storms: &[Storm], others: &[String]) -> String {
    let mut rows = others.to_vec();
    for storm in storms {
        let problem = storm.problem.as_deref().unwrap_or("none");
        let figures = ["children", "mms", "addresses", "shared", "attached", "files_before", "files_after"];
        let figures: Vec<String> = figures.iter().map(|name| storm.figure(name)).collect();
        rows.push(format!("| {} | {} | {:.0} | {problem} |", storm.release, figures.join(" | "), storm.seconds));
    }
    rows.sort_by_key(|row| version(row));
    format!("{HEAD}|{}\n{}\n", "---|".repeat(10), rows.join("\n"))
}

/// The numbers of the kernel's release at the head of a row.
fn version(row: &str) -> Vec<u32> {
    let release = row.trim_start_matches("| ").split([' ', '-', '+']).next().unwrap_or_default();
    release.split('.').filter_map(|number| number.parse().ok()).collect()
}

const INTRODUCTION: &str = "# Storms

Thousands of short-lived processes of two programs at once, forked, and every tenth executed: what ends is counted under the
name that it had, to the address space (windows of path exit), and nothing is lost or left open. That addresses are used again
is the kernel's own word, a kprobe event on exit_mmap: so many address spaces had so few addresses, and so many of these
served both names.

Hundreds of times attached and detached while two threads change protections (in bursts, a fifth of the time): no program,
map or open file is left, and the kernel does not complain.

A problem would be a failed test, a kernel that complained, or a guest that did not end.
";

fn page(table: &str) -> String {
    format!("{INTRODUCTION}\nMade by `cargo xtask storm --write`, for one or several kernels at a time.\n\n{table}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn storm(release: &str, seconds: f64) -> Storm {
        Storm { release: release.to_owned(), figures: Vec::new(), seconds, problem: None }
    }

    #[test]
    fn rows_of_other_kernels_stay_in_the_order_of_their_versions() {
        let first = page(&table(&[storm("6.1.0-56-cloud-amd64", 1.0), storm("7.3.4+deb13-cloud-amd64", 1.0)], &[]));
        let new = [storm("6.12.118+deb13-cloud-amd64", 2.0), storm("7.3.4+deb13-cloud-amd64", 2.0)];
        let rows: Vec<(Vec<u32>, bool)> = table(&new, &other_rows(&first, &new))
            .lines()
            .skip(2)
            .map(|row| (version(row), row.contains("| 2 |")))
            .collect();
        assert_eq!(rows, [(vec![6, 1, 0], false), (vec![6, 12, 118], true), (vec![7, 3, 4], true)]);
    }
}
