//! Flushes of gathers where flushing is inline (arm64): what is to be flushed stands in the mmu_gather when the function is entered
//! that flushes it, and is flushed when that returns. Knows nothing of how the events are hooked.
//!
//! tlb_finish_mmu flushes by tlb_flush_mmu, which may or may not be inline there: whichever is seen first tells the flush.

use core::ffi::c_void;

use probe_common::{
    call::FLUSH,
    relocation::field,
    series::PATH_EXIT,
    task::{BUSY_CALL, TaskState},
};

use crate::{
    kernel::{Raw, Reader as _, offset},
    maps::{call, get, set},
    params, tasks,
    turn::Turn,
    window,
};

/// `busy`: a gather is to be flushed. The places of flush_tlb_mm_range's arguments are free: there is no such function.
const BUSY_FLUSH: u32 = BUSY_CALL << FLUSH;
/// `busy`: a gather is being finished, and no flush of it was told yet.
const BUSY_FINISH: u32 = BUSY_CALL << (FLUSH + 1);

/// What of the mm is flushed when all of it is.
const EVERYTHING: (u64, u64) = (0, u64::MAX);

/// The range of a gather that is yet to be flushed; none if there is none. An mm that is torn down is flushed for its page tables
/// alone (arch/arm64/include/asm/tlb.h, tlb_flush).
#[inline(always)]
fn range_of(tlb: u64) -> Option<(u64, u64)> {
    let bits = u64::from(Raw::u32::<{ field::MMU_GATHER_BITS }>(tlb));
    if bits & offset::<{ field::MMU_GATHER_FULLMM }>() != 0 {
        return (bits & offset::<{ field::MMU_GATHER_FREED_TABLES }>() != 0).then_some(EVERYTHING);
    }
    let end = Raw::u64::<{ field::MMU_GATHER_END }>(tlb);
    (end != 0).then(|| (Raw::u64::<{ field::MMU_GATHER_START }>(tlb), end))
}

/// A function was entered that flushes what a gather has; `finishes` if it also ends it.
#[inline(always)]
pub(crate) fn flush_begins(tlb: u64, finishes: bool) {
    let Some(task) = tasks::find() else { return };
    let (start, end) = match range_of(tlb) {
        Some(range) => {
            tasks::begin(task, BUSY_FLUSH);
            range
        }
        None => {
            tasks::end(task, BUSY_FLUSH);
            (0, 0)
        }
    };
    if finishes {
        tasks::begin(task, BUSY_FINISH);
    }
    let Some(entry) = call(get!(task, index)) else { return };
    set!(entry, words[FLUSH] = start);
    set!(entry, words[FLUSH + 1] = end);
    set!(entry, words[FLUSH + 2] = tlb);
}

/// tlb_flush_mmu returned.
#[inline(always)]
pub(crate) fn flush_ended(ctx: *mut c_void) {
    let Some(task) = tasks::find() else { return };
    if get!(task, busy) & BUSY_FLUSH != 0 {
        tell(ctx, task);
        tasks::end(task, BUSY_FINISH);
    }
}

/// tlb_finish_mmu returned. One that has found other gathers of its mm has made itself one of the whole mm.
#[inline(always)]
pub(crate) fn finished(ctx: *mut c_void, tlb: u64) {
    let Some(task) = tasks::find() else { return };
    if get!(task, busy) & BUSY_FINISH == 0 {
        return;
    }
    tasks::end(task, BUSY_FINISH);
    let bits = u64::from(Raw::u32::<{ field::MMU_GATHER_BITS }>(tlb));
    let is_whole = bits & offset::<{ field::MMU_GATHER_FULLMM }>() != 0;
    if is_whole && window::path_of_gather(task, tlb) != PATH_EXIT + 1 {
        let Some(entry) = call(get!(task, index)) else { return };
        set!(entry, words[FLUSH] = EVERYTHING.0);
        set!(entry, words[FLUSH + 1] = EVERYTHING.1);
    } else if get!(task, busy) & BUSY_FLUSH == 0 {
        return;
    }
    tell(ctx, task);
}

#[inline(always)]
fn tell(ctx: *mut c_void, task: *mut TaskState) {
    tasks::end(task, BUSY_FLUSH);
    let Some(entry) = call(get!(task, index)) else { return };
    let (start, end) = (get!(entry, words[FLUSH]), get!(entry, words[FLUSH + 1]));
    let mm = Raw::u64::<{ field::MMU_GATHER_MM }>(get!(entry, words[FLUSH + 2]));
    window::flushed::<Raw>(ctx, mm, start, end, u64::from(params::page_shift()), Turn::First);
}
