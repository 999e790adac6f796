//! `spread`: on each processor that this process may use one thread, or one process, with N cycles on pages of its own.
//!
//! A cycle is that of `mprotect` with one page, or with --faults that of `dontneed` with so many pages. Threads share one
//! mm: they contend for its mmap_lock, and each flush asks the other processors. Processes share nothing. All begin together,
//! and the time ends with the last one. Beside the cycles the measured part has one sched_setaffinity of each thread; processes
//! are where they belong before it begins, and end after it.

use std::io::{self, PipeReader, PipeWriter, Read as _, Write as _};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde::Serialize;
use serde_json::Value;

use crate::children::Children;
use crate::cpus;
use crate::memory::Area;
use crate::setup::Setup;
use crate::team::Team;
use crate::timing::nanos;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Cycles of each thread or process
    #[arg(long)]
    cycles: u64,
    /// Drop so many pages and fault them in again, instead of toggling the protection of one
    #[arg(long, value_name = "PAGES", value_parser = super::positive())]
    faults: Option<usize>,
    /// Processes instead of threads
    #[arg(long)]
    processes: bool,
}

/// Of all threads or processes together.
#[derive(Serialize)]
struct Counts {
    processors: usize,
    mprotect_calls: u64,
    madvise_calls: u64,
    /// Writes to a page just dropped: an anonymous page fault each.
    page_touches: u64,
    elapsed_ns: u64,
}

impl Args {
    pub(crate) fn run(&self, setup: &mut Setup) -> Result<Value> {
        let cpus = cpus::allowed()?;
        let pages = self.faults.unwrap_or(1);
        let time = if self.processes {
            let area = Area::touched(pages, setup)?;
            setup.done()?;
            self.by_processes(&cpus, &area)?
        } else {
            let team = Team::new(cpus.len(), setup)?;
            let areas = cpus.iter().map(|_| Area::touched(pages, setup)).collect::<Result<Vec<_>>>()?;
            setup.done()?;
            let work = |member: usize| {
                cpus::stay_on(cpus[member])?;
                self.work(&areas[member])
            };
            team.run(work)?.1
        };
        let cycles = self.cycles * cpus.len() as u64;
        let (toggles, drops) = if self.faults.is_some() { (0, cycles) } else { (cycles, 0) };
        Ok(serde_json::to_value(Counts {
            processors: cpus.len(),
            mprotect_calls: 2 * toggles,
            madvise_calls: drops,
            page_touches: drops * pages as u64,
            elapsed_ns: nanos(time),
        })?)
    }

    fn work(&self, area: &Area) -> Result<()> {
        if self.faults.is_none() {
            return super::mprotect::cycles(area, self.cycles);
        }
        for cycle in 0..self.cycles {
            area.drop_pages()?;
            area.write_each(cycle as u8);
        }
        Ok(())
    }

    /// Each child tells when it is ready, begins when it is told, and tells its end.
    fn by_processes(&self, cpus: &[usize], area: &Area) -> Result<Duration> {
        let (go, mut start) = io::pipe().context("open a pipe")?;
        let (mut told, tell) = io::pipe().context("open a pipe")?;
        let mut children = Children::with_capacity(cpus.len());
        for &cpu in cpus {
            // SAFETY: this process has one thread.
            match unsafe { libc::fork() } {
                0 => self.child(cpu, area, go, tell),
                -1 => return Err(io::Error::last_os_error()).context("fork"),
                pid => children.push(pid),
            }
        }
        drop(tell);
        all_tell(&mut told, cpus.len())?;
        let begin = Instant::now();
        start.write_all(&vec![0; cpus.len()]).context("start the children")?;
        all_tell(&mut told, cpus.len())?;
        Ok(begin.elapsed())
    }

    fn child(&self, cpu: usize, area: &Area, mut go: PipeReader, mut tell: PipeWriter) -> ! {
        // SAFETY: plain numbers. Whoever started this program may be gone before its end: then this is of no use either.
        unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
        let mut work = || -> Result<()> {
            cpus::stay_on(cpu)?;
            // Its own copies of what the parent touched.
            area.write_each(1);
            tell.write_all(&[u8::from(true)])?;
            go.read_exact(&mut [0])?;
            self.work(area)
        };
        let is_done = work().is_ok();
        let _ = tell.write_all(&[u8::from(is_done)]);
        // Its end would be part of what is measured: it comes when the parent kills it.
        loop {
            thread::park();
        }
    }
}

/// Waits for a word of each child.
fn all_tell(told: &mut PipeReader, children: usize) -> Result<()> {
    let mut words = vec![0; children];
    told.read_exact(&mut words).context("hear of the children")?;
    ensure!(words.iter().all(|&word| word == u8::from(true)), "a child failed");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_processor_has_its_share() {
        let cpus = cpus::allowed().unwrap().len() as u64;
        for (faults, calls, touches) in [(None, ("mprotect_calls", 6), 0), (Some(4), ("madvise_calls", 3), 12)] {
            let args = Args { cycles: 3, faults, processes: false };
            let counts = std::thread::spawn(move || args.run(&mut Setup::default()).unwrap()).join().unwrap();
            assert_eq!(counts["processors"], cpus);
            assert_eq!(counts[calls.0], calls.1 * cpus);
            assert_eq!(counts["page_touches"], touches * cpus);
        }
    }
}
