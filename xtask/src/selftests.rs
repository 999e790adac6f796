//! The kernel's own tests of memory management, in guests, without and with mmscope attached: the observer must not
//! change what is observed. This file has the task; its folder has one file for each part of it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::kernels::{self, KERNELS, Kernel};
use crate::setup::{self, GuestTools, Wants};
use crate::workers::in_parallel;
use crate::{dist, paths};

mod build;
mod compare;
mod guest;
mod report;
mod source;
mod table;
mod tap;

pub(crate) use report::summary_table;
pub(crate) use table::SHORT;

use compare::{Row, Verdict};
use guest::{Counted, TestResult};
use source::Source;

/// `cargo xtask selftests`.
///
/// Runs the kernel's selftests of memory management in guests, without and with mmscope attached, and compares their
/// results. The exit code is 1 if anything differs or a kernel complained.
#[derive(Args)]
pub(crate) struct SelftestsArgs {
    /// Boot this kernel, as `vm` takes it (5.10, 6.1, 6.12, 6.18 and the newest 7.x if none is given)
    #[arg(long)]
    kernel: Vec<String>,
    /// Write docs/selftests.md
    #[arg(long)]
    write: bool,
    /// Build the tests, say which are left out and why, and boot nothing
    #[arg(long, conflicts_with = "write")]
    list: bool,
    /// Take the binaries of target/dist as they are
    #[arg(long, hide = true)]
    no_build: bool,
    /// Run only the few tests that concern mmscope most
    #[arg(long, conflicts_with_all = ["write", "program"])]
    short: bool,
    /// Run only these test programs
    #[arg(conflicts_with = "write")]
    program: Vec<String>,
}

/// Held while tests are built.
static BUILDING: Mutex<()> = Mutex::new(());

/// Which tests to run, and how sure to be.
#[derive(Clone, Copy)]
pub(crate) struct Choice<'a> {
    /// Test programs by name; empty for all.
    pub(crate) programs: &'a [&'a str],
    /// Boot once more without mmscope even if nothing differs, to find what is flaky by itself.
    pub(crate) always_again: bool,
}

/// A kernel's tests without and with mmscope.
pub(crate) struct Comparison {
    /// The kernel's release.
    pub(crate) kernel: String,
    /// Where the tests come from.
    pub(crate) source: Source,
    /// One for each call.
    pub(crate) rows: Vec<Row>,
    /// Test programs that were not run, and why.
    pub(crate) left_out: Vec<(String, String)>,
    /// What mmscope saw.
    pub(crate) counted: Option<Counted>,
    /// What was wrong besides: a kernel that complained, a guest that died, an mmscope that ended.
    pub(crate) problems: Vec<String>,
    /// How long all of it took.
    pub(crate) seconds: f64,
}

impl Comparison {
    /// Tests that did the same, or of which nothing follows.
    pub(crate) fn same(&self) -> u64 {
        self.rows.len() as u64 - self.different()
    }

    /// Tests that did not.
    pub(crate) fn different(&self) -> u64 {
        self.rows.iter().filter(|row| row.verdict == Verdict::Differs).count() as u64
    }

    /// Whether mmscope changed nothing and nobody complained.
    pub(crate) fn passed(&self) -> bool {
        self.problems.is_empty() && self.rows.iter().all(|row| row.verdict != Verdict::Differs)
    }
}

/// `cargo xtask selftests`.
pub(crate) fn main(args: &SelftestsArgs) -> Result<ExitCode> {
    let kernels: Vec<&str> = match args.kernel.as_slice() {
        [] => KERNELS.to_vec(),
        given => given.iter().map(String::as_str).collect(),
    };
    if args.list {
        setup::guests_only()?;
        for kernel in kernels {
            list(&kernels::resolve(kernel)?)?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let (tools, mmscope) = if args.no_build {
        (setup::guests_only()?, dist::folder().join("mmscope"))
    } else {
        let tools = setup::setup(Wants { guests: true })?;
        let [mmscope, _] = dist::dist(&tools, false)?;
        (tools.guests.context("set-up of the guest tools")?, mmscope)
    };
    let programs: Vec<&str> = args.program.iter().map(String::as_str).collect();
    let programs = if args.short { SHORT } else { &programs };
    let choice = Choice { programs, always_again: true };
    let compared = in_parallel(kernels.clone(), |kernel| {
        kernels::resolve(kernel).and_then(|kernel| compare(&kernel, &tools, &mmscope, choice))
    })?;
    let mut comparisons = Vec::new();
    let mut failed = false;
    for (kernel, compared) in kernels.into_iter().zip(compared) {
        // One kernel that cannot be had does not take the others' results away.
        match compared {
            Ok(comparison) => comparisons.push(comparison),
            Err(error) => {
                eprintln!("selftests: kernel {kernel}: {error:#}");
                failed = true;
            }
        }
    }
    println!("\n{}", summary_table(&comparisons));
    if args.write {
        let page = page_file();
        std::fs::write(&page, report::page(&comparisons, &command_line(args)))
            .with_context(|| format!("write {}", page.display()))?;
    }
    let passed = !failed && comparisons.iter().all(Comparison::passed);
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs a kernel's tests without and with mmscope; once more without, if that is asked for; and what differs several times more,
/// to tell mmscope's doing from chance.
pub(crate) fn compare(kernel: &Kernel, tools: &GuestTools, mmscope: &Path, choice: Choice<'_>) -> Result<Comparison> {
    let started = Instant::now();
    let built = {
        // Two kernels may have the same source.
        let _alone = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
        build::for_release(&kernel.release)?
    };
    if !built.source.exact {
        eprintln!("selftests: {} has no source package; taking {}", kernel.release, built.source.package);
    }
    let chosen = |program: &str| choice.programs.is_empty() || choice.programs.contains(&program);
    let runs: Vec<table::Run> = built.runs.iter().filter(|run| chosen(run.program)).copied().collect();
    if runs.is_empty() {
        bail!("{} has none of these tests: {}", built.source.package, choice.programs.join(", "));
    }
    let mut problems = Vec::new();
    let mut counted = None;
    // One list of results for each call.
    let mut boot = |runs: &[table::Run], mmscope: Option<&Path>, name: &str| -> Result<Vec<TestResult>> {
        let booted = guest::boot(kernel, tools, &built, runs, mmscope)?;
        problems.extend(booted.problems.iter().map(|problem| format!("{name}: {problem}")));
        counted = counted.or(booted.counted);
        Ok(booted.tests)
    };
    let of_each = |results: Vec<TestResult>| results.into_iter().map(|result| vec![result]);
    let mut without: Vec<Vec<TestResult>> = of_each(boot(&runs, None, "without mmscope")?).collect();
    let mut with: Vec<Vec<TestResult>> = of_each(boot(&runs, Some(mmscope), "with mmscope")?).collect();
    if choice.always_again {
        let again = boot(&runs, None, "again without mmscope")?;
        without.iter_mut().zip(again).for_each(|(results, again)| results.push(again));
    }
    let row = |number: usize, without: &[Vec<TestResult>], with: &[Vec<TestResult>]| {
        compare::row(runs[number].name(), &without[number], &with[number])
    };
    let is_different = |number: &usize| row(*number, &without, &with).verdict == Verdict::Differs;
    let different: Vec<usize> = (0..runs.len()).filter(is_different).collect();
    if !different.is_empty() {
        let order: Vec<usize> = std::iter::repeat_n(&different, compare::MORE_RUNS).flatten().copied().collect();
        let again: Vec<table::Run> = order.iter().map(|number| runs[*number]).collect();
        for (mmscope, name, results) in [
            (None, "several times more without mmscope", &mut without),
            (Some(mmscope), "several times more with mmscope", &mut with),
        ] {
            let more = boot(&again, mmscope, name)?;
            order.iter().zip(more).for_each(|(number, result)| results[*number].push(result));
        }
    }
    let rows = (0..runs.len()).map(|number| row(number, &without, &with)).collect();
    Ok(Comparison {
        kernel: kernel.release.clone(),
        rows,
        counted,
        problems,
        seconds: started.elapsed().as_secs_f64(),
        left_out: built.left_out,
        source: built.source,
    })
}

fn list(kernel: &Kernel) -> Result<()> {
    let built = build::for_release(&kernel.release)?;
    let fit = if built.source.exact { "its own version" } else { "the nearest older version" };
    println!("{}: {} {}, {fit}", kernel.release, built.source.package, built.source.version);
    for run in &built.runs {
        println!("  {}", run.name());
    }
    for (program, reason) in &built.left_out {
        println!("  not {program}: {reason}");
    }
    Ok(())
}

fn page_file() -> PathBuf {
    paths::root().join("docs/selftests.md")
}

fn command_line(args: &SelftestsArgs) -> String {
    let kernels: String = args.kernel.iter().map(|kernel| format!(" --kernel {kernel}")).collect();
    format!("cargo xtask selftests{kernels} --write")
}
