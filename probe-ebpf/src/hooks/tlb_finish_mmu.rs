//! tlb_finish_mmu: the pending flush is complete.

use probe_common::relocation::arg;

use crate::{
    calls,
    kernel::{Probed, argument},
    turn::{Turn, exits_keeping},
    window,
};

#[inline(always)]
fn returned<C: Probed>(ctx: &C, tlb: u64, turn: Turn) -> i32 {
    window::close::<C::Fields>(ctx.as_ptr(), tlb, turn);
    0
}

exits_keeping! {
    "tlb_finish_mmu" keeps calls::FINISH [tlb = argument::<{ arg::FINISH_TLB }>]:
        tlb_finish_mmu_exit, tlb_finish_mmu_exit_again, tlb_finish_mmu_exit_last, tlb_finish_mmu_exit_kprobe, tlb_finish_mmu_exit_call => returned;
}
