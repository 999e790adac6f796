//! Faults, provoked in a guest while mmscope measures, and the page that tells what came of each. What is provoked and what must
//! hold after it is in `daemon/tests/faults`; here are only the guest and the table.

use std::fs;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use serde_json::Value;

use crate::kernels;
use crate::libtest::{Counts, Failures};
use crate::live_test::{Binaries, build_live_test};
use crate::setup::{self, GuestTools, Wants};
use crate::{build, dist, paths};

/// How a line of the test program's begins that tells of a fault.
const LINE: &str = "fault: ";
const PAGE: &str = "docs/faults.md";
/// The kernel of the short form.
pub(crate) const KERNEL: &str = "6.12";
/// The short form's limit.
const SHORT: Duration = Duration::from_secs(900);
/// The long form's: a hundred thousand processes on emulated processors.
const LONG: Duration = Duration::from_secs(3 * 3600);

/// `cargo xtask faults`.
///
/// The exit code is 1 if after a fault something was not counted to the event, something was lost that no counter told, or
/// something was left in the kernel.
#[derive(Args)]
pub(crate) struct FaultsArgs {
    /// The kernel, as `vm` takes it
    #[arg(long, default_value = KERNEL)]
    kernel: String,
    /// The form that `test` runs: smaller, and without those that take minutes
    #[arg(long, conflicts_with = "write")]
    short: bool,
    /// Cgroups of the fault `churn`
    #[arg(long, default_value_t = 20_000)]
    cgroups: u32,
    /// Processes of the fault `churn`
    #[arg(long, default_value_t = 100_000)]
    processes: u32,
    /// Processes of the fault `forks`
    #[arg(long, default_value_t = 50_000)]
    forks: u32,
    /// Write docs/faults.md; its rows of other faults stay
    #[arg(long)]
    write: bool,
    /// Provoke only these
    fault: Vec<String>,
}

/// Runs the faults on one kernel.
pub(crate) fn main(args: &FaultsArgs) -> Result<ExitCode> {
    let tools = setup::setup(Wants { guests: true })?;
    let guests = tools.guests.as_ref().context("set-up of the guest tools")?;
    let object = build::bpf(&tools, false)?;
    let [mmscope, mmload] = dist::dist(&tools, false)?;
    let program = build_live_test(&object, "faults")?;
    let binaries = Binaries { object: &object, mmscope: &mmscope, mmload: &mmload, program: &program };
    let mut env = vec![];
    if !args.short {
        env.push(("FAULTS_FULL", "1".to_owned()));
        env.push(("FAULTS_CGROUPS", args.cgroups.to_string()));
        env.push(("FAULTS_PROCESSES", args.processes.to_string()));
        env.push(("FAULTS_FORKS", args.forks.to_string()));
    }
    let limit = if args.short { SHORT } else { LONG };
    let outcome = run(guests, &binaries, &args.kernel, &args.fault, &env, limit)?;
    println!("\n{}", table(&outcome.rows));
    outcome.problem.iter().for_each(|problem| println!("{problem}"));
    if args.write {
        let path = paths::root().join(PAGE);
        let page = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        fs::write(&path, rewritten(&page, &outcome.rows)?).with_context(|| format!("write {}", path.display()))?;
    }
    let passed = outcome.counts.failed == 0 && outcome.counts.passed > 0 && outcome.problem.is_none();
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What a guest said.
pub(crate) struct Outcome {
    /// Faults after which all was well, and others.
    pub(crate) counts: Counts,
    /// What was wrong after the others.
    pub(crate) failures: Failures,
    /// What was wrong with the guest.
    pub(crate) problem: Option<String>,
    /// One for each fault.
    pub(crate) rows: Vec<Row>,
}

/// What came of a fault.
pub(crate) struct Row {
    kernel: String,
    told: Value,
}

impl Row {
    fn cells(&self) -> String {
        let text = |name: &str| self.told[name].as_str().unwrap_or("-").to_owned();
        let recovered = self.told["recovered_s"].as_f64().map_or_else(|| "-".to_owned(), |s| format!("{s:.1} s"));
        format!("| {} | {} | {} | {recovered} | {} |", text("fault"), text("happened"), text("lost"), self.kernel)
    }
}

/// The short form, as a stage of `test`.
pub(crate) fn short(guests: &GuestTools, binaries: &Binaries<'_>) -> Result<Outcome> {
    run(guests, binaries, KERNEL, &[], &[], SHORT)
}

fn run(
    guests: &GuestTools,
    binaries: &Binaries<'_>,
    kernel: &str,
    faults: &[String],
    env: &[(&str, String)],
    limit: Duration,
) -> Result<Outcome> {
    let kernel = kernels::resolve(kernel)?;
    let release = kernel.release.clone();
    let outcome = binaries.boot(guests, kernel, faults, env, limit)?;
    let (mut counts, mut failures, mut rows) = (Counts::default(), Failures::default(), Vec::new());
    for line in outcome.output.lines() {
        counts.add_line(line);
        failures.add_line(line);
        if let Some(json) = line.strip_prefix(LINE) {
            let told = serde_json::from_str(json).with_context(|| format!("read {line}"))?;
            rows.push(Row { kernel: release.clone(), told });
        }
    }
    let problem = outcome.problem().filter(|_| !outcome.splat.is_empty() || counts.failed == 0);
    Ok(Outcome { counts, failures, problem, rows })
}

const HEAD: &str =
    "| fault | what happened | lost, by whose word | time to recover | kernel |\n|---|---|---|---|---|\n";

/// One row for each fault.
pub(crate) fn table(rows: &[Row]) -> String {
    let rows: String = rows.iter().map(|row| row.cells() + "\n").collect();
    format!("{HEAD}{rows}")
}

/// The page with new rows in the places of old ones, and those that it had not at the end of its table.
fn rewritten(page: &str, rows: &[Row]) -> Result<String> {
    let at = page.find(HEAD).context("docs/faults.md has no table of faults")? + HEAD.len();
    let (before, rest) = page.split_at(at);
    let length = rest.split_inclusive('\n').take_while(|line| line.starts_with("| ")).map(str::len).sum();
    let (old, after) = rest.split_at(length);
    let name = |line: &str| line.split(" | ").next().unwrap_or_default().to_owned();
    let mut new: Vec<String> = rows.iter().map(Row::cells).collect();
    let mut lines: Vec<String> = Vec::new();
    for line in old.lines() {
        let found = new.iter().position(|row| name(row) == name(line));
        lines.push(found.map_or_else(|| line.to_owned(), |found| new.remove(found)));
    }
    lines.append(&mut new);
    Ok(format!("{before}{}\n{after}", lines.join("\n")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn new_rows_take_the_places_of_old_ones() {
        let row = |fault: &str, recovered: f64| Row {
            kernel: "6.12".to_owned(),
            told: json!({"fault": fault, "happened": "x", "lost": "nothing", "recovered_s": recovered}),
        };
        let page = format!("# Faults\n\n{}\nmore\n", table(&[row("a", 1.0), row("b", 2.0)]));
        let page = rewritten(&page, &[row("c", 3.0), row("a", 4.0)]).unwrap();
        let rows: Vec<&str> = page.lines().filter(|line| line.ends_with("| 6.12 |")).collect();
        assert_eq!(
            rows,
            [
                "| a | x | nothing | 4.0 s | 6.12 |",
                "| b | x | nothing | 2.0 s | 6.12 |",
                "| c | x | nothing | 3.0 s | 6.12 |"
            ]
        );
        assert!(page.ends_with("\n\nmore\n"), "{page}");
        assert!(rewritten("# Nothing\n", &[]).is_err());
    }
}
