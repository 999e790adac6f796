//! tlb_finish_mmu: the pending flush is complete.

use probe_common::relocation::arg;

use crate::{
    calls, gather,
    kernel::{Probed, argument},
    params,
    turn::{Turn, exits_keeping},
    window,
};

#[inline(always)]
fn returned<C: Probed>(ctx: &C, tlb: u64, turn: Turn) -> i32 {
    if params::inline_flushes() != 0 {
        gather::finished(ctx.as_ptr(), tlb);
    }
    window::close::<C::Fields>(ctx.as_ptr(), tlb, turn);
    0
}

exits_keeping! {
    "tlb_finish_mmu" keeps calls::FINISH [tlb = argument::<{ arg::FINISH_TLB }>]:
        tlb_finish_mmu_exit, tlb_finish_mmu_exit_again, tlb_finish_mmu_exit_last, tlb_finish_mmu_exit_kprobe, tlb_finish_mmu_exit_call => returned;
}
