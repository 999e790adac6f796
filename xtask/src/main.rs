//! `cargo xtask`: a table of contents. Each task has a file of its own; this one knows only their command lines.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

mod apt;
mod bench;
mod build;
mod catalogue;
mod console;
mod cross;
mod dashboards;
mod debian;
mod dist;
mod exact;
mod faults;
mod findings;
mod fuzz;
mod hosts;
mod initramfs;
mod kernels;
mod kubernetes;
mod libtest;
mod linker;
mod lint;
mod live_test;
mod machine;
mod marks;
mod modules;
mod package;
mod page;
mod paths;
mod pictures;
mod progress;
mod prometheus;
mod promtool;
mod proof;
mod qemu;
mod race;
mod recording;
mod release;
mod root;
mod run;
mod selftests;
mod service;
mod setup;
mod sh;
mod simulate;
mod storm;
mod test;
mod tidy;
mod timeline;
mod tool;
mod toolchain;
mod typescript;
mod unfixed_kernel;
mod unused;
mod userland;
mod verifier;
mod vm;
mod workers;

use machine::Machine;

/// The project's tasks. On a fresh machine each of them does the set-up that it needs.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install or find what the builds need: a BPF compiler and a BPF linker
    Setup {
        /// Also what the guests of `vm` and `test` need: QEMU, a static busybox, promtool
        #[arg(long)]
        guests: bool,
    },
    /// Build the BPF object, the daemon that carries it, and the workload
    Build(BuildArgs),
    /// Build, then run `mmscope run` as root
    Run {
        #[command(flatten)]
        build: BuildArgs,
        /// Arguments for `mmscope run`
        #[arg(last = true)]
        args: Vec<String>,
    },
    /// Build static binaries, target/dist/mmscope and target/dist/mmload, and packages of the first
    Dist {
        /// What to build for; other machines than PCs have a folder of their own in target/dist
        #[arg(long, value_enum, default_value_t = Machine::HOST)]
        target: Machine,
        /// Debian's package too
        #[arg(long)]
        deb: bool,
        /// An RPM too
        #[arg(long)]
        rpm: bool,
        /// A tar archive of what the packages install too
        #[arg(long)]
        tar: bool,
        /// Build the probes with their log lines, and the daemon to print them
        #[arg(long)]
        probe_log: bool,
    },
    /// Everything that a release has, for each kind of machine: archives, packages, and their sums
    Release(release::ReleaseArgs),
    /// Boot a Debian kernel under QEMU with the static binaries and run a command in it
    Vm(vm::VmArgs),
    /// Unit tests, live tests on this host, live tests in a guest of each kernel
    Test(test::TestArgs),
    /// Own counts against the kernel's, to the event, in a guest of each kernel
    Exact(exact::ExactArgs),
    /// What things cost
    Bench(bench::BenchArgs),
    /// Thousands of short-lived processes and hundreds of attachings, in a guest of each kernel
    Storm(storm::StormArgs),
    /// Faults provoked in a guest: what is lost, and how long until everything is counted again
    Faults(faults::FaultsArgs),
    /// Hosts of other kinds: old cgroups, lockdown, no tracefs, no BTF, PREEMPT_RT, huge pages, NUMA
    Hosts(hosts::HostsArgs),
    /// The verifier's count of each program on each kernel, beside docs/verifier.md
    Verifier(verifier::VerifierArgs),
    /// What mmscope tells of programs that people run, in a guest of each kernel and program
    Findings(findings::FindingsArgs),
    /// The recordings that tests replay, in a guest each
    Recording(recording::RecordingArgs),
    /// A timeline of provoked overlaps, decoded by Perfetto's own classes and asked what is in it
    Timeline,
    /// The kernel's own tests of memory management in guests, without and with mmscope attached
    Selftests(selftests::SelftestsArgs),
    /// Build the kernel of 2021 that loses stores under userfaultfd, and the same with the fix; print an image's path
    UnfixedKernel(unfixed_kernel::UnfixedKernelArgs),
    /// The bug that mmscope grew out of, on a kernel that has it and on two that do not
    Race(race::RaceArgs),
    /// Follow provoked hazards from a guest through real Prometheus servers to Alertmanager and back
    Proof(proof::ProofArgs),
    /// The Debian package and its service in a guest with systemd, of each kernel
    Service(service::ServiceArgs),
    /// The live page in a real browser, against replays and against a guest
    Page(page::PageArgs),
    /// The pictures of `mmscope top` and of a report in docs/images, of a recording of the tests
    Pictures,
    /// Let a real Prometheus scrape a fleet of hosts that are not there, and measure what each costs
    Simulate(simulate::SimulateArgs),
    /// Hold any bytes to what must hold for them: the targets of fuzz/, each for a bounded time
    Fuzz(fuzz::FuzzArgs),
    /// Write what dashboards/ has for Prometheus and Grafana
    Dashboards(dashboards::DashboardsArgs),
    /// Formatting, clippy, licences, unused dependencies, spelling, and the tidy check
    Lint {
        /// Only checks whose names contain one of these
        only: Vec<String>,
    },
}

#[derive(Args, Clone, Copy)]
struct BuildArgs {
    /// Optimise the daemon and the workload (the BPF object always is)
    #[arg(long)]
    release: bool,
    /// Build the probes with their log lines, and the daemon to print them
    #[arg(long)]
    probe_log: bool,
}

fn main() -> ExitCode {
    match run_task(Cli::parse().task) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run_task(task: Task) -> Result<ExitCode> {
    match task {
        Task::Setup { guests } => {
            let found = setup::setup(setup::Wants { guests })?;
            setup::tell(&found);
        }
        Task::Build(args) => {
            let tools = setup::setup(setup::Wants { guests: false })?;
            let built = build::build(&tools, args.release, args.probe_log)?;
            println!("{}\n{}\n{}", built.object.display(), built.mmscope.display(), built.mmload.display());
        }
        Task::Run { build, args } => {
            let tools = setup::setup(setup::Wants { guests: false })?;
            // Always optimised: a debug daemon costs more than the probes that it measures.
            let built = build::build(&tools, true, build.probe_log)?;
            return run::run(&built.mmscope, &args);
        }
        Task::Dist { target, deb, rpm, tar, probe_log } => {
            let tools = setup::setup(setup::Wants { guests: false })?;
            let built: Vec<PathBuf> = dist::dist_for(target, &tools, probe_log)?.into();
            built.iter().for_each(|path| println!("{}", path.display()));
            let kinds = [(deb, package::Kind::Deb), (rpm, package::Kind::Rpm), (tar, package::Kind::Tar)];
            let kinds: Vec<_> = kinds.into_iter().filter(|(wanted, _)| *wanted).map(|(_, kind)| kind).collect();
            if !kinds.is_empty() {
                package::main(target, &tools, &built[0], &kinds)?;
            }
        }
        Task::Release(args) => release::main(&args)?,
        Task::Vm(args) => return vm::main(&args),
        Task::Test(args) => return test::test(&args),
        Task::Exact(args) => return exact::main(&args),
        Task::Storm(args) => return storm::main(&args),
        Task::Faults(args) => return faults::main(&args),
        Task::Hosts(args) => return hosts::main(&args),
        Task::Bench(args) => return bench::main(&args),
        Task::Verifier(args) => return verifier::main(&args),
        Task::Findings(args) => return findings::main(&args),
        Task::Recording(args) => return recording::main(&args),
        Task::Timeline => return timeline::main(),
        Task::Selftests(args) => return selftests::main(&args),
        Task::UnfixedKernel(args) => return unfixed_kernel::main(&args),
        Task::Race(args) => return race::main(&args),
        Task::Proof(args) => return proof::main(&args),
        Task::Service(args) => return service::main(&args),
        Task::Page(args) => return page::main(&args),
        Task::Pictures => return pictures::main(),
        Task::Simulate(args) => return simulate::main(&args),
        Task::Fuzz(args) => return fuzz::main(&args),
        Task::Dashboards(args) => return dashboards::main(&args),
        Task::Lint { only } => return lint::lint(&only),
    }
    Ok(ExitCode::SUCCESS)
}
