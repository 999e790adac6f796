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
};

/// The bools of a tracepoint fill one byte of their word.
#[inline(always)]
fn flag(word: u64) -> bool {
    word & 0xff != 0
}

#[inline(always)]
fn acquired<R: Reader>(ctx: &impl EbpfContext) -> i32 {
    lock::acquired::<R>(
        argument::<{ arg::ACQUIRED_MM }>(ctx),
        flag(argument::<{ arg::ACQUIRED_WRITE }>(ctx)),
        flag(argument::<{ arg::ACQUIRED_SUCCESS }>(ctx)),
    );
    0
}

#[inline(always)]
fn released(ctx: &impl EbpfContext) -> i32 {
    lock::released(argument::<{ arg::RELEASED_MM }>(ctx), flag(argument::<{ arg::RELEASED_WRITE }>(ctx)));
    0
}

#[btf_tracepoint(function = "mmap_lock_acquire_returned")]
fn mmap_lock_acquire_returned(ctx: BtfTracePointContext) -> i32 {
    acquired::<Typed>(&ctx)
}

#[raw_tracepoint(tracepoint = "mmap_lock_acquire_returned")]
fn mmap_lock_acquire_returned_raw(ctx: RawTracePointContext) -> i32 {
    acquired::<Raw>(&ctx)
}

#[btf_tracepoint(function = "mmap_lock_released")]
fn mmap_lock_released(ctx: BtfTracePointContext) -> i32 {
    released(&ctx)
}

#[raw_tracepoint(tracepoint = "mmap_lock_released")]
fn mmap_lock_released_raw(ctx: RawTracePointContext) -> i32 {
    released(&ctx)
}
