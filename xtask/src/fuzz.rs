//! `cargo xtask fuzz`: the targets of fuzz/, each for a bounded time. Knows how they are built and run; what is held to hold for
//! their inputs is in the daemon's `fuzzing`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::setup::{self, Wants};
use crate::workers::in_parallel;
use crate::{build, marks, paths, sh};

mod corpus;
mod report;

use report::Row;

/// `cargo xtask fuzz`.
///
/// The exit code is 1 if an input was found for which something does not hold; it is kept, and named.
#[derive(Args)]
pub(crate) struct FuzzArgs {
    /// For so many seconds each
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Keep what reaches new code in fuzz/corpus: the shortest inputs
    #[arg(long)]
    keep: bool,
    /// Write the table of docs/fuzzing.md
    #[arg(long, conflicts_with = "target")]
    write: bool,
    /// These targets only
    target: Vec<String>,
}

/// Every target, as fuzz/Cargo.toml and the folders of fuzz/corpus have them.
const TARGETS: [&str; 5] = ["config", "identity", "records", "recordings", "requests"];

/// Longest input, bytes.
const LONGEST: usize = 4096;

/// Runs it.
pub(crate) fn main(args: &FuzzArgs) -> Result<ExitCode> {
    if let Some(unknown) = args.target.iter().find(|target| !TARGETS.contains(&target.as_str())) {
        bail!("no target {unknown}; there are {}", TARGETS.join(", "));
    }
    let tools = setup::setup(Wants { guests: false })?;
    let object = build::bpf(&tools, false)?;
    let targets =
        TARGETS.into_iter().filter(|name| args.target.is_empty() || args.target.iter().any(|one| one == name));
    let rows = run(&object, targets.collect(), args.seconds)?;
    let table = report::table(&rows);
    println!("\n{table}");
    rows.iter().for_each(Row::explain);
    if args.keep {
        for row in &rows {
            corpus::keep(&program(row.target), row.target)?;
        }
    }
    if args.write {
        marks::replace(
            "docs/fuzzing.md",
            "fuzz",
            &format!("`cargo xtask fuzz --seconds {}`:\n\n{table}", args.seconds),
        )?;
    }
    Ok(if rows.iter().all(Row::is_good) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The short form, for `cargo xtask test`: targets that went well, and what was found.
///
/// # Errors
///
/// When they cannot be built or run.
pub(crate) fn short(object: &Path) -> Result<(u64, Vec<String>)> {
    let rows = run(object, TARGETS.to_vec(), 5)?;
    println!("\n{}", report::table(&rows));
    rows.iter().for_each(Row::explain);
    let bad: Vec<String> = rows.iter().filter(|row| !row.is_good()).map(Row::problem).collect();
    Ok(((rows.len() - bad.len()) as u64, bad))
}

fn run(object: &Path, targets: Vec<&'static str>, seconds: u64) -> Result<Vec<Row>> {
    build(object)?;
    in_parallel(targets, |target| fuzz(target, seconds))?.into_iter().collect()
}

/// Built with the crates of the workspace's own tests, as far as they are the same: `fuzz/rustc` has what is compiled otherwise.
fn build(object: &Path) -> Result<()> {
    if ["c++", "g++", "clang++"].iter().all(|name| sh::in_path(name).is_none()) {
        setup::packages(&["g++"]).context("a C++ compiler, for libFuzzer")?;
    }
    eprintln!("fuzz: building the targets");
    let mut cargo = build::cargo_with_object(object);
    cargo
        .env("RUSTC_WRAPPER", paths::root().join("fuzz/rustc"))
        .args(["build", "--quiet", "--manifest-path", "fuzz/Cargo.toml", "--target-dir"])
        .arg(paths::target())
        // Also so that what was built without the wrapper is not taken for it.
        .args(["--config", "profile.dev.package.mmscope.opt-level=1"]);
    sh::run(&mut cargo)
}

fn program(target: &str) -> PathBuf {
    paths::target().join("debug").join(target)
}

/// A target's folder of one kind, below the target folder.
fn folder(target: &str, kind: &str) -> Result<PathBuf> {
    let folder = paths::target().join("fuzz").join(target).join(kind);
    fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    Ok(folder)
}

fn fuzz(target: &'static str, seconds: u64) -> Result<Row> {
    eprintln!("fuzz: {target}, {seconds} s");
    let (found, crashes) = (folder(target, "corpus")?, folder(target, "crashes")?);
    let before = report::files(&crashes)?;
    let output = Command::new(program(target))
        .arg(&found)
        .arg(corpus::folder(target))
        .args([format!("-max_total_time={seconds}"), format!("-max_len={LONGEST}")])
        .args(["-print_final_stats=1", "-timeout=20", "-rss_limit_mb=1024"])
        .arg(format!("-artifact_prefix={}/", crashes.display()))
        // A trace takes more memory than a target may.
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("start {}", program(target).display()))?;
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    let new: Vec<PathBuf> = report::files(&crashes)?.into_iter().filter(|file| !before.contains(file)).collect();
    Row::read(target, &log, output.status.success(), new, report::files(corpus::folder(target).as_path())?.len())
}
