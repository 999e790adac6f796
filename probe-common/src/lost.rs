//! Every way in which the probes can lose something. Each has a counter, and none becomes a duration.

/// Names of the counters, in the order of their indexes: the `reason` label of `mmscope_lost_total`.
pub const REASONS: [&str; COUNT] = [
    "task_table_full",
    "mm_table_full",
    "row_table_full",
    "error_table_full",
    "hold_overwritten",
    "hold_overflow",
    "release_without_hold",
    "wait_overwritten",
    "window_overwritten",
    "window_overflow",
    "window_close_without_open",
    "fault_overwritten",
    "fault_end_without_begin",
    "ioctl_end_without_begin",
    "ring_full",
    "no_task",
    "clock_backwards",
];

/// No free entry in the task's set: the event was dropped.
pub const TASK_TABLE_FULL: u32 = 0;
/// No free slot: the event was counted under the subject "other".
pub const MM_TABLE_FULL: u32 = 1;
/// No free row: the event was counted under the subject "other".
pub const ROW_TABLE_FULL: u32 = 2;
/// No room for one more (mm, ioctl, errno): the error was not counted.
pub const ERROR_TABLE_FULL: u32 = 3;
/// An acquisition of a lock that the task held already by our books: its release was not seen.
pub const HOLD_OVERWRITTEN: u32 = 4;
/// A third mmap_lock held at once by one task.
pub const HOLD_OVERFLOW: u32 = 5;
/// A release whose acquisition was not seen: older than the attach, or released by another task.
pub const RELEASE_WITHOUT_HOLD: u32 = 6;
/// A wait that began while another one was open: its end was not seen.
pub const WAIT_OVERWRITTEN: u32 = 7;
/// A gather that began on an mmu_gather already open by our books: its end was not seen.
pub const WINDOW_OVERWRITTEN: u32 = 8;
/// A third window open at once in one task.
pub const WINDOW_OVERFLOW: u32 = 9;
/// A window's end whose beginning was not seen: older than the attach.
pub const WINDOW_CLOSE_WITHOUT_OPEN: u32 = 10;
/// A userfault that began while another one was open: its end was not seen.
pub const FAULT_OVERWRITTEN: u32 = 11;
/// A userfault's end whose beginning was not seen: older than the attach.
pub const FAULT_END_WITHOUT_BEGIN: u32 = 12;
/// An ioctl's end whose beginning was not seen: older than the attach.
pub const IOCTL_END_WITHOUT_BEGIN: u32 = 13;
/// No room in the ring: a threshold record was dropped, totals are not touched.
pub const RING_FULL: u32 = 14;
/// An event in the idle task, which has no identity of its own.
pub const NO_TASK: u32 = 15;
/// The clock read earlier than the event's beginning: no duration was made of it.
pub const CLOCK_BACKWARDS: u32 = 16;
/// Number of reasons.
pub const COUNT: usize = 17;
