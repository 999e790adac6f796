//! Hosts of other kinds than the guests of `test` are: each is made in a guest, `mmscope doctor` says what it finds there, and known
//! work is counted to the event or named as what cannot be measured. What is checked is in `daemon/tests/hosts`; here are the hosts
//! and the table.

mod guest;
mod kinds;
mod page;
mod results;

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::exact::{self, Functions};
use crate::live_test::build_live_test;
use crate::setup::{self, GuestTools, Wants};
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
}

/// Runs the hosts one after the other.
pub(crate) fn main(args: &HostsArgs) -> Result<ExitCode> {
    let is_wanted = |host: &&Host| {
        (args.only.is_empty() || args.only.iter().any(|name| host.name.starts_with(name.as_str())))
            && (args.kernel.is_empty() || args.kernel.iter().any(|kernel| kernel == host.kernel))
    };
    let hosts: Vec<&Host> = HOSTS.iter().filter(is_wanted).collect();
    if hosts.is_empty() {
        bail!("no such host; there are {}", HOSTS.iter().map(|host| host.name).collect::<Vec<_>>().join(", "));
    }
    let tools = setup::setup(Wants { guests: true })?;
    let guests = tools.guests.as_ref().context("set-up of the guest tools")?;
    let object = build::bpf(&tools, false)?;
    let [mmscope, mmload] = dist::dist(&tools, false)?;
    let binaries =
        Binaries { test: build_live_test(&object, "hosts")?, mmscope: mmscope.clone(), mmload: mmload.clone() };
    let programs = match args.exact {
        true => Some(exact::Programs { test: build_live_test(&object, "exact")?, mmscope, mmload }),
        false => None,
    };
    let mut results = Results::read()?;
    let mut failed = Vec::new();
    for host in hosts {
        let run = guest::run(guests, &binaries, host)?;
        if let Some(problem) = run.problem() {
            failed.push(format!("{}: {problem}", host.name));
        }
        let exactness =
            programs.as_ref().and_then(|programs| exactness(guests, programs, host).transpose()).transpose()?;
        failed.extend(
            exactness.iter().filter(|exactness| !exactness.is_exact).map(|_| format!("{}: not exact", host.name)),
        );
        results.take(host, &run, exactness);
        if args.write {
            // Each as soon as it is there: a run of all takes long.
            results.write()?;
            page::write_doctor(host, &run)?;
        }
    }
    println!("\n{}", page::table(&results));
    failed.iter().for_each(|problem| println!("FAILED: {problem}"));
    if args.write {
        page::write(&results)?;
    }
    Ok(if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Own counts beside the kernel's; none where a host is no kernel of its own.
fn exactness(guests: &GuestTools, programs: &exact::Programs, host: &Host) -> Result<Option<Exactness>> {
    if !host.exact {
        return Ok(None);
    }
    let functions = if host.args.contains("--without=fentry") { Functions::Kprobes } else { Functions::Fentry };
    let outcome = programs.run(guests, &kernels::resolve(host.kernel)?, 2, 1, functions)?;
    let is_exact = outcome.counts.failed == 0 && outcome.counts.passed > 0 && outcome.problem.is_none();
    let (events, difference, missed) = exact::totals(&outcome.rows);
    Ok(Some(Exactness { events, difference, missed, is_exact }))
}

/// The hosts of the short form: many kinds in one, and a kernel with PREEMPT_RT.
const SHORT: &[&str] = &["many-at-once", "6.12-rt"];

/// The short form, as a stage of `test`: checks that went well, and what did not; what doctor says is compared with docs/hosts.
pub(crate) fn short(guests: &GuestTools, files: [std::path::PathBuf; 3]) -> Result<(u64, Vec<String>)> {
    let [test, mmscope, mmload] = files;
    let binaries = Binaries { test, mmscope, mmload };
    let (mut good, mut problems) = (0, Vec::new());
    for name in SHORT {
        let host = HOSTS.iter().find(|host| host.name == *name).context("a host of the short form")?;
        let run: Run = guest::run(guests, &binaries, host)?;
        good += run.counts.passed;
        problems.extend(run.problem().map(|problem| format!("{name}: {problem}")));
        match page::doctor_differs(host, &run)? {
            None => good += 1,
            Some(text) => {
                problems
                    .push(format!("{name}: doctor says something else than in docs/hosts (cargo xtask hosts --write)"));
                println!("doctor on {name}:\n{text}");
            }
        }
    }
    Ok((good, problems))
}
