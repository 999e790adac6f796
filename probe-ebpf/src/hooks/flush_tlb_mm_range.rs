//! flush_tlb_mm_range: every flush of an mm on x86, by range, by page (flush_tlb_page is inline) or whole.

use aya_ebpf::{EbpfContext as _, macros::fexit, programs::FExitContext};
use probe_common::relocation::arg;

use crate::{
    kernel::{Typed, argument},
    turn::{Turn, programs},
    window,
};

#[inline(always)]
fn returned(ctx: &FExitContext, turn: Turn) -> i32 {
    window::flushed::<Typed>(
        ctx.as_ptr(),
        argument::<{ arg::FLUSH_MM }>(ctx),
        argument::<{ arg::FLUSH_START }>(ctx),
        argument::<{ arg::FLUSH_END }>(ctx),
        argument::<{ arg::FLUSH_STRIDE_SHIFT }>(ctx),
        turn,
    );
    0
}

programs! {
    #[fexit(function = "flush_tlb_mm_range")] FExitContext: flush_tlb_mm_range_exit, flush_tlb_mm_range_exit_again, flush_tlb_mm_range_exit_last => returned;
}
