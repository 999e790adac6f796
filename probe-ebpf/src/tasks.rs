//! Finding the entry of the running task: a set of four entries chosen by its pid, no hash and no lock.
//!
//! An entry belongs to a task as long as something is open in it. Only the task itself writes it.

use probe_common::{
    lost,
    task::{NO_SLOT, TASKS, TaskState, WAYS},
};

use crate::{
    kernel::{current_id, current_start_ns},
    maps::{attached_ns, count_lost, get, set, task},
};

/// Distance of the ways of a set: neighbours in pid order must not share one.
const STRIDE: u32 = TASKS / WAYS;

/// The running task's entry, claimed if it has none.
#[inline(always)]
pub(crate) fn current() -> Option<*mut TaskState> {
    let id = current_id();
    let entry = task(id as u32 & (TASKS - 1))?;
    if get!(entry, id) == id && id != 0 {
        return Some(entry);
    }
    claim(id)
}

/// The running task's entry if it has one: for ends of things, which need a beginning.
#[inline(always)]
pub(crate) fn find() -> Option<*mut TaskState> {
    let id = current_id();
    let entry = task(id as u32 & (TASKS - 1))?;
    if get!(entry, id) == id && id != 0 {
        return Some(entry);
    }
    search(id)
}

#[inline(always)]
fn search(id: u64) -> Option<*mut TaskState> {
    if id == 0 {
        return None;
    }
    let mut way = 1;
    while way < WAYS {
        let entry = task((id as u32).wrapping_add(way * STRIDE) & (TASKS - 1))?;
        if get!(entry, id) == id {
            return Some(entry);
        }
        way += 1;
    }
    None
}

#[inline(always)]
fn claim(id: u64) -> Option<*mut TaskState> {
    if id == 0 {
        count_lost(lost::NO_TASK);
        return None;
    }
    if let Some(entry) = search(id) {
        return Some(entry);
    }
    let mut way = 0;
    while way < WAYS {
        let entry = task((id as u32).wrapping_add(way * STRIDE) & (TASKS - 1))?;
        if get!(entry, busy) == 0 {
            set!(entry, id = id);
            clear(entry);
            set!(entry, index = (id as u32).wrapping_add(way * STRIDE) & (TASKS - 1));
            return Some(entry);
        }
        way += 1;
    }
    count_lost(lost::TASK_TABLE_FULL);
    None
}

/// Nothing open. The last owner may have begun something just when its entry was taken: that is lost, and its end
/// will be counted so; here it must not stay.
#[inline(always)]
fn clear(entry: *mut TaskState) {
    set!(entry, busy = 0);
    set!(entry, mm = 0);
    set!(entry, wait_lock = 0);
    set!(entry, fault_since_ns = 0);
    set!(entry, ioctl_since_ns = 0);
    set!(entry, context_path = 0);
    set!(entry, inline_since_ns = 0);
    set!(entry, inline_end_ns = 0);
    set!(entry, inline_slot = NO_SLOT);
    set!(entry, inline_place = 0);
    set!(entry, change_since_ns = 0);
    set!(entry, wp_pte = 0);
    set!(entry, shootdown_since_ns = 0);
    set!(entry, reclaim_first = 0);
    set!(entry, reclaim_mms = 0);
    set!(entry, flush_turn = 0);
    set!(entry, failure_turn = 0);
    set!(entry, change_turn = 0);
    set!(entry, holds[0].mm = 0);
    set!(entry, holds[1].mm = 0);
    set!(entry, windows[0].tlb = 0);
    set!(entry, windows[1].tlb = 0);
}

/// Counts an end whose beginning was not seen: as `older` if it may have been before the probes were attached, that is
/// while they still were being attached, or in a task of before that has no books yet; else as `unseen`.
#[inline(always)]
pub(crate) fn count_orphan(known: bool, older: u32, unseen: u32) {
    let attached = attached_ns();
    let is_older = attached == 0 || (!known && current_start_ns() < attached);
    count_lost(if is_older { older } else { unseen });
}

/// Marks something as open.
#[inline(always)]
pub(crate) fn begin(entry: *mut TaskState, bit: u32) {
    set!(entry, busy = get!(entry, busy) | bit);
}

/// Marks something as closed.
#[inline(always)]
pub(crate) fn end(entry: *mut TaskState, bit: u32) {
    set!(entry, busy = get!(entry, busy) & !bit);
}
