//! `cargo xtask simulate`: a thousand hosts in one process (`daemon/examples/fleet`), which play recordings through the daemon's own
//! code, and one real Prometheus that finds, scrapes and sums them as deploy/prometheus has it. Measures what a host costs there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::prometheus::Release;
use crate::proof::stage::{Running, free_port};
use crate::setup::{self, Wants};
use crate::{build, marks, paths, sh};

mod figures;
mod server;

use figures::Figures;
use server::{Form, Server};

/// Series of a host without much to do, and of any host, at most.
const IDLE: f64 = 600.0;
const CAP: f64 = 3000.0;

/// `cargo xtask simulate`.
///
/// The exit code is 1 if a host is not scraped, a rule fails, or a host has more series than docs/fleet.md says.
#[derive(Args)]
pub(crate) struct SimulateArgs {
    /// Hosts: of ten six are idle, three work, one is busy
    #[arg(long, default_value_t = 1000)]
    hosts: u32,
    /// For so long each server scrapes before it is measured
    #[arg(long, default_value_t = 7)]
    minutes: u64,
    /// Write the table of docs/fleet.md
    #[arg(long)]
    write: bool,
    /// What `cargo xtask test` does: 50 hosts, Debian 12's server, as soon as all were scraped and summed
    #[arg(long, conflicts_with_all = ["hosts", "minutes", "write"])]
    short: bool,
}

/// How a run goes.
struct Run {
    hosts: u32,
    /// Between two scrapes of a host, and two evaluations.
    interval: Duration,
    /// Between two ticks of a host.
    tick: Duration,
    /// Before it is measured, beyond the first two scrapes of every host.
    settle: Duration,
}

/// Runs it.
pub(crate) fn main(args: &SimulateArgs) -> Result<ExitCode> {
    let tools = setup::setup(Wants { guests: false })?;
    let object = build::bpf(&tools, false)?;
    if args.short {
        let (_, problems) = short(&object)?;
        return Ok(told(&problems));
    }
    let fleet = build_fleet(&object, true)?;
    let second = Duration::from_secs(1);
    let run = Run {
        hosts: args.hosts,
        interval: 15 * second,
        tick: 10 * second,
        settle: Duration::from_secs(60 * args.minutes),
    };
    let mut all = Vec::new();
    for (release, form) in
        [(Release::Bookworm, Form::Classic), (Release::Next, Form::Classic), (Release::Next, Form::Native)]
    {
        all.push(run.measure(&fleet, release, form)?);
    }
    let text = figures::report(&all, run.hosts, run.interval);
    println!("\n{text}");
    if args.write {
        let command = format!("cargo xtask simulate --hosts {} --minutes {}", args.hosts, args.minutes);
        marks::replace("docs/fleet.md", "simulate", &format!("`{command}`:\n\n{text}"))?;
    }
    let problems: Vec<String> = all.iter().flat_map(|figures| figures.problems(run.hosts)).collect();
    Ok(told(&problems))
}

fn told(problems: &[String]) -> ExitCode {
    problems.iter().for_each(|problem| eprintln!("simulate: {problem}"));
    if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The short form, for `cargo xtask test`: hosts that are scraped, and what is wrong.
///
/// # Errors
///
/// When fleet or server could not be run.
pub(crate) fn short(object: &Path) -> Result<(u64, Vec<String>)> {
    let second = Duration::from_secs(1);
    let run = Run { hosts: 50, interval: 5 * second, tick: 2 * second, settle: Duration::ZERO };
    let figures = run.measure(&build_fleet(object, false)?, Release::Bookworm, Form::Classic)?;
    println!("\n{}", figures::report(std::slice::from_ref(&figures), run.hosts, run.interval));
    Ok((figures.up as u64, figures.problems(run.hosts)))
}

fn build_fleet(object: &Path, is_release: bool) -> Result<PathBuf> {
    let mut cargo = build::cargo_with_object(object);
    cargo.args(["build", "--quiet", "-p", "mmscope", "--example", "fleet"]);
    if is_release {
        cargo.arg("--release");
    }
    sh::run(&mut cargo)?;
    Ok(paths::target().join(if is_release { "release" } else { "debug" }).join("examples/fleet"))
}

/// Conditions that are waited for come much sooner than this.
const PATIENCE: Duration = Duration::from_secs(300);

impl Run {
    fn measure(&self, fleet: &Path, release: Release, form: Form) -> Result<Figures> {
        let folder = paths::target().join("simulate");
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| format!("clear {}", folder.display()))?;
        }
        fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
        let port = free_port()?;
        let _hosts = self.start(fleet, port, &folder)?;
        let server = Server::start(release, form, port, self.interval, &folder)?;
        eprintln!("simulate: {} hosts, {}", self.hosts, server.name()?);
        let begun = Instant::now();
        while !server.has_seen_all(self.hosts)? {
            if begun.elapsed() > PATIENCE {
                bail!("not every host was scraped and summed within {PATIENCE:?}; logs are in {}", folder.display());
            }
            thread::sleep(Duration::from_secs(1));
        }
        thread::sleep(self.settle);
        Figures::read(&server)
    }

    fn start(&self, fleet: &Path, port: u16, folder: &Path) -> Result<Running> {
        let recordings = paths::root().join("daemon/tests/recordings");
        let log = fs::File::create(folder.join("fleet.log")).context("create the fleet's log")?;
        let mut command = sh::dying_with_us(fleet);
        command
            .args([format!("127.0.0.1:{port}"), self.hosts.to_string(), self.tick.as_millis().to_string()])
            .args(["quiet.mmrec", "hazards.mmrec"].map(|name| recordings.join(name)))
            .stdin(Stdio::null())
            .stderr(log);
        Ok(Running(command.spawn().with_context(|| format!("start {}", fleet.display()))?))
    }
}
