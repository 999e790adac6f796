//! `clear-refs`: per cycle one write to each page, then "4" to /proc/self/clear_refs, which write-protects every page of
//! the process to clear its soft-dirty bit.
//!
//! Per cycle: 1 clear_refs_write, hence 1 write acquisition of mmap_lock and 1 window of path soft_dirty that ends in a
//! flush of the whole mm; `pages` writes, each a write-protect fault from the second cycle on. The program's own stack
//! and data are protected too: a few more faults per cycle, in no count.
//!
//! Kernels without CONFIG_MEM_SOFT_DIRTY accept the "4" and protect nothing: exit status 3.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use serde::Serialize;
use serde_json::Value;

use crate::memory::{Area, PAGE};
use crate::outcome::Unsupported;
use crate::setup::Setup;
use crate::timing::nanos;

/// Documentation/admin-guide/mm/pagemap.rst: bit 55 of an entry is the soft-dirty bit.
const SOFT_DIRTY: u64 = 1 << 55;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Cycles
    #[arg(long)]
    cycles: u64,
    /// Pages of the area
    #[arg(long, default_value_t = 1, value_parser = super::positive())]
    pages: usize,
}

#[derive(Serialize)]
struct Counts {
    clear_refs_writes: u64,
    writes: u64,
    /// Reads of /proc/self/pagemap before and after the measured part; each takes mmap_lock for read.
    pagemap_reads: u64,
    elapsed_ns: u64,
}

impl Args {
    pub(crate) fn run(&self, setup: &mut Setup) -> Result<Value> {
        let area = Area::touched(self.pages, setup)?;
        let pagemap = File::open("/proc/self/pagemap").context("open /proc/self/pagemap")?;
        if !soft_dirty(&pagemap, &area, 0)? {
            bail!(Unsupported("soft-dirty bits (CONFIG_MEM_SOFT_DIRTY): a page just written has none".into()));
        }
        let mut clear_refs =
            File::options().write(true).open("/proc/self/clear_refs").context("open /proc/self/clear_refs")?;

        setup.done()?;
        let begin = Instant::now();
        for cycle in 0..self.cycles {
            area.write_each(cycle as u8);
            ensure!(clear_refs.write(b"4").context("write /proc/self/clear_refs")? == 1, "clear_refs took no byte");
        }
        let time = begin.elapsed();

        let mut pagemap_reads = 1;
        if self.cycles > 0 {
            for page in 0..area.pages() {
                pagemap_reads += 1;
                ensure!(!soft_dirty(&pagemap, &area, page)?, "page {page} is still soft-dirty");
            }
        }
        Ok(serde_json::to_value(Counts {
            clear_refs_writes: self.cycles,
            writes: self.cycles * self.pages as u64,
            pagemap_reads,
            elapsed_ns: nanos(time),
        })?)
    }
}

fn soft_dirty(pagemap: &File, area: &Area, page: usize) -> Result<bool> {
    let mut entry = [0; 8];
    let offset = area.page(page) as u64 / PAGE as u64 * entry.len() as u64;
    pagemap.read_exact_at(&mut entry, offset).context("read /proc/self/pagemap")?;
    Ok(u64::from_le_bytes(entry) & SOFT_DIRTY != 0)
}
