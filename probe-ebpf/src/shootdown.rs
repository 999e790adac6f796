//! Shootdowns: flushes that ask other CPUs and wait for the last of them. Knows nothing of how the events are hooked.

use core::ffi::c_void;

use probe_common::{
    answer::CPUS,
    lost,
    series::{OP_OTHER, SHOOTDOWN},
    task::BUSY_SHOOTDOWN,
};

use crate::{
    emit::{self, Event},
    kernel::{Reader, current_cpu, now_ns, opaque, read_u64},
    maps::{add_u32, answer, at, count_lost, get, increment, set},
    params, slots, tasks,
};

/// Words of a CPU mask that are counted: of 1024 CPUs.
const MASK_WORDS: u64 = 16;

/// Bits that are set.
#[inline(always)]
fn ones(word: u64) -> u64 {
    let pairs = word - (word >> 1 & 0x5555_5555_5555_5555);
    let fours = (pairs & 0x3333_3333_3333_3333) + (pairs >> 2 & 0x3333_3333_3333_3333);
    ((fours + (fours >> 4)) & 0x0f0f_0f0f_0f0f_0f0f).wrapping_mul(0x0101_0101_0101_0101) >> 56
}

/// Other CPUs are about to be asked. Reclaim's batches, which tell no mm, are not in here.
#[inline(always)]
pub(crate) fn begin<R: Reader>(mm: u64, mask: u64) {
    if mm == 0 {
        return;
    }
    let Some(task) = tasks::current() else { return };
    if get!(task, shootdown_since_ns) != 0 {
        count_lost(lost::SHOOTDOWN_OVERWRITTEN);
    }
    let Some((slot_index, entry)) = slots::of::<R>(task, mm) else { return };
    increment(at!(entry, shootdowns));
    let mut cpus = 0;
    let mut n = 0;
    while n < MASK_WORDS && n * 64 < u64::from(params::processors()) {
        cpus += ones(read_u64(mask.wrapping_add(n * 8)));
        n += 1;
    }
    if u64::from(params::processors()) > MASK_WORDS * 64 {
        count_lost(lost::SHOOTDOWN_CPUS);
    }
    // The mask may have the asking CPU in it, which answers itself.
    let own = u64::from(current_cpu());
    let asks_itself = read_u64(mask.wrapping_add((own >> 6) * 8)) >> (own & 63) & 1;
    add_u32(at!(entry, shootdown_cpus), cpus.wrapping_sub(asks_itself));
    tasks::begin(task, BUSY_SHOOTDOWN);
    set!(task, shootdown_slot = slot_index);
    set!(task, shootdown_since_ns = now_ns());
}

/// All have answered.
#[inline(always)]
pub(crate) fn end(ctx: *mut c_void) {
    let Some(task) = tasks::find() else { return };
    let since = get!(task, shootdown_since_ns);
    if since == 0 {
        return;
    }
    set!(task, shootdown_since_ns = 0);
    tasks::end(task, BUSY_SHOOTDOWN);
    let slot_index = get!(task, shootdown_slot);
    let now = now_ns();
    let Some(took) = emit::elapsed(since, now) else { return };
    emit::duration(slot_index, SHOOTDOWN, took);
    if get!(task, windows[0].tlb) != 0 || get!(task, inline_since_ns) != 0 {
        set!(task, shootdowns_ns = get!(task, shootdowns_ns) + took);
    }
    if took >= params::record_window_ns() {
        emit::record(
            ctx,
            &Event {
                slot: slot_index,
                series: SHOOTDOWN,
                operation: OP_OTHER,
                begin_ns: since,
                duration_ns: took,
                detail: [mmscope_straggler(u64::from(current_cpu()), since, now), 0, 0, 0, 0, 0],
            },
        );
    }
}

/// This CPU is about to flush because another one has asked.
#[inline(always)]
pub(crate) fn answered(asked_by: u32) {
    let cpu = current_cpu();
    // Its own part of a flush that it asks others for is no answer, and must not hide one.
    if asked_by == cpu {
        return;
    }
    let Some(answer) = answer(cpu) else { return };
    set!(answer, asked_by = asked_by);
    set!(answer, at_ns = now_ns());
}

/// A function of its own, see ARCHITECTURE.md: the CPU, plus one, whose answer to `asked_by` came last between two times; zero
/// if none is known. Each is known until it answers another one.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn mmscope_straggler(asked_by: u64, since: u64, until: u64) -> u64 {
    let mut last = 0;
    let mut found = 0;
    let mut cpu = 0_u64;
    while cpu < u64::from(CPUS) && cpu < u64::from(params::processors()) {
        let Some(answer) = answer(opaque(cpu) as u32) else { break };
        let at = get!(answer, at_ns);
        let is_it = u64::from(get!(answer, asked_by)) == asked_by && at >= since && at <= until && at > last;
        if is_it {
            last = opaque(at);
            found = opaque(cpu + 1);
        }
        cpu += 1;
    }
    found
}
