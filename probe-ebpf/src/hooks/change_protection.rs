//! change_protection: page-table entries change under an open gather (6.1 and later; before that the mmu_gather is
//! no argument, and the pgprot_t by value keeps programs away).

use aya_ebpf::{macros::fentry, programs::FEntryContext};
use probe_common::relocation::arg;

use crate::{
    kernel::argument,
    turn::{Turn, programs},
    window,
};

/// What it writes down is the same when it is written twice.
#[inline(always)]
fn entered(ctx: &FEntryContext, _turn: Turn) -> i32 {
    window::change_protection(
        argument::<{ arg::CHANGE_PROTECTION_TLB }>(ctx),
        argument::<{ arg::CHANGE_PROTECTION_FLAGS }>(ctx),
    );
    0
}

programs! {
    #[fentry(function = "change_protection")] FEntryContext: change_protection_enter, change_protection_enter_again, change_protection_enter_last => entered;
}
