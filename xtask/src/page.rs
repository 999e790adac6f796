//! The daemon's live page in a real browser: Debian's Chromium, driven by Playwright, against replays of the recordings and
//! against a daemon in a guest. A table of contents: the bundle, the servers, the guest and docs/page.md have files of their own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result};
use clap::Args;

use crate::libtest::Counts;
use crate::setup::{self, Wants};
use crate::{dist, paths, sh};

mod bundle;
mod docs;
mod live;
mod servers;

pub(crate) use bundle::check;
pub(crate) use servers::Replay;

/// `cargo xtask page`.
///
/// The exit code is 1 if a test of the page failed. Chromium is this distribution's package; what else the tests use comes from npm's
/// registry into the cache, as daemon/web/package-lock.json has it.
#[derive(Args)]
pub(crate) struct PageArgs {
    /// Boot this kernel, as `vm` takes it
    #[arg(long, default_value = "6.18")]
    kernel: String,
    /// Replays alone, no guest, and fewer refreshes
    #[arg(long)]
    short: bool,
    /// Write the screenshots of docs/images and the figures of docs/page.md
    #[arg(long, conflicts_with = "short")]
    write: bool,
    /// Build the bundle in daemon/src/web/dist anew, in place of the tests
    #[arg(long, conflicts_with_all = ["short", "write"])]
    bundle: bool,
}

/// Runs it.
pub(crate) fn main(args: &PageArgs) -> Result<ExitCode> {
    if args.bundle {
        bundle::write()?;
        return Ok(ExitCode::SUCCESS);
    }
    let tools = setup::setup(Wants { guests: true })?;
    let guests = tools.guests.as_ref().context("set-up of the guest tools")?;
    let binaries = dist::dist(&tools, false)?;
    let mut seen = replays(&binaries[0], !args.short)?;
    if !args.short {
        let live = live::run(guests, &binaries, &args.kernel)?;
        seen.passed += live.passed;
        seen.failed.extend(live.failed);
        seen.figures.extend(live.figures.into_iter().map(|figure| format!("live guest, {}: {figure}", args.kernel)));
    }
    println!("\npage: {} passed, {} failed", seen.passed, seen.failed.len());
    seen.failed.iter().for_each(|failure| println!("page: failed: {failure}"));
    if args.write {
        docs::write(&seen)?;
    }
    Ok(if seen.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The short form, for `cargo xtask test`.
///
/// # Errors
///
/// When browser or replays could not be run.
pub(crate) fn short(mmscope: &Path) -> Result<(Counts, Vec<String>)> {
    let seen = replays(mmscope, false)?;
    Ok((Counts::of(seen.passed, seen.failed.len() as u64), seen.failed))
}

/// What the browser's tests came to.
#[derive(Default)]
pub(crate) struct Seen {
    passed: u64,
    failed: Vec<String>,
    /// Sizes and times, a line each.
    figures: Vec<String>,
    browser: String,
}

impl Seen {
    fn of(output: &str) -> Self {
        let mut seen = Self::default();
        for line in output.lines().filter_map(|line| line.strip_prefix("page: ")) {
            match line.split_once(": ") {
                Some(("passed", _)) => seen.passed += 1,
                Some(("failed", failure)) => seen.failed.push(failure.to_owned()),
                Some(("figure", figure)) => seen.figures.push(figure.to_owned()),
                _ => seen.browser = line.to_owned(),
            }
        }
        if seen.browser.is_empty() {
            // It names itself last.
            seen.failed.push("the tests did not come to their end".to_owned());
        }
        seen
    }
}

/// Against recordings: one that has reached its end, one under way, one in which nothing is wrong.
fn replays(mmscope: &Path, is_long: bool) -> Result<Seen> {
    let hazards = Some("hazards.toml");
    let ended = Replay::start(mmscope, "hazards.mmrec", hazards, "10000")?;
    let moving = Replay::start(mmscope, "hazards.mmrec", hazards, "0.5")?;
    let quiet = Replay::start(mmscope, "quiet.mmrec", None, "100000")?;
    ended.wait_for_end()?;
    quiet.wait_for_end()?;
    let addresses = [("ENDED", ended.address()), ("MOVING", moving.address()), ("QUIET", quiet.address())];
    drive(&addresses, if is_long { "1000" } else { "200" }, "page")
}

/// Where screenshots go before anybody keeps them.
fn shots() -> PathBuf {
    paths::target().join("page/shots")
}

/// Runs the browser's tests; their lines are passed on.
fn drive(addresses: &[(&str, String)], refreshes: &str, prefix: &str) -> Result<Seen> {
    let folder = bundle::prepared()?;
    fs::create_dir_all(shots()).with_context(|| format!("create {}", shots().display()))?;
    let mut node = Command::new("node");
    node.current_dir(&folder).arg("test/page.mjs").env("CHROMIUM", chromium()?);
    node.env("REFRESHES", refreshes).env("SHOTS", shots()).env("PREFIX", prefix);
    node.envs(addresses.iter().map(|(name, address)| (*name, address.as_str())));
    // Its exit code says no more than its lines.
    let output = node.stdin(Stdio::null()).stderr(Stdio::inherit()).output().context("start node")?;
    let text = String::from_utf8_lossy(&output.stdout);
    print!("{text}");
    Ok(Seen::of(&text))
}

/// This distribution's Chromium: Playwright's own comes from a host that machines of CI need not reach.
pub(crate) fn chromium() -> Result<PathBuf> {
    if let Some(program) = sh::in_path("chromium") {
        return Ok(program);
    }
    setup::packages(&["chromium"]).context("Chromium, for the tests of the live page")?;
    sh::in_path("chromium").context("the package chromium has no program of that name")
}

#[cfg(test)]
mod tests {
    use super::Seen;

    #[test]
    fn lines_are_counted_and_an_end_that_is_missing_is_a_failure() {
        let whole = "page: passed: a (1 s)\nnoise\npage: failed: b: why: so\npage: Chromium 1\npage: figure: 7 bytes\n";
        let seen = Seen::of(whole);
        assert_eq!(
            (seen.passed, seen.failed, seen.figures),
            (1, vec!["b: why: so".to_owned()], vec!["7 bytes".to_owned()])
        );
        assert_eq!(seen.browser, "Chromium 1");
        assert_eq!(Seen::of("page: passed: a (1 s)\n").failed.len(), 1);
    }
}
