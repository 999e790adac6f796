//! tlb:tlb_flush: a CPU flushed its TLB. Tells no mm; used only where flush_tlb_mm_range cannot be hooked.

use aya_ebpf::{
    EbpfContext,
    macros::{btf_tracepoint, raw_tracepoint},
    programs::{BtfTracePointContext, RawTracePointContext},
};
use probe_common::relocation::arg;

use crate::{kernel::argument, window};

#[inline(always)]
fn flushed(ctx: &impl EbpfContext) -> i32 {
    window::flushed_locally(argument::<{ arg::TLB_FLUSH_REASON }>(ctx), argument::<{ arg::TLB_FLUSH_PAGES }>(ctx));
    0
}

#[btf_tracepoint(function = "tlb_flush")]
fn tlb_flush(ctx: BtfTracePointContext) -> i32 {
    flushed(&ctx)
}

#[raw_tracepoint(tracepoint = "tlb_flush")]
fn tlb_flush_raw(ctx: RawTracePointContext) -> i32 {
    flushed(&ctx)
}
