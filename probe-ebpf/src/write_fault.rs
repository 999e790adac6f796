//! Write faults (do_wp_page): which flush they were forced to, whether another task's window was open over them, and what
//! became of the page. Knows nothing of how the events are hooked.
//!
//! do_wp_page runs under the page-table lock of the faulting entry until it copies. Whoever has changed that entry has
//! announced it before, so the windows that matter are those open when it is entered.

use core::ffi::c_void;

use probe_common::{
    event::STALE_WRITE,
    lost,
    relocation::field,
    series::{EXPOSED, MITIGATED, OP_FAULT, REUSED},
    slot::MmSlot,
    task::{BUSY_WP, TaskState, WP_COPIED, WP_COVERED, WP_FORCED, WP_LATE, WP_MMAP_LOCK, WP_PENDING, WP_USERFAULT},
};

use crate::{
    emit::{self, Event},
    kernel::{Raw, Reader, now_ns, read_u64},
    maps::{at, count_lost, get, increment, set, slot},
    params, places, range, slots, tasks,
    turn::Turn,
};

/// What do_wp_page returns when the page did not become writable: VM_FAULT_ERROR, RETRY, FALLBACK, include/linux/mm_types.h.
const VM_FAULT_NOT_WRITABLE: u64 = 0xc73;

/// Of so many write faults that lost nothing, the first is told by a record.
const TOLD_OF: u32 = 64;

/// do_wp_page was entered.
#[inline(always)]
pub(crate) fn begin<R: Reader>(vmf: u64, turn: Turn) {
    let Some(task) = tasks::current() else { return };
    if get!(task, wp_pte) != 0 {
        if turn != Turn::First {
            return;
        }
        count_lost(lost::WRITE_FAULT_OVERWRITTEN);
    }
    let vma = R::u64::<{ field::VM_FAULT_VMA }>(vmf);
    let mm = R::u64::<{ field::VMA_MM }>(vma);
    let page = R::u64::<{ field::VM_FAULT_ADDRESS }>(vmf) & !0xfff;
    let Some((slot_index, entry)) = slots::of::<R>(task, mm) else { return };
    set!(task, wp_pte = R::u64::<{ field::VM_FAULT_PTE }>(vmf));
    set!(task, wp_page = page);
    set!(task, wp_slot = slot_index);
    set!(task, wp_bits = 0);
    set!(task, wp_path = 0);
    set!(task, wp_changes = get!(entry, changes));
    tasks::begin(task, BUSY_WP);
    // The kernel's own count tells whether anybody's flush is pending at all.
    if R::u32::<{ field::MM_TLB_FLUSH_PENDING }>(mm) == 0 {
        return;
    }
    let inferred = if params::inline_flushes() != 0 && is_to_be_flushed::<R>(vmf, vma) { WP_PENDING } else { 0 };
    set!(task, wp_bits = inferred);
    let found = places::overlap(task, slot_index, page, page + 4096, true);
    if !found.is_any {
        return;
    }
    let holds = get!(task, holds[0].mm) == mm || get!(task, holds[1].mm) == mm;
    set!(task, wp_bits = inferred | WP_COVERED | if holds { WP_MMAP_LOCK } else { 0 });
    if found.path != 0 {
        set!(task, wp_path = found.path);
        set!(task, wp_window_since_ns = get!(task, found_since_ns));
        set!(task, wp_window_id = get!(task, found_id));
        set!(task, wp_vma_flags = R::u64::<{ field::VMA_FLAGS }>(vma));
        set!(task, wp_since_ns = now_ns());
    }
}

/// VM_UFFD_WP, include/linux/mm.h; set nowhere where the architecture has no such thing.
const VM_UFFD_WP: u64 = 0x1000;
/// FAULT_FLAG_UNSHARE, include/linux/mm_types.h (5.19 and later).
const FAULT_FLAG_UNSHARE: u32 = 1 << 10;

/// Whether the page of a write fault with a flush pending elsewhere is flushed before anything else (do_wp_page in mm/memory.c), if
/// the fault does not go to a userfaultfd. Where that flush is inline nothing else tells it.
#[inline(always)]
fn is_to_be_flushed<R: Reader>(vmf: u64, vma: u64) -> bool {
    R::u64::<{ field::VMA_FLAGS }>(vma) & VM_UFFD_WP != 0
        && Raw::u32::<{ field::VM_FAULT_FLAGS }>(vmf) & FAULT_FLAG_UNSHARE == 0
}

/// The page of a write fault was flushed. The entry tells which flush it was: ptep_clear_flush has taken it out of the table
/// to put a copy's in; the flush for what is pending elsewhere comes before anything is changed.
#[inline(always)]
pub(crate) fn flushed(task: *mut TaskState, slot_index: u32, start: u64) {
    if get!(task, wp_page) != start || get!(task, wp_slot) != slot_index {
        return;
    }
    let entry = read_u64(get!(task, wp_pte));
    let bits = get!(task, wp_bits);
    if entry == 0 {
        let late = if is_still_open(task, slot_index) { WP_LATE } else { 0 };
        set!(task, wp_bits = bits | WP_COPIED | late);
        return;
    }
    if bits & (WP_FORCED | WP_COPIED) != 0 {
        return;
    }
    set!(task, wp_bits = bits | WP_FORCED);
    if let Some(mm) = slot(slot_index) {
        count_forced(mm, bits);
    }
}

#[inline(always)]
fn count_forced(mm: *mut MmSlot, bits: u32) {
    if bits & WP_COVERED != 0 {
        increment(at!(mm, forced[1]));
    } else {
        increment(at!(mm, forced[0]));
    }
}

/// Whether the window that the fault met is open yet. One that closed after it was met, and before the kernel looked, was
/// flushed in time.
#[inline(always)]
fn is_still_open(task: *mut TaskState, slot_index: u32) -> bool {
    if get!(task, wp_path) == 0 {
        return false;
    }
    let Some(entry) = slot(slot_index) else { return false };
    // The kernel's count may be down before our books are.
    if Raw::u32::<{ field::MM_TLB_FLUSH_PENDING }>(get!(entry, mm)) == 0 {
        return false;
    }
    let page = get!(task, wp_page);
    let found = places::overlap(task, slot_index, page, page + 4096, false);
    found.path != 0 && get!(task, found_since_ns) <= get!(task, wp_since_ns)
}

/// A write fault goes to a userfaultfd.
#[inline(always)]
pub(crate) fn handed_over(task: *mut TaskState) {
    if get!(task, wp_pte) != 0 {
        set!(task, wp_bits = get!(task, wp_bits) | WP_USERFAULT);
    }
}

/// do_wp_page returned.
#[inline(always)]
pub(crate) fn end(ctx: *mut c_void, result: u64) {
    let Some(task) = tasks::find() else { return };
    if get!(task, wp_pte) == 0 {
        return;
    }
    set!(task, wp_pte = 0);
    tasks::end(task, BUSY_WP);
    let slot_index = get!(task, wp_slot);
    let Some(mm) = slot(slot_index) else { return };
    let mut bits = get!(task, wp_bits);
    if bits & WP_USERFAULT != 0 {
        return;
    }
    if bits & WP_PENDING != 0 {
        count_forced(mm, bits);
        bits |= WP_FORCED;
    }
    let page = get!(task, wp_page);
    if get!(mm, changes) != get!(task, wp_changes) {
        match range::changed_since(slot_index, page, get!(task, wp_changes)) {
            Some(true) => increment(at!(mm, generations[1])),
            Some(false) => increment(at!(mm, generations[0])),
            None => {}
        }
    }
    let is_written = result & VM_FAULT_NOT_WRITABLE == 0;
    if is_written {
        range::written(slot_index, page);
    }
    if get!(task, wp_path) != 0 {
        met(ctx, task, slot_index, bits, is_written);
    }
}

/// The write fault met a window. One that was to be tried again, or failed, did nothing that could lose anything, unless it
/// was flushed: then it was about to.
#[inline(always)]
fn met(ctx: *mut c_void, task: *mut TaskState, slot_index: u32, bits: u32, is_written: bool) {
    let outcome = if bits & WP_FORCED != 0 {
        MITIGATED
    } else if bits & WP_COPIED != 0 {
        if bits & WP_LATE == 0 {
            return;
        }
        EXPOSED
    } else if is_written && is_still_open(task, slot_index) {
        REUSED
    } else {
        return;
    };
    let Some(mm) = slot(slot_index) else { return };
    let so_far = match outcome {
        MITIGATED => {
            increment(at!(mm, stale_writes[0]));
            get!(mm, stale_writes[0])
        }
        EXPOSED => {
            increment(at!(mm, stale_writes[1]));
            1
        }
        _ => {
            increment(at!(mm, stale_writes[2]));
            get!(mm, stale_writes[2])
        }
    };
    // What lost nothing is told in samples: it must not drive what did out of the ring.
    if so_far % TOLD_OF != 1 && params::timeline() == 0 {
        return;
    }
    let since = get!(task, wp_since_ns);
    let now = now_ns();
    emit::record(
        ctx,
        &Event {
            slot: slot_index,
            series: STALE_WRITE,
            operation: OP_FAULT,
            begin_ns: since,
            duration_ns: now.wrapping_sub(since),
            detail: [
                get!(task, wp_page),
                get!(task, wp_window_since_ns),
                get!(task, wp_window_id),
                u64::from(outcome),
                u64::from(bits),
                get!(task, wp_vma_flags),
            ],
        },
    );
}
