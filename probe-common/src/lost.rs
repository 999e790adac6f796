//! Every way in which the probes can lose something. Each has a counter, and none becomes a duration.

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $constant:ident = $name:literal;)*) => {
        #[allow(non_camel_case_types, clippy::upper_case_acronyms, reason = "only numbers the constants")]
        enum Number { $($constant,)* All }
        $($(#[doc = $doc])+ pub const $constant: u32 = Number::$constant as u32;)*
        /// Number of reasons.
        pub const COUNT: usize = Number::All as usize;
        /// Names of the counters, in the order of their indexes: the `reason` label of `mmscope_lost_total`.
        pub const REASONS: [&str; COUNT] = [$($name),*];
        /// What each of them means, in the same order.
        pub const MEANINGS: [&str; COUNT] = [$(concat!($($doc),+)),*];
    };
}

reasons! {
    /// No free entry in the task's set: the event was dropped.
    TASK_TABLE_FULL = "task_table_full";
    /// No free slot: the event was counted under the subject "other".
    MM_TABLE_FULL = "mm_table_full";
    /// No free row: the event was counted under the subject "other".
    ROW_TABLE_FULL = "row_table_full";
    /// No room for one more (mm, ioctl, errno): the error was not counted.
    ERROR_TABLE_FULL = "error_table_full";
    /// An acquisition of a lock that the task held already by our books: its release was not seen.
    HOLD_OVERWRITTEN = "hold_overwritten";
    /// A third mmap_lock held at once by one task.
    HOLD_OVERFLOW = "hold_overflow";
    /// A release of a lock that was taken before the probes were attached, or while the governor gave them up.
    HOLD_OLDER_THAN_ATTACH = "hold_older_than_attach";
    /// A release of the task's own mmap_lock whose acquisition was not seen.
    RELEASE_WITHOUT_HOLD = "release_without_hold";
    /// A release of another mm's lock by a task that did not take it: mmap_read_unlock_non_owner.
    RELEASE_BY_OTHER_TASK = "release_by_other_task";
    /// A wait that began while another one was open: its end was not seen.
    WAIT_OVERWRITTEN = "wait_overwritten";
    /// The end of a wait that began before the probes were attached, or while the governor gave them up.
    WAIT_OLDER_THAN_ATTACH = "wait_older_than_attach";
    /// The end of a wait whose beginning was not seen.
    WAIT_END_WITHOUT_BEGIN = "wait_end_without_begin";
    /// A gather that began on an mmu_gather already open by our books: its end was not seen.
    WINDOW_OVERWRITTEN = "window_overwritten";
    /// A third window open at once in one task.
    WINDOW_OVERFLOW = "window_overflow";
    /// The end of a window that began before the probes were attached, or while the governor gave them up.
    WINDOW_OLDER_THAN_ATTACH = "window_older_than_attach";
    /// A window's end whose beginning was not seen.
    WINDOW_CLOSE_WITHOUT_OPEN = "window_close_without_open";
    /// All places for open windows of an mm were taken: others did not find this one, and may have called a flush that it
    /// forced unwarranted.
    WINDOW_PLACES_TAKEN = "window_places_taken";
    /// Another task took this window's place at the same moment: others may not have found it.
    WINDOW_PLACE_LOST = "window_place_lost";
    /// A write fault that began while another one was open: its end was not seen.
    WRITE_FAULT_OVERWRITTEN = "write_fault_overwritten";
    /// A shootdown that began while another one was open: its end was not seen.
    SHOOTDOWN_OVERWRITTEN = "shootdown_overwritten";
    /// A shootdown on a machine that may have more than 1024 CPUs: those beyond are not in its number of CPUs.
    SHOOTDOWN_CPUS = "shootdown_cpus";
    /// One mm too many in a batch of reclaim, or in all batches: its window was not told.
    RECLAIM_BEYOND = "reclaim_beyond";
    /// A batch of reclaim was flushed whose pages were not seen to be unmapped, or whose mm is gone for long.
    RECLAIM_UNFOUND = "reclaim_unfound";
    /// A 2 MiB range was forgotten in favour of another one: a cycle of it may be missing.
    RANGE_EVICTED = "range_evicted";
    /// A 2 MiB range of a protection change that spans too many: its cycles are not seen.
    RANGE_BEYOND = "range_beyond";
    /// A userfault that began while another one was open: its end was not seen.
    FAULT_OVERWRITTEN = "fault_overwritten";
    /// The end of a userfault that began before the probes were attached, or while the governor gave them up.
    FAULT_OLDER_THAN_ATTACH = "fault_older_than_attach";
    /// A userfault's end whose beginning was not seen.
    FAULT_END_WITHOUT_BEGIN = "fault_end_without_begin";
    /// An ioctl that began while another one was open: its end was not seen.
    IOCTL_OVERWRITTEN = "ioctl_overwritten";
    /// The end of an ioctl that began before the probes were attached, or while the governor gave them up.
    IOCTL_OLDER_THAN_ATTACH = "ioctl_older_than_attach";
    /// An ioctl's end whose beginning was not seen.
    IOCTL_END_WITHOUT_BEGIN = "ioctl_end_without_begin";
    /// Something open in the books of a task that no longer exists: its end was not seen.
    ABANDONED = "abandoned";
    /// No room in the ring: a threshold record was dropped, totals are not touched.
    RING_FULL = "ring_full";
    /// An event in the idle task, which has no identity of its own.
    NO_TASK = "no_task";
    /// The clock read earlier than the event's beginning: no duration was made of it.
    CLOCK_BACKWARDS = "clock_backwards";
    /// By kprobes: a call of a function whose last call by the task is still under way by our books: its return was not seen.
    CALL_OVERWRITTEN = "call_overwritten";
    /// By kprobes: the return of a function that was called before the probes were attached.
    CALL_OLDER_THAN_ATTACH = "call_older_than_attach";
    /// By kprobes: the return of a function whose call was not seen.
    CALL_RETURN_WITHOUT_ENTRY = "call_return_without_entry";
}

/// Behind the reasons in the same map: looks at which the kernel's count of pending flushes differed from ours.
pub const PENDING_MISMATCH: u32 = COUNT as u32;
/// All counters of that map.
pub const COUNTERS: u32 = COUNT as u32 + 1;
