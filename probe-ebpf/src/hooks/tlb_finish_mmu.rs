//! tlb_finish_mmu: the pending flush is complete.

use aya_ebpf::{macros::fexit, programs::FExitContext};
use probe_common::relocation::arg;

use crate::{kernel::argument, window};

#[fexit(function = "tlb_finish_mmu")]
fn tlb_finish_mmu_exit(ctx: FExitContext) -> i32 {
    window::close(argument::<{ arg::FINISH_TLB }>(&ctx));
    0
}
