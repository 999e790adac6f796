//! exit_mmap: the end of an address space, where tlb_gather_mmu_fullmm does not tell it.

use probe_common::relocation::arg;

use crate::{
    calls,
    kernel::{Probed, argument},
    log::log,
    slots,
    turn::{Turn, exits_keeping},
};

/// What is gone already cannot go again.
#[inline(always)]
fn returned(_ctx: &impl Probed, mm: u64, _turn: Turn) -> i32 {
    slots::retire(mm);
    log!(_ctx, "mm {:x} is gone", mm);
    0
}

exits_keeping! {
    "exit_mmap" keeps calls::EXIT_MMAP [mm = argument::<{ arg::EXIT_MMAP_MM }>]:
        exit_mmap_exit, exit_mmap_exit_again, exit_mmap_exit_last, exit_mmap_exit_kprobe, exit_mmap_exit_call => returned;
}
