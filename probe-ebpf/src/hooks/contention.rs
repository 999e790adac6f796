//! lock:contention_begin and contention_end (5.19 and later): a task blocks on a lock that another one holds.

use aya_ebpf::{
    EbpfContext,
    macros::{btf_tracepoint, raw_tracepoint},
    programs::{BtfTracePointContext, RawTracePointContext},
};
use probe_common::relocation::arg;

use crate::{
    kernel::argument,
    lock, slots, tasks,
    turn::{Turn, programs},
};

/// LCB_F_READ of lock:contention_begin (include/trace/events/lock.h).
const LCB_F_READ: u64 = 1 << 1;
/// LCB_F_WRITE.
const LCB_F_WRITE: u64 = 1 << 2;

#[inline(always)]
fn begin(ctx: &impl EbpfContext, turn: Turn) -> i32 {
    let lock = argument::<{ arg::CONTENTION_BEGIN_LOCK }>(ctx);
    let flags = argument::<{ arg::CONTENTION_BEGIN_FLAGS }>(ctx) as u32;
    // An rwsem says just this; an rwlock adds that it spins, a percpu_rwsem that it is one.
    if flags != LCB_F_READ as u32 && flags != LCB_F_WRITE as u32 {
        return 0;
    }
    // Is it some mm's lock? Whoever holds it now took it from somebody's books, so the mm has a slot.
    if let Some(slot_index) = slots::known(lock::mm_around(lock))
        && let Some(task) = tasks::current()
    {
        lock::wait_begin(task, lock, slot_index, flags == LCB_F_WRITE as u32, turn);
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
