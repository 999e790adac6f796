//! userfaultfd: faults waiting for a handler, and the handler's ioctls.

use core::ffi::c_void;

use aya_ebpf::bindings::BPF_NOEXIST;
use probe_common::{
    lost,
    relocation::field,
    series::{FAULT, IOCTL, IOCTL_NRS, IOCTL_OTHER, OP_FAULT},
    slot::{ErrorKey, FAULT_PLACES},
    task::{BUSY_FAULT, BUSY_IOCTL},
};

use crate::{
    emit::{self, Event},
    kernel::{Reader, now_ns, opaque},
    maps::{UFFD_ERRORS, add_u64, at, count_lost, get, increment, set, slot},
    params, slots, tasks,
    turn::Turn,
    write_fault,
};

/// VM_UFFD_MISSING and VM_UFFD_WP, include/linux/mm.h, the same from 5.10 on; VM_UFFD_MINOR (5.13) has moved since.
const VM_UFFD_MISSING: u64 = 0x200;
const VM_UFFD_WP: u64 = 0x1000;

/// A thread faulted and will wait for its handler.
#[inline(always)]
pub(crate) fn fault_begin<R: Reader>(vmf: u64, reason: u64, turn: Turn) {
    let Some(task) = tasks::current() else { return };
    if turn != Turn::First && get!(task, fault_since_ns) != 0 {
        return;
    }
    write_fault::handed_over(task);
    let vma = R::u64::<{ field::VM_FAULT_VMA }>(vmf);
    let Some((slot_index, _)) = slots::of::<R>(task, R::u64::<{ field::VMA_MM }>(vma)) else { return };
    if get!(task, fault_since_ns) != 0 {
        count_lost(lost::FAULT_OVERWRITTEN);
    }
    let reason = if reason & VM_UFFD_MISSING != 0 {
        0
    } else if reason & VM_UFFD_WP != 0 {
        1
    } else {
        2
    };
    set!(task, fault_slot = slot_index);
    set!(task, fault_reason = reason);
    tasks::begin(task, BUSY_FAULT);
    let page = R::u64::<{ field::VM_FAULT_ADDRESS }>(vmf) & !0xfff;
    set!(task, fault_page = page);
    if let Some(entry) = slot(slot_index) {
        increment(at!(entry, faults_begun));
        let place = opaque(page >> 12) as usize & (FAULT_PLACES - 1);
        if get!(entry, fault_pages[place]) == page {
            increment(at!(entry, refaults));
        }
        set!(entry, fault_pages[place] = page);
    }
    set!(task, fault_since_ns = now_ns());
}

/// handle_userfault returned: the fault was resolved, or given up.
#[inline(always)]
pub(crate) fn fault_end(ctx: *mut c_void, turn: Turn) {
    let now = now_ns();
    let orphan = |known| turn.count_orphan(known, lost::FAULT_OLDER_THAN_ATTACH, lost::FAULT_END_WITHOUT_BEGIN);
    let Some(task) = tasks::find() else { return orphan(false) };
    let since = get!(task, fault_since_ns);
    if since == 0 {
        return orphan(true);
    }
    set!(task, fault_since_ns = 0);
    tasks::end(task, BUSY_FAULT);
    let slot_index = get!(task, fault_slot);
    if let Some(entry) = slot(slot_index) {
        increment(at!(entry, faults_ended));
    }
    let Some(waited) = emit::elapsed(since, now) else { return };
    let series = FAULT + (get!(task, fault_reason) & 3);
    emit::duration(slot_index, series, waited);
    if waited >= params::record_fault_ns() {
        emit::record(
            ctx,
            &Event {
                slot: slot_index,
                series,
                operation: OP_FAULT,
                begin_ns: since,
                duration_ns: waited,
                detail: [get!(task, fault_page), 0, 0, 0, 0, 0],
            },
        );
    }
}

/// userfaultfd_ioctl began, on the userfaultfd of `mm`.
#[inline(always)]
pub(crate) fn ioctl_begin(cmd: u64, mm: u64, turn: Turn) {
    let Some(task) = tasks::current() else { return };
    if turn != Turn::First && get!(task, ioctl_since_ns) != 0 {
        return;
    }
    if get!(task, ioctl_since_ns) != 0 {
        count_lost(lost::IOCTL_OVERWRITTEN);
    }
    set!(task, ioctl_cmd = cmd as u32);
    tasks::begin(task, BUSY_IOCTL);
    let now = now_ns();
    set!(task, ioctl_since_ns = now);
    if let Some(index) = slots::known(mm)
        && let Some(entry) = slot(index)
    {
        set!(entry, uffd_ioctl_ns = now);
    }
}

/// userfaultfd_ioctl returned. The time is charged to the mm of the task that asked.
#[inline(always)]
pub(crate) fn ioctl_end(result: i64, turn: Turn) {
    let now = now_ns();
    let orphan = |known| turn.count_orphan(known, lost::IOCTL_OLDER_THAN_ATTACH, lost::IOCTL_END_WITHOUT_BEGIN);
    let Some(task) = tasks::find() else { return orphan(false) };
    let since = get!(task, ioctl_since_ns);
    if since == 0 {
        return orphan(true);
    }
    set!(task, ioctl_since_ns = 0);
    tasks::end(task, BUSY_IOCTL);
    let ioctl = number(get!(task, ioctl_cmd));
    let Some((slot_index, _)) = slots::of_current(task) else { return };
    if let Some(took) = emit::elapsed(since, now) {
        emit::duration(slot_index, IOCTL + ioctl, took);
    }
    if result < 0 {
        count_error(ErrorKey { slot: slot_index, ioctl: ioctl as u16, errno: -result as u16 });
    }
}

/// Number of a request in `IOCTLS`.
#[inline(always)]
fn number(cmd: u32) -> u32 {
    // _IOC_TYPE must be UFFDIO (0xaa).
    if cmd >> 8 & 0xff != 0xaa {
        return IOCTL_OTHER;
    }
    let nr = cmd & 0xff;
    if nr == u32::from(IOCTL_NRS[0]) {
        0
    } else if nr + 2 <= IOCTL_OTHER {
        nr + 1
    } else {
        IOCTL_OTHER
    }
}

#[inline(always)]
fn count_error(key: ErrorKey) {
    if UFFD_ERRORS.get_ptr(&key).is_none() {
        // Another thread may be first: that is as good.
        let _ = UFFD_ERRORS.insert(&key, &0, u64::from(BPF_NOEXIST));
    }
    match UFFD_ERRORS.get_ptr_mut(&key) {
        Some(counter) => add_u64(counter, 1),
        None => count_lost(lost::ERROR_TABLE_FULL),
    }
}
