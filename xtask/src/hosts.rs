//! Hosts of other kinds than the guests of `test` are: each is made in a guest, `mmscope doctor` says what it finds there, and known
//! work is counted to the event or named as what cannot be measured. What is checked is in `daemon/tests/hosts`; here are the hosts
//! and the table.

mod guest;
mod kinds;
mod page;
mod results;

use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::exact::{self, Functions};
use crate::live_test::{build_live_test_for, build_with_programs};
use crate::machine::Machine;
use crate::setup::{self, GuestTools, Tools, Wants};
use crate::workers::in_parallel;
use crate::{build, dist, kernels};

use guest::{Binaries, Run};
use kinds::{HOSTS, Host};
use results::{Exactness, Results};

/// `cargo xtask hosts`.
///
/// The exit code is 1 if on one of them something was not counted to the event, was told although it cannot be measured, or the
/// kernel complained.
#[derive(Args)]
pub(crate) struct HostsArgs {
    /// Only these, by name or by its beginning; their rows alone are made anew
    #[arg(long, num_args = 1..)]
    only: Vec<String>,
    /// Only hosts of this kernel, as `vm` takes it
    #[arg(long)]
    kernel: Vec<String>,
    /// Also own counts beside the kernel's, as `exact` has them in its short form, where a host is a kernel of its own
    #[arg(long)]
    exact: bool,
    /// Write docs/hosts, docs/hosts.md and README's table
    #[arg(long)]
    write: bool,
    /// The few that `test` has; what doctor says on them is compared with docs/hosts
    #[arg(long, conflicts_with_all = ["only", "kernel", "exact", "write"])]
    short: bool,
}

/// Runs the hosts, several at a time, and after that own counts beside the kernel's, whose processors are each emulated in a thread of
/// its own.
pub(crate) fn main(args: &HostsArgs) -> Result<ExitCode> {
    let is_wanted = |host: &&Host| {
        (args.only.is_empty() || args.only.iter().any(|name| host.name.starts_with(name.as_str())))
            && (args.kernel.is_empty() || args.kernel.iter().any(|kernel| kernel == host.kernel))
    };
    let hosts: Vec<&Host> = HOSTS.iter().filter(is_wanted).collect();
    if hosts.is_empty() {
        bail!("no such host; there are {}", HOSTS.iter().map(|host| host.name).collect::<Vec<_>>().join(", "));
    }
    let tools = setup::setup(Wants { guests: false })?;
    if args.short {
        return main_short(&tools);
    }
    let mut benches = Vec::new();
    for machine in Machine::ALL {
        if hosts.iter().any(|host| host.machine == machine) {
            benches.push(Bench::setup(machine, &tools, args.exact)?);
        }
    }
    let bench_of = |host: &Host| benches.iter().find(|bench| bench.guests.machine == host.machine);
    let pairs: Vec<(&Host, &Bench)> = hosts.into_iter().filter_map(|host| Some((host, bench_of(host)?))).collect();
    let results = Mutex::new(Results::read()?);
    let look = |(host, bench): (&Host, &Bench)| -> Result<Option<String>> {
        let run = guest::run(&bench.guests, &bench.binaries, host)?;
        let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
        results.take(host, &run);
        if args.write {
            // Each as soon as it is there: a run of all takes long.
            results.write()?;
            page::write_doctor(host, &run)?;
        }
        Ok(run.problem())
    };
    let looked = in_parallel(pairs.clone(), look)?;
    let mut failed = Vec::new();
    for ((host, _), problem) in pairs.iter().zip(looked) {
        // One that cannot be made does not take the others' results away.
        let problem = problem.unwrap_or_else(|error| Some(format!("{error:#}")));
        failed.extend(problem.map(|problem| format!("{}: {problem}", host.name)));
    }
    let compare = |(host, bench): (&Host, &Bench)| -> Result<Option<String>> {
        let exactness = bench.exactness(host)?;
        let problem = (!exactness.is_exact).then(|| format!("{}: not exact", host.name));
        let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
        results.take_exactness(host, exactness);
        if args.write {
            results.write()?;
        }
        Ok(problem)
    };
    let compared: Vec<(&Host, &Bench)> = pairs.into_iter().filter(|(host, _)| args.exact && host.exact).collect();
    for ((host, _), problem) in compared.iter().zip(in_parallel(compared.clone(), compare)?) {
        failed.extend(problem.unwrap_or_else(|error| Some(format!("{}: {error:#}", host.name))));
    }
    let results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    println!("\n{}", page::table(&results));
    failed.iter().for_each(|problem| println!("FAILED: {problem}"));
    if args.write {
        page::write(&results)?;
    }
    Ok(if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The short form of each kind of machine.
fn main_short(tools: &Tools) -> Result<ExitCode> {
    let (mut passed, mut failed) = (0, Vec::new());
    for machine in Machine::ALL {
        let (good, problems) = short(machine, tools)?;
        passed += good;
        failed.extend(problems);
    }
    failed.iter().for_each(|problem| println!("FAILED: {problem}"));
    println!("{passed} passed, {} failed", failed.len());
    Ok(if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What hosts of one kind of machine need.
struct Bench {
    guests: GuestTools,
    binaries: Binaries,
    /// For own counts beside the kernel's.
    exact: Option<exact::Programs>,
}

impl Bench {
    fn setup(machine: Machine, tools: &Tools, exact: bool) -> Result<Self> {
        let [mmscope, mmload] = dist::dist_for(machine, tools, false)?;
        let guests = setup::guests_of(machine)?;
        let object = build::bpf(tools, false)?;
        let binaries = Binaries {
            test: build_live_test_for(machine, &object, "hosts")?,
            mmscope: mmscope.clone(),
            mmload: mmload.clone(),
        };
        let exact = match exact {
            true => Some(exact::Programs { test: build_live_test_for(machine, &object, "exact")?, mmscope, mmload }),
            false => None,
        };
        Ok(Self { guests, binaries, exact })
    }

    /// Without a release, which of another machine is built nowhere else in a test, and takes long.
    fn quick(machine: Machine, tools: &Tools) -> Result<Self> {
        let guests = setup::guests_of(machine)?;
        let (test, [mmscope, mmload]) = build_with_programs(machine, &build::bpf(tools, false)?, "hosts")?;
        Ok(Self { guests, binaries: Binaries { test, mmscope, mmload }, exact: None })
    }

    /// Own counts beside the kernel's.
    fn exactness(&self, host: &Host) -> Result<Exactness> {
        let functions = if host.args.contains("--without=fentry") { Functions::Kprobes } else { Functions::Fentry };
        let programs = self.exact.as_ref().context("the program that compares counts")?;
        let kernel = kernels::resolve_for(host.machine, host.kernel)?;
        let outcome = programs.run(&self.guests, &kernel, 2, 1, functions)?;
        let is_exact = outcome.counts.failed == 0 && outcome.counts.passed > 0 && outcome.problem.is_none();
        let (events, difference, missed) = exact::totals(&outcome.rows);
        Ok(Exactness { events, difference, missed, is_exact })
    }
}

/// The hosts of the short form: many kinds in one, a kernel with PREEMPT_RT, and another machine's kernels by kprobes and by fentry.
const SHORT: &[&str] = &["many-at-once", "6.12-rt", "arm64-6.1", "arm64-6.12"];

/// The short form for a kind of machine, as a stage of `test`: checks that went well, and what did not; what doctor says is compared
/// with docs/hosts.
pub(crate) fn short(machine: Machine, tools: &Tools) -> Result<(u64, Vec<String>)> {
    let bench = match machine {
        Machine::HOST => Bench::setup(machine, tools, false)?,
        other => Bench::quick(other, tools)?,
    };
    let (mut good, mut problems) = (0, Vec::new());
    for host in HOSTS.iter().filter(|host| host.machine == machine && SHORT.contains(&host.name)) {
        let run: Run = guest::run(&bench.guests, &bench.binaries, host)?;
        good += run.counts.passed;
        problems.extend(run.problem().map(|problem| format!("{}: {problem}", host.name)));
        match page::doctor_differs(host, &run)? {
            None => good += 1,
            Some(text) => {
                let name = host.name;
                problems
                    .push(format!("{name}: doctor says something else than in docs/hosts (cargo xtask hosts --write)"));
                println!("doctor on {name}:\n{text}");
            }
        }
    }
    Ok((good, problems))
}
