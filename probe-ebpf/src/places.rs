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
    maps::{count_lost, get, set, task},
};

/// Places that a window tries.
const TRIES: u32 = 4;

/// Takes a place for one window of a task; its number plus one, or zero if those that it may take are taken.
///
/// Two tasks may take the same place at the same moment, the later one for good: that is seen when the earlier one gives it
/// back.
#[inline(always)]
pub(crate) fn take(entry: *mut MmSlot, task: *mut TaskState) -> u32 {
    let index = get!(task, index);
    let mut n = 0;
    while n < TRIES {
        let place = opaque(u64::from(index.wrapping_add(n))) as usize & (WINDOW_PLACES - 1);
        if get!(entry, open_windows[place]) == 0 {
            set!(entry, open_windows[place] = index + 1);
            return place as u32 + 1;
        }
        n += 1;
    }
    count_lost(lost::WINDOW_PLACES_TAKEN);
    0
}

/// Gives a place back.
#[inline(always)]
pub(crate) fn give_back(entry: *mut MmSlot, task: *mut TaskState, place: u32) {
    if place == 0 {
        return;
    }
    let place = opaque(u64::from(place.wrapping_sub(1))) as usize & (WINDOW_PLACES - 1);
    if get!(entry, open_windows[place]) == get!(task, index) + 1 {
        set!(entry, open_windows[place] = 0);
    } else {
        count_lost(lost::WINDOW_PLACE_LOST);
    }
}

/// What others have open over some addresses.
#[derive(Clone, Copy)]
pub(crate) struct Overlap {
    /// A window of any path.
    pub(crate) is_any: bool,
    /// A window whose deferred flush can lose what a write fault copies: its path plus one, or zero.
    pub(crate) path: u32,
    /// Since when that is open.
    pub(crate) since_ns: u64,
    /// Its task, tgid in the upper half.
    pub(crate) id: u64,
}

/// Looks for windows of other tasks over `start` to `end`. With `meets`, the windows found that a write fault can lose
/// something in are told that they were met.
#[inline(always)]
pub(crate) fn overlap(
    me: *mut TaskState,
    entry: *mut MmSlot,
    slot_index: u32,
    start: u64,
    end: u64,
    meets: bool,
) -> Overlap {
    // What is found is nothing that the verifier knows: else it would walk on from here once for each.
    let mut found = Overlap { is_any: opaque(0) != 0, path: opaque(0) as u32, since_ns: opaque(0), id: opaque(0) };
    let mine = get!(me, index) + 1;
    let mut n = 0;
    while n < WINDOW_PLACES as u64 {
        let place = opaque(n) as usize & (WINDOW_PLACES - 1);
        let holder = get!(entry, open_windows[place]);
        if holder != 0
            && holder != mine
            && let Some(other) = task(holder.wrapping_sub(1))
        {
            look_at::<0>(other, slot_index, start, end, meets, &mut found);
            look_at::<1>(other, slot_index, start, end, meets, &mut found);
            look_at_inline(other, slot_index, start, end, meets, &mut found);
        }
        n += 1;
    }
    found
}

#[inline(always)]
fn look_at<const I: usize>(
    other: *mut TaskState,
    slot_index: u32,
    start: u64,
    end: u64,
    meets: bool,
    found: &mut Overlap,
) {
    let tlb = get!(other, windows[I].tlb);
    if tlb == 0 || get!(other, windows[I].slot) != slot_index {
        return;
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
    if from >= end || start >= to {
        return;
    }
    found.is_any = true;
    if path == PATH_UFFD_WP + 1 || path == PATH_UFFD_UNWP + 1 {
        found.path = path;
        found.since_ns = get!(other, windows[I].since_ns);
        found.id = get!(other, id);
        if meets {
            set!(other, windows[I].met = 1);
        }
    }
}

#[inline(always)]
fn look_at_inline(other: *mut TaskState, slot_index: u32, start: u64, end: u64, meets: bool, found: &mut Overlap) {
    let since_ns = get!(other, inline_since_ns);
    if since_ns == 0 || get!(other, inline_slot) != slot_index || get!(other, inline_place) == 0 {
        return;
    }
    if get!(other, inline_start) >= end || start >= get!(other, inline_end) {
        return;
    }
    found.is_any = true;
    let path = get!(other, context_path);
    if path == PATH_UFFD_WP + 1 || path == PATH_UFFD_UNWP + 1 || path == PATH_SOFT_DIRTY + 1 {
        found.path = path;
        found.since_ns = since_ns;
        found.id = get!(other, id);
        if meets {
            set!(other, inline_met = 1);
        }
    }
}
