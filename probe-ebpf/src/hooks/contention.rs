//! lock:contention_begin and contention_end (5.19 and later): a task blocks on a lock that another one holds.

use aya_ebpf::{
    EbpfContext,
    macros::{btf_tracepoint, raw_tracepoint},
    programs::{BtfTracePointContext, RawTracePointContext},
};
use probe_common::relocation::arg;

use crate::{
    kernel::argument,
    lock, params, slots, tasks,
    turn::{Turn, programs},
};

/// LCB_F_READ of lock:contention_begin (include/trace/events/lock.h).
const LCB_F_READ: u32 = 1 << 1;
/// LCB_F_WRITE.
const LCB_F_WRITE: u32 = 1 << 2;
/// LCB_F_RT: with PREEMPT_RT, of every lock that sleeps.
const LCB_F_RT: u32 = 1 << 3;

#[inline(always)]
fn begin(ctx: &impl EbpfContext, turn: Turn) -> i32 {
    let lock = argument::<{ arg::CONTENTION_BEGIN_LOCK }>(ctx);
    let mut flags = argument::<{ arg::CONTENTION_BEGIN_FLAGS }>(ctx) as u32;
    let mut is_mutex = false;
    if params::has_rt_locks() != 0 {
        // A writer waits for the mutex of the lock, which other writers hold, and then for readers to leave. Only mm_structs are
        // looked up: every spinlock is such a mutex.
        is_mutex = flags == LCB_F_RT;
        if is_mutex && !lock::is_at_mm(lock::mm_around_mutex(lock)) {
            return 0;
        }
        flags &= !LCB_F_RT;
    }
    // An rwsem says just this; an rwlock adds that it spins, a percpu_rwsem that it is one.
    if flags != LCB_F_READ && flags != LCB_F_WRITE && !is_mutex {
        return 0;
    }
    // Is it some mm's lock? Whoever holds it now took it from somebody's books, so the mm has a slot.
    let mm = if is_mutex { lock::mm_around_mutex(lock) } else { lock::mm_around(lock) };
    if let Some(slot_index) = slots::known(mm)
        && let Some(task) = tasks::current()
    {
        // A reader that is let in late blocks on the mutex within its wait.
        if is_mutex && lock::waits_for(task, mm) {
            return 0;
        }
        lock::wait_begin(task, lock, slot_index, is_mutex || flags == LCB_F_WRITE, turn);
    }
    0
}

#[inline(always)]
fn end(ctx: &impl EbpfContext, turn: Turn) -> i32 {
    lock::wait_end(ctx.as_ptr(), argument::<{ arg::CONTENTION_END_LOCK }>(ctx), turn);
    0
}

programs! {
    #[btf_tracepoint(function = "contention_begin")] BtfTracePointContext: contention_begin, contention_begin_again, contention_begin_last => begin;
    #[btf_tracepoint(function = "contention_end")] BtfTracePointContext: contention_end, contention_end_again, contention_end_last => end;
    #[raw_tracepoint(tracepoint = "contention_begin")]
    RawTracePointContext: contention_begin_raw, contention_begin_raw_again, contention_begin_raw_last => begin;
    #[raw_tracepoint(tracepoint = "contention_end")]
    RawTracePointContext: contention_end_raw, contention_end_raw_again, contention_end_raw_last => end;
}
