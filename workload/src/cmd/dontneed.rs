//! `dontneed`: per cycle and thread madvise(MADV_DONTNEED) of touched pages, then one write to each.
//!
//! Per cycle and thread: 1 madvise (mmap_lock for read, or the VMA lock on new kernels), 1 outer window of path zap with
//! a flush of the pages; `pages` anonymous page faults. With a bystander each flush asks one other processor.

use anyhow::Result;
use serde::Serialize;
use serde_json::Value;

use crate::bystander::Bystander;
use crate::memory::Area;
use crate::setup::Setup;
use crate::team::Team;
use crate::timing::nanos;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Cycles of each thread
    #[arg(long)]
    cycles: u64,
    /// Pages of each thread's area
    #[arg(long, default_value_t = 1, value_parser = super::positive())]
    pages: usize,
    /// Threads, the main thread included
    #[arg(long, default_value_t = 1, value_parser = super::positive())]
    threads: usize,
    /// Keep the address space in use on another processor, so that each flush has to ask it; of one thread only
    #[arg(long, conflicts_with = "threads")]
    bystander: bool,
}

/// Of all threads together.
#[derive(Serialize)]
struct Counts {
    threads: usize,
    madvise_calls: u64,
    /// Writes to a page just dropped: an anonymous page fault each.
    page_touches: u64,
    /// Processor of the bystander.
    #[serde(skip_serializing_if = "Option::is_none")]
    bystander_cpu: Option<usize>,
    elapsed_ns: u64,
}

impl Args {
    pub(crate) fn run(&self, setup: &mut Setup) -> Result<Value> {
        let team = Team::new(self.threads, setup)?;
        let areas = (0..self.threads).map(|_| Area::touched(self.pages, setup)).collect::<Result<Vec<_>>>()?;
        let bystander = self.bystander.then(|| Bystander::start(setup)).transpose()?;
        setup.done()?;
        let (_, time) = team.run(|member| {
            for cycle in 0..self.cycles {
                areas[member].drop_pages()?;
                areas[member].write_each(cycle as u8);
            }
            Ok(())
        })?;
        let cycles = self.cycles * self.threads as u64;
        Ok(serde_json::to_value(Counts {
            threads: self.threads,
            madvise_calls: cycles,
            page_touches: cycles * self.pages as u64,
            bystander_cpu: bystander.map(|(_, cpu)| cpu),
            elapsed_ns: nanos(time),
        })?)
    }
}
