//! exit_mmap: the end of an address space, where tlb_gather_mmu_fullmm does not tell it.

use aya_ebpf::{macros::fexit, programs::FExitContext};
use probe_common::relocation::arg;

use crate::{kernel::argument, log::log, slots};

#[fexit(function = "exit_mmap")]
fn exit_mmap_exit(ctx: FExitContext) -> i32 {
    slots::retire(argument::<{ arg::EXIT_MMAP_MM }>(&ctx));
    log!(&ctx, "mm {:x} is gone", argument::<{ arg::EXIT_MMAP_MM }>(&ctx));
    0
}
