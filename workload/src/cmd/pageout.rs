//! `pageout`: per cycle madvise(MADV_PAGEOUT) of touched pages, then one write to (or read of) each; beside it a thread that keeps the
//! address space in use on another processor, without which nothing of a flush would be put off.
//!
//! Per cycle: 1 madvise; the kernel unmaps the pages in batches of its own size, each with one flush of its own. `pages`
//! page faults that read them back. Needs swap for all of them; how many were swapped in is told.
//!
//! With no cycles it only has the pages, for others to take.

use std::fs::File;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use serde::Serialize;
use serde_json::Value;

use crate::bystander::Bystander;
use crate::memory::Area;
use crate::outcome::Unsupported;
use crate::setup::Setup;
use crate::timing::nanos;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Cycles
    #[arg(long)]
    cycles: u64,
    /// Pages of the area
    #[arg(long, default_value_t = 64, value_parser = super::positive())]
    pages: usize,
    /// Read the pages back instead of writing them: while half of the swap is free they stay clean, and are taken in larger
    /// batches the next time
    #[arg(long)]
    read: bool,
    /// Shared pages of this file instead of the process's own; on a tmpfs they go to swap. Advice leaves alone what others map too
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

#[derive(Serialize)]
struct Counts {
    madvise_calls: u64,
    /// Writes to (or reads of) a page that was paged out.
    page_touches: u64,
    /// Processor of the bystander.
    bystander_cpu: usize,
    elapsed_ns: u64,
}

impl Args {
    pub(crate) fn run(&self, setup: &mut Setup) -> Result<Value> {
        let area = self.area(setup)?;
        let (bystander, bystander_cpu) = Bystander::start(setup)?;
        if self.cycles > 0 {
            self.try_out(&area, setup)?;
        }

        setup.done()?;
        let begin = Instant::now();
        for cycle in 0..self.cycles {
            area.page_out()?;
            self.touch(&area, cycle as u8);
        }
        let time = begin.elapsed();
        drop(bystander);
        Ok(serde_json::to_value(Counts {
            madvise_calls: self.cycles,
            page_touches: self.cycles * self.pages as u64,
            bystander_cpu,
            elapsed_ns: nanos(time),
        })?)
    }

    fn area(&self, setup: &mut Setup) -> Result<Area> {
        let Some(path) = &self.file else { return Area::touched(self.pages, setup) };
        let file = File::options().read(true).write(true).open(path);
        let area = file.map_err(anyhow::Error::from).and_then(|file| Area::of_file(&file, self.pages, setup));
        area.with_context(|| format!("map {}", path.display()))
    }

    /// Whether pages can be paged out at all: once for nothing.
    fn try_out(&self, area: &Area, setup: &mut Setup) -> Result<()> {
        let answer = Area::touched(self.pages.div_ceil(crate::memory::PAGE), setup)?;
        area.page_out()?;
        area.mincore(&answer)?;
        if (0..self.pages).all(|page| answer.byte(page) & 1 != 0) {
            bail!(Unsupported("paging out: nothing went to swap (is there any?)".into()));
        }
        self.touch(area, 1);
        setup.madvise_calls += 1;
        Ok(())
    }

    fn touch(&self, area: &Area, value: u8) {
        if self.read { area.read_each() } else { area.write_each(value) }
    }
}
