//! The storms of the guests' tests at full length: thousands of short-lived processes, hundreds of attachings under load.
//! What they check is in `daemon/tests/guest.rs`; here are only their sizes.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;

use crate::setup::{self, Wants};
use crate::test::{self, Binaries, Counts, KERNELS};
use crate::{build, dist, kernels};

/// `cargo xtask storm`.
#[derive(Args)]
pub(crate) struct StormArgs {
    /// Boot this kernel, as `vm` takes it (5.10, 6.1, 6.12, 6.18 and the newest 7.x if none is given)
    #[arg(long)]
    kernel: Vec<String>,
    /// Address spaces that begin and end
    #[arg(long, default_value_t = 20_000)]
    processes: u32,
    /// Times to attach and detach
    #[arg(long, default_value_t = 200)]
    attach: u32,
}

/// Runs both storms on each kernel.
pub(crate) fn main(args: &StormArgs) -> Result<ExitCode> {
    let tools = setup::setup(Wants { guests: true })?;
    let guests = tools.guests.as_ref().context("set-up of the guest tools")?;
    let object = build::bpf(&tools, false)?;
    let [mmscope, mmload] = dist::dist(&tools, false)?;
    let program = test::build_live_test(&object, "guest")?;
    let binaries = Binaries { object: &object, mmscope: &mmscope, mmload: &mmload, program: &program };
    let kernels: Vec<&str> = match args.kernel.as_slice() {
        [] => KERNELS.to_vec(),
        given => given.iter().map(String::as_str).collect(),
    };
    let env = [("STORM_PROCESSES", args.processes.to_string()), ("STORM_ATTACH", args.attach.to_string())];
    let timeout = Duration::from_secs(600 + u64::from(args.processes) / 4 + 20 * u64::from(args.attach));
    let mut rows = Vec::new();
    let mut failed = false;
    for kernel in kernels {
        let kernel = kernels::resolve(kernel)?;
        let release = kernel.release.clone();
        let outcome = binaries.boot(guests, kernel, Some("storm"), &env, timeout)?;
        let mut counts = Counts::default();
        outcome.output.lines().for_each(|line| counts.add_line(line));
        let problem = outcome.problem().unwrap_or_else(|| "none".to_owned());
        failed |= counts.failed > 0 || counts.passed != 2 || !outcome.splat.is_empty();
        rows.push(format!(
            "| {release} | {} | {} | {} passed, {} failed | {problem} |",
            args.processes, args.attach, counts.passed, counts.failed
        ));
    }
    println!("\n| kernel | processes | attached and detached | tests | problem |\n|---|---|---|---|---|");
    rows.iter().for_each(|row| println!("{row}"));
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
