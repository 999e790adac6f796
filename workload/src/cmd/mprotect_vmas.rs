//! `mprotect-vmas`: as `mprotect`, over one range that is cut into VMAs of a page each. They cannot merge: every second
//! one is left out of core dumps (VM_DONTDUMP).
//!
//! Per cycle: 2 mprotects, hence 2 write acquisitions of mmap_lock and 2 outer windows (one gather spans all VMAs;
//! on 5.10 each change_protection is a window of its own), 2 x `vmas` calls of mprotect_fixup and
//! change_protection; `vmas` writes.

use anyhow::Result;
use serde::Serialize;
use serde_json::Value;

use crate::memory::Area;
use crate::setup::Setup;
use crate::team::Team;
use crate::timing::nanos;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Cycles
    #[arg(long)]
    cycles: u64,
    /// VMAs in the range, a page each; vm.max_map_count bounds them
    #[arg(long, value_parser = super::positive())]
    vmas: usize,
}

#[derive(Serialize)]
struct Counts {
    mprotect_calls: u64,
    /// In every one of the calls.
    vmas_per_call: usize,
    /// mprotect_calls x vmas_per_call.
    vma_changes: u64,
    writes: u64,
    elapsed_ns: u64,
}

impl Args {
    pub(crate) fn run(&self, setup: &mut Setup) -> Result<Value> {
        let area = Area::touched(self.vmas, setup)?;
        area.split_into_vmas(setup)?;
        let team = Team::new(1, setup)?;
        setup.done()?;
        let (_, time) = team.run(|_| super::mprotect::cycles(&area, self.cycles))?;
        Ok(serde_json::to_value(Counts {
            mprotect_calls: 2 * self.cycles,
            vmas_per_call: self.vmas,
            vma_changes: 2 * self.cycles * self.vmas as u64,
            writes: self.cycles * self.vmas as u64,
            elapsed_ns: nanos(time),
        })?)
    }
}
