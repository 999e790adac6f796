//! change_prot_numa: NUMA hinting, where change_protection cannot be hooked (before 5.17). It always calls it once.

use aya_ebpf::{
    EbpfContext as _,
    macros::{fentry, fexit},
    programs::{FEntryContext, FExitContext},
};
use probe_common::{
    relocation::{arg, field},
    series::PATH_NUMA,
};

use crate::{
    kernel::{Reader, Typed, argument},
    turn::{Turn, programs},
    window::{self, Change},
};

#[inline(always)]
fn entered(ctx: &FEntryContext, turn: Turn) -> i32 {
    let vma = argument::<{ arg::CHANGE_PROT_NUMA_VMA }>(ctx);
    let change = Change {
        start: argument::<{ arg::CHANGE_PROT_NUMA_START }>(ctx),
        end: argument::<{ arg::CHANGE_PROT_NUMA_END }>(ctx),
        cp_flags: 0,
        vma_flags: 0,
    };
    window::enter_context_of::<Typed>(PATH_NUMA, Typed::u64::<{ field::VMA_MM }>(vma), change, turn);
    0
}

#[inline(always)]
fn returned(ctx: &FExitContext, _turn: Turn) -> i32 {
    window::leave_context(ctx.as_ptr(), true);
    0
}

programs! {
    #[fentry(function = "change_prot_numa")] FEntryContext: change_prot_numa_enter, change_prot_numa_enter_again, change_prot_numa_enter_last => entered;
    #[fexit(function = "change_prot_numa")] FExitContext: change_prot_numa_exit, change_prot_numa_exit_again, change_prot_numa_exit_last => returned;
}
