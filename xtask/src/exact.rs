//! Own counts against the kernel's: boots each kernel, lets the test program `exact` run its mixes, and makes one table.
//! What is counted and how is in `daemon/tests/exact`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::Value;

use crate::initramfs::GuestFile;
use crate::kernels::{self, KERNELS, Kernel};
use crate::libtest::{Counts, Failures};
use crate::live_test::build_live_test_for;
use crate::machine::Machine;
use crate::setup::{self, GuestTools, Wants};
use crate::vm::{Guest, in_bin};
use crate::{build, dist, marks, userland, workers};

/// How a line of the test program's begins that carries a mix's counts.
const LINE: &str = "exact: ";
/// The same for a case of overlapping windows and write faults.
const OVERLAP: &str = "overlap: ";

/// khugepaged works on every address space, those too that both sides leave out: only where it is asked to.
const KERNEL_WORDS: &str = "transparent_hugepage=madvise";

/// `cargo xtask exact`.
///
/// Runs mixes of loads on several processors and compares what mmscope counted with the kernel's own kprobe and trace
/// events, to the event. The exit code is 1 if anything differs, or a kernel complained.
#[derive(Args)]
pub(crate) struct ExactArgs {
    /// Boot this kernel, as `vm` takes it (5.10, 6.1, 6.12, 6.18 and the newest 7.x if none is given)
    #[arg(long)]
    kernel: Vec<String>,
    /// What the guests are
    #[arg(long, value_enum, default_value_t = Machine::HOST)]
    arch: Machine,
    /// Processors; may be given several times
    #[arg(long, default_values_t = [2, 4])]
    smp: Vec<u32>,
    /// Times the work of the short form; 2 makes more than two million events on each kernel, in some 40 minutes for all of them
    #[arg(long, default_value_t = 2)]
    scale: u32,
    /// Do without fentry, as a host does that has kprobes only: another table of the page
    #[arg(long)]
    kprobes: bool,
    /// Write the tables of docs/exactness.md
    #[arg(long)]
    write: bool,
}

/// How functions are reached.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Functions {
    /// As by default.
    Fentry,
    /// As where fentry is refused.
    Kprobes,
}

/// `cargo xtask exact`: every kernel with every number of processors.
pub(crate) fn main(args: &ExactArgs) -> Result<ExitCode> {
    let marks = if args.write { Some(marks(args)?) } else { None };
    let tools = setup::setup(Wants { guests: false })?;
    let guests = setup::guests_of(args.arch)?;
    let object = build::bpf(&tools, false)?;
    let [mmscope, mmload] = dist::dist_for(args.arch, &tools, false)?;
    let programs = Programs { test: build_live_test_for(args.arch, &object, "exact")?, mmscope, mmload };
    let kernels: Vec<&str> = match args.kernel.as_slice() {
        [] => KERNELS.to_vec(),
        given => given.iter().map(String::as_str).collect(),
    };
    let functions = if args.kprobes { Functions::Kprobes } else { Functions::Fentry };
    let (mut rows, mut overlaps) = (Vec::new(), Vec::new());
    let mut failed = false;
    for &smp in &args.smp {
        let run =
            |kernel: &str| programs.run(&guests, &kernels::resolve_for(args.arch, kernel)?, smp, args.scale, functions);
        // A guest leaves half of as many processors idle as it has.
        let outcomes: Vec<Result<Outcome>> = match smp as usize > workers::processors() {
            true => kernels.iter().map(|kernel| run(kernel)).collect(),
            false => workers::in_parallel(kernels.clone(), run)?,
        };
        for outcome in outcomes {
            let outcome = outcome?;
            failed |= outcome.counts.failed > 0 || outcome.counts.passed == 0 || outcome.problem.is_some();
            rows.extend(outcome.rows);
            overlaps.extend(outcome.overlaps);
        }
    }
    let (table, overlaps) = (table(&rows), overlap_table(&overlaps));
    println!("\n{table}\n{overlaps}");
    if let Some(name) = marks {
        let page = "docs/exactness.md";
        marks::replace(page, &format!("counts by {name}"), &format!("Made by `{}`.\n\n{table}", command(args)))?;
        marks::replace(page, &format!("overlaps by {name}"), &overlaps)?;
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The name of the page's tables for these kernels.
fn marks(args: &ExactArgs) -> Result<String> {
    let mut name = if args.kprobes { "kprobes" } else { "fentry" }.to_owned();
    if args.arch != Machine::X86_64 {
        name = format!("{name} on {}", args.arch.name());
    }
    match args.kernel.iter().filter(|kernel| kernel.ends_with("-rt")).count() {
        0 => Ok(name),
        all if all == args.kernel.len() => Ok(format!("{name} with PREEMPT_RT")),
        _ => bail!("--write: kernels with PREEMPT_RT have tables of their own, give --kernel only these"),
    }
}

/// What a guest runs.
pub(crate) struct Programs {
    /// The test program `exact`, static.
    pub(crate) test: PathBuf,
    /// The daemon, static.
    pub(crate) mmscope: PathBuf,
    /// The workload, static.
    pub(crate) mmload: PathBuf,
}

/// What a guest said.
pub(crate) struct Outcome {
    /// Mixes that passed and failed.
    pub(crate) counts: Counts,
    /// What was wrong with those.
    pub(crate) failures: Failures,
    /// What was wrong with the guest.
    pub(crate) problem: Option<String>,
    /// One for each mix.
    pub(crate) rows: Vec<Row>,
    /// One for each case of overlap.
    pub(crate) overlaps: Vec<Row>,
}

/// The counts of one mix on one kernel.
pub(crate) struct Row {
    kernel: String,
    counts: Value,
}

impl Programs {
    /// Boots a kernel and runs all mixes.
    pub(crate) fn run(
        &self,
        tools: &GuestTools,
        kernel: &Kernel,
        smp: u32,
        scale: u32,
        functions: Functions,
    ) -> Result<Outcome> {
        let mut files = userland::stress_ng(kernel.machine)?;
        files.extend([
            in_bin(self.mmscope.clone()),
            in_bin(self.mmload.clone()),
            GuestFile { host: self.test.clone(), guest: "/bin/exact-test".to_owned() },
        ]);
        let mut env =
            vec![("MMSCOPE_BIN".to_owned(), "/bin/mmscope".to_owned()), ("EXACT_SCALE".to_owned(), scale.to_string())];
        if functions == Functions::Kprobes {
            env.push(("EXACT_WITHOUT".to_owned(), "fentry".to_owned()));
        }
        let guest = Guest {
            smp,
            memory_mib: 3072,
            files,
            env,
            parallel: true,
            append: KERNEL_WORDS.to_owned(),
            timeout: Duration::from_secs(300 + 240 * u64::from(scale)),
            ..Guest::new(kernel.clone(), "exec /bin/exact-test".to_owned())
        };
        let outcome = guest.run(tools)?;
        outcome.explain();
        let (mut counts, mut failures) = (Counts::default(), Failures::default());
        let (mut rows, mut overlaps) = (Vec::new(), Vec::new());
        for line in outcome.output.lines() {
            counts.add_line(line);
            failures.add_line(line);
            for (prefix, rows) in [(LINE, &mut rows), (OVERLAP, &mut overlaps)] {
                if let Some(json) = line.strip_prefix(prefix).filter(|rest| rest.starts_with('{')) {
                    let counts = serde_json::from_str(json).with_context(|| format!("read {line}"))?;
                    rows.push(Row { kernel: kernel.release.clone(), counts });
                }
            }
        }
        let problem = outcome.problem().filter(|_| !outcome.splat.is_empty() || counts.failed == 0);
        Ok(Outcome { counts, failures, problem, rows, overlaps })
    }
}

/// The table: own counts; where the oracle's differs, it stands behind.
pub(crate) fn table(rows: &[Row]) -> String {
    let Some(first) = rows.first() else { return String::new() };
    let numbers = |row: &Row, key: &str| -> Vec<i64> {
        row.counts[key].as_array().into_iter().flatten().filter_map(Value::as_i64).collect()
    };
    let names: Vec<&str> =
        first.counts["measures"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mut text = format!(
        "| kernel | CPUs | mix | {} | events | own - oracle | pending mismatches | skipped by the kernel | lost |\n",
        names.join(" | ")
    );
    let _ = writeln!(text, "|{}", "---|".repeat(names.len() + 8));
    for row in rows {
        let (own, oracle) = (numbers(row, "own"), numbers(row, "oracle"));
        let cells: Vec<String> = own
            .iter()
            .zip(&oracle)
            .map(|(own, oracle)| if own == oracle { own.to_string() } else { format!("{own} of {oracle}") })
            .collect();
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            row.kernel,
            row.counts["cpus"],
            row.counts["mix"].as_str().unwrap_or_default(),
            cells.join(" | "),
            oracle.iter().sum::<i64>(),
            own.iter().sum::<i64>() - oracle.iter().sum::<i64>(),
            row.counts["pending_mismatches"],
            named(&row.counts["missed"]),
            named(&row.counts["lost"]),
        );
    }
    text.push_str(&sums(rows));
    text
}

/// The table of overlaps: own counts; where the trace's differs, it stands behind.
pub(crate) fn overlap_table(rows: &[Row]) -> String {
    const COLUMNS: [&str; 5] = ["warranted", "unwarranted", "mitigated", "exposed", "reused"];
    let mut text =
        format!("| kernel | case | {} | undecided |\n|{}\n", COLUMNS.join(" | "), "---|".repeat(COLUMNS.len() + 3));
    for row in rows {
        let cells = COLUMNS.map(|name| match (&row.counts[name][0], &row.counts[name][1]) {
            (own, trace) if own == trace => own.to_string(),
            (own, trace) => format!("{own} of {trace}"),
        });
        let case = row.counts["case"].as_str().unwrap_or_default();
        let _ = writeln!(text, "| {} | {case} | {} | {} |", row.kernel, cells.join(" | "), row.counts["undecided"]);
    }
    text
}

/// Events and differences of each kernel in all.
fn sums(rows: &[Row]) -> String {
    let mut kernels: BTreeMap<&str, (i64, i64)> = BTreeMap::new();
    for row in rows {
        let sum =
            |key: &str| -> i64 { row.counts[key].as_array().into_iter().flatten().filter_map(Value::as_i64).sum() };
        let (events, difference) = kernels.entry(&row.kernel).or_default();
        *events += sum("oracle");
        *difference += sum("own") - sum("oracle");
    }
    let mut text = "\n| kernel | events | own - oracle |\n|---|---|---|\n".to_owned();
    for (kernel, (events, difference)) in kernels {
        let _ = writeln!(text, "| {kernel} | {events} | {difference} |");
    }
    text
}

/// Events, own counts minus the kernel's, and what the kernel skipped, of all rows.
pub(crate) fn totals(rows: &[Row]) -> (i64, i64, i64) {
    let sum = |key: &str| -> i64 {
        rows.iter().flat_map(|row| row.counts[key].as_array().into_iter().flatten()).filter_map(Value::as_i64).sum()
    };
    let missed = rows.iter().flat_map(|row| row.counts["missed"].as_object().into_iter().flatten());
    (sum("oracle"), sum("own") - sum("oracle"), missed.filter_map(|(_, count)| count.as_i64()).sum())
}

/// `name 3, other 1` of an object; a dash for an empty one.
fn named(counts: &Value) -> String {
    let parts: Vec<String> =
        counts.as_object().into_iter().flatten().map(|(name, count)| format!("{name} {count}")).collect();
    if parts.is_empty() { "-".to_owned() } else { parts.join(", ") }
}

/// What makes a table.
fn command(args: &ExactArgs) -> String {
    let smp: Vec<String> = args.smp.iter().map(|smp| format!("--smp {smp}")).collect();
    let kernels: String = args.kernel.iter().map(|kernel| format!(" --kernel {kernel}")).collect();
    let kprobes = if args.kprobes { " --kprobes" } else { "" };
    let arch = if args.arch == Machine::X86_64 { "" } else { " --arch aarch64" };
    format!("cargo xtask exact{arch}{kprobes}{kernels} --write --scale {} {}", args.scale, smp.join(" "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Row, table};

    #[test]
    fn a_difference_is_seen() {
        let row = |own: i64| Row {
            kernel: "6.1".to_owned(),
            counts: json!({"mix": "own", "cpus": 2, "measures": ["windows", "ioctls"], "own": [own, 2], "oracle": [7, 2],
                "pending_mismatches": 0, "missed": {"tlb_finish_mmu": 1}, "lost": {}}),
        };
        let text = table(&[row(7), row(6)]);
        assert!(text.contains("| 6.1 | 2 | own | 7 | 2 | 9 | 0 | 0 | tlb_finish_mmu 1 | - |"), "{text}");
        assert!(text.contains("| 6.1 | 2 | own | 6 of 7 | 2 | 9 | -1 |"), "{text}");
        assert!(text.contains("| 6.1 | 18 | -1 |"), "{text}");
    }
}
