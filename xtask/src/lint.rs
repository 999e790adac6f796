//! Checks that run no test. Every one of them runs, whatever became of those before; the end lists which failed.

use std::process::{Command, ExitCode};

use anyhow::{Result, ensure};

use crate::setup::{self, Tools, Wants};
use crate::tool::Tool;
use crate::{build, dashboards, kubernetes, page, paths, promtool, sh, tidy, unused};

// At the versions that this tree is clean under.
const DENY: Tool = Tool { package: "cargo-deny", version: "0.20.2", program: "cargo-deny" };
const TYPOS: Tool = Tool { package: "typos-cli", version: "1.52.0", program: "typos" };

/// Runs all checks, or those that are named.
pub(crate) fn lint(only: &[String]) -> Result<ExitCode> {
    let tools = setup::setup(Wants { guests: false })?;
    components()?;

    type Check = fn(&Tools) -> Result<()>;
    let checks: [(&str, Check); 12] = [
        ("tidy", |_| tidy::check()),
        ("formatting", |_| formatting()),
        ("spelling", |_| spelling()),
        ("unused dependencies", |_| unused::check()),
        ("licences", |_| licences()),
        ("dashboards", |_| dashboards::check()),
        ("dashboards' schema", |_| dashboards::check_schema()),
        ("kubernetes", |_| kubernetes::check()),
        ("rules", |_| promtool::check()),
        ("live page", |_| page::check()),
        ("clippy", clippy),
        ("probes", probes),
    ];
    let is_wanted = |name: &str| only.is_empty() || only.iter().any(|part| name.contains(part.as_str()));
    let checks: Vec<_> = checks.into_iter().filter(|(name, _)| is_wanted(name)).collect();
    ensure!(!checks.is_empty(), "no check is called {}", only.join(" or "));
    let mut failed = Vec::new();
    for (name, check) in &checks {
        eprintln!("lint: {name}");
        if let Err(error) = check(&tools) {
            eprintln!("lint: {name}: {error:#}");
            failed.push(*name);
        }
    }
    if failed.is_empty() {
        println!("lint: {} checks passed", checks.len());
        return Ok(ExitCode::SUCCESS);
    }
    println!("lint: failed: {}", failed.join(", "));
    Ok(ExitCode::FAILURE)
}

/// rustfmt and clippy come with rustup's default profile and not with its minimal one.
fn components() -> Result<()> {
    let missing = |program: &str| sh::output(sh::cargo().args([program, "--version"])).is_err();
    if (missing("fmt") || missing("clippy")) && sh::in_path("rustup").is_some() {
        sh::run(Command::new("rustup").args(["component", "add", "rustfmt", "clippy"]))?;
    }
    Ok(())
}

fn formatting() -> Result<()> {
    sh::run(sh::cargo().args(["fmt", "--all", "--check"]))?;
    sh::run(sh::cargo().args(["fmt", "--manifest-path", "fuzz/Cargo.toml", "--check"]))
}

fn clippy(tools: &Tools) -> Result<()> {
    let object = build::bpf(tools, false)?;
    let mut cargo = build::cargo_with_object(&object);
    cargo.args(["clippy", "--workspace", "--exclude", "probe-ebpf", "--all-targets"]);
    // The live tests and the code for probe logs are behind features.
    cargo.args(["--features", "mmscope/live,mmscope/probe-log,mmscope/fuzzing", "--", "-D", "warnings"]);
    sh::run(&mut cargo)
}

/// The probes' own target, with warnings as errors, with and without their log lines. By clippy where the compiler has
/// one.
fn probes(tools: &Tools) -> Result<()> {
    let command = if tools.toolchain.has_clippy() { "clippy" } else { "check" };
    for features in [&[][..], &["--features", "log"]] {
        sh::run(build::bpf_lint(tools, command).args(features))?;
    }
    Ok(())
}

fn licences() -> Result<()> {
    // Not its advisories: their database is fetched from the network anew each time, and a build must not break on the
    // day that someone else's crate gets one.
    let mut deny = Command::new(DENY.get()?);
    sh::run(in_root(&mut deny).args(["--log-level", "warn", "check", "licenses", "bans", "sources"]))
}

fn spelling() -> Result<()> {
    sh::run(in_root(&mut Command::new(TYPOS.get()?)).arg("--config").arg(paths::root().join("typos.toml")))
}

fn in_root(command: &mut Command) -> &mut Command {
    sh::clean_cargo_env(command);
    command.current_dir(paths::root())
}
