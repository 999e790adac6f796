//! Where the tasks that have a window open on an mm are found by others: a few places in the mm's slot. Knows nothing of what
//! is done with what is found.

use probe_common::{
    lost,
    relocation::field,
    series::{PATH_EXIT, PATH_SOFT_DIRTY, PATH_UFFD_UNWP, PATH_UFFD_WP},
    slot::{MmSlot, WINDOW_PLACES},
    task::TaskState,
};

use crate::{
    kernel::{Raw, Reader, opaque},
    maps::{count_lost, get, set, slot, task},
};

/// Places that a window tries.
const TRIES: u64 = 4;

/// The place in which others find a task's windows on an mm: its number plus one, or zero if those that it may take are taken.
/// `known` is one that it may have already: a task keeps its place when its window has closed, until another one needs it.
#[inline(always)]
pub(crate) fn take(entry: *mut MmSlot, task: *mut TaskState, slot_index: u32, known: u32) -> u32 {
    if is_mine(entry, task, known) {
        return known;
    }
    opaque(mmscope_take_place(u64::from(get!(task, index)), u64::from(slot_index))) as u32
}

#[inline(always)]
fn is_mine(entry: *mut MmSlot, task: *mut TaskState, place: u32) -> bool {
    let n = opaque(u64::from(place.wrapping_sub(1))) as usize & (WINDOW_PLACES - 1);
    place != 0 && get!(entry, open_windows[n]) == get!(task, index) + 1
}

/// A function of its own, see ARCHITECTURE.md.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn mmscope_take_place(index: u64, slot_index: u64) -> u64 {
    let Some(entry) = slot(slot_index as u32) else { return 0 };
    let mut n = 0;
    while n < TRIES {
        let place = opaque(index + n) as usize & (WINDOW_PLACES - 1);
        let holder = get!(entry, open_windows[place]);
        if holder == 0 || u64::from(holder) == index + 1 || !has_open(holder - 1, slot_index as u32) {
            set!(entry, open_windows[place] = index as u32 + 1);
            return place as u64 + 1;
        }
        n += 1;
    }
    count_lost(lost::WINDOW_PLACES_TAKEN);
    0
}

/// Whether a task has a window open on an mm.
#[inline(always)]
fn has_open(index: u32, slot_index: u32) -> bool {
    let Some(task) = task(index) else { return false };
    get!(task, windows[0].tlb) != 0 && get!(task, windows[0].slot) == slot_index
        || get!(task, windows[1].tlb) != 0 && get!(task, windows[1].slot) == slot_index
        || get!(task, inline_since_ns) != 0 && get!(task, inline_slot) == slot_index
}

/// A window that was open in this place has closed. Two tasks may take the same place at the same moment, the later one for
/// good: that is seen now.
#[inline(always)]
pub(crate) fn check(entry: *mut MmSlot, task: *mut TaskState, place: u32) {
    if place != 0 && !is_mine(entry, task, place) {
        count_lost(lost::WINDOW_PLACE_LOST);
    }
}

/// What others have open over some addresses.
#[derive(Clone, Copy)]
pub(crate) struct Overlap {
    /// A window of any path.
    pub(crate) is_any: bool,
    /// A window whose deferred flush can lose what a write fault copies: its path plus one, or zero. Since when it is open, and
    /// whose it is, stand in `found_since_ns` and `found_id` of the task that looked.
    pub(crate) path: u32,
}

/// Looks for windows of other tasks over `start` to `end`. With `meets`, the windows found that a write fault can lose
/// something in are told that they were met.
#[inline(always)]
pub(crate) fn overlap(me: *mut TaskState, slot_index: u32, start: u64, end: u64, meets: bool) -> Overlap {
    let (index, slot_index) = (u64::from(get!(me, index)), u64::from(slot_index));
    let found = opaque(mmscope_overlap(index, slot_index, start, end, u64::from(meets)));
    Overlap { is_any: found & IS_ANY != 0, path: (found >> PATH_SHIFT) as u32 }
}

/// What [`mmscope_overlap`] returns: a window of any path.
const IS_ANY: u64 = 1;
/// Above it, the path of the one that matters, plus one.
const PATH_SHIFT: u64 = 1;

/// A function of its own, see ARCHITECTURE.md.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn mmscope_overlap(me: u64, slot_index: u64, start: u64, end: u64, meets: u64) -> u64 {
    let Some(entry) = slot(slot_index as u32) else { return 0 };
    let mut found = 0;
    let mut n = 0;
    while n < WINDOW_PLACES as u64 {
        let place = opaque(n) as usize & (WINDOW_PLACES - 1);
        let holder = u64::from(get!(entry, open_windows[place]));
        if holder != 0 && holder != me + 1 {
            let one = opaque(mmscope_look_at(me, holder - 1 << MEETS_BITS | meets, slot_index, start, end));
            found = opaque(if one > IS_ANY { one } else { found | one });
        }
        n += 1;
    }
    found
}

/// Bits of [`mmscope_look_at`]'s second argument that tell whether windows are to be told; above them is whose they are.
const MEETS_BITS: u64 = 1;

/// A function of its own, see ARCHITECTURE.md: one task's windows.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn mmscope_look_at(me: u64, other_and_meets: u64, slot_index: u64, start: u64, end: u64) -> u64 {
    let (Some(me), Some(other)) = (task(me as u32), task((other_and_meets >> MEETS_BITS) as u32)) else { return 0 };
    let sought = Sought { slot_index: slot_index as u32, start, end, meets: other_and_meets & 1 != 0 };
    let found = look_at::<0>(me, other, sought, 0);
    let found = look_at::<1>(me, other, sought, found);
    look_at_inline(me, other, sought, found)
}

/// What is looked for.
#[derive(Clone, Copy)]
struct Sought {
    slot_index: u32,
    start: u64,
    end: u64,
    meets: bool,
}

#[inline(always)]
fn look_at<const I: usize>(me: *mut TaskState, other: *mut TaskState, sought: Sought, found: u64) -> u64 {
    let tlb = get!(other, windows[I].tlb);
    if tlb == 0 || get!(other, windows[I].slot) != sought.slot_index {
        return found;
    }
    let (mut from, mut to) = (get!(other, windows[I].start), get!(other, windows[I].end));
    let path = get!(other, windows[I].path);
    if to == 0 {
        // Nothing announced: what its mmu_gather has gathered by now. It lies on the stack of a task that works.
        (from, to) = if path == PATH_EXIT + 1 {
            (0, u64::MAX)
        } else {
            (Raw::u64::<{ field::MMU_GATHER_START }>(tlb), Raw::u64::<{ field::MMU_GATHER_END }>(tlb))
        };
    }
    if from >= sought.end || sought.start >= to {
        return found;
    }
    if path != PATH_UFFD_WP + 1 && path != PATH_UFFD_UNWP + 1 {
        return opaque(found | IS_ANY);
    }
    set!(me, found_since_ns = get!(other, windows[I].since_ns));
    set!(me, found_id = get!(other, id));
    if sought.meets {
        set!(other, windows[I].met = 1);
    }
    opaque(u64::from(path) << PATH_SHIFT | IS_ANY)
}

#[inline(always)]
fn look_at_inline(me: *mut TaskState, other: *mut TaskState, sought: Sought, found: u64) -> u64 {
    let since_ns = get!(other, inline_since_ns);
    if since_ns == 0 || get!(other, inline_slot) != sought.slot_index || get!(other, inline_place) == 0 {
        return found;
    }
    if get!(other, inline_start) >= sought.end || sought.start >= get!(other, inline_end) {
        return found;
    }
    let path = get!(other, context_path);
    if path != PATH_UFFD_WP + 1 && path != PATH_UFFD_UNWP + 1 && path != PATH_SOFT_DIRTY + 1 {
        return opaque(found | IS_ANY);
    }
    set!(me, found_since_ns = since_ns);
    set!(me, found_id = get!(other, id));
    if sought.meets {
        set!(other, inline_met = 1);
    }
    opaque(u64::from(path) << PATH_SHIFT | IS_ANY)
}
