//! `munmap`: per cycle and thread mmap, one write to each page, munmap, always at the same address.
//!
//! Per cycle and thread: 1 mmap and 1 munmap, hence 2 write acquisitions of mmap_lock (munmap downgrades its own to
//! read before it frees pages), 1 outer window of path zap that frees page tables too; `pages` anonymous page faults.

use anyhow::Result;
use serde::Serialize;
use serde_json::Value;

use crate::memory::Area;
use crate::setup::{self, Setup};
use crate::team::Team;
use crate::timing::nanos;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Cycles of each thread
    #[arg(long)]
    cycles: u64,
    /// Pages of each mapping
    #[arg(long, default_value_t = 1, value_parser = super::positive())]
    pages: usize,
    /// Threads, the main thread included
    #[arg(long, default_value_t = 1, value_parser = super::positive())]
    threads: usize,
}

/// Of all threads together.
#[derive(Serialize)]
struct Counts {
    threads: usize,
    mmap_calls: u64,
    munmap_calls: u64,
    /// First writes to a page: an anonymous page fault each.
    page_touches: u64,
    elapsed_ns: u64,
}

impl Args {
    pub(crate) fn run(&self, setup: &mut Setup) -> Result<Value> {
        setup::disable_thp(setup)?;
        let team = Team::new(self.threads, setup)?;
        let holes = (0..self.threads).map(|_| Area::hole(self.pages, setup)).collect::<Result<Vec<_>>>()?;
        setup.done()?;
        let (_, time) = team.run(|member| {
            for cycle in 0..self.cycles {
                holes[member].map()?;
                holes[member].write_each(cycle as u8);
                holes[member].unmap()?;
            }
            Ok(())
        })?;
        let cycles = self.cycles * self.threads as u64;
        Ok(serde_json::to_value(Counts {
            threads: self.threads,
            mmap_calls: cycles,
            munmap_calls: cycles,
            page_touches: cycles * self.pages as u64,
            elapsed_ns: nanos(time),
        })?)
    }
}
