//! uprobe_dup_mmap: the one call inside a fork that names the child's mm before its lock is taken. Needed where
//! locks are told apart by their mm being known.

use probe_common::relocation::arg;

use crate::{
    kernel::{Probed, argument},
    slots,
    turn::{Turn, entries},
};

/// An mm that has a slot keeps it.
#[inline(always)]
fn entered<C: Probed>(ctx: &C, _turn: Turn) -> i32 {
    slots::find_or_claim::<C::Fields>(argument::<{ arg::DUP_MMAP_MM }>(ctx));
    0
}

entries! {
    "uprobe_dup_mmap": uprobe_dup_mmap_enter, uprobe_dup_mmap_enter_again, uprobe_dup_mmap_enter_last, uprobe_dup_mmap_enter_kprobe => entered;
}
