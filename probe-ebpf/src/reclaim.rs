//! Reclaim's batches: pages unmapped now, flushed together later, by whichever task took them. Knows nothing of how the
//! events are hooked.
//!
//! A task's batch is a list of the mms that it took pages from: the latest stands in the task's state, each leads to the one
//! before. Only the task itself changes its list.

use core::ffi::c_void;

use aya_ebpf::bindings::BPF_NOEXIST;
use probe_common::{
    lost,
    reclaim::{BATCH_MMS, Batch, BatchKey},
    relocation::field,
    series::{OUTER, PATH_RECLAIM},
    slot::MmSlot,
    task::{BUSY_RECLAIM, TaskState},
};

use crate::{
    emit::{self, Event},
    kernel::{Raw, Reader, current_task, now_ns, opaque},
    maps::{RECLAIM_BATCHES, add_u32, at, count_lost, get, increment, set, slot, store, task, volatile},
    operation, params, slots, tasks,
    turn::Turn,
};

/// A mask for the kernel's count of pages left to be flushed; what was flushed stands above it (mm/rmap.c).
const PENDING: u32 = 0x7fff;

/// A page may have been taken from `mm`, and its flush may have been put off.
#[inline(always)]
pub(crate) fn unmapped<R: Reader>(mm: u64) {
    // A bool. Anything put off in this batch?
    if Raw::u32::<{ field::TASK_FLUSH_REQUIRED }>(current_task()) & 0xff == 0 {
        return;
    }
    let Some(task) = tasks::current() else { return };
    let Some((slot_index, entry)) = slots::of::<R>(task, mm) else { return };
    if slot_index == 0 {
        return;
    }
    if params::has_batched_count() != 0 {
        let batched = R::u32::<{ field::MM_TLB_FLUSH_BATCHED }>(mm) & PENDING;
        let is_same = batched == get!(entry, reclaim_batched);
        // The first of a batch is put off in any case: another task of the same mm may have seen its count as its own.
        if is_same && get!(task, reclaim_first) != 0 {
            return;
        }
        set!(entry, reclaim_batched = batched);
    }
    put_off(task, entry, slot_index);
}

/// The flush of a page was put off: from now on, if no other of this mm's in the batch is outstanding.
#[inline(always)]
fn put_off(task: *mut TaskState, entry: *mut MmSlot, slot_index: u32) {
    let key = key_of(get!(task, index), slot_index);
    let now = now_ns();
    if let Some(batch) = RECLAIM_BATCHES.get_ptr_mut(&key) {
        let since = get!(batch, since_ns);
        let flushed = get!(entry, reclaim_flushed_ns);
        if get!(batch, slot_born_ns) != get!(entry, born_ns) {
            // The mm that had this slot is gone.
            count_lost(lost::RECLAIM_UNFOUND);
            set!(batch, slot_born_ns = get!(entry, born_ns));
            increment(at!(entry, reclaim_open));
        } else if flushed >= since {
            emit::duration(slot_index, OUTER + PATH_RECLAIM, flushed - since);
        } else {
            return;
        }
        set!(batch, since_ns = now);
        return;
    }
    let mms = get!(task, reclaim_mms);
    let batch = Batch { since_ns: now, slot_born_ns: get!(entry, born_ns), next: get!(task, reclaim_first), pad: 0 };
    if mms >= BATCH_MMS || RECLAIM_BATCHES.insert(&key, &batch, u64::from(BPF_NOEXIST)).is_err() {
        count_lost(lost::RECLAIM_BEYOND);
        return;
    }
    increment(at!(entry, reclaim_open));
    set!(task, reclaim_mms = mms + 1);
    set!(task, reclaim_first = slot_index);
    tasks::begin(task, BUSY_RECLAIM);
}

/// By way of memory: the table's key must be on the stack, whole.
#[inline(always)]
fn key_of(task: u32, slot: u32) -> BatchKey {
    let mut key = BatchKey { task: 0, slot: 0 };
    store(&raw mut key.task, task);
    store(&raw mut key.slot, slot);
    key
}

/// How far the kernel's count of what was flushed stands above that of what was put off (mm/rmap.c).
const FLUSHED_SHIFT: u32 = 16;

/// All that is outstanding of an mm is about to be flushed, if anything is, by one who needs its page tables as they are. Where that
/// is an inline flush of the whole mm nothing else tells it.
#[inline(always)]
pub(crate) fn overtaken<R: Reader>(mm: u64) {
    let Some(task) = tasks::current() else { return };
    let Some((_, entry)) = slots::of::<R>(task, mm) else { return };
    let batched = R::u32::<{ field::MM_TLB_FLUSH_BATCHED }>(mm);
    if get!(entry, reclaim_open) != 0 && batched & PENDING != batched >> FLUSHED_SHIFT {
        set!(entry, reclaim_flushed_ns = now_ns());
    }
}

/// The task's batch is flushed, if it has one.
#[inline(always)]
pub(crate) fn flushed_if_any(ctx: *mut c_void, turn: Turn) {
    if let Some(task) = tasks::find()
        && get!(task, reclaim_first) != 0
    {
        flushed(ctx, turn);
    }
}

/// A batch is flushed on all CPUs.
#[inline(always)]
pub(crate) fn flushed(ctx: *mut c_void, turn: Turn) {
    let found = tasks::find();
    let known = found.is_some();
    if let Some(task) = found {
        let mut next = u64::from(get!(task, reclaim_first));
        if next != 0 {
            let now = now_ns();
            set!(task, reclaim_longest_ns = 0);
            let mut n = 0;
            while n < BATCH_MMS && next != 0 {
                next = opaque(mmscope_batch_flushed(u64::from(get!(task, index)), next, now));
                n += 1;
            }
            set!(task, reclaim_first = 0);
            set!(task, reclaim_mms = 0);
            tasks::end(task, BUSY_RECLAIM);
            tell(ctx, task, now);
            return;
        }
    }
    turn.count_orphan(known, lost::WINDOW_OLDER_THAN_ATTACH, lost::RECLAIM_UNFOUND);
}

/// Of a batch's windows the longest is told as a record.
#[inline(always)]
fn tell(ctx: *mut c_void, task: *mut TaskState, now: u64) {
    let longest = get!(task, reclaim_longest_ns);
    if longest < params::record_window_ns() {
        return;
    }
    let slot_index = get!(task, reclaim_longest_slot);
    emit::record(
        ctx,
        &Event {
            slot: slot_index,
            series: OUTER + PATH_RECLAIM,
            operation: operation::current(task, 0, false),
            begin_ns: now.wrapping_sub(longest),
            duration_ns: longest,
            detail: [0; 6],
        },
    );
}

/// A function of its own, see ARCHITECTURE.md: one mm of a task's batch; the one that came into it before.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn mmscope_batch_flushed(task_index: u64, slot_index: u64, now: u64) -> u64 {
    let (Some(task), Some(entry)) = (task(task_index as u32), slot(slot_index as u32)) else { return 0 };
    let key = key_of(task_index as u32, slot_index as u32);
    let Some(batch) = RECLAIM_BATCHES.get_ptr(&key) else {
        count_lost(lost::RECLAIM_UNFOUND);
        return 0;
    };
    let batch = volatile(batch);
    let _ = RECLAIM_BATCHES.remove(&key);
    if batch.slot_born_ns != get!(entry, born_ns) {
        count_lost(lost::RECLAIM_UNFOUND);
        return u64::from(batch.next);
    }
    // One less.
    add_u32(at!(entry, reclaim_open), u64::from(u32::MAX));
    let overtaken = get!(entry, reclaim_flushed_ns);
    let end = if overtaken >= batch.since_ns { overtaken } else { now };
    if let Some(open) = emit::elapsed(batch.since_ns, end) {
        emit::duration(slot_index as u32, OUTER + PATH_RECLAIM, open);
        if open >= get!(task, reclaim_longest_ns) {
            set!(task, reclaim_longest_ns = open);
            set!(task, reclaim_longest_slot = slot_index as u32);
        }
    }
    u64::from(batch.next)
}
