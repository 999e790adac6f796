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
    turn::{Turn, programs},
};

/// The same name twice is the same name.
#[inline(always)]
fn renamed<R: Reader>(ctx: &impl EbpfContext, _turn: Turn) -> i32 {
    slots::rename::<R>(argument::<{ arg::TASK_RENAME_TASK }>(ctx), argument::<{ arg::TASK_RENAME_COMM }>(ctx));
    0
}

programs! {
    #[btf_tracepoint(function = "task_rename")] BtfTracePointContext: task_rename, task_rename_again, task_rename_last => renamed::<Typed>;
    #[raw_tracepoint(tracepoint = "task_rename")]
    RawTracePointContext: task_rename_raw, task_rename_raw_again, task_rename_raw_last => renamed::<Raw>;
}
