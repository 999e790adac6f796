//! `uffd-overlap`: one thread keeps a pending flush open over a range of a userfaultfd, another writes pages meanwhile.
//!
//! Per round: 1 UFFDIO_WRITEPROTECT over the whole range by the first member, which is inside it for long, and by the second
//! 3 writes to pages that the zero page is mapped at, each followed by 1 MADV_DONTNEED and 1 read, which map it there
//! again. One more UFFDIO_WRITEPROTECT before the first round tells how long one takes. In the case `handler` the range is protected, a third thread un-protects each page that the second one faults on,
//! and the range is un-protected at the round's end.

use std::hint;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;
use linux_raw_sys::general::{UFFD_FEATURE_PAGEFAULT_FLAG_WP, UFFDIO_REGISTER_MODE_WP};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::memory::Area;
use crate::setup::Setup;
use crate::team::Team;
use crate::timing::nanos;
use crate::uffd::{Ioctls, Uffd};

/// Pages that are written in a round.
const WRITES: usize = 3;
/// Pages before the range that is protected in the case `cycle`.
const CYCLE: usize = 2;
/// Until the first member is well inside its ioctl: at least this long, and this part of what the ioctl takes.
const INSIDE: Duration = Duration::from_micros(300);
const PART_INSIDE: u32 = 4;
/// How long the handler waits for a fault before it looks whether all is done.
const LOOK: Duration = Duration::from_millis(50);

/// Where the writes go, and what goes on meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Case {
    /// To the first pages of the range that is un-protected: they are through already
    FirstPages,
    /// To the last pages of it: they are still to come
    LastPages,
    /// To another range of the same userfaultfd
    Disjoint,
    /// To the first pages of the range that is protected, a handler un-protecting each
    Handler,
    /// Nowhere: another range of the same userfaultfd is protected and un-protected meanwhile
    TwoRanges,
    /// To a page before the range that is protected, in the same page table; then the page beside it is protected too
    Cycle,
    /// To huge pages in the range that is un-protected
    Huge,
    /// Nowhere: only the window
    WindowOnly,
    /// To the range, which nobody changes
    WritesOnly,
    /// By both threads, to memory of no userfaultfd
    Plain,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What overlaps
    #[arg(long, value_enum)]
    case: Case,
    /// Rounds
    #[arg(long)]
    rounds: u64,
    /// Pages of the range: the more, the longer it takes
    #[arg(long, default_value_t = 16384, value_parser = super::positive())]
    pages: usize,
}

#[derive(Serialize)]
struct Counts {
    rounds: u64,
    writes: u64,
    handled: u64,
    ioctls: Map<String, Value>,
    elapsed_ns: u64,
}

struct Session {
    uffd: Option<Uffd>,
    range: Area,
    other: Area,
    case: Case,
    rounds: u64,
    /// From a round's beginning to the first write.
    inside: Duration,
    /// Rounds begun by the first member.
    begun: AtomicU64,
    /// Rounds done by the second.
    done: AtomicU64,
    is_over: AtomicBool,
}

#[derive(Clone, Copy, Default)]
struct Part {
    writes: u64,
    handled: u64,
    ioctls: Ioctls,
}

impl Args {
    pub(crate) fn run(&self, setup: &mut Setup) -> Result<Value> {
        let mut ioctls = Ioctls::default();
        let range = Area::new(self.pages.max(2 * WRITES), setup)?;
        let other = Area::new(2 * WRITES, setup)?;
        let uffd = match self.case {
            Case::Plain => None,
            _ => Some(Uffd::open(UFFD_FEATURE_PAGEFAULT_FLAG_WP, &mut ioctls)?),
        };
        if self.case == Case::Huge {
            range.advise_huge()?;
            range.write_each(1);
        } else {
            range.read_each();
        }
        other.read_each();
        if let Some(uffd) = &uffd {
            uffd.register(&range, UFFDIO_REGISTER_MODE_WP, &mut ioctls)?;
            uffd.register(&other, UFFDIO_REGISTER_MODE_WP, &mut ioctls)?;
        }
        let inside = match &uffd {
            Some(uffd) => {
                let begin = Instant::now();
                uffd.unprotect_all(&range, &mut ioctls)?;
                INSIDE.max(begin.elapsed() / PART_INSIDE)
            }
            None => INSIDE,
        };
        let team = Team::new(if self.case == Case::Handler { 3 } else { 2 }, setup)?;
        setup.done()?;
        let session = Session {
            uffd,
            range,
            other,
            case: self.case,
            rounds: self.rounds,
            inside,
            begun: AtomicU64::new(0),
            done: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
        };
        let (parts, time) = team.run(|member| match member {
            0 => session.keep_open(),
            1 => session.write(),
            _ => session.handle(),
        })?;
        let mut sum = Part::default();
        for part in parts {
            ioctls.add(&part.ioctls);
            sum.writes += part.writes;
            sum.handled += part.handled;
        }
        Ok(serde_json::to_value(Counts {
            rounds: self.rounds,
            writes: sum.writes,
            handled: sum.handled,
            ioctls: ioctls.calls(),
            elapsed_ns: nanos(time),
        })?)
    }
}

impl Session {
    fn keep_open(&self) -> Result<Part> {
        let mut part = Part::default();
        for round in 1..=self.rounds {
            self.begun.store(round, Ordering::Release);
            match (&self.uffd, self.case) {
                (Some(_), Case::WritesOnly) => {}
                (Some(uffd), Case::Handler) => uffd.protect(&self.range, &mut part.ioctls)?,
                (Some(uffd), Case::Cycle) => uffd.protect_from(&self.range, CYCLE, &mut part.ioctls)?,
                (Some(uffd), _) => uffd.unprotect_all(&self.range, &mut part.ioctls)?,
                (None, _) => part.writes += self.write_pages(&self.other, 0)?,
            }
            spin_until(|| self.done.load(Ordering::Acquire) >= round);
            if let (Some(uffd), Case::Handler | Case::Cycle) = (&self.uffd, self.case) {
                uffd.unprotect_all(&self.range, &mut part.ioctls)?;
            }
        }
        self.is_over.store(true, Ordering::Release);
        Ok(part)
    }

    fn write(&self) -> Result<Part> {
        let mut part = Part::default();
        for round in 1..=self.rounds {
            spin_until(|| self.begun.load(Ordering::Acquire) >= round);
            let begin = Instant::now();
            spin_until(|| begin.elapsed() >= self.inside);
            part.writes += match self.case {
                Case::WindowOnly => 0,
                Case::TwoRanges => {
                    let uffd = self.uffd.as_ref().context("two ranges without a userfaultfd")?;
                    uffd.protect(&self.other, &mut part.ioctls)?;
                    uffd.unprotect_all(&self.other, &mut part.ioctls)?;
                    0
                }
                Case::Cycle => {
                    let uffd = self.uffd.as_ref().context("a cycle without a userfaultfd")?;
                    // Writable by a fault, which flushes nothing but its page; not-writable again before the first flush.
                    self.range.write(0, 2);
                    uffd.protect_page(self.range.page(1) as u64, &mut part.ioctls)?;
                    self.range.drop_page(0)?;
                    self.range.read_last(0);
                    1
                }
                Case::Disjoint => self.write_pages(&self.other, 0)?,
                Case::LastPages => self.write_pages(&self.range, self.range.pages() - WRITES)?,
                Case::Huge => {
                    (0..WRITES).for_each(|page| self.range.write(page, 2));
                    WRITES as u64
                }
                Case::Plain => self.write_pages(&self.range, 0)?,
                Case::FirstPages | Case::Handler | Case::WritesOnly => self.write_pages(&self.range, 0)?,
            };
            self.done.store(round, Ordering::Release);
        }
        Ok(part)
    }

    /// Writes some pages, each of which is the zero page again after.
    fn write_pages(&self, area: &Area, first: usize) -> Result<u64> {
        for page in first..first + WRITES {
            area.write(page, 2);
            area.drop_page(page)?;
            area.read_last(page);
        }
        Ok(WRITES as u64)
    }

    fn handle(&self) -> Result<Part> {
        let mut part = Part::default();
        let Some(uffd) = &self.uffd else { bail!("a handler without a userfaultfd") };
        while !self.is_over.load(Ordering::Acquire) {
            let Some(fault) = uffd.fault_within(LOOK)? else { continue };
            part.handled += 1;
            uffd.unprotect(fault.address, true, &mut part.ioctls)?;
        }
        Ok(part)
    }
}

fn spin_until(mut is_so: impl FnMut() -> bool) {
    while !is_so() {
        hint::spin_loop();
    }
}
