//! change_prot_numa: NUMA hinting, where change_protection cannot be hooked (before 5.17). It always calls it once.

use probe_common::{
    relocation::{arg, field},
    series::PATH_NUMA,
};

use crate::{
    kernel::{Probed, Reader as _, argument},
    turn::{Turn, entries, exits},
    window::{self, Change},
};

#[inline(always)]
fn entered<C: Probed>(ctx: &C, turn: Turn) -> i32 {
    let vma = argument::<{ arg::CHANGE_PROT_NUMA_VMA }>(ctx);
    let change = Change {
        start: argument::<{ arg::CHANGE_PROT_NUMA_START }>(ctx),
        end: argument::<{ arg::CHANGE_PROT_NUMA_END }>(ctx),
        cp_flags: 0,
        vma_flags: 0,
    };
    window::enter_context_of::<C::Fields>(PATH_NUMA, C::Fields::u64::<{ field::VMA_MM }>(vma), change, turn);
    0
}

#[inline(always)]
fn returned(ctx: &impl Probed, _turn: Turn) -> i32 {
    window::leave_context(ctx.as_ptr(), true);
    0
}

entries! {
    "change_prot_numa": change_prot_numa_enter, change_prot_numa_enter_again, change_prot_numa_enter_last, change_prot_numa_enter_kprobe => entered;
}

exits! {
    "change_prot_numa": change_prot_numa_exit, change_prot_numa_exit_again, change_prot_numa_exit_last, change_prot_numa_exit_kprobe => returned;
}
