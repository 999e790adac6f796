//! exit_mmap: the end of an address space, where tlb_gather_mmu_fullmm does not tell it.

use aya_ebpf::{macros::fexit, programs::FExitContext};
use probe_common::relocation::arg;

use crate::{
    kernel::argument,
    log::log,
    slots,
    turn::{Turn, programs},
};

/// What is gone already cannot go again.
#[inline(always)]
fn returned(ctx: &FExitContext, _turn: Turn) -> i32 {
    slots::retire(argument::<{ arg::EXIT_MMAP_MM }>(ctx));
    log!(ctx, "mm {:x} is gone", argument::<{ arg::EXIT_MMAP_MM }>(ctx));
    0
}

programs! {
    #[fexit(function = "exit_mmap")] FExitContext: exit_mmap_exit, exit_mmap_exit_again, exit_mmap_exit_last => returned;
}
