//! The way of an anomaly, from a program in a guest to Alertmanager and back: mmscope watches provoked hazards in a guest, real
//! Prometheus servers scrape it and evaluate the committed rules in a shorter time scale, and each alert is followed until it
//! is resolved. The daemon tells an Alertmanager and a webhook by itself too, and these are followed in the same way. Then every
//! recording rule and every query of the dashboards is asked of these servers. A table of contents: the guest, its loads, the
//! servers, the receivers, the following and the page have files of their own.

use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;

use self::direct::Direct;
use self::follow::Follower;
use self::servers::Prepared;
use self::stage::Stage;
use crate::dashboards::rules::time::Scale;
use crate::prometheus::Release;
use crate::setup::{self, GuestTools, Wants};
use crate::{dist, kernels};

pub(crate) mod api;
mod direct;
mod exposed;
mod figures;
mod files;
mod follow;
mod guest;
mod hears;
mod loads;
mod outage;
mod own;
mod page;
mod queries;
mod record;
mod servers;
pub(crate) mod stage;
mod steps;
mod unfixed;

/// How much faster than real the rules run: five minutes are ten seconds.
const SCALE: Scale = Scale::faster(30);
/// What the addresses of runbooks begin with, in the rules and in the daemon's configuration.
const RUNBOOKS: &str = "http://runbooks.example/";
/// Between two scrapes, and two evaluations.
const INTERVAL: Duration = Duration::from_secs(2);

/// `cargo xtask proof`.
///
/// The exit code is 1 if an alert that should have fired did not, did not reach an Alertmanager or was not resolved, by Prometheus or
/// by the daemon's own sinks, if one was lost while Alertmanagers were down, or if a query failed or found nothing. Prometheus and Alertmanager are Debian's, unpacked into the cache: those of Debian 12, and those of the
/// release to come (Prometheus 3), side by side.
#[derive(Args)]
pub(crate) struct ProofArgs {
    /// Boot this kernel, as `vm` takes it
    #[arg(long, default_value = "6.12")]
    kernel: String,
    /// Debian 12's servers only, and a few of the alerts; an empty answer to a query is no failure then
    #[arg(long)]
    short: bool,
    /// Write the table of docs/proof.md
    #[arg(long, conflicts_with = "short")]
    write: bool,
    /// Record the exposition of a kernel that loses stores anew, in place of the proof (builds that kernel if it is not in the cache)
    #[arg(long, conflicts_with_all = ["short", "write"])]
    record: bool,
}

/// Runs it.
pub(crate) fn main(args: &ProofArgs) -> Result<ExitCode> {
    let tools = setup::setup(Wants { guests: true })?;
    let guests = tools.guests.as_ref().context("set-up of the guest tools")?;
    let binaries = dist::dist(&tools, false)?;
    if args.record {
        record::record(guests, &binaries)?;
        return Ok(ExitCode::SUCCESS);
    }
    let releases: &[Release] = if args.short { &[Release::Bookworm] } else { &[Release::Bookworm, Release::Next] };
    let outcome = prove(args, releases, guests, &binaries)?;
    println!("\n{}", outcome.table());
    outcome.problems.iter().for_each(|problem| println!("proof: {problem}"));
    println!("{}", outcome.sum());
    if args.write {
        page::write(&outcome)?;
    }
    Ok(if outcome.problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What was seen.
pub(crate) struct Outcome {
    /// The servers' versions.
    pub(crate) versions: Vec<String>,
    /// The guest's kernel.
    pub(crate) kernel: String,
    /// Each alert's way, in each server.
    pub(crate) ways: Vec<follow::Way>,
    /// What became of alerts while Alertmanagers were down; not in the short form.
    pub(crate) outage: Option<outage::Outage>,
    /// Queries asked of each server, and of these recording rules.
    pub(crate) queries: queries::Asked,
    /// What was wrong.
    pub(crate) problems: Vec<String>,
}

impl Outcome {
    fn table(&self) -> String {
        let outage = self.outage.as_ref().map(|outage| format!("\n{}", page::outage(outage)));
        page::table(self) + &outage.unwrap_or_default()
    }

    fn sum(&self) -> String {
        let arrived = self.ways.iter().filter(|way| way.is_complete()).count();
        format!(
            "proof: {arrived} of {} alerts fired, were received and resolved; {} queries; {} problems",
            self.ways.len(),
            self.queries.count,
            self.problems.len()
        )
    }
}

/// The short form, for `cargo xtask test`: as many alerts as were followed, and what was wrong.
///
/// # Errors
///
/// When the servers or the guest could not be run.
pub(crate) fn short(guests: &GuestTools, binaries: &[PathBuf; 2]) -> Result<(usize, Vec<String>)> {
    let args = ProofArgs { kernel: "6.12".to_owned(), short: true, write: false, record: false };
    let outcome = prove(&args, &[Release::Bookworm], guests, binaries)?;
    println!("\n{}", outcome.table());
    Ok((outcome.ways.iter().filter(|way| way.is_complete()).count(), outcome.problems))
}

fn prove(args: &ProofArgs, releases: &[Release], guests: &GuestTools, binaries: &[PathBuf; 2]) -> Result<Outcome> {
    let kernel = kernels::resolve(&args.kernel)?;
    let release = kernel.release.clone();
    let folder = files::folder()?;
    let prepared = releases.iter().map(|&release| Prepared::new(release, &folder)).collect::<Result<Vec<_>>>()?;
    let stage = Stage::start(&folder, &guests.busybox)?;
    let steps = steps::of(args.short);
    let mut direct = Direct::start(releases[0], &folder)?;
    let unfixed = if args.short { None } else { unfixed::run(&direct, guests, binaries, &folder)? };
    let guest = guest::guest(kernel, binaries, &stage, direct.ports(), &steps, &folder)?;
    let (seen, ended) = thread::scope(|scope| {
        let thread = scope.spawn(|| guest.run(guests));
        let seen = watch(args, prepared, &mut direct, &stage, &steps, &|| thread.is_finished());
        // Whatever became of us, the guest ends.
        let said = stage.say("end");
        let ended = thread.join().map_err(|_| anyhow::anyhow!("the guest's thread panicked"));
        (said.and(seen), ended)
    });
    let ended = ended??;
    ended.explain();
    let mut outcome = seen?;
    outcome.kernel = release;
    outcome.problems.extend(ended.problem());
    outcome.problems.extend(guest::problems(&ended.output));
    if let Some((own, problems)) = unfixed {
        outcome.problems.extend(problems);
        let way = outcome.ways.iter_mut().find(|way| way.key.0 == unfixed::ALERT);
        way.context("nobody followed the alert on lost stores")?.own = Some(own);
    }
    Ok(outcome)
}

/// All that is seen from this side while the guest runs.
fn watch(
    args: &ProofArgs,
    prepared: Vec<Prepared>,
    direct: &mut Direct,
    stage: &Stage,
    steps: &[steps::Step],
    has_ended: &dyn Fn() -> bool,
) -> Result<Outcome> {
    stage.wait_for_guest(has_ended)?;
    let servers = prepared.into_iter().map(|prepared| prepared.start(stage)).collect::<Result<Vec<_>>>()?;
    let mut follower = Follower::new(&servers, direct);
    let (mut problems, outage) = steps::run(steps, stage, &mut follower, args.short, has_ended)?;
    let queries = queries::ask_all(&servers, args.short)?;
    problems.extend(queries.problems.iter().cloned());
    let versions = servers.iter().map(|server| server.prometheus.version()).collect::<Result<Vec<_>>>()?;
    let ways = follower.into_ways();
    problems.extend(ways.iter().filter_map(follow::Way::problem));
    problems.append(&mut direct.memory.look().problems);
    Ok(Outcome { versions, kernel: String::new(), ways, outage, queries, problems })
}
