//! tlb_flush_mmu, and the entry of tlb_finish_mmu: where flushing is inline, what a gather has is flushed in them.

use probe_common::relocation::arg;

use crate::{
    gather,
    kernel::{Probed, argument},
    turn::{Turn, entries, exits},
};

#[inline(always)]
fn entered(ctx: &impl Probed, _turn: Turn) -> i32 {
    gather::flush_begins(argument::<{ arg::FLUSH_MMU_TLB }>(ctx), false);
    0
}

#[inline(always)]
fn finishes(ctx: &impl Probed, _turn: Turn) -> i32 {
    gather::flush_begins(argument::<{ arg::FINISH_TLB }>(ctx), true);
    0
}

#[inline(always)]
fn returned(ctx: &impl Probed, _turn: Turn) -> i32 {
    gather::flush_ended(ctx.as_ptr());
    0
}

entries! {
    "tlb_flush_mmu": tlb_flush_mmu_enter, tlb_flush_mmu_enter_again, tlb_flush_mmu_enter_last, tlb_flush_mmu_enter_kprobe => entered;
    "tlb_finish_mmu": tlb_finish_mmu_enter, tlb_finish_mmu_enter_again, tlb_finish_mmu_enter_last, tlb_finish_mmu_enter_kprobe => finishes;
}

exits! {
    "tlb_flush_mmu": tlb_flush_mmu_exit, tlb_flush_mmu_exit_again, tlb_flush_mmu_exit_last, tlb_flush_mmu_exit_kprobe => returned;
}
