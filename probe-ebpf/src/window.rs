//! Pending-flush windows and TLB flushes: what they mean. Knows nothing of how the events are hooked.

use probe_common::{
    lost,
    series::{
        FLUSH_FULL, FLUSH_PAGE, FLUSH_RANGE, INNER, OP_EXEC, OP_EXIT, OP_KTHREAD, OP_MPROTECT, OUTER, PATH_EXIT,
        PATH_MPROTECT, PATH_NUMA, PATH_OTHER, PATH_SOFT_DIRTY, PATH_UFFD_UNWP, PATH_UFFD_WP, PATH_ZAP, PATHS,
    },
    task::{BUSY_CONTEXT, BUSY_WINDOW, TaskState},
};

use crate::{
    emit,
    kernel::{Reader, current_mm, now_ns},
    maps::{add_u64, at, count_lost, get, increment, set, slot},
    operation, params, slots, tasks,
};

/// How a gather began.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gather {
    /// tlb_gather_mmu.
    Range,
    /// tlb_gather_mmu_fullmm: the mm is torn down.
    FullMm,
    /// tlb_gather_mmu_vma, which may or may not have called tlb_gather_mmu.
    Vma,
}

/// An mmu_gather began; `mm` counts it as a pending flush from now on.
#[inline(always)]
pub(crate) fn open<R: Reader>(tlb: u64, mm: u64, gather: Gather) {
    let Some(task) = tasks::current() else { return };
    if get!(task, windows[0].tlb) == 0 {
        open_in::<R, 0>(task, tlb, mm, gather);
    } else if get!(task, windows[0].tlb) == tlb {
        if gather == Gather::Vma {
            return;
        }
        count_lost(lost::WINDOW_OVERWRITTEN);
        open_in::<R, 0>(task, tlb, mm, gather);
    } else if get!(task, windows[1].tlb) == 0 {
        open_in::<R, 1>(task, tlb, mm, gather);
    } else if get!(task, windows[1].tlb) == tlb {
        if gather == Gather::Vma {
            return;
        }
        count_lost(lost::WINDOW_OVERWRITTEN);
        open_in::<R, 1>(task, tlb, mm, gather);
    } else {
        count_lost(lost::WINDOW_OVERFLOW);
    }
}

#[inline(always)]
fn open_in<R: Reader, const I: usize>(task: *mut TaskState, tlb: u64, mm: u64, gather: Gather) {
    let slot_index = slots::of::<R>(task, mm);
    let path = if gather == Gather::FullMm { PATH_EXIT + 1 } else { get!(task, context_path) };
    set!(task, windows[I].tlb = tlb);
    set!(task, windows[I].slot = slot_index);
    set!(task, windows[I].path = path);
    set!(task, windows[I].inner_since_ns = 0);
    set!(task, windows[I].inner_end_ns = 0);
    tasks::begin(task, BUSY_WINDOW << I);
    if let Some(entry) = slot(slot_index) {
        increment(at!(entry, windows_opened));
    }
    set!(task, windows[I].since_ns = now_ns());
}

/// cp_flags, include/linux/mm.h, the same from 5.10 on.
const MM_CP_PROT_NUMA: u64 = 1 << 1;
const MM_CP_UFFD_WP: u64 = 1 << 2;
const MM_CP_UFFD_WP_RESOLVE: u64 = 1 << 3;
/// From 7.3 on: userfaultfd's protection against reading and writing.
const MM_CP_UFFD_RWP: u64 = 1 << 4;
const MM_CP_UFFD_RWP_RESOLVE: u64 = 1 << 5;

#[inline(always)]
fn path_of(cp_flags: u64) -> u32 {
    if cp_flags & MM_CP_PROT_NUMA != 0 {
        PATH_NUMA
    } else if cp_flags & (MM_CP_UFFD_WP | MM_CP_UFFD_RWP) != 0 {
        PATH_UFFD_WP
    } else if cp_flags & (MM_CP_UFFD_WP_RESOLVE | MM_CP_UFFD_RWP_RESOLVE) != 0 {
        PATH_UFFD_UNWP
    } else {
        PATH_MPROTECT
    }
}

/// Page-table entries of a range are about to change under an open gather.
#[inline(always)]
pub(crate) fn change_protection(tlb: u64, cp_flags: u64) {
    let Some(task) = tasks::find() else { return };
    if get!(task, windows[0].tlb) == tlb {
        change_in::<0>(task, cp_flags);
    } else if get!(task, windows[1].tlb) == tlb {
        change_in::<1>(task, cp_flags);
    }
}

#[inline(always)]
fn change_in<const I: usize>(task: *mut TaskState, cp_flags: u64) {
    set!(task, windows[I].path = path_of(cp_flags) + 1);
    if get!(task, windows[I].inner_since_ns) == 0 {
        set!(task, windows[I].inner_since_ns = now_ns());
    }
}

/// tlb_single_page_flush_ceiling, arch/x86/mm/tlb.c: a longer range is flushed as a whole. A debugfs file can change
/// it; hardly anybody does.
const SINGLE_PAGE_FLUSH_CEILING: u64 = 33;

/// A flush is complete.
#[inline(always)]
pub(crate) fn flushed<R: Reader>(mm: u64, start: u64, end: u64, stride_shift: u64) {
    let Some(task) = tasks::current() else { return };
    let slot_index = slots::of::<R>(task, mm);
    let gathering = flushed_in::<0>(task, slot_index) | flushed_in::<1>(task, slot_index);
    let Some(entry) = slot(slot_index) else { return };
    let kind = if end == u64::MAX {
        FLUSH_FULL
    } else if !gathering && end.wrapping_sub(start) == 4096 {
        FLUSH_PAGE
    } else {
        FLUSH_RANGE
    };
    increment(at!(entry, flushes[kind]));
    if kind != FLUSH_FULL {
        let pages = end.wrapping_sub(start) >> (stride_shift & 63);
        if pages <= SINGLE_PAGE_FLUSH_CEILING {
            add_u64(at!(entry, flush_pages), pages);
        }
    } else if get!(task, soft_dirty_since_ns) != 0 && get!(task, soft_dirty_slot) == slot_index {
        soft_dirty_closed(task, slot_index);
    }
}

/// Whether the flush is one of this window's own gather; if so, the inner window lasts at least until now.
#[inline(always)]
fn flushed_in<const I: usize>(task: *mut TaskState, slot_index: u32) -> bool {
    if get!(task, windows[I].tlb) == 0 || get!(task, windows[I].slot) != slot_index {
        return false;
    }
    if get!(task, windows[I].inner_since_ns) != 0 {
        set!(task, windows[I].inner_end_ns = now_ns());
    }
    true
}

/// An mmu_gather ended; the flush, if there was one, is complete and no longer pending.
#[inline(always)]
pub(crate) fn close(tlb: u64) {
    let Some(task) = tasks::find() else {
        return count_lost(lost::WINDOW_CLOSE_WITHOUT_OPEN);
    };
    if get!(task, windows[0].tlb) == tlb {
        close_in::<0>(task);
    } else if get!(task, windows[1].tlb) == tlb {
        close_in::<1>(task);
    } else {
        count_lost(lost::WINDOW_CLOSE_WITHOUT_OPEN);
    }
}

#[inline(always)]
fn close_in<const I: usize>(task: *mut TaskState) {
    let now = now_ns();
    let slot_index = get!(task, windows[I].slot);
    let since = get!(task, windows[I].since_ns);
    set!(task, windows[I].tlb = 0);
    tasks::end(task, BUSY_WINDOW << I);
    let known = get!(task, windows[I].path);
    let path = if known == 0 { path_of_operation(task) } else { known - 1 };
    if path as usize >= PATHS.len() {
        return;
    }
    let Some(entry) = slot(slot_index) else { return };
    increment(at!(entry, windows_closed));
    if known == PATH_EXIT + 1 {
        // Only exit_mmap gathers a full mm, and nothing is gathered after it.
        slots::retire(get!(entry, mm));
    }
    let Some(open) = emit::elapsed(since, now) else { return };
    emit::duration(slot_index, OUTER + path, open);
    if open >= params::record_window_ns() {
        let operation = operation::current(task, get!(entry, mm), false);
        emit::record(slot_index, OUTER + path, operation, since, open);
    }
    let inner_end = get!(task, windows[I].inner_end_ns);
    if inner_end != 0
        && let Some(inner) = emit::elapsed(get!(task, windows[I].inner_since_ns), inner_end)
    {
        emit::duration(slot_index, INNER + path, inner);
    }
}

/// Path of a window in which no protection changed.
#[inline(always)]
fn path_of_operation(task: *mut TaskState) -> u32 {
    match operation::current(task, 0, false) {
        OP_MPROTECT => PATH_MPROTECT,
        OP_EXIT => PATH_EXIT,
        OP_EXEC | OP_KTHREAD => PATH_OTHER,
        _ => PATH_ZAP,
    }
}

/// A function began that gives its path to the windows opened inside it.
#[inline(always)]
pub(crate) fn enter_context(path: u32) {
    let Some(task) = tasks::current() else { return };
    set!(task, context_path = path + 1);
    set!(task, soft_dirty_since_ns = 0);
    tasks::begin(task, BUSY_CONTEXT);
}

/// That function ended.
#[inline(always)]
pub(crate) fn leave_context() {
    let Some(task) = tasks::find() else { return };
    set!(task, context_path = 0);
    set!(task, soft_dirty_since_ns = 0);
    tasks::end(task, BUSY_CONTEXT);
}

/// clear_refs counts its window with inline helpers: it lasts from the moment it holds mmap_lock for write to the
/// return of the one full flush at the end of the walk.
#[inline(always)]
pub(crate) fn soft_dirty_opened(task: *mut TaskState, slot_index: u32, now: u64) {
    if get!(task, context_path) == PATH_SOFT_DIRTY + 1 {
        set!(task, soft_dirty_since_ns = now);
        set!(task, soft_dirty_slot = slot_index);
    }
}

#[inline(always)]
fn soft_dirty_closed(task: *mut TaskState, slot_index: u32) {
    let since = get!(task, soft_dirty_since_ns);
    set!(task, soft_dirty_since_ns = 0);
    let Some(entry) = slot(slot_index) else { return };
    increment(at!(entry, windows_opened));
    increment(at!(entry, windows_closed));
    let Some(open) = emit::elapsed(since, now_ns()) else { return };
    emit::duration(slot_index, OUTER + PATH_SOFT_DIRTY, open);
    emit::duration(slot_index, INNER + PATH_SOFT_DIRTY, open);
    if open >= params::record_window_ns() {
        let operation = operation::current(task, get!(entry, mm), true);
        emit::record(slot_index, OUTER + PATH_SOFT_DIRTY, operation, since, open);
    }
}

/// tlb:tlb_flush reasons, include/linux/mm_types.h enum tlb_flush_reason.
const TLB_LOCAL_SHOOTDOWN: u64 = 2;
const TLB_LOCAL_MM_SHOOTDOWN: u64 = 3;

/// The initiating CPU flushed its own TLB. Where functions cannot be hooked, this is what is left of a flush.
#[inline(always)]
pub(crate) fn flushed_locally(reason: u64, pages: u64) {
    if reason as u32 != TLB_LOCAL_SHOOTDOWN as u32 && reason as u32 != TLB_LOCAL_MM_SHOOTDOWN as u32 {
        return;
    }
    let mm = current_mm();
    if mm == 0 {
        return;
    }
    let Some(task) = tasks::current() else { return };
    let Some(entry) = slot(slots::of_current(task)) else { return };
    // A fault flushes its one page under a read lock or none; who holds the lock for write flushes a range.
    let writes = get!(task, holds[0].mm) == mm && get!(task, holds[0].write) != 0;
    match pages {
        u64::MAX => increment(at!(entry, flushes[FLUSH_FULL])),
        1 if !writes => {
            increment(at!(entry, flushes[FLUSH_PAGE]));
            add_u64(at!(entry, flush_pages), 1);
        }
        pages => {
            increment(at!(entry, flushes[FLUSH_RANGE]));
            add_u64(at!(entry, flush_pages), pages);
        }
    }
}
