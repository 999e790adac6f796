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
    turn::{Turn, programs},
};

#[inline(always)]
fn entered(ctx: &FEntryContext, turn: Turn) -> i32 {
    let mm = Typed::u64::<{ field::FLUSH_INFO_MM }>(argument::<{ arg::FLUSH_MULTI_INFO }>(ctx));
    shootdown::begin::<Typed>(mm, argument::<{ arg::FLUSH_MULTI_MASK }>(ctx), turn);
    0
}

#[inline(always)]
fn returned(ctx: &FExitContext, _turn: Turn) -> i32 {
    shootdown::end(ctx.as_ptr());
    0
}

programs! {
    #[fentry(function = "native_flush_tlb_multi")]
    FEntryContext: flush_tlb_multi_enter, flush_tlb_multi_enter_again, flush_tlb_multi_enter_last => entered;
    #[fexit(function = "native_flush_tlb_multi")]
    FExitContext: flush_tlb_multi_exit, flush_tlb_multi_exit_again, flush_tlb_multi_exit_last => returned;
    #[fentry(function = "native_flush_tlb_others")]
    FEntryContext: flush_tlb_others_enter, flush_tlb_others_enter_again, flush_tlb_others_enter_last => entered;
    #[fexit(function = "native_flush_tlb_others")] FExitContext: flush_tlb_others_exit, flush_tlb_others_exit_again, flush_tlb_others_exit_last => returned;
}

/// Runs with interrupts off, where nothing preempts it: it has no programs that step in.
#[fexit(function = "flush_tlb_func")]
fn flush_tlb_func_exit(ctx: FExitContext) -> i32 {
    // Its type tells nothing (void *), and of its size only that it holds the number of any CPU.
    let asked_by = Raw::u32::<{ field::FLUSH_INFO_CPU }>(argument::<{ arg::FLUSH_FUNC_INFO }>(&ctx)) & 0xffff;
    shootdown::answered(asked_by);
    0
}
