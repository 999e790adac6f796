//! change_protection: page-table entries change under an open gather (6.1 and later; before that the mmu_gather is
//! no argument, and the pgprot_t by value keeps programs away).

use aya_ebpf::{macros::fentry, programs::FEntryContext};
use probe_common::relocation::{arg, field};

use crate::{
    kernel::{Reader as _, Typed, argument},
    turn::{Turn, programs},
    window::{self, Change},
};

#[inline(always)]
fn entered(ctx: &FEntryContext, turn: Turn) -> i32 {
    let change = Change {
        start: argument::<{ arg::CHANGE_PROTECTION_START }>(ctx),
        end: argument::<{ arg::CHANGE_PROTECTION_END }>(ctx),
        cp_flags: argument::<{ arg::CHANGE_PROTECTION_FLAGS }>(ctx),
        vma_flags: Typed::u64::<{ field::VMA_FLAGS }>(argument::<{ arg::CHANGE_PROTECTION_VMA }>(ctx)),
    };
    window::change_protection(argument::<{ arg::CHANGE_PROTECTION_TLB }>(ctx), change, turn);
    0
}

programs! {
    #[fentry(function = "change_protection")] FEntryContext: change_protection_enter, change_protection_enter_again, change_protection_enter_last => entered;
}
