//! lock:contention_begin and contention_end (5.19 and later): a task blocks on a lock that another one holds.

use aya_ebpf::{
    EbpfContext,
    macros::{btf_tracepoint, raw_tracepoint},
    programs::{BtfTracePointContext, RawTracePointContext},
};
use probe_common::relocation::arg;

use crate::{kernel::argument, lock};

#[inline(always)]
fn begin(ctx: &impl EbpfContext) -> i32 {
    lock::contention_begin(
        argument::<{ arg::CONTENTION_BEGIN_LOCK }>(ctx),
        argument::<{ arg::CONTENTION_BEGIN_FLAGS }>(ctx),
    );
    0
}

#[inline(always)]
fn end(ctx: &impl EbpfContext) -> i32 {
    lock::contention_end(argument::<{ arg::CONTENTION_END_LOCK }>(ctx));
    0
}

#[btf_tracepoint(function = "contention_begin")]
fn contention_begin(ctx: BtfTracePointContext) -> i32 {
    begin(&ctx)
}

#[raw_tracepoint(tracepoint = "contention_begin")]
fn contention_begin_raw(ctx: RawTracePointContext) -> i32 {
    begin(&ctx)
}

#[btf_tracepoint(function = "contention_end")]
fn contention_end(ctx: BtfTracePointContext) -> i32 {
    end(&ctx)
}

#[raw_tracepoint(tracepoint = "contention_end")]
fn contention_end_raw(ctx: RawTracePointContext) -> i32 {
    end(&ctx)
}
