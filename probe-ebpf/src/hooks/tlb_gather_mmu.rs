//! tlb_gather_mmu and its two relatives: a flush is pending from their return on.

use aya_ebpf::{macros::fexit, programs::FExitContext};
use probe_common::relocation::{arg, field};

use crate::{
    kernel::{Reader, Typed, argument},
    window::{self, Gather},
};

#[fexit(function = "tlb_gather_mmu")]
fn tlb_gather_mmu_exit(ctx: FExitContext) -> i32 {
    window::open::<Typed>(argument::<{ arg::GATHER_TLB }>(&ctx), argument::<{ arg::GATHER_MM }>(&ctx), Gather::Range);
    0
}

#[fexit(function = "tlb_gather_mmu_fullmm")]
fn tlb_gather_mmu_fullmm_exit(ctx: FExitContext) -> i32 {
    window::open::<Typed>(
        argument::<{ arg::GATHER_FULLMM_TLB }>(&ctx),
        argument::<{ arg::GATHER_FULLMM_MM }>(&ctx),
        Gather::FullMm,
    );
    0
}

#[fexit(function = "tlb_gather_mmu_vma")]
fn tlb_gather_mmu_vma_exit(ctx: FExitContext) -> i32 {
    let vma = argument::<{ arg::GATHER_VMA_VMA }>(&ctx);
    window::open::<Typed>(argument::<{ arg::GATHER_VMA_TLB }>(&ctx), Typed::u64::<{ field::VMA_MM }>(vma), Gather::Vma);
    0
}
