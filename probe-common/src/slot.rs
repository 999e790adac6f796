//! The slot of one mm: who it is, its plain counters, and where its histogram rows are.

use crate::series::{COUNT as SERIES, OPERATION_COUNT};

/// Most slots that can ever be in use. The first one is nobody's: it takes what finds no slot of its own.
pub const SLOTS: u32 = 16 * 1024;
/// Most histogram rows. The first [`SERIES`] belong to slot 0.
pub const ROWS: u32 = 64 * 1024;
/// Most (mm, ioctl, errno) triples.
pub const ERRORS: u32 = 4 * 1024;

/// `state`: free, or being claimed.
pub const STATE_FREE: u32 = 0;
/// `state`: in use, and named.
pub const STATE_NAMED: u32 = 1;
/// `state`: in use by an exec that has not yet given the process its new name.
pub const STATE_EXEC: u32 = 2;
/// `state`: the mm is gone; nothing will be added.
pub const STATE_DEAD: u32 = 3;

/// Places for row indexes in a slot: a power of two, so that a mask keeps an index inside.
pub const ROW_PLACES: usize = 64;
const _: () = assert!(SERIES <= ROW_PLACES && ROW_PLACES.is_power_of_two());

/// Places in which others find the windows that are open on an mm: a power of two.
pub const WINDOW_PLACES: usize = 16;
/// Holds with waiters behind them that are remembered: a power of two. A wait that spans more is charged in part to nobody.
pub const BLOCKERS: usize = 8;
/// Ends of mprotects with waiters behind them that are remembered: a power of two.
pub const DOWNGRADES: usize = 8;
/// Pages whose last userfault is remembered, to see the next one: a power of two.
pub const FAULT_PLACES: usize = 8;

/// A hold of mmap_lock that others waited for when it ended.
#[repr(C)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
#[derive(Clone, Copy, Debug)]
pub struct Blocker {
    /// Acquired, CLOCK_MONOTONIC nanoseconds.
    pub from_ns: u64,
    /// Released, or downgraded.
    pub to_ns: u64,
    /// Operation of the task that held it.
    pub operation: u32,
    /// Unused, zero.
    pub pad: u32,
}

/// The part of an mprotect in which mmap_lock could have been held for read.
#[repr(C)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
#[derive(Clone, Copy, Debug)]
pub struct Downgrade {
    /// Start of the last VMA's change_protection, CLOCK_MONOTONIC nanoseconds.
    pub from_ns: u64,
    /// Release of the lock.
    pub to_ns: u64,
}

/// Acquisition counters: mode (read, write) times result (acquired, failed).
pub const ACQUISITIONS: usize = 4;

/// Everything that is counted for one mm. Written by the kernel side with atomic additions, zeroed by the daemon
/// after the mm is gone. 32-bit counters wrap, see [`crate::histogram::Row`].
#[repr(C)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
#[derive(Clone, Copy, Debug)]
pub struct MmSlot {
    /// Address of the mm_struct; zero while the slot is free or was retired.
    pub mm: u64,
    /// `mm->context.ctx_id`, never reused by the kernel; zero where there is none.
    pub ctx_id: u64,
    /// When the slot was claimed, CLOCK_MONOTONIC nanoseconds.
    pub born_ns: u64,
    /// Id of the owner's cgroup in the v2 hierarchy; zero when it could not be read.
    pub cgroup_id: u64,
    /// Name of the owner: sixteen bytes in memory order, written as two words.
    pub comm_halves: [u64; 2],
    /// Process id of the owner, in the initial namespace.
    pub tgid: u32,
    /// One of the `STATE_` values.
    pub state: u32,
    /// Read acquired, read failed, write acquired, write failed.
    pub acquisitions: [u32; ACQUISITIONS],
    /// By [`crate::series::FLUSH_KINDS`].
    pub flushes: [u32; 3],
    /// Outer windows opened so far.
    pub windows_opened: u32,
    /// Outer windows closed so far.
    pub windows_closed: u32,
    /// Userfaults begun so far.
    pub faults_begun: u32,
    /// Userfaults ended so far.
    pub faults_ended: u32,
    /// By how much the kernel's count of pending flushes is known to differ from ours.
    pub pending_difference: u32,
    /// Looks in a row at which it differed otherwise; zero while it does not.
    pub pending_differs_looks: u32,
    /// When the first of them was, CLOCK_MONOTONIC milliseconds; wraps.
    pub pending_differs_since_ms: u32,
    /// Pages that range and page flushes invalidated one by one.
    pub flush_pages: u64,
    /// Flushes that do_wp_page was forced to by a pending flush: unwarranted, warranted.
    pub forced: [u32; 2],
    /// Ranges that were flushed as the whole mm, by [`crate::series::ESCALATIONS`].
    pub escalated: [u32; 4],
    /// Write faults inside another task's open window, by [`crate::series::OUTCOMES`].
    pub stale_writes: [u32; 3],
    /// Cycles not-writable, writable, not-writable of a 2 MiB range: without a flush between, with one.
    pub cycles: [u32; 2],
    /// Write faults during which the generation of their page table would have changed: without need, with need.
    pub generations: [u32; 2],
    /// Protection changes so far; the clock of [`crate::range::Range`].
    pub changes: u32,
    /// Full flushes completed so far; another clock of [`crate::range::Range`].
    pub full_flushes: u32,
    /// Userfaults at a page that was the last one at its place already.
    pub refaults: u32,
    /// Mprotects that changed one VMA: the first bucket of their histogram, which nearly all of them would go into.
    pub mprotects_of_one_vma: u32,
    /// Flushes that other CPUs were asked to take part in.
    pub shootdowns: u32,
    /// How many CPUs they asked, in all.
    pub shootdown_cpus: u32,
    /// Waits for the lock begun so far.
    pub waits_begun: u32,
    /// Waits ended so far.
    pub waits_ended: u32,
    /// Mprotects that ended with waiters behind them, so far.
    pub downgrade_count: u32,
    /// Holds that ended with waiters behind them, so far.
    pub blocker_count: u32,
    /// Batches of reclaim that took pages from this mm and have not been flushed.
    pub reclaim_open: u32,
    /// The kernel's own count of pages that reclaim has left to be flushed (`mm->tlb_flush_batched`), when one was left last.
    pub reclaim_batched: u32,
    /// Unused, zero.
    pub pad: u32,
    /// When a full flush was complete that overtook such a batch, CLOCK_MONOTONIC nanoseconds.
    pub reclaim_flushed_ns: u64,
    /// Sum of the beginnings of all waits that have not ended, nanoseconds.
    pub waits_since_ns: u64,
    /// Time in mprotects, with waiters behind them, from the last VMA's change to the release, nanoseconds.
    pub downgradable_ns: u64,
    /// Reader waits that a downgrade for the last VMA of an mprotect would have spared, nanoseconds.
    pub downgrade_ns: u64,
    /// When a userfaultfd of this mm was last asked for something, CLOCK_MONOTONIC nanoseconds.
    pub uffd_ioctl_ns: u64,
    /// Entries of the task table that have, or had last, a window open on this mm, plus one; zero while unused.
    pub open_windows: [u32; WINDOW_PLACES],
    /// Pages of the last userfaults.
    pub fault_pages: [u64; FAULT_PLACES],
    /// Holds with waiters behind them.
    pub blockers: [Blocker; BLOCKERS],
    /// Ends of mprotects with waiters behind them.
    pub downgrades: [Downgrade; DOWNGRADES],
    /// Time spent waiting for mmap_lock by operation, nanoseconds.
    pub wait_ns: [u64; OPERATION_COUNT],
    /// Time for which mmap_lock was held by operation, nanoseconds.
    pub hold_ns: [u64; OPERATION_COUNT],
    /// Index of each series' row; zero where there is none yet.
    pub rows: [u32; ROW_PLACES],
}

const _: () = assert!(size_of::<MmSlot>() == 1192);

/// Key of the table of failed userfaultfd ioctls.
#[repr(C)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ErrorKey {
    /// Slot of the mm whose task asked.
    pub slot: u32,
    /// See [`crate::series::IOCTLS`].
    pub ioctl: u16,
    /// Positive errno.
    pub errno: u16,
}

const _: () = assert!(size_of::<ErrorKey>() == 8);
