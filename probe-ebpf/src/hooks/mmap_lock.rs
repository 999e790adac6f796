//! mmap_lock:mmap_lock_acquire_returned and mmap_lock_released (5.11 and later).

use aya_ebpf::{
    EbpfContext,
    macros::{btf_tracepoint, raw_tracepoint},
    programs::{BtfTracePointContext, RawTracePointContext},
};
use probe_common::relocation::arg;

use crate::{
    kernel::{Raw, Reader, Typed, argument},
    lock,
    turn::{Turn, programs},
};

/// The bools of a tracepoint fill one byte of their word.
#[inline(always)]
fn flag(word: u64) -> bool {
    word & 0xff != 0
}

#[inline(always)]
fn acquired<R: Reader>(ctx: &impl EbpfContext, turn: Turn) -> i32 {
    lock::acquired::<R>(
        ctx.as_ptr(),
        argument::<{ arg::ACQUIRED_MM }>(ctx),
        flag(argument::<{ arg::ACQUIRED_WRITE }>(ctx)),
        flag(argument::<{ arg::ACQUIRED_SUCCESS }>(ctx)),
        turn,
    );
    0
}

#[inline(always)]
fn released(ctx: &impl EbpfContext, turn: Turn) -> i32 {
    let mm = argument::<{ arg::RELEASED_MM }>(ctx);
    lock::released(ctx.as_ptr(), mm, flag(argument::<{ arg::RELEASED_WRITE }>(ctx)), turn);
    0
}

programs! {
    #[btf_tracepoint(function = "mmap_lock_acquire_returned")]
    BtfTracePointContext: mmap_lock_acquire_returned, mmap_lock_acquire_returned_again, mmap_lock_acquire_returned_last => acquired::<Typed>;
    #[btf_tracepoint(function = "mmap_lock_released")]
    BtfTracePointContext: mmap_lock_released, mmap_lock_released_again, mmap_lock_released_last => released;
    #[raw_tracepoint(tracepoint = "mmap_lock_acquire_returned")]
    RawTracePointContext: mmap_lock_acquire_returned_raw, mmap_lock_acquire_returned_raw_again, mmap_lock_acquire_returned_raw_last => acquired::<Raw>;
    #[raw_tracepoint(tracepoint = "mmap_lock_released")]
    RawTracePointContext: mmap_lock_released_raw, mmap_lock_released_raw_again, mmap_lock_released_raw_last => released;
}
