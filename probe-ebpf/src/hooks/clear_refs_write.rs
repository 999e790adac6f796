//! clear_refs_write: the soft-dirty walk, whose pending flush is counted by inline helpers.

use aya_ebpf::{
    EbpfContext as _,
    macros::{fentry, fexit},
    programs::{FEntryContext, FExitContext},
};
use probe_common::{series::PATH_SOFT_DIRTY, task::NO_SLOT};

use crate::{
    turn::{Turn, programs},
    window,
};

#[inline(always)]
fn entered(_ctx: &FEntryContext, turn: Turn) -> i32 {
    window::enter_context(PATH_SOFT_DIRTY, NO_SLOT, 0, u64::MAX, turn);
    0
}

/// A window ends with its full flush, or there was none.
#[inline(always)]
fn returned(ctx: &FExitContext, _turn: Turn) -> i32 {
    window::leave_context(ctx.as_ptr(), false);
    0
}

programs! {
    #[fentry(function = "clear_refs_write")] FEntryContext: clear_refs_write_enter, clear_refs_write_enter_again, clear_refs_write_enter_last => entered;
    #[fexit(function = "clear_refs_write")] FExitContext: clear_refs_write_exit, clear_refs_write_exit_again, clear_refs_write_exit_last => returned;
}
