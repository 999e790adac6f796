//! tlb_gather_mmu and its two relatives: a flush is pending from their return on.

use aya_ebpf::{macros::fexit, programs::FExitContext};
use probe_common::relocation::{arg, field};

use crate::{
    kernel::{Reader, Typed, argument},
    turn::{Turn, programs},
    window::{self, Gather},
};

#[inline(always)]
fn gathered(ctx: &FExitContext, turn: Turn) -> i32 {
    // Before 5.12 there is one function, and the whole address space is its way of saying that the mm is torn down. Later
    // the place stands for another argument, which is never this.
    let gather = if argument::<{ arg::GATHER_END }>(ctx) == u64::MAX { Gather::FullMm } else { Gather::Range };
    window::open::<Typed>(argument::<{ arg::GATHER_TLB }>(ctx), argument::<{ arg::GATHER_MM }>(ctx), gather, turn);
    0
}

#[inline(always)]
fn gathered_fullmm(ctx: &FExitContext, turn: Turn) -> i32 {
    let mm = argument::<{ arg::GATHER_FULLMM_MM }>(ctx);
    window::open::<Typed>(argument::<{ arg::GATHER_FULLMM_TLB }>(ctx), mm, Gather::FullMm, turn);
    0
}

#[inline(always)]
fn gathered_vma(ctx: &FExitContext, turn: Turn) -> i32 {
    let mm = Typed::u64::<{ field::VMA_MM }>(argument::<{ arg::GATHER_VMA_VMA }>(ctx));
    window::open::<Typed>(argument::<{ arg::GATHER_VMA_TLB }>(ctx), mm, Gather::Vma, turn);
    0
}

programs! {
    #[fexit(function = "tlb_gather_mmu")] FExitContext: tlb_gather_mmu_exit, tlb_gather_mmu_exit_again, tlb_gather_mmu_exit_last => gathered;
    #[fexit(function = "tlb_gather_mmu_fullmm")]
    FExitContext: tlb_gather_mmu_fullmm_exit, tlb_gather_mmu_fullmm_exit_again, tlb_gather_mmu_fullmm_exit_last => gathered_fullmm;
    #[fexit(function = "tlb_gather_mmu_vma")]
    FExitContext: tlb_gather_mmu_vma_exit, tlb_gather_mmu_vma_exit_again, tlb_gather_mmu_vma_exit_last => gathered_vma;
}
