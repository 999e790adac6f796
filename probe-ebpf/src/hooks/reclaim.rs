//! try_to_unmap_one, try_to_migrate_one (5.10 has none): reclaim takes a page from one mm. arch_tlbbatch_flush: it flushes what it
//! has taken.

use aya_ebpf::{EbpfContext as _, macros::fexit, programs::FExitContext};
use probe_common::relocation::{arg, field};

use crate::{
    kernel::{Reader as _, Typed, argument},
    reclaim,
    turn::{Turn, programs},
};

#[inline(always)]
fn unmapped(ctx: &FExitContext, _turn: Turn) -> i32 {
    reclaim::unmapped::<Typed>(Typed::u64::<{ field::VMA_MM }>(argument::<{ arg::UNMAP_VMA }>(ctx)));
    0
}

#[inline(always)]
fn flushed(ctx: &FExitContext, turn: Turn) -> i32 {
    reclaim::flushed(ctx.as_ptr(), turn);
    0
}

programs! {
    #[fexit(function = "try_to_unmap_one")] FExitContext: try_to_unmap_one_exit, try_to_unmap_one_exit_again, try_to_unmap_one_exit_last => unmapped;
    #[fexit(function = "try_to_migrate_one")]
    FExitContext: try_to_migrate_one_exit, try_to_migrate_one_exit_again, try_to_migrate_one_exit_last => unmapped;
    #[fexit(function = "arch_tlbbatch_flush")]
    FExitContext: arch_tlbbatch_flush_exit, arch_tlbbatch_flush_exit_again, arch_tlbbatch_flush_exit_last => flushed;
}
