//! clear_refs_write: the soft-dirty walk, whose pending flush is counted by inline helpers.

use probe_common::{series::PATH_SOFT_DIRTY, task::NO_SLOT};

use crate::{
    kernel::Probed,
    turn::{Turn, entries, exits},
    window,
};

#[inline(always)]
fn entered(_ctx: &impl Probed, turn: Turn) -> i32 {
    window::enter_context(PATH_SOFT_DIRTY, NO_SLOT, 0, u64::MAX, turn);
    0
}

/// A window ends with its full flush, or there was none.
#[inline(always)]
fn returned(ctx: &impl Probed, _turn: Turn) -> i32 {
    window::leave_context(ctx.as_ptr(), false);
    0
}

entries! {
    "clear_refs_write": clear_refs_write_enter, clear_refs_write_enter_again, clear_refs_write_enter_last, clear_refs_write_enter_kprobe => entered;
}

exits! {
    "clear_refs_write": clear_refs_write_exit, clear_refs_write_exit_again, clear_refs_write_exit_last, clear_refs_write_exit_kprobe => returned;
}
