//! native_flush_tlb_multi (5.12 and later), native_flush_tlb_others before: a flush asks other CPUs, and waits for their
//! answers. (flush_tlb_multi, which calls it, is put into its callers by the compiler.) flush_tlb_func: one of them answers.

use aya_ebpf::{
    EbpfContext as _,
    macros::{fentry, fexit},
    programs::{FEntryContext, FExitContext},
};
use probe_common::relocation::{arg, field};

use crate::{
    kernel::{Raw, Reader as _, Typed, argument},
    shootdown,
};

// All of them run where preemption is off: between get_cpu and put_cpu of flush_tlb_mm_range, or with interrupts off. They have
// no programs that step in.

#[inline(always)]
fn entered(ctx: &FEntryContext) -> i32 {
    let mm = Typed::u64::<{ field::FLUSH_INFO_MM }>(argument::<{ arg::FLUSH_MULTI_INFO }>(ctx));
    shootdown::begin::<Typed>(mm, argument::<{ arg::FLUSH_MULTI_MASK }>(ctx));
    0
}

#[inline(always)]
fn returned(ctx: &FExitContext) -> i32 {
    shootdown::end(ctx.as_ptr());
    0
}

#[fentry(function = "native_flush_tlb_multi")]
fn flush_tlb_multi_enter(ctx: FEntryContext) -> i32 {
    entered(&ctx)
}

#[fexit(function = "native_flush_tlb_multi")]
fn flush_tlb_multi_exit(ctx: FExitContext) -> i32 {
    returned(&ctx)
}

#[fentry(function = "native_flush_tlb_others")]
fn flush_tlb_others_enter(ctx: FEntryContext) -> i32 {
    entered(&ctx)
}

#[fexit(function = "native_flush_tlb_others")]
fn flush_tlb_others_exit(ctx: FExitContext) -> i32 {
    returned(&ctx)
}

#[fentry(function = "flush_tlb_func")]
fn flush_tlb_func_enter(ctx: FEntryContext) -> i32 {
    // Its type tells nothing (void *), and of its size only that it holds the number of any CPU.
    let asked_by = Raw::u32::<{ field::FLUSH_INFO_CPU }>(argument::<{ arg::FLUSH_FUNC_INFO }>(&ctx)) & 0xffff;
    shootdown::answered(asked_by);
    0
}
