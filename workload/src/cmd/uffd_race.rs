//! `uffd-race`: rounds of a race that loses stores on kernels without the fix of 6ce64428d620 ("mm/userfaultfd: fix memory
//! corruption due to writeprotect"; 5.7 up to 5.12-rc, stable 5.10 up to 5.10.23), and on no other.
//!
//! Three threads, each on a processor of its own; the first page of the area is what they race for.
//!
//! | thread | what it does in a round |
//! |---|---|
//! | main | clears the page, lets a pipe hold it (vmsplice), ends the write protection of the whole area, waits for the others, compares, drains the pipe |
//! | counter | adds one to the page's first bytes, again and again, in one instruction; keeps count for itself |
//! | writer | in the middle of main's call, writes the page's last byte |
//!
//! No page is protected, but the end of a protection takes write permission from each page table entry all the same (it
//! leaves the decision to the next fault), and flushes after the last one only. Until then the counter goes on by its
//! stale translation. The writer's fault finds a page that somebody else holds and so makes a copy of it; what the counter
//! adds between the copy and the flush that follows is lost. The fix flushes before the copy.
//!
//! Per round: 1 UFFDIO_WRITEPROTECT without mode WP over the area, hence 1 window of path uffd_unwp under mmap_lock for read; 1
//! vmsplice, 1 read. Write faults of all three threads are in no count. In all: 1 UFFDIO_API, 1 UFFDIO_REGISTER, 1
//! UFFDIO_UNREGISTER, and 1 UFFDIO_WRITEPROTECT more, to learn how long it takes.
//!
//! Newer kernels (from 5.19) know that the page belongs to this process alone, and do not copy it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use linux_raw_sys::general::{UFFD_FEATURE_PAGEFAULT_FLAG_WP, UFFDIO_REGISTER_MODE_WP};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::cpus;
use crate::memory::{Area, PAGE};
use crate::outcome::Unsupported;
use crate::pin::Pin;
use crate::setup::Setup;
use crate::team::Team;
use crate::timing::{OpTimes, nanos};
use crate::uffd::{Ioctls, Uffd};

const MAIN: usize = 0;
const COUNTER: usize = 1;
const THREADS: usize = 3;

/// What the writer writes.
const MARK: u8 = 0xa5;
/// Increments after which the counter has a writable translation for sure.
const WARM: u64 = 1000;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Rounds
    #[arg(long)]
    rounds: u64,
    /// Pages of the area: the more, the longer its first page goes unflushed
    #[arg(long, default_value_t = 16_384, value_parser = super::positive())]
    pages: usize,
}

#[derive(Serialize)]
struct Counts {
    rounds: u64,
    /// Rounds after which the page held less than was added to it.
    rounds_with_lost_increments: u64,
    /// How much less, all rounds together.
    lost_increments: u64,
    /// What was added in all rounds.
    increments: u64,
    /// Rounds in which the page was copied at all; without a copy there is nothing to lose.
    rounds_with_copies: u64,
    /// The calls that end the write protection of the area.
    unprotect_times: OpTimes,
    ioctls: Map<String, Value>,
    ioctl_failures: Map<String, Value>,
    user_mode_only: bool,
    elapsed_ns: u64,
}

/// What the threads share besides the area. Each number is written by one thread.
struct Race<'a> {
    area: &'a Area,
    rounds: u64,
    base: Instant,
    /// Main: the counter's time; twice the round, and one less while it is to count.
    count: AtomicU64,
    /// The counter: what it added in this round, then the time that it has seen.
    added: AtomicU64,
    counted: AtomicU64,
    /// Main: when the writer is to write, since the base, then the round that this is for.
    write_ns: AtomicU64,
    write: AtomicU64,
    /// The writer: the round that it has written in.
    written: AtomicU64,
}

/// What main brings back.
#[derive(Debug, Default)]
struct Seen {
    losing_rounds: u64,
    lost: u64,
    added: u64,
    copies: u64,
    times: OpTimes,
    ioctls: Ioctls,
}

impl Args {
    pub(crate) fn run(&self, setup: &mut Setup) -> Result<Value> {
        setup.done()?;
        let cpus = cpus::allowed()?;
        if cpus.len() < THREADS {
            return Err(Unsupported(format!("a race of {THREADS} processors: there are {}", cpus.len())).into());
        }
        let mut ioctls = Ioctls::default();
        let uffd = Uffd::open(UFFD_FEATURE_PAGEFAULT_FLAG_WP, &mut ioctls)?;
        let area = Area::touched(self.pages, setup)?;
        uffd.register(&area, UFFDIO_REGISTER_MODE_WP, &mut ioctls)?;
        let pin = Pin::new()?;
        let team = Team::new(THREADS, setup)?;

        let race = Race {
            area: &area,
            rounds: self.rounds,
            base: Instant::now(),
            count: AtomicU64::new(0),
            added: AtomicU64::new(0),
            counted: AtomicU64::new(0),
            write_ns: AtomicU64::new(0),
            write: AtomicU64::new(0),
            written: AtomicU64::new(0),
        };
        let (seen, time) = team.run(|member| {
            cpus::stay_on(cpus[member])?;
            match member {
                MAIN => return race.lead(&uffd, &pin),
                COUNTER => race.count(),
                _ => race.write(),
            }
            Ok(Seen::default())
        })?;
        let seen = &seen[MAIN];

        ioctls.add(&seen.ioctls);
        uffd.unregister(&area, &mut ioctls)?;
        Ok(serde_json::to_value(Counts {
            rounds: self.rounds,
            rounds_with_lost_increments: seen.losing_rounds,
            lost_increments: seen.lost,
            increments: seen.added,
            rounds_with_copies: seen.copies,
            unprotect_times: seen.times,
            ioctls: ioctls.calls(),
            ioctl_failures: ioctls.failures(),
            user_mode_only: uffd.user_mode_only(),
            elapsed_ns: nanos(time),
        })?)
    }
}

impl Race<'_> {
    fn lead(&self, uffd: &Uffd, pin: &Pin) -> Result<Seen> {
        let mut seen = Seen::default();
        let number = self.area.number(0);
        let begin = Instant::now();
        uffd.unprotect_all(self.area, &mut seen.ioctls)?;
        let mut shortest = begin.elapsed();
        for round in 1..=self.rounds {
            // Nobody holds the page: these writes make it writable where it lies.
            number.store(0, Ordering::Relaxed);
            self.area.write_last(0, 0);
            pin.hold(self.area, 0)?;

            self.count.store(2 * round - 1, Ordering::Release);
            wait(|| number.load(Ordering::Relaxed) >= WARM);
            let begin = Instant::now();
            self.write_ns.store(nanos(begin - self.base + shortest / 2), Ordering::Relaxed);
            self.write.store(round, Ordering::Release);
            uffd.unprotect_all(self.area, &mut seen.ioctls)?;
            let time = begin.elapsed();
            wait(|| self.written.load(Ordering::Acquire) == round);
            self.count.store(2 * round, Ordering::Release);
            wait(|| self.counted.load(Ordering::Acquire) == 2 * round);

            let added = self.added.load(Ordering::Relaxed);
            let held = number.load(Ordering::Relaxed);
            ensure!(held <= added, "round {round}: {added} increments came to {held}");
            ensure!(self.area.read_last(0) == MARK, "round {round}: the writer's byte is gone");
            seen.added += added;
            seen.lost += added - held;
            seen.losing_rounds += u64::from(held < added);
            // Written after the copy, it is not in the page that was copied.
            seen.copies += u64::from(pin.release()?[PAGE - 1] != MARK);
            seen.times.record(time);
            shortest = shortest.min(time);
        }
        Ok(seen)
    }

    fn count(&self) {
        let number = self.area.number(0);
        for round in 1..=self.rounds {
            wait(|| self.count.load(Ordering::Acquire) == 2 * round - 1);
            let mut added = 0;
            while self.count.load(Ordering::Acquire) < 2 * round {
                // One instruction: whatever comes between two of them finds all of the earlier ones done.
                number.fetch_add(1, Ordering::Relaxed);
                added += 1;
            }
            self.added.store(added, Ordering::Relaxed);
            self.counted.store(2 * round, Ordering::Release);
        }
    }

    /// Touches the page once a round and never before, so that this processor has no translation of its own to go by.
    fn write(&self) {
        for round in 1..=self.rounds {
            wait(|| self.write.load(Ordering::Acquire) == round);
            let due = self.base + Duration::from_nanos(self.write_ns.load(Ordering::Relaxed));
            wait(|| Instant::now() >= due);
            self.area.write_last(0, MARK);
            self.written.store(round, Ordering::Release);
        }
    }
}

/// Spins: a thread that sleeps wakes too late.
fn wait(done: impl Fn() -> bool) {
    while !done() {
        std::hint::spin_loop();
    }
}
