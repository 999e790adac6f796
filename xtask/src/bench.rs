//! What things cost: `cargo xtask bench`. Each benchmark has a file of its own.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};

mod code;
mod core;
mod daemon;
mod guest;
mod host;
mod loads;
mod many;
mod native;
mod overhead;
mod page;
mod path;
mod scale;
mod watchers;

/// `cargo xtask bench`.
#[derive(Args)]
pub(crate) struct BenchArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Instructions that the probes add to operations and programs, beside bpftrace and klockstat, in a guest that counts them
    Overhead(overhead::OverheadArgs),
    /// Instructions of each program in one cycle of mprotect
    Path(path::PathArgs),
    /// Instructions of an event, and what the tables take, with 1, 2, 4, 8 processors
    Scale(scale::ScaleArgs),
    /// Nanoseconds that the probes add to operations, by this host's clock
    Native(native::NativeArgs),
    /// Time and requests for memory of the daemon's own steps, and of a scrape
    Core(core::CoreArgs),
    /// Names, sums and scrapes of a host with many cgroups whose processes come and go
    Many(many::ManyArgs),
    /// Memory, processor time, scrapes and start of the daemon on this host
    Daemon(daemon::DaemonArgs),
}

/// Runs it.
pub(crate) fn main(args: &BenchArgs) -> Result<ExitCode> {
    match &args.what {
        What::Overhead(args) => overhead::main(args),
        What::Path(args) => path::main(args),
        What::Scale(args) => scale::main(args),
        What::Native(args) => native::main(args),
        What::Core(args) => core::main(args),
        What::Many(args) => many::main(args),
        What::Daemon(args) => daemon::main(args),
    }
}
