//! flush_tlb_mm_range: every flush of an mm on x86, by range, by page (flush_tlb_page is inline) or whole.

use probe_common::relocation::arg;

use crate::{
    calls,
    kernel::{Probed, argument},
    turn::{Turn, exits_keeping},
    window,
};

#[inline(always)]
fn returned<C: Probed>(ctx: &C, mm: u64, start: u64, end: u64, stride_shift: u64, turn: Turn) -> i32 {
    window::flushed::<C::Fields>(ctx.as_ptr(), mm, start, end, stride_shift, turn);
    0
}

exits_keeping! {
    "flush_tlb_mm_range" keeps calls::FLUSH [mm = argument::<{ arg::FLUSH_MM }>, start = argument::<{ arg::FLUSH_START }>, end = argument::<{ arg::FLUSH_END }>, stride_shift = argument::<{ arg::FLUSH_STRIDE_SHIFT }>]:
        flush_tlb_mm_range_exit, flush_tlb_mm_range_exit_again, flush_tlb_mm_range_exit_last, flush_tlb_mm_range_exit_kprobe, flush_tlb_mm_range_exit_call => returned;
}
