//! tlb_gather_mmu and its two relatives: a flush is pending from their return on.

use probe_common::relocation::{arg, field};

use crate::{
    calls,
    kernel::{Probed, Reader as _, argument},
    turn::{Turn, exits_keeping},
    window::{self, Gather},
};

/// Before 5.12 there is one function, and the whole address space is its way of saying that the mm is torn down: then this is
/// not zero. Later the place stands for another argument, which is never this.
#[inline(always)]
fn is_teardown(ctx: &impl Probed) -> u64 {
    u64::from(argument::<{ arg::GATHER_END }>(ctx) == u64::MAX)
}

#[inline(always)]
fn gathered<C: Probed>(_ctx: &C, teardown: u64, tlb: u64, mm: u64, turn: Turn) -> i32 {
    window::open::<C::Fields>(tlb, mm, Gather { is_teardown: teardown != 0, is_vma: false }, turn);
    0
}

#[inline(always)]
fn gathered_fullmm<C: Probed>(_ctx: &C, mm: u64, tlb: u64, turn: Turn) -> i32 {
    window::open::<C::Fields>(tlb, mm, Gather { is_teardown: true, is_vma: false }, turn);
    0
}

#[inline(always)]
fn gathered_vma<C: Probed>(_ctx: &C, vma: u64, tlb: u64, turn: Turn) -> i32 {
    let mm = C::Fields::u64::<{ field::VMA_MM }>(vma);
    window::open::<C::Fields>(tlb, mm, Gather { is_teardown: false, is_vma: true }, turn);
    0
}

exits_keeping! {
    "tlb_gather_mmu" keeps calls::GATHER [teardown = is_teardown, tlb = argument::<{ arg::GATHER_TLB }>, mm = argument::<{ arg::GATHER_MM }>]:
        tlb_gather_mmu_exit, tlb_gather_mmu_exit_again, tlb_gather_mmu_exit_last, tlb_gather_mmu_exit_kprobe, tlb_gather_mmu_exit_call => gathered;
    "tlb_gather_mmu_fullmm" keeps calls::GATHER [mm = argument::<{ arg::GATHER_FULLMM_MM }>, tlb = argument::<{ arg::GATHER_FULLMM_TLB }>]:
        tlb_gather_mmu_fullmm_exit, tlb_gather_mmu_fullmm_exit_again, tlb_gather_mmu_fullmm_exit_last, tlb_gather_mmu_fullmm_exit_kprobe, tlb_gather_mmu_fullmm_exit_call => gathered_fullmm;
    "tlb_gather_mmu_vma" keeps calls::GATHER_VMA [vma = argument::<{ arg::GATHER_VMA_VMA }>, tlb = argument::<{ arg::GATHER_VMA_TLB }>]:
        tlb_gather_mmu_vma_exit, tlb_gather_mmu_vma_exit_again, tlb_gather_mmu_vma_exit_last, tlb_gather_mmu_vma_exit_kprobe, tlb_gather_mmu_vma_exit_call => gathered_vma;
}
