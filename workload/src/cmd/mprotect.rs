//! `mprotect`: per cycle and thread mprotect(read), mprotect(read, write) and one write to each page, on an area of its
//! own that is one VMA.
//!
//! Per cycle and thread: 2 mprotects, hence 2 write acquisitions of mmap_lock, 2 change_protection calls and 2 outer
//! windows, each with a range flush of the area; `pages` writes. The second mprotect makes the pages writable at once
//! where the kernel can (from 6.1 or so); before that each write is a write-protect fault (do_wp_page) first.

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
    /// Pages of each thread's area
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
    mprotect_calls: u64,
    writes: u64,
    elapsed_ns: u64,
}

impl Args {
    pub(crate) fn run(&self, setup: &mut Setup) -> Result<Value> {
        let team = Team::new(self.threads, setup)?;
        let areas = (0..self.threads).map(|_| Area::touched(self.pages, setup)).collect::<Result<Vec<_>>>()?;
        setup.done()?;
        let (_, time) = team.run(|member| cycles(&areas[member], self.cycles))?;
        let cycles = self.cycles * self.threads as u64;
        Ok(serde_json::to_value(Counts {
            threads: self.threads,
            mprotect_calls: 2 * cycles,
            writes: cycles * self.pages as u64,
            elapsed_ns: nanos(time),
        })?)
    }
}

/// Read-only, writable, written.
pub(super) fn cycles(area: &Area, cycles: u64) -> Result<()> {
    for cycle in 0..cycles {
        area.protect_read()?;
        area.protect_write()?;
        area.write_each(cycle as u8);
    }
    Ok(())
}
