//! The maps, and the only way into their memory.
//!
//! Entries are shared with other CPUs and with the daemon, so nobody gets a reference to one: fields are read and
//! written through the raw pointer, counters with atomic additions.

use core::arch::asm;

use aya_ebpf::{
    bindings::BPF_F_MMAPABLE,
    macros::map,
    maps::{Array, HashMap, RingBuf, Stack},
};
use probe_common::{
    answer::{Answer, CPUS},
    call::Call,
    control::Control,
    event::RING_BYTES,
    histogram::Row,
    lost,
    range::{RANGES, Range},
    reclaim::{BATCHES, Batch, BatchKey},
    series::BLOCKED,
    slot::{ERRORS, ErrorKey, MmSlot, ROWS, SLOTS},
    task::{TASKS, TaskState},
};

#[map]
static TASK_STATES: Array<TaskState> = Array::with_max_entries(TASKS, BPF_F_MMAPABLE);
#[map]
static MM_SLOTS: Array<MmSlot> = Array::with_max_entries(SLOTS, BPF_F_MMAPABLE);
#[map]
static HISTOGRAM_ROWS: Array<Row> = Array::with_max_entries(ROWS, BPF_F_MMAPABLE);
#[map]
static PAGE_TABLE_RANGES: Array<Range> = Array::with_max_entries(RANGES, BPF_F_MMAPABLE);
/// Nanoseconds that tasks waited for mmap_lock, by waiter's and holder's operation.
#[map]
static BLOCKED_NS: Array<u64> = Array::with_max_entries(BLOCKED, BPF_F_MMAPABLE);
#[map]
static LOST: Array<u64> = Array::with_max_entries(lost::COUNTERS, BPF_F_MMAPABLE);
/// When the last hook was attached, CLOCK_MONOTONIC nanoseconds; zero before.
#[map]
static ATTACHED_NS: Array<u64> = Array::with_max_entries(1, BPF_F_MMAPABLE);
/// Slot of an mm, by its address.
#[map]
pub(crate) static MM_INDEX: HashMap<u64, u32> = HashMap::with_max_entries(SLOTS, 0);
#[map]
pub(crate) static UFFD_ERRORS: HashMap<ErrorKey, u64> = HashMap::with_max_entries(ERRORS, 0);
/// What reclaim has unmapped and has yet to flush.
#[map]
pub(crate) static RECLAIM_BATCHES: HashMap<BatchKey, Batch> = HashMap::with_max_entries(BATCHES, 0);
/// What each CPU answered last when another one asked it to flush.
#[map]
static CPU_ANSWERS: Array<Answer> = Array::with_max_entries(CPUS, 0);
/// What functions were called with, by task; the daemon makes it as large as the task table where it is needed.
#[map]
static CALLS: Array<Call> = Array::with_max_entries(1, 0);
/// Slots nobody uses; the daemon fills it.
#[map]
pub(crate) static FREE_SLOTS: Stack<u32> = Stack::with_max_entries(SLOTS, 0);
/// Rows nobody uses; the daemon fills it.
#[map]
pub(crate) static FREE_ROWS: Stack<u32> = Stack::with_max_entries(ROWS, 0);
#[map]
pub(crate) static RECORDS: RingBuf = RingBuf::with_byte_size(RING_BYTES, 0);

/// A global, and so a map of its own, at whose value programs have the address.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".data")]
static mut CONTROL: Control = Control { lock_sampling: 0, no_stacks: 0, sampling_since_ns: 0 };

/// What the daemon wants left out.
#[inline(always)]
pub(crate) fn control() -> *mut Control {
    &raw mut CONTROL
}

/// An entry of the task table.
#[inline(always)]
pub(crate) fn task(index: u32) -> Option<*mut TaskState> {
    TASK_STATES.get_ptr_mut(index)
}

/// A slot.
#[inline(always)]
pub(crate) fn slot(index: u32) -> Option<*mut MmSlot> {
    MM_SLOTS.get_ptr_mut(index)
}

/// A row.
#[inline(always)]
pub(crate) fn row(index: u32) -> Option<*mut Row> {
    HISTOGRAM_ROWS.get_ptr_mut(index)
}

/// A 2 MiB range.
#[inline(always)]
pub(crate) fn range(index: u32) -> Option<*mut Range> {
    PAGE_TABLE_RANGES.get_ptr_mut(index)
}

/// What a task's functions were called with, at its index in the task table.
#[inline(always)]
pub(crate) fn call(index: u32) -> Option<*mut Call> {
    CALLS.get_ptr_mut(index)
}

/// A CPU's last answer.
#[inline(always)]
pub(crate) fn answer(cpu: u32) -> Option<*mut Answer> {
    CPU_ANSWERS.get_ptr_mut(cpu)
}

/// Time waited, by waiter's and holder's operation.
#[inline(always)]
pub(crate) fn blocked_ns(index: u32) -> Option<*mut u64> {
    BLOCKED_NS.get_ptr_mut(index)
}

/// Counts one loss.
#[inline(always)]
pub(crate) fn count_lost(reason: u32) {
    if let Some(counter) = LOST.get_ptr_mut(reason) {
        add_u64(counter, 1);
    }
}

/// When the last hook was attached; zero before.
#[inline(always)]
pub(crate) fn attached_ns() -> u64 {
    match ATTACHED_NS.get_ptr(0) {
        Some(ns) => volatile(ns),
        None => 0,
    }
}

/// Adds to a counter in a map. The plain atomic addition that every BPF kernel knows: its result is not used.
#[inline(always)]
pub(crate) fn add_u64(counter: *mut u64, value: u64) {
    // SAFETY: the pointer is into a map's entry, aligned by its layout; the verifier has checked its bounds.
    unsafe {
        asm!("lock *(u64 *)({counter} + 0) += {value}",
            counter = in(reg) counter, value = in(reg) value, options(nostack));
    }
}

/// Adds one to a counter in a map.
#[inline(always)]
pub(crate) fn increment(counter: *mut u32) {
    // SAFETY: as in `add_u64`.
    unsafe {
        asm!("lock *(u32 *)({counter} + 0) += {value}",
            counter = in(reg) counter, value = in(reg) 1_u64, options(nostack));
    }
}

/// Adds to a counter in a map.
#[inline(always)]
pub(crate) fn add_u32(counter: *mut u32, value: u64) {
    // SAFETY: as in `add_u64`.
    unsafe {
        asm!("lock *(u32 *)({counter} + 0) += {value}",
            counter = in(reg) counter, value = in(reg) value, options(nostack));
    }
}

/// Reads what the compiler must not presume to know: a map's entry or a parameter.
#[inline(always)]
pub(crate) fn volatile<T: Copy>(place: *const T) -> T {
    // SAFETY: the pointer is into a map's entry or a static of this object, aligned and always initialised.
    unsafe { place.read_volatile() }
}

/// Writes into a map's entry.
#[inline(always)]
pub(crate) fn store<T>(place: *mut T, value: T) {
    // SAFETY: the pointer is into a map's entry; the verifier has checked its bounds.
    unsafe { place.write_volatile(value) }
}

/// The address of a field of an entry: no reference to it is made.
macro_rules! at {
    ($entry:expr, $($field:tt)+) => {{
        let entry = $entry;
        // SAFETY: `entry` points to a whole entry of a map; only the address of a field is taken.
        unsafe { &raw mut (*entry).$($field)+ }
    }};
}
pub(crate) use at;

/// Reads a field of an entry.
macro_rules! get {
    ($entry:expr, $($field:tt)+) => { $crate::maps::volatile($crate::maps::at!($entry, $($field)+)) };
}
pub(crate) use get;

/// Writes a field of an entry.
macro_rules! set {
    ($entry:expr, $field:ident $([$index:expr])? $(. $inner:ident)? = $value:expr) => {{
        let value = $value;
        $crate::maps::store($crate::maps::at!($entry, $field $([$index])? $(. $inner)?), value)
    }};
}
pub(crate) use set;
