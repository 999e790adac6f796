//! uprobe_dup_mmap: the one call inside a fork that names the child's mm before its lock is taken. Needed where
//! locks are told apart by their mm being known.

use aya_ebpf::{macros::fentry, programs::FEntryContext};
use probe_common::relocation::arg;

use crate::{
    kernel::{Typed, argument},
    slots,
    turn::{Turn, programs},
};

/// An mm that has a slot keeps it.
#[inline(always)]
fn entered(ctx: &FEntryContext, _turn: Turn) -> i32 {
    slots::find_or_claim::<Typed>(argument::<{ arg::DUP_MMAP_MM }>(ctx));
    0
}

programs! {
    #[fentry(function = "uprobe_dup_mmap")] FEntryContext: uprobe_dup_mmap_enter, uprobe_dup_mmap_enter_again, uprobe_dup_mmap_enter_last => entered;
}
