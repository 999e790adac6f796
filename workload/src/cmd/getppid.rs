//! `getppid`: N calls per thread that have nothing to do with memory. The control: a tool for mm must see nothing of
//! them, and a bench has the cost of a bare system call.

use anyhow::Result;
use serde::Serialize;
use serde_json::Value;

use crate::setup::Setup;
use crate::team::Team;
use crate::timing::nanos;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Calls of each thread
    #[arg(long)]
    calls: u64,
    /// Threads, the main thread included
    #[arg(long, default_value_t = 1, value_parser = super::positive())]
    threads: usize,
}

/// Of all threads together.
#[derive(Serialize)]
struct Counts {
    threads: usize,
    getppid_calls: u64,
    elapsed_ns: u64,
}

impl Args {
    pub(crate) fn run(&self, setup: &mut Setup) -> Result<Value> {
        let team = Team::new(self.threads, setup)?;
        setup.done()?;
        let (_, time) = team.run(|_| {
            for _ in 0..self.calls {
                // SAFETY: takes nothing and cannot fail.
                unsafe { libc::syscall(libc::SYS_getppid) };
            }
            Ok(())
        })?;
        Ok(serde_json::to_value(Counts {
            threads: self.threads,
            getppid_calls: self.calls * self.threads as u64,
            elapsed_ns: nanos(time),
        })?)
    }
}
