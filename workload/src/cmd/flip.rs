//! `flip`: T threads of one mm, each with N cycles of mprotect(read), mprotect(read, write) and a write, on one page of
//! its own.
//!
//! Per cycle and thread the events of `mprotect` with one page; the threads contend for mmap_lock. Their windows
//! never overlap, as mprotect keeps the lock for write throughout.

use anyhow::Result;
use serde::Serialize;
use serde_json::Value;

use crate::memory::Area;
use crate::setup::Setup;
use crate::team::Team;
use crate::timing::nanos;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Cycles of each thread
    #[arg(long)]
    cycles: u64,
    /// Threads, the main thread included
    #[arg(long, default_value_t = 2, value_parser = super::positive())]
    threads: usize,
}

/// Of all threads together.
#[derive(Serialize)]
struct Counts {
    threads: usize,
    mprotect_calls: u64,
    writes: u64,
    elapsed_ns: u64,
}

impl Args {
    pub(crate) fn run(&self, setup: &mut Setup) -> Result<Value> {
        let team = Team::new(self.threads, setup)?;
        let pages = (0..self.threads).map(|_| Area::touched(1, setup)).collect::<Result<Vec<_>>>()?;
        setup.done()?;
        let (_, time) = team.run(|member| super::mprotect::cycles(&pages[member], self.cycles))?;
        let cycles = self.cycles * self.threads as u64;
        Ok(serde_json::to_value(Counts {
            threads: self.threads,
            mprotect_calls: 2 * cycles,
            writes: cycles,
            elapsed_ns: nanos(time),
        })?)
    }
}
