//! What is open in one task right now: locks held, a wait, windows, a userfault, an ioctl.
//!
//! Only the task itself writes its entry, so plain stores are enough.

/// Entries of the task table; a power of two. A task's id chooses a set of [`WAYS`] entries.
pub const TASKS: u32 = 16 * 1024;
/// Entries that a task may use.
pub const WAYS: u32 = 4;

/// `inline_slot`: not known yet.
pub const NO_SLOT: u32 = u32::MAX;

/// A lock held.
#[repr(C)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
#[derive(Clone, Copy, Debug)]
pub struct Hold {
    /// The mm whose lock it is; zero while unused.
    pub mm: u64,
    /// Since when, nanoseconds.
    pub since_ns: u64,
    /// Slot of that mm.
    pub slot: u32,
    /// 0 read, 1 write.
    pub write: u32,
    /// Time that the task had spent on a CPU when it took the lock, nanoseconds.
    pub runtime_ns: u64,
}

/// A pending-flush window.
#[repr(C)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// Address of the mmu_gather; zero while unused.
    pub tlb: u64,
    /// Return of tlb_gather_mmu, nanoseconds.
    pub since_ns: u64,
    /// First change_protection in it, nanoseconds; zero when there was none.
    pub inner_since_ns: u64,
    /// Return of the last flush after that, nanoseconds; zero when there was none.
    pub inner_end_ns: u64,
    /// Slot of the mm.
    pub slot: u32,
    /// Path plus one; zero while it is not known.
    pub path: u32,
    /// What change_protection was told to change: first byte.
    pub start: u64,
    /// First byte behind; zero while nothing was told.
    pub end: u64,
    /// Times that the task had given up its CPU of its own accord when the window opened; wraps.
    pub yields: u32,
    /// Times that it had been preempted; wraps.
    pub preemptions: u32,
    /// Place in its mm's slot where others find it, plus one; zero if there was none free.
    pub place: u32,
    /// 1 once a write fault of another task met it.
    pub met: u32,
}

/// One task's open things.
#[repr(C)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
#[derive(Clone, Copy, Debug)]
pub struct TaskState {
    /// tgid in the upper half, pid in the lower; zero while the entry is free.
    pub id: u64,
    /// Bits of what is open; an entry with none may be taken by another task.
    pub busy: u32,
    /// Slot of `mm`.
    pub slot: u32,
    /// The mm that the task met last.
    pub mm: u64,
    /// The lock that the task waits for (its address); zero when it waits for none.
    pub wait_lock: u64,
    /// Since when.
    pub wait_since_ns: u64,
    /// Slot of the mm whose lock it is.
    pub wait_slot: u32,
    /// 0 read, 1 write.
    pub wait_write: u32,
    /// Its mm's `downgradable_ns` when it began.
    pub wait_downgradable_ns: u64,
    /// Its mm's `downgrade_count` when it began.
    pub wait_downgrades: u32,
    /// Mms in the batch of reclaim that the task has yet to flush.
    pub reclaim_mms: u32,
    /// Begin of the userfault; zero when there is none.
    pub fault_since_ns: u64,
    /// Slot of the mm that faulted.
    pub fault_slot: u32,
    /// Index in [`crate::series::FAULT_REASONS`].
    pub fault_reason: u32,
    /// Begin of the userfaultfd ioctl; zero when there is none.
    pub ioctl_since_ns: u64,
    /// Its request.
    pub ioctl_cmd: u32,
    /// Path that the surrounding function gives to windows, plus one; zero when none does.
    pub context_path: u32,
    /// Begin of a window that the kernel counts inline, without a gather; zero when there is none.
    pub inline_since_ns: u64,
    /// Return of the last flush in it, nanoseconds; zero when there was none.
    pub inline_end_ns: u64,
    /// Slot of its mm; [`NO_SLOT`] while that is not known.
    pub inline_slot: u32,
    /// Which of a hook's programs saw a flush last: 1, 2, 3 in their order; zero before any.
    pub flush_turn: u32,
    /// The same for an acquisition that failed.
    pub failure_turn: u32,
    /// The same for a protection change.
    pub change_turn: u32,
    /// For making a number of a pointer, and an unknown one of one that the verifier knows.
    pub scratch: u64,
    /// Range of the inline window: first byte.
    pub inline_start: u64,
    /// First byte behind; zero while it is not known.
    pub inline_end: u64,
    /// As in [`Window`].
    pub inline_place: u32,
    /// As in [`Window`].
    pub inline_met: u32,
    /// 1 if the pages of the inline window will be writable.
    pub inline_writable: u32,
    /// Slot of the mm whose flush waits for other CPUs.
    pub shootdown_slot: u32,
    /// Start of the last VMA's change in the mprotect under way, nanoseconds; zero when there is none.
    pub change_since_ns: u64,
    /// VMAs changed in it.
    pub change_vmas: u32,
    /// Where this entry is in the table.
    pub index: u32,
    /// Address of the page-table entry of the write fault that do_wp_page handles; zero when there is none.
    pub wp_pte: u64,
    /// Its page.
    pub wp_page: u64,
    /// When it entered do_wp_page; zero while that does not matter.
    pub wp_since_ns: u64,
    /// Since when the window that it met was open, nanoseconds.
    pub wp_window_since_ns: u64,
    /// The task of that window, as `id`.
    pub wp_window_id: u64,
    /// Flags of its VMA.
    pub wp_vma_flags: u64,
    /// Since when the window that was found last over a page or range is open, nanoseconds.
    pub found_since_ns: u64,
    /// Its task, as `id`.
    pub found_id: u64,
    /// Slot of its mm.
    pub wp_slot: u32,
    /// Bits of what happened to it.
    pub wp_bits: u32,
    /// Protection changes of the mm when it entered.
    pub wp_changes: u32,
    /// Path of the window that it met, plus one; zero if it met none.
    pub wp_path: u32,
    /// Begin of the flush that waits for other CPUs; zero when there is none.
    pub shootdown_since_ns: u64,
    /// Time for which flushes have waited for other CPUs since the first window was opened, nanoseconds.
    pub shootdowns_ns: u64,
    /// Page of the userfault.
    pub fault_page: u64,
    /// The longest of the windows that the batch's flush closed, nanoseconds.
    pub reclaim_longest_ns: u64,
    /// Slot of its mm.
    pub reclaim_longest_slot: u32,
    /// Slot of the mm that came into the batch last; zero while there is none. See [`crate::reclaim::Batch`].
    pub reclaim_first: u32,
    /// Locks held; fork holds two.
    pub holds: [Hold; 2],
    /// Windows open.
    pub windows: [Window; 2],
}

const _: () = assert!(size_of::<TaskState>() == 512);

/// `busy`: a hold is open. Shifted left by the hold's index.
pub const BUSY_HOLD: u32 = 1;
/// `busy`: a wait is open.
pub const BUSY_WAIT: u32 = 1 << 2;
/// `busy`: a window is open. Shifted left by the window's index.
pub const BUSY_WINDOW: u32 = 1 << 3;
/// `busy`: a userfault is open.
pub const BUSY_FAULT: u32 = 1 << 5;
/// `busy`: an ioctl is open.
pub const BUSY_IOCTL: u32 = 1 << 6;
/// `busy`: a surrounding function gives the path.
pub const BUSY_CONTEXT: u32 = 1 << 7;
/// `busy`: inside do_wp_page.
pub const BUSY_WP: u32 = 1 << 8;
/// `busy`: a flush waits for other CPUs.
pub const BUSY_SHOOTDOWN: u32 = 1 << 9;
/// `busy`: a batch of reclaim has yet to be flushed.
pub const BUSY_RECLAIM: u32 = 1 << 10;
/// `busy`: a function's arguments are kept for its return. Shifted left by its place in [`crate::call`].
pub const BUSY_CALL: u32 = 1 << 11;

const _: () = assert!(11 + crate::call::WORDS <= u32::BITS as usize);

/// `wp_bits`: another task's open window covered the page.
pub const WP_COVERED: u32 = 1;
/// `wp_bits`: the page was flushed before anything else.
pub const WP_FORCED: u32 = 1 << 1;
/// `wp_bits`: the page was copied.
pub const WP_COPIED: u32 = 1 << 2;
/// `wp_bits`: the fault went to a userfaultfd.
pub const WP_USERFAULT: u32 = 1 << 3;
/// `wp_bits`: mmap_lock is held for it; else the VMA's own lock.
pub const WP_MMAP_LOCK: u32 = 1 << 4;
/// `wp_bits`: when the copy was put in place the window was still open.
pub const WP_LATE: u32 = 1 << 5;
/// `wp_bits`: a flush was pending elsewhere, and the kernel flushes the page inline because of it.
pub const WP_PENDING: u32 = 1 << 6;
