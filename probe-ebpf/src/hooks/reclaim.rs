//! try_to_unmap_one, try_to_migrate_one (5.10 has none): reclaim takes a page from one mm. arch_tlbbatch_flush: it flushes what it
//! has taken; where that is inline, try_to_unmap_flush does. flush_tlb_batched_pending: somebody else flushes it.

use probe_common::relocation::{arg, field};

use crate::{
    calls,
    kernel::{Probed, Reader as _, argument},
    reclaim,
    turn::{Turn, entries, exits, exits_keeping},
};

#[inline(always)]
fn unmapped<C: Probed>(_ctx: &C, vma: u64, _turn: Turn) -> i32 {
    reclaim::unmapped::<C::Fields>(C::Fields::u64::<{ field::VMA_MM }>(vma));
    0
}

#[inline(always)]
fn flushed(ctx: &impl Probed, turn: Turn) -> i32 {
    reclaim::flushed(ctx.as_ptr(), turn);
    0
}

#[inline(always)]
fn flushed_if_any(ctx: &impl Probed, turn: Turn) -> i32 {
    reclaim::flushed_if_any(ctx.as_ptr(), turn);
    0
}

#[inline(always)]
fn overtaken<C: Probed>(ctx: &C, _turn: Turn) -> i32 {
    reclaim::overtaken::<C::Fields>(argument::<{ arg::BATCHED_PENDING_MM }>(ctx));
    0
}

entries! {
    "flush_tlb_batched_pending": flush_tlb_batched_pending_enter, flush_tlb_batched_pending_enter_again, flush_tlb_batched_pending_enter_last, flush_tlb_batched_pending_enter_kprobe => overtaken;
}

exits! {
    "try_to_unmap_flush": try_to_unmap_flush_exit, try_to_unmap_flush_exit_again, try_to_unmap_flush_exit_last, try_to_unmap_flush_exit_kprobe => flushed_if_any;
    "arch_tlbbatch_flush": arch_tlbbatch_flush_exit, arch_tlbbatch_flush_exit_again, arch_tlbbatch_flush_exit_last, arch_tlbbatch_flush_exit_kprobe => flushed;
}

exits_keeping! {
    "try_to_unmap_one" keeps calls::UNMAP [vma = argument::<{ arg::UNMAP_VMA }>]:
        try_to_unmap_one_exit, try_to_unmap_one_exit_again, try_to_unmap_one_exit_last, try_to_unmap_one_exit_kprobe, try_to_unmap_one_exit_call => unmapped;
    "try_to_migrate_one" keeps calls::UNMAP [vma = argument::<{ arg::UNMAP_VMA }>]:
        try_to_migrate_one_exit, try_to_migrate_one_exit_again, try_to_migrate_one_exit_last, try_to_migrate_one_exit_kprobe, try_to_migrate_one_exit_call => unmapped;
}
