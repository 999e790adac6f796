//! tlb_finish_mmu: the pending flush is complete.

use aya_ebpf::{EbpfContext as _, macros::fexit, programs::FExitContext};
use probe_common::relocation::arg;

use crate::{
    kernel::{Typed, argument},
    turn::{Turn, programs},
    window,
};

#[inline(always)]
fn returned(ctx: &FExitContext, turn: Turn) -> i32 {
    window::close::<Typed>(ctx.as_ptr(), argument::<{ arg::FINISH_TLB }>(ctx), turn);
    0
}

programs! {
    #[fexit(function = "tlb_finish_mmu")] FExitContext: tlb_finish_mmu_exit, tlb_finish_mmu_exit_again, tlb_finish_mmu_exit_last => returned;
}
