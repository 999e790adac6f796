//! Who waited because of whom, and what a downgrade would have spared. Knows holds and waits of one mm's lock, and nothing of
//! how they are hooked.
//!
//! A hold that ends with waiters behind it is remembered in the mm's slot. A waiter, once it has the lock, charges its time
//! to those holds, the last one first: each takes the time from its own beginning to where the next one's begins. What is
//! left is charged to nobody.

use probe_common::{
    series::{HOLDER_UNKNOWN, HOLDERS, OPERATION_COUNT},
    slot::{BLOCKERS, DOWNGRADES, MmSlot},
    task::TaskState,
};

use crate::{
    kernel::{beyond, current_id, later, opaque},
    maps::{add_u64, at, blocked_ns, get, set, slot},
    params,
};

/// A hold ended with waiters behind it. Of two readers that end at the very same moment one may be forgotten.
#[inline(always)]
pub(crate) fn held(entry: *mut MmSlot, operation: u32, from_ns: u64, to_ns: u64) {
    let count = get!(entry, blocker_count);
    let place = opaque(u64::from(count)) as usize & (BLOCKERS - 1);
    set!(entry, blockers[place].from_ns = from_ns);
    set!(entry, blockers[place].to_ns = to_ns);
    set!(entry, blockers[place].operation = operation);
    // Last: who waited looks at the newest first.
    set!(entry, blocker_count = count.wrapping_add(1));
}

/// A wait ended: who held the lock meanwhile; the operation of the last of them.
#[inline(always)]
pub(crate) fn waited(slot_index: u32, operation: u32, from_ns: u64, to_ns: u64) -> u32 {
    mmscope_charge_wait(u64::from(slot_index), u64::from(operation), from_ns, to_ns) as u32
}

/// A function of its own, see ARCHITECTURE.md.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn mmscope_charge_wait(slot_index: u64, operation: u64, from_ns: u64, to_ns: u64) -> u64 {
    match slot(slot_index as u32) {
        Some(entry) => u64::from(charge_all(entry, operation as u32, from_ns, to_ns)),
        None => u64::from(HOLDER_UNKNOWN),
    }
}

#[inline(always)]
fn charge_all(entry: *mut MmSlot, operation: u32, from_ns: u64, to_ns: u64) -> u32 {
    if operation as usize >= OPERATION_COUNT || (current_id() >> 32) as u32 == params::own_tgid() {
        return HOLDER_UNKNOWN;
    }
    let mut until = to_ns;
    // They stand there in the order in which they ended.
    let newest = get!(entry, blocker_count);
    let mut n = 1;
    while n <= BLOCKERS as u32 {
        let place = opaque(u64::from(newest.wrapping_sub(n))) as usize & (BLOCKERS - 1);
        let (from, to) = (get!(entry, blockers[place].from_ns), get!(entry, blockers[place].to_ns));
        let part = beyond(until, later(from, from_ns));
        // One that ended before the wait began has no part in it.
        if part != 0 && to > from_ns {
            let holder = get!(entry, blockers[place].operation);
            charge(operation, holder, part);
            until -= part;
        }
        n += 1;
    }
    let rest = beyond(until, from_ns);
    if rest != 0 {
        charge(operation, HOLDER_UNKNOWN, rest);
    }
    let place = opaque(u64::from(newest.wrapping_sub(1))) as usize & (BLOCKERS - 1);
    if get!(entry, blockers[place].to_ns) > from_ns { get!(entry, blockers[place].operation) } else { HOLDER_UNKNOWN }
}

/// Adds to what waiters of an operation waited for holders of another one.
#[inline(always)]
fn charge(waiter: u32, holder: u32, ns: u64) {
    if let Some(total) = blocked_ns(waiter * HOLDERS as u32 + holder) {
        add_u64(total, ns);
    }
}

/// An mprotect ended with waiters behind it: from the beginning of its last VMA's change on it could have held the lock for
/// read. One at a time: it holds the lock for write.
#[inline(always)]
pub(crate) fn could_have_read(entry: *mut MmSlot, from_ns: u64, to_ns: u64) {
    let count = get!(entry, downgrade_count);
    let place = opaque(u64::from(count)) as usize & (DOWNGRADES - 1);
    set!(entry, downgrades[place].from_ns = from_ns);
    set!(entry, downgrades[place].to_ns = to_ns);
    set!(entry, downgradable_ns = get!(entry, downgradable_ns).wrapping_add(to_ns.wrapping_sub(from_ns)));
    set!(entry, downgrade_count = count.wrapping_add(1));
}

/// A reader's wait begins: where the mm's mprotects stand.
#[inline(always)]
pub(crate) fn reader_waits(task: *mut TaskState, entry: *mut MmSlot) {
    set!(task, wait_downgrades = get!(entry, downgrade_count));
    set!(task, wait_downgradable_ns = get!(entry, downgradable_ns));
}

/// It ended: how much of it fell into those times. Nobody writes there now, as the reader holds the lock. Of a wait that
/// spanned more mprotects than are remembered, the part of the first one that was before the wait is in it too.
#[inline(always)]
pub(crate) fn spared(task: *mut TaskState, entry: *mut MmSlot, from_ns: u64) {
    let ended = get!(entry, downgrade_count).wrapping_sub(get!(task, wait_downgrades));
    if ended == 0 {
        return;
    }
    let mut total = 0;
    if ended > DOWNGRADES as u32 {
        total = get!(entry, downgradable_ns).wrapping_sub(get!(task, wait_downgradable_ns));
    } else {
        let mut n = 0_u64;
        while n < DOWNGRADES as u64 {
            let place = opaque(n) as usize & (DOWNGRADES - 1);
            let (from, to) = (get!(entry, downgrades[place].from_ns), get!(entry, downgrades[place].to_ns));
            total += beyond(to, later(from, from_ns));
            n += 1;
        }
    }
    add_u64(at!(entry, downgrade_ns), total);
}
