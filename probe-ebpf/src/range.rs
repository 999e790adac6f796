//! Page-table generations: what a count kept for each page-table page (2 MiB of addresses) would have seen. Knows protection
//! changes, write faults and completed flushes, and nothing of how they are hooked.
//!
//! Two tasks may change one range at the same time, under mmap_lock held for read: then the order in which their changes
//! are written down is as good as any.

use probe_common::{
    lost,
    range::{NOT_WRITABLE, RANGE_SHIFT, RANGES, RANGES_PER_CHANGE, Range, UNKNOWN, WRITABLE},
    slot::MmSlot,
};

use crate::maps::{at, count_lost, get, increment, range, set, slot};

/// The place of a range: neighbours in address order lie side by side, mms apart.
#[inline(always)]
fn place(slot_index: u32, number: u64) -> u32 {
    (number as u32).wrapping_add(slot_index.wrapping_mul(0x9e37_79b1) >> 8) & (RANGES - 1)
}

#[inline(always)]
fn is_of(entry: *mut Range, born_ns: u64, slot_index: u32, number: u64) -> bool {
    get!(entry, number) == number && get!(entry, born_ns) == born_ns && get!(entry, slot) == slot_index
}

/// Makes a range's place its own. Nothing is known of it yet.
#[inline(always)]
fn claim(entry: *mut Range, born_ns: u64, slot_index: u32, number: u64) {
    // Who is there counts as driven out only if its mm lives on.
    if get!(entry, state) != UNKNOWN
        && let Some(owner) = slot(get!(entry, slot))
        && get!(owner, born_ns) == get!(entry, born_ns)
    {
        count_lost(lost::RANGE_EVICTED);
    }
    set!(entry, state = UNKNOWN);
    set!(entry, born_ns = born_ns);
    set!(entry, slot = slot_index);
    set!(entry, number = number);
}

/// Page-table entries from `start` to `end` are about to change to what `writable` says.
#[inline(always)]
pub(crate) fn changed(slot_index: u32, start: u64, end: u64, writable: bool) {
    mmscope_range_changed(u64::from(slot_index), start, end, u64::from(writable));
}

/// A function of its own, see ARCHITECTURE.md; what it returns has no meaning, but must be a number.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn mmscope_range_changed(slot_index: u64, start: u64, end: u64, writable: u64) -> u64 {
    all_changed(slot_index as u32, start, end, writable != 0);
    0
}

#[inline(always)]
fn all_changed(slot_index: u32, start: u64, end: u64, writable: bool) {
    let Some(mm) = slot(slot_index) else { return };
    increment(at!(mm, changes));
    if slot_index == 0 || start >= end {
        return;
    }
    let (first, last) = (start >> RANGE_SHIFT, (end - 1) >> RANGE_SHIFT);
    if first == last {
        return change_one(mm, slot_index, first, start, end, writable);
    }
    let mut n = 0;
    while n < RANGES_PER_CHANGE {
        if first + n > last {
            return;
        }
        mmscope_range_change(u64::from(slot_index), first + n, start, end, u64::from(writable));
        n += 1;
    }
    if first + n <= last {
        count_lost(lost::RANGE_BEYOND);
    }
}

/// As [`mmscope_range_changed`], for one range.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn mmscope_range_change(slot_index: u64, number: u64, start: u64, end: u64, writable: u64) -> u64 {
    if let Some(mm) = slot(slot_index as u32) {
        change_one(mm, slot_index as u32, number, start, end, writable != 0);
    }
    0
}

#[inline(always)]
fn change_one(mm: *mut MmSlot, slot_index: u32, number: u64, start: u64, end: u64, writable: bool) {
    let Some(entry) = range(place(slot_index, number)) else { return };
    let born_ns = get!(mm, born_ns);
    if !is_of(entry, born_ns, slot_index, number) {
        claim(entry, born_ns, slot_index, number);
    }
    let (low, high) = (number << RANGE_SHIFT, (number + 1) << RANGE_SHIFT);
    let (start, end) = (if start > low { start } else { low }, if end < high { end } else { high });
    set!(entry, changed = get!(mm, changes));
    set!(entry, changed_start = start);
    set!(entry, changed_end = end);
    let state = get!(entry, state);
    if writable {
        if state == NOT_WRITABLE {
            set!(entry, state = WRITABLE);
        }
        return;
    }
    if state == WRITABLE {
        let flushed = get!(entry, flushed) != 0 || get!(entry, full_flushes) != get!(mm, full_flushes);
        if flushed {
            increment(at!(mm, cycles[1]));
        } else {
            increment(at!(mm, cycles[0]));
        }
    }
    set!(entry, state = NOT_WRITABLE);
    set!(entry, start = start);
    set!(entry, end = end);
    set!(entry, flushed = 0);
    set!(entry, full_flushes = get!(mm, full_flushes));
}

/// Everything that was changed from `start` to `end` is flushed.
#[inline(always)]
pub(crate) fn flushed(mm: *mut MmSlot, slot_index: u32, start: u64, end: u64) {
    let number = start >> RANGE_SHIFT;
    if number == end.wrapping_sub(1) >> RANGE_SHIFT {
        flush_one(get!(mm, born_ns), slot_index, number, start, end);
    } else {
        mmscope_range_flushed(u64::from(slot_index), start, end);
    }
}

#[inline(always)]
fn flush_one(born_ns: u64, slot_index: u32, number: u64, start: u64, end: u64) {
    if let Some(entry) = range(place(slot_index, number))
        && is_of(entry, born_ns, slot_index, number)
        && start <= get!(entry, start)
        && end >= get!(entry, end)
    {
        set!(entry, flushed = 1);
    }
}

/// As [`mmscope_range_changed`].
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn mmscope_range_flushed(slot_index: u64, start: u64, end: u64) -> u64 {
    all_flushed(slot_index as u32, start, end);
    0
}

#[inline(always)]
fn all_flushed(slot_index: u32, start: u64, end: u64) {
    let Some(mm) = slot(slot_index) else { return };
    if slot_index == 0 || start >= end {
        return;
    }
    let born_ns = get!(mm, born_ns);
    let (first, last) = (start >> RANGE_SHIFT, (end - 1) >> RANGE_SHIFT);
    let mut n = 0;
    while n < RANGES_PER_CHANGE {
        let number = first + n;
        if number > last {
            return;
        }
        flush_one(born_ns, slot_index, number, start, end);
        n += 1;
    }
}

/// A write fault made a page writable.
#[inline(always)]
pub(crate) fn written(slot_index: u32, page: u64) {
    if let Some(entry) = find(slot_index, page)
        && get!(entry, state) == NOT_WRITABLE
    {
        set!(entry, state = WRITABLE);
    }
}

/// Whether the generation of a page's table has changed since the mm had seen so many changes, and if so, whether the page
/// itself was among what was changed last.
#[inline(always)]
pub(crate) fn changed_since(slot_index: u32, page: u64, changes: u32) -> Option<bool> {
    let entry = find(slot_index, page)?;
    if get!(entry, changed).wrapping_sub(changes) as i32 <= 0 {
        return None;
    }
    Some(get!(entry, changed_start) <= page && page < get!(entry, changed_end))
}

#[inline(always)]
fn find(slot_index: u32, page: u64) -> Option<*mut Range> {
    let mm = slot(slot_index)?;
    let number = page >> RANGE_SHIFT;
    let entry = range(place(slot_index, number))?;
    is_of(entry, get!(mm, born_ns), slot_index, number).then_some(entry)
}
