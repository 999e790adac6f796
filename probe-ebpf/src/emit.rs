//! Adding a duration to the mm's histogram, and sending a record when it is over its threshold.

use core::ffi::c_void;

use probe_common::{
    event::{DETAILS, Record},
    histogram::{BUCKETS, FIRST_BOUND_LOG2},
    lost,
    params::TIMELINE_CHOSEN,
    series::COUNT as SERIES,
    slot::{MmSlot, ROW_PLACES},
};

use crate::{
    control,
    kernel::{current_comm, current_id, opaque, stack},
    maps::{FREE_ROWS, RECORDS, add_u32, add_u64, at, count_lost, get, row, set, slot},
    params,
};

/// BPF_RB_NO_WAKEUP: the daemon looks by itself; a wake-up for each record costs more than the record.
const NO_WAKEUP: u64 = 1;

/// The time from `begin_ns` to `end_ns`; none, and a loss counted, if the clock went backwards.
#[inline(always)]
pub(crate) fn elapsed(begin_ns: u64, end_ns: u64) -> Option<u64> {
    if end_ns < begin_ns {
        count_lost(lost::CLOCK_BACKWARDS);
        return None;
    }
    Some(end_ns - begin_ns)
}

/// Adds a duration to a series of a slot.
#[inline(always)]
pub(crate) fn duration(slot_index: u32, series: u32, duration_ns: u64) {
    mmscope_add_duration(u64::from(slot_index), u64::from(series), duration_ns);
}

/// A function of its own, see ARCHITECTURE.md; what it returns has no meaning, but must be a number.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn mmscope_add_duration(slot_index: u64, series: u64, duration_ns: u64) -> u64 {
    add_duration(slot_index as u32, series as u32, duration_ns);
    0
}

#[inline(always)]
fn add_duration(slot_index: u32, series: u32, duration_ns: u64) {
    if let Some(entry) = slot(slot_index) {
        add_to(entry, slot_index, series, duration_ns);
    }
}

/// As [`duration`], where the slot is at hand. Inlined: for functions that are walked once.
#[inline(always)]
pub(crate) fn add_to(entry: *mut MmSlot, slot_index: u32, series: u32, duration_ns: u64) {
    add_weighted(entry, slot_index, series, duration_ns, 1);
}

/// As [`add_to`], for so many events of that duration.
#[inline(always)]
pub(crate) fn add_weighted(entry: *mut MmSlot, slot_index: u32, series: u32, duration_ns: u64, weight: u64) {
    // The compiler knows the series' range and would leave the mask out; the verifier may have lost it by now.
    let place = opaque(u64::from(series)) as usize & (ROW_PLACES - 1);
    let mut index = get!(entry, rows[place]);
    if index == 0 {
        index = claim(slot_index, series);
        // Slot 0's rows have fixed places: what fell back to it must not be remembered here.
        if index >= SERIES as u32 {
            set!(entry, rows[place] = index);
        }
    }
    let Some(row) = row(index) else { return };
    let bucket = opaque(bucket(duration_ns));
    if bucket as usize >= BUCKETS {
        return;
    }
    add_u64(at!(row, sum_ns), duration_ns * weight);
    add_u32(at!(row, buckets[bucket as usize]), weight);
}

/// A row for a series of a slot; slot 0's own where there is none left.
///
/// Two threads of one mm may both claim: both rows carry their owner, and the daemon adds up what it finds.
#[inline(always)]
fn claim(slot_index: u32, series: u32) -> u32 {
    if slot_index == 0 {
        return series;
    }
    let Ok(Some(index)) = FREE_ROWS.pop() else {
        count_lost(lost::ROW_TABLE_FULL);
        return series;
    };
    if let Some(row) = row(index) {
        set!(row, slot = slot_index);
        set!(row, series = series + 1);
    }
    index
}

/// Bucket of a duration: that of the first bound which it does not exceed.
///
/// The smallest b with duration <= 2^(8 + b) is the bit length of (duration - 1) >> 8. Found without a branch on it: each
/// would make the verifier walk everything that follows once more.
#[inline(always)]
fn bucket(duration_ns: u64) -> u64 {
    let mut rest = duration_ns.saturating_sub(1) >> FIRST_BOUND_LOG2;
    if rest >> (BUCKETS - 2) != 0 {
        return BUCKETS as u64 - 1;
    }
    let mut length = 0;
    for log2 in [4, 3, 2, 1] {
        // More than the lower half? A difference below zero has its uppermost bit set.
        let step = opaque(((1_u64 << (1 << log2)) - 1).wrapping_sub(rest)) >> 63 << log2;
        rest >>= step;
        length += step;
    }
    // One of 0 to 3 is left: 0, 1, 2, and 2 bits.
    length + rest - (rest & opaque(rest) >> 1)
}

/// A single event to tell.
pub(crate) struct Event {
    /// Slot of its mm.
    pub(crate) slot: u32,
    /// Of its duration, or what else it is.
    pub(crate) series: u32,
    /// Of the running task.
    pub(crate) operation: u32,
    pub(crate) begin_ns: u64,
    pub(crate) duration_ns: u64,
    /// See `probe_common::event::Record`.
    pub(crate) detail: [u64; DETAILS],
}

/// Whether the mm of a slot is one whose every event is sent. A function of its own: it is called where records are sent.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn mmscope_is_chosen(slot_index: u64) -> u64 {
    let Some(entry) = slot(slot_index as u32) else { return 0 };
    u64::from(params::is_named(get!(entry, tgid), [get!(entry, comm_halves[0]), get!(entry, comm_halves[1])]))
}

/// Sends a record of one event, with the running task's stack. Totals are not its business.
#[inline(always)]
pub(crate) fn record(ctx: *mut c_void, event: &Event) {
    if params::timeline() == TIMELINE_CHOSEN && mmscope_is_chosen(u64::from(event.slot)) == 0 {
        return;
    }
    let Some(mut entry) = RECORDS.reserve::<Record>(0) else {
        count_lost(lost::RING_FULL);
        return;
    };
    let record = entry.as_mut_ptr();
    let id = current_id();
    set!(record, series = event.series);
    set!(record, operation = event.operation);
    set!(record, tgid = (id >> 32) as u32);
    set!(record, tid = id as u32);
    set!(record, begin_ns = event.begin_ns);
    set!(record, duration_ns = event.duration_ns);
    set!(record, slot = event.slot);
    set!(
        record,
        slot_born_ns = match slot(event.slot) {
            Some(slot) => get!(slot, born_ns),
            None => 0,
        }
    );
    set!(record, detail[0] = event.detail[0]);
    set!(record, detail[1] = event.detail[1]);
    set!(record, detail[2] = event.detail[2]);
    set!(record, detail[3] = event.detail[3]);
    set!(record, detail[4] = event.detail[4]);
    set!(record, detail[5] = event.detail[5]);
    current_comm(at!(record, comm));
    set!(record, stack_bytes = if control::wants_stacks() { stack(ctx, at!(record, stack)) } else { 0 });
    entry.submit(NO_WAKEUP);
}
