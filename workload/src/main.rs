//! `mmload`: makes exact, known amounts of mm events, so that a test can hold what mmscope counted against what
//! happened. For Linux, 5.10 to 7.3, on x86-64 and 64-bit Arm. Knows nothing of BPF, of mmscope or of what an event ought to cost.
//!
//! Every subcommand ends with one line of JSON on stdout; all else goes to stderr. The line holds
//!
//! - `command`, `pid`;
//! - `setup`: the calls made before the measured part (maps, madvises, touches, threads), see [`setup::Setup`];
//! - the counts of the measured part, documented in the file of the subcommand, and `elapsed_ns`, its length;
//! - `cpu_ns`: the processor time of this process (not of its children) since the set-up.
//!
//! `setup` and the counts together are every mmap, munmap, madvise, mprotect and ioctl that this program asks for
//! itself. What the loader, the C library and Rust's runtime do comes on top: a constant per process, which `noop`
//! shows. Linked statically, on 6.18: 2 mprotects, 1 mmap, 1 munmap (at the end), some 8 brks. After --wait-for only the
//! munmap remains. Page faults on the program's own text, data and stack are in no count.
//!
//! How counts stay exact:
//!
//! - nothing allocates in the measured part, so there is no brk, mmap or munmap of malloc's in it;
//! - memory is touched in advance, without transparent huge pages, and lies between PROT_NONE guards, so that no VMA
//!   merges with a neighbour or is split ([`memory`]);
//! - threads run on stacks that were mapped in advance ([`team`]): the C library's own way costs an mmap and an
//!   mprotect for each, Rust's another of both.
//!
//! Exit status: 0 done exactly as asked, 1 a call failed, 2 wrong usage, 3 this kernel or this user cannot do it.

mod bystander;
mod children;
mod cmd;
mod contention;
mod cpus;
mod memory;
mod outcome;
mod pin;
mod setup;
mod team;
mod timing;
mod uffd;
mod uffd_session;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::Parser;

use crate::setup::Setup;

/// Makes exact, known amounts of mm events and prints what it did as one line of JSON
#[derive(Debug, Parser)]
#[command(name = "mmload", version)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: cmd::Command,
}

#[derive(Debug, clap::Args)]
struct Common {
    /// Name of this process (comm), at most 15 bytes; threads and forked children inherit it
    #[arg(long, global = true, value_parser = setup::parse_comm)]
    name: Option<String>,

    /// Stay alive this many seconds after the line of JSON, with all mappings in place
    #[arg(long, global = true, value_name = "SECONDS", value_parser = timing::parse_seconds)]
    hold_after: Option<Duration>,

    /// After the set-up, before the work, wait until this file exists: time to attach the tool under test. What has no
    /// set-up, or counts it, waits first
    #[arg(long, global = true, value_name = "PATH")]
    wait_for: Option<PathBuf>,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => outcome::report(&error),
    }
}

fn run(cli: &Cli) -> Result<()> {
    if let Some(name) = &cli.common.name {
        setup::set_comm(name)?;
    }
    let mut setup = Setup { wait_for: cli.common.wait_for.clone(), ..Setup::default() };
    let counts = cli.command.run(cli.common.name.as_deref(), &mut setup)?;
    outcome::print(cli.command.name(), &setup, counts)?;
    if let Some(time) = cli.common.hold_after {
        std::thread::sleep(time);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }

    #[test]
    fn common_options_may_follow_the_subcommand() {
        let cli = Cli::try_parse_from(["mmload", "noop", "--name", "abc", "--hold-after", "0.5"]).unwrap();
        assert_eq!(cli.common.name.as_deref(), Some("abc"));
        assert_eq!(cli.common.hold_after, Some(Duration::from_millis(500)));
    }

    #[test]
    fn zero_pages_and_zero_threads_are_refused() {
        assert!(Cli::try_parse_from(["mmload", "mprotect", "--cycles", "1", "--pages", "0"]).is_err());
        assert!(Cli::try_parse_from(["mmload", "flip", "--cycles", "1", "--threads", "0"]).is_err());
    }
}
