//! The package and its service in a guest: Debian 12 with systemd as its first process, in which the package is installed, watched,
//! provoked, upgraded and purged. `checks.sh` runs there and tells facts; what they must be is judged here.

mod checks;
mod facts;
mod page;
mod rights;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;

use crate::initramfs::GuestFile;
use crate::kernels::{self, Kernel};
use crate::package::{self, Kind, Stage};
use crate::setup::{self, GuestTools, Wants};
use crate::vm::{Guest, in_bin};
use crate::workers::in_parallel;
use crate::{dist, root};
use checks::{Expected, Row};
use facts::Facts;

/// The oldest release whose systemd the unit is written for: 252.
const SUITE: &str = "bookworm";
const PACKAGES: &[&str] = &["systemd-sysv", "dbus", "curl", "bpftool"];
/// Of the second package.
const SECOND_VERSION: &str = "999.0.0";
/// What `systemd-analyze security` may say of the unit.
const EXPOSURE: f64 = 2.0;
const TIMEOUT: Duration = Duration::from_secs(1200);

const SCRIPT: &str = include_str!("service/checks.sh");

/// `cargo xtask service`.
#[derive(Args)]
pub(crate) struct ServiceArgs {
    /// Boot this kernel, as `vm` takes it (5.10, 6.1, 6.12 and the newest 7.x if none is given)
    #[arg(long)]
    kernel: Vec<String>,
    /// Write docs/service.md
    #[arg(long, conflicts_with = "kernel")]
    write: bool,
    /// The short form, as in `cargo xtask test`
    #[arg(long, conflicts_with = "write")]
    short: bool,
    /// Take the binaries of target/dist as they are
    #[arg(long, hide = true)]
    no_build: bool,
}

const KERNELS: [&str; 4] = ["5.10", "6.1", "6.12", "7"];

/// What one kernel's guest came to.
pub(crate) struct Run {
    kernel: String,
    rows: Vec<Row>,
    /// What went wrong with the guest itself.
    problem: Option<String>,
    seconds: f64,
}

impl Run {
    /// Checks that hold.
    pub(crate) fn good(&self) -> u64 {
        self.rows.iter().filter(|row| row.is_good).count() as u64
    }

    /// Those that do not, a line each, and what went wrong with the guest.
    pub(crate) fn problems(&self) -> Vec<String> {
        let bad = self.rows.iter().filter(|row| !row.is_good);
        let bad = bad.map(|Row { what, wanted, seen, .. }| format!("{what}: {seen} instead of {wanted}"));
        bad.chain(self.problem.clone()).collect()
    }
}

/// `cargo xtask service`: the long form on each kernel, the table, and the sum.
pub(crate) fn main(args: &ServiceArgs) -> Result<ExitCode> {
    let (tools, binaries) = if args.no_build {
        (setup::guests_only()?, ["mmscope", "mmload"].map(|name| dist::folder().join(name)))
    } else {
        let tools = setup::setup(Wants { guests: true })?;
        let binaries = dist::dist(&tools, false)?;
        (tools.guests.context("set-up of the guest tools")?, binaries)
    };
    let packages = Packages::make(&binaries)?;
    let kernels: Vec<&str> = match args.kernel.as_slice() {
        [] => KERNELS.to_vec(),
        given => given.iter().map(String::as_str).collect(),
    };
    // The image is made before they share it.
    root::current_image(SUITE, PACKAGES)?;
    let run = |kernel| packages.run(&tools, kernels::resolve(kernel)?, !args.short);
    let runs: Vec<Run> = in_parallel(kernels, run)?.into_iter().collect::<Result<_>>()?;
    runs.iter().for_each(|run| println!("\n{}", page::table(run)));
    if args.write {
        page::write(&runs)?;
    }
    let passed: u64 = runs.iter().map(Run::good).sum();
    let problems: Vec<String> =
        runs.iter().flat_map(|run| run.problems().into_iter().map(|text| format!("{}: {text}", run.kernel))).collect();
    problems.iter().for_each(|problem| println!("FAILED {problem}"));
    println!("{passed} passed, {} failed", problems.len());
    Ok(if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The short form, for `cargo xtask test`: one kernel, and nothing that takes a start more.
pub(crate) fn short(tools: &GuestTools, binaries: &[PathBuf; 2], kernel: &str) -> Result<Run> {
    Packages::make(binaries)?.run(tools, kernels::resolve(kernel)?, false)
}

/// A package, and one of a higher version.
struct Packages {
    first: PathBuf,
    second: PathBuf,
    mmload: PathBuf,
}

impl Packages {
    /// Makes both, and the other kinds of package too: their contents are checked as they are made.
    fn make([mmscope, mmload]: &[PathBuf; 2]) -> Result<Self> {
        let stage = Stage::lay(mmscope)?;
        for kind in [Kind::Rpm, Kind::Tar] {
            stage.package(kind, package::VERSION)?;
        }
        let second = stage.package(Kind::Deb, SECOND_VERSION)?;
        Ok(Self { first: stage.package(Kind::Deb, package::VERSION)?, second, mmload: mmload.clone() })
    }

    /// Boots a kernel with them; `is_long` adds what takes longest.
    fn run(&self, tools: &GuestTools, kernel: Kernel, is_long: bool) -> Result<Run> {
        let in_root = |host: &Path, name: &str| GuestFile { host: host.to_owned(), guest: format!("/srv/{name}") };
        let release = kernel.release.clone();
        let guest = Guest {
            root: Some(root::current_image(SUITE, PACKAGES)?),
            systemd: true,
            files: vec![
                in_root(&self.first, "first.deb"),
                in_root(&self.second, "second.deb"),
                in_bin(self.mmload.clone()),
            ],
            env: vec![("LONG".to_owned(), if is_long { "yes" } else { "no" }.to_owned())],
            timeout: TIMEOUT,
            label: Some(format!("service {release}")),
            ..Guest::new(kernel, SCRIPT.to_owned())
        };
        let outcome = guest.run(tools)?;
        outcome.explain();
        let expected = Expected { second_version: SECOND_VERSION, exposure: EXPOSURE, is_long };
        let rows = checks::judge(&Facts::read(&outcome.output), &expected);
        Ok(Run { kernel: release, rows, problem: outcome.problem(), seconds: outcome.seconds })
    }
}
