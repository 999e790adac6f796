//! Every test there is: units, live on this host, live in a guest of each kernel. Goes on through failures and sums up.
//! Knows how to run stages and count libtest's results; what is tested is in the crates.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use crate::exact::{self, Functions};
use crate::kernels::KERNELS;
use crate::live_test::build_live_tests;
use crate::machine::Machine;
use crate::setup::{self, Wants};
use crate::workers::in_parallel;
use crate::{build, dist, faults, selftests};

mod job;
mod run;
mod stage;

use job::Job;
use run::Run;
use stage::{Stage, sum_up};

/// The kernel on which own counts are compared by kprobes too; `cargo xtask exact --kprobes` has all.
const KPROBES_KERNEL: &str = "6.12";

/// The kernel whose guest has the service; `cargo xtask service` has others too.
const SERVICE_KERNEL: &str = "6.12";

/// `cargo xtask test`.
#[derive(Args)]
pub(crate) struct TestArgs {
    /// Leave out the tests that boot a kernel
    #[arg(long, conflicts_with = "kernel")]
    no_guests: bool,
    /// Boot this kernel, as `vm` takes it (5.10, 6.1, 6.12, 6.18 and the newest 7.x if none is given)
    #[arg(long)]
    kernel: Vec<String>,
    /// What the guests are; of another machine than this host there are the guests' tests and exact ones alone
    #[arg(long, value_enum, default_value_t = Machine::HOST, conflicts_with = "no_guests")]
    arch: Machine,
    /// Run only tests whose names contain one of these
    filter: Vec<String>,
}

/// Runs all stages; the code says whether everything passed.
pub(crate) fn test(args: &TestArgs) -> Result<ExitCode> {
    let tools = setup::setup(Wants { guests: false })?;
    let guests = setup::guests_of(args.arch)?;
    let object = build::bpf(&tools, false)?;
    let [mmscope, mmload] = dist::dist_for(args.arch, &tools, false)?;
    let run = Run { tools: &tools, object, mmscope, mmload, guests: &guests, filter: &args.filter };
    let is_own = args.arch == Machine::HOST;

    let kernels: Vec<&str> = match args.kernel.as_slice() {
        [] => KERNELS.to_vec(),
        given => given.iter().map(String::as_str).collect(),
    };
    let mut stages = Vec::new();
    if is_own && !args.no_guests && args.filter.is_empty() {
        // Found as they are when each is asked for; an error is told there.
        let _ = build_live_tests(args.arch, &run.object, ["host", "web", "guest", "exact", "faults", "hosts"]);
    }
    if is_own {
        stages.extend([run.units(), run.host()]);
        stages.push(if args.filter.is_empty() { run.page() } else { Stage::left_out("page", "a filter") });
    }
    let guest_test = if args.no_guests { None } else { Some(run.build_guest_test()) };
    let exact_test = if args.no_guests || !args.filter.is_empty() { None } else { Some(run.exact_programs()) };
    let is_whole = is_own && exact_test.is_some();
    let has = |kernel: &str| is_whole && kernels.contains(&kernel);
    let mut jobs: Vec<Job<'_>> = kernels.iter().map(|&kernel| Job::Guest(kernel)).collect();
    if is_whole {
        jobs.extend(kernels.iter().map(|&kernel| Job::Selftests(kernel)));
    }
    let others = [
        (Job::Service, has(SERVICE_KERNEL)),
        (Job::Proof, is_whole),
        (Job::Faults, has(faults::KERNEL)),
        (Job::Hosts(Machine::X86_64), is_whole && args.kernel.is_empty()),
        (Job::Hosts(Machine::Aarch64), is_whole && args.kernel.is_empty()),
        (Job::Fuzz, is_own && args.filter.is_empty()),
        (Job::Simulate, is_own && args.filter.is_empty()),
    ];
    jobs.extend(others.into_iter().filter_map(|(job, is_wanted)| is_wanted.then_some(job)));
    let mut comparisons = Vec::new();
    for (stage, comparison) in job::run_all(&run, &jobs, guest_test.as_ref())? {
        stages.push(stage);
        comparisons.extend(comparison);
    }
    let (mut rows, mut overlaps) = (Vec::new(), Vec::new());
    let by_fentry = kernels.iter().map(|&kernel| (format!("exact {kernel}"), kernel, Functions::Fentry));
    let by_kprobes = kernels.iter().filter(|kernel| **kernel == KPROBES_KERNEL);
    let by_kprobes = by_kprobes.map(|&kernel| (format!("exact {kernel} K"), kernel, Functions::Kprobes));
    // After all others: each of their processors is emulated in a thread of its own. They wait for half of their time.
    let compared = in_parallel(by_fentry.chain(by_kprobes).collect(), |(name, kernel, functions)| match &exact_test {
        None => (Stage::left_out(name, "--no-guests, or a filter"), None),
        Some(Ok(programs)) => run.exact(name, kernel, programs, functions),
        Some(Err(error)) => (Stage::broken(name, format!("{error:#}")), None),
    })?;
    for (stage, outcome) in compared {
        stages.push(stage);
        if let Some(outcome) = outcome {
            rows.extend(outcome.rows);
            overlaps.extend(outcome.overlaps);
        }
    }
    if !rows.is_empty() {
        println!("\n{}\n{}", exact::table(&rows), exact::overlap_table(&overlaps));
    }
    if !comparisons.is_empty() {
        println!("\n{}", selftests::summary_table(&comparisons));
    }
    Ok(sum_up(&stages))
}
