//! Threads of one mm that contend for its mmap_lock: behind lock-hold, lock-readers and lock-writers. Knows how often
//! each call takes the lock; measures only itself.
//!
//! | operation | mmap_lock, 5.10 to 7.3 |
//! |---|---|
//! | mprotect of the writer's own area, read-only and writable in turn | write once |
//! | mmap, touch, munmap of the writer's own area | write twice; munmap downgrades the second to read at its end |
//! | mincore of an area that all readers share, at most 4096 pages in one VMA | read once per 4096 pages |
//!
//! mincore answers through one kernel page, a byte for each page asked for, and takes the lock for each fill of it
//! (mm/mincore.c, SYSCALL_DEFINE3(mincore)); hence the bound. Page faults take the lock for read too, in full up to
//! 6.3 and hardly ever since; only the munmap form faults, and its touches are counted apart.

use std::io;
use std::mem::MaybeUninit;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde::Serialize;
use serde_json::Value;

use crate::memory::Area;
use crate::setup::{self, Setup};
use crate::team::Team;
use crate::timing::{OpTimes, nanos};

/// What one mincore can answer within one hold of the lock.
const MINCORE_PAGES_MAX: usize = 4096;

/// How long a thread goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    /// So many operations.
    Ops(u64),
    /// So long; the operations are counted as they come.
    Elapsed(Duration),
}

impl Until {
    fn goes_on(self, ops: u64, since: Instant) -> bool {
        match self {
            Self::Ops(wanted) => ops < wanted,
            Self::Elapsed(time) => since.elapsed() < time,
        }
    }
}

/// What a writer does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum WriteOp {
    /// One mprotect of a touched area: one write hold, as long as the area
    Mprotect,
    /// mmap, touch, munmap: two write holds, the second of them downgraded
    Munmap,
}

/// Who contends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) writers: usize,
    pub(crate) readers: usize,
    pub(crate) write_until: Until,
    pub(crate) read_until: Until,
    pub(crate) pages: usize,
    /// VMAs of each writer's area, where that is there all the time.
    pub(crate) vmas: usize,
    pub(crate) write_op: WriteOp,
}

/// Counts of all threads.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Counts {
    writers: u64,
    readers: u64,
    mprotect_calls: u64,
    mmap_calls: u64,
    munmap_calls: u64,
    mincore_calls: u64,
    /// First writes to pages of a fresh mapping: a page fault each.
    page_touches: u64,
    /// Acquisitions of mmap_lock by the calls above, without page faults.
    write_locks: u64,
    read_locks: u64,
    /// An operation is one mprotect, or one mmap with its touches and munmap.
    write_times: OpTimes,
    read_times: OpTimes,
    per_thread: Vec<Thread>,
    elapsed_ns: u64,
}

/// One thread, in the order of members: writers first; the first of all is the main thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
struct Thread {
    role: Role,
    #[serde(flatten)]
    times: OpTimes,
    /// How often it gave up its CPU by itself (getrusage): above zero if it ever slept for the lock.
    voluntary_switches: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Role {
    Writer,
    Reader,
}

/// Runs all threads and adds up.
///
/// # Errors
///
/// If there is nobody to run, or a call fails.
pub(crate) fn run(plan: Plan, setup: &mut Setup) -> Result<Value> {
    ensure!(plan.writers + plan.readers > 0, "neither writers nor readers");
    if plan.write_op == WriteOp::Munmap {
        setup::disable_thp(setup)?;
    }
    let team = Team::new(plan.writers + plan.readers, setup)?;
    let read_pages = plan.pages.min(MINCORE_PAGES_MAX);
    let shared = if plan.readers > 0 { Some(Area::touched(read_pages, setup)?) } else { None };
    let answers = (0..plan.readers).map(|_| Area::touched(1, setup)).collect::<Result<Vec<_>>>()?;
    let written = (0..plan.writers)
        .map(|_| match plan.write_op {
            WriteOp::Mprotect => {
                let area = Area::touched(plan.pages, setup)?;
                area.split(plan.vmas, setup)?;
                Ok(area)
            }
            WriteOp::Munmap => Area::hole(plan.pages, setup),
        })
        .collect::<Result<Vec<_>>>()?;

    setup.done()?;
    let (threads, time) = team.run(|member| {
        let switches = voluntary_switches()?;
        let (role, times) = match (written.get(member), &shared) {
            (Some(area), _) => (Role::Writer, write(area, plan)?),
            (None, Some(area)) => (Role::Reader, read(area, &answers[member - plan.writers], plan.read_until)?),
            (None, None) => unreachable!("every member is a writer or there are readers"),
        };
        Ok(Thread { role, times, voluntary_switches: voluntary_switches()? - switches })
    })?;
    Ok(serde_json::to_value(count(plan, threads, time))?)
}

fn write(area: &Area, plan: Plan) -> Result<OpTimes> {
    let since = Instant::now();
    let mut times = OpTimes::default();
    while plan.write_until.goes_on(times.ops, since) {
        let begin = Instant::now();
        match plan.write_op {
            WriteOp::Mprotect if times.ops % 2 == 0 => area.protect_read()?,
            WriteOp::Mprotect => area.protect_write()?,
            WriteOp::Munmap => {
                area.map()?;
                area.write_each(1);
                area.unmap()?;
            }
        }
        times.record(begin.elapsed());
    }
    Ok(times)
}

fn read(area: &Area, answer: &Area, until: Until) -> Result<OpTimes> {
    let since = Instant::now();
    let mut times = OpTimes::default();
    while until.goes_on(times.ops, since) {
        let begin = Instant::now();
        area.mincore(answer)?;
        times.record(begin.elapsed());
    }
    Ok(times)
}

fn count(plan: Plan, threads: Vec<Thread>, time: Duration) -> Counts {
    let sum = |role| {
        let own = threads.iter().filter(|thread| thread.role == role);
        own.fold(OpTimes::default(), |sum, thread| sum.merge(thread.times))
    };
    let (write_times, read_times) = (sum(Role::Writer), sum(Role::Reader));
    let counts = Counts {
        writers: plan.writers as u64,
        readers: plan.readers as u64,
        mincore_calls: read_times.ops,
        read_locks: read_times.ops,
        write_times,
        read_times,
        per_thread: threads,
        elapsed_ns: nanos(time),
        ..Counts::default()
    };
    match plan.write_op {
        WriteOp::Mprotect => Counts { mprotect_calls: write_times.ops, write_locks: write_times.ops, ..counts },
        WriteOp::Munmap => Counts {
            mmap_calls: write_times.ops,
            munmap_calls: write_times.ops,
            page_touches: write_times.ops * plan.pages as u64,
            write_locks: 2 * write_times.ops,
            ..counts
        },
    }
}

fn voluntary_switches() -> Result<u64> {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the kernel fills one rusage, of which every pattern of bytes is valid.
    let done = unsafe { libc::getrusage(libc::RUSAGE_THREAD, usage.as_mut_ptr()) };
    ensure!(done == 0, "getrusage: {}", io::Error::last_os_error());
    // SAFETY: zeroed, and filled by the successful call.
    Ok(unsafe { usage.assume_init() }.ru_nvcsw.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: Plan = Plan {
        writers: 1,
        readers: 2,
        write_until: Until::Ops(4),
        read_until: Until::Ops(5),
        pages: 8,
        vmas: 1,
        write_op: WriteOp::Munmap,
    };

    #[test]
    fn locks_follow_from_the_operations() {
        let times = OpTimes { ops: 4, op_ns_min: 1, op_ns_max: 2, op_ns_sum: 6 };
        let thread = |role| Thread { role, times, voluntary_switches: 0 };
        let threads = || vec![thread(Role::Writer), thread(Role::Reader), thread(Role::Reader)];
        let counts = count(PLAN, threads(), Duration::ZERO);
        assert_eq!((counts.mmap_calls, counts.munmap_calls, counts.page_touches, counts.write_locks), (4, 4, 32, 8));
        assert_eq!((counts.mincore_calls, counts.read_locks, counts.mprotect_calls), (8, 8, 0));

        let counts = count(Plan { write_op: WriteOp::Mprotect, ..PLAN }, threads(), Duration::ZERO);
        assert_eq!((counts.mprotect_calls, counts.write_locks, counts.mmap_calls), (4, 4, 0));
    }

    #[test]
    fn each_thread_makes_all_its_operations() {
        // Not munmap: other tests of this process may map into its hole.
        let counts = run(Plan { write_op: WriteOp::Mprotect, ..PLAN }, &mut Setup::default()).unwrap();
        assert_eq!(counts["mincore_calls"], 10);
        assert_eq!(counts["mprotect_calls"], 4);
        assert_eq!(counts["per_thread"].as_array().unwrap().len(), 3);
        assert_eq!(counts["per_thread"][0]["role"], "writer");
        assert_eq!(counts["per_thread"][2]["ops"], 5);
    }

    #[test]
    fn nobody_is_an_error() {
        assert!(run(Plan { writers: 0, readers: 0, ..PLAN }, &mut Setup::default()).is_err());
    }
}
