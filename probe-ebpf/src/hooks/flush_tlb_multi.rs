//! flush_tlb_multi (5.12 and later), native_flush_tlb_others before: a flush asks other CPUs, and waits for their answers.

use aya_ebpf::{
    EbpfContext as _,
    macros::{fentry, fexit},
    programs::{FEntryContext, FExitContext},
};
use probe_common::relocation::{arg, field};

use crate::{
    kernel::{Reader as _, Typed, argument},
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
    #[fentry(function = "flush_tlb_multi")] FEntryContext: flush_tlb_multi_enter, flush_tlb_multi_enter_again, flush_tlb_multi_enter_last => entered;
    #[fexit(function = "flush_tlb_multi")] FExitContext: flush_tlb_multi_exit, flush_tlb_multi_exit_again, flush_tlb_multi_exit_last => returned;
    #[fentry(function = "native_flush_tlb_others")]
    FEntryContext: flush_tlb_others_enter, flush_tlb_others_enter_again, flush_tlb_others_enter_last => entered;
    #[fexit(function = "native_flush_tlb_others")] FExitContext: flush_tlb_others_exit, flush_tlb_others_exit_again, flush_tlb_others_exit_last => returned;
}
