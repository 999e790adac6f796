//! change_protection: page-table entries change under an open gather (6.1 and later; before that the mmu_gather is
//! no argument, and the pgprot_t by value keeps programs away).

use aya_ebpf::{macros::fentry, programs::FEntryContext};
use probe_common::relocation::arg;

use crate::{kernel::argument, window};

#[fentry(function = "change_protection")]
fn change_protection_enter(ctx: FEntryContext) -> i32 {
    window::change_protection(
        argument::<{ arg::CHANGE_PROTECTION_TLB }>(&ctx),
        argument::<{ arg::CHANGE_PROTECTION_FLAGS }>(&ctx),
    );
    0
}
