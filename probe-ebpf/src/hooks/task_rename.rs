//! task:task_rename: a process gets its name, by exec or by prctl.

use aya_ebpf::{
    EbpfContext,
    macros::{btf_tracepoint, raw_tracepoint},
    programs::{BtfTracePointContext, RawTracePointContext},
};
use probe_common::relocation::arg;

use crate::{
    kernel::{Raw, Reader, Typed, argument},
    slots,
};

#[inline(always)]
fn renamed<R: Reader>(ctx: &impl EbpfContext) -> i32 {
    slots::rename::<R>(argument::<{ arg::TASK_RENAME_TASK }>(ctx), argument::<{ arg::TASK_RENAME_COMM }>(ctx));
    0
}

#[btf_tracepoint(function = "task_rename")]
fn task_rename(ctx: BtfTracePointContext) -> i32 {
    renamed::<Typed>(&ctx)
}

#[raw_tracepoint(tracepoint = "task_rename")]
fn task_rename_raw(ctx: RawTracePointContext) -> i32 {
    renamed::<Raw>(&ctx)
}
