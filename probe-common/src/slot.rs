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
    /// Since when it has differed otherwise at every look; zero while it does not.
    pub pending_differs_since_ns: u64,
    /// Pages that range and page flushes invalidated one by one.
    pub flush_pages: u64,
    /// Time spent waiting for mmap_lock by operation, nanoseconds.
    pub wait_ns: [u64; OPERATION_COUNT],
    /// Time for which mmap_lock was held by operation, nanoseconds.
    pub hold_ns: [u64; OPERATION_COUNT],
    /// Index of each series' row; zero where there is none yet.
    pub rows: [u32; ROW_PLACES],
}

const _: () = assert!(size_of::<MmSlot>() == 600);

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
