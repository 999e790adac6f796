//! change_protection: page-table entries change under an open gather (6.1 and later; before that the mmu_gather is
//! no argument, and the pgprot_t by value keeps programs away).

use probe_common::relocation::{arg, field};

use crate::{
    calls,
    kernel::{Probed, Reader as _, argument},
    turn::{Turn, entries, exits_keeping},
    window::{self, Change},
};

#[inline(always)]
fn entered<C: Probed>(ctx: &C, turn: Turn) -> i32 {
    let change = Change {
        start: argument::<{ arg::CHANGE_PROTECTION_START }>(ctx),
        end: argument::<{ arg::CHANGE_PROTECTION_END }>(ctx),
        cp_flags: argument::<{ arg::CHANGE_PROTECTION_FLAGS }>(ctx),
        vma_flags: C::Fields::u64::<{ field::VMA_FLAGS }>(argument::<{ arg::CHANGE_PROTECTION_VMA }>(ctx)),
    };
    window::change_protection(argument::<{ arg::CHANGE_PROTECTION_TLB }>(ctx), change, turn);
    0
}

#[inline(always)]
fn returned(ctx: &impl Probed, tlb: u64, _turn: Turn) -> i32 {
    window::changed_protection(tlb, argument::<{ arg::CHANGE_PROTECTION_RET }>(ctx));
    0
}

exits_keeping! {
    "change_protection" keeps calls::CHANGE [tlb = argument::<{ arg::CHANGE_PROTECTION_TLB }>]:
        change_protection_exit, change_protection_exit_again, change_protection_exit_last, change_protection_exit_kprobe, change_protection_exit_call => returned;
}

entries! {
    "change_protection": change_protection_enter, change_protection_enter_again, change_protection_enter_last, change_protection_enter_kprobe => entered;
}
